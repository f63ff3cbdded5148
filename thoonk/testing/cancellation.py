"""Being cancelled, which only asyncio clients are."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, TypeAlias

import pytest

from thoonk import (
    AsyncClaim,
    AsyncJob,
    AsyncPartitionedJob,
    AsyncPartitionedQueue,
    AsyncQueue,
    AsyncThoonk,
    Empty,
    JobCounts,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import until

ROUNDS = 60


KINDS = ("queue", "job", "partitioned_queue", "partitioned_job")

Takeable: TypeAlias = (
    AsyncQueue[str] | AsyncJob[str] | AsyncPartitionedQueue[str] | AsyncPartitionedJob[str]
)


async def opened(thoonk: AsyncThoonk, kind: str) -> Takeable:
    """A feed of that kind."""
    options = {"partitions": 3} if kind.startswith("partitioned") else {}
    feed: Takeable = await getattr(thoonk, kind)("f", **options)
    return feed


async def take(feed: Takeable, timeout: float | None = None) -> str:
    """The next item, finished if it is a job."""
    taken = await feed.get(timeout)
    if isinstance(taken, str):
        return taken
    # Cancelling this would be the program's own affair.
    await asyncio.shield(taken.finish())
    return taken.item


class AsyncCancellationContract(AsyncContract):
    """That a cancelled task loses nothing, at whatever moment it happens."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_cancelling_a_get_loses_no_item(self, kind: str) -> None:
        chance = random.Random(kind)
        received: list[str] = []
        async with self.client() as thoonk, self.client() as other:
            feed = await opened(thoonk, kind)
            elsewhere = await opened(other, kind)
            for number in range(ROUNDS):
                getting = asyncio.create_task(feed.get())
                # Now and then before it waits, mostly while it does, and around the put.
                await asyncio.sleep(chance.choice([0, 0.0005, 0.003]))
                putting = asyncio.create_task(elsewhere.put(f"{number}"))
                await asyncio.sleep(chance.choice([0, 0, chance.uniform(0, 0.002)]))
                getting.cancel()
                try:
                    taken: Any = await getting
                except asyncio.CancelledError:
                    await putting
                    received.append(await take(feed, 5))
                else:
                    await putting
                    if isinstance(taken, AsyncClaim):
                        await taken.finish()
                        received.append(taken.item)
                    else:
                        received.append(taken)
            with pytest.raises(Empty):
                await feed.get_nowait()
            assert self.blocked() == 0
            assert received == [f"{number}" for number in range(ROUNDS)]
            if isinstance(feed, AsyncJob | AsyncPartitionedJob):
                assert await feed.get_counts() == JobCounts(0, 0, 0, finished=ROUNDS)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_cancelling_some_of_many_consumers_loses_no_item(self, kind: str) -> None:
        chance = random.Random(kind)
        received: Counter[str] = Counter()
        items = [f"{number}" for number in range(100)]
        async with self.client() as thoonk, self.client() as other:
            feed = await opened(thoonk, kind)
            elsewhere = await opened(other, kind)

            async def work(own: Takeable) -> None:
                while received.total() < len(items):
                    getting = asyncio.create_task(own.get())
                    done, _ = await asyncio.wait([getting], timeout=chance.uniform(0, 0.03))
                    if not done:
                        getting.cancel()
                    try:
                        taken: Any = await getting
                    except asyncio.CancelledError:
                        continue
                    if isinstance(taken, AsyncClaim):
                        await taken.finish()
                        received[taken.item] += 1
                    else:
                        received[taken] += 1

            workers = [asyncio.create_task(work(own)) for own in (feed, elsewhere) * 3]
            for item in items:
                await feed.put(item)
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                await asyncio.gather(*workers)
        assert received == Counter(items)

    async def test_a_cancelled_get_takes_nothing_later(self) -> None:
        async with self.client() as thoonk:
            queue = await thoonk.queue("q")
            for number in range(5):
                getting = asyncio.create_task(queue.get())
                await until(lambda: self.blocked() == 1)
                getting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await getting
                await queue.put(f"{number}")
                assert await queue.count() == 1
                assert await queue.get(timeout=5) == f"{number}"

    async def test_a_claim_that_nobody_received_is_no_failure(self) -> None:
        async with self.client() as thoonk:
            job = await thoonk.job("j", {"max_failures": 1})
            for number in range(20):
                getting = asyncio.create_task(job.get())
                await until(lambda: self.blocked() == 1)
                id = await job.put(f"{number}")
                getting.cancel()
                try:
                    claim = await getting
                except asyncio.CancelledError:
                    claim = await job.get(timeout=5)
                assert (claim.id, claim.cancelled) == (id, 0)
                await claim.finish()

    async def test_a_get_ended_by_asyncio_timeout_loses_no_item(self) -> None:
        async with self.client() as thoonk:
            queue = await thoonk.queue("q")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await queue.get()
            await queue.put("x")
            assert await queue.get(timeout=5) == "x"

    async def test_one_client_serves_many_tasks_at_once(self) -> None:
        async with self.client() as thoonk:
            feed = await thoonk.feed("f")
            async with asyncio.TaskGroup() as group:
                for number in range(200):
                    group.create_task(feed.publish("x", id=f"{number}"))
            assert sorted(await feed.get_ids(), key=int) == [f"{number}" for number in range(200)]

    async def test_cancelling_a_subscriber_loses_no_later_notice(self) -> None:
        async with self.client() as thoonk:
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
