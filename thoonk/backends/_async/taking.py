"""Blocking takes where the process itself wakes those that wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

import attrs

from thoonk.backends.waiters import Waiters
from thoonk.concurrency._async import Event, caller, setter_of, sleep, wait_event
from thoonk.operations import Batch, TakeOperation

ENDS_WITHIN = 5.0
"""Seconds for which closing waits for blocked callers, at most."""


@attrs.define(eq=False)
class _Blocked:
    """A take that waits: what ends it, and the thread or task."""

    event: Event
    caller: object = attrs.field(factory=caller)
    pid: int = attrs.field(factory=os.getpid)


class AsyncBlockedTakes:
    """The takes of one backend that wait."""

    def __init__(
        self, waiters: Waiters, execute: Callable[[TakeOperation], Coroutine[Any, Any, Batch]]
    ) -> None:
        """``waiters`` is where consumers queue up, which backends may share.

        ``execute`` takes what there is. It raises `Closed` once the backend is closed.
        """
        self._waiters = waiters
        self._execute = execute
        self._blocked: dict[str, _Blocked] = {}

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Take, waiting until there is something, for ``timeout`` seconds at most."""
        event = Event()
        wake = setter_of(event)
        self._blocked[operation.token] = _Blocked(event)
        called = False
        self._waiters.enter(operation.feed, wake)
        try:
            try:
                # An item may have arrived before this consumer was registered. Likewise, a
                # close either wakes this consumer or is noticed here.
                batch = await self._execute(operation)
                if not batch.entries:
                    if batch.retry_after is not None:
                        # A job may have been scheduled that the caller does not know about.
                        timeout = min(timeout, batch.retry_after)
                    await wait_event(event, timeout)
            finally:
                called = self._waiters.leave(operation.feed, wake)
            if not batch.entries:
                batch = await self._execute(operation)
                called = False
        finally:
            del self._blocked[operation.token]
            if called:
                self._waiters.call(operation.feed, 1)
        return batch

    def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        blocked = self._blocked.get(operation.token)
        if blocked is not None:
            blocked.event.set()

    async def end(self) -> None:
        """End all waits, after which nothing is taken: the backend is closed already."""
        for blocked in list(self._blocked.values()):
            blocked.event.set()
        # One that looks just now is waited for.
        deadline = time.monotonic() + ENDS_WITHIN
        while self._others_wait() and time.monotonic() < deadline:
            await sleep(0.001)

    def _others_wait(self) -> bool:
        # In a forked child, those that wait are its parent's. A signal handler that closes may
        # have interrupted a wait of its own thread.
        return any(
            blocked.pid == os.getpid() and blocked.caller != caller()
            for blocked in list(self._blocked.values())
        )
