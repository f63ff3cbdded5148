"""What is kept of claims that are extended does not grow, and is read in small steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import World

from thoonk import Thoonk
from thoonk.operations import ClaimRef, JobExtend, JobMaintain, MaintenanceReport

MANY = 150


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    with Thoonk(backend=world.url) as client:
        yield client


def many_that_have_ended(thoonk: Thoonk, count: int = MANY) -> None:
    """Jobs that were extended once, all at the same time, and are finished."""
    job = thoonk.job("j", {"claim_timeout": 60})
    job.put_many(["x"] * count)
    claims = job.get_many(count)
    refs = tuple(ClaimRef(claim.id, claim.token) for claim in claims)
    assert all(thoonk.backend.execute(JobExtend("j", refs)))
    job.finish_many(claims)


def test_what_is_left_over_goes_with_the_next_claims_that_are_extended(
    world: World, thoonk: Thoonk
) -> None:
    many_that_have_ended(thoonk)
    assert world.raw.zcard("feed.running:j") == MANY
    job = thoonk.job("j")
    job.put("long")
    long = job.get_nowait()
    for _ in range(MANY):
        long.extend()
        if world.raw.zcard("feed.running:j") == 1:
            break
    assert world.raw.zrange("feed.running:j", 0, -1) == [f"{long.token} {long.id}".encode()]


def test_short_claims_leave_about_as_many_as_there_are(world: World, thoonk: Thoonk) -> None:
    job = thoonk.job("j", {"claim_timeout": 60})
    for _ in range(100):
        job.put("x")
        claim = job.get_nowait()
        claim.extend()
        claim.finish()
    assert world.raw.zcard("feed.running:j") <= 4


def test_the_oldest_claim_is_found_behind_what_is_left_over(world: World, thoonk: Thoonk) -> None:
    job = thoonk.job("j", {"claim_timeout": 60})
    job.put("long")
    long = job.get_nowait()
    long.extend()
    first = world.raw.zscore("feed.running:j", f"{long.token} {long.id}")
    assert first is not None
    world.raw.zadd("feed.running:j", {f"{long.token} {long.id}": first - 30_000})
    world.raw.zadd("feed.running:j", {f"gone {number}": first - 90_000 for number in range(MANY)})
    for _ in range(MANY // 4):
        long.extend()
    oldest = job.stats().oldest_claimed
    assert oldest is not None
    assert 29.9 < oldest < 80
    (shown,) = job.jobs("claimed")
    assert shown.claimed is not None
    assert shown.claimed.timestamp() == pytest.approx((first - 30_000) / 1000, abs=0.001)


@pytest.mark.parametrize("whole", [False, True])
def test_maintenance_removes_what_is_left_over(world: World, thoonk: Thoonk, whole: bool) -> None:
    many_that_have_ended(thoonk, 700)
    job = thoonk.job("j")
    job.put_many(["x"] * 600)
    claims = job.get_many(600)
    refs = tuple(ClaimRef(claim.id, claim.token) for claim in claims)
    assert all(thoonk.backend.execute(JobExtend("j", refs)))
    world.raw.zadd("feed.running:j", {"what a peer left there": 1})
    report = thoonk.backend.execute(JobMaintain("j")) if whole else job.maintenance()
    assert report == MaintenanceReport((), (), (), ())
    left = {member.decode() for member in world.raw.zrange("feed.running:j", 0, -1)}
    assert left == {f"{claim.token} {claim.id}" for claim in claims}


def test_a_feed_that_is_deleted_leaves_nothing(world: World, thoonk: Thoonk) -> None:
    many_that_have_ended(thoonk)
    thoonk.delete_feed("j")
    assert not world.raw.exists("feed.running:j")
