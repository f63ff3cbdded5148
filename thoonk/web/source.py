"""The backend that the page shows, for asyncio, whatever the application was given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeVar

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends import AsyncBackend, Backend, Subscription, impatient, open_async_backend
from thoonk.exceptions import BackendUnavailable, InvalidType, ThoonkError
from thoonk.notices import Notice
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")

PATIENCE = 3.0
"""Seconds that a page waits for an answer before it says that the backend is away."""

AT_ONCE = 8
"""How many operations of a page are under way at once: each takes a connection."""

CONNECT_WITHIN, ANSWER_WITHIN = 0.5, 2.0
"""Seconds after which a server that was named by its URL counts as away."""


class _Threads:
    """A backend for threads, used from asyncio: each call runs in a thread."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return repr(self._backend)

    async def execute(self, operation: Operation[R]) -> R:
        return await asyncio.to_thread(self._backend.execute, operation)

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        return await asyncio.to_thread(self._backend.wait, operation, timeout)

    async def listen(self, feed: str | None = None) -> _ThreadSubscription:
        return _ThreadSubscription(await asyncio.to_thread(self._backend.listen, feed))

    async def close(self) -> None:
        """Leave the backend open: its owner closes it."""


class _ThreadSubscription:
    """A subscription for threads, used from asyncio."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    @property
    def marker(self) -> str:
        return self._subscription.marker

    async def get(self, timeout: float | None = None) -> Notice:
        return await asyncio.to_thread(self._subscription.get, timeout)

    async def close(self) -> None:
        await asyncio.to_thread(self._subscription.close)


class Source:
    """What pages read from and write to.

    Attributes:
        name: what the backend is, for people.
    """

    def __init__(self, target: AsyncThoonk | Thoonk | str) -> None:
        """``target``: a client, which its owner closes, or the URL of a backend.

        Raises:
            InvalidType: neither.
            InvalidValue, BackendNotInstalled: as the URL of `thoonk.AsyncThoonk`.
        """
        self._owns = False
        self._is_sync = False
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.backend: AsyncBackend
        if isinstance(target, AsyncThoonk):
            self.backend = target.backend
        elif isinstance(target, Thoonk):
            self.backend, self._is_sync = _Threads(target.backend), True
        elif isinstance(target, str):
            self.backend, self._owns = open_async_backend(
                target, **impatient(target, CONNECT_WITHIN, ANSWER_WITHIN)
            )
        else:
            raise InvalidType(
                "the page needs a Thoonk, an AsyncThoonk or the URL of a backend, "
                f"not {type(target).__name__}"
            )
        self.name = repr(self.backend).strip("<>").partition(" ")[2] or repr(self.backend)

    async def read(self, operation: Operation[R]) -> R:
        """What an operation that changes nothing answers.

        Raises:
            BackendUnavailable: there is no answer within a few seconds.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.backend.execute(operation)
        except TimeoutError as error:
            raise BackendUnavailable(f"no answer within {PATIENCE:.0f} seconds") from error

    async def read_all(self, operations: Iterable[Operation[R]]) -> list[R | ThoonkError]:
        """What operations that change nothing answer, some at once; errors in their places.

        Raises:
            BackendUnavailable: there is no answer within a few seconds.
        """

        async def one(operation: Operation[R]) -> R | ThoonkError:
            try:
                async with self._turns:
                    return await self.backend.execute(operation)
            except BackendUnavailable:
                raise
            except ThoonkError as error:
                return error

        async def each() -> list[R | ThoonkError]:
            return [await one(operation) for operation in operations]

        try:
            async with asyncio.timeout(PATIENCE):
                if self._is_sync:
                    return await each()
                return await asyncio.gather(*map(one, operations))
        except TimeoutError as error:
            raise BackendUnavailable(f"no answer within {PATIENCE:.0f} seconds") from error

    async def change(self, operation: Operation[R]) -> R:
        """Execute an operation that changes something, however long that takes."""
        return await self.backend.execute(operation)

    async def close(self) -> None:
        """Close the backend if it was opened here."""
        if self._owns:
            await self.backend.close()
