"""The loop over claims (contract: job next)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from thoonk import AsyncJob, AsyncThoonk, JobCounts, NotClaimed
from thoonk._async import hand
from thoonk.operations import ClaimRef, JobExtend
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, becomes, until
from thoonk.testing.checks import PROMPTLY

KEPT = 12.0
"""Seconds of a `claim_timeout` that is renewed: a busy machine may do nothing for some of them."""

OFTEN = 60
"""How often a loop renews its claims within that, in these tests, so that they need not wait."""


async def filled(thoonk: AsyncThoonk, *items: str, **config: Any) -> AsyncJob[str]:
    """A job feed with items that wait."""
    job = await thoonk.job("j", config)
    await job.put_many(items)
    return job


async def states(job: AsyncJob[str]) -> tuple[int, int, int, int]:
    """How many jobs wait, are claimed, are stalled and have been finished."""
    counts: JobCounts = await job.get_counts()
    return counts.waiting, counts.claimed, counts.stalled, counts.finished


class AsyncClaimsContract(AsyncContract):
    """The loop over claims: what it ends, gives back and keeps alive."""

    async def outlast(self, thief: AsyncJob[str]) -> None:
        """Let more time pass than claims last by themselves, while a loop renews them."""
        for _ in range(2):
            await self.renewed()
            await self.pass_time(0.6 * KEPT)
            await thief.maintenance()

    async def renewed(self) -> None:
        """Wait until claims have been renewed again."""
        begun = self.renewals()
        # When the second is sent, the first one has been done.
        await until(lambda: self.renewals() >= begun + 2)

    def renewals(self) -> int:
        """How often clients have asked for claims to be extended."""
        return sum(isinstance(each, JobExtend) for b in self._backends for each in b.sent)

    async def test_asking_for_the_next_finishes_the_last(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "a", "b", "c")
        seen: list[str] = []
        async with job.claims(timeout=0.1) as claims:
            async for claim in claims:
                assert await states(job) == (2 - len(seen), 1, 0, len(seen))
                seen.append(claim.item)
        assert seen == ["a", "b", "c"]
        assert await states(job) == (0, 0, 0, 3)

    async def test_results_are_set_and_told(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(["a", "b"])
        async with job.claims(timeout=0.05) as claims:
            async for claim in claims:
                claim.set_result(claim.item.upper())
        assert await job.get_result(ids[0], timeout=5) == ("a", "A")
        assert await job.get_result(ids[1], timeout=5) == ("b", "B")

    async def test_a_result_is_set_in_a_block_of_a_claim_alone(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("a")
        async with await job.get() as claim:
            claim.set_result("wrong")
            claim.set_result("A", timeout=60)
        assert claim.ended
        assert await job.get_result(id, timeout=5) == ("a", "A")

    async def test_what_the_loop_has_ended_itself_is_left_alone(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "finish", "cancel", "stall")
        async with job.claims(timeout=0.05) as claims:
            async for claim in claims:
                if claim.cancelled:
                    break
                await getattr(claim, claim.item)()
                assert claim.ended
        assert await states(job) == (1, 0, 1, 1)

    @pytest.mark.parametrize("prefetch", [1, 3])
    async def test_a_loop_that_is_left_gives_back_what_it_has(
        self, thoonk: AsyncThoonk, prefetch: int
    ) -> None:
        job = await filled(thoonk, "a", "b", "c", "d")
        async with job.claims(prefetch=prefetch) as claims:
            async for claim in claims:
                if claim.item == "b":
                    break
        assert await states(job) == (3, 0, 0, 1)
        again = await job.get_many(9)
        assert [(claim.item, claim.cancelled) for claim in again] == [("b", 0), ("c", 0), ("d", 0)]

    @pytest.mark.parametrize("prefetch", [1, 3])
    async def test_a_plain_loop_that_is_left_is_tidied_up(
        self, thoonk: AsyncThoonk, prefetch: int
    ) -> None:
        job = await filled(thoonk, "a", "b", "c")
        async for claim in job.claims(prefetch=prefetch):
            if claim.item == "b":
                break
        await becomes((2, 0, 0, 1), states, job)

    @pytest.mark.parametrize("prefetch", [1, 3])
    async def test_an_error_cancels_the_job_in_hand_and_gives_back_the_rest(
        self, thoonk: AsyncThoonk, prefetch: int
    ) -> None:
        job = await filled(thoonk, "a", "b", "c")
        with pytest.raises(OSError, match="disk full"):
            async with job.claims(prefetch=prefetch) as claims:
                async for claim in claims:
                    if claim.item == "b":
                        raise OSError("disk full")
        assert await states(job) == (2, 0, 0, 1)
        again = await job.get_many(9)
        assert [(claim.item, claim.cancelled) for claim in again] == [("c", 0), ("b", 1)]

    async def test_an_error_in_a_plain_loop_gives_the_job_back(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "a")

        async def work() -> None:
            async for _ in job.claims():
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            await work()
        await becomes((1, 0, 0, 0), states, job)
        assert (await job.get(timeout=5)).cancelled == 0

    async def test_ends_are_told_while_a_job_takes_its_time(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "quick", "slow")
        async with job.claims(timeout=0.05, prefetch=8) as claims:
            async for claim in claims:
                if claim.item == "slow":
                    await becomes((0, 1, 0, 1), states, job)
        assert await states(job) == (0, 0, 0, 2)

    async def test_claims_in_hand_are_kept_alive(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hand, "PER_TIMEOUT", OFTEN)
        job = await filled(thoonk, "a", "b", "c", claim_timeout=KEPT)
        thief = await other.job("j")
        seen = []
        async with job.claims(timeout=0.05, prefetch=3) as claims:
            async for claim in claims:
                seen.append((claim.item, claim.cancelled))
                if claim.item == "a":
                    # The others are in the same hand meanwhile.
                    await self.outlast(thief)
        assert seen == [("a", 0), ("b", 0), ("c", 0)]
        assert await states(job) == (0, 0, 0, 3)

    async def test_a_loop_that_is_begun_again_keeps_its_claims_alive(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hand, "PER_TIMEOUT", OFTEN)
        job = await filled(thoonk, "a", "b", claim_timeout=KEPT)
        thief = await other.job("j")
        claims = job.claims(timeout=0.05, prefetch=2)
        async with claims:
            async for _ in claims:
                break
        async with claims:
            async for claim in claims:
                await self.outlast(thief)
                assert claim.cancelled == 0
        assert await states(job) == (0, 0, 0, 2)

    async def test_what_waits_behind_a_long_job_is_given_to_others(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await filled(thoonk, "quick", "long", "b", "c", claim_timeout=60)
        elsewhere = await other.job("j")
        seen: list[str] = []
        async with job.claims(timeout=0.05, prefetch=9) as claims:
            async for claim in claims:
                seen.append(claim.item)
                if claim.item == "long":
                    theirs = [await elsewhere.get(timeout=10) for _ in "bc"]
                    assert [(each.item, each.cancelled) for each in theirs] == [("b", 0), ("c", 0)]
                    assert await states(job) == (0, 3, 0, 1)
                    await elsewhere.finish_many(theirs)
        assert seen == ["quick", "long"]
        assert await states(job) == (0, 0, 0, 4)

    async def test_a_job_that_was_lost_is_told_and_the_loop_goes_on(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = await filled(thoonk, "a", claim_timeout=0.1)
        thief = await other.job("j")
        seen: list[str] = []
        lost = ""
        async with job.claims(timeout=0.05) as claims:
            async for claim in claims:
                if not seen:
                    lost = claim.id
                    stolen = await thief.get(timeout=5)
                    assert stolen.id == lost
                    await stolen.finish("the thief's", result=True)
                    await thief.put("b")
                seen.append(claim.item)
        assert seen == ["a", "b"]
        assert f"End of job {lost} was not wanted" in caplog.text
        assert await job.get_result(lost, timeout=5) == ("a", "the thief's")
        assert (await states(job))[3] == 2

    async def test_a_job_that_cannot_be_read_is_stalled(
        self, thoonk: AsyncThoonk, caplog: pytest.LogCaptureFixture
    ) -> None:
        raw = await thoonk.job("j", serializer="binary")
        await raw.put_many([b'"a"', b"{", b'"b"'])
        job = await thoonk.job("j", serializer="json")
        async with job.claims(timeout=0.05, prefetch=2) as claims:
            assert [claim.item async for claim in claims] == ["a", "b"]
        assert await states(job) == (0, 0, 1, 2)
        assert "unreadable and stalled" in caplog.text

    async def test_it_waits_and_ends_when_nothing_comes(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")

        async def work() -> list[str]:
            async with job.claims(timeout=2) as claims:
                return [claim.item async for claim in claims]

        working = Background(work)
        await until(lambda: self.blocked() == 1)
        await (await other.job("j")).put("late")
        assert await working.result() == ["late"]
        assert await states(job) == (0, 0, 0, 1)

    @pytest.mark.parametrize("prefetch", [1, 4])
    async def test_stop_ends_a_loop_that_waits(self, thoonk: AsyncThoonk, prefetch: int) -> None:
        job = await filled(thoonk, "a")
        claims = job.claims(prefetch=prefetch)

        async def work() -> list[str]:
            async with claims:
                return [claim.item async for claim in claims]

        working = Background(work)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        claims.stop()
        assert await working.result() == ["a"]
        assert time.monotonic() - began < PROMPTLY
        assert await states(job) == (0, 0, 0, 1)

    async def test_stop_ends_a_loop_after_the_job_in_hand(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "a", "b", "c", "d")
        seen = []
        async with job.claims(prefetch=3) as claims:
            async for claim in claims:
                seen.append(claim.item)
                if claim.item == "b":
                    claims.stop()
        assert seen == ["a", "b"]
        assert await states(job) == (2, 0, 0, 2)

    async def test_a_claim_that_outlives_its_loop_acts_for_itself(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await filled(thoonk, "a")
        async with job.claims() as claims:
            async for claim in claims:
                break
        assert await states(job) == (1, 0, 0, 0)
        with pytest.raises(NotClaimed):
            async with claim:
                pass

    async def test_extending_many_tells_of_each(self, thoonk: AsyncThoonk) -> None:
        job = await filled(thoonk, "a", "b", claim_timeout=60)
        first, second = await job.get_many(2)
        await first.finish()
        held = tuple(ClaimRef(claim.id, claim.token) for claim in (first, second))
        assert await thoonk.backend.execute(JobExtend("j", held)) == (False, True)

    async def test_by_id_and_token_only_the_claim_that_holds_is_ended(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"claim_timeout": 0.1})
        elsewhere = await other.job("j")
        id = await job.put("x")
        late = await job.get()
        holder = await elsewhere.get(timeout=5)
        before = await job.get_counts()
        for end in (elsewhere.finish, elsewhere.cancel, elsewhere.stall):
            with pytest.raises(NotClaimed):
                await end(id, token=late.token)
        assert await job.get_counts() == before
        await job.finish(id, "done", token=holder.token)
        assert await job.get_result(id, timeout=5) == ("x", "done")
