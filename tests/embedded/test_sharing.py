"""One file, several processes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import processes
import pytest

from thoonk import BackendUnavailable, Empty, Thoonk
from thoonk.backends.embedded import sqlite_notices, watcher
from thoonk.backends.embedded.changes import Polled
from thoonk.notices import Gap, Published

SOON = 60.0


def program(text: str, *arguments: object) -> list[str]:
    """A command that runs a Python program."""
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


LISTENER = """
    import sys
    from thoonk import Thoonk
    with Thoonk(backend=sys.argv[1]) as thoonk:
        with thoonk.feed("f").subscribe() as subscription:
            print("ready", flush=True)
            while True:
                notice = subscription.get(timeout=600)
                print(getattr(notice, "item", type(notice).__name__), flush=True)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'feeds.db'}"


def test_a_taker_is_woken_by_another_process(url: str) -> None:
    taker = """
        import sys
        from thoonk import Thoonk
        with Thoonk(backend=sys.argv[1]) as thoonk:
            queue = thoonk.queue("q")
            print("ready", flush=True)
            print(queue.get(timeout=600), flush=True)
    """
    with Thoonk(backend=url) as thoonk:
        queue = thoonk.queue("q")
        with processes.started(program(taker, url), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(20):
                # It may not wait yet; it is asleep for ten minutes once it does.
                time.sleep(0.01)
            queue.put("hello")
            assert process.stdout.readline() == "hello\n"


def test_a_taker_is_woken_where_the_kernel_does_not_tell(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "changes_of", lambda _: Polled())
    with Thoonk(backend=url) as one, Thoonk(backend=url) as other:
        taken: list[str] = []
        queue = one.queue("q")
        taker = threading.Thread(target=lambda: taken.append(queue.get(timeout=600)))
        taker.start()
        with other.feed("f").subscribe() as subscription:
            one.feed("f").publish("x")
            other.queue("q").put("hello")
            assert isinstance(subscription.get(timeout=SOON), Published)
        taker.join(SOON)
        assert taken == ["hello"]


def test_a_taker_learns_of_a_job_that_is_scheduled_while_it_waits(url: str) -> None:
    taker = """
        import sys
        from thoonk import Thoonk
        with Thoonk(backend=sys.argv[1]) as thoonk:
            job = thoonk.job("j")
            print("ready", flush=True)
            claim = job.get(timeout=600)
            print(claim.item, flush=True)
    """
    with Thoonk(backend=url) as thoonk:
        job = thoonk.job("j")
        with processes.started(program(taker, url), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            job.put("later", delay=0.5)
            assert process.stdout.readline() == "later\n"


def test_subscribers_hear_of_every_publish_of_every_process_in_order(url: str) -> None:
    publisher = """
        import sys
        from thoonk import Thoonk
        with Thoonk(backend=sys.argv[1]) as thoonk:
            feed = thoonk.feed("f")
            for number in range(300):
                feed.publish(f"{sys.argv[2]} {number}")
    """
    with Thoonk(backend=url) as thoonk:
        with thoonk.feed("f").subscribe() as subscription:
            publishers = [subprocess.Popen(program(publisher, url, name)) for name in "abc"]
            heard: dict[str, list[int]] = {"a": [], "b": [], "c": []}
            while sum(map(len, heard.values())) < 900:
                notice = subscription.get(timeout=SOON)
                assert not isinstance(notice, Gap)
                if isinstance(notice, Published):
                    name, number = notice.item.split()
                    heard[name].append(int(number))
            assert [process.wait(SOON) for process in publishers] == [0, 0, 0]
        assert all(numbers == [*range(300)] for numbers in heard.values())
        assert thoonk.feed("f").count() == 900


def test_a_subscriber_that_was_stopped_misses_nothing(url: str) -> None:
    with Thoonk(backend=url) as thoonk:
        feed = thoonk.feed("f")
        with processes.started(
            program(LISTENER, url), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGSTOP)
            feed.publish_many([str(number) for number in range(1000)])
            process.send_signal(signal.SIGCONT)
            assert [process.stdout.readline() for _ in range(1000)] == [
                f"{number}\n" for number in range(1000)
            ]


def test_a_subscriber_to_a_quiet_feed_stays_registered(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_notices, "KEEP", 30_000_000)
    monkeypatch.setattr(watcher, "RENEW_EVERY", 0.1)
    monkeypatch.setattr(watcher, "AT_LEAST_EVERY", 0.1)
    with Thoonk(backend=url) as one, Thoonk(backend=url) as other:
        with one.feed("f").subscribe() as subscription:
            until = "SELECT until FROM listeners"
            store = other.backend.core.store
            with store.lock, store.transaction(writes=False):
                first = store.number(until)
            deadline = time.monotonic() + SOON
            while True:
                with store.lock, store.transaction(writes=False):
                    if store.number(until) > first:
                        break
                assert time.monotonic() < deadline
                time.sleep(0.02)
            other.feed("f").publish("x")
            assert isinstance(subscription.get(timeout=SOON), Published)


def test_a_subscriber_that_was_stopped_for_too_long_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Thoonk(backend=url) as one, Thoonk(backend=url) as other:
        with one.feed("f").subscribe() as subscription:
            store = other.backend.core.store
            with store.lock, store.transaction(writes=True):
                store.db.execute("DELETE FROM listeners")
            other.feed("f").publish("missed")
            monkeypatch.setattr(watcher, "RENEW_EVERY", 0.0)
            assert isinstance(subscription.get(timeout=SOON), Gap)
            other.feed("f").publish("heard")
            assert subscription.get(timeout=SOON).item == "heard"


def test_an_error_does_not_end_the_thread_that_delivers(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "AT_LEAST_EVERY", 0.1)
    with Thoonk(backend=url) as one, Thoonk(backend=url) as other:
        with one.feed("f").subscribe() as subscription:
            failed = threading.Event()

            def fail() -> bool:
                failed.set()
                raise BackendUnavailable("locked")

            with monkeypatch.context() as patch:
                patch.setattr(watcher, "RENEW_EVERY", 0.0)
                patch.setattr(one.backend.core.store.notices, "renew", fail)
                assert failed.wait(SOON)
            other.feed("f").publish("x")
            assert subscription.get(timeout=SOON).item == "x"


def test_old_notices_are_removed_and_a_reader_that_needed_them_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_notices, "KEEP_AT_MOST", 100)
    with Thoonk(backend=url) as thoonk:
        feed = thoonk.feed("f")
        command = program(LISTENER, url)
        with processes.started(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGSTOP)
            for first in range(0, 3000, 500):
                feed.publish_many([str(number) for number in range(first, first + 500)])
            process.send_signal(signal.SIGCONT)
            heard = [process.stdout.readline().strip()]
            while heard[-1] != "2999":
                heard.append(process.stdout.readline().strip())
        assert "Gap" in heard
        after = heard[heard.index("Gap") + 1 :]
        assert after == [str(number) for number in range(3000 - len(after), 3000)]


def test_old_notices_are_removed_a_few_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Thoonk(backend=url) as thoonk, thoonk.feed("f").subscribe():
        feed, store = thoonk.feed("f"), thoonk.backend.core.store

        def kept() -> int:
            with store.lock, store.transaction(writes=False):
                return store.number("SELECT count(*) FROM notices")

        feed.publish_many([str(number) for number in range(500)])
        monkeypatch.setattr(sqlite_notices, "KEEP_AT_MOST", 100)
        monkeypatch.setattr(sqlite_notices, "CLEAN_AFTER", 10)
        counts = [kept()]
        while counts[-1] > 100 + 10:
            feed.publish("x")
            counts.append(kept())
            assert len(counts) < 1000
        # One more in each step, and 20 fewer at most when it is cleaned.
        assert min(after - before for before, after in itertools.pairwise(counts)) == 1 - 20


def test_a_taker_that_waited_through_a_pause_learns_what_is_due(url: str) -> None:
    with Thoonk(backend=url) as one, Thoonk(backend=url) as other:
        job = one.job("j")
        job.pause()
        taken: list[str] = []
        taker = threading.Thread(target=lambda: taken.append(other.job("j").get().item))
        taker.start()
        waiters = other.backend.core.waiters
        watched = other.backend.core.watch()
        deadline = time.monotonic() + SOON
        while waiters.feeds() != ["j"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        job.put("x", delay=1)
        while "j" not in watched._due or watched._due["j"][0] is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        began = time.monotonic()
        job.resume()
        taker.join(SOON)
        assert taken == ["x"]
        # Not by looking again after ten seconds.
        assert time.monotonic() - began < 8


WORKER = """
    import sys
    from thoonk import Empty, NotClaimed, Thoonk
    with Thoonk(backend=sys.argv[1]) as thoonk:
        job = thoonk.job("j")
        while True:
            try:
                claim = job.get(timeout=0.2)
            except Empty:
                continue
            try:
                claim.finish()
            except NotClaimed:
                continue
            # Written in one piece; a process that is killed before has finished it in silence.
            sys.stdout.write(claim.item + "\\n")
            sys.stdout.flush()
"""


def test_processes_that_are_killed_lose_no_job_and_finish_none_twice(
    url: str, tmp_path: Path
) -> None:
    total, chance = 1500, random.Random(4)
    producer = """
        import sys
        from thoonk import Thoonk
        with Thoonk(backend=sys.argv[1]) as thoonk:
            job = thoonk.job("j")
            for number in range(int(sys.argv[2]), int(sys.argv[3])):
                job.put(str(number))
    """
    with Thoonk(backend=url) as thoonk:
        job = thoonk.job("j")
        thoonk.set_config("j", {"claim_timeout": 0.5})
        finished = [(tmp_path / f"{number}.txt").open("w") for number in range(40)]
        workers: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            output = finished[len(workers)]
            workers.append(subprocess.Popen(program(WORKER, url), stdout=output))

        producers = [
            subprocess.Popen(program(producer, url, first, first + total // 3))
            for first in range(0, total, total // 3)
        ]
        try:
            for _ in range(3):
                start()
            deadline = time.monotonic() + 2 * SOON
            while len(workers) < len(finished) and time.monotonic() < deadline:
                time.sleep(chance.uniform(0.05, 0.4))
                victim = chance.choice([w for w in workers if w.poll() is None])
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                start()
                counts = job.get_counts()
                if all(p.poll() == 0 for p in producers) and not counts.waiting:
                    break
            while True:
                # Between two jobs that they put there may be none.
                all_are_put = all(p.poll() is not None for p in producers)
                counts = job.get_counts()
                if all_are_put and not counts.waiting and not counts.claimed:
                    break
                assert time.monotonic() < deadline, counts
                time.sleep(0.05)
            assert [process.wait(SOON) for process in producers] == [0, 0, 0]
        finally:
            for process in (*workers, *producers):
                processes.kill(process)
            for output in finished:
                output.close()
        told = Counter(
            line
            for output in finished
            for line in Path(output.name).read_text("utf-8").splitlines()
        )
        # Each once on the file. A worker may die between the finish and the line that tells.
        assert counts.finished == total
        assert max(told.values()) == 1
        assert len(told) >= total - len(workers)


def test_eight_writers_never_see_a_locked_file(url: str) -> None:
    with Thoonk(backend=url) as thoonk:
        thoonk.feed("f")
    counts, until = Counter[int](), time.monotonic() + 3

    def write(number: int) -> None:
        with Thoonk(backend=url) as thoonk:
            feed = thoonk.feed("f")
            # As long as one has not had a turn, the others go on.
            while time.monotonic() < until + (SOON if len(counts) < 8 else 0):
                feed.publish("x")
                counts[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # No error, and nobody is kept out.
    assert len(counts) == 8
    with Thoonk(backend=url) as thoonk:
        assert thoonk.feed("f").count() == counts.total()


def test_a_forked_child_and_its_parent_go_on(url: str) -> None:
    with Thoonk(backend=url) as thoonk:
        queue = thoonk.queue("q")
        queue.put("before")
        child = os.fork()
        if not child:
            try:
                queue.put("in the child")
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        queue.put("after")
        assert [queue.get(timeout=SOON) for _ in range(3)] == ["before", "in the child", "after"]
        with pytest.raises(Empty):
            queue.get(timeout=0.01)
