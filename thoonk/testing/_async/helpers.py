"""What tests need to do several things at once, with tasks. Twin of the one in ``_sync``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Background:
    """A call that runs while the test does something else."""

    def __init__(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        async def run() -> Any:
            return await function(*args, **kwargs)

        self._task = asyncio.create_task(run())

    def is_done(self) -> bool:
        """Whether it has returned or raised."""
        return self._task.done()

    async def result(self, timeout: float = 10) -> Any:
        """What the call returned; raises what it raised."""
        async with asyncio.timeout(timeout):
            return await self._task


async def pause(seconds: float) -> None:
    """Let time pass, so that times differ."""
    await asyncio.sleep(seconds)


async def until(condition: Callable[[], Any], timeout: float = 10) -> Any:
    """Poll until the condition, a plain function, is true; return its value."""
    async with asyncio.timeout(timeout):
        while not (value := condition()):
            await asyncio.sleep(0.005)
        return value


async def becomes(
    expected: Any, function: Callable[..., Awaitable[Any]], *args: Any, timeout: float = 10
) -> None:
    """Call repeatedly until the answer is ``expected``."""
    answer: Any = None
    try:
        async with asyncio.timeout(timeout):
            while (answer := await function(*args)) != expected:
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise TimeoutError(f"{answer!r} instead of {expected!r}") from None
