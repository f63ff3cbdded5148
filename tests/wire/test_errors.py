"""How a server's errors and a lost connection are told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import servers
from conftest import World
from redis import exceptions as driver
from redis._parsers.base import BaseParser

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends.redis import errors
from thoonk.backends.redis.commands import Call, Command, command_for
from thoonk.exceptions import (
    AccessDenied,
    BackendError,
    BackendFull,
    BackendUnavailable,
    OutcomeUnknown,
    ThoonkError,
)
from thoonk.operations import Entry, FeedNames, QueuePut
from thoonk.testing._sync.helpers import until
from thoonk.testing.proxy import between


def command(*, writes: bool = True) -> Command[Any]:
    operation: Any = QueuePut("q", (Entry("1", b"x"),)) if writes else FeedNames()
    return command_for(operation, Call("instance", "session", 1))


def told(reply: str) -> ThoonkError:
    """What becomes of an error reply, as the installed redis-py raises it."""
    error = BaseParser.parse_error(reply)
    if isinstance(error, errors.CONNECTION_ERRORS):
        return errors.answer_lost(error, command())
    return errors.refused(error, command())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", BackendUnavailable),
        ("LOADING Redis is loading the dataset in memory", BackendUnavailable),
        ("READONLY You can't write against a read only replica.", BackendUnavailable),
        ("MASTERDOWN Link with MASTER is down", BackendUnavailable),
        ("NOREPLICAS Not enough good replicas to write.", BackendUnavailable),
        ("MISCONF Redis is configured to save RDB snapshots", BackendUnavailable),
        ("UNBLOCKED force unblock from blocking operation", BackendUnavailable),
        ("CLUSTERDOWN The cluster is down", BackendUnavailable),
        ("TRYAGAIN Multiple keys request during rehashing of slot", BackendUnavailable),
        ("ERR max number of clients reached", BackendUnavailable),
        ("OOM command not allowed when used memory > 'maxmemory'.", BackendFull),
        ("NOAUTH Authentication required.", AccessDenied),
        ("WRONGPASS invalid username-password pair or user is disabled.", AccessDenied),
        ("NOPERM this user has no permissions to run the 'evalsha' command", AccessDenied),
        ("MOVED 15495 127.0.0.1:7103", errors.Elsewhere),
        ("ASK 15495 127.0.0.1:7103", errors.Elsewhere),
        ("CROSSSLOT Keys in request don't hash to the same slot", BackendError),
    ],
)
def test_a_servers_refusal_says_that_nothing_was_done(reply: str, kind: type[ThoonkError]) -> None:
    error = told(reply)
    assert type(error) is kind
    assert "nothing was done" in str(error)
    assert not isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    "error", [TimeoutError(), OSError(), driver.ConnectionError(), driver.TimeoutError()]
)
def test_an_error_without_a_text_is_told_with_one(error: Exception) -> None:
    for known in (
        errors.not_sent(error),
        errors.answer_lost(error, command()),
        errors.answer_lost(error, command(writes=False)),
    ):
        assert str(known).rpartition(": ")[2]
        assert any(word in str(known) for word in ("nothing was", "may or may not"))


async def test_a_silent_server_is_told_with_what_is_known(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        options: dict[str, Any] = {"socket_timeout": 0.2, "retry_for": 0}
        async with AsyncThoonk("127.0.0.1", proxy.port, **options) as thoonk:
            queue = await thoonk.queue("q")
            proxy.hold_replies()
            with pytest.raises(OutcomeUnknown, match=r"may or may not have taken effect: \w"):
                await queue.put("x")
            with pytest.raises(BackendUnavailable, match=r"nothing was \w+: \w"):
                await queue.get_ids()
            proxy.thaw()


SLOW = """
local stop = redis.call('TIME')[1] + 2
repeat until tonumber(redis.call('TIME')[1]) >= stop
"""


@pytest.mark.parametrize("name", servers.binaries())
def test_a_call_waits_for_the_slow_script_of_another_program(name: str, any_server: Any) -> None:
    with any_server("--lua-time-limit", "20", name=name) as server, server.client() as raw:
        with Thoonk(backend=server.url) as thoonk, Thoonk(backend=server.url) as fresh:
            queue = thoonk.queue("q")
            slow = threading.Thread(target=raw.eval, args=(SLOW, 0))
            slow.start()
            until(lambda: is_busy(server))
            queue.put("x")
            assert fresh.queue("q").get(timeout=5) == "x"
            slow.join()


async def test_an_async_call_waits_for_the_slow_script_too(any_server: Any) -> None:
    with any_server("--lua-time-limit", "20") as server, server.client() as raw:
        async with AsyncThoonk(backend=server.url) as thoonk:
            queue = await thoonk.queue("q")
            slow = asyncio.create_task(asyncio.to_thread(raw.eval, SLOW, 0))
            await asyncio.to_thread(until, lambda: is_busy(server))
            await queue.put("x")
            assert await queue.get(timeout=5) == "x"
            await slow


def is_busy(server: servers.Server) -> bool:
    with server.client() as raw:
        try:
            raw.ping()
        except driver.ResponseError as error:
            return "BUSY" in str(error)
    return False
