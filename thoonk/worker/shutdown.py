"""How far a worker is shut down, and why it ended."""

from __future__ import annotations

import enum


class Shutdown(enum.IntEnum):
    """What is asked of a worker. A higher level overrides a lower one."""

    NONE = 0
    """Continue."""
    WARM = 1
    """Take no more jobs, and finish those under way."""
    COLD = 2
    """Give back the jobs under way at once."""


class StopReason(enum.Enum):
    """Why the executor of a process has ended."""

    REQUESTED = enum.auto()
    """It was shut down."""
    DONE = enum.auto()
    """All jobs are done, and that was what was wanted (``burst``)."""
    RECYCLE = enum.auto()
    """The process has done ``max_jobs`` jobs, or has one that it cannot end: replace it."""
