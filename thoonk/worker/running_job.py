"""A job that a worker runs, and who ends it.

A job is in one `JobState` at a time. The one that takes it out of RUNNING decides how it ends, and
no other. It is moved on like this, by methods of `RunningJob`:

=================  ==============================================  ============================
from, to           who, and when                                   what the server learns
=================  ==============================================  ============================
RUNNING, TAKEN     its loop: the handler has returned or raised,   nothing yet
                   or the loop itself has failed
                   the executor: over its time limit, and does     nothing yet
                   not end; or the grace of a stop is over
TAKEN, ENDED       the handler has ended it itself                 that, by the handler
                   it has returned, or raised `Discard`            finished, with the next claim
                   it raised `Stall`, or its result cannot be      stalled, at once
                   stored
                   it has failed, or is over its time limit        failed, at once: the server
                                                                   schedules or stalls it
                   its process has died: the supervisor has seen   failed, by the process that
                   what it was at                                  takes its place
                   the server was away then                        cancelled, with the next
                                                                   claim, without the delay
                   its loop has failed, and restarts               cancelled, as the loop ends
                   the grace of a stop is over                     released, which is no failure
=================  ==============================================  ============================

While a job is RUNNING the heartbeat extends its claim. When the server says that the claim is lost,
a running handler continues, but any report of its end is refused.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from typing import Any, Generic, Protocol, TypeVar

import attrs

from thoonk.names import shown
from thoonk.worker.handlers import Handler

logger = logging.getLogger("thoonk.worker")


class AnyClaim(Protocol):
    """What `Claim` and `AsyncClaim` have in common here."""

    @property
    def id(self) -> str:
        """The job's id."""

    @property
    def cancelled(self) -> int:
        """How often the job was cancelled before."""


C = TypeVar("C", bound=AnyClaim)


class JobState(enum.Enum):
    """Who has a job."""

    RUNNING = enum.auto()
    """Its slot: the handler works on it."""
    TAKEN = enum.auto()
    """The one that has taken it out of the slot, and decides how it ends."""
    ENDED = enum.auto()
    """Nothing more: how it ended is reported, or will be by the loop over claims."""


@attrs.define(eq=False)
class RunningJob(Generic[C]):
    """A claim, and what the worker has to remember about it.

    Attributes:
        claim: the claim.
        handler: the handler of its feed.
        is_kept: whether the loop over claims extends it, and not the worker's heartbeat.
        began: when it was begun, by the monotonic clock.
        extended: when its time was restarted.
        asked: when it was asked last whether the claim holds.
        is_lost: whether it is known that it does not.
    """

    claim: C
    handler: Handler
    is_kept: bool = False
    began: float = attrs.field(factory=time.monotonic)
    extended: float = attrs.field(factory=time.monotonic)
    asked: float = attrs.field(factory=time.monotonic)
    is_lost: bool = False
    state: JobState = attrs.field(default=JobState.RUNNING, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @property
    def feed(self) -> str:
        """The name of its feed."""
        return self.handler.feed

    @property
    def attempt(self) -> int:
        """The number of this attempt; the first is 1."""
        return self.claim.cancelled + 1

    @property
    def fields(self) -> dict[str, Any]:
        """What each record of a log says about it."""
        return {"feed": self.feed, "id": self.claim.id, "attempt": self.attempt}

    def take(self) -> bool:
        """RUNNING to TAKEN; False: another one was first, and has it."""
        with self._lock:
            if self.state is not JobState.RUNNING:
                return False
            self.state = JobState.TAKEN
            return True

    def end(self) -> None:
        """TAKEN to ENDED."""
        self.state = JobState.ENDED

    def log(
        self,
        level: int,
        event: str,
        text: str,
        *args: object,
        exc_info: Any = None,
        **fields: Any,
    ) -> None:
        """Log an event of the job. The text begins with its id and its feed."""
        extra = {**self.fields, "event": event, **fields}
        values = (shown(self.claim.id), self.feed, *args)
        logger.log(level, text, *values, exc_info=exc_info, extra=extra, stacklevel=2)
