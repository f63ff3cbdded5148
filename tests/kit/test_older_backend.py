"""A backend that was written before the operations that work in short steps."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from dict_backend import DictBackend, World

from thoonk import Thoonk, UnsupportedOperation
from thoonk import operations as ops


class OlderBackend(DictBackend):
    """It does all in one step."""

    def execute(self, operation: ops.Operation[Any]) -> Any:
        if isinstance(operation, ops.JobMend | ops.RetractSome | ops.FeedTrim):
            raise UnsupportedOperation(f"no {type(operation).__name__} here")
        return super().execute(operation)


@attrs.define
class Clock:
    """It goes when it is told to."""

    time: float = 1e9

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def thoonk(clock: Clock) -> Thoonk:
    return Thoonk(backend=OlderBackend(World(clock)))


def test_maintenance_is_done_in_one_step(thoonk: Thoonk, clock: Clock) -> None:
    job = thoonk.job("j", {"claim_timeout": 5})
    id = job.put("x")
    job.get(timeout=5)
    clock.time += 6
    assert job.maintenance().expired == (id,)


def test_many_are_retracted_a_thousand_in_one_step(thoonk: Thoonk) -> None:
    job, feed = thoonk.job("j"), thoonk.sorted_feed("s")
    ids = job.put_many("x" for _ in range(1500))
    assert job.retract_many([*ids, "unknown"]) == [True] * 1500 + [False]
    feed.publish_many("x" for _ in range(3))
    assert feed.retract_many(["1", "9", "1"]) == [True, False, False]
    assert feed.get_ids() == ["2", "3"]


def test_a_lower_max_length_trims_at_once(thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    ids = feed.publish_many([*"abcd"])
    thoonk.set_config("f", {"max_length": 1})
    assert feed.get_ids() == ids[3:]
