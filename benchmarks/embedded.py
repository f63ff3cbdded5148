"""What the engine without a server does in a second, beside what it is compared with.

    python -m benchmarks.embedded [--full]

Prints rates, and ratios of rates that were measured in turns in this run: against the bare
statements of SQLite, against fakeredis, and against huey where that is installed.

huey writes to SQLite with the same journal and `synchronous` as Thoonk here. Its tasks have no
claims: who takes one has removed it, and it is lost when that process dies. The ratio to "huey" is
of calls that programs make; that to "huey's storage" is of a get and a put of Thoonk's to the two
methods of huey's that only move bytes.

``--full`` also fills feeds to a million items.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from thoonk import Thoonk
from thoonk.backends.embedded import sqlite
from thoonk.backends.embedded.store import State
from thoonk.names import new_id, new_token

ITEM = "x" * 256
ROUNDS = 5


def rate(count: int, work: Callable[[], object]) -> float:
    """How often a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def both(thoonk: Thoonk, count: int) -> tuple[float, float]:
    """Puts a second, and gets with finish a second."""
    job = thoonk.job("jobs")

    def put() -> None:
        for _ in range(count):
            job.put(ITEM)

    def finish() -> None:
        for _ in range(count):
            job.get_nowait().finish()

    return rate(count, put), rate(count, finish)


def bare(path: Path, count: int) -> tuple[float, float]:
    """The statements of the same operations, each in its transactions, and nothing around them."""
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        thoonk.job("jobs")
    store = sqlite.SqliteStore(str(path))
    execute, data = store.execute, ITEM.encode()
    feed = store.find("jobs")
    assert isinstance(feed, sqlite._Feed)  # noqa: SLF001
    # SQLite does not write a page that stays as it is, and they never do.
    numbers = sqlite._numbers(feed).replace("0", "%d", 1)  # noqa: SLF001
    changes = itertools.count(1_000_000)
    waiting, claimed = (sqlite.STORED_STATES[each] for each in (State.WAITING, State.CLAIMED))

    def begin() -> None:
        execute("BEGIN IMMEDIATE")
        execute("PRAGMA data_version").fetchone()

    def end() -> None:
        changed = numbers % next(changes)
        execute("UPDATE rows SET note = ? WHERE key = ?", (changed, feed.first_key))
        execute("COMMIT")

    def put() -> None:
        for number in range(1, count + 1):
            begin()
            key = feed.first_key + number
            row = (feed.key, new_id(), data, waiting, number, number, 0, "", 0, "", 0, key)
            execute(sqlite._INSERT, row)  # noqa: SLF001
            end()

    def finish() -> None:
        for number in range(count):
            token = new_token()
            begin()
            select = sqlite._IN_STATE[False, False]  # noqa: SLF001
            key, id, *_ = execute(select, (feed.key, waiting, 1, 0)).fetchone()
            row = (claimed, number, number, number, token, 0, "", None, key)
            execute(sqlite._UPDATE, row)  # noqa: SLF001
            end()
            begin()
            execute(sqlite._OF_ID, (feed.key, id)).fetchone()  # noqa: SLF001
            execute("DELETE FROM rows WHERE key = ?", (key,))
            end()

    try:
        return rate(count, put), rate(count, finish)
    finally:
        store.close()


def _storage_of_huey(path: Path) -> Any:
    huey = importlib.import_module("huey.storage")
    # With fsync=False it would be synchronous=OFF, and the next statement changes that.
    storage = huey.SqliteStorage("benchmark", str(path), fsync=False)
    storage.conn.execute("PRAGMA synchronous = NORMAL")
    return storage


def of_hueys_storage(path: Path, count: int) -> tuple[float, float]:
    """Enqueues and dequeues of bytes: an INSERT, and a SELECT with a DELETE. No claims."""
    storage, data = _storage_of_huey(path), ITEM.encode()

    def put() -> None:
        for _ in range(count):
            storage.enqueue(data)

    def take() -> None:
        for _ in range(count):
            storage.dequeue()

    return rate(count, put), rate(count, take)


def of_huey(path: Path, count: int) -> tuple[float, float]:
    """Calls of a task, and tasks taken as by its consumer. No claims."""
    huey = importlib.import_module("huey").Huey(
        "benchmark", storage_class=lambda *_, **__: _storage_of_huey(path), results=False
    )
    task = huey.task()(lambda text: text)

    def put() -> None:
        for _ in range(count):
            task(ITEM)

    def take() -> None:
        for _ in range(count):
            huey.dequeue()

    return rate(count, put), rate(count, take)


def of_queue(path: Path, count: int) -> tuple[float, float]:
    """The same of a queue: what is got is removed."""
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        queue = thoonk.queue("queue")

        def put() -> None:
            for _ in range(count):
                queue.put(ITEM)

        def take() -> None:
            for _ in range(count):
                queue.get(timeout=1)

        return rate(count, put), rate(count, take)


