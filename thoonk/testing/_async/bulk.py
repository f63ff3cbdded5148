"""The calls for many: as one after another, in few steps."""

from __future__ import annotations

import pytest

from thoonk import (
    AsyncThoonk,
    Edited,
    Empty,
    FeedDoesNotExist,
    Finished,
    ItemTooLarge,
    Moved,
    NotClaimed,
    Published,
    Retracted,
    SerializerError,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until


class AsyncBulkContract(AsyncContract):
    """The calls for many: as one after another, and each step all or nothing."""

    async def test_published_in_order_and_announced_one_by_one(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            ids = await feed.publish_many(["a", "b", "c"])
            seen = [await notices.get(timeout=5) for _ in range(3)]
        assert seen == [Published("f", id, item) for id, item in zip(ids, "abc", strict=True)]
        assert await feed.get_ids() == ids

    async def test_a_mapping_gives_the_ids_and_edits(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("old", id="x")
        async with feed.subscribe() as notices:
            assert await feed.publish_many({"y": "1", "x": "2"}) == ["y", "x"]
            seen = [await notices.get(timeout=5) for _ in range(2)]
        assert seen == [Published("f", "y", "1"), Edited("f", "x", "2")]
        assert await feed.get_ids() == ["y", "x"]
        assert await feed.get_all() == {"y": "1", "x": "2"}

    async def test_more_than_fit_push_each_other_out(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 2})
        async with feed.subscribe() as notices:
            await feed.publish_many({"a": "1", "b": "2", "c": "3", "d": "4"})
            seen = [await notices.get(timeout=5) for _ in range(6)]
        assert seen == [
            Published("f", "a", "1"),
            Published("f", "b", "2"),
            Retracted("f", "a"),
            Published("f", "c", "3"),
            Retracted("f", "b"),
            Published("f", "d", "4"),
        ]
        assert await feed.get_ids() == ["c", "d"]
        assert await feed.get_all() == {"c": "3", "d": "4"}

    async def test_thousands_are_cut_into_steps_and_keep_their_order(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        ids = await feed.publish_many(str(number) for number in range(2500))
        assert await feed.get_ids() == ids
        items = await feed.get_items(ids)
        assert [items[id] for id in ids] == [str(number) for number in range(2500)]
        assert await feed.retract_many([*ids[:1200], "other"]) == [True] * 1200 + [False]
        assert await feed.get_ids() == ids[1200:]

    async def test_nothing_given_sends_nothing(self, thoonk: AsyncThoonk) -> None:
        feed, queue, job = await thoonk.feed("f"), await thoonk.queue("q"), await thoonk.job("j")
        sorted_feed = await thoonk.sorted_feed("s")
        before = await self.stored(thoonk)
        assert await feed.publish_many([]) == []
        assert await feed.publish_many({}) == []
        assert await feed.retract_many([]) == []
        assert await feed.get_items([]) == {}
        assert await sorted_feed.publish_many(()) == []
        assert await queue.put_many(iter(())) == []
        assert await job.put_many([]) == []
        await job.finish_many([])
        assert await job.retract_many([]) == []
        assert await self.stored(thoonk) == before

    async def test_a_step_is_all_or_nothing_and_the_error_tells_what_was_done(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", {"max_item_size": 5})
        before = await self.stored(thoonk)
        with pytest.raises(ItemTooLarge) as caught:
            await feed.publish_many({"a": "1", "b": "123456", "c": "3"})
        assert caught.value.done == ()
        assert await self.stored(thoonk) == before
        many = {f"{number}": "x" for number in range(1500)}
        with pytest.raises(ItemTooLarge) as caught:
            await feed.publish_many({**many, "long": "123456"})
        assert caught.value.done == tuple(many)[:1000]
        assert await feed.get_ids() == [*many][:1000]

    async def test_a_deleted_feed_is_refused(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await thoonk.delete_feed("q")
        with pytest.raises(FeedDoesNotExist):
            await queue.put_many(["a", "b"])

    # --- sorted feed ------------------------------------------------------------------------

    async def test_a_sorted_feed_gets_them_at_its_end(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.sorted_feed("s")
        await feed.append("first")
        async with feed.subscribe() as notices:
            assert await feed.publish_many(["a", "b"]) == ["2", "3"]
            seen = [await notices.get(timeout=5) for _ in range(4)]
        assert seen == [
            Published("s", "2", "a"),
            Moved("s", "2", ":end"),
            Published("s", "3", "b"),
            Moved("s", "3", ":end"),
        ]
        assert await feed.get_ids() == ["1", "2", "3"]
        assert await feed.append("last") == "4"
        assert await feed.retract_many(["2", "9", "4"]) == [True, False, True]
        assert await feed.get_ids() == ["1", "3"]
        assert await feed.get_items(["3", "2"]) == {"3": "b"}
        assert await feed.get_items() == {"1": "first", "3": "b"}

    # --- queue --------------------------------------------------------------------------------

    async def test_a_queue_gives_what_is_there(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        ids = await queue.put_many(["a", "b", "c", "d"])
        assert await queue.get_ids() == ids
        assert await queue.get_many(3) == ["a", "b", "c"]
        assert await queue.get_many(3) == ["d"]
        with pytest.raises(Empty):
            await queue.get_many(3, timeout=0.05)
        assert await queue.count() == 0

    async def test_high_priority_as_one_after_another(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await queue.put("normal")
        await queue.put_many(["a", "b"], priority=queue.HIGH)
        assert await queue.get_many(9) == ["b", "a", "normal"]

    async def test_it_waits_for_the_first(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        waiting = Background(queue.get_many, 5, timeout=30)
        await until(lambda: self.blocked() == 1)
        await (await other.queue("q")).put_many(["a", "b"])
        items = await waiting.result()
        rest = 2 - len(items)
        assert items + (await queue.get_many(2) if rest else []) == ["a", "b"]

    async def test_what_cannot_be_read_is_taken_alone(self, thoonk: AsyncThoonk) -> None:
        raw = await thoonk.queue("q", serializer="binary")
        await raw.put_many([b'"a"', b'"b"', b"{", b'"c"', b'"d"'])
        queue = await thoonk.queue("q", serializer="json")
        assert await queue.get_many(5) == ["a", "b"]
        with pytest.raises(SerializerError) as caught:
            await queue.get_many(5, timeout=5)
        assert caught.value.data == b"{"
        assert await queue.get_many(5, timeout=5) == ["c", "d"]

    # --- job ----------------------------------------------------------------------------------

    async def test_jobs_are_put_claimed_and_finished(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(["a", "b", "c"])
        claims = await job.get_many(2)
        assert [(claim.id, claim.item, claim.cancelled) for claim in claims] == [
            (ids[0], "a", 0),
            (ids[1], "b", 0),
        ]
        async with job.subscribe() as notices:
            await job.finish_many(claims, ["A", "B"])
            seen = [await notices.get(timeout=5) for _ in range(2)]
        assert seen == [Finished("j", ids[0], "A"), Finished("j", ids[1], "B")]
        assert all(claim.ended for claim in claims)
        assert await job.get_result(ids[1], timeout=5) == ("b", "B")
        assert (await job.get_counts()).finished == 2
        (last,) = await job.get_many(10, timeout=5)
        await job.finish_many([last.id])
        assert (await job.get_counts()).finished == 3
        with pytest.raises(Empty):
            await job.get_many(1, timeout=0.05)

    async def test_one_that_is_not_claimed_keeps_all_of_its_step(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put_many(["a", "b", "c"])
        claims = await job.get_many(3)
        await claims[1].cancel()
        again = await job.get(timeout=5)
        before = await self.stored(thoonk)
        with pytest.raises(NotClaimed) as caught:
            await job.finish_many(claims)
        assert caught.value.id == again.id
        assert caught.value.done == ()
        assert await self.stored(thoonk) == before
        assert [claim.ended for claim in claims] == [False, True, False]
        await job.finish_many([claims[0], again, claims[2]])
        assert (await job.get_counts()).finished == 3

    async def test_jobs_are_retracted_in_whatever_state(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(["a", "b", "c"])
        await (await job.get()).stall()
        await job.get()
        assert await job.retract_many([*ids, "none"]) == [True, True, True, False]
        counts = await job.get_counts()
        assert (counts.waiting, counts.claimed, counts.stalled) == (0, 0, 0)

    async def test_a_job_that_cannot_be_read_is_cancelled_and_the_others_are_claimed(
        self,
        thoonk: AsyncThoonk,
    ) -> None:
        raw = await thoonk.job("j", {"max_failures": 1}, serializer="binary")
        ids = await raw.put_many([b"{", b'"b"'])
        job = await thoonk.job("j", serializer="json")
        (claim,) = await job.get_many(2)
        assert claim.id == ids[1]
        assert (await job.get_counts()).stalled == 1
