"""A call that is to be on replicas says whether it is (``wait_replicas``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import servers
from either import entered, settle

from thoonk import AsyncThoonk, InvalidType, InvalidValue, NotReplicated, Thoonk
from thoonk.testing.proxy import Cut, between

PATIENCE = 30.0


@pytest.fixture(params=[Thoonk, AsyncThoonk], ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    kind: Callable[..., Any] = request.param
    return kind


@attrs.frozen
class Pair:
    """A master and its replica."""

    master: servers.Server
    replica: servers.Server
    raw: Any

    def confirms(self) -> bool:
        """Whether the replica has what the master has."""
        self.raw.set("probe", "x")
        return bool(self.raw.wait(1, 100))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The replica gets nothing meanwhile."""
        self.replica.kill(signal.SIGSTOP)
        try:
            yield
        finally:
            self.replica.kill(signal.SIGCONT)
            deadline = time.monotonic() + PATIENCE
            while not self.confirms():
                assert time.monotonic() < deadline


# They differ in what WAIT counts: all of them, also where one stands for all elsewhere.
@pytest.fixture(params=[*servers.binaries()])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    binary = servers.binaries()[request.param]
    with (
        servers.running(binary, "--repl-diskless-sync-delay", "0") as master,
        servers.running(master.binary, "--replicaof", "127.0.0.1", str(master.port)) as replica,
        contextlib.closing(master.client()) as raw,
    ):
        pair = Pair(master, replica, raw)
        deadline = time.monotonic() + PATIENCE
        while not pair.confirms():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield pair


async def opened(call: Callable[[], Any]) -> Any:
    """Open a feed with a client that is impatient, on a machine that may be busy."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await settle(call())
        except NotReplicated:
            assert time.monotonic() < deadline


async def put(pair: Pair, client: Callable[..., Any], item: str) -> None:
    """Put an item with a client that is patient."""
    url = pair.master.url
    async with entered(client(backend=url, wait_replicas=1, wait_timeout=20)) as patient:
        await settle((await settle(patient.queue("q"))).put(item))


async def test_a_call_returns_when_a_replica_has_it(pair: Pair, client: Callable[..., Any]) -> None:
    async with entered(client(backend=pair.master.url, wait_replicas=1, wait_timeout=20)) as thoonk:
        queue = await settle(thoonk.queue("q"))
        with contextlib.closing(pair.replica.client()) as raw:
            for number in range(1, 20):
                await settle(queue.put(f"{number}"))
                assert raw.llen("feed.ids:q") == number
            assert await settle(queue.get()) == "1"
            assert raw.hlen("feed.items:q") == 18


async def test_a_call_that_no_replica_has_is_done_and_says_so(
    pair: Pair, client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{pair.master.url}?wait_replicas=1&wait_timeout=0.2"
    async with entered(client(backend=url)) as thoonk:
        queue = await opened(lambda: thoonk.queue("q"))
        feed = await opened(lambda: thoonk.feed("f"))
        await put(pair, client, "first")
        with pair.stopped():
            with pytest.raises(
                NotReplicated, match=r"QueuePut was done, but only 0 of 1"
            ) as caught:
                await settle(queue.put("x"))
            assert (caught.value.confirmed, caught.value.wanted) == (0, 1)
            with pytest.raises(NotReplicated):
                await settle(feed.publish("x", id="1"))
            # Reading needs no replica.
            assert await settle(feed.get_item("1")) == "x"
            assert len(await settle(queue.get_ids())) == 2
            # An item that was taken reaches its consumer.
            with caplog.at_level(logging.WARNING):
                assert await settle(queue.get()) == "first"
            assert [r.event for r in caplog.records if hasattr(r, "event")] == ["not_replicated"]
        await put(pair, client, "y")
        assert [await settle(queue.get()) for _ in range(2)] == ["x", "y"]


async def test_a_repeated_call_is_not_taken_for_replicated(
    pair: Pair, client: Callable[..., Any]
) -> None:
    with between(pair.master) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}?wait_replicas=1&wait_timeout=0.3"
        async with entered(client(backend=url)) as thoonk:
            queue = await opened(lambda: thoonk.queue("q"))
            await put(pair, client, "first")
            with pair.stopped():
                # It is done, and its repetition over another connection writes nothing.
                proxy.armed = [Cut.AFTER]
                with pytest.raises(NotReplicated):
                    await settle(queue.put("x"))
                assert proxy.done == [Cut.AFTER]
            assert await settle(queue.count()) == 2


async def test_a_user_who_may_not_wait_hears_that_the_change_is_made(
    pair: Pair, client: Callable[..., Any]
) -> None:
    pair.raw.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-wait")
    url = f"redis://u:p@127.0.0.1:{pair.master.port}?wait_replicas=1&wait_timeout=20"
    async with entered(client(backend=url)) as thoonk:
        with pytest.raises(NotReplicated, match="permission"):
            await settle(thoonk.queue("q"))
        pair.raw.execute_command("ACL", "SETUSER", "u", "+wait")
        queue = await settle(thoonk.queue("q"))
        await settle(queue.put("x"))
        assert await settle(queue.count()) == 1


async def test_many_calls_at_once_share_the_wait(pair: Pair) -> None:
    async with AsyncThoonk(backend=pair.master.url, wait_replicas=1, wait_timeout=1) as thoonk:
        queue = await opened(lambda: thoonk.queue("q"))
        puts = [queue.put("x") for _ in range(200)]
        # On a busy machine, some may not be confirmed in time.
        done = await asyncio.gather(*puts, return_exceptions=True)
        assert {type(each) for each in done} <= {str, NotReplicated}
        assert await queue.count() == 200
        with pair.stopped():
            begun = time.monotonic()
            puts = [queue.put("y") for _ in range(200)]
            done = await asyncio.gather(*puts, return_exceptions=True)
            assert {type(each) for each in done} == {NotReplicated}
            # One after another, they would take three minutes.
            assert time.monotonic() - begun < 60
        assert await queue.count() == 400


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"wait_replicas": -1}, InvalidValue, "wait_replicas must be 0 to 100, not -1"),
        ({"wait_replicas": True}, InvalidType, "wait_replicas must be an int, not bool"),
        ({"wait_replicas": "1"}, InvalidType, "wait_replicas must be an int, not str"),
        ({"wait_timeout": 0}, InvalidValue, "wait_timeout must be more than 0 seconds, not 0"),
        ({"wait_timeout": "1"}, InvalidType, "wait_timeout must be a number of seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: Callable[..., Any], options: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        client(backend="redis://localhost", **options)
