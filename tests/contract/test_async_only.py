"""What only asyncio clients do: being cancelled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from conftest import World

from contract._async.helpers import until
from contract.holding import holding_proxy
from contract.peek import blocked
from thoonk import AsyncJob, AsyncQueue, AsyncThoonk, Empty, JobCounts
from thoonk.operations import QueueConfirm, Release

ROUNDS = 60


async def take(feed: AsyncQueue[str] | AsyncJob[str], timeout: float | None = None) -> str:
    """The next item, finished if it is a job."""
    if isinstance(feed, AsyncQueue):
        return await feed.get(timeout)
    claim = await feed.get(timeout)
    # Cancelling this would be the program's own affair.
    await asyncio.shield(claim.finish())
    return claim.item


@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_cancelling_a_get_loses_no_item(world: World, kind: str) -> None:
    chance = random.Random(kind)
    received: list[str] = []
    async with AsyncThoonk(backend=world.url) as thoonk, AsyncThoonk(backend=world.url) as other:
        feed: AsyncQueue[str] | AsyncJob[str] = await getattr(thoonk, kind)("f")
        elsewhere: AsyncQueue[str] | AsyncJob[str] = await getattr(other, kind)("f")
        for number in range(ROUNDS):
            getting = asyncio.create_task(feed.get())
            # Now and then before it waits, mostly while it does, and around the put.
            await asyncio.sleep(chance.choice([0, 0.0005, 0.003]))
            putting = asyncio.create_task(elsewhere.put(f"{number}"))
            await asyncio.sleep(chance.choice([0, 0, chance.uniform(0, 0.002)]))
            getting.cancel()
            try:
                taken = await getting
            except asyncio.CancelledError:
                await putting
                received.append(await take(feed, 5))
            else:
                await putting
                if isinstance(taken, str):
                    received.append(taken)
                else:
                    await taken.finish()
                    received.append(taken.item)
        with pytest.raises(Empty):
            await feed.get_nowait()
        assert blocked(world) == 0
        assert received == [f"{number}" for number in range(ROUNDS)]
        if isinstance(feed, AsyncJob):
            assert await feed.get_counts() == JobCounts(0, 0, 0, finished=ROUNDS)


@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_cancelling_some_of_many_takers_loses_no_item(world: World, kind: str) -> None:
    chance = random.Random(kind)
    received: Counter[str] = Counter()
    items = [f"{number}" for number in range(100)]
    async with AsyncThoonk(backend=world.url) as thoonk, AsyncThoonk(backend=world.url) as other:
        feed: AsyncQueue[str] | AsyncJob[str] = await getattr(thoonk, kind)("f")
        elsewhere: AsyncQueue[str] | AsyncJob[str] = await getattr(other, kind)("f")

        async def work(own: AsyncQueue[str] | AsyncJob[str]) -> None:
            while received.total() < len(items):
                getting = asyncio.create_task(own.get())
                done, _ = await asyncio.wait([getting], timeout=chance.uniform(0, 0.03))
                if not done:
                    getting.cancel()
                try:
                    taken = await getting
                except asyncio.CancelledError:
                    continue
                if isinstance(taken, str):
                    received[taken] += 1
                else:
                    await taken.finish()
                    received[taken.item] += 1

        workers = [asyncio.create_task(work(own)) for own in (feed, elsewhere) * 3]
        for item in items:
            await feed.put(item)
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await asyncio.gather(*workers)
    assert received == Counter(items)


async def test_a_cancelled_get_takes_nothing_later(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        queue = await thoonk.queue("q")
        for number in range(5):
            getting = asyncio.create_task(queue.get())
            await until(lambda: blocked(world) == 1)
            getting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await getting
            await queue.put(f"{number}")
            assert await queue.count() == 1
            assert await queue.get(timeout=5) == f"{number}"


async def test_a_claim_that_nobody_received_is_no_failure(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        job = await thoonk.job("j", {"max_failures": 1})
        for number in range(20):
            getting = asyncio.create_task(job.get())
            await until(lambda: blocked(world) == 1)
            id = await job.put(f"{number}")
            getting.cancel()
            try:
                claim = await getting
            except asyncio.CancelledError:
                claim = await job.get(timeout=5)
            assert (claim.id, claim.cancelled) == (id, 0)
            await claim.finish()


async def test_a_get_ended_by_asyncio_timeout_loses_no_item(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        queue = await thoonk.queue("q")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await queue.get()
        await queue.put("x")
        assert await queue.get(timeout=5) == "x"


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_an_item_whose_reply_is_under_way_goes_back(
    real_world: World, kind: str, waiting: bool
) -> None:
    assert real_world.server is not None
    with holding_proxy(real_world.server) as proxy:
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
                proxy.flow.clear()
                await elsewhere.put("x")
            else:
                await elsewhere.put("x")
                proxy.flow.clear()
                getting = asyncio.create_task(feed.get())
            await until(lambda: not real_world.raw.exists("feed.ids:f", "feed.reserved:f"))
            getting.cancel()
            await asyncio.sleep(0.01)
            getting.cancel()  # again: it must not give up putting back
            await asyncio.sleep(0.01)
            assert not getting.done()
            proxy.flow.set()
            with pytest.raises(asyncio.CancelledError):
                await getting
            assert await elsewhere.count() == 1
            assert await take(elsewhere, 5) == "x"


async def test_one_client_serves_many_tasks_at_once(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        feed = await thoonk.feed("f")
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(feed.publish("x", id=f"{number}"))
        assert sorted(await feed.get_ids(), key=int) == [f"{number}" for number in range(200)]


async def test_cancelling_a_subscriber_loses_no_later_notice(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            for number in range(20):
                getting = asyncio.create_task(notices.get())
                await asyncio.sleep(0.001)
                getting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await getting
                await feed.publish("x", id=f"{number}")
                assert (await notices.get(5)).id == f"{number}"  # type: ignore[union-attr]


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
