"""A feed's notices (contract: Channels)."""

# ruff: noqa: C416, RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import time
from typing import Any

import pytest

from thoonk import (
    AsyncFeedSubscription,
    AsyncThoonk,
    Closed,
    Configured,
    Created,
    Deleted,
    Edited,
    Empty,
    Finished,
    Notice,
    Published,
    Retracted,
)
from thoonk.backends import AsyncSubscription
from thoonk.config import FEED, SORTED_FEED
from thoonk.notices import Marker
from thoonk.operations import ReadSnapshotPage, SnapshotPage, digest_of
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, pause
from thoonk.testing.checks import PROMPTLY


class AsyncNoticeContract(AsyncContract):
    """What subscribers of a feed receive, in which order, and how a subscription ends."""

    async def test_notices_have_types_and_attributes(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            await feed.publish("x", id="1")
            await feed.publish("y", id="1")
            await feed.retract("1")
            published, edited, retracted = [await notices.get(10) for _ in range(3)]
        assert isinstance(published, Published)
        assert (published.feed, published.id, published.item) == ("f", "1", "x")
        assert isinstance(edited, Edited)
        assert (edited.feed, edited.id, edited.item) == ("f", "1", "y")
        assert isinstance(retracted, Retracted)
        assert (retracted.feed, retracted.id) == ("f", "1")

    async def test_notices_of_jobs_are_their_results(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        async with job.subscribe() as notices:
            await job.put("a")
            id = await job.put("b")
            await (await job.get()).finish()
            await (await job.get()).finish("result")
            assert await notices.get(10) == Finished("j", id, "result")

    async def test_a_feed_tells_of_its_configuration_and_its_end(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            await other.set_config("f", {"title": "x"})
            await other.delete_feed("f")
            await other.feed("f")
            assert [await notices.get(10) for _ in range(4)] == [
                Configured("f"),
                Deleted("f"),
                Created("f"),
                Configured("f"),
            ]

    async def test_iterating_gives_one_notice_after_the_other(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        elsewhere = await other.feed("f")
        seen: list[Any] = []
        async with feed.subscribe() as notices:
            for number in range(5):
                await elsewhere.publish("x", id=f"{number}")
            async for notice in notices:
                seen.append(notice)
                if len(seen) == 5:
                    break
        assert seen == [Published("f", f"{number}", "x") for number in range(5)]

    async def test_what_happened_before_is_not_told(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("x", id="before")
        async with feed.subscribe() as notices:
            await feed.publish("x", id="after")
            assert await notices.get(10) == Published("f", "after", "x")

    async def test_other_feeds_are_not_told_of(self, thoonk: AsyncThoonk) -> None:
        feed, similar = await thoonk.feed("f"), await thoonk.feed("f:f")
        pattern = await thoonk.feed("*")
        async with feed.subscribe() as notices, pattern.subscribe() as pattern_notices:
            await similar.publish("x")
            await thoonk.set_config("f:f", {"title": "x"})
            await thoonk.delete_feed("f:f")
            await feed.publish("x", id="1")
            await pattern.publish("x", id="2")
            assert await notices.get(10) == Published("f", "1", "x")
            assert await pattern_notices.get(10) == Published("*", "2", "x")

    async def test_every_subscriber_is_told(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        elsewhere = await other.feed("f")
        async with (
            feed.subscribe() as first,
            feed.subscribe() as second,
            elsewhere.subscribe() as third,
        ):
            await feed.publish("x", id="1")
            for notices in (first, second, third):
                assert await notices.get(10) == Published("f", "1", "x")

    async def test_get_raises_empty_when_the_time_is_over(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            began = time.monotonic()
            with pytest.raises(Empty):
                await notices.get(timeout=0.2)
            assert 0.19 < time.monotonic() - began < PROMPTLY
            await feed.publish("x", id="1")
            assert await notices.get(timeout=5) == Published("f", "1", "x")

    async def test_many_notices_wait_until_they_are_fetched(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            for number in range(500):
                await feed.publish("x" * 100, id=f"{number}")
            told = [(await notices.get(10)) for _ in range(500)]
        assert told == [Published("f", f"{number}", "x" * 100) for number in range(500)]

    async def test_a_subscription_that_is_closed_elsewhere_ends_the_loop(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")

        async def iterate(notices: AsyncFeedSubscription[str]) -> list[Any]:
            return [notice async for notice in notices]

        async with feed.subscribe() as notices:
            loop = Background(iterate, notices)
            await feed.publish("x", id="1")
            await pause(0.1)
            assert not loop.is_done()
            await notices.close()
            assert await loop.result() == [Published("f", "1", "x")]
            with pytest.raises(Closed):
                await notices.get(1)
            await notices.close()

    # --- snapshots ------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["feed", "sorted_feed"])
    async def test_resync_begins_with_what_is_there_and_goes_on(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await getattr(thoonk, kind)("f")
        ids = [await feed.publish(item) for item in "abc"]
        async with feed.subscribe(resync=True) as notices:
            ids.append(await feed.publish("d"))
            told: list[tuple[str, str]] = []
            while len(told) < 4:
                notice = await notices.get(10)
                if isinstance(notice, Published):
                    told.append((notice.id, notice.item))
        assert told == [*zip(ids, "abcd", strict=True)]

    @pytest.mark.parametrize("kind", [FEED, SORTED_FEED])
    async def test_a_page_of_a_snapshot_stands_at_its_marker_among_the_notices(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await getattr(thoonk, kind)("f")
        first = await feed.publish("before")
        subscription = await thoonk.backend.listen("f")
        unconcerned = await thoonk.backend.listen("f")
        second = await feed.publish("heard and in the page")
        operation = ReadSnapshotPage("f", kind, subscription.marker, tag="1")
        page = await thoonk.backend.execute(operation)
        assert (page.total, page.ids) == (2, (first, second))
        assert page.items == {first: b"before", second: b"heard and in the page"}
        repeated = await thoonk.backend.execute(operation)
        assert repeated.mark != page.mark
        third = await feed.publish("after")

        async def heard(by: AsyncSubscription) -> list[Notice]:
            told: list[Notice] = []
            while not any(isinstance(n, Published) and n.id == third for n in told):
                notice = await by.get(10)
                if isinstance(notice, Published | Marker):
                    told.append(notice)
            return told

        told = await heard(subscription)
        assert [type(notice) for notice in told] == [Published, Marker, Marker, Published]
        assert told[1:3] == [
            Marker("f", subscription.marker, mark) for mark in (page.mark, repeated.mark)
        ]
        assert [type(notice) for notice in await heard(unconcerned)] == [Published, Published]
        await subscription.close()
        await unconcerned.close()

    @pytest.mark.parametrize("kind", [FEED, SORTED_FEED])
    async def test_a_page_of_a_snapshot_has_what_was_asked_for(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await getattr(thoonk, kind)("f")
        ids = [await feed.publish(item) for item in "abcdef"]
        subscription = await thoonk.backend.listen("f")

        async def page(**asked: Any) -> SnapshotPage:
            return await thoonk.backend.execute(
                ReadSnapshotPage("f", kind, subscription.marker, **asked)
            )

        found = await page(start=1, skip=2, count=2, wanted=(ids[0], "none"))
        assert (found.total, found.ids) == (6, tuple(ids[1:5]))
        assert found.items == {ids[3]: b"d", ids[4]: b"e", ids[0]: b"a", "none": b""}
        found = await page(start=5, skip=3, count=5)
        assert (found.total, found.ids, found.items) == (6, (ids[5],), {})
        found = await page(start=7)
        assert (found.total, found.ids, found.items) == (6, (), {})
        # What is known may be left out; what has changed, or is known under another id, not.
        known = ((ids[0], digest_of(b"a")), (ids[1], digest_of(b"c")), (ids[2], b""))
        found = await page(known=known, wanted=(ids[5],))
        left_out = {*ids} - {*found.items}
        assert left_out <= {ids[0]}
        assert {**found.items, ids[0]: b"a"} == dict(
            zip(ids, (item.encode() for item in "abcdef"), strict=True)
        )
        await subscription.close()
