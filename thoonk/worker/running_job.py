"""A job that a worker runs."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

import attrs

C = TypeVar("C")


@attrs.define(eq=False)
class RunningJob(Generic[C]):
    """A claim, and what the worker has to remember about it.

    Attributes:
        claim: the claim.
        began: when it was begun, by the monotonic clock.
        beaten: when its time began anew.
        is_lost: whether it is known to be somebody else's by now.
        due: when it is to be given back, if it waits for its next attempt.
    """

    claim: C
    began: float = attrs.field(factory=time.monotonic)
    beaten: float = attrs.field(factory=time.monotonic)
    is_lost: bool = False
    due: float = 0.0
