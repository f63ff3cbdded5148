"""The library against a model of it: random operations, and no difference.

``THOONK_MODEL=long`` plays longer and other games each time; the default plays the same
few each time. What the long one finds is kept by hypothesis and played again first.
"""

from __future__ import annotations

import os
import zlib

import pytest
from conftest import World
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from model.arena import AsyncDriver, SyncDriver, arena
from model.machine import GAMES, Machine

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


# When it fails, hypothesis looks for a shorter game for up to five minutes.
@pytest.mark.timeout(600 if PROFILE == "default" else 0)
@pytest.mark.parametrize("driver", [SyncDriver, AsyncDriver], ids=["sync", "async"])
@pytest.mark.parametrize("game", GAMES)
def test_does_what_the_model_does(
    world: World, driver: type[SyncDriver | AsyncDriver], game: str
) -> None:
    """Whatever is done, by whom, in which order and with what time between."""
    with arena(world, driver()) as place:

        def machine() -> Machine:
            return Machine(place, GAMES[game])

        if PROFILE == "default":
            # The same each time, and another in each world.
            machine = seed(zlib.crc32(f"{world.name} {driver} {game}".encode()))(machine)
        run_state_machine_as_test(machine, settings=PROFILES[PROFILE])
