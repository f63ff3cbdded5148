"""Reading in pages: ids() and items()."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import World

from contract._async.recording import AsyncRecording
from thoonk import AsyncThoonk, InvalidType, InvalidValue
from thoonk.operations import ReadPage

KINDS = ("feed", "sorted_feed", "queue", "job")


async def filled(thoonk: AsyncThoonk, kind: str, count: int) -> tuple[Any, list[str]]:
    """A feed with so many items; its ids in their order."""
    feed = await getattr(thoonk, kind)("f")
    items = [f"item {number}" for number in range(count)]
    many = feed.publish_many if "feed" in kind else feed.put_many
    return feed, await many(items)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_ids_come_once_and_in_order(thoonk: AsyncThoonk, kind: str) -> None:
    feed, ids = await filled(thoonk, kind, 2300)
    found = [id async for id in feed.ids()]
    assert (sorted(found) if kind == "job" else found) == (sorted(ids) if kind == "job" else ids)
    assert [id async for id in feed] == found


@pytest.mark.parametrize("kind", KINDS)
async def test_items_come_with_their_ids(thoonk: AsyncThoonk, kind: str) -> None:
    feed, ids = await filled(thoonk, kind, 1200)
    expected = [(id, f"item {number}") for number, id in enumerate(ids)]
    found = [pair async for pair in feed.items()]
    assert (sorted(found) if kind == "job" else found) == (
        sorted(expected) if kind == "job" else expected
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_feed_has_none(thoonk: AsyncThoonk, kind: str) -> None:
    feed, _ = await filled(thoonk, kind, 0)
    assert [id async for id in feed.ids()] == []
    assert [pair async for pair in feed.items()] == []


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 3), (2, 5), (5, None), (8, 99), (20, None), (4, 4), (5, 2), (0, 0)],
)
async def test_a_range_is_as_that_of_a_list(
    thoonk: AsyncThoonk, kind: str, start: int, stop: int | None
) -> None:
    feed, ids = await filled(thoonk, kind, 10)
    assert [id async for id in feed.ids(start, stop)] == ids[start:stop]
    backwards = ids[::-1]
    assert [id async for id in feed.ids(start, stop, reverse=True)] == backwards[start:stop]
    items = [pair async for pair in feed.items(start, stop, reverse=True)]
    assert [id for id, _ in items] == backwards[start:stop]


@pytest.mark.parametrize("kind", KINDS[:3])
async def test_a_range_goes_over_pages(thoonk: AsyncThoonk, kind: str) -> None:
    feed, ids = await filled(thoonk, kind, 2500)
    assert [id async for id in feed.ids(100, 2400)] == ids[100:2400]
    assert [id async for id in feed.ids(100, 2400, reverse=True)] == ids[::-1][100:2400]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["feed", "sorted_feed"])
async def test_what_is_removed_meanwhile_moves_no_other_out_of_sight(
    thoonk: AsyncThoonk, kind: str, reverse: bool
) -> None:
    feed, ids = await filled(thoonk, kind, 2500)
    expected = ids[::-1] if reverse else ids
    seen = []
    async for id in feed.ids(reverse=reverse):
        seen.append(id)
        if len(seen) == 700:
            # Some that were read, and the one after which reading is to go on.
            await feed.retract_many(expected[:500])
            await feed.retract(expected[1999])
    assert seen == expected


@pytest.mark.parametrize("kind", KINDS)
async def test_a_loop_may_remove_what_it_reads(thoonk: AsyncThoonk, kind: str) -> None:
    feed, _ = await filled(thoonk, kind, 2500)
    async for id in feed.ids():
        if kind == "queue":
            await feed.get_nowait()
        else:
            await feed.retract(id)
    assert await feed.count() == 0


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_page_goes_on_where_its_last_item_is_now(
    thoonk: AsyncThoonk, reverse: bool
) -> None:
    feed, ids = await filled(thoonk, "sorted_feed", 2500)
    expected = ids[::-1] if reverse else ids
    seen = []
    async for id in feed.ids(reverse=reverse):
        seen.append(id)
        if len(seen) == 700:
            await feed.retract_many(expected[:3])
            move = feed.move_last if reverse else feed.move_first
            await move(expected[500])
    assert seen == expected


async def test_a_queue_that_is_taken_from_meanwhile(thoonk: AsyncThoonk) -> None:
    queue, ids = await filled(thoonk, "queue", 2500)
    seen = []
    async for id in queue.ids():
        seen.append(id)
        if len(seen) == 700:
            await queue.get_many(200)
    assert seen == ids


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_are_small_where_items_are_large(world: World, kind: str) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncRecording(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            feed, ids = await filled(thoonk, kind, 0)
            many = feed.publish_many if "feed" in kind else feed.put_many
            ids = await many(["x" * 400_000] * 8)
            recording.sent.clear()
            found = [pair async for pair in feed.items()]
            assert sorted(id for id, _ in found) == sorted(ids)
            pages = [op for op in recording.sent if isinstance(op, ReadPage)]
            assert len(pages) >= (1 if kind == "job" else 3)


@pytest.mark.parametrize("kind", KINDS)
async def test_bounds_that_are_refused(thoonk: AsyncThoonk, kind: str) -> None:
    feed, _ = await filled(thoonk, kind, 1)
    for start, stop in ((-1, None), (0, -1)):
        with pytest.raises(InvalidValue):
            feed.ids(start, stop)
        with pytest.raises(InvalidValue):
            feed.items(start, stop)
    for start, stop in (("0", None), (0, 1.5), (None, None), (True, None)):
        with pytest.raises(InvalidType):
            feed.ids(start, stop)


async def test_jobs_have_no_order(thoonk: AsyncThoonk) -> None:
    job, _ = await filled(thoonk, "job", 1)
    for arguments in ((1,), (0, 5), (0, None, True)):
        with pytest.raises(InvalidValue):
            job.ids(*arguments)
