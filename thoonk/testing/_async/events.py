"""The events of jobs, if configured (contract: Events of jobs)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from thoonk import (
    AsyncFeedSubscription,
    AsyncThoonk,
    Configured,
    Empty,
    Finished,
    JobRetracted,
    NoResult,
    Notice,
    Retracted,
)
from thoonk.notices import (
    Cancelled,
    Claimed,
    Ended,
    Progressed,
    Put,
    Released,
    Retried,
    Scheduled,
    Stalled,
)
from thoonk.operations import (
    ClaimRef,
    Completion,
    Due,
    Entry,
    JobAdd,
    JobClaim,
    JobFinish,
    JobNext,
    JobPut,
    Release,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until
from thoonk.testing.checks import PROMPTLY

EVENTS = {"events": True}


async def told(
    notices: AsyncFeedSubscription[str], count: int, *, more: bool = False
) -> list[Notice]:
    """So many notices; nothing comes after them, unless there may be more."""
    heard: list[Notice] = [await notices.get(10) for _ in range(count)]
    if not more:
        with pytest.raises(Empty):
            heard.append(await notices.get(0.05))
            raise AssertionError(heard[-1])
    return heard


def of(*events: tuple[type[Notice], str]) -> list[Notice]:
    """These events of the feed «j»."""
    return [event("j", id) for event, id in events]  # type: ignore[call-arg]


class AsyncEventsContract(AsyncContract):
    """Each event of a job is sent once, in order, where it is asked for."""

    async def test_the_life_of_a_job(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        job, elsewhere = await thoonk.job("j", EVENTS), await other.job("j")
        async with elsewhere.subscribe() as notices:
            id = await job.put("x")
            assert await told(notices, 1) == of((Put, id))
            claim = await job.get()
            assert await told(notices, 1) == of((Claimed, id))
            await claim.progress(0.5, "half\nway")
            assert await told(notices, 1) == [Progressed("j", id, 0.5, "half\nway")]
            await claim.cancel()
            assert await told(notices, 1) == of((Cancelled, id))
            claim = await job.get()
            await claim.stall()
            assert await told(notices, 2) == of((Claimed, id), (Stalled, id))
            await job.retry(id)
            assert await told(notices, 1) == of((Retried, id))
            await (await job.get()).finish()
            assert await told(notices, 2) == of((Claimed, id), (Ended, id))

    async def test_a_job_with_a_result_is_finished_and_not_ended(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)
        async with job.subscribe() as notices:
            id = await job.put("x")
            await (await job.get()).finish("done")
            assert await told(notices, 3) == [
                *of((Put, id), (Claimed, id)),
                Finished("j", id, "done"),
            ]

    async def test_nothing_is_told_where_it_is_not_configured(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        async with job.subscribe() as notices:
            await job.put("x", id="a")
            await job.put("x", id="b", delay=60)
            claim = await job.get()
            await claim.progress(0.5)
            await claim.cancel()
            await (await job.get()).stall()
            await job.retry("a")
            await job.retract_many(["a", "b"])
            await job.put("last")
            await (await job.get()).finish("done")
            (notice,) = await told(notices, 1)
            assert isinstance(notice, Finished)

    async def test_it_begins_and_ends_with_the_configuration(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        async with job.subscribe() as notices:
            await job.put("x", id="a")
            await thoonk.set_config("j", EVENTS)
            await job.put("x", id="b")
            await thoonk.set_config("j", {"events": False})
            await job.put("x", id="c")
            heard = await told(notices, 3)
            assert heard == [Configured("j"), *of((Put, "b")), Configured("j")]

    async def test_each_job_of_a_step_is_told(self, thoonk: AsyncThoonk) -> None:
        await thoonk.job("j", EVENTS)
        backend, ids = thoonk.backend, ["a", "b", "c"]
        job = await thoonk.job("j")
        async with job.subscribe() as notices:
            await backend.execute(JobPut("j", tuple(Entry(id, b"x") for id in ids)))
            assert await told(notices, 3) == of(*((Put, id) for id in ids))
            await backend.execute(JobClaim("j", "t", 3))
            assert await told(notices, 3) == of(*((Claimed, id) for id in ids))
            # Asked again nothing is done.
            await backend.execute(JobClaim("j", "t", 3))
            await backend.execute(
                JobFinish("j", (Completion("a", "t"), Completion("b", "t", True, b"done")))
            )
            heard = await told(notices, 2)
            assert Ended("j", "a") in heard
            assert Finished("j", "b", "done") in heard
            assert await backend.execute(Release("j", "t")) == ("c",)
            assert await told(notices, 1) == of((Released, "c"))

    async def test_ending_and_claiming_in_one_step(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {**EVENTS, "max_failures": 2})
        backend = thoonk.backend
        await job.put_many({"a": "x", "b": "x", "c": "x"})
        await backend.execute(JobClaim("j", "1", 2))
        async with job.subscribe() as notices:
            operation = JobNext(
                "j", "2", 1, finished=(Completion("a", "1"),), cancelled=(ClaimRef("b", "1"),)
            )
            await backend.execute(operation)
            assert await told(notices, 3) == of((Ended, "a"), (Cancelled, "b"), (Claimed, "c"))
            assert (await backend.execute(operation)).lost == ("a", "b")
            await backend.execute(JobClaim("j", "3"))
            assert await told(notices, 1) == of((Claimed, "b"))
            await backend.execute(JobNext("j", "4", 0, cancelled=(ClaimRef("b", "3"),)))
            assert await told(notices, 1) == of((Stalled, "b"))

    async def test_scheduled_jobs(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)

        async def is_scheduled(id: str, seconds: float) -> None:
            (notice,) = await told(notices, 1)
            assert isinstance(notice, Scheduled)
            assert (notice.feed, notice.id) == ("j", id)
            assert abs(notice.due - time.time() - seconds) < 5
            info = await job.get_info(id)
            assert info is not None
            assert info.due is not None
            assert notice.due == pytest.approx(info.due.timestamp(), abs=0.002)

        async with job.subscribe() as notices:
            await job.put("x", id="a", delay=60)
            await is_scheduled("a", 60)
            await job.reschedule("a", delay=90)
            await is_scheduled("a", 90)
            await job.run_now("a")
            assert await told(notices, 1) == of((Put, "a"))
            claim = await job.get()
            assert await told(notices, 1) == of((Claimed, "a"))
            await claim.cancel(delay=1, reason="why")
            assert await told(notices, 1, more=True) == of((Cancelled, "a"))
            await is_scheduled("a", 1)
            await self.pass_time(1.05)
            await (await job.get(timeout=5)).finish()
            assert await told(notices, 3) == of((Put, "a"), (Claimed, "a"), (Ended, "a"))

    async def test_ids_that_are_taken(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)
        await job.put("x", id="a")
        async with job.subscribe() as notices:
            await job.put("y", id="a")  # kept
            await job.put("y", id="a", if_exists="replace")
            assert await told(notices, 1) == of((Put, "a"))
            await job.put("y", id="a", if_exists="replace", delay=60)
            (notice,) = await told(notices, 1)
            assert isinstance(notice, Scheduled)
            await thoonk.backend.execute(
                JobAdd("j", (Entry("a", b"x"), Entry("b", b"x")), due=Due(delay=50))
            )
            (notice,) = await told(notices, 1)
            assert isinstance(notice, Scheduled)
            assert notice.id == "b"

    async def test_jobs_of_a_schedule(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)
        async with job.subscribe() as notices:
            await job.schedule("s", "x", every=5)
            await self.pass_time(5.05)
            claim = await job.get(timeout=5)
            assert claim.id.startswith("s@")
            assert await told(notices, 2) == of((Put, claim.id), (Claimed, claim.id))
            await job.unschedule("s")
            await claim.finish()
            assert await told(notices, 1) == of((Ended, claim.id))

    async def test_a_claim_that_runs_out(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {**EVENTS, "claim_timeout": 1, "max_failures": 3})
        await job.put("x", id="a")
        await job.get()
        async with job.subscribe() as notices:
            await self.pass_time(1.05)
            await job.get(timeout=5)
            assert await told(notices, 2) == of((Cancelled, "a"), (Claimed, "a"))
            await self.pass_time(1.05)
            await job.maintenance()
            assert await told(notices, 1) == of((Cancelled, "a"))
            await job.get(timeout=5)
            await self.pass_time(1.05)
            await job.maintenance()
            assert await told(notices, 2) == of((Claimed, "a"), (Stalled, "a"))

    @pytest.mark.parametrize("reason", [None, "why"])
    async def test_a_failure_too_many_stalls(self, thoonk: AsyncThoonk, reason: str | None) -> None:
        job = await thoonk.job("j", {**EVENTS, "max_failures": 1})
        await job.put("x", id="a")
        claim = await job.get()
        async with job.subscribe() as notices:
            await claim.cancel(reason=reason)
            assert await told(notices, 1) == of((Stalled, "a"))

    async def test_a_job_that_is_given_back_unfinished(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)
        await job.put("x", id="a")
        claim = await job.get()
        async with job.subscribe() as notices:
            await thoonk.backend.execute(Release("j", claim.token))
            assert await told(notices, 1) == of((Released, "a"))

    @pytest.mark.parametrize("how", ["retract", "retract_many", "retract_all", "purge"])
    async def test_jobs_are_retracted_in_whatever_state(
        self, thoonk: AsyncThoonk, how: str
    ) -> None:
        job = await thoonk.job("j", EVENTS)
        ids = ["claimed", "stalled", "waiting", "scheduled"]
        await job.put_many(dict.fromkeys(ids[:3], "x"))
        await job.put("x", id="scheduled", delay=60)
        claims = await job.get_many(2)
        await claims[1].stall()
        async with job.subscribe() as notices:
            match how:
                case "retract":
                    for id in (*ids, "unknown"):
                        await job.retract(id)
                case "retract_many":
                    await job.retract_many([*ids, "unknown"])
                case "retract_all":
                    for id in ids:
                        await job.retract_all(id)
                case _:
                    await job.purge()
            heard: Sequence[Notice] = await told(notices, 4)
            assert {notice.id for notice in heard if isinstance(notice, Retracted)} == {*ids}

    async def test_all_that_are_stalled_are_retried(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", EVENTS)
        await job.put_many({"a": "x", "b": "x"})
        for claim in await job.get_many(2):
            await claim.stall()
        async with job.subscribe() as notices:
            await job.retry_all()
            heard = await told(notices, 2)
            assert Retried("j", "a") in heard
            assert Retried("j", "b") in heard

    async def test_handlers_are_called(self, listening: AsyncThoonk) -> None:
        job = await listening.job("j", EVENTS)
        seen: list[tuple[object, ...]] = []
        for event in ("put", "claim", "progress", "cancel", "end"):

            def note(*arguments: object, event: str = event) -> None:
                seen.append((event, *arguments))

            await listening.register_handler(event, note)
        await job.put("x", id="a")
        claim = await job.get()
        await claim.progress(0.5, "text")
        await claim.cancel()
        await (await job.get()).finish()
        await until(lambda: len(seen) == 6)
        assert [each[0] for each in seen] == ["put", "claim", "progress", "cancel", "claim", "end"]
        assert seen[0] == ("put", "j", "a")
        assert seen[2] == ("progress", "j", "a", 0.5, "text")

    async def test_who_waits_for_a_result_is_told_at_once(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j", EVENTS), await other.job("j")
        for end, error in (("retract", JobRetracted), ("finish", NoResult)):
            id = await job.put("x")
            asking = Background(elsewhere.get_result, id, timeout=10)
            async with job.subscribe() as notices:
                claim = await job.get()
                await told(notices, 1)
            began = time.monotonic()
            await (job.retract(id) if end == "retract" else claim.finish())
            with pytest.raises(error):
                await asking.result()
            assert time.monotonic() - began < PROMPTLY
