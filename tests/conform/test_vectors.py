"""The vectors themselves: what they speak of is there, and all that is there is spoken of."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from thoonk.conform.adapter import CODES, Adapter
from thoonk.conform.runner import CONTRACT
from thoonk.conform.vector import FEATURES, load, operations, parse
from thoonk.exceptions import InvalidValue

TEXT = (Path(__file__).parents[2] / "contract.txt").read_text("utf-8")
VECTORS = load()


def sections() -> list[str]:
    titles = re.findall(r"(?m)^(.+)\n-{3,}$", TEXT)
    return [name for title in titles for name in title.split(", ")]


def operation(section: str) -> str:
    """What a section of the contract is about, in whichever version."""
    return section.removesuffix(" since 2")


def test_each_is_of_a_section_of_the_contract() -> None:
    assert {vector.section for vector in VECTORS} <= {*sections()}


def test_every_operation_of_the_contract_has_vectors_of_both_outcomes() -> None:
    """Sections of operations begin with a small letter; some others tell of several."""
    names = {name for name in sections() if name[0].islower()}
    names |= {"Taking", "Blocking takes", "Pauses", "Ids that may be taken", "Scheduled jobs"}
    tried = {vector.section for vector in VECTORS}
    assert names - tried == set()
    done = {operation(v.section) for v in VECTORS if not v.steps[0].refused}
    refused = {operation(v.section) for v in VECTORS if any(step.refused for step in v.steps)}
    both = {*map(operation, names)}
    assert both - done == set()
    reading = {"get_ids", "get_item", "get_all", "get_result", "Taking", "Blocking takes"}
    reading |= {"worker report", "worker remove", "worker list"}
    reading |= {"Pauses", "Ids that may be taken", "Scheduled jobs"}
    assert both - refused - reading == {"create"}  # which answers instead


def test_what_version_2_adds_to_a_section_is_for_its_peers_alone() -> None:
    added = [vector for vector in VECTORS if vector.section.endswith(" since 2")]
    assert len(added) > 40
    assert {vector.title for vector in added if 1 in vector.levels} == set()


def test_every_key_and_channel_of_the_contract_is_in_them() -> None:
    said = " ".join(
        file.read_text("utf-8")
        for file in (resources.files("thoonk.conform") / "vectors").iterdir()
        if file.name.endswith(".json")
    )
    named = re.findall(r"(?m)^  ((?:feed|job)\.\w+:|newfeed|delfeed|conffeed|feeds)", TEXT)
    assert len(named) > 20
    assert [name for name in named if f'"{name}' not in said] == []


def test_no_two_have_one_title() -> None:
    titles = Counter(vector.title for vector in VECTORS)
    assert [title for title, count in titles.items() if count > 1] == []


def test_they_are_of_the_contracts_version() -> None:
    assert f"\nVersion {CONTRACT}\n" in TEXT


def test_what_a_peer_may_lack_is_required_somewhere() -> None:
    assert {name for vector in VECTORS for name in vector.requires} == {*FEATURES}
    assert not FEATURES.keys() & operations(VECTORS)


def test_every_refusal_can_be_told_by_the_adapter() -> None:
    refused = {step.refused for vector in VECTORS for step in vector.steps} - {""}
    assert refused == {*(code for _, code in CODES), "overtaken"}


def test_every_operation_is_one_of_the_adapter() -> None:
    assert all(hasattr(Adapter, name.replace(" ", "_")) for name in operations(VECTORS))


@pytest.mark.parametrize(
    "fault", [{"colour": "red"}, {"requires": ["magic"]}, {"levels": [3]}], ids=str
)
def test_a_misspelt_vector_is_refused(fault: dict[str, object]) -> None:
    good = {"name": "N", "section": "S", "operation": "get_names"}
    assert parse(json.dumps({"states": {}, "vectors": [good]}))[0].title == "S: N"
    with pytest.raises(InvalidValue, match="'N'"):
        parse(json.dumps({"states": {}, "vectors": [{**good, **fault}]}))
