"""How long a consumer waits, and how often it looks for what has expired."""

from __future__ import annotations

import random
import time

from thoonk.exceptions import Empty
from thoonk.names import check_timeout
from thoonk.operations import Batch

RECOVER_EVERY = 0.1
"""Seconds between two takes of a busy consumer that look for what expired."""

LONGEST_WAIT = 10.0
"""Seconds after which a blocked consumer looks for itself, whatever it has heard."""


class Deadline:
    """The end of a call's patience."""

    def __init__(self, timeout: float | None) -> None:
        """``timeout`` in seconds; None and 0: no end. Raises as `check_timeout`."""
        seconds = check_timeout(timeout)
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left, None when there is no end.

        Raises:
            Empty: none are left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise Empty("nothing came within the timeout")
        return left

    def next_wait(self, batch: Batch) -> float:
        """Seconds to wait after a take that found nothing.

        Raises:
            Empty: the time is over.
        """
        left = self.remaining()
        wait = LONGEST_WAIT if left is None else min(left, LONGEST_WAIT)
        if batch.retry_after is not None:
            # A little apart from each other, or all consumers would look in the same instant.
            wait = min(wait, batch.retry_after + random.uniform(0.001, 0.02))  # noqa: S311
        return wait


class Throttle:
    """Which takes of one consumer also bring back what has expired: one in a tenth of a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether the take that is made now brings it back."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + RECOVER_EVERY
        return True
