"""A place where jobs are done one after another, by a task. The twin is written by hand, too."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import threading
import time
import traceback
from asyncio import runners
from collections.abc import Iterable
from typing import Any

from thoonk.concurrency._async import wait_event
from thoonk.concurrency.forks import Steps
from thoonk.names import shown
from thoonk.worker._async.source import AsyncSource
from thoonk.worker.outcomes import TimeLimitExceeded
from thoonk.worker.running_job import JobState, RunningJob

logger = logging.getLogger("thoonk.worker")

STANDSTILL = 1.0
"""Seconds without a step of other tasks that are worth a log line."""

CLEANUP_TIME = 3.0
"""Seconds that a handler has to end after it was cancelled."""


def is_ctrl_c(error: KeyboardInterrupt) -> bool:
    """Whether a signal has raised it, and not the handler.

    That happens where the caller handles signals, in ``serve``.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return True
    *_, last = traceback.walk_tb(error.__traceback__)
    return last[0].f_code.co_filename == runners.__file__


class AsyncSlot:
    """One loop over claims, and the job that it has in hand.

    Attributes:
        source: where it gets its jobs from.
        job: the job that its handler was called for last.
        idle_in: the executor's round in which it has found nothing to do; None: it has a job.
        can_interrupt: whether a handler can be ended from outside.
        is_given_up: whether it is left to a handler that does not end.
        was_blocking: whether its handler has blocked the event loop.
        last: the id of the job that its handler has done last.
        ended_at: when that was, by the monotonic clock.
    """

    can_interrupt = True
    is_given_up = False
    was_blocking = False
    last = ""
    ended_at = 0.0

    def __init__(self, source: AsyncSource) -> None:
        self.source = source
        self.job: RunningJob[Any] | None = None
        self.idle_in: int | None = None
        self._task: asyncio.Task[Any] | None = None
        self._steps: Steps[Any] | None = None
        self._timeout: asyncio.Timeout | None = None
        self._left = asyncio.Event()

    @property
    def held(self) -> RunningJob[Any] | None:
        """The job in hand: its handler works on it, and it has not been taken out."""
        job = self.job
        return job if job is not None and job.state is JobState.RUNNING else None

    def take(self) -> RunningJob[Any] | None:
        """Take the current job out of the slot, to decide how it ends; once."""
        job = self.job
        return job if job is not None and job.take() else None

    async def call(self, job: RunningJob[Any]) -> Any:
        """What the handler returns.

        Raises:
            TimeLimitExceeded: it was cancelled after its ``time_limit``.
        """
        self._task = asyncio.current_task()
        limit = job.handler.time_limit
        note = functools.partial(self._blocked, job)
        self._steps = steps = Steps(job.handler.call(job.claim), STANDSTILL, note)
        try:
            async with asyncio.timeout(limit) as timeout:
                self._timeout = timeout
                return await steps
        except TimeoutError as error:
            if limit is not None and timeout.expired():
                # With where it was cancelled.
                where = error.__cause__.__traceback__ if error.__cause__ else None
                raise TimeLimitExceeded(limit).with_traceback(where) from None
            raise
        except asyncio.CancelledError as error:
            if self.held and not (self._task and self._task.cancelling()):
                # The handler awaited something that was cancelled; this task was not.
                raise RuntimeError("the handler was cancelled from within") from error
            if self.held:
                raise
            return None
        except GeneratorExit as error:
            if not self._is_running():
                raise  # the loop is closed, and with it all that is left in it
            raise RuntimeError("the handler raised GeneratorExit") from error
        finally:
            self.last, self.ended_at = job.claim.id, time.monotonic()
            if not self.held and self._task is not None:
                self._task.uncancel()

    def _is_running(self) -> bool:
        try:
            return asyncio.current_task() is self._task
        except RuntimeError:  # no loop runs
            return False

    @staticmethod
    def is_failure(error: BaseException) -> bool:
        """Whether what `call` raised is the job's failure, and not the end of this task."""
        if isinstance(error, KeyboardInterrupt):
            return not is_ctrl_c(error)
        return not isinstance(error, asyncio.CancelledError | GeneratorExit)

    def interrupt(self) -> None:
        """End the handler, whose job was taken out of the slot."""
        if self._task is not None:
            self._task.cancel()

    @property
    def is_overdue(self) -> bool:
        """Whether its handler does not end, though it was cancelled after its ``time_limit``."""
        if not self.held or self._steps is None or self._timeout is None:
            return False
        at = self._steps.cancelled_at
        return self._timeout.expired() and at is not None and time.monotonic() - at > CLEANUP_TIME

    def where(self) -> str:
        """Where its task is in the handler, as a traceback."""
        frames = []
        each: Any = self._steps and self._steps.awaitable
        while each is not None:
            # Of a coroutine, or of a generator that is awaited.
            frame = getattr(each, "cr_frame", None) or getattr(each, "gi_frame", None)
            if frame is None:
                break
            frames.append((frame, frame.f_lineno))
            each = getattr(each, "cr_await", None) or getattr(each, "gi_yieldfrom", None)
        return "".join(traceback.StackSummary.extract(iter(frames)).format())

    def _blocked(self, job: RunningJob[Any], seconds: float) -> None:
        self.was_blocking = True
        logger.warning(
            "Event loop blocked for %.1f s by job %s of %r; other jobs and heartbeats were blocked",
            seconds,
            shown(job.claim.id),
            job.feed,
            extra={
                "event": "loop_blocked",
                "feed": job.feed,
                "id": job.claim.id,
                "seconds": seconds,
            },
        )

    def leave(self) -> None:
        """The loop is over, and has reported how its jobs ended."""
        self._left.set()

    async def clear(self) -> None:
        """Give back what the slot holds, though its handler has perhaps not ended."""
        # One that was given up has had its time.
        seconds = 0.0 if self.is_given_up else CLEANUP_TIME
        if not await wait_event(self._left, seconds):
            await self.source.close()


class Standstill:
    """Detects that the event loop was blocked, by any code."""

    def __init__(self, every: float) -> None:
        """Seconds between two checks."""
        self._every = every
        self._last = time.monotonic()

    def look(self, slots: Iterable[AsyncSlot]) -> None:
        """Log it, unless a handler has caused it."""
        now = time.monotonic()
        before, self._last = self._last, now
        seconds = now - before - self._every
        slots = [*slots]
        is_known = any(slot.was_blocking for slot in slots)
        for slot in slots:
            slot.was_blocking = False
        if seconds < STANDSTILL or is_known:
            return
        jobs = [job.claim.id for slot in slots if (job := slot.held)]
        jobs += [slot.last for slot in slots if slot.ended_at >= before]
        logger.warning(
            "Event loop blocked for %.1f s; jobs under way: %s",
            seconds,
            ", ".join(map(shown, jobs[:10])) or "none",
            extra={"event": "loop_blocked", "seconds": seconds, "ids": jobs},
        )
