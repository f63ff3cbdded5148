"""What is larger than the server takes is refused, by name, and not tried for ever."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
import servers
from conftest import smallest_rule

from thoonk import AsyncThoonk, ItemTooLarge, Thoonk

MIB = 1 << 20
LARGE = "x" * (3 * MIB)

LIMITS = {
    "proto-max-bulk-len": ("--proto-max-bulk-len", "1mb"),
    "client-query-buffer-limit": ("--client-query-buffer-limit", "1mb"),
}


@pytest.fixture(params=servers.binaries())
def name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("setting", LIMITS)
def test_an_item_that_the_server_does_not_take_is_refused_at_once(
    any_server: Callable[..., Any], name: str, setting: str
) -> None:
    with any_server(*LIMITS[setting], name=name) as server, Thoonk(backend=server.url) as thoonk:
        queue, feed, job = thoonk.queue("q"), thoonk.feed("f"), thoonk.job("j")
        began = time.monotonic()
        id = job.put("small")
        claim = job.get(timeout=10)
        for call in (
            lambda: queue.put(LARGE),
            lambda: feed.publish(LARGE),
            lambda: job.put_many(["small", LARGE]),
            lambda: claim.finish(LARGE, result=True),
        ):
            with pytest.raises(ItemTooLarge, match=f"{setting} of 1048576 bytes") as caught:
                call()
            assert (caught.value.size, caught.value.allowed) == (3 * MIB, MIB)
            assert caught.value.setting == setting
        assert time.monotonic() - began < 8  # not tried again and again
        assert (len(queue), len(feed)) == (0, 0)
        claim.finish("small", result=True)
        assert job.get_result(id, timeout=10).result == "small"


async def test_an_item_that_the_server_does_not_take_is_refused_at_once_by_asyncio(
    any_server: Callable[..., Any], name: str
) -> None:
    with any_server(*LIMITS["proto-max-bulk-len"], name=name) as server:
        async with AsyncThoonk(backend=server.url) as thoonk:
            queue = await thoonk.queue("q")
            with pytest.raises(ItemTooLarge, match="proto-max-bulk-len"):
                await queue.put(LARGE)
            await queue.put("small")
            assert await queue.get(timeout=10) == "small"


def test_a_user_who_may_not_read_the_servers_settings_is_told_the_same(
    any_server: Callable[..., Any],
) -> None:
    with any_server(*LIMITS["proto-max-bulk-len"], name="valkey-8.1") as server:
        with contextlib.closing(server.client()) as raw:
            raw.execute_command(*smallest_rule())
        url = server.url.replace("//", "//thoonk:PASSWORD@")
        with Thoonk(backend=url) as thoonk:
            queue = thoonk.queue("q")
            with pytest.raises(ItemTooLarge, match="proto-max-bulk-len; nothing was done"):
                queue.put(LARGE)
