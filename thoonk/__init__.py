"""Shared, persistent feeds, queues and jobs with push notices.

>>> from thoonk import Thoonk
>>> thoonk = Thoonk(backend="memory")
>>> feed = thoonk.feed("news")
>>> id = feed.publish("hello")
>>> feed.get_item(id)
'hello'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thoonk import exceptions
    from thoonk._async.claim import AsyncClaim
    from thoonk._async.claims import AsyncClaims
    from thoonk._async.client import AsyncThoonk
    from thoonk._async.collection import AsyncCollection
    from thoonk._async.feed import AsyncFeed
    from thoonk._async.heartbeat import AsyncHeartbeat
    from thoonk._async.job import AsyncJob
    from thoonk._async.partitioned import AsyncPartitionedJob, AsyncPartitionedQueue
    from thoonk._async.queue import AsyncQueue
    from thoonk._async.sorted_feed import AsyncSortedFeed
    from thoonk._async.subscription import AsyncFeedSubscription
    from thoonk._sync.claim import Claim
    from thoonk._sync.claims import Claims
    from thoonk._sync.client import Thoonk
    from thoonk._sync.collection import Collection
    from thoonk._sync.feed import Feed
    from thoonk._sync.heartbeat import Heartbeat
    from thoonk._sync.job import Job
    from thoonk._sync.partitioned import PartitionedJob, PartitionedQueue
    from thoonk._sync.queue import Queue
    from thoonk._sync.sorted_feed import SortedFeed
    from thoonk._sync.subscription import FeedSubscription
    from thoonk.codec import JobResult, PutResult
    from thoonk.config import FeedConfig
    from thoonk.exceptions import (
        AccessDenied,
        BackendError,
        BackendFull,
        BackendNotInstalled,
        BackendUnavailable,
        Closed,
        Empty,
        FeedDoesNotExist,
        FeedExists,
        InvalidType,
        InvalidValue,
        ItemDoesNotExist,
        ItemExists,
        ItemTooLarge,
        JobFailed,
        JobRetracted,
        NoResult,
        NotClaimed,
        NotListening,
        NotScheduled,
        NotStalled,
        OutcomeUnknown,
        SerializerError,
        ThoonkError,
        UnsupportedOperation,
        WrongEventLoop,
        WrongFeedType,
    )
    from thoonk.notices import (
        AnyNotice,
        Cancelled,
        Claimed,
        Configured,
        Created,
        Deleted,
        Edited,
        Ended,
        Finished,
        Gap,
        JobEvent,
        Moved,
        Notice,
        Progressed,
        Published,
        Put,
        Released,
        Retracted,
        Retried,
        Scheduled,
        Stalled,
    )
    from thoonk.operations import (
        FeedStats,
        JobCounts,
        JobInfo,
        JobState,
        MaintenanceReport,
        Outcome,
        Priority,
        WorkerInfo,
        WorkerJob,
    )
    from thoonk.schedules import PeriodicJob
    from thoonk.serializers import BINARY, JSON, PICKLE, TEXT, Serializer

    Pubsub = Thoonk

__version__ = "2.0.0.dev0"

__all__ = [
    "BINARY",
    "JSON",
    "PICKLE",
    "TEXT",
    "AccessDenied",
    "AnyNotice",
    "AsyncClaim",
    "AsyncClaims",
    "AsyncCollection",
    "AsyncFeed",
    "AsyncFeedSubscription",
    "AsyncHeartbeat",
    "AsyncJob",
    "AsyncPartitionedJob",
    "AsyncPartitionedQueue",
    "AsyncQueue",
    "AsyncSortedFeed",
    "AsyncThoonk",
    "BackendError",
    "BackendFull",
    "BackendNotInstalled",
    "BackendUnavailable",
    "Cancelled",
    "Claim",
    "Claimed",
    "Claims",
    "Closed",
    "Collection",
    "Configured",
    "Created",
    "Deleted",
    "Edited",
    "Empty",
    "Ended",
    "Feed",
    "FeedConfig",
    "FeedDoesNotExist",
    "FeedExists",
    "FeedStats",
    "FeedSubscription",
    "Finished",
    "Gap",
    "Heartbeat",
    "InvalidType",
    "InvalidValue",
    "ItemDoesNotExist",
    "ItemExists",
    "ItemTooLarge",
    "Job",
    "JobCounts",
    "JobEvent",
    "JobFailed",
    "JobInfo",
    "JobResult",
    "JobRetracted",
    "JobState",
    "MaintenanceReport",
    "Moved",
    "NoResult",
    "NotClaimed",
    "NotListening",
    "NotScheduled",
    "NotStalled",
    "Notice",
    "Outcome",
    "OutcomeUnknown",
    "PartitionedJob",
    "PartitionedQueue",
    "PeriodicJob",
    "Priority",
    "Progressed",
    "Published",
    "Pubsub",
    "Put",
    "PutResult",
    "Queue",
    "Released",
    "Retracted",
    "Retried",
    "Scheduled",
    "Serializer",
    "SerializerError",
    "SortedFeed",
    "Stalled",
    "Thoonk",
    "ThoonkError",
    "UnsupportedOperation",
    "WorkerInfo",
    "WorkerJob",
    "WrongEventLoop",
    "WrongFeedType",
    "exceptions",
]

# A name is imported when it is first asked for, so that a program loads only what it uses: a
# client for threads needs no asyncio. The names are those above; a test compares.
_WHERE = {
    "thoonk._async.claim": "AsyncClaim",
    "thoonk._async.claims": "AsyncClaims",
    "thoonk._async.client": "AsyncThoonk",
    "thoonk._async.collection": "AsyncCollection",
    "thoonk._async.feed": "AsyncFeed",
    "thoonk._async.heartbeat": "AsyncHeartbeat",
    "thoonk._async.job": "AsyncJob",
    "thoonk._async.partitioned": "AsyncPartitionedJob AsyncPartitionedQueue",
    "thoonk._async.queue": "AsyncQueue",
    "thoonk._async.sorted_feed": "AsyncSortedFeed",
    "thoonk._async.subscription": "AsyncFeedSubscription",
    "thoonk._sync.claim": "Claim",
    "thoonk._sync.claims": "Claims",
    "thoonk._sync.client": "Thoonk",
    "thoonk._sync.collection": "Collection",
    "thoonk._sync.feed": "Feed",
    "thoonk._sync.heartbeat": "Heartbeat",
    "thoonk._sync.job": "Job",
    "thoonk._sync.partitioned": "PartitionedJob PartitionedQueue",
    "thoonk._sync.queue": "Queue",
    "thoonk._sync.sorted_feed": "SortedFeed",
    "thoonk._sync.subscription": "FeedSubscription",
    "thoonk.codec": "JobResult PutResult",
    "thoonk.config": "FeedConfig",
    "thoonk.exceptions": (
        "AccessDenied BackendError BackendFull BackendNotInstalled BackendUnavailable Closed "
        "Empty FeedDoesNotExist FeedExists InvalidType InvalidValue ItemDoesNotExist ItemExists "
        "ItemTooLarge JobFailed JobRetracted NoResult NotClaimed NotListening NotScheduled "
        "NotReplicated NotStalled OutcomeUnknown SerializerError ThoonkError UnsupportedOperation "
        "WrongEventLoop WrongFeedType"
    ),
    "thoonk.notices": (
        "AnyNotice Cancelled Claimed Configured Created Deleted Edited Ended Finished Gap "
        "JobEvent Moved Notice Progressed Published Put Released Retracted Retried Scheduled "
        "Stalled"
    ),
    "thoonk.operations": (
        "FeedStats JobCounts JobInfo JobState MaintenanceReport Outcome Priority WorkerInfo "
        "WorkerJob"
    ),
    "thoonk.schedules": "PeriodicJob",
    "thoonk.serializers": "BINARY JSON PICKLE TEXT Serializer",
}

_SUBMODULES = ("backends", "config", "exceptions", "notices", "operations", "serializers")

_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}

if not TYPE_CHECKING:  # which would take every other name for one of these

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return importlib.import_module(f"thoonk.{name}")
        if name == "Pubsub":  # the client's name in versions before 1.0
            value = __getattr__("Thoonk")
        elif name in _MODULE_OF:
            value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
