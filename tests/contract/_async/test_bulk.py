"""The calls for many: as one after another, in few steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conftest import World

from contract._async.helpers import Background, until
from contract._async.recording import AsyncRecording
from contract.peek import blocked, everything
from thoonk import (
    AsyncThoonk,
    Edited,
    Empty,
    FeedDoesNotExist,
    Finished,
    InvalidType,
    InvalidValue,
    ItemTooLarge,
    Moved,
    NotClaimed,
    Published,
    Retracted,
    SerializerError,
)

Call = Callable[[AsyncThoonk], Awaitable[Any]]


async def test_published_in_order_and_announced_one_by_one(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        ids = await feed.publish_many(["a", "b", "c"])
        seen = [await notices.get(timeout=5) for _ in range(3)]
    assert seen == [Published("f", id, item) for id, item in zip(ids, "abc", strict=True)]
    assert await feed.get_ids() == ids


async def test_a_mapping_gives_the_ids_and_edits(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    await feed.publish("old", id="x")
    async with feed.subscribe() as notices:
        assert await feed.publish_many({"y": "1", "x": "2"}) == ["y", "x"]
        seen = [await notices.get(timeout=5) for _ in range(2)]
    assert seen == [Published("f", "y", "1"), Edited("f", "x", "2")]
    assert await feed.get_ids() == ["y", "x"]
    assert await feed.get_all() == {"y": "1", "x": "2"}


async def test_more_than_fit_push_each_other_out(thoonk: AsyncThoonk) -> None:
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


async def test_thousands_are_cut_into_steps_and_keep_their_order(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    ids = await feed.publish_many(str(number) for number in range(2500))
    assert await feed.get_ids() == ids
    items = await feed.get_items(ids)
    assert [items[id] for id in ids] == [str(number) for number in range(2500)]
    assert await feed.retract_many([*ids[:1200], "other"]) == [True] * 1200 + [False]
    assert await feed.get_ids() == ids[1200:]


async def test_large_items_go_in_steps_of_their_own(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncRecording(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            queue = await thoonk.queue("q")
            recording.sent.clear()
            await queue.put_many(["x" * 600_000] * 3 + ["y"] * 1001)
            assert [len(op.entries) for op in recording.sent] == [1, 1, 1000, 2]
            assert await queue.count() == 1004


async def test_nothing_given_sends_nothing(world: World, thoonk: AsyncThoonk) -> None:
    feed, queue, job = await thoonk.feed("f"), await thoonk.queue("q"), await thoonk.job("j")
    sorted_feed = await thoonk.sorted_feed("s")
    before = everything(world)
    assert await feed.publish_many([]) == []
    assert await feed.publish_many({}) == []
    assert await feed.retract_many([]) == []
    assert await feed.get_items([]) == {}
    assert await sorted_feed.publish_many(()) == []
    assert await queue.put_many(iter(())) == []
    assert await job.put_many([]) == []
    await job.finish_many([])
    assert await job.retract_many([]) == []
    assert everything(world) == before


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (InvalidType, lambda t: t["f"].publish_many("abc")),
        (InvalidType, lambda t: t["f"].publish_many(3)),
        (InvalidType, lambda t: t["f"].publish_many(["a", 3])),
        (InvalidValue, lambda t: t["f"].publish_many({"a": "b", "": "c"})),
        (InvalidType, lambda t: t["f"].retract_many("abc")),
        (InvalidValue, lambda t: t["f"].retract_many(["a", "b\0"])),
        (InvalidValue, lambda t: t["f"].get_items(["a", ""])),
        (InvalidType, lambda t: t["s"].publish_many(b"abc")),
        (InvalidType, lambda t: t["q"].put_many(["a", b"b"])),
        (InvalidType, lambda t: t["q"].put_many({"a"}, priority="high")),
        (InvalidValue, lambda t: t["q"].get_many(0)),
        (InvalidValue, lambda t: t["q"].get_many(1001)),
        (InvalidType, lambda t: t["q"].get_many("2")),
        (InvalidType, lambda t: t["j"].put_many(None)),
        (InvalidValue, lambda t: t["j"].get_many(-1)),
        (InvalidType, lambda t: t["j"].finish_many("id")),
        (InvalidValue, lambda t: t["j"].finish_many(["a", "b"], ["1"])),
        (InvalidType, lambda t: t["j"].finish_many(["a"], [1])),
        (InvalidValue, lambda t: t["j"].finish_many(["a"], ["1"], timeout=-1)),
    ],
)
async def test_what_is_refused_sends_nothing(
    world: World, error: type[Exception], call: Callable[[Any], Awaitable[Any]]
) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncRecording(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            feeds = {
                "f": await thoonk.feed("f"),
                "s": await thoonk.sorted_feed("s"),
                "q": await thoonk.queue("q"),
                "j": await thoonk.job("j"),
            }
            recording.sent.clear()
            with pytest.raises(error):
                await call(feeds)
            assert recording.sent == []


async def test_a_step_is_all_or_nothing_and_the_error_tells_what_was_done(
    world: World, thoonk: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f", {"max_item_size": 5})
    before = everything(world)
    with pytest.raises(ItemTooLarge) as caught:
        await feed.publish_many({"a": "1", "b": "123456", "c": "3"})
    assert caught.value.done == ()
    assert everything(world) == before
    many = {f"{number}": "x" for number in range(1500)}
    with pytest.raises(ItemTooLarge) as caught:
        await feed.publish_many({**many, "long": "123456"})
    assert caught.value.done == tuple(many)[:1000]
    assert await feed.get_ids() == [*many][:1000]


async def test_a_deleted_feed_is_refused(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    await thoonk.delete_feed("q")
    with pytest.raises(FeedDoesNotExist):
        await queue.put_many(["a", "b"])


# --- sorted feed ------------------------------------------------------------------------


async def test_a_sorted_feed_gets_them_at_its_end(thoonk: AsyncThoonk) -> None:
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


async def test_a_queue_gives_what_is_there(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    ids = await queue.put_many(["a", "b", "c", "d"])
    assert await queue.get_ids() == ids
    assert await queue.get_many(3) == ["a", "b", "c"]
    assert await queue.get_many(3) == ["d"]
    with pytest.raises(Empty):
        await queue.get_many(3, timeout=0.05)
    assert await queue.count() == 0


async def test_high_priority_as_one_after_another(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    await queue.put("normal")
    await queue.put_many(["a", "b"], priority=queue.HIGH)
    assert await queue.get_many(9) == ["b", "a", "normal"]


async def test_it_waits_for_the_first(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    queue = await thoonk.queue("q")
    waiting = Background(queue.get_many, 5, timeout=10)
    await until(lambda: blocked(world) == 1)
    await (await other.queue("q")).put_many(["a", "b"])
    items = await waiting.result()
    rest = 2 - len(items)
    assert items + (await queue.get_many(2) if rest else []) == ["a", "b"]


async def test_nothing_is_left_of_what_was_taken(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    before = everything(world)
    await queue.put_many(["a", "b", "c"])
    await queue.get_many(2)
    await queue.get_many(2)
    after = everything(world)
    assert after.pop(b"feed.publishes:q") == b"3"
    assert after == before


async def test_what_cannot_be_read_is_taken_alone(thoonk: AsyncThoonk) -> None:
    raw = await thoonk.queue("q", serializer="binary")
    await raw.put_many([b'"a"', b'"b"', b"{", b'"c"', b'"d"'])
    queue = await thoonk.queue("q", serializer="json")
    assert await queue.get_many(5) == ["a", "b"]
    with pytest.raises(SerializerError) as caught:
        await queue.get_many(5)
    assert caught.value.data == b"{"
    assert await queue.get_many(5) == ["c", "d"]


# --- job ----------------------------------------------------------------------------------


async def test_jobs_are_put_claimed_and_finished(thoonk: AsyncThoonk) -> None:
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


async def test_one_that_is_not_claimed_keeps_all_of_its_step(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    await job.put_many(["a", "b", "c"])
    claims = await job.get_many(3)
    await claims[1].cancel()
    again = await job.get(timeout=5)
    before = everything(world)
    with pytest.raises(NotClaimed) as caught:
        await job.finish_many(claims)
    assert caught.value.id == again.id
    assert caught.value.done == ()
    assert everything(world) == before
    assert [claim.ended for claim in claims] == [False, True, False]
    await job.finish_many([claims[0], again, claims[2]])
    assert (await job.get_counts()).finished == 3


async def test_nothing_is_left_of_finished_jobs(world: World, thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j", {"claim_timeout": 60})
    before = everything(world)
    await job.put_many(["a"] * 30)
    await job.finish_many(await job.get_many(20))
    await job.finish_many(await job.get_many(20))
    after = everything(world)
    assert after.pop(b"feed.publishes:j") == b"30"
    assert after.pop(b"feed.finishes:j") == b"30"
    assert after == before


async def test_jobs_are_retracted_in_whatever_state(thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    ids = await job.put_many(["a", "b", "c"])
    await (await job.get()).stall()
    await job.get()
    assert await job.retract_many([*ids, "none"]) == [True, True, True, False]
    counts = await job.get_counts()
    assert (counts.waiting, counts.claimed, counts.stalled) == (0, 0, 0)


async def test_a_job_that_cannot_be_read_is_cancelled_and_the_others_are_claimed(
    thoonk: AsyncThoonk,
) -> None:
    raw = await thoonk.job("j", {"max_failures": 1}, serializer="binary")
    ids = await raw.put_many([b"{", b'"b"'])
    job = await thoonk.job("j", serializer="json")
    (claim,) = await job.get_many(2)
    assert claim.id == ids[1]
    assert (await job.get_counts()).stalled == 1
