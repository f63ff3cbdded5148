"""Reading in pages: ids() and items()."""

from __future__ import annotations

import pytest
from conftest import World

from thoonk import AsyncThoonk, InvalidType, InvalidValue
from thoonk.operations import ReadPage
from thoonk.testing._async.observed import AsyncObserved
from thoonk.testing._async.page import KINDS, filled


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_are_small_where_items_are_large(world: World, kind: str) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
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
    for reverse in ("no", 1, None):
        with pytest.raises(InvalidType):
            feed.items(0, None, reverse)


@pytest.mark.parametrize("kind", ["feed", "sorted_feed", "queue"])
async def test_a_start_beyond_all_that_there_is(thoonk: AsyncThoonk, kind: str) -> None:
    feed, _ = await filled(thoonk, kind, 1)
    for start in (1, 2**53, 2**70):
        for reverse in (False, True):
            assert [id async for id in feed.ids(start, 2**71, reverse)] == []


async def test_jobs_have_no_order(thoonk: AsyncThoonk) -> None:
    job, _ = await filled(thoonk, "job", 1)
    for arguments in ((1,), (0, 5), (0, None, True)):
        with pytest.raises(InvalidValue):
            job.ids(*arguments)
