"""What a peer may have left in a schedule stops nobody from taking jobs."""

from __future__ import annotations

import pytest
from conftest import World

from thoonk import Empty, Thoonk


@pytest.mark.parametrize("every", ["0", "-1000", "inf", "-inf", "nan", "0.5", "1e300", "often"])
@pytest.mark.parametrize("due", ["-inf", "-5", "0", "1700000000000"])
def test_a_schedule_that_makes_no_sense_ends(world: World, every: str, due: str) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("j")
        world.raw.hset("feed.schedules:j", "s", f"every={every}\0item=x")
        world.raw.zadd("feed.runs:j", {"s": due})
        claim = job.get(timeout=5)
        assert claim.item == "x"
        claim.finish()
        with pytest.raises(Empty):
            job.get_nowait()
        job.put("y")
        assert job.get(timeout=5).item == "y"


@pytest.mark.parametrize("due", ["-inf", "-5"])
def test_a_schedule_goes_on_from_a_time_that_is_none(world: World, due: str) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("j")
        world.raw.hset("feed.schedules:j", "s", "every=3600000\0item=x")
        world.raw.zadd("feed.runs:j", {"s": due})
        job.get(timeout=5).finish()
        (schedule,) = job.schedules()
        assert schedule.next is not None
