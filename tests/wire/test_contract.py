"""contract.txt itself: what the code refers to is in it, and it can be read anywhere."""

from __future__ import annotations

import re
from pathlib import Path

from thoonk.backends.redis import scripts, wire
from thoonk.backends.redis.wire import Keys

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "contract.txt").read_text("utf-8")


def sections() -> set[str]:
    titles = re.findall(r"(?m)^(.+)\n-{3,}$", CONTRACT)
    return {name for title in titles for name in title.split(", ")}


def references(text: str) -> set[str]:
    found = set()
    for named in re.findall(r"(?:\(|-- )[Cc]ontract: ([^.()\n]+)", text):
        first, *others = named.strip().split(" / ")
        shared = first.rpartition(" ")[0]
        found |= {*first.split(", "), *(f"{shared} {other}" for other in others)}
    return found


def test_every_reference_in_the_code_has_its_section() -> None:
    files = [p for p in (ROOT / "thoonk").rglob("*") if p.suffix in (".py", ".lua")]
    found = {name for path in files for name in references(path.read_text("utf-8"))}
    assert len(found) > 30
    assert found - sections() == set()


def test_every_script_says_which_section_it_is() -> None:
    folder = ROOT / "thoonk/backends/redis/scripts"
    assert {path.stem for path in folder.glob("*.lua")} == {*scripts.names()}
    for path in folder.glob("*.lua"):
        first, *_ = path.read_text("utf-8").splitlines()
        assert first.startswith("-- Contract: "), path.name


def test_every_key_and_channel_is_in_the_contract() -> None:
    keys = wire.keys_of("F")
    channels = {k.decode() for k in wire.channels_of("F", "TOKEN")}
    stored = {getattr(keys, name).decode() for name in Keys.STORED}
    for name in {*channels, *stored, keys.result("ID").decode().replace("\0", "\\0")}:
        assert re.search(rf"(?m)^  {re.escape(name)} ", CONTRACT), name


def test_it_has_a_version_and_lines_of_80_ascii_characters() -> None:
    assert re.search(r"(?m)^Version \d+\.\d+$", CONTRACT)
    assert CONTRACT.isascii()
    assert max(map(len, CONTRACT.splitlines())) <= 80
