"""Every contract class of `thoonk.testing`, in every world."""

from __future__ import annotations

from contract._async.worlds import AsyncWorlds
from thoonk.testing import (
    AsyncBackendContract,
    AsyncBulkContract,
    AsyncClaimsContract,
    AsyncConfigContract,
    AsyncCopiesContract,
    AsyncDelayContract,
    AsyncEventsContract,
    AsyncFeedContract,
    AsyncHandlerContract,
    AsyncJobContract,
    AsyncNoticeContract,
    AsyncOwnIdsContract,
    AsyncPageContract,
    AsyncPartitionsContract,
    AsyncPauseContract,
    AsyncProgressContract,
    AsyncQueueContract,
    AsyncSchedulesContract,
    AsyncSerializerContract,
    AsyncSortedFeedContract,
    AsyncStatesContract,
    AsyncStatsContract,
    AsyncWorkersContract,
)


class TestBackend(AsyncWorlds, AsyncBackendContract):
    pass


class TestBulk(AsyncWorlds, AsyncBulkContract):
    pass


class TestClaims(AsyncWorlds, AsyncClaimsContract):
    pass


class TestConfig(AsyncWorlds, AsyncConfigContract):
    pass


class TestCopies(AsyncWorlds, AsyncCopiesContract):
    pass


class TestFeed(AsyncWorlds, AsyncFeedContract):
    pass


class TestHandler(AsyncWorlds, AsyncHandlerContract):
    pass


class TestJob(AsyncWorlds, AsyncJobContract):
    pass


class TestNotice(AsyncWorlds, AsyncNoticeContract):
    pass


class TestPage(AsyncWorlds, AsyncPageContract):
    pass


class TestQueue(AsyncWorlds, AsyncQueueContract):
    pass


class TestSerializer(AsyncWorlds, AsyncSerializerContract):
    pass


class TestSortedFeed(AsyncWorlds, AsyncSortedFeedContract):
    pass


class TestStats(AsyncWorlds, AsyncStatsContract):
    pass


class TestOwnIds(AsyncWorlds, AsyncOwnIdsContract):
    pass


class TestPartitions(AsyncWorlds, AsyncPartitionsContract):
    pass


class TestPause(AsyncWorlds, AsyncPauseContract):
    pass


class TestDelay(AsyncWorlds, AsyncDelayContract):
    pass


class TestStates(AsyncWorlds, AsyncStatesContract):
    pass


class TestEvents(AsyncWorlds, AsyncEventsContract):
    pass


class TestProgress(AsyncWorlds, AsyncProgressContract):
    pass


class TestSchedules(AsyncWorlds, AsyncSchedulesContract):
    pass


class TestWorkers(AsyncWorlds, AsyncWorkersContract):
    pass
