"""The kit of `thoonk.testing`, tried in every world and with a look behind the backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from conftest import World

from contract.peek import blocked, everything
from thoonk import AsyncThoonk
from thoonk.backends import AsyncBackend, open_async_backend
from thoonk.testing import AsyncContract
from thoonk.testing.clock import rewind, rewind_workers


class AsyncWorlds(AsyncContract):
    """A contract class that stands behind this one runs in each world."""

    @pytest.fixture
    def open_async_backend(self, world: World) -> Callable[[], AsyncBackend]:
        self.world = world
        return lambda: open_async_backend(world.url)[0]

    def blocked(self) -> int:
        if self.world.server is None:
            return blocked(self.world)
        # Of the consumers of one client that wait for a feed, the first blocks for all.
        firsts = {(each, feed) for each in self._backends for feed in each.awaited}
        return super().blocked() if blocked(self.world) == len(firsts) else 0

    async def stored(self, thoonk: AsyncThoonk) -> Mapping[str, Any]:
        return {**await super().stored(thoonk), **everything(self.world)}

    async def pass_time(self, seconds: float) -> None:
        for name in self.world.raw.smembers("feeds"):
            rewind(self.world.raw, name.decode(), seconds)
        rewind_workers(self.world.raw, seconds)
