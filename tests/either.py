"""What lets one test speak to clients for threads and for asyncio."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any


async def settle(value: Any) -> Any:
    """The answer to a call, awaited if it has to be."""
    return await value if inspect.isawaitable(value) else value


@contextlib.asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a context manager of either kind."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value
