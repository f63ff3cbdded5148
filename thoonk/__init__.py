"""Shared, persistent feeds, queues and jobs with push notices.

>>> from thoonk import Thoonk
>>> thoonk = Thoonk(backend="memory")
>>> feed = thoonk.feed("news")
>>> id = feed.publish("hello")
>>> feed.get_item(id)
'hello'
"""

from __future__ import annotations

from thoonk import exceptions
from thoonk._async.claim import AsyncClaim
from thoonk._async.claims import AsyncClaims
from thoonk._async.client import AsyncThoonk
from thoonk._async.collection import AsyncCollection
from thoonk._async.feed import AsyncFeed
from thoonk._async.heartbeat import AsyncHeartbeat
from thoonk._async.job import AsyncJob
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
"""The client's name in versions before 1.0."""

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