def compared(folder: Path, count: int) -> None:
    """Rates in turns, and their ratios."""
    paths = (folder / f"{number}.db" for number in range(1000))
    ways: dict[str, Callable[[], tuple[float, float]]] = {}

    def of(url: str, fewer: int = 1) -> Callable[[], tuple[float, float]]:
        def measure() -> tuple[float, float]:
            with Thoonk(backend=url.format(next(paths))) as thoonk:
                return both(thoonk, count // fewer)

        return measure

    ways["embedded"] = of("embedded")
    ways["memory (fakeredis)"] = of("memory", 10)
    ways["sqlite"] = of("sqlite:///{}")
    ways["sqlite, full"] = of("sqlite:///{}?synchronous=full", 5)
    ways["bare statements"] = lambda: bare(next(paths), count)
    ways["sqlite, queue"] = lambda: of_queue(next(paths), count)
    if importlib.util.find_spec("huey"):
        ways["huey"] = lambda: of_huey(next(paths), count)
        ways["huey's storage"] = lambda: of_hueys_storage(next(paths), count)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, measure in ways.items():
            found[name].append(measure())
    middle = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }
    for name, (put, finish) in middle.items():
        print(f"{name:20} {put:9,.0f} puts/s {finish:9,.0f} gets (with finish)/s")
    for ours, theirs in (
        ("embedded", "memory (fakeredis)"),
        ("sqlite", "bare statements"),
        ("sqlite", "huey"),
        ("sqlite, queue", "huey"),
        ("sqlite, queue", "huey's storage"),
    ):
        if theirs in middle:
            ratios = (a / b for a, b in zip(middle[ours], middle[theirs], strict=True))
            print(f"{ours} / {theirs}: " + ", ".join(f"{ratio:.2f}" for ratio in ratios))


def filled(url: str, full: bool) -> None:
    """Whether a long feed is as quick as a short one."""
    with Thoonk(backend=url) as thoonk:
        job, songs = thoonk.job("jobs"), thoonk.sorted_feed("songs")
        for size in (0, 100_000, *((1_000_000,) if full else ())):
            missing = size - job.count()
            many = rate(missing, lambda: job.put_many([ITEM] * missing)) if missing > 0 else 0  # noqa: B023
            missing = size - songs.count()
            if missing > 0:
                songs.publish_many([ITEM] * missing)
            put, finish = both(thoonk, 2000)
            first = songs.append(ITEM)
            middle = rate(500, lambda: [songs.publish_after(first, ITEM) for _ in range(500)])  # noqa: B023
            print(
                f"{url.partition(':')[0]:9} with {size:9,}: {put:8,.0f} puts/s, {finish:8,.0f} "
                f"gets with finish/s, {middle:8,.0f} inserts at one spot/s, put_many {many:9,.0f}/s"
            )


_TAKER = """
import sys, time
from thoonk import Thoonk
with Thoonk(backend=sys.argv[1]) as thoonk:
    queue = thoonk.queue("q")
    print("ready", flush=True)
    while (item := queue.get(timeout=600)) != "end":
        print(time.time() - float(item), flush=True)
    before = time.process_time()
    print("idle", flush=True)
    thoonk.queue("other")
    try:
        queue.get(timeout=5)
    except Exception:
        pass
    print((time.process_time() - before) / 5, flush=True)
"""


def across(folder: Path) -> None:
    """From a put to a taker in another process, and what waiting costs."""
    url = f"sqlite:///{folder / 'across.db'}"
    with Thoonk(backend=url) as thoonk:
        queue = thoonk.queue("q")
        command = [sys.executable, "-c", _TAKER, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as taker:
            assert taker.stdout is not None
            taker.stdout.readline()
            for _ in range(300):
                time.sleep(0.01)
                queue.put(str(time.time()))
            queue.put("end")
            lines = taker.stdout.read().split()
    late = sorted(map(float, lines[: lines.index("idle")]))
    print(
        f"put to a taker in another process: p50 {late[len(late) // 2] * 1000:.1f} ms, "
        f"p95 {late[int(len(late) * 0.95)] * 1000:.1f} ms; a taker that waits: "
        f"{float(lines[-1]):.2%} of a core"
    )


def _write(url: str, begin: Barrier, counts: multiprocessing.Queue[int]) -> None:
    with Thoonk(backend=url) as thoonk:
        queue, count = thoonk.queue("q"), 0
        begin.wait()
        until = time.time() + 8
        while time.time() < until:
            queue.put(ITEM)
            count += 1
    counts.put(count)


def eight(folder: Path) -> None:
    """Processes that write all the time."""
    url = f"sqlite:///{folder / 'eight.db'}"
    with Thoonk(backend=url) as thoonk:
        thoonk.queue("q")
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    begin = context.Barrier(8)
    writers = [context.Process(target=_write, args=(url, begin, counts)) for _ in range(8)]
    for writer in writers:
        writer.start()
    found = sorted(counts.get() for _ in writers)
    for writer in writers:
        writer.join()
    fairness = found[-1] / found[0]
    print(f"8 processes: {sum(found) / 8:,.0f} puts/s, the busiest {fairness:.1f} × the least")


def start(folder: Path) -> None:
    """From the start of Python to the end of the first put."""
    took = {}
    for url in ("memory", "embedded", f"sqlite:///{folder / 'start.db'}"):
        program = f"from thoonk import Thoonk; Thoonk(backend={url!r}).queue('q').put('x')"
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append(time.perf_counter() - began)
        took[url.partition(":")[0]] = statistics.median(times)
    shown = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in took.items())
    print(f"start and one put: {shown}")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not in memory, as /tmp may be.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        yield Path(name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="fill feeds to a million items")
    parser.add_argument("--count", type=int, default=10_000, help="operations of a measurement")
    arguments = parser.parse_args()
    with _folder() as folder:
        compared(folder, arguments.count)
        start(folder)
        across(folder)
        eight(folder)
        filled("embedded", arguments.full)
        filled(f"sqlite:///{folder / 'filled.db'}", arguments.full)


if __name__ == "__main__":
    main()
