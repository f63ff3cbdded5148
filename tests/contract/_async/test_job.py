"""The job feed (contract: job put and the others)."""

# ruff: noqa: PT012, RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import time

import pytest
from conftest import World

from contract.peek import blocked, everything
from thoonk import (
    AsyncThoonk,
    Empty,
    JobCounts,
    JobFailed,
    JobResult,
    NoResult,
)
from thoonk.testing._async.helpers import Background, pause, until


@pytest.mark.parametrize("age", [5, 500])
async def test_a_peers_claim_in_seconds_runs_out_like_ours(
    world: World, thoonk: AsyncThoonk, age: int
) -> None:
    job = await thoonk.job("j", {"claim_timeout": 60})
    id = await job.put("x")
    world.raw.rpop("feed.ids:j")
    world.raw.zadd("feed.claimed:j", {id: time.time() - age})
    if age < 60:
        for _ in range(2):
            with pytest.raises(Empty):
                await job.get_nowait()
            assert (await job.maintenance()).expired == ()
        await job.finish(id, "done", result=True)
        assert await job.get_result(id, timeout=5) == ("x", "done")
    else:
        assert (await job.get(timeout=5)).id == id


async def test_results_are_kept_a_day_unless_it_is_said_otherwise(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    default, forever = await job.put("a"), await job.put("b")
    await (await job.get()).finish("done")
    await (await job.get()).finish("done", timeout=0)
    assert 86_000 < world.raw.ttl(f"feed.jobfinished:j\0{default}") <= 86_400
    assert world.raw.ttl(f"feed.jobfinished:j\0{forever}") == -1


async def test_a_result_of_a_peer_that_stores_none_is_taken_from_its_notice(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    id = await job.put("query")
    asking = Background(job.get_result, id, timeout=10)
    # The notice is repeated, since nobody can see from outside when the asker listens.
    for _ in range(1000):
        world.raw.publish("job.finish:j", id.encode() + b"\0result\0with NUL")
        if asking.is_done():
            break
        await pause(0.01)
    assert await asking.result() == ("query", "result\0with NUL")


async def test_a_result_a_peer_stored_alone_is_read(world: World, thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    world.raw.rpush("feed.jobfinished:j\0theirs", "result")
    assert await job.get_result("theirs", timeout=5) == (None, "result")


async def test_maintenance_recovers_a_job_lost_between_pop_and_mark(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    id = await job.put("x")
    world.raw.rpop("feed.ids:j")
    waiting = Background(job.get)
    await until(lambda: blocked(world) == 1)
    assert (await job.maintenance()).recovered == (id,)
    assert (await waiting.result()).id == id
    assert (await job.maintenance()).recovered == ()


async def test_maintenance_discards_what_a_peers_retract_left_behind(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    id = await job.put("x")
    world.raw.lrem("feed.ids:j", 1, id)
    world.raw.zrem("feed.published:j", id)
    assert (await job.maintenance()).discarded == (id,)
    assert await job.get_ids() == []
    with pytest.raises(Empty):
        await job.get_nowait()


async def test_a_job_left_reserved_by_a_worker_that_died_is_claimed_next(
    world: World, thoonk: AsyncThoonk
) -> None:
    job = await thoonk.job("j")
    ids = [await job.put("x") for _ in range(2)]
    world.raw.rpoplpush("feed.ids:j", "feed.reserved:j")
    assert await job.get_counts() == JobCounts(2, 0, 0, 0)
    assert [(await job.get(timeout=5)).id for _ in range(2)] == ids


async def test_a_job_whose_item_is_gone_is_passed_over(world: World, thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    world.raw.rpush("feed.ids:j", "no item")
    id = await job.put("x")
    assert (await job.get(timeout=5)).id == id


async def test_a_finished_job_leaves_no_key_but_counters(world: World, thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j", {"max_failures": 9, "claim_timeout": 60})
    before = everything(world)
    id = await job.put("x")
    for _ in range(2):
        await (await job.get()).cancel()
    await job.get()
    await job.finish(id)
    after = everything(world)
    assert after.pop(b"feed.publishes:j") == b"1"
    assert after.pop(b"feed.finishes:j") == b"1"
    assert after == before


@pytest.mark.parametrize("state", ["waiting", "claimed", "stalled", "cancelled"])
async def test_a_retracted_job_leaves_no_key_but_the_counter(
    world: World, thoonk: AsyncThoonk, state: str
) -> None:
    job = await thoonk.job("j")
    before = everything(world)
    id = await job.put("x")
    if state != "waiting":
        claim = await job.get()
        if state == "stalled":
            await claim.stall()
        elif state == "cancelled":
            await claim.cancel()
    await job.retract(id)
    after = everything(world)
    assert after.pop(b"feed.publishes:j") == b"1"
    assert after == before


async def test_results_of_many_jobs_come_as_these_end(thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    ids = await job.put_many(["a", "b", "c", "d"])
    await (await job.get()).finish("early")

    async def collect() -> list[object]:
        return [
            (id, outcome if isinstance(outcome, JobResult) else type(outcome))
            async for id, outcome in job.wait(ids, timeout=30)
        ]

    collecting = Background(collect)
    first, second, third = await job.get_many(3)
    await third.finish(None, result=True)
    await second.stall(reason="broken")
    await first.finish()
    ended = await collecting.result(30)
    assert ended[0] == (ids[0], ("a", "early"))
    assert sorted(ended[1:], key=repr) == sorted(
        [(ids[3], ("d", None)), (ids[2], JobFailed), (ids[1], NoResult)], key=repr
    )
    one = await job.put("e")
    with pytest.raises(Empty):
        async for _ in job.wait([one], timeout=0.05):
            raise AssertionError
