"""A backend that fails on demand."""

from __future__ import annotations

import contextlib
import time
from typing import TypeVar

from thoonk.backends import AsyncBackend, AsyncForwardingBackend, AsyncSubscription
from thoonk.concurrency._async import sleep
from thoonk.exceptions import Empty, OutcomeUnknown
from thoonk.notices import Gap, Notice
from thoonk.operations import Batch, Operation, TakeOperation
from thoonk.testing.faults import Faults

R = TypeVar("R")

GLANCE = 0.02
"""Seconds after which a subscriber checks whether its connection was cut."""


class AsyncFaulty(AsyncForwardingBackend):
    """Passes all calls on, unless a fault is switched on."""

    def __init__(self, backend: AsyncBackend, faults: Faults) -> None:
        super().__init__(backend)
        self._faults = faults

    def __repr__(self) -> str:
        return f"<faults on {self._backend!r}>"

    async def execute(self, operation: Operation[R]) -> R:
        self._faults.check()
        answer = await super().execute(operation)
        if self._faults.takes_reply():
            raise OutcomeUnknown("the test dropped the reply; the operation was done")
        return answer

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        self._faults.check()
        batch = await super().wait(operation, timeout)
        if self._faults.is_away:
            raise OutcomeUnknown("the test refuses connections")
        return batch

    async def listen(self, feed: str | None = None) -> AsyncFaultySubscription:
        self._faults.check()
        return AsyncFaultySubscription(await super().listen(feed), feed, self._faults)


class AsyncFaultySubscription:
    """Passes notices on, and loses some when its connection is cut."""

    def __init__(self, subscription: AsyncSubscription, feed: str | None, faults: Faults) -> None:
        self._subscription = subscription
        self._feed = feed
        self._faults = faults
        self._cuts = faults.cuts

    @property
    def marker(self) -> str:
        return self._subscription.marker

    async def get(self, timeout: float | None = None) -> Notice:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._faults.is_away:
                await sleep(GLANCE)
            elif self._cuts != self._faults.cuts:
                self._cuts = self._faults.cuts
                with contextlib.suppress(Empty):
                    while True:
                        await self._subscription.get(GLANCE)
                return Gap(self._feed or "")
            else:
                left = GLANCE if deadline is None else deadline - time.monotonic()
                with contextlib.suppress(Empty):
                    notice = await self._subscription.get(max(0.0, min(GLANCE, left)))
                    if self._cuts == self._faults.cuts:
                        return notice
            if deadline is not None and time.monotonic() >= deadline:
                raise Empty("no notice within the timeout")

    async def close(self) -> None:
        await self._subscription.close()
