"""A tour of Thoonk: every file of a folder becomes a job, workers finish them.

    python examples/tour.py [FOLDER] [--backend URL] [--workers N]

A job feed hands out the files, each worker claims one after the other and stores
what it found as the job's result. A feed that keeps five items says which files came
last, and its notices move the progress display. Two sorted feeds rank the largest
files and the busiest workers. The first worker dies with a job in its hands; the
claim runs out and another worker does that job.

Exit code: 0 when every file was finished once and every result is right, 1 when
something went wrong on the way, 2 when the arguments make no sense.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypedDict
from urllib.parse import quote, unquote_to_bytes

from thoonk import (
    JSON,
    BackendNotInstalled,
    BackendUnavailable,
    Empty,
    Feed,
    FeedDoesNotExist,
    FeedSubscription,
    Gap,
    InvalidType,
    InvalidValue,
    Job,
    JobCounts,
    NotClaimed,
    Published,
    SortedFeed,
    Thoonk,
    ThoonkError,
)

CLAIM_TIMEOUT = 2.0
"""Seconds after which a job whose worker gives no sign of life goes to another."""

LATEST = 5
LARGEST = 5
CHUNK = 1 << 20
MOST_WORKERS = 100

LEFT_OUT = {".git", ".hg", ".svn", ".nox", ".tox", ".venv", "__pycache__", "node_modules"}
LEFT_OUT |= {".hypothesis", "_build", "build", "dist"}
MARKS_OF_A_CACHE = ("pyvenv.cfg", "CACHEDIR.TAG")


class TourError(Exception):
    """The tour cannot go on; the message is for people."""


# --- the files ------------------------------------------------------------------------


class FileFacts(TypedDict):
    """What there is to know about a file."""

    sha256: str
    size: int
    lines: int


def find_files(folder: Path) -> tuple[list[str], set[str]]:
    """The files below ``folder`` as task names, and the names of folders left out."""
    files: list[str] = []
    left_out: set[str] = set()

    def refuse(error: OSError) -> None:
        raise TourError(f"cannot read {shown(str(error.filename))}: {error.strerror}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        here = Path(root)
        kept = [name for name in folders if not is_by_product(here / name)]
        left_out.update(set(folders).difference(kept))
        folders[:] = sorted(kept)
        paths = [here / name for name in sorted(names) if not is_coverage(name)]
        files.extend(task_name(path.relative_to(folder)) for path in paths if path.is_file())
    return files, left_out


def is_by_product(folder: Path) -> bool:
    """Whether tools made the folder: version control, environments, caches, builds."""
    if folder.name in LEFT_OUT or folder.name.endswith(("_cache", ".egg-info")):
        return True
    return any((folder / mark).exists() for mark in MARKS_OF_A_CACHE)


def is_coverage(name: str) -> bool:
    """Whether it is a data file of coverage.py, which may come and go while we look."""
    return name == ".coverage" or name.startswith(".coverage.")


def task_name(path: Path) -> str:
    """A path as JSON can carry it: file names need not be valid text."""
    return quote(os.fsencode(path))


def task_path(name: str) -> Path:
    """The path of a task name."""
    return Path(os.fsdecode(unquote_to_bytes(name)))


def shown(text: str) -> str:
    """Text that is safe to print."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def examine(path: Path, keep_alive: Callable[[], None] = lambda: None) -> FileFacts:
    """Read a file. ``keep_alive`` is called now and then while that takes long."""
    digest, size, lines = hashlib.sha256(), 0, 0
    last_sign = time.monotonic()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            if time.monotonic() - last_sign > CLAIM_TIMEOUT / 4:
                keep_alive()
                last_sign = time.monotonic()
    return FileFacts(sha256=digest.hexdigest(), size=size, lines=lines)


# --- the feeds ------------------------------------------------------------------------


PARTS: dict[str, dict[str, Any]] = {
    "files": {"type": "job", "claim_timeout": CLAIM_TIMEOUT},
    "latest": {"type": "feed", "max_length": LATEST},
    "largest": {"type": "sorted_feed"},
    "workers": {"type": "sorted_feed"},
}


class Feeds:
    """The four feeds of one tour."""

    def __init__(self, thoonk: Thoonk, prefix: str) -> None:
        """Open them under the names that this tour gave them."""
        self.files: Job[Any] = thoonk.job(f"{prefix}-files", serializer=JSON)
        self.latest: Feed[Any] = thoonk.feed(f"{prefix}-latest", serializer=JSON)
        self.largest: SortedFeed[Any] = thoonk.sorted_feed(f"{prefix}-largest", serializer=JSON)
        self.workers: SortedFeed[Any] = thoonk.sorted_feed(f"{prefix}-workers", serializer=JSON)


