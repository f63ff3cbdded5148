"""What a worker is told to do: go on, stop, or stop at once."""

from __future__ import annotations

import enum


class Order(enum.IntEnum):
    """An order. A higher one overrides a lower one."""

    WORK = 0
    STOP = 1
    HURRY = 2


class Finale(enum.Enum):
    """Why the crew of a process has come to its end."""

    ORDERED = enum.auto()
    DONE = enum.auto()
    """All jobs are done, and that was what was wanted (``burst``)."""
    RENEW = enum.auto()
    """The process has done ``max_jobs`` jobs, or has one that it cannot end: replace it."""
