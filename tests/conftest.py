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
from selection import Case, by_turns

from thoonk.backends.memory import World as Memory

# Tests send signals to themselves and to their children.
processes.restore_signals()

# The assertions of the model are not in a test file, and say what differs all the same.
pytest.register_assert_rewrite("model.machine", "model.model", "mirror")

MEMORY = "memory"
SERVERS = servers.binaries()
RESTRICTED = "valkey-8.1"
"""In this world the library works as a user with no rights but those it needs."""

ALIKE = (
    "tests/cli/",
    "tests/cluster/test_cuts.py",
    "tests/cluster/test_first_calls.py",
    "tests/cluster/test_kit.py",
    "tests/conform/",
    "tests/contract/test_",
    "tests/contract/_sync/",
    "tests/doctor/test_command.py",
    "tests/doctor/test_healthy.py",
    "tests/examples/",
    "tests/reliability/",
    "tests/web/",
    "tests/wire/test_commands.py",
    "tests/wire/test_contents.py",
    "tests/wire/test_garbage.py",
)
"""Tests for which one server is like another: they take turns even when all are asked for.

Scripts are tried on each server by `tests/contract/_async`, from which `_sync` is generated, and by
the rest of `tests/wire`. These here are about the client, its connections, and garbage.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many worlds, and whether what is slow."""
    group = parser.getgroup("tests of Thoonk")
    group.addoption(
        "--full",
        action="store_true",
        help="every server where they may differ, and what is slow; else each test takes one",
    )
    group.addoption(
        "--server",
        choices=SERVERS,
        help="no server but this; each test of tests/contract takes it or memory",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell the marker."""
    config.addinivalue_line("markers", "slow: runs with --full, or when its file is named")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out worlds in which a test is not asked for, and what is slow.

    A server that is named in a name of a test or behind ``-k`` has no turns: it is asked for.
    """
    full, server = config.getoption("--full"), config.getoption("--server")
    asked = " ".join([*config.args, config.getoption("keyword")])
    wanted: dict[pytest.Item, Case | None] = {}
    for item in items:
        if not item.get_closest_marker("slow") or full or item.path.name in asked:
            world = _world_of(item)
            if world is None:
                wanted[item] = None
            elif server is None or world in (MEMORY, server):
                wanted[item] = Case(item.nodeid, world)
    cases = {case for case in wanted.values() if case is not None}
    if server is not None:
        contract = {case for case in cases if case.test.startswith("tests/contract/")}
        cases = cases - contract | by_turns(contract)
    elif not any(name in asked for name in SERVERS):
        in_turn = {case for case in cases if not full or case.test.startswith(ALIKE)}
        cases = cases - in_turn | by_turns(in_turn, always=(MEMORY,), absent=_absent())
    chosen = {*cases, None}
    left_out = [i for i in items if i not in wanted or wanted[i] not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = {*left_out}
        items[:] = [item for item in items if item not in gone]


def _world_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    names = (MEMORY, *SERVERS)
    return next((value for value in values if isinstance(value, str) and value in names), None)


def _absent() -> set[str]:
    """Servers without which tests are skipped: another has their turn."""
    if servers.servers_are_required():
        return set()
    return {name for name, binary in SERVERS.items() if binary is None}


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


def rules_of_the_page() -> list[list[str]]:
    """The words of each command in docs/security.md that makes a user."""
    text = (Path(__file__).parent.parent / "docs/security.md").read_text("utf-8")
    blocks = re.findall(r"```text\n(ACL SETUSER .*?)```", text, re.DOTALL)
    return [block.split() for block in blocks]


def smallest_rule() -> list[str]:
    """The rule for a user that may do what Thoonk needs, and no more."""
    return rules_of_the_page()[0]


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
