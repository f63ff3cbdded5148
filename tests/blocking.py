"""The async client with the manners of the sync one, so that one test serves both."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from thoonk import AsyncClaim, AsyncCollection, AsyncThoonk


class Blocking:
    """Passes calls on to an async object, and runs the loop until they are answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Any) -> None:
        self._loop = loop
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            async def awaited() -> Any:
                answer = value(*arguments, **keywords)
                return await answer if inspect.isawaitable(answer) else answer

            answer = self._loop.run_until_complete(awaited())
            if isinstance(answer, AsyncClaim | AsyncCollection):
                return Blocking(self._loop, answer)
            return answer

        return call


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
