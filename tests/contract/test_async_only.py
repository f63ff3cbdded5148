"""What only asyncio clients do: being cancelled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from conftest import World

from contract._async.worlds import AsyncWorlds
from contract.peek import blocked
from thoonk import AccessDenied, AsyncQueue, AsyncThoonk, Empty, WrongEventLoop
from thoonk.operations import QueueConfirm, QueueTake, Release
from thoonk.testing._async.helpers import until
from thoonk.testing.cancellation import AsyncCancellationContract, take
from thoonk.testing.proxy import between


def test_a_client_in_a_second_event_loop_is_told_so_and_does_nothing(world: World) -> None:
    client = AsyncThoonk(backend=world.url)

    async def first() -> AsyncQueue[str]:
        queue = await client.queue("q")
        with pytest.raises(Empty):
            await queue.get(timeout=0.01)
        return queue

    async def second(queue: AsyncQueue[str]) -> None:
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: queue.put("x"),
            lambda: queue.get(timeout=1),
            lambda: client.backend.wait(QueueTake("q", "token", 1), 1.0),
            lambda: client.backend.listen("q"),
            client.close,
        ]
        for attempt in attempts:
            with pytest.raises(WrongEventLoop, match="another event loop"):
                await attempt()

    async def both() -> None:
        queue = await first()
        # A loop of another thread, while the first still runs.
        await asyncio.to_thread(asyncio.run, second(queue))
        assert await queue.count() == 0
        await client.close()

    asyncio.run(both())


def test_a_client_under_trio_is_told_what_it_needs(world: World) -> None:
    async def main() -> None:
        with pytest.raises(WrongEventLoop, match="asyncio"):
            await AsyncThoonk(backend=world.url).queue("q")

    trio.run(main)


class TestCancellation(AsyncWorlds, AsyncCancellationContract):
    pass


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_an_item_whose_reply_is_under_way_goes_back(
    real_world: World, kind: str, waiting: bool
) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with (
            AsyncThoonk(backend=real_world.url) as other,
            AsyncThoonk("127.0.0.1", proxy.port) as thoonk,
        ):
            feed = await getattr(thoonk, kind)("f")
            elsewhere = await getattr(other, kind)("f")
            with pytest.raises(Empty):
                await feed.get(timeout=0.01)  # connections are open, scripts loaded
            if waiting:
                getting = asyncio.create_task(feed.get())
                await until(lambda: blocked(real_world) == 1)
                proxy.hold_replies()
                await elsewhere.put("x")
            else:
                await elsewhere.put("x")
                proxy.hold_replies()
                getting = asyncio.create_task(feed.get())
            await until(lambda: not real_world.raw.exists("feed.ids:f", "feed.reserved:f"))
            getting.cancel()
            await asyncio.sleep(0.01)
            getting.cancel()  # again: it must not give up putting back
            await asyncio.sleep(0.01)
            assert not getting.done()
            proxy.thaw()
            with pytest.raises(asyncio.CancelledError):
                await getting
            assert await elsewhere.count() == 1
            assert await take(elsewhere, 5) == "x"


async def test_a_cancelled_get_gives_nothing_back_that_is_another_s(real_world: World) -> None:
    """Its take has run out, another has taken and confirmed the item, then it is cancelled."""
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        queue = await thoonk.queue("q")
        await queue.put("item")
        execute = queue._execute
        confirming, go_on = asyncio.Event(), asyncio.Event()

        async def slow(operation: Any) -> Any:
            if isinstance(operation, QueueConfirm):
                confirming.set()
                await go_on.wait()
            return await execute(operation)

        queue._execute = slow
        get = asyncio.create_task(queue.get())
        await confirming.wait()
        # As if ten seconds had passed.
        (token,) = real_world.raw.hkeys("feed.tokens:q")
        await thoonk.backend.execute(Release("q", token.decode()))
        other = await thoonk.queue("q")
        assert await other.get(timeout=5) == "item"
        get.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await get
        assert await other.count() == 0


async def test_a_cancelled_subscribe_leaves_no_connection_open(
    world: World,
) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        backend = client.backend
        await client.queue("q")
        for turns in range(60):
            task = asyncio.ensure_future(backend.listen())
            for _ in range(turns):
                # So that an answer of the server can come in between.
                await asyncio.sleep(0.0002)
            task.cancel()
            (subscription,) = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(subscription, BaseException):
                await subscription.close()
        with pytest.MonkeyPatch.context() as patch:

            async def denied(operation: object) -> object:
                raise AccessDenied("not for you")

            patch.setattr(backend._to_all, "_execute", denied)
            with pytest.raises(AccessDenied):
                await backend.listen()
    # A connection that nobody closes is a warning of redis-py's when it is collected.
    gc.collect()
