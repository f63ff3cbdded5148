"""Which partition an id belongs to: the same in every program and version."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from thoonk import InvalidType, InvalidValue
from thoonk.backends.redis.slots import slot_of
from thoonk.names import new_id
from thoonk.partitions import keyed_id, partition_names, partition_of

CONTRACT = Path(__file__).parent.parent / "contract.txt"

# Items that wait in a partition would not be found any more if this changed.
WHERE = {
    id: int(number)
    for id, number in re.findall(
        r"^  (\S+) +(\d+)$",
        CONTRACT.read_text("utf-8").partition("  id          partition\n")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
}


def test_the_contract_has_examples() -> None:
    assert len(WHERE) == 7


@pytest.mark.parametrize("id", WHERE)
def test_an_id_stays_where_it_is(id: str) -> None:
    assert partition_of(id, 16) == WHERE[id]


def test_the_rule_is_that_of_a_clusters_slots() -> None:
    chance = random.Random(3)
    for _ in range(500):
        id = "".join(chance.choices("ab{}", k=8))
        assert partition_of(id, 1 << 14) == slot_of(id)


@pytest.mark.parametrize("partitions", [1, 2, 3, 7, 16, 100])
def test_new_ids_are_spread(partitions: int) -> None:
    counts = Counter(partition_of(new_id(), partitions) for _ in range(200 * partitions))
    assert sorted(counts) == [*range(partitions)]
    assert min(counts.values()) > 100


def test_ids_of_a_key_differ_and_stay_together() -> None:
    ids = {keyed_id("Ann") for _ in range(100)}
    assert len(ids) == 100
    assert {partition_of(id, 64) for id in ids} == {partition_of("Ann", 64)}


def test_partitions_are_in_different_slots() -> None:
    names = partition_names("orders", 16)
    assert names[:2] == ("{orders:0}", "{orders:1}")
    assert len({slot_of(f"feed.ids:{name}") for name in names}) == 16


@pytest.mark.parametrize("key", ["", "a{", "}", "a\0b", 5, None, b"a"])
def test_a_key_is_text_without_braces(key: object) -> None:
    with pytest.raises((InvalidType, InvalidValue), match="key"):
        keyed_id(key)
