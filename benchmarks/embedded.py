"""What the engine without a server does in a second, beside what it is compared with.

    python -m benchmarks.embedded [--full]

Prints rates, and ratios of rates that were measured in turns in this run: against the bare
statements of SQLite, against fakeredis, and against huey's SQLite where that is installed.
``--full`` also fills feeds to a million items.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from thoonk import Thoonk
from thoonk.backends.embedded import sqlite

ITEM = "x" * 256
ROUNDS = 3

_UPDATE = (
    "UPDATE feeds SET publishes = ?, finished = ?, given = ?, first = ?, last = ?, failing = ?, "
    "stored = ?, waiting = ?, claimed = ?, stalled = ?, scheduled = ? WHERE feed = ?"
)
_ROW = "key, id, state, place, put_at, since, token, failures, note"
_SAVE = (
    "UPDATE rows SET state = ?, place = ?, put_at = ?, since = ?, token = ?, failures = ?, "
    "note = ? WHERE key = ?"
)


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
    """The statements of the same operations, and nothing around them."""
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        thoonk.job("jobs")
        store = sqlite.SqliteStore(str(path))
        execute, data = store._db.execute, ITEM.encode()  # noqa: SLF001
        number = [0] * 11

        def put() -> None:
            for key in range(1, count + 1):
                execute("BEGIN IMMEDIATE")
                execute("PRAGMA data_version").fetchone()
                id = f"{key:020d}"
                select = f"SELECT {_ROW} FROM rows WHERE feed = ? AND id = ?"
                execute(select, (1, id)).fetchone()
                row = (1, key, id, 1, key, key, 0, "", 0, "")
                execute(
                    f"INSERT INTO rows (feed, {_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
                )
                execute("INSERT INTO items VALUES (?, ?)", (key, data))
                execute(_UPDATE, (*number, 1))
                execute("COMMIT")

        def finish() -> None:
            for _ in range(count):
                execute("BEGIN IMMEDIATE")
                execute("PRAGMA data_version").fetchone()
                key, id, *_ = execute(
                    f"SELECT {_ROW} FROM rows WHERE feed = ? AND state = ? "
                    "ORDER BY place ASC, key ASC LIMIT ? OFFSET ?",
                    (1, 1, 1, 0),
                ).fetchone()
                execute(_SAVE, (2, key, key, key, f"{key:020d}", 0, "", key))
                execute("SELECT item FROM items WHERE key = ?", (key,)).fetchone()
                execute(_UPDATE, (*number, 1))
                execute("COMMIT")
                execute("BEGIN IMMEDIATE")
                execute("PRAGMA data_version").fetchone()
                execute(f"SELECT {_ROW} FROM rows WHERE feed = ? AND id = ?", (1, id)).fetchone()
                execute("DELETE FROM rows WHERE key = ?", (key,))
                execute("DELETE FROM items WHERE key = ?", (key,))
                execute(_UPDATE, (*number, 1))
                execute("COMMIT")

        try:
            return rate(count, put), rate(count, finish)
        finally:
            store.close()


def of_huey(path: Path, count: int) -> tuple[float, float]:
    """Enqueues a second, and dequeues: a dequeue of huey's is at most once."""
    huey = importlib.import_module("huey.storage")
    storage = huey.SqliteStorage("benchmark", str(path), journal_mode="wal", fsync=False)
    storage.conn.execute("PRAGMA synchronous = NORMAL")
    data = ITEM.encode()

    def put() -> None:
        for _ in range(count):
            storage.enqueue(data)

    def take() -> None:
        for _ in range(count):
            storage.dequeue()

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
    if importlib.util.find_spec("huey"):
        ways["huey, normal"] = lambda: of_huey(next(paths), count)
    found = {name: [measure() for _ in range(ROUNDS)] for name, measure in ways.items()}
    middle = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }
    for name, (put, finish) in middle.items():
        print(f"{name:20} {put:9,.0f} puts/s {finish:9,.0f} gets with finish/s")
    for ours, theirs in (
        ("embedded", "memory (fakeredis)"),
        ("sqlite", "bare statements"),
        ("sqlite", "huey, normal"),
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


def _write(url: str, until: float, counts: multiprocessing.Queue[int]) -> None:
    with Thoonk(backend=url) as thoonk:
        queue, count = thoonk.queue("q"), 0
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
    until = time.time() + 8
    writers = [context.Process(target=_write, args=(url, until, counts)) for _ in range(8)]
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
