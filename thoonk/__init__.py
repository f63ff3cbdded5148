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
    Configured,
    Created,
    Deleted,
    Edited,
    Finished,
    Gap,
    Moved,
    Notice,
    Published,
    Retracted,
)
from thoonk.operations import (
    FeedStats,
    JobCounts,
    JobInfo,
    JobState,
    MaintenanceReport,
    Outcome,
    Priority,
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
    "Claim",
    "Claims",
    "Closed",
    "Collection",
    "Configured",
    "Created",
    "Deleted",
    "Edited",
    "Empty",
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
    "JobFailed",
    "JobInfo",
    "JobResult",
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
    "Published",
    "Pubsub",
    "PutResult",
    "Queue",
    "Retracted",
    "Serializer",
    "SerializerError",
    "SortedFeed",
    "Thoonk",
    "ThoonkError",
    "UnsupportedOperation",
    "WrongEventLoop",
    "WrongFeedType",
    "exceptions",
]
