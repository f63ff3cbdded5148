"""How full and how busy a feed is (contract: stats)."""

# ruff: noqa: RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import attrs
import pytest

from thoonk import AsyncJob, AsyncThoonk, FeedDoesNotExist, FeedStats, WrongFeedType
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import pause


class AsyncStatsContract(AsyncContract):
    """How full and how busy feeds of all types are."""

    async def test_a_feed_tells_how_old_its_first_and_its_last_item_are(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", {"max_length": 2})
        assert await feed.stats() == FeedStats("feed", items=0, publishes=0)
        for item in ("a", "b", "c"):
            await feed.publish(item, id=item)
            await pause(0.02)
        stats = await feed.stats()
        assert (stats.type, stats.items, stats.publishes) == ("feed", 2, 3)
        assert stats.oldest_item is not None
        assert stats.newest_item is not None
        assert 0.02 <= stats.newest_item + 0.015 < stats.oldest_item < 15
        assert (stats.waiting, stats.finished, stats.oldest_waiting) == (None, None, None)

    async def test_a_sorted_feed_tells_how_much_there_is(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.sorted_feed("f")
        await feed.append("x")
        await feed.edit("1", "y")
        assert await feed.stats() == FeedStats("sorted_feed", items=1, publishes=2)

    async def test_a_queue_tells_what_waits(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        for _ in range(3):
            await queue.put("x")
        await queue.get()
        assert await queue.stats() == FeedStats(
            "queue", items=2, publishes=3, waiting=2, claimed=0, paused=False
        )

    async def test_stats_follow_a_job_through_its_states(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        nothing = FeedStats("job", 0, 0, 0, 0, 0, 0, 0, scheduled=0, paused=False)
        assert await job.stats() == nothing
        await job.put("x")
        await pause(0.02)
        stats = await job.stats()
        assert stats.waiting == 1
        assert stats.oldest_waiting is not None
        assert 0.015 < stats.oldest_waiting < 15
        assert stats.oldest_claimed is None
        claim = await job.get()
        stats = await job.stats()
        assert (stats.waiting, stats.claimed, stats.failing) == (0, 1, 0)
        assert stats.oldest_waiting is None
        assert stats.oldest_claimed is not None
        assert stats.oldest_claimed < 15
        await claim.cancel()
        stats = await job.stats()
        assert (stats.waiting, stats.claimed, stats.failing) == (1, 0, 1)
        await (await job.get()).stall()
        stats = await job.stats()
        assert (stats.waiting, stats.stalled, stats.failing) == (0, 1, 1)
        assert stats.oldest_waiting is None
        await job.retry(claim.id)
        assert (await job.stats()).failing == 0
        await (await job.get()).finish()
        assert await job.stats() == attrs.evolve(nothing, publishes=1, finished=1)

    async def test_an_old_job_that_is_claimed_does_not_count_as_waiting(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("old")
        await self.pass_time(5)
        await job.put("young")
        await job.get()
        stats = await job.stats()
        assert stats.oldest_waiting is not None
        assert stats.oldest_waiting < 5

    async def test_a_registered_type_has_the_stats_of_its_kind(self, thoonk: AsyncThoonk) -> None:
        thoonk.register_feedtype("chores", AsyncJob)
        chores = await thoonk.chores("c")  # type: ignore[attr-defined]
        await chores.put("x")
        stats = await chores.stats()
        assert (stats.type, stats.waiting) == ("chores", 1)

    async def test_a_feed_that_was_deleted_or_changed_its_type_has_no_stats(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        await thoonk.delete_feed("f")
        with pytest.raises(FeedDoesNotExist):
            await feed.stats()
        await thoonk.queue("f")
        with pytest.raises(WrongFeedType):
            await feed.stats()
