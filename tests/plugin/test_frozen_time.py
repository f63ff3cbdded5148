"""Time that freezegun has stopped makes no timeout endless, as docs/testing.md says."""

from __future__ import annotations

import pytest
from conftest import World
from freezegun import freeze_time

from thoonk import AsyncThoonk, Empty, Thoonk

frozen = freeze_time("2030-01-01", ignore=["thoonk", "fakeredis"], real_asyncio=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["queue", "job"])
def test_a_timeout_ends_while_time_is_frozen(world: World, kind: str) -> None:
    with frozen, Thoonk(backend=world.url) as thoonk:
        with pytest.raises(Empty):
            getattr(thoonk, kind)("f").get(timeout=0.1)
        with thoonk.feed("g").subscribe() as notices, pytest.raises(Empty):
            notices.get(timeout=0.1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_an_async_timeout_ends_while_time_is_frozen(world: World, kind: str) -> None:
    with frozen:
        async with AsyncThoonk(backend=world.url) as thoonk:
            feed = await getattr(thoonk, kind)("f")
            with pytest.raises(Empty):
                await feed.get(timeout=0.1)
            other = await thoonk.feed("g")
            async with other.subscribe() as notices:
                with pytest.raises(Empty):
                    await notices.get(timeout=0.1)
