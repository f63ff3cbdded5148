"""Waits at several feeds at once, and takes from the first that has something."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Sequence

from thoonk._async.taking import give_back, wait_for
from thoonk.backends import AsyncBackend, AsyncInterruptible
from thoonk.concurrency._async import Background, Bell, shielded
from thoonk.exceptions import Empty, ThoonkError
from thoonk.operations import Batch, TakeOperation
from thoonk.waiting import Deadline

INTERRUPT_EVERY = 0.02
"""Seconds until a wait is interrupted again: perhaps it had not begun."""

ENDS_WITHIN = 1.0
"""Seconds that waits at other feeds get to end. Later ones end by themselves."""


async def take_any(
    backend: AsyncBackend, empty: Sequence[tuple[TakeOperation, Batch]], deadline: Deadline
) -> tuple[TakeOperation, Batch]:
    """Wait until one of several takes finds something. What others find is given back.

    Args:
        empty: takes that have found nothing, with the answers.
        deadline: the end of the wait.

    Raises:
        Empty: nothing came in time.
        ThoonkError: a feed cannot be waited at.
    """
    return await _AsyncWaits(backend, deadline).first_of(empty)


class _AsyncWaits:
    """One wait at each feed, of which one may win."""

    def __init__(self, backend: AsyncBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline
        # No lock of asyncio: it is held for a few steps, in which nothing is waited for.
        self._lock = threading.Lock()
        self._changed = Bell()
        self._is_over = False
        self._won: tuple[TakeOperation, Batch] | None = None
        self._waiting: set[TakeOperation] = set()
        self._errors: list[BaseException] = []
        self._running: list[Background] = []

    async def first_of(
        self, empty: Sequence[tuple[TakeOperation, Batch]]
    ) -> tuple[TakeOperation, Batch]:
        try:
            for operation, answer in empty:
                wait = functools.partial(self._wait, operation, answer)
                self._running.append(Background(wait, f"thoonk-wait-{operation.feed}"))
            while self._won is None and not self._errors:
                await self._changed.wait(None)
            await self._end()
        except BaseException:
            await shielded(self._give_up)
            raise
        if self._won is not None:
            return self._won
        # One that waits for the whole time says more than one that only finds nothing.
        raise next((one for one in self._errors if not isinstance(one, Empty)), self._errors[0])

    async def _wait(self, operation: TakeOperation, answer: Batch) -> None:
        try:
            # Not before: an interrupt could come before there is a wait that ends.
            self._waiting.add(operation)
            batch = await wait_for(
                self._backend, operation, self._deadline, answer, lambda: self._is_over
            )
            with self._lock:
                has_won = bool(batch.entries) and self._won is None and not self._is_over
                if has_won:
                    self._won = operation, batch
            if batch.entries and not has_won:
                execute = self._backend.execute
                await shielded(give_back, execute, operation.feed, operation.token)
        except BaseException as error:
            self._errors.append(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._waiting.discard(operation)
            self._changed.ring()

    async def _give_up(self) -> None:
        """The caller does not want anything any more."""
        with self._lock:
            self._is_over = True
            won, self._won = self._won, None
        if won is not None:
            await give_back(self._backend.execute, won[0].feed, won[0].token)
        await self._end()

    async def _end(self) -> None:
        """End the other waits. One that cannot be ended in time gives back what it takes."""
        with self._lock:
            self._is_over = True
        if self._waiting and isinstance(self._backend, AsyncInterruptible):
            interrupt = functools.partial(self._interrupt, self._backend)
            await Background(interrupt, "thoonk-interrupt").join(ENDS_WITHIN)

    async def _interrupt(self, backend: AsyncInterruptible) -> None:
        while waiting := [*self._waiting]:
            for operation in waiting:
                with contextlib.suppress(ThoonkError):
                    await backend.interrupt(operation)
            await self._changed.wait(INTERRUPT_EVERY)
