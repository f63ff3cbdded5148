"""docs/adding-an-operation.md names files that are there, and in which its example is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/adding-an-operation.md").read_text("utf-8")
NAMED = {ROOT / path for path in re.findall(r"(?m)^\| `([^`]+)` \|", PAGE)}


def test_every_file_that_it_names_is_there() -> None:
    assert len(NAMED) > 30
    assert [path for path in NAMED if not path.exists()] == []


def test_the_example_is_in_each_of_them() -> None:
    # Those that test something else, of all operations alike.
    general = re.findall(r"(?m)^\| `(tests/[^`]+)` \| every ", PAGE)
    code = {p for p in NAMED if p.suffix in (".py", ".lua", ".js", ".json")}
    code -= {ROOT / path for path in general if "keys_and_notices" not in path}
    assert len(code) > 15
    assert [p for p in code if "confirm" not in f"{p.name} {p.read_text('utf-8').lower()}"] == []


def test_the_directives_of_the_script_that_it_shows_are_explained() -> None:
    script = ROOT / "thoonk/backends/redis/scripts/queue_confirm.lua"
    used = {*re.findall(r"(?m)^--@ (\w+)", script.read_text("utf-8"))}
    assert used == {*re.findall(r"`--@ (\w+)", PAGE)}
