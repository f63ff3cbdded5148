"""Whatever a peer has written into the keys of a feed, commands print it or say what is wrong."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from conftest import World
from garbage import KINDS, VARIANTS, opened_with_an_item, spoil

from thoonk import Thoonk
from thoonk.cli.app import app

COMMANDS = (
    *("feeds", "feeds --json", "config f", "config f --json", "stats", "stats --json", "stats f"),
    *("items f", "items f --json", "ids f", "ids f --json", "item f a", "export f", "retract f a"),
    *("maintenance f", "get f --timeout 0.01", "job get f --timeout 0.01", "job retry f a"),
    "job result f a --no-wait",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_it_or_says_what_is_wrong(world: World, kind: str, command: str) -> None:
    for variant in VARIANTS[::3]:
        world.raw.flushall()
        with Thoonk(backend=world.url) as thoonk:
            opened_with_an_item(thoonk, kind)
            spoil(world.raw, variant)
            environment = {"THOONK_URL": world.url}
            done = CliRunner().invoke(app, command.split(), env=environment, prog_name="thoonk")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "Traceback" not in done.stderr
        assert done.exit_code == 0 or "Error: " in done.stderr or done.exit_code == 1
