"""How many jobs a loop claims at once."""

from __future__ import annotations

QUICK = 0.005
"""Seconds. Only jobs that take less, on average, are claimed several at a time."""

SLOW = 0.1
"""Seconds. After a job that took more, jobs are claimed one by one again."""

STREAK = 20
"""How many jobs in a row are measured before more are claimed at once."""

LEVELS = (1, 8, 64)


BUDGET = 0.02
"""Seconds of work that are claimed at once of one of several feeds: others may be urgent."""


class TimeBudget:
    """Keeps what is claimed at once to a few milliseconds of work.

    Attributes:
        most: how many jobs that is.
    """

    def __init__(self, seconds: float = BUDGET) -> None:
        self.most = LEVELS[-1]
        self._seconds = seconds

    def after(self, count: int, seconds: float) -> None:
        """So many were done in that time, from the asking for them on."""
        self.most = max(1, min(LEVELS[-1], int(self._seconds * count / max(seconds, 1e-6))))


class AdaptivePrefetch:
    """Claims in batches while jobs are quick, so that the round trips do not cost more.

    Attributes:
        prefetch: how many jobs to claim at once.
    """

    def __init__(self, prefetch: int | None) -> None:
        """With a number, it stays that number."""
        self.prefetch = prefetch or LEVELS[0]
        self._levels = () if prefetch else LEVELS
        self._seen = 0
        self._spent = 0.0

    def after(self, seconds: float) -> bool:
        """Take note how long a job took; whether ``prefetch`` has changed."""
        if not self._levels:
            return False
        before = self.prefetch
        self._seen += 1
        self._spent += seconds
        if seconds > SLOW:
            self.prefetch = self._levels[0]
            self._seen, self._spent = 0, 0.0
        elif self._seen >= STREAK:
            if self._spent < STREAK * QUICK:
                self.prefetch = next(
                    (level for level in self._levels if level > before), self._levels[-1]
                )
            else:
                self.prefetch = self._levels[0]
            self._seen, self._spent = 0, 0.0
        return self.prefetch != before
