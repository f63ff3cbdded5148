"""What type checkers say about the asyncio client. Checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from thoonk import (
    BINARY,
    JSON,
    AnyNotice,
    AsyncClaim,
    AsyncFeed,
    AsyncFeedSubscription,
    AsyncJob,
    AsyncQueue,
    AsyncSortedFeed,
    AsyncThoonk,
    Edited,
    FeedConfig,
    FeedStats,
    JobCounts,
    JobResult,
    MaintenanceReport,
    Published,
    PutResult,
    Serializer,
)
from thoonk.backends import AsyncBackend


async def clients() -> None:
    assert_type(AsyncThoonk("localhost", 6379, 0, listen=True), AsyncThoonk)
    async with AsyncThoonk(backend="memory") as thoonk:
        assert_type(thoonk, AsyncThoonk)
        assert_type(thoonk.backend, AsyncBackend)
        assert_type(await thoonk.get_config("f"), FeedConfig)
        assert_type(await thoonk.get_feed_names(), set[str])
        assert_type(await thoonk.feed_exists("f"), bool)


async def feeds(thoonk: AsyncThoonk, floats: Serializer[float]) -> None:
    feed = await thoonk.feed("f", {"max_length": 50})
    assert_type(feed, AsyncFeed[str])
    assert_type(await feed.publish("item", id="i"), str)
    assert_type(await feed.get_item("i"), str | None)
    assert_type(await feed.get_all(), dict[str, str])
    assert_type(await feed.retract("i"), bool)
    assert_type(await feed.count(), int)
    async for id in feed:
        assert_type(id, str)
    assert_type(await thoonk.feed("f", serializer=BINARY), AsyncFeed[bytes])
    assert_type(await thoonk.feed("f", serializer="binary"), AsyncFeed[bytes])
    assert_type(await thoonk.feed("f", serializer=JSON), AsyncFeed[Any])
    assert_type(await thoonk.feed("f", serializer=floats), AsyncFeed[float])
    assert_type(await thoonk.list("s"), AsyncSortedFeed[str])
    assert_type(await (await thoonk.sorted_feed("s")).append("item"), str)


async def queues_and_jobs(thoonk: AsyncThoonk, either: str | None) -> None:
    queue = await thoonk.queue("q")
    assert_type(queue, AsyncQueue[str])
    assert_type(await queue.put("item", priority=queue.HIGH), str)
    assert_type(await queue.put("item", id=None), str)
    assert_type(await queue.put("item", id="i"), PutResult)
    assert_type(await queue.put("item", id=either), PutResult | str)
    letters = await thoonk.job("j")
    assert_type(await letters.put("job", delay=5), str)
    assert_type(await letters.put("job", id=None), str)
    assert_type(await letters.put("job", id="i", if_exists="replace", unique_for=60), PutResult)
    assert_type(await letters.put("job", id=either, delay=5), PutResult | str)
    assert_type(await queue.get(timeout=5), str)
    assert_type(await thoonk.pyqueue("q"), AsyncQueue[Any])
    job = await thoonk.job("j", serializer=BINARY)
    assert_type(job, AsyncJob[bytes])
    id, item, cancelled = await job.get()
    assert_type(id, str)
    assert_type(item, bytes)
    assert_type(cancelled, int)
    async with await job.get(timeout=5) as claim:
        assert_type(claim, AsyncClaim[bytes])
        assert_type(claim.item, bytes)
        await claim.extend()
        await claim.finish(b"result", result=True, timeout=5)
    answer = await job.get_result("i", timeout=5)
    assert_type(answer, JobResult[bytes])
    assert_type(answer.result, bytes | None)
    assert_type(await job.get_counts(), JobCounts)
    assert_type(await job.stats(), FeedStats)
    assert_type(await job.maintenance(), MaintenanceReport)


async def notices(thoonk: AsyncThoonk, feed: AsyncFeed[bytes]) -> None:
    async def published(feed: str, item: bytes, id: str) -> None: ...
    def retracted(feed: str, id: str) -> None: ...

    await thoonk.register_handler("publish", published)
    await thoonk.register_handler("retract", retracted)
    async with feed.subscribe() as notices:
        assert_type(notices, AsyncFeedSubscription[bytes])
        async for notice in notices:
            assert_type(notice, AnyNotice[bytes])
            if isinstance(notice, Published | Edited):
                assert_type(notice.item, bytes)
