"""The backend in memory: runs the scripts on a fake server, and waits by itself."""

from __future__ import annotations

from typing import Any, TypeVar

from thoonk.backends._async.taking import AsyncBlockedTakes
from thoonk.backends.memory.client import AsyncClient
from thoonk.backends.memory.world import World
from thoonk.backends.redis import AsyncRedisBackend, errors
from thoonk.backends.redis._async.server import AsyncServer
from thoonk.backends.redis.replication import Replication
from thoonk.backends.redis.scripts import load_for_fake
from thoonk.exceptions import ThoonkError
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncMemoryBackend(AsyncRedisBackend):
    """Feeds in memory. Backends that are given one `World` share what is in it."""

    _load = staticmethod(load_for_fake)

    def __init__(self, world: World | None = None) -> None:
        """Use ``world``, or a new one of its own."""
        self.world = world or World()
        super().__init__(client=AsyncClient(self.world.server))
        self._takes = AsyncBlockedTakes(self.world, self.execute)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {id(self.world):#x}>"

    def _server_of(self, pool: Any, longest: float | None) -> AsyncServer:
        # A fake server that is not connected does nothing.
        def cut_off(error: BaseException, _: object) -> ThoonkError:
            return errors.not_sent(error)

        return AsyncServer(pool, longest, keep=True, replication=Replication(), cut_off=cut_off)

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation, then wake who waits for what it left."""
        result = await super().execute(operation)
        self.world.call_for(operation)
        return result

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait for a wake-up, then take."""
        self._check_open()
        return await self._takes.wait(operation, timeout)

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        self._takes.interrupt(operation)

    async def close(self) -> None:
        """Wake blocked callers, end subscriptions. The world stays."""
        await super().close()
        await self._takes.end()
