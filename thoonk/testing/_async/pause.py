"""Pauses of queues and job feeds (contract: pause, resume)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from thoonk import (
    AsyncThoonk,
    Configured,
    Empty,
    FeedDoesNotExist,
    JobCounts,
    NotClaimed,
    WrongFeedType,
)
from thoonk.operations import (
    Completion,
    JobClaim,
    JobNext,
    PauseFeed,
    QueueConfirm,
    QueueTake,
    Release,
    ResumeFeed,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, becomes, until
from thoonk.testing._async.stored import read_all
from thoonk.testing.checks import PROMPTLY


async def opened(thoonk: AsyncThoonk, kind: str) -> Any:
    """The feed f, a queue or a job feed."""
    return await (thoonk.queue("f") if kind == "queue" else thoonk.job("f"))


def item_of(taken: Any) -> str:
    """What was taken: an item, or a claim."""
    item: str = taken if isinstance(taken, str) else taken.item
    return item


KINDS = pytest.mark.parametrize("kind", ["queue", "job"])


class AsyncPauseContract(AsyncContract):
    """While a feed is paused nothing is taken from it, and nothing is lost."""

    @KINDS
    async def test_nothing_is_taken_in_a_pause(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, kind: str
    ) -> None:
        feed, elsewhere = await opened(thoonk, kind), await opened(other, kind)
        await feed.put("a")
        assert await feed.pause() is True
        assert await elsewhere.pause() is False
        await elsewhere.put("b")
        for each in (feed, elsewhere):
            for _ in range(2):
                with pytest.raises(Empty):
                    await each.get_nowait()
            with pytest.raises(Empty):
                await each.get_many(5, timeout=0.05)
        assert await elsewhere.resume() is True
        assert await feed.resume() is False
        assert [item_of(await feed.get_nowait()) for _ in range(2)] == ["a", "b"]

    @KINDS
    async def test_what_was_there_keeps_its_order_before_what_came_in_a_pause(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        await feed.put_many(["b", "c"])
        await feed.pause()
        await feed.put("d")
        await feed.put("a", feed.HIGH)
        await feed.put_many({"e": "e", "f": "f"})
        await feed.resume()
        taken = [item_of(await feed.get_nowait()) for _ in range(6)]
        assert taken == ["a", "b", "c", "d", "e", "f"]

    @KINDS
    async def test_what_waits_in_a_pause_is_there_for_all_who_read(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        first = await feed.put("a")
        await feed.pause()
        second = await feed.put("b")
        assert sorted(await feed.get_ids()) == sorted([first, second])
        assert await feed.get_all() == {first: "a", second: "b"}
        assert await feed.count() == 2
        assert sorted([id async for id in feed.ids()]) == sorted([first, second])
        assert {id: item async for id, item in feed.items()} == {first: "a", second: "b"}
        assert (await feed.stats()).waiting == 2
        if kind == "job":
            assert await feed.get_counts() == JobCounts(2, 0, 0, 0)
            assert await feed.get_ids("waiting") == [first, second]
        else:
            assert await feed.get_ids() == [first, second]

    @KINDS
    async def test_stats_and_configuration_tell_of_a_pause(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        before = await thoonk.get_config("f")
        assert (await feed.stats()).paused is False
        await feed.pause()
        assert (await feed.stats()).paused is True
        await feed.resume()
        assert (await feed.stats()).paused is False
        assert await thoonk.get_config("f") == before

    @KINDS
    async def test_a_pause_and_its_end_are_told(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        subscription = await thoonk.backend.listen()
        try:
            for _ in range(2):
                await feed.pause()
            for _ in range(2):
                await feed.resume()
            told = [await subscription.get(5) for _ in range(2)]
            assert told == [Configured("f")] * 2
            with pytest.raises(Empty):
                await subscription.get(0.05)
        finally:
            await subscription.close()

    @KINDS
    async def test_other_settings_do_not_end_a_pause(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("a")
        await feed.pause()
        await thoonk.set_config("f", {"max_item_size": 100})
        await opened(thoonk, kind)
        with pytest.raises(Empty):
            await feed.get_nowait()
        assert await feed.resume() is True

    @KINDS
    async def test_a_consumer_waits_through_a_pause(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, kind: str
    ) -> None:
        feed, elsewhere = await opened(thoonk, kind), await opened(other, kind)
        consumers = [Background(elsewhere.get)]
        await until(lambda: self.blocked() == 1)
        await feed.pause()
        consumers.append(Background(elsewhere.get))
        await until(lambda: self.blocked() == 2)
        await feed.put_many(["a", "b"])
        with pytest.raises(Empty):
            await feed.get(timeout=0.2)
        assert not any(consumer.is_done() for consumer in consumers)
        began = time.monotonic()
        await feed.resume()
        taken = sorted([item_of(await consumer.result()) for consumer in consumers])
        assert taken == ["a", "b"]
        assert time.monotonic() - began < PROMPTLY

    @KINDS
    async def test_after_a_pause_a_put_wakes_who_has_waited(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, kind: str
    ) -> None:
        feed, elsewhere = await opened(thoonk, kind), await opened(other, kind)
        await feed.pause()
        consumer = Background(elsewhere.get)
        await until(lambda: self.blocked() == 1)
        await feed.resume()
        began = time.monotonic()
        await feed.put("x")
        assert item_of(await consumer.result()) == "x"
        assert time.monotonic() - began < PROMPTLY

    @KINDS
    async def test_a_get_ends_in_time_in_a_pause(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("x")
        await feed.pause()
        began = time.monotonic()
        with pytest.raises(Empty):
            await feed.get(timeout=0.25)
        assert 0.24 < time.monotonic() - began < PROMPTLY

    @KINDS
    async def test_a_pause_can_be_repeated(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        before = await read_all(thoonk)
        for _ in range(3):
            await feed.put("x")
            assert await feed.pause() is True
            assert await feed.resume() is True
            taken = await feed.get_nowait()
            if kind == "job":
                await taken.finish()
        assert await read_all(thoonk) == before

    async def test_a_queue_can_be_confirmed_and_get_items_back_in_a_pause(
        self, thoonk: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("f")
        ids = await queue.put_many(["a", "b", "c"])
        backend = thoonk.backend
        await backend.execute(QueueTake("f", "first"))
        await backend.execute(QueueTake("f", "second"))
        await queue.pause()
        # What was taken stays its consumer's.
        assert len((await backend.execute(QueueTake("f", "second"))).entries) == 1
        await backend.execute(QueueConfirm("f", (ids[0],), "first"))
        await backend.execute(Release("f", "second"))
        assert (await backend.execute(QueueTake("f", "third"))).entries == ()
        assert await queue.get_ids() == ids[1:]
        await queue.resume()
        assert [await queue.get_nowait() for _ in "bc"] == ["b", "c"]

    async def test_claimed_jobs_end_in_a_pause(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        ids = await job.put_many(["finish", "cancel", "stall", "later", "extend"])
        claims = await job.get_many(5)
        await job.pause()
        await claims[0].finish("done")
        await claims[1].cancel()
        await claims[2].stall()
        await claims[3].cancel(delay=60)
        await claims[4].extend()
        assert await job.get_counts() == JobCounts(1, 1, 1, 1, 1)
        assert await job.get_result(ids[0], timeout=5) == ("finish", "done")
        for operation in (
            JobClaim("f", "token"),
            JobNext("f", "token", finished=(Completion(ids[4], claims[4].token),)),
        ):
            taken = await thoonk.backend.execute(operation)
            assert (taken.entries, taken.lost) == ((), ())
        await job.retry(ids[2])
        await job.run_now(ids[3])
        assert await job.get_counts() == JobCounts(3, 0, 0, 2, 0)
        with pytest.raises(Empty):
            await job.get_nowait()
        await job.resume()
        assert [(await job.get_nowait()).id for _ in range(3)] == ids[1:4]

    async def test_a_claim_that_runs_out_in_a_pause_is_given_to_nobody_before_its_end(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("f", {"claim_timeout": 1.0})
        id = await job.put("x")
        claim = await job.get()
        await job.pause()
        await self.pass_time(1.05)
        with pytest.raises(Empty):
            await job.get(timeout=0.05)
        await job.maintenance()
        assert await job.get_counts() == JobCounts(1, 0, 0, 0)
        with pytest.raises(NotClaimed):
            await claim.finish()
        await job.resume()
        again = await job.get(timeout=5)
        assert (again.id, again.cancelled) == (id, 1)

    async def test_a_job_that_is_due_in_a_pause_waits_for_its_end(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("f")
        id = await job.put("x", delay=0.5)
        await job.pause()
        await self.pass_time(0.55)
        with pytest.raises(Empty):
            await job.get(timeout=0.05)
        await job.resume()
        assert (await job.get(timeout=5)).id == id

    async def test_who_has_waited_through_a_pause_wakes_for_a_job_that_is_due_after_it(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("f")
        await job.pause()
        await job.put("x", delay=0.5)
        consumer = Background((await other.job("f")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await job.resume()
        assert (await consumer.result()).item == "x"
        assert time.monotonic() - began < PROMPTLY

    async def test_a_loop_waits_through_a_pause(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        await job.put("x")
        await job.pause()

        async def work() -> list[str]:
            async with job.claims(timeout=2) as claims:
                return [claim.item async for claim in claims]

        working = Background(work)
        await until(lambda: self.blocked() == 1)
        assert await job.get_counts() == JobCounts(1, 0, 0, 0)
        await job.resume()
        await becomes(JobCounts(0, 0, 0, 1), job.get_counts)
        assert await working.result() == ["x"]

    @pytest.mark.parametrize("how", ["retract", "retract_many", "replace", "later"])
    async def test_what_waits_in_a_pause_can_be_changed(
        self, thoonk: AsyncThoonk, how: str
    ) -> None:
        job = await thoonk.job("f")
        await job.put_many({"a": "x", "b": "x"})
        await job.pause()
        if how == "retract":
            assert await job.retract("a")
        elif how == "retract_many":
            assert await job.retract_many(["a"]) == [True]
        else:
            await job.put("new", id="a", if_exists="replace", delay=60 if how == "later" else None)
        await job.resume()
        if how == "replace":
            assert (await job.get_nowait()).item == "new"
        assert (await job.get_nowait()).id == "b"
        with pytest.raises(Empty):
            await job.get_nowait()

    @KINDS
    async def test_what_is_purged_in_a_pause_is_gone(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("a")
        await feed.pause()
        await feed.put("b")
        assert await feed.purge() == 2
        assert (await feed.stats()).paused is True
        await feed.resume()
        with pytest.raises(Empty):
            await feed.get_nowait()

    @KINDS
    async def test_a_feed_that_is_created_again_is_not_paused(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("old")
        await feed.pause()
        await thoonk.delete_feed("f")
        for operation in (PauseFeed("f"), ResumeFeed("f")):
            with pytest.raises(FeedDoesNotExist):
                await thoonk.backend.execute(operation)
        assert await self.stored(thoonk) == {}
        again = await opened(thoonk, kind)
        await again.put("new")
        assert item_of(await again.get_nowait()) == "new"

    async def test_feeds_of_other_types_are_not_paused(self, thoonk: AsyncThoonk) -> None:
        await thoonk.feed("f")
        await thoonk.sorted_feed("s")
        before = await self.stored(thoonk)
        for name in ("f", "s"):
            for operation in (PauseFeed(name), ResumeFeed(name)):
                with pytest.raises(WrongFeedType):
                    await thoonk.backend.execute(operation)
        assert await self.stored(thoonk) == before

    @KINDS
    async def test_one_feed_is_paused_and_no_other(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        other_feed = await thoonk.queue("another")
        await other_feed.put("x")
        await feed.pause()
        assert await other_feed.get_nowait() == "x"
