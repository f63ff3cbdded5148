"""The library against a model of it: random operations, and no difference.

``THOONK_MODEL=long`` plays longer and other games each time; the default plays the same
few each time. What the long one finds is kept by hypothesis and played again first.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from conftest import World
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from model.arena import Arena, AsyncDriver, SyncDriver, arena, embedded_arena
from model.machine import GAMES, Machine

from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.sqlite import SqliteStore
from thoonk.backends.embedded.store import Store

_SHARED = settings(
    deadline=None, print_blob=True, suppress_health_check=[*HealthCheck], report_multiple_bugs=False
)
PROFILES = {
    "default": settings(_SHARED, max_examples=10, stateful_step_count=40, database=None),
    "long": settings(
        _SHARED,
        max_examples=int(os.environ.get("THOONK_MODEL_EXAMPLES", "1000")),
        stateful_step_count=100,
    ),
}
PROFILE = os.environ.get("THOONK_MODEL", "default")


_drivers = pytest.mark.parametrize("driver", [SyncDriver, AsyncDriver], ids=["sync", "async"])
# When it fails, hypothesis looks for a shorter game for up to five minutes.
_patient = pytest.mark.timeout(600 if PROFILE == "default" else 0)


def play(place: Arena, game: str, name: str) -> None:
    """Games of one kind. ``name`` says which, where they are the same each time."""

    def machine() -> Machine:
        return Machine(place, GAMES[game])

    if PROFILE == "default":
        machine = seed(zlib.crc32(name.encode()))(machine)
    run_state_machine_as_test(machine, settings=PROFILES[PROFILE])


@_patient
@_drivers
@pytest.mark.parametrize("game", GAMES)
def test_does_what_the_model_does(
    world: World, driver: type[SyncDriver | AsyncDriver], game: str
) -> None:
    """Whatever is done, by whom, in which order and with what time between."""
    with arena(world, driver()) as place:
        play(place, game, f"{world.name} {driver} {game}")


@_patient
@_drivers
@pytest.mark.parametrize("store", ["embedded", "sqlite"])
@pytest.mark.parametrize("game", GAMES)
def test_the_embedded_engine_does_what_the_model_does(
    store: str, driver: type[SyncDriver | AsyncDriver], game: str, tmp_path: Path
) -> None:
    """On each of its stores. On a file, each client has an engine of its own."""

    def open_store() -> Store:
        return MemoryStore() if store == "embedded" else SqliteStore(str(tmp_path / "feeds.db"))

    with embedded_arena(open_store, driver()) as place:
        play(place, game, f"{store} {driver} {game}")
