"""A place where jobs are done one after another, by a task. The twin is written by hand, too."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from asyncio import runners
from collections import deque
from typing import Any

from thoonk import AsyncClaims
from thoonk.concurrency._async import event_within
from thoonk.concurrency.forks import Steps
from thoonk.worker.charge import Charge
from thoonk.worker.handlers import Handler
from thoonk.worker.outcomes import TimeLimitExceeded
from thoonk.worker.pace import Pace

PATIENCE = 3.0
"""Seconds that a handler has to end after it was cancelled."""


def is_ctrl_c(error: KeyboardInterrupt) -> bool:
    """Whether a signal has raised it, and not the handler.

    That happens where signals are somebody else's affair, in ``serve``.
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
        claims: what is looped over.
        held: the job in hand. Whoever takes it out decides how it ends, and nobody else.
        idle_in: the crew's round in which it has found nothing to do; None: it has a job.
        prefetch: how many jobs were claimed at once.
        is_overdue: whether its handler does not end, though its time is over.
    """

    is_overdue = False

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.pace = Pace(handler.prefetch if handler.heartbeat else 1)
        self.claims: AsyncClaims[Any] | None = None
        self.held: deque[Charge[Any]] = deque()
        self.idle_in: int | None = None
        self._task: asyncio.Task[Any] | None = None
        self._steps: Steps[Any] | None = None
        self._left = asyncio.Event()
        self.prefetch = 1

    def take(self) -> Charge[Any] | None:
        """Take the job out of the slot, once."""
        try:
            return self.held.pop()
        except IndexError:
            return None

    async def call(self, charge: Charge[Any]) -> Any:
        """What the handler returns.

        Raises:
            TimeLimitExceeded: it was cancelled after its ``time_limit``.
        """
        self._task = asyncio.current_task()
        limit = self.handler.time_limit
        self._steps = steps = Steps(self.handler.call(charge.claim))
        try:
            async with asyncio.timeout(limit) as timeout:
                return await steps
        except TimeoutError:
            if limit is not None and timeout.expired():
                raise TimeLimitExceeded(limit) from None
            raise
        except asyncio.CancelledError as error:
            if self.held and not (self._task and self._task.cancelling()):
                # Of something that the handler waited for, and no order to this task.
                raise RuntimeError("the handler was cancelled from within") from error
            if self.held:
                raise
            return None
        except GeneratorExit as error:
            if steps.is_closed:
                raise
            raise RuntimeError("the handler raised GeneratorExit") from error
        finally:
            if not self.held and self._task is not None:
                self._task.uncancel()

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

    def where(self) -> str:
        """Where its task is. Not needed: one that is overdue has been cancelled."""
        return ""

    def leave(self) -> None:
        """The loop is over, and has told how its jobs ended."""
        self._left.set()

    async def clear(self) -> None:
        """Give back what the slot holds, though its handler has perhaps not ended."""
        if not await event_within(self._left, PATIENCE) and self.claims is not None:
            await self.claims.close()