@contextlib.contextmanager
def feeds_of_our_own(thoonk: Thoonk) -> Iterator[tuple[Feeds, str]]:
    """Feeds under names that no one else has, deleted at the end; and their prefix."""
    prefix = f"tour-{uuid.uuid4().hex[:12]}"
    try:
        for part, config in PARTS.items():
            thoonk.create_feed(f"{prefix}-{part}", {**config, "serializer": JSON.name})
        yield Feeds(thoonk, prefix), prefix
    finally:
        for part in PARTS:
            # Where the server is gone, the error that ended the tour says so.
            with contextlib.suppress(FeedDoesNotExist, BackendUnavailable):
                thoonk.delete_feed(f"{prefix}-{part}")


class Ranking:
    """Keeps a sorted feed in order of value, the highest first.

    A sorted feed never rearranges itself. Only one process does this, so it may remember
    the order instead of asking for it each time.
    """

    @dataclass
    class Row:
        """An entry of the ranking and its id in the sorted feed."""

        name: str
        value: int
        id: str = ""

    def __init__(self, feed: SortedFeed[Any], limit: int | None = None) -> None:
        """``limit``: how many rows are kept."""
        self._feed = feed
        self._limit = limit
        self._rows: list[Ranking.Row] = []

    def set(self, name: str, value: int) -> None:
        """Enter a name, or move it to where its new value belongs."""
        known = next((row for row in self._rows if row.name == name), None)
        if known is None:
            self._enter(self.Row(name, value))
        else:
            self._change(known, value)

    def _enter(self, row: Row) -> None:
        item = [row.name, row.value]
        place = self._place_for(row)
        if place == self._limit:
            return
        if place < len(self._rows):
            row.id = self._feed.publish_before(self._rows[place].id, item)
        elif self._rows:
            row.id = self._feed.publish_after(self._rows[-1].id, item)
        else:
            row.id = self._feed.append(item)
        self._rows.insert(place, row)
        if self._limit is not None and len(self._rows) > self._limit:
            self._feed.retract(self._rows.pop().id)

    def _change(self, row: Row, value: int) -> None:
        before = self._rows.index(row)
        self._rows.remove(row)
        row.value = value
        place = self._place_for(row)
        self._feed.edit(row.id, [row.name, value])
        if place != before:
            target = f":{self._rows[place].id}" if place < len(self._rows) else ":end"
            self._feed.move(target, row.id)
        self._rows.insert(place, row)

    def _place_for(self, row: Row) -> int:
        """Behind all that are as high or higher."""
        return sum(1 for other in self._rows if other.value >= row.value)

    def read(self) -> list[tuple[str, int]]:
        """Names and values, as the feed has them."""
        items = self._feed.get_all()
        return [(items[id][0], items[id][1]) for id in self._feed.get_ids()]


# --- the workers ----------------------------------------------------------------------


def work_once(feeds: Feeds, worker: str, folder: Path, timeout: float | None = None) -> None:
    """Claim one job and finish it; raises `Empty` when none comes in time."""
    # An exception in the block would cancel the claim, and another worker would try.
    with feeds.files.get(timeout) as claim:
        report = {"worker": worker, "attempts": claim.cancelled + 1}
        try:
            facts = examine(folder / task_path(claim.item), keep_alive=claim.extend)
        except OSError as error:
            # No one else could read it either: that is the result.
            claim.finish({**report, "error": error.strerror or str(error)}, result=True)
        else:
            claim.finish({**report, **facts}, result=True)
    feeds.latest.publish(claim.item)


def work(feeds: Feeds, worker: str, folder: Path, stop: threading.Event) -> None:
    """Do jobs until told to stop."""
    while not stop.is_set():
        try:
            work_once(feeds, worker, folder, timeout=0.25)
        except Empty:
            pass  # nothing to do at the moment
        except NotClaimed:
            pass  # we were too slow and the job is someone else's now


@dataclass
class DoomedWorker:
    """A worker that does some jobs, claims one more, and lets it drop."""

    name: str
    backend: str
    prefix: str
    folder: Path
    jobs: int

    def work(self, feeds: Feeds) -> str:
        """Returns the id of the job that it claims and does not finish."""
        for _ in range(self.jobs):
            work_once(feeds, self.name, self.folder)
        return feeds.files.get().id

    def work_until_killed(self, pipe: Connection) -> None:
        """What it does in a process of its own."""
        try:
            with Thoonk(backend=self.backend) as thoonk:
                pipe.send(self.work(Feeds(thoonk, self.prefix)))
                time.sleep(3600)
        except ThoonkError as error:
            pipe.send(error)

    def live_and_die(self, feeds: Feeds) -> str:
        """Start it and see it die; returns the id of the job it held."""
        if self.backend == "sqlite://" or self.backend.startswith(("memory", "embedded")):
            # No other process can see this memory, so it is we who drop the job.
            return self.work(feeds)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=self.work_until_killed, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        try:
            held = ours.recv()
        except EOFError:
            raise TourError(f"{self.name} ended before it had claimed its last job") from None
        finally:
            process.kill()
            process.join()
        if isinstance(held, ThoonkError):
            raise held
        return str(held)


