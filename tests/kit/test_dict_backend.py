"""The backend of docs/writing-a-backend.md passes the contract classes.

`test_broken.py` runs this file once more for each way in `broken.py` to break it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from dict_backend import AsyncDictBackend, DictBackend, World

from kit.broken import AGAIN_AND_TOLD, OF_COPIES, OF_WORKERS, SINCE_2_1, VARIANTS, Broken
from thoonk import testing, waiting


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
    return contract not in SINCE_2_1 | AGAIN_AND_TOLD | OF_WORKERS | OF_COPIES


class Dicts(testing.Contract):
    """The contract on the backend for threads."""

    @pytest.fixture(params=os.environ.get("THOONK_BROKEN", "World").split(","))
    def open_backend(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], DictBackend]:
        # Whoever is not woken by the backend does not look by himself, and pass for all that.
        monkeypatch.setattr(waiting, "LONGEST_WAIT", 600.0)
        self.clock = Clock()
        variant = VARIANTS.get(request.param, World)
        if variant is not World and not is_tried(variant, type(self).__name__):
            pytest.skip("this way to be wrong is the affair of others")
        world = variant(self.clock)
        backend = getattr(variant, "backend", DictBackend)
        return lambda: backend(world)

    def pass_time(self, seconds: float) -> None:
        self.clock.ahead += seconds


class AsyncDicts(testing.AsyncContract):
    """The contract on the backend for asyncio."""

    @pytest.fixture
    def open_async_backend(self) -> Callable[[], AsyncDictBackend]:
        self.clock = Clock()
        world = World(self.clock)
        return lambda: AsyncDictBackend(world)

    async def pass_time(self, seconds: float) -> None:
        self.clock.ahead += seconds


class TestBackend(Dicts, testing.BackendContract):
    pass


class TestBulk(Dicts, testing.BulkContract):
    pass


class TestClaims(Dicts, testing.ClaimsContract):
    pass


class TestConfig(Dicts, testing.ConfigContract):
    pass


class TestFeed(Dicts, testing.FeedContract):
    pass


class TestHandler(Dicts, testing.HandlerContract):
    pass


class TestJob(Dicts, testing.JobContract):
    pass


class TestNotice(Dicts, testing.NoticeContract):
    pass


class TestPage(Dicts, testing.PageContract):
    pass


class TestQueue(Dicts, testing.QueueContract):
    pass


class TestSerializer(Dicts, testing.SerializerContract):
    pass


class TestSortedFeed(Dicts, testing.SortedFeedContract):
    pass


class TestStats(Dicts, testing.StatsContract):
    pass


class TestOwnIds(Dicts, testing.OwnIdsContract):
    pass


class TestPause(Dicts, testing.PauseContract):
    pass


class TestCopies(Dicts, testing.CopiesContract):
    pass


class TestDelay(Dicts, testing.DelayContract):
    pass


class TestStates(Dicts, testing.StatesContract):
    pass


class TestEvents(Dicts, testing.EventsContract):
    pass


class TestProgress(Dicts, testing.ProgressContract):
    pass


class TestSchedules(Dicts, testing.SchedulesContract):
    pass


class TestWorkers(Dicts, testing.WorkersContract):
    pass


class TestThread(Dicts, testing.ThreadContract):
    pass


class TestAsyncBackend(AsyncDicts, testing.AsyncBackendContract):
    pass


class TestAsyncCancellation(AsyncDicts, testing.AsyncCancellationContract):
    pass


class TestAsyncBulk(AsyncDicts, testing.AsyncBulkContract):
    pass


class TestAsyncClaims(AsyncDicts, testing.AsyncClaimsContract):
    pass


class TestAsyncConfig(AsyncDicts, testing.AsyncConfigContract):
    pass


class TestAsyncFeed(AsyncDicts, testing.AsyncFeedContract):
    pass


class TestAsyncHandler(AsyncDicts, testing.AsyncHandlerContract):
    pass


class TestAsyncJob(AsyncDicts, testing.AsyncJobContract):
    pass


class TestAsyncNotice(AsyncDicts, testing.AsyncNoticeContract):
    pass


class TestAsyncPage(AsyncDicts, testing.AsyncPageContract):
    pass


class TestAsyncQueue(AsyncDicts, testing.AsyncQueueContract):
    pass


class TestAsyncSerializer(AsyncDicts, testing.AsyncSerializerContract):
    pass


class TestAsyncSortedFeed(AsyncDicts, testing.AsyncSortedFeedContract):
    pass


class TestAsyncStats(AsyncDicts, testing.AsyncStatsContract):
    pass


class TestAsyncOwnIds(AsyncDicts, testing.AsyncOwnIdsContract):
    pass


class TestAsyncPause(AsyncDicts, testing.AsyncPauseContract):
    pass


class TestAsyncCopies(AsyncDicts, testing.AsyncCopiesContract):
    pass


class TestAsyncDelay(AsyncDicts, testing.AsyncDelayContract):
    pass


class TestAsyncStates(AsyncDicts, testing.AsyncStatesContract):
    pass


class TestAsyncEvents(AsyncDicts, testing.AsyncEventsContract):
    pass


class TestAsyncProgress(AsyncDicts, testing.AsyncProgressContract):
    pass


class TestAsyncSchedules(AsyncDicts, testing.AsyncSchedulesContract):
    pass


class TestAsyncWorkers(AsyncDicts, testing.AsyncWorkersContract):
    pass
