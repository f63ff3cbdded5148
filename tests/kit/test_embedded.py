"""The embedded engine passes the contract classes, on each of its stores and on an example's.

`test_broken.py` runs this file once more for each way in `broken.py` to break the engine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.broken import (
    AGAIN_AND_TOLD,
    OF_COPIES,
    OF_PARTITIONS,
    OF_WORKERS,
    SINCE_2_1,
    VARIANTS,
    Broken,
)
from thoonk import testing, waiting
from thoonk.backends.embedded import AsyncEmbeddedBackend, Core, EmbeddedBackend
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.sqlite import SqliteStore


class Clock:
    """Stands still but for what is added, so that time goes by without waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def is_tried(variant: type[Broken], name: str) -> bool:
    """Whether a class of this module is tried with that variant."""
    contract = name.removeprefix("Test")
    if variant.tries:
        return contract in variant.tries
    return contract not in SINCE_2_1 | AGAIN_AND_TOLD | OF_WORKERS | OF_COPIES | OF_PARTITIONS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On each store; or with each of the variants in ``THOONK_BROKEN`` that is to be tried."""
    if broken := os.environ.get("THOONK_BROKEN"):
        name = metafunc.cls.__name__
        engines = [each for each in broken.split(",") if is_tried(VARIANTS[each], name)]
    else:
        engines = ["memory", "sqlite", "lmdb"]
    metafunc.parametrize("open_core", engines, indirect=True, scope="function")


@pytest.fixture
def open_core(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], Core]]:
    """Opens engines that have the same feeds, and whose time can be moved.

    On a file, each client has an engine of its own, as in a process of its own.
    """
    # Whoever is not woken by the backend does not look by himself, and pass for all that.
    monkeypatch.setattr(waiting, "LONGEST_WAIT", 600.0)
    clock = Clock()
    if request.param == "sqlite":
        yield lambda: Core(SqliteStore(str(tmp_path / "feeds.db")), clock)
        return
    if variant := VARIANTS.get(request.param):
        core = variant(clock)
    elif request.param == "lmdb":
        lmdb_store = pytest.importorskip("lmdb_store")
        core = Core(lmdb_store.LmdbStore(str(tmp_path / "feeds.lmdb"), sync=False), clock)
    else:
        core = Core(MemoryStore(), clock)
    core.open()
    yield lambda: core
    core.close()


class Engine(testing.Contract):
    """The contract on the backend for threads."""

    @pytest.fixture
    def open_backend(self, open_core: Callable[[], Core]) -> Callable[[], EmbeddedBackend]:
        self.clock: Clock | None = None

        def open() -> EmbeddedBackend:
            core = open_core()
            self.clock = core.clock
            return getattr(core, "backend", EmbeddedBackend)(core)

        return open

    def pass_time(self, seconds: float) -> None:
        self.clock.ahead += seconds


class AsyncEngine(testing.AsyncContract):
    """The contract on the backend for asyncio."""

    @pytest.fixture
    def open_async_backend(
        self, open_core: Callable[[], Core]
    ) -> Callable[[], AsyncEmbeddedBackend]:
        self.clock: Clock | None = None

        def open() -> AsyncEmbeddedBackend:
            core = open_core()
            self.clock = core.clock
            return AsyncEmbeddedBackend(core)

        return open

    async def pass_time(self, seconds: float) -> None:
        self.clock.ahead += seconds


class TestBackend(Engine, testing.BackendContract):
    pass


class TestBulk(Engine, testing.BulkContract):
    pass


class TestClaims(Engine, testing.ClaimsContract):
    pass


class TestConfig(Engine, testing.ConfigContract):
    pass


class TestFeed(Engine, testing.FeedContract):
    pass


class TestHandler(Engine, testing.HandlerContract):
    pass


class TestJob(Engine, testing.JobContract):
    pass


class TestNotice(Engine, testing.NoticeContract):
    pass


class TestPage(Engine, testing.PageContract):
    pass


class TestQueue(Engine, testing.QueueContract):
    pass


class TestSerializer(Engine, testing.SerializerContract):
    pass


class TestSortedFeed(Engine, testing.SortedFeedContract):
    pass


class TestStats(Engine, testing.StatsContract):
    pass


class TestOwnIds(Engine, testing.OwnIdsContract):
    pass


class TestPartitions(Engine, testing.PartitionsContract):
    pass


class TestPause(Engine, testing.PauseContract):
    pass


class TestCopies(Engine, testing.CopiesContract):
    pass


class TestDelay(Engine, testing.DelayContract):
    pass


class TestStates(Engine, testing.StatesContract):
    pass


class TestEvents(Engine, testing.EventsContract):
    pass


class TestProgress(Engine, testing.ProgressContract):
    pass


class TestSchedules(Engine, testing.SchedulesContract):
    pass


class TestWorkers(Engine, testing.WorkersContract):
    pass


class TestThread(Engine, testing.ThreadContract):
    pass


class TestAsyncBackend(AsyncEngine, testing.AsyncBackendContract):
    pass


class TestAsyncCancellation(AsyncEngine, testing.AsyncCancellationContract):
    pass


class TestAsyncBulk(AsyncEngine, testing.AsyncBulkContract):
    pass


class TestAsyncClaims(AsyncEngine, testing.AsyncClaimsContract):
    pass


class TestAsyncConfig(AsyncEngine, testing.AsyncConfigContract):
    pass


class TestAsyncFeed(AsyncEngine, testing.AsyncFeedContract):
    pass


class TestAsyncHandler(AsyncEngine, testing.AsyncHandlerContract):
    pass


class TestAsyncJob(AsyncEngine, testing.AsyncJobContract):
    pass


class TestAsyncNotice(AsyncEngine, testing.AsyncNoticeContract):
    pass


class TestAsyncPage(AsyncEngine, testing.AsyncPageContract):
    pass


class TestAsyncQueue(AsyncEngine, testing.AsyncQueueContract):
    pass


class TestAsyncSerializer(AsyncEngine, testing.AsyncSerializerContract):
    pass


class TestAsyncSortedFeed(AsyncEngine, testing.AsyncSortedFeedContract):
    pass


class TestAsyncStats(AsyncEngine, testing.AsyncStatsContract):
    pass


class TestAsyncOwnIds(AsyncEngine, testing.AsyncOwnIdsContract):
    pass


class TestAsyncPartitions(AsyncEngine, testing.AsyncPartitionsContract):
    pass


class TestAsyncPause(AsyncEngine, testing.AsyncPauseContract):
    pass


class TestAsyncCopies(AsyncEngine, testing.AsyncCopiesContract):
    pass


class TestAsyncDelay(AsyncEngine, testing.AsyncDelayContract):
    pass


class TestAsyncStates(AsyncEngine, testing.AsyncStatesContract):
    pass


class TestAsyncEvents(AsyncEngine, testing.AsyncEventsContract):
    pass


class TestAsyncProgress(AsyncEngine, testing.AsyncProgressContract):
    pass


class TestAsyncSchedules(AsyncEngine, testing.AsyncSchedulesContract):
    pass


class TestAsyncWorkers(AsyncEngine, testing.AsyncWorkersContract):
    pass