# --- the display ----------------------------------------------------------------------


class Display(Protocol):
    """Shows how far the tour is."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def show(self, done: int, latest: list[str]) -> None:
        """``done`` files are finished, the latest of them last in ``latest``."""


class PlainDisplay(contextlib.AbstractContextManager["PlainDisplay"]):
    """A line for every tenth of the way."""

    def __init__(self, total: int) -> None:
        """``total``: how many files there are."""
        self._total = total
        self._tenths = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to tidy up."""

    def show(self, done: int, latest: list[str]) -> None:
        """Print a line when another tenth is done."""
        tenths = done * 10 // self._total
        if tenths > self._tenths and latest:
            self._tenths = tenths
            print(f"{done:>7} of {self._total}  {latest[-1]}", flush=True)


def open_display(total: int) -> Display:
    """A progress bar on a terminal where rich is installed, else plain lines."""
    if not sys.stdout.isatty():
        return PlainDisplay(total)
    try:
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
        from rich.text import Text
    except ImportError:
        return PlainDisplay(total)

    class RichDisplay(Live):
        def __init__(self) -> None:
            self._bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._task = self._bar.add_task("", total=total)
            super().__init__(self._bar, refresh_per_second=12)

        def show(self, done: int, latest: list[str]) -> None:
            self._bar.update(self._task, completed=done)
            lines = "\n".join(latest)
            self.update(Group(self._bar, Text(lines, style="dim", no_wrap=True)))

    return RichDisplay()


class Follower:
    """Hears the notices of the bounded feed and moves the display."""

    def __init__(self, notices: FeedSubscription[Any], display: Display, total: int) -> None:
        """``total``: how many publishes there will be."""
        self._notices = notices
        self._display = display
        self._total = total
        self._missed = False
        self.published = 0
        self.heard = 0
        self.heard_all = threading.Event()

    def run(self) -> None:
        """Listen until the subscription is closed."""
        latest: deque[str] = deque(maxlen=LATEST)
        for notice in self._notices:
            self.heard += 1
            match notice:
                case Published(item=name):
                    self.published += 1
                    latest.append(shown(str(task_path(name))))
                    self._display.show(self.published, list(latest))
                case Gap():
                    self._missed = True  # the connection was lost for a while
                case _:
                    pass  # what falls off the end of the bounded feed is retracted
            if self._missed or self.published == self._total:
                self.heard_all.set()


# --- the tour -------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of the tour."""

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    dropped_by: str = ""
    recovered_by: str = ""
    counts: JobCounts | None = None
    latest: list[str] = field(default_factory=list)
    largest: list[tuple[str, int]] = field(default_factory=list)
    workers: list[tuple[str, int]] = field(default_factory=list)
    notices: int = 0
    problems: list[str] = field(default_factory=list)


def tour(thoonk: Thoonk, backend: str, folder: Path, files: list[str], workers: int) -> Outcome:
    """Send every file through the feeds."""
    outcome = Outcome()
    names = [f"worker-{number}" for number in range(1, workers + 2)]
    doomed, *others = names
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        feeds, prefix = stack.enter_context(feeds_of_our_own(thoonk))
        display = stack.enter_context(open_display(len(files)))
        notices = stack.enter_context(feeds.latest.subscribe())
        pool = stack.enter_context(ThreadPoolExecutor(workers + 1))
        # Callbacks run before the pool waits for its threads, so that it does not wait for ever.
        stack.callback(notices.close)
        stack.callback(stop.set)

        follower = Follower(notices, display, len(files))
        pool.submit(follower.run)
        ids = {feeds.files.put(name): name for name in files}

        healthy = min(2, len(files) - 1)
        dropped = DoomedWorker(doomed, backend, prefix, folder, healthy).live_and_die(feeds)
        running = [pool.submit(work, feeds, name, folder, stop) for name in others]

        largest, board = Ranking(feeds.largest, LARGEST), Ranking(feeds.workers)
        jobs_of: Counter[str] = Counter()
        for id, name in ids.items():
            query, report = result_of(feeds.files, id, running)
            if query != name:
                outcome.problems.append(f"{name}: its job was for {query}")
            outcome.reports[name] = report
            largest.set(name, report.get("size", 0))
            jobs_of[report["worker"]] += 1
            board.set(report["worker"], jobs_of[report["worker"]])

        stop.set()
        for future in running:
            future.result()
        if not follower.heard_all.wait(10):
            outcome.problems.append(f"heard of {follower.published} of {len(files)} files")
        outcome.dropped_by, outcome.recovered_by = doomed, outcome.reports[ids[dropped]]["worker"]
        outcome.counts = feeds.files.get_counts()
        items = feeds.latest.get_all()
        outcome.latest = [items[id] for id in feeds.latest]
        outcome.largest, outcome.workers = largest.read(), board.read()
        outcome.notices = follower.heard
    return outcome


