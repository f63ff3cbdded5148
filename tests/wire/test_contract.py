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


CHAPTERS = re.findall(r"(?m)^(\d\. .+)\n={3,}$", CONTRACT)


def contents() -> dict[str, list[str]]:
    """The sections of each chapter, as the table of contents has them."""
    _, table, _ = re.split(rf"^Contents\n-+$|^{CHAPTERS[0]}$\n=", CONTRACT, flags=re.MULTILINE)
    named: dict[str, list[str]] = {}
    for chapter in table.strip().split("\n\n"):
        title, *lines = (line.strip() for line in chapter.splitlines())
        words = re.sub(r"(^|\. )[A-Z][a-z ]+: ", r"\1", " ".join(lines)).rstrip(".")
        named[title] = re.split(r"\. |, ", words)
    return named


def test_the_contents_are_the_sections_of_each_chapter_in_order() -> None:
    said = contents()
    assert [*said] == CHAPTERS
    for number, chapter in enumerate(CHAPTERS):
        text = CONTRACT.partition(f"\n{chapter}\n=")[2]
        if number + 1 < len(CHAPTERS):
            text = text.partition(f"\n{CHAPTERS[number + 1]}\n=")[0]
        titles = re.findall(r"(?m)^(.+)\n-{3,}$", text)
        assert said[chapter] == [name for title in titles for name in title.split(", ")]


def test_no_two_sections_have_one_name() -> None:
    titles = re.findall(r"(?m)^(.+)\n-{3,}$", CONTRACT)
    assert len({*titles}) == len(titles)


def test_what_is_said_of_version_2_has_its_section_of_version_1() -> None:
    added = {name for name in sections() if name.endswith(" since 2")}
    assert len(added) > 10
    assert {name.removesuffix(" since 2") for name in added} - sections() == set()


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


def test_scripts_call_their_keys_by_name() -> None:
    folder = ROOT / "thoonk/backends/redis/scripts"
    for path in folder.rglob("*.lua"):
        assert not re.search(r"KEYS\[\d", path.read_text("utf-8")), path.name
    for name in scripts.names():
        script = scripts.load(name)
        assert script.keys, name
        assert not re.search(r"\bkeys\b", script.text.decode()), name
        for key in script.keys:
            assert isinstance(getattr(wire.keys_of("F"), key), bytes), (name, key)
    assert {*scripts.load("delete_feed").keys} == {*Keys.STORED}


def test_every_key_and_channel_is_in_the_contract() -> None:
    keys = wire.keys_of("F")
    own = [*wire.CATALOGUE_CHANNELS, *wire.channels_of("F"), wire.marker_channel("TOKEN")]
    channels = {channel.decode() for channel in own}
    stored = {getattr(keys, name).decode() for name in Keys.STORED}
    for name in {*channels, *stored, keys.result("ID").decode().replace("\0", "\\0")}:
        assert re.search(rf"(?m)^  {re.escape(name)} ", CONTRACT), name


def test_it_has_a_version_and_lines_of_80_ascii_characters() -> None:
    assert re.search(r"(?m)^Version \d+\.\d+$", CONTRACT)
    assert CONTRACT.isascii()
    assert max(map(len, CONTRACT.splitlines())) <= 80
