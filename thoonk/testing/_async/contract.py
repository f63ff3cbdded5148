"""What all contract classes for asyncio have in common. Twin of the one in ``_sync``."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

import pytest

from thoonk import AsyncThoonk
from thoonk.backends import AsyncBackend
from thoonk.testing._async.helpers import pause
from thoonk.testing._async.observed import AsyncObserved
from thoonk.testing._async.stored import read_all
from thoonk.testing.deviations import check_deviations, skip_deviation


def _on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test as a plain function: no plugin for asyncio is needed, and none gets in the way."""

    @functools.wraps(test)
    def run(self: AsyncContract, **arguments: Any) -> None:
        async def test_and_close() -> None:
            try:
                for value in arguments.values():
                    if isinstance(value, AsyncThoonk):
                        await value.open()
                await test(self, **arguments)
            finally:
                await self.close_all()

        asyncio.run(test_and_close())

    return run


class AsyncContract:
    """The base of the contract classes for asyncio: clients in one empty world.

    A subclass needs the fixture ``open_async_backend``: a plain function that opens a new backend
    each time it is called, always in the same empty world. The backends are closed at the end of
    the test.

    Attributes:
        deviations: names of tests that the backend deliberately does not pass, each with the
            reason. They are skipped.
    """

    deviations: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, value in list(vars(cls).items()):
            if name.startswith("test") and inspect.iscoroutinefunction(value):
                setattr(cls, name, _on_a_loop(value))
        check_deviations(cls, cls.deviations)

    @pytest.fixture(autouse=True)
    def _one_world(
        self, request: pytest.FixtureRequest, open_async_backend: Callable[[], AsyncBackend]
    ) -> None:
        skip_deviation(request, self.deviations)
        self._open = open_async_backend
        self._backends: list[AsyncObserved] = []
        self._clients: list[AsyncThoonk] = []

    def backend(self) -> AsyncObserved:
        """Another backend in the world of this test."""
        backend = AsyncObserved(self._open())
        self._backends.append(backend)
        return backend

    def client(self, *, listen: bool = False) -> AsyncThoonk:
        """Another client in the world of this test, with a backend of its own."""
        client = AsyncThoonk(backend=self.backend(), listen=listen)
        self._clients.append(client)
        return client

    @pytest.fixture
    def thoonk(self) -> AsyncThoonk:
        """A client."""
        return self.client()

    @pytest.fixture
    def other(self) -> AsyncThoonk:
        """A second client in the same world."""
        return self.client()

    @pytest.fixture
    def listening(self) -> AsyncThoonk:
        """A client that calls handlers."""
        return self.client(listen=True)

    def blocked(self) -> int:
        """How many consumers wait in a blocking ``get``. Override it if you know a better way."""
        return sum(backend.waiting for backend in self._backends)

    async def stored(self, thoonk: AsyncThoonk) -> Mapping[str, Any]:
        """Return everything in the world, to check that a call changes nothing.

        Override it if you can read more than the public operations do.
        """
        return await read_all(thoonk)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for the backend. Override it if you can set its clock."""
        await pause(seconds)

    async def close_all(self) -> None:
        """Close what the test opened."""
        for client in self._clients:
            await client.close()
        for backend in self._backends:
            await backend.close()
