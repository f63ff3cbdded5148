"""The async client with the manners of the sync one, so that one test serves both."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from thoonk import AsyncClaim, AsyncClaims, AsyncCollection, AsyncThoonk

_WRAPPED = (AsyncClaim, AsyncClaims, AsyncCollection, AsyncIterator)


class Blocking:
    """Passes calls on to an async object, and runs the loop until they are answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Any) -> None:
        self._loop = loop
        self._target = target

    def _run(self, call: Any, *arguments: Any, **keywords: Any) -> Any:
        async def awaited() -> Any:
            answer = call(*arguments, **keywords)
            return await answer if inspect.isawaitable(answer) else answer

        answer = self._loop.run_until_complete(awaited())
        return Blocking(self._loop, answer) if isinstance(answer, _WRAPPED) else answer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._run(value, *arguments, **keywords)

        return call

    def __enter__(self) -> Self:
        self._run(self._target.__aenter__)
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._target.__aexit__, *error)

    def __iter__(self) -> Iterator[Any]:
        iterator = aiter(self._target)
        while (value := self._run(anext, iterator, self)) is not self:
            yield value


@contextlib.contextmanager
def blocking_client(**arguments: Any) -> Iterator[Blocking]:
    """An async client, made and closed on a loop of its own."""
    loop = asyncio.new_event_loop()
    client = Blocking(loop, AsyncThoonk(**arguments))
    try:
        client.open()
        yield client
    finally:
        client.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
