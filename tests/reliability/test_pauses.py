"""Servers that hold back what clients write for a while, as they do when a replica takes over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import servers
from conftest import _binary
from either import entered, settle

from thoonk import AsyncThoonk, Closed, Empty, Queue, Thoonk, ThoonkError
from thoonk.exceptions import OutcomeUnknown


@pytest.fixture(params=servers.binaries())
def server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    """A server of the test's own: it may be the last that it does."""
    with servers.running(_binary(request.param)) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Opens a client of either kind."""
    return {"sync": Thoonk, "async": AsyncThoonk}[request.param]


def take(queue: Any, timeout: float) -> Any:
    """An item, or what is raised, from a thread or a task of its own."""

    async def get() -> Any:
        try:
            if isinstance(queue, Queue):
                return await asyncio.to_thread(queue.get, timeout=timeout)
            return await queue.get(timeout=timeout)
        except ThoonkError as error:
            return type(error)

    return asyncio.ensure_future(get())


def is_blocked(raw: Any) -> bool:
    return any(each["cmd"] == "brpoplpush" and "b" in each["flags"] for each in raw.client_list())


async def becomes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def held_back(raw: Any, thoonk: Any, seconds: float) -> AsyncIterator[tuple[Any, list[Any]]]:
    """A queue, and two takers of it, the second of which begins to block while writes are held.

    To end a wait with CLIENT UNBLOCK while the server holds it back is the end of many a server:
    https://github.com/valkey-io/valkey/issues/2111
    """
    queue = await settle(thoonk.queue("q"))
    first = take(queue, 2.5)
    await becomes_true(lambda: is_blocked(raw))
    second = take(queue, 2.5 + seconds)
    await becomes_true(lambda: len(thoonk.backend._blocking._lines.places("q")) == 2)
    raw.execute_command("CLIENT", "PAUSE", 4500, "WRITE")
    yield queue, [first, second]
    raw.ping()


async def test_waits_that_end_while_writes_are_held_back(
    server: servers.Server, client: Callable[..., Any]
) -> None:
    raw = server.client()
    async with (
        entered(client(backend=server.url)) as thoonk,
        held_back(raw, thoonk, 0.3) as (queue, takers),
    ):
        began = time.monotonic()
        assert await asyncio.gather(*takers) == [Empty, Empty]
        assert time.monotonic() - began < 20
        await settle(queue.put("x"))
        assert await settle(queue.get(timeout=10)) == "x"
        assert await settle(queue.get_ids()) == []
        third = take(queue, 20)
        await becomes_true(lambda: is_blocked(raw))
        await settle(queue.put("y"))
        assert await third == "y"


async def test_a_client_that_is_closed_while_writes_are_held_back(
    server: servers.Server, client: Callable[..., Any]
) -> None:
    raw = server.client()
    async with (
        entered(client(backend=server.url)) as thoonk,
        held_back(raw, thoonk, 20) as (_, takers),
    ):
        assert len(thoonk.backend._blocking._lines.places("q")) == 2
        await becomes_true(lambda: len(thoonk.backend._blocking._lines.places("q")) == 1)
        await becomes_true(lambda: is_blocked(raw))
        if isinstance(thoonk, Thoonk):
            await asyncio.to_thread(thoonk.close)
        else:
            await thoonk.close()
        # The first asks once more before it gives up, and is held back there.
        assert await takers[0] in (Empty, Closed, OutcomeUnknown)
        assert await takers[1] is Closed


async def test_a_task_that_is_cancelled_while_writes_are_held_back(server: servers.Server) -> None:
    raw = server.client()
    async with (
        entered(AsyncThoonk(backend=server.url)) as thoonk,
        held_back(raw, thoonk, 20) as (queue, takers),
    ):
        await becomes_true(lambda: len(thoonk.backend._blocking._lines.places("q")) == 1)
        await becomes_true(lambda: is_blocked(raw))
        takers[1].cancel()
        await asyncio.wait(takers)
        assert takers[1].cancelled()
        await queue.put("x")
        assert await queue.get(timeout=10) == "x"
        assert await queue.get_ids() == []
