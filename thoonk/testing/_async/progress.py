"""How far a job is, and which claims hold (contract: job progress, job holds)."""

from __future__ import annotations

import datetime as dt

import pytest

from thoonk import (
    AsyncThoonk,
    FeedDoesNotExist,
    InvalidType,
    InvalidValue,
    JobInfo,
    NotClaimed,
    WrongFeedType,
)
from thoonk.operations import ClaimRef, JobHolds, JobProgress, Release
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.states import seconds_between
from thoonk.testing._async.stored import read_all


async def shown(job: object, id: str) -> tuple[float | None, str, bool]:
    """How far the job is as `get_info` shows it, what is done, and whether a time is known."""
    info: JobInfo | None = await job.get_info(id)  # type: ignore[attr-defined]
    assert info is not None
    return info.progress, info.doing, info.progressed is not None


NOTHING = (None, "", False)


class AsyncProgressContract(AsyncContract):
    """What workers report about a job while they have it."""

    async def test_progress_is_kept(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        await job.put("x")
        claim = await job.get()
        assert await shown(elsewhere, claim.id) == NOTHING
        await claim.progress(0.25, "halving «twice»")
        info = await elsewhere.get_info(claim.id)
        assert info is not None
        assert (info.progress, info.doing) == (0.25, "halving «twice»")
        assert info.progressed is not None
        assert abs((dt.datetime.now(dt.UTC) - info.progressed).total_seconds()) < 5
        await claim.progress(1)
        assert await shown(elsewhere, claim.id) == (1, "", True)
        async for each in job.jobs("claimed"):
            assert (each.progress, each.doing) == (1, "")

    async def test_an_extended_claim_is_as_old_as_before(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j", {"claim_timeout": 60}), await other.job("j")
        await job.put("x")
        claim = await job.get()
        for _ in range(2):
            await self.pass_time(5)
            await claim.extend()
        info = await elsewhere.get_info(claim.id)
        assert info is not None
        assert 0 <= seconds_between(info.put, info.claimed) < 4.9
        async for each in job.jobs("claimed"):
            assert each.claimed == info.claimed
        stats = await elsewhere.stats()
        assert stats.oldest_claimed is not None
        assert stats.oldest_claimed > 9.9
        await claim.cancel()
        again = await job.get()
        await again.extend()
        info = await elsewhere.get_info(again.id)
        assert info is not None
        assert seconds_between(info.put, info.claimed) > 9.9
        stats = await elsewhere.stats()
        assert stats.oldest_claimed is not None
        assert stats.oldest_claimed < 3.9

    @pytest.mark.parametrize("fraction", [0, 1, 0.0, 1.0, 0.1, 1 / 3, 5e-324, 0.9999999999999999])
    async def test_a_fraction_is_0_to_1(self, thoonk: AsyncThoonk, fraction: float) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        claim = await job.get()
        operation = JobProgress("j", claim.id, claim.token, fraction, "text")
        await thoonk.backend.execute(operation)
        told, text, is_told = await shown(job, claim.id)
        assert told == pytest.approx(fraction, abs=1e-6)
        assert (text, is_told) == ("text", True)

    async def test_what_is_no_fraction_or_no_text_is_refused(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        claim = await job.get()
        before = await self.stored(thoonk)
        for fraction, error in (
            (-0.01, InvalidValue),
            (1.01, InvalidValue),
            (float("nan"), InvalidValue),
            (float("inf"), InvalidValue),
            ("0.5", InvalidType),
            (True, InvalidType),
            (None, InvalidType),
        ):
            with pytest.raises(error):
                await claim.progress(fraction)  # type: ignore[arg-type]
        with pytest.raises(InvalidType):
            await claim.progress(0.5, b"x")  # type: ignore[arg-type]
        assert await self.stored(thoonk) == before

    async def test_the_last_word_counts(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        claim = await job.get()
        for fraction, text in ((0.5, "a"), (0.2, "b"), (0.75, "")):
            await thoonk.backend.execute(JobProgress("j", claim.id, "", fraction, text))
            assert await shown(job, claim.id) == (fraction, text, True)

    @pytest.mark.parametrize("end", ["finish", "cancel", "stall", "retract", "release", "other"])
    async def test_it_is_refused_when_the_claim_is_lost(
        self, thoonk: AsyncThoonk, end: str
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        match end:
            case "retract":
                await job.retract(id)
            case "release":
                await thoonk.backend.execute(Release("j", claim.token))
            case "other":
                await claim.cancel()
                await job.get()
            case _:
                await getattr(claim, end)()
        before = await self.stored(thoonk)
        with pytest.raises(NotClaimed):
            await claim.progress(0.5, "x")
        assert await self.stored(thoonk) == before
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(JobProgress("j", "unknown", "", 0.5))

    async def test_it_is_cleared_with_the_job(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        before = await read_all(thoonk)
        for end in ("finish", "retract", "purge"):
            await job.put("x", id="a")
            assert await shown(job, "a") == NOTHING
            claim = await job.get()
            await claim.progress(0.5, "text")
            match end:
                case "finish":
                    await claim.finish("done")
                    info = await job.get_info("a")
                    assert info is not None
                    assert (info.progress, info.doing, info.progressed) == (None, "", None)
                case "retract":
                    await job.retract("a")
                case _:
                    await job.purge()
        assert await read_all(thoonk) == before

    async def test_it_is_cleared_when_the_job_is_replaced(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x", id="a")
        claim = await job.get()
        await claim.progress(0.5, "text")
        await claim.cancel()
        assert await shown(job, "a") == (0.5, "text", True)
        await job.put("y", id="a", if_exists="replace")
        assert await shown(job, "a") == NOTHING

    # --- which claims hold ----------------------------------------------------------------------

    async def test_claims_hold_until_they_end(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"claim_timeout": 60})
        ids = await job.put_many([*"abcdef"])
        claims = await job.get_many(6)
        held = [ClaimRef(claim.id, claim.token) for claim in claims]
        assert [claim.id for claim in claims] == ids

        async def hold(*claims: ClaimRef) -> list[bool]:
            return [*await other.backend.execute(JobHolds("j", claims))]

        assert await hold(*held) == [True] * 6
        await claims[0].finish()
        await claims[1].cancel()
        await claims[2].stall()
        await job.retract(ids[3])
        before = await self.stored(thoonk)
        assert await hold(*held) == [False] * 4 + [True] * 2
        assert await self.stored(thoonk) == before
        assert await hold(held[4], held[0], held[4]) == [True, False, True]
        assert await hold(ClaimRef(ids[4]), ClaimRef(ids[4], "other"), ClaimRef("unknown")) == [
            True,
            False,
            False,
        ]
        # The same job, but another claim.
        again = await job.get()
        assert again.id == ids[1]
        assert await hold(held[1], ClaimRef(again.id, again.token)) == [False, True]

    async def test_asking_does_not_extend_a_claim(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"claim_timeout": 1})
        await job.put("x")
        claim = await job.get()
        await self.pass_time(0.6)
        held = ClaimRef(claim.id, claim.token)
        assert await thoonk.backend.execute(JobHolds("j", (held,))) == (True,)
        await thoonk.backend.execute(JobProgress("j", claim.id, claim.token, 0.5))
        await self.pass_time(0.5)
        again = await job.get_nowait()
        assert again.id == claim.id
        assert await thoonk.backend.execute(JobHolds("j", (held,))) == (False,)

    async def test_a_feed_that_is_gone_or_of_another_type_is_refused(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await thoonk.queue("q")
        await job.put("x")
        claim = await job.get()
        await thoonk.delete_feed("j")
        for name, error in (("j", FeedDoesNotExist), ("q", WrongFeedType)):
            for operation in (
                JobProgress(name, claim.id, claim.token, 0.5),
                JobHolds(name, (ClaimRef(claim.id, claim.token),)),
            ):
                with pytest.raises(error):
                    await thoonk.backend.execute(operation)
