"""A place where jobs are done one after another, by a thread. The twin is written by hand, too."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterable
from typing import Any

from thoonk.concurrency.forks import OneProcess
from thoonk.worker import handlers
from thoonk.worker._sync.source import Source
from thoonk.worker.running_job import JobState, RunningJob


class Slot:
    """One loop over claims, and the job that it has in hand.

    Attributes:
        source: where it gets its jobs from.
        job: the job that its handler was called for last.
        idle_in: the executor's round in which it has found nothing to do; None: it has a job.
        is_given_up: whether it is left to a handler that does not end.
    """

    can_interrupt = False
    is_given_up = False

    def __init__(self, source: Source) -> None:
        self.source = source
        self.job: RunningJob[Any] | None = None
        self.idle_in: int | None = None
        self._thread = 0

    @property
    def held(self) -> RunningJob[Any] | None:
        """The job in hand: its handler works on it, and nobody has taken it out."""
        job = self.job
        return job if job is not None and job.state is JobState.RUNNING else None

    def take(self) -> RunningJob[Any] | None:
        """Take the job in hand out of the slot, to decide how it ends; once."""
        job = self.job
        return job if job is not None and job.take() else None

    def call(self, job: RunningJob[Any]) -> Any:
        """What the handler returns. A thread cannot be ended: see `is_overdue`."""
        self._thread = threading.get_ident()
        with OneProcess():
            return job.handler.call(job.claim)

    @staticmethod
    def is_failure(error: BaseException) -> bool:  # noqa: ARG004 - as of the twin
        """Whether what `call` raised is the job's failure: a thread is not ended otherwise."""
        return True

    @property
    def is_overdue(self) -> bool:
        """Whether its handler does not end, though its time is over."""
        job = self.held
        limit = None if job is None else job.handler.time_limit
        return limit is not None and job is not None and time.monotonic() - job.began > limit

    def interrupt(self) -> None:
        """End the handler: not with threads."""

    def where(self) -> str:
        """Where its thread is in the handler, as a traceback."""
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented
        stack = traceback.extract_stack(frame)
        ours = [index for index, line in enumerate(stack) if line.filename == handlers.__file__]
        return "".join(traceback.format_list(stack[max(ours, default=-1) + 1 :]))

    def leave(self) -> None:
        """The loop is over, and has told how its jobs ended."""

    def clear(self) -> None:
        """Give back what the slot holds, though its handler has not ended."""
        self.source.close()


class Standstill:
    """Of threads, one does not keep the others from going on."""

    def __init__(self, every: float) -> None:
        """Nothing is looked at."""

    def look(self, slots: Iterable[Slot]) -> None:
        """There is nothing to see."""
