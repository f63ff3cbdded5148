"""Testing: contract classes for backends, and helpers to test code that uses Thoonk.

A backend has to pass the contract classes; ``docs/writing-a-backend.md`` explains how to use
them. `assert_published`, `drain` and the fixtures of `thoonk.testing.plugin` are for tests of
programs: see ``docs/testing.md``.

This package needs pytest, which the extra ``testing`` installs. Nothing else in Thoonk does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thoonk.exceptions import BackendNotInstalled
from thoonk.extras import how_to_install

try:
    import pytest
except ImportError as error:
    raise BackendNotInstalled(
        f"thoonk.testing needs a package that is missing ({error}): {how_to_install('testing')}"
    ) from error

if TYPE_CHECKING:
    from thoonk.testing._async.backend import AsyncBackendContract
    from thoonk.testing._async.bulk import AsyncBulkContract
    from thoonk.testing._async.claims import AsyncClaimsContract
    from thoonk.testing._async.config import AsyncConfigContract
    from thoonk.testing._async.contract import AsyncContract
    from thoonk.testing._async.copies import AsyncCopiesContract
    from thoonk.testing._async.delay import AsyncDelayContract
    from thoonk.testing._async.events import AsyncEventsContract
    from thoonk.testing._async.feed import AsyncFeedContract
    from thoonk.testing._async.handler import AsyncHandlerContract
    from thoonk.testing._async.job import AsyncJobContract
    from thoonk.testing._async.notice import AsyncNoticeContract
    from thoonk.testing._async.own_ids import AsyncOwnIdsContract
    from thoonk.testing._async.page import AsyncPageContract
    from thoonk.testing._async.partitions import AsyncPartitionsContract
    from thoonk.testing._async.pause import AsyncPauseContract
    from thoonk.testing._async.progress import AsyncProgressContract
    from thoonk.testing._async.queue import AsyncQueueContract
    from thoonk.testing._async.schedules import AsyncSchedulesContract
    from thoonk.testing._async.serializer import AsyncSerializerContract
    from thoonk.testing._async.sorted_feed import AsyncSortedFeedContract
    from thoonk.testing._async.states import AsyncStatesContract
    from thoonk.testing._async.stats import AsyncStatsContract
    from thoonk.testing._async.workers import AsyncWorkersContract
    from thoonk.testing._sync.backend import BackendContract
    from thoonk.testing._sync.bulk import BulkContract
    from thoonk.testing._sync.claims import ClaimsContract
    from thoonk.testing._sync.config import ConfigContract
    from thoonk.testing._sync.contract import Contract
    from thoonk.testing._sync.copies import CopiesContract
    from thoonk.testing._sync.delay import DelayContract
    from thoonk.testing._sync.events import EventsContract
    from thoonk.testing._sync.feed import FeedContract
    from thoonk.testing._sync.handler import HandlerContract
    from thoonk.testing._sync.job import JobContract
    from thoonk.testing._sync.notice import NoticeContract
    from thoonk.testing._sync.own_ids import OwnIdsContract
    from thoonk.testing._sync.page import PageContract
    from thoonk.testing._sync.partitions import PartitionsContract
    from thoonk.testing._sync.pause import PauseContract
    from thoonk.testing._sync.progress import ProgressContract
    from thoonk.testing._sync.queue import QueueContract
    from thoonk.testing._sync.schedules import SchedulesContract
    from thoonk.testing._sync.serializer import SerializerContract
    from thoonk.testing._sync.sorted_feed import SortedFeedContract
    from thoonk.testing._sync.states import StatesContract
    from thoonk.testing._sync.stats import StatsContract
    from thoonk.testing._sync.workers import WorkersContract
    from thoonk.testing.cancellation import AsyncCancellationContract
    from thoonk.testing.checks import assert_published, drain
    from thoonk.testing.faults import Faults
    from thoonk.testing.proxy import Cut, Proxy
    from thoonk.testing.threads import ThreadContract
    from thoonk.testing.world import World

__all__ = [
    "AsyncBackendContract",
    "AsyncBulkContract",
    "AsyncCancellationContract",
    "AsyncClaimsContract",
    "AsyncConfigContract",
    "AsyncContract",
    "AsyncCopiesContract",
    "AsyncDelayContract",
    "AsyncEventsContract",
    "AsyncFeedContract",
    "AsyncHandlerContract",
    "AsyncJobContract",
    "AsyncNoticeContract",
    "AsyncOwnIdsContract",
    "AsyncPageContract",
    "AsyncPartitionsContract",
    "AsyncPauseContract",
    "AsyncProgressContract",
    "AsyncQueueContract",
    "AsyncSchedulesContract",
    "AsyncSerializerContract",
    "AsyncSortedFeedContract",
    "AsyncStatesContract",
    "AsyncStatsContract",
    "AsyncWorkersContract",
    "BackendContract",
    "BulkContract",
    "ClaimsContract",
    "ConfigContract",
    "Contract",
    "CopiesContract",
    "Cut",
    "DelayContract",
    "EventsContract",
    "Faults",
    "FeedContract",
    "HandlerContract",
    "JobContract",
    "NoticeContract",
    "OwnIdsContract",
    "PageContract",
    "PartitionsContract",
    "PauseContract",
    "ProgressContract",
    "Proxy",
    "QueueContract",
    "SchedulesContract",
    "SerializerContract",
    "SortedFeedContract",
    "StatesContract",
    "StatsContract",
    "ThreadContract",
    "WorkersContract",
    "World",
    "assert_published",
    "drain",
]

_SUBJECTS = {
    "": "contract",
    "Backend": "backend",
    "Bulk": "bulk",
    "Claims": "claims",
    "Config": "config",
    "Copies": "copies",
    "Feed": "feed",
    "Handler": "handler",
    "Job": "job",
    "Notice": "notice",
    "OwnIds": "own_ids",
    "Page": "page",
    "Partitions": "partitions",
    "Pause": "pause",
    "Queue": "queue",
    "Delay": "delay",
    "Serializer": "serializer",
    "SortedFeed": "sorted_feed",
    "States": "states",
    "Stats": "stats",
    "Schedules": "schedules",
    "Progress": "progress",
    "Events": "events",
    "Workers": "workers",
}
_MODULES = {
    **{f"Async{subject}Contract": f"_async.{module}" for subject, module in _SUBJECTS.items()},
    **{f"{subject}Contract": f"_sync.{module}" for subject, module in _SUBJECTS.items()},
    "AsyncCancellationContract": "cancellation",
    "ThreadContract": "threads",
    "Cut": "proxy",
    "Faults": "faults",
    "Proxy": "proxy",
    "World": "world",
    "assert_published": "checks",
    "drain": "checks",
}

# Failing asserts tell what they compared, here as in any test.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in {*_MODULES.values()}))


def __getattr__(name: str) -> Any:
    """Import only what is requested, because every run of pytest loads the plugin."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
