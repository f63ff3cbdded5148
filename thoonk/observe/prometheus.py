"""Metrics for Prometheus: what a program does, and how full feeds are.

Needs the extra ``prometheus``. `Metrics` counts what goes through a backend; `FeedCollector`
asks a backend, when it is scraped, how full and how busy feeds are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

from thoonk._sync.alive import read_workers
from thoonk.backends import open_backend
from thoonk.config import JOB
from thoonk.exceptions import (
    AccessDenied,
    BackendNotInstalled,
    BackendUnavailable,
    FeedDoesNotExist,
    NotClaimed,
    OutcomeUnknown,
    UnsupportedOperation,
)
from thoonk.extras import how_to_install
from thoonk.names import check_timeout
from thoonk.notices import EVENT_OF, Gap, Notice
from thoonk.observe.parts import feed_of, items_of, name_of
from thoonk.operations import (
    Batch,
    FeedNames,
    FeedStats,
    JobAdd,
    JobExtend,
    MaintenanceReport,
    Mended,
    Operation,
    Outcome,
    QueueAdd,
    ReadStats,
)

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise BackendNotInstalled(
        f"metrics need a package that is missing ({error}): {how_to_install('prometheus')}"
    ) from error

__all__ = ["FeedCollector", "Metrics"]


_DURATIONS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(60, 300, 900, 3600),
)
"""Jobs take milliseconds or hours."""


class Metrics:
    """An observer that counts and measures. For threads and for asyncio.

    One is enough for a process, however many backends it watches. A registry takes each
    metric only once, so it refuses a second one.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """``registry``: where the metrics are registered."""
        self._seconds = Histogram(
            "thoonk_operation_seconds",
            "Time for an operation, until its answer or error.",
            ["operation"],
            registry=registry,
        )
        self._errors = Counter(
            "thoonk_operation_errors",
            "Operations and waits that failed or were refused.",
            ["operation", "error"],
            registry=registry,
        )
        self._waiting = Gauge(
            "thoonk_waiting_consumers",
            "Callers that block until there is something to take.",
            ["feed"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._put = Counter(
            "thoonk_items_put", "Items published, put and edited.", ["feed"], registry=registry
        )
        self._taken = Counter(
            "thoonk_items_taken", "Items and jobs taken.", ["feed"], registry=registry
        )
        self._again = Counter(
            "thoonk_jobs_taken_again",
            "Jobs claimed again after a cancellation or an expired claim.",
            ["feed"],
            registry=registry,
        )
        self._lost = Counter(
            "thoonk_claims_lost",
            "Claims that had expired when their holder tried to extend or end them.",
            ["feed"],
            registry=registry,
        )
        self._expired = Counter(
            "thoonk_claims_expired",
            "Claims that maintenance found past their time.",
            ["feed"],
            registry=registry,
        )
        self._notices = Counter(
            "thoonk_notices", "Notices that arrived.", ["kind"], registry=registry
        )
        self._gaps = Counter(
            "thoonk_gaps",
            "How often notices may have been missed; feed is empty for listeners to all.",
            ["feed"],
            registry=registry,
        )

        self._durations = Histogram(
            "thoonk_job_duration_seconds",
            "Time that a worker had a job, whatever became of it.",
            ["feed"],
            registry=registry,
            buckets=_DURATIONS,
        )
        self._ended = Counter(
            "thoonk_jobs_ended",
            "Jobs that ended in a worker, by what became of them.",
            ["feed", "outcome"],
            registry=registry,
        )

    @contextmanager
    def call(
        self, operation: Operation[Any], *, waiting: bool
    ) -> Iterator[Callable[[Any], object]]:
        """See `thoonk.observe.Observer`."""
        name, feed = name_of(operation), feed_of(operation)
        start = time.perf_counter()
        if waiting:
            self._waiting.labels(feed).inc()
        try:
            yield lambda answer: self._answered(operation, feed, answer)
        except NotClaimed as error:
            self._errors.labels(name, type(error).__name__).inc()
            self._lost.labels(feed).inc()
            raise
        except Exception as error:
            self._errors.labels(name, type(error).__name__).inc()
            raise
        finally:
            if waiting:
                self._waiting.labels(feed).dec()
            else:
                self._seconds.labels(name).observe(time.perf_counter() - start)

    def _answered(self, operation: Operation[Any], feed: str, answer: object) -> None:
        if items := items_of(operation):
            kept = 0
            if isinstance(operation, JobAdd | QueueAdd) and isinstance(answer, tuple):
                kept = answer.count(Outcome.KEPT)
            self._put.labels(feed).inc(len(items) - kept)
        match answer:
            case Batch(entries=entries, lost=lost):
                self._taken.labels(feed).inc(len(entries))
                self._again.labels(feed).inc(sum(1 for entry in entries if entry.cancelled))
                self._lost.labels(feed).inc(len(lost))
            case (
                MaintenanceReport(expired=expired, stalled=stalled)
                | Mended(report=MaintenanceReport(expired=expired, stalled=stalled))
            ):
                self._expired.labels(feed).inc(len(expired) + len(stalled))
            case tuple() if isinstance(operation, JobExtend):
                self._lost.labels(feed).inc(answer.count(False))

    def ended(self, feed: str, id: str, outcome: str, seconds: float | None) -> None:
        """A worker's job has ended. See `thoonk.observe.Observer`."""
        del id
        self._ended.labels(feed, outcome).inc()
        if seconds is not None:
            self._durations.labels(feed).observe(seconds)

    def notice(self, notice: Notice) -> None:
        """See `thoonk.observe.Observer`."""
        if isinstance(notice, Gap):
            self._gaps.labels(notice.feed).inc()
        elif type(notice) in EVENT_OF:
            self._notices.labels(EVENT_OF[type(notice)]).inc()


_GAUGES = {
    "items": "Items stored.",
    "waiting": "Items of a queue, or jobs, that wait to be taken.",
    "claimed": "Jobs that are claimed; items of a queue that are on their way.",
    "stalled": "Jobs out of circulation.",
    "failing": "Jobs, waiting, claimed or stalled, that were cancelled at least once.",
    "oldest_waiting": "Seconds since the oldest waiting job was put or retried.",
    "oldest_claimed": "Seconds since the oldest claim was made, however often it was extended.",
    "oldest_item": "Seconds since the first item of a feed was published.",
    "newest_item": "Seconds since the last item of a feed was published.",
    "scheduled": "Jobs that are available later.",
    "next_due": "Seconds until the next of these is due.",
    "paused": "Whether the feed is paused.",
}
_COUNTERS = {
    "publishes": "Publishes, puts and edits so far.",
    "finished": "Jobs finished so far.",
}


class FeedCollector(Collector):
    """How full and how busy feeds are, asked for when Prometheus scrapes.

    It is synchronous: in an asyncio program give it a URL. A scrape costs one round trip
    for each feed. Register it with one process, not with every worker.
    """

    def __init__(
        self,
        backend: object,
        feeds: Sequence[str] | None = None,
        *,
        timeout: float = 1.5,
        **options: Any,
    ) -> None:
        """Opens a backend; nothing is asked before the first scrape.

        Args:
            backend: what `Thoonk` takes: a name, a URL, a redis-py client, a backend.
            feeds: names; None: all there are at each scrape.
            timeout: seconds that a scrape takes at most. A backend that has not answered by then
                counts as away.
            options: for the backend.

        Raises:
            InvalidValue, InvalidType, BackendNotInstalled: as `Thoonk`.
        """
        self._timeout = check_timeout(timeout)
        self._backend, self._owns_backend = open_backend(backend, **options)
        self._feeds = feeds
        self._reader: _Reader | None = None
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing: being registered asks nothing of the backend."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics; only ``thoonk_up``, with 0, if the backend is unreachable."""
        up = GaugeMetricFamily("thoonk_up", "Whether the backend answers.")
        read = self._read()
        if read is None:
            up.add_metric([], 0)
            yield up
            return
        stats, workers = read
        up.add_metric([], 1)
        yield up
        for name, help in _GAUGES.items():
            unit = "_seconds" if name.startswith(("oldest", "newest", "next")) else ""
            gauge = GaugeMetricFamily(f"thoonk_feed_{name}{unit}", help, labels=_LABELS)
            yield _filled(gauge, name, stats)
        for name, help in _COUNTERS.items():
            counter = CounterMetricFamily(f"thoonk_feed_{name}", help, labels=_LABELS)
            yield _filled(counter, name, stats)

        alive = GaugeMetricFamily(
            "thoonk_workers", "Workers that are alive and take jobs.", labels=["feed"]
        )
        for feed, count in workers.items():
            alive.add_metric([feed], count)
        yield alive

    def _workers(self, feeds: Sequence[str]) -> dict[str, int]:
        """How many there are for each feed; nothing where they cannot be read."""
        counts = dict.fromkeys(feeds, 0)
        try:
            workers = read_workers(self._backend.execute) if feeds else []
        except (UnsupportedOperation, AccessDenied):
            return {}
        for worker in workers:
            if not worker.is_stopping:
                for feed in counts.keys() & {*worker.feeds}:
                    counts[feed] += 1
        return counts

    def _read(self) -> _Read | None:
        """The backend's statistics; None: it is unreachable, or does not answer in time."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        # If the backend hangs, only one thread hangs with it, not one more for each scrape. Its
        # late answer is not used.
        if not self._lock.acquire(timeout=self._timeout or -1):
            return None
        try:
            before = self._reader
            if before is not None and not before.ends_by(deadline):
                return None
            self._reader = reader = _Reader(self._read_all)
            reader.start()
            if not reader.ends_by(deadline):
                return None
        finally:
            self._lock.release()
        if reader.error is not None and not isinstance(
            reader.error, BackendUnavailable | OutcomeUnknown
        ):
            raise reader.error
        return reader.answer

    def _read_all(self) -> _Read:
        stats = list(self._stats())
        return stats, self._workers([feed for feed, each in stats if is_job(each)])

    def _stats(self) -> Iterator[tuple[str, FeedStats]]:
        feeds = self._feeds
        if feeds is None:
            feeds = sorted(self._backend.execute(FeedNames()))
        for feed in feeds:
            # A feed may have been deleted since its name was read.
            with suppress(FeedDoesNotExist):
                yield feed, self._backend.execute(ReadStats(feed))

    def close(self) -> None:
        """Close the backend, if it was opened here."""
        if self._owns_backend:
            self._backend.close()


def is_job(stats: FeedStats) -> bool:
    """Whether these are of a job feed."""
    return stats.kind == JOB


_Read: TypeAlias = tuple[list[tuple[str, FeedStats]], dict[str, int]]
"""What is read of feeds, and how many workers each has."""


class _Reader(threading.Thread):
    """Asks the backend, for as long as that takes."""

    def __init__(self, read: Callable[[], _Read]) -> None:
        super().__init__(name="thoonk-metrics", daemon=True)
        self._read = read
        self.answer: _Read | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answer = self._read()
        except Exception as error:  # noqa: BLE001 - it is raised where the scrape is
            self.error = error

    def ends_by(self, deadline: float | None) -> bool:
        """Wait until it has ended, or until then."""
        self.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not self.is_alive()


_LABELS = ("feed", "type")

Family = TypeVar("Family", GaugeMetricFamily, CounterMetricFamily)


def _filled(family: Family, name: str, stats: Iterable[tuple[str, FeedStats]]) -> Family:
    for feed, known in stats:
        value = getattr(known, name)
        if value is not None:
            family.add_metric([feed, known.type], float(value))
    return family
