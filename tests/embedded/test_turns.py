"""The threads of one process write to a file in turn, each after those that have waited longer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

from thoonk import Thoonk
from thoonk.backends.embedded.turns import Turns, turns_of

SOON = 60.0
THREADS, PUTS = 100, 20


def test_a_hundred_clients_of_one_process_write_about_equally_often(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'feeds.db'}"
    with Thoonk(backend=url) as thoonk:
        thoonk.queue("q")
    begin = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with Thoonk(backend=url) as thoonk:
                queue = thoonk.queue("q")
                begin.wait(SOON)
                for _ in range(PUTS):
                    queue.put(str(number))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with Thoonk(backend=url) as thoonk:
        order = [item for _, item in thoonk.queue("q").items()]
    assert len(order) == THREADS * PUTS
    # In the middle all of them write: the first ones began earlier, and end earlier.
    middle = Counter(order[len(order) // 4 : -len(order) // 4])
    assert len(middle) == THREADS
    assert max(middle.values()) <= PUTS * 3 // 4


def test_a_turn_goes_to_who_has_waited_longest() -> None:
    shared, got = Turns(), list[str]()
    mine = threading.Lock()
    assert shared.wait(mine, 0)
    threads = []
    for name in "abc":

        def take(name: str = name) -> None:
            ticket = threading.Lock()
            for _ in range(2):
                assert shared.wait(ticket, SOON)
                got.append(name)
                shared.end(ticket)

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        while len(shared._tickets) < 1 + len(threads):
            time.sleep(0.001)
    late = threading.Lock()
    assert not shared.wait(late, 0.01)
    shared.end(late)
    shared.end(mine)
    for thread in threads:
        thread.join(SOON)
    # Nobody comes again before all others have come.
    assert "".join(got[:3]) == "abc"
    assert sorted(got) == [*"aabbcc"]
    assert not shared._tickets


def test_who_was_not_woken_looks_again() -> None:
    shared, first, second = Turns(), threading.Lock(), threading.Lock()
    assert shared.wait(first, 0)
    waiter = threading.Thread(target=shared.wait, args=(second, SOON))
    waiter.start()
    while len(shared._tickets) < 2:
        time.sleep(0.001)
    # As if a signal handler had raised before the next one is woken.
    shared._tickets.remove(first)
    waiter.join(SOON)
    assert not waiter.is_alive()


def test_clients_of_one_file_share_their_turns(tmp_path: Path) -> None:
    one = turns_of(str(tmp_path / "a"))
    assert turns_of(str(tmp_path / "a")) is one
    assert turns_of(str(tmp_path / "b")) is not one
