"""How many replicas must have a change before its call returns."""

from __future__ import annotations

from typing import Any

import attrs

from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.packing import pack
from thoonk.exceptions import InvalidType, InvalidValue, NotReplicated
from thoonk.names import check_timeout
from thoonk.operations import (
    JobExtend,
    JobNext,
    JobProgress,
    Operation,
    QueueConfirm,
    QueueReturn,
    Release,
    RemoveWorker,
    ReportWorker,
    TakeOperation,
)

MOST_REPLICAS = 100

# Lost with a master, these are made up for: a job is claimed again, a worker reports again.
_MADE_UP_FOR = (
    *(TakeOperation, JobExtend, JobProgress, QueueReturn, Release),
    *(ReportWorker, RemoveWorker),
)

TOUCH = pack(b"PUBLISH", b"feed.marker:replicated", b"")
"""What goes to all replicas, on a channel without subscribers. WAIT counts those that have what its
own connection has written, and a call that is repeated over another may write nothing more."""


@attrs.frozen
class Replication:
    """What a client wants of replicas.

    Attributes:
        replicas: how many must have a change; 0: calls do not wait for replicas.
        timeout: seconds for them to get it.
    """

    replicas: int = 0
    timeout: float = 1.0

    @classmethod
    def check(cls, replicas: object, timeout: object) -> Replication:
        """Check what a user wants.

        Raises:
            InvalidType: not a whole number, or not a number.
            InvalidValue: out of range.
        """
        if isinstance(replicas, bool) or not isinstance(replicas, int):
            raise InvalidType(f"wait_replicas must be an int, not {type(replicas).__name__}")
        if not 0 <= replicas <= MOST_REPLICAS:
            raise InvalidValue(f"wait_replicas must be 0 to {MOST_REPLICAS}, not {replicas}")
        seconds = check_timeout(timeout, "wait_timeout")
        if not seconds:
            # The server takes 0 for "forever".
            raise InvalidValue(f"wait_timeout must be more than 0 seconds, not {timeout!r}")
        return cls(replicas, seconds)

    def concerns(self, operation: Operation[Any], command: Command[Any]) -> bool:
        """Whether a change by this operation has to be on replicas."""
        if not (self.replicas and command.writes):
            return False
        if isinstance(operation, JobNext):
            return bool(operation.finished or operation.cancelled)
        return not isinstance(operation, _MADE_UP_FOR)

    @property
    def command(self) -> bytes:
        """What waits, packed. The reply is the number of replicas."""
        return pack(b"WAIT", self.replicas, max(1, round(self.timeout * 1000)))

    def shortfall(self, count: int, operation: Operation[Any], reason: str) -> NotReplicated | None:
        """What it means that so many replicas have it; None: there are enough."""
        if count >= self.replicas:
            return None
        return NotReplicated(
            f"{type(operation).__name__} was done, but only {count} of {self.replicas} replicas "
            f"confirmed it within {self.timeout:g} s{reason}; if the master is lost now, the "
            "change may be lost with it",
            confirmed=count,
            wanted=self.replicas,
        )

    @staticmethod
    def hands_over(operation: Operation[Any]) -> bool:
        """Whether its answer has something that an error would keep from the caller."""
        return isinstance(operation, JobNext | QueueConfirm)
