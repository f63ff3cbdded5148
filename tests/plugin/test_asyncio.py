"""What stands between a client for asyncio and its backend in a test: a prefix, and faults."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator

import pytest

from thoonk import (
    AsyncThoonk,
    BackendUnavailable,
    Empty,
    FeedDoesNotExist,
    Gap,
    OutcomeUnknown,
    Published,
)
from thoonk.backends import open_async_backend
from thoonk.backends.memory import World as Memory
from thoonk.testing._async.faulty import AsyncFaulty
from thoonk.testing._async.prefixed import AsyncPrefixed
from thoonk.testing.faults import Faults

Client = Callable[[str], AsyncThoonk]


@pytest.fixture
def url() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    yield f"memory://{name}"
    Memory.forget(name)


@pytest.fixture
def client(url: str) -> Client:
    return lambda prefix: AsyncThoonk(backend=AsyncPrefixed(open_async_backend(url)[0], prefix))


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def faulty(url: str, faults: Faults) -> AsyncThoonk:
    return AsyncThoonk(backend=AsyncFaulty(open_async_backend(url)[0], faults))


async def test_each_prefix_is_a_world_of_its_own(client: Client, url: str) -> None:
    async with client("a.") as ours, client("b.") as theirs, AsyncThoonk(backend=url) as all:
        feed, other = await ours.feed("f"), await theirs.feed("f")
        async with feed.subscribe() as notices:
            await other.publish("theirs", id="1")
            await feed.publish("ours", id="1")
            assert await notices.get(timeout=5) == Published("f", "1", "ours")
            with pytest.raises(Empty):
                await notices.get(timeout=0.05)
        assert await other.get_item("1") == "theirs"
        assert await ours.get_feed_names() == {"f"}
        assert await all.get_feed_names() == {"a.f", "b.f"}


async def test_whoever_hears_all_feeds_hears_those_with_the_prefix(
    client: Client, url: str
) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def published(feed: str, item: str, id: str) -> None:
        heard.put_nowait((feed, item))

    backend = AsyncPrefixed(open_async_backend(url)[0], "a.")
    async with AsyncThoonk(backend=backend, listen=True) as ours, client("b.") as theirs:
        await ours.register_handler("publish", published)
        await (await theirs.feed("f")).publish("theirs")
        await (await ours.feed("f")).publish("ours")
        assert await asyncio.wait_for(heard.get(), 5) == ("f", "ours")


async def test_takers_wait_and_errors_tell_the_name_without_the_prefix(client: Client) -> None:
    async with client("a.") as ours, client("b.") as theirs:
        queue = await ours.queue("q")
        taker = asyncio.ensure_future(queue.get(timeout=60))
        await (await theirs.queue("q")).put("theirs")
        await queue.put("ours")
        assert await taker == "ours"
        with pytest.raises(Empty):
            await queue.get(timeout=0.01)
        waiting = asyncio.ensure_future(queue.get(timeout=60))
        await asyncio.sleep(0)
        await ours.delete_feed("q")
        for refused in (waiting, queue.put("x")):
            with pytest.raises(FeedDoesNotExist) as caught:
                await refused
            assert caught.value.feed == "q"
            assert "a." not in str(caught.value)


async def test_faults_are_what_a_client_for_asyncio_sees(
    faulty: AsyncThoonk, faults: Faults
) -> None:
    async with faulty:
        feed, queue = await faulty.feed("f"), await faulty.queue("q")
        async with feed.subscribe() as notices:
            faults.lose_reply()
            with pytest.raises(OutcomeUnknown):
                await feed.publish("x", id="1")
            assert await notices.get(timeout=5) == Published("f", "1", "x")
            faults.cut()
            assert await notices.get(timeout=5) == Gap("f")
            with faults.refuse():
                with pytest.raises(BackendUnavailable):
                    await queue.put("x")
                with pytest.raises(Empty):
                    await notices.get(timeout=0.05)
            assert await notices.get(timeout=5) == Gap("f")
        assert await feed.get_ids() == ["1"]
        assert len(await queue.get_ids()) == 0