def result_of(job: Job[Any], id: str, workers: list[Future[None]]) -> tuple[str, dict[str, Any]]:
    """What was asked and what came of it; raises what stopped a worker meanwhile."""
    while True:
        try:
            return job.get_result(id, timeout=0.5)  # type: ignore[return-value]
        except Empty:
            for worker in workers:
                if worker.done():
                    worker.result()


def check(folder: Path, files: list[str], outcome: Outcome) -> list[str]:
    """What is wrong with the outcome, in lines for people."""
    problems = list(outcome.problems)
    expected = JobCounts(waiting=0, claimed=0, stalled=0, finished=len(files))
    if outcome.counts != expected:
        problems.append(f"jobs are {outcome.counts}, not {expected}")
    if outcome.recovered_by == outcome.dropped_by:
        problems.append("the dropped job was not done by another worker")
    for name in files:
        report = outcome.reports[name]
        path = task_path(name)
        if "error" in report:
            problems.append(f"{shown(str(path))}: {report['error']}")
            continue
        try:
            wanted = examine(folder / path)
        except OSError as error:
            problems.append(f"{shown(str(path))}: {error.strerror}")
            continue
        if any(report[key] != value for key, value in wanted.items()):
            problems.append(f"{shown(str(path))}: the result is wrong, or the file has changed")
    sizes = sorted((report.get("size", 0) for report in outcome.reports.values()), reverse=True)
    if [size for _, size in outcome.largest] != sizes[:LARGEST]:
        problems.append("the ranking is not that of the results")
    return problems


def summary(outcome: Outcome, seconds: float) -> Iterator[str]:
    """The outcome in lines for people."""
    reports = outcome.reports.values()
    recovered = sum(1 for report in reports if report["attempts"] > 1)
    yield f"files            {len(reports):,}"
    yield f"bytes            {sum(report.get('size', 0) for report in reports):,}"
    yield f"lines            {sum(report.get('lines', 0) for report in reports):,}"
    yield f"jobs recovered   {recovered} ({outcome.dropped_by} died, {outcome.recovered_by} did it)"
    yield f"notices heard    {outcome.notices:,}"
    yield f"seconds          {seconds:.1f}"
    yield "jobs per worker"
    yield from (f"  {jobs:>13,}  {worker}" for worker, jobs in outcome.workers)
    yield "largest files"
    yield from (f"  {size:>13,}  {shown(str(task_path(name)))}" for name, size in outcome.largest)
    yield "latest files"
    yield from (f"  {'':>13}  {shown(str(task_path(name)))}" for name in outcome.latest)


def worker_count(text: str) -> int:
    """The number of workers, from the command line."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MOST_WORKERS}, not {text!r}")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    checkout = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Send every file of a folder through Thoonk.")
    parser.add_argument("folder", nargs="?", type=Path, default=checkout, metavar="FOLDER")
    parser.add_argument(
        "--backend", default="memory", metavar="URL", help="redis://HOST:PORT/DB or sqlite:///PATH"
    )
    parser.add_argument("--workers", default=3, type=worker_count, metavar="N")
    return parser.parse_args()


def main() -> int:
    """Run the tour; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name must not be more than this terminal can show.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    arguments = parse_arguments()
    folder: Path = arguments.folder
    try:
        if not folder.is_dir():
            return fail(f"not a folder: {shown(str(folder))}", 2)
        files, left_out = find_files(folder)
        if not files:
            return fail(f"no files in {shown(str(folder))}", 1)
        started = time.monotonic()
        with Thoonk(backend=arguments.backend) as thoonk:
            print(f"{len(files):,} files of {shown(str(folder))} on {thoonk.backend!r}")
            if left_out:
                print(f"left out: {shown(', '.join(sorted(left_out)))}")
            outcome = tour(thoonk, arguments.backend, folder, files, arguments.workers)
    except (InvalidValue, InvalidType, BackendNotInstalled) as error:
        return fail(str(error), 2)
    except (TourError, ThoonkError) as error:
        return fail(str(error), 1)
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    print(*summary(outcome, time.monotonic() - started), sep="\n")
    problems = check(folder, files, outcome)
    if problems:
        for problem in problems:
            fail(problem, 1)
        return 1
    print("Every file was finished once, and every result is right.")
    return 0


def fail(message: str, code: int) -> int:
    """Say on stderr why it ends; returns the exit code."""
    print(f"tour: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
