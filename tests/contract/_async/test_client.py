"""The client: how it is opened and closed."""

# ruff: noqa: RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

from typing import Any

import pytest
import redis.asyncio
from conftest import World

from thoonk import (
    AsyncThoonk,
    BackendUnavailable,
    Closed,
    InvalidType,
    InvalidValue,
    ThoonkError,
)
from thoonk.backends import open_async_backend
from thoonk.testing._async.helpers import until
from thoonk.testing._async.observed import AsyncObserved


async def test_a_client_is_a_context_manager_that_closes_it(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        feed = await client.feed("f")
        await feed.publish("x")
    with pytest.raises(Closed):
        await client.feed("f")
    with pytest.raises(Closed):
        await feed.publish("x")


async def test_the_block_is_left_by_its_own_error(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with AsyncThoonk(backend=world.url) as client:
            raise ZeroDivisionError
    with pytest.raises(Closed):
        await client.get_feed_names()


@pytest.mark.parametrize("listen", [False, True])
async def test_closing_twice_is_closing_once(world: World, listen: bool) -> None:
    client = AsyncThoonk(backend=world.url, listen=listen)
    await client.feed("f")
    await client.close()
    await client.close()


async def test_a_client_that_was_never_used_can_be_closed(world: World) -> None:
    await AsyncThoonk(backend=world.url).close()


async def test_every_method_of_a_closed_client_raises_closed(world: World) -> None:
    client = AsyncThoonk(backend=world.url, listen=True)
    queue = await client.queue("q")
    job = await client.job("j")
    await client.close()
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (client.open, ()),
        (client.feed, ("f",)),
        (client.pyqueue, ("f",)),
        (client.create_feed, ("f",)),
        (client.delete_feed, ("f",)),
        (client.feed_exists, ("f",)),
        (client.get_feed_names, ()),
        (client.get_config, ("f",)),
        (client.set_config, ("f", {"title": "x"})),
        (client.register_handler, ("publish", print)),
        (queue.put, ("x",)),
        (queue.get, (1,)),
        (queue.subscribe().__aenter__, ()),
        (job.get, (1,)),
        (job.get_result, ("1", 1)),
    ]
    for call, arguments in calls:
        with pytest.raises(Closed):
            await call(*arguments)


async def test_clients_share_what_is_stored(thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
    id = await (await thoonk.feed("f")).publish("x")
    assert await (await other.feed("f")).get_item(id) == "x"


async def test_host_port_and_db_are_positional(real_world: World) -> None:
    assert real_world.server is not None
    calls: list[Any] = []
    async with AsyncThoonk("localhost", real_world.server.port, 3, listen=True) as client:
        assert client.listening
        await client.register_handler("publish", lambda *arguments: calls.append(arguments))
        await (await client.feed("f")).publish("x", id="1")
        await until(lambda: calls)
    assert calls == [("f", "x", "1")]
    assert not real_world.raw.exists("feed.config:f")
    with real_world.server.client(db=3) as raw:
        assert raw.hget("feed.items:f", "1") == b"x"


async def test_dbs_are_worlds_of_their_own(real_world: World) -> None:
    elsewhere = real_world.url.removesuffix("/0") + "/5"
    async with AsyncThoonk(backend=real_world.url) as here, AsyncThoonk(backend=elsewhere) as there:
        await here.feed("f")
        await there.queue("f")
        assert await here.get_feed_names() == await there.get_feed_names() == {"f"}
        await there.delete_feed("f")
        assert await here.feed_exists("f")


async def test_memory_worlds_are_separate() -> None:
    async with AsyncThoonk(backend="memory") as first, AsyncThoonk(backend="memory") as second:
        await first.feed("f")
        assert await second.get_feed_names() == set()


async def test_a_named_memory_world_is_shared_and_outlives_its_clients(
    request: pytest.FixtureRequest,
) -> None:
    name = f"memory://{request.node.nodeid}"
    async with AsyncThoonk(backend=name) as first, AsyncThoonk(backend=name) as second:
        await first.feed("f")
        assert await second.get_feed_names() == {"f"}
    async with AsyncThoonk(backend=name) as third, AsyncThoonk(backend=name + "2") as elsewhere:
        assert await third.get_feed_names() == {"f"}
        assert await elsewhere.get_feed_names() == set()


async def test_a_backend_object_is_shared_and_not_closed(world: World) -> None:
    backend, is_ours = open_async_backend(world.url)
    assert is_ours
    try:
        first, second = AsyncThoonk(backend=backend), AsyncThoonk(backend=backend)
        feed = await first.feed("f")
        id = await feed.publish("x")
        await first.close()
        with pytest.raises(Closed):
            await first.feed("f")
        assert await (await second.feed("f")).get_item(id) == "x"
        await second.close()
        third = AsyncThoonk(backend=backend, listen=True)
        assert third.backend is backend
        assert await third.get_feed_names() == {"f"}
        await third.close()
    finally:
        await backend.close()
    with pytest.raises(Closed):
        await AsyncThoonk(backend=backend).get_feed_names()


async def test_any_object_with_the_four_methods_is_a_backend(thoonk: AsyncThoonk) -> None:
    recording = AsyncObserved(thoonk.backend)
    async with AsyncThoonk(backend=recording) as client:
        await (await client.feed("f")).publish("x", id="1")
    assert recording.closed == 0
    assert [type(operation).__name__ for operation in recording.sent] == [
        "CreateFeed",
        "RegisterFeed",
        "FeedPublish",
    ]
    assert await (await thoonk.feed("f")).get_ids() == ["1"]


async def test_a_redis_client_is_used_and_not_closed(real_world: World) -> None:
    redis_client = redis.asyncio.Redis.from_url(real_world.url)
    async with AsyncThoonk(backend=redis_client) as client:
        queue = await client.queue("q")
        await queue.put("x")
        assert await queue.get(timeout=5) == "x"
        with pytest.raises(ThoonkError):
            await queue.get(timeout=0.05)
    assert await redis_client.ping()
    await redis_client.aclose()


async def test_decode_responses_is_refused(real_world: World) -> None:
    with pytest.raises(InvalidValue, match="decode_responses"):
        AsyncThoonk(backend=real_world.url, decode_responses=True)
    with pytest.raises(InvalidValue, match="decode_responses"):
        AsyncThoonk(decode_responses=True)
    with pytest.raises(InvalidValue, match="decode_responses"):
        AsyncThoonk(backend=real_world.url + "?decode_responses=True")
    redis_client = redis.asyncio.Redis.from_url(real_world.url, decode_responses=True)
    with pytest.raises(InvalidValue, match="decode_responses"):
        AsyncThoonk(backend=redis_client)
    await redis_client.aclose()


def test_a_repr_shows_no_password() -> None:
    for client in (
        AsyncThoonk(backend="redis://user:secret@example.org:6380/2"),
        AsyncThoonk("example.org", 6380, 2, username="user", password="secret"),
    ):
        assert "secret" not in repr(client)
        assert "secret" not in repr(client.backend)
        assert "example.org:6380" in repr(client)


def test_host_and_backend_are_not_given_both() -> None:
    arguments: list[dict[str, Any]] = [{"host": "localhost"}, {"port": 6379}, {"db": 0}]
    for given in arguments:
        with pytest.raises(InvalidValue):
            AsyncThoonk(backend="memory", **given)


@pytest.mark.parametrize("scheme", ["nonsense", "nonsense://user:secret@host/0", "", "http://x"])
def test_an_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        AsyncThoonk(backend=scheme)
    assert "memory" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("backend", [5, object(), b"memory", ["memory"]])
def test_what_is_no_backend_is_refused(backend: object) -> None:
    with pytest.raises(InvalidType):
        AsyncThoonk(backend=backend)


def test_the_memory_backend_has_no_options() -> None:
    with pytest.raises(InvalidValue):
        AsyncThoonk(backend="memory", password="x")


@pytest.mark.parametrize("listen", [False, True])
async def test_a_server_that_is_not_there_is_an_error_of_ours(listen: bool) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        async with AsyncThoonk("127.0.0.1", 1, listen=listen) as client:
            await client.feed("f")
    assert caught.value.__cause__ is not None


async def test_errors_of_the_server_arrive_as_ours(world: World, thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    world.raw.set("feed.ids:f", "not a sorted set")
    with pytest.raises(ThoonkError) as caught:
        await feed.publish("x")
    assert caught.value.__cause__ is not None
