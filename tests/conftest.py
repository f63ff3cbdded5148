"""Fixtures for all tests: the worlds that the library is tried in."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import processes
import pytest
import redis
import servers
from fakeredis import FakeRedis

from thoonk.backends.memory import World as Memory

# Tests send signals to themselves and to their children.
processes.restore_signals()

# The assertions of the model are not in a test file, and say what differs all the same.
pytest.register_assert_rewrite("model.machine", "model.model", "mirror")

MEMORY = "memory"
RESTRICTED = "valkey-8.1"
"""In this world the library works as a user with no rights but those it needs."""


@attrs.frozen
class World:
    """Somewhere feeds can live: a backend's URL, and a way to look behind it.

    ``raw`` is a plain redis-py client (a fakeredis one for memory) for what a peer
    written from contract.txt would see and do. ``server`` is None for memory.
    """

    name: str
    url: str
    raw: redis.Redis
    server: servers.Server | None = None


def _binary(name: str) -> str:
    binary = servers.binaries()[name]
    if binary is None:
        message = f"no server {name!r} on this machine"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
    return binary


@pytest.fixture(scope="session")
def running_server() -> Iterator[Callable[[str], servers.Server]]:
    """Servers by name, each started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        started: dict[str, servers.Server] = {}

        def get(name: str) -> servers.Server:
            if name not in started:
                started[name] = stack.enter_context(servers.running(_binary(name)))
            return started[name]

        yield get


def smallest_rule() -> list[str]:
    """The words of the command in docs/security.md that makes such a user."""
    text = (Path(__file__).parent.parent / "docs/security.md").read_text("utf-8")
    block = re.search(r"```text\n(ACL SETUSER .*?)```", text, re.DOTALL)
    assert block is not None
    return block[1].split()


def _world(name: str, running_server: Callable[[str], servers.Server]) -> Iterator[World]:
    if name == MEMORY:
        memory = f"test-{uuid.uuid4().hex}"
        fake = FakeRedis(server=Memory.named(memory).server, protocol=2)
        yield World(name, f"memory://{memory}", fake)
        fake.close()
        Memory.forget(memory)
        return
    server = running_server(name)
    url = server.url
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
        raw.script_flush()
        if name == RESTRICTED:
            raw.execute_command(*smallest_rule())
            url = url.replace("//", "//thoonk:PASSWORD@")
        yield World(name, url, raw, server)


@pytest.fixture(params=[MEMORY, *servers.binaries()])
def world(
    request: pytest.FixtureRequest, running_server: Callable[[str], servers.Server]
) -> Iterator[World]:
    """Every world, one after the other, empty."""
    yield from _world(request.param, running_server)


@pytest.fixture(params=[*servers.binaries()])
def real_world(
    request: pytest.FixtureRequest, running_server: Callable[[str], servers.Server]
) -> Iterator[World]:
    """Every world that is a real server, empty."""
    yield from _world(request.param, running_server)


@pytest.fixture
def any_server() -> Callable[..., Any]:
    """Start a private server with options: ``with any_server("--appendonly", "yes") as s``."""

    def start(*options: str, name: str = "redis-6.2") -> Any:
        return servers.running(_binary(name), *options)

    return start
