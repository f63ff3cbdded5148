"""The loop over claims (contract: job next)."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import World

from contract.peek import everything
from thoonk import AsyncThoonk, InvalidType, InvalidValue
from thoonk.operations import (
    JobClaim,
    JobFail,
    JobFinish,
    JobNext,
    JobState,
    Release,
    TakeOperation,
)
from thoonk.testing._async.claims import filled, states
from thoonk.testing._async.helpers import Background, pause, until
from thoonk.testing._async.observed import AsyncObserved


async def test_one_round_trip_a_job_and_nothing_is_left(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            job = await filled(thoonk, *"abcde")
            recording.sent.clear()
            done = 0
            async with job.claims(timeout=0.05) as claims:
                async for _ in claims:
                    done += 1
            assert done == 5
            kinds = [type(op) for op in recording.sent]
            assert kinds[:6] == [JobNext] * 6
            # After the last one it has waited; there was nothing to be told.
            assert set(kinds[6:]) <= {JobClaim}
    after = everything(world)
    assert set(after) == {b"feeds", b"feed.config:j", b"feed.publishes:j", b"feed.finishes:j"}


async def test_whoever_wakes_a_loop_is_through_with_the_backend_when_the_loop_ends(
    world: World,
) -> None:
    events: list[str] = []

    class Slow(AsyncObserved):
        async def interrupt(self, operation: TakeOperation) -> None:
            await super().interrupt(operation)
            await pause(0.2)
            events.append("woken")

    async with AsyncThoonk(backend=world.url) as client:
        backend = Slow(client.backend)
        async with AsyncThoonk(backend=backend) as thoonk:
            job = await thoonk.job("j")
            claims = job.claims()

            async def work() -> None:
                async with claims:
                    async for _ in claims:
                        pass
                events.append("ended")

            working = Background(work)
            await until(lambda: backend.waiting == 1)
            claims.stop()
            await working.result()
    # It is woken again and again until it has ended: the first may come before it waits.
    assert events[-1] == "ended"
    assert events.count("woken") == len(events) - 1 > 0


async def test_a_block_that_raises_in_the_loop_cancels_at_once_with_the_reason(
    world: World,
) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            job = await filled(thoonk, "good", "bad", max_failures=2)
            recording.sent.clear()
            seen = []
            async with job.claims(timeout=0.05) as claims:
                async for claim in claims:
                    seen.append((claim.item, claim.cancelled))
                    try:
                        async with claim:
                            if claim.item == "bad":
                                raise OSError("disk full")
                    except OSError:
                        pass
            assert seen == [("good", 0), ("bad", 0), ("bad", 1)]
            assert await states(job) == (0, 0, 1, 1)
            ends = [op for op in recording.sent if not isinstance(op, JobNext | JobClaim)]
            assert [type(op) for op in ends[:2]] == [JobFail] * 2
            assert [op.failure.message for op in ends[:2]] == ["disk full"] * 2
            info = await job.get_info((await job.get_ids())[0])
            assert info is not None
            assert (info.state, info.failures) == (JobState.STALLED, 2)
            assert info.failure == ends[0].failure


async def test_prefetch_claims_and_tells_in_batches(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            job = await filled(thoonk, *map(str, range(40)))
            recording.sent.clear()
            seen = []
            async with job.claims(timeout=0.05, prefetch=16) as claims:
                async for claim in claims:
                    seen.append(claim.item)
            assert seen == [*map(str, range(40))]
            assert await states(job) == (0, 0, 0, 40)
            told = [len(op.finished) for op in recording.sent if isinstance(op, JobNext)]
            assert sum(told) == 40
            # 0, 16, 16, 8 where the machine is quick.
            assert len(told) < 20
    after = everything(world)
    assert set(after) == {b"feeds", b"feed.config:j", b"feed.publishes:j", b"feed.finishes:j"}


async def test_what_is_noted_is_told_when_the_loop_is_left(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            job = await filled(thoonk, "a", "b")
            recording.sent.clear()
            async with job.claims(prefetch=2) as claims:
                async for claim in claims:
                    async with claim:
                        pass
                    if claim.item == "b":
                        break
            assert await states(job) == (0, 0, 0, 2)
            assert not [op for op in recording.sent if isinstance(op, JobFinish | Release)]


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidValue, {"prefetch": 0}),
        (InvalidValue, {"prefetch": 1001}),
        (InvalidType, {"prefetch": "2"}),
        (InvalidValue, {"timeout": -1}),
        (InvalidType, {"timeout": "1"}),
    ],
)
async def test_arguments_that_are_refused(
    thoonk: AsyncThoonk, error: type[Exception], arguments: dict[str, Any]
) -> None:
    job = await thoonk.job("j")
    with pytest.raises(error):
        job.claims(**arguments)
