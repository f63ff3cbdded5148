"""What is known of jobs, by id and by state (contract: job info, job pages, job clear)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from thoonk import (
    AsyncThoonk,
    Empty,
    FeedDoesNotExist,
    InvalidType,
    InvalidValue,
    JobCounts,
    JobFailed,
    NoResult,
    NotClaimed,
    NotStalled,
)
from thoonk.operations import (
    ClaimRef,
    Due,
    Failed,
    Failure,
    JobClaim,
    JobClear,
    JobFail,
    JobHolds,
    JobInfo,
    JobProgress,
    JobRetryAll,
    JobState,
    QueueClear,
    QueueTake,
    ReadJobPage,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until
from thoonk.testing._async.stored import read_all

STATES = ("scheduled", "waiting", "claimed", "stalled")


def seconds_between(early: dt.datetime | None, late: dt.datetime | None) -> float:
    """Between two times, which both have to be known."""
    assert early is not None
    assert late is not None
    assert early.tzinfo is not None
    return (late - early).total_seconds()


def seconds_ago(moment: dt.datetime | None) -> float:
    """How long ago that was by this machine's clock, which may not be the backend's."""
    return seconds_between(moment, dt.datetime.now(dt.UTC))


async def info_of(job: Any, id: str) -> JobInfo:
    """What is known of a job that is there."""
    info = await job.get_info(id)
    assert info is not None
    assert info.id == id
    assert isinstance(info, JobInfo)
    return info


class AsyncStatesContract(AsyncContract):
    """What is known of a job and why it failed, and jobs by their state."""

    # --- what is known of one -----------------------------------------------------------------

    async def test_what_is_known_of_a_job_that_waits(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        info = await info_of(job, id)
        assert info == JobInfo(id, JobState.WAITING, put=info.put)
        assert abs(seconds_ago(info.put)) < 60

    async def test_what_is_known_of_a_scheduled_job(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=50)
        info = await info_of(job, id)
        assert info == JobInfo(id, JobState.SCHEDULED, put=info.put, due=info.due)
        assert 49 < seconds_between(info.put, info.due) < 51
        await job.reschedule(id, 500)
        again = await info_of(job, id)
        assert 440 < seconds_between(info.due, again.due) < 510
        assert again.put == info.put

    async def test_a_job_for_a_time_is_known_to_be_due_then(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        at = dt.datetime(2060, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=-7)))
        id = await job.put("x", at=at)
        assert abs(seconds_between(at, (await info_of(job, id)).due)) < 0.01

    async def test_a_job_that_was_due_was_put_then(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=1)
        await self.pass_time(1.5)
        await job.get(timeout=5)
        info = await info_of(job, id)
        assert info.state is JobState.CLAIMED
        assert abs(seconds_between(info.put, info.due)) < 0.01
        assert seconds_between(info.due, info.claimed) > 0

    async def test_what_is_known_of_a_job_that_was_made_available_early(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=600)
        await job.run_now(id)
        info = await info_of(job, id)
        assert info.state is JobState.WAITING
        assert abs(seconds_ago(info.due)) < 60
        assert abs(seconds_ago(info.put)) < 60

    async def test_what_is_known_of_a_claimed_job(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        info = await info_of(job, id)
        assert info == JobInfo(id, JobState.CLAIMED, put=info.put, claimed=info.claimed)
        assert seconds_between(info.put, info.claimed) >= 0
        await claim.cancel()
        info = await info_of(job, id)
        assert (info.state, info.failures, info.claimed) == (JobState.WAITING, 1, None)

    async def test_what_is_known_of_a_finished_job(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        with_result, without = await job.put_many(["x", "y"])
        await (await job.get()).finish("done")
        await (await job.get()).finish()
        assert await info_of(job, with_result) == JobInfo(
            with_result, JobState.FINISHED, has_result=True
        )
        assert await job.get_info(without) is None

    @pytest.mark.parametrize("end", ["retract", "unknown"])
    async def test_nothing_is_known_of_no_job(self, thoonk: AsyncThoonk, end: str) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=60) if end == "retract" else "unknown"
        if end == "retract":
            await job.retract(id)
        assert await job.get_info(id) is None
        with pytest.raises(InvalidValue):
            await job.get_info("")

    # --- why it failed ------------------------------------------------------------------------

    @pytest.mark.parametrize("reason", ["disk full", "", "Grüße\n\tan =alle", "x" * 900])
    @pytest.mark.parametrize("how", ["cancel", "later", "stall"])
    async def test_a_reason_is_kept(self, thoonk: AsyncThoonk, how: str, reason: str) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        if how == "stall":
            await claim.stall(reason=reason)
        else:
            assert await claim.cancel(delay=60 if how == "later" else None, reason=reason) is False
        assert claim.ended
        info = await info_of(job, id)
        states = {"cancel": "waiting", "later": "scheduled", "stall": "stalled"}
        assert info.state.value == states[how]
        assert info.failure is not None
        assert (info.failure.message, info.failure.error) == (reason, "")
        assert info.failure.worker
        assert info.failures == (0 if how == "stall" else 1)
        assert seconds_between(info.put, info.failed) >= 0
        assert (info.stalled is not None) == (how == "stall")

    @pytest.mark.parametrize("how", ["cancel", "stall"])
    async def test_an_exception_is_kept(self, thoonk: AsyncThoonk, how: str) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        with pytest.raises(ZeroDivisionError) as caught:
            raise ZeroDivisionError("by zero")
        await getattr(job, how)(id, token=claim.token, reason=caught.value)
        failure = (await info_of(job, id)).failure
        assert failure is not None
        assert (failure.error, failure.message) == ("ZeroDivisionError", "by zero")
        assert "test_an_exception_is_kept" in failure.traceback

    async def test_the_exception_of_a_block_is_kept(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        with pytest.raises(ZeroDivisionError):
            async with await job.get():
                raise ZeroDivisionError("by zero")
        info = await info_of(job, id)
        assert (info.state, info.failures) == (JobState.WAITING, 1)
        assert info.failure is not None
        assert (info.failure.error, info.failure.message) == ("ZeroDivisionError", "by zero")

    async def test_the_last_reason_counts_and_stays_while_the_job_is_there(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"max_failures": 2})
        id = await job.put("x")
        claim = await job.get()
        put = (await info_of(job, id)).put
        await claim.cancel(reason=ZeroDivisionError("first"))
        await job.get()
        assert (await info_of(job, id)).failure is not None
        assert await job.cancel(id, reason="second") is True
        info = await info_of(job, id)
        assert (info.state, info.failures) == (JobState.STALLED, 2)
        assert info.failure is not None
        assert (info.failure.message, info.failure.error) == ("second", "")
        assert info.failure.traceback == ""
        assert seconds_between(info.failed, info.stalled) == 0
        assert info.put == put
        await job.retry(id)
        info = await info_of(job, id)
        assert (info.state, info.failures) == (JobState.WAITING, 0)
        await (await job.get()).finish()
        assert await job.get_info(id) is None

    @pytest.mark.parametrize("state", ["claimed", "waiting", "scheduled", "stalled", "unknown"])
    async def test_only_a_job_that_runs_is_stopped(self, thoonk: AsyncThoonk, state: str) -> None:
        job = await thoonk.job("j")
        if state != "unknown":
            await job.put("x", id="one", delay=60 if state == "scheduled" else None)
        if state in ("claimed", "stalled"):
            claim = await job.get()
            if state == "stalled":
                await claim.stall(reason="before")
        before = await job.get_info("one")
        assert await job.stop("one") is (state == "claimed")
        if state == "claimed":
            info = await info_of(job, "one")
            assert (info.state, info.failures) == (JobState.STALLED, 0)
            assert info.failure is not None
            assert info.failure.message == "stopped"
            with pytest.raises(NotClaimed):
                await claim.finish()
        else:
            assert await job.get_info("one") == before

    async def test_who_stops_a_job_may_say_why(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await job.get()
        assert await job.stop(id, reason="the wrong customer") is True
        with pytest.raises(JobFailed, match="the wrong customer"):
            await job.get_result(id, timeout=5)

    async def test_giving_back_for_later_without_a_reason_forgets_the_last_one(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await (await job.get()).cancel(reason="why")
        await (await job.get()).cancel(delay=60)
        info = await info_of(job, id)
        assert info.failure == Failure("")
        assert info.failures == 2

    async def test_an_id_that_comes_again_has_no_past(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        for last in ("finish", "retract", "finish"):
            await job.put("x", id="a")
            info = await info_of(job, "a")
            assert (info.failure, info.failures, info.failed) == (None, 0, None)
            await (await job.get()).cancel(reason="why")
            if last == "finish":
                await (await job.get()).finish()
            else:
                await job.retract("a")

    async def test_what_is_no_reason_is_refused(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        before = await self.stored(thoonk)
        wrong: Any
        for wrong in (3, b"bytes", ZeroDivisionError):
            with pytest.raises(InvalidType):
                await claim.cancel(reason=wrong)
            with pytest.raises(InvalidType):
                await claim.stall(reason=wrong)
            with pytest.raises(InvalidType):
                await job.cancel(id, reason=wrong)
        assert await self.stored(thoonk) == before

    async def test_all_of_a_failure_is_kept(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        failure = Failure("message = 1", "Error", "line 1\nline 2=", "host:1")
        failed = await thoonk.backend.execute(JobFail("j", id, "token", failure=failure))
        assert failed is Failed.WAITING
        assert (await info_of(job, id)).failure == failure

    # --- how far it is --------------------------------------------------------------------------

    async def test_progress_is_kept_and_told_by_the_holder_alone(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        info = await info_of(job, id)
        assert (info.progress, info.doing, info.progressed) == (None, "", None)
        for fraction, text in ((0.0, "begun"), (0.25, ""), (1.0, "Grüße")):
            await thoonk.backend.execute(JobProgress("j", id, "token", fraction, text))
            info = await info_of(job, id)
            assert (info.state, info.progress, info.doing) == (JobState.CLAIMED, fraction, text)
            assert seconds_between(info.claimed, info.progressed) >= 0
        before = await self.stored(thoonk)
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(JobProgress("j", id, "another", 0.5))
        assert await self.stored(thoonk) == before

    async def test_claims_can_be_asked_whether_they_hold(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(["a", "b"])
        claims = await job.get_many(2)
        await claims[0].cancel()
        before = await self.stored(thoonk)
        holds = await thoonk.backend.execute(
            JobHolds(
                "j",
                (
                    ClaimRef(ids[0], claims[0].token),
                    ClaimRef(ids[1], claims[1].token),
                    ClaimRef(ids[1], "another"),
                    ClaimRef(ids[1]),
                    ClaimRef("nowhere"),
                ),
            )
        )
        assert holds == (False, True, False, True, False)
        assert await self.stored(thoonk) == before

    # --- results that do not come ---------------------------------------------------------------

    async def test_who_waits_for_the_result_of_a_stalled_job_is_told(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        id = await job.put("x")
        with pytest.raises(Empty):
            await job.get_result_nowait(id)
        claim = await job.get()
        asking = Background(elsewhere.get_result, id, timeout=10)
        await claim.stall(reason=OSError("disk full"))
        with pytest.raises(JobFailed) as caught:
            await asking.result()
        assert (caught.value.id, caught.value.error) == (id, "OSError")
        assert caught.value.reason == "disk full"
        for call in (job.get_result, job.get_result_nowait):
            with pytest.raises(JobFailed):
                await call(id)
        await job.retry(id)
        with pytest.raises(Empty):
            await job.get_result_nowait(id)

    @pytest.mark.parametrize("end", ["unknown", "finished", "retracted"])
    async def test_who_waits_for_a_result_that_will_not_come_is_told(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, end: str
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        id = "unknown"
        if end != "unknown":
            id = await job.put("x")
            claim = await job.get()
            asking = Background(elsewhere.get_result, id, timeout=10)
            await (claim.finish() if end == "finished" else job.retract(id))
            with pytest.raises(NoResult):
                await asking.result()
        for call in (job.get_result, job.get_result_nowait):
            with pytest.raises(NoResult) as caught:
                await call(id)
            assert caught.value.id == id

    # --- by state -------------------------------------------------------------------------------

    async def test_jobs_are_listed_by_state(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put_many({"c1": "x", "c2": "x", "s1": "x", "w1": "x", "w2": "x"})
        await job.put("x", job.HIGH, id="w0")
        await job.put("x", id="d2", delay=900)
        await job.put("x", id="d1", delay=90)
        held = {claim.id: claim for claim in await job.get_many(4)}
        await held.pop("w0").cancel(reason="why")
        await held["s1"].stall(reason="why")
        wanted = {
            "scheduled": ["d1", "d2"],
            "waiting": ["w1", "w2", "w0"],
            "claimed": ["c1", "c2"],
            "stalled": ["s1"],
        }
        for state, ids in wanted.items():
            if state == "claimed":  # at the same time
                assert sorted(await job.get_ids(state)) == ids
            else:
                assert await job.get_ids(state) == ids
            assert await job.get_ids(JobState(state)) == await job.get_ids(state)
            assert [info async for info in job.jobs(state)] == [
                await info_of(job, id) for id in await job.get_ids(state)
            ]
        for wrong in ("finished", "lost", None, JobState.FINISHED):
            with pytest.raises(InvalidValue):
                job.jobs(wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize("state", STATES)
    async def test_pages_of_a_state_have_each_job_once(
        self, thoonk: AsyncThoonk, state: str
    ) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(
            (str(number) for number in range(25)), delay=60 if state == "scheduled" else None
        )
        if state in ("claimed", "stalled"):
            for claim in await job.get_many(25):
                if state == "stalled":
                    await claim.stall()
        seen: dict[str, bytes] = {}
        cursor = ""
        while True:
            page = await thoonk.backend.execute(ReadJobPage("j", JobState(state), 10, cursor))
            assert len(page.jobs) == len(page.items)
            for info, item in zip(page.jobs, page.items, strict=True):
                assert info.state.value == state
                assert state == "stalled" or info.id not in seen
                seen[info.id] = item
            cursor = page.cursor
            if not cursor:
                break
        assert seen == {id: str(number).encode() for number, id in enumerate(ids)}
        if state in ("scheduled", "waiting"):
            assert [*seen] == ids

    async def test_stalled_jobs_are_retried_all_at_once(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"max_failures": 1})
        ids = await job.put_many(["a", "b", "c"])
        for claim in await job.get_many(3):
            await claim.cancel()
        await job.put("later", delay=60)
        consumers = [Background((await other.job("j")).get) for _ in ids]
        await until(lambda: self.blocked() == 3)
        assert await job.retry_all() == 3
        assert await job.retry_all() == 0
        taken = [await consumer.result() for consumer in consumers]
        assert sorted(claim.id for claim in taken) == sorted(ids)
        assert [claim.cancelled for claim in taken] == [0, 0, 0]
        assert [await job.get_failure_count(id) for id in ids] == [0, 0, 0]
        with pytest.raises(NotStalled):
            await job.retry(ids[0])

    async def test_a_step_does_as_many_as_it_is_asked_for(self, thoonk: AsyncThoonk) -> None:
        job, queue = await thoonk.job("j"), await thoonk.queue("q")
        await job.put_many(["a", "b", "c"])
        await queue.put_many(["a", "b", "c"])
        for claim in await job.get_many(3):
            await claim.stall()
        backend = thoonk.backend
        step = await backend.execute(JobRetryAll("j", 2))
        assert (step.count, step.left) == (2, 1)
        assert await job.get_counts() == JobCounts(2, 0, 1, 0)
        step = await backend.execute(JobClear("j", JobState.WAITING, 1))
        assert (step.count, step.left) == (1, 1)
        step = await backend.execute(JobClear("j", JobState.STALLED, 5))
        assert (step.count, step.left) == (1, 0)
        step = await backend.execute(QueueClear("q", 2))
        assert (step.count, step.left) == (2, 1)

    @pytest.mark.parametrize("state", STATES)
    async def test_jobs_in_one_state_are_removed(self, thoonk: AsyncThoonk, state: str) -> None:
        job = await thoonk.job("j")
        await job.put_many({"claimed": "x", "stalled": "x", "waiting": "x"})
        await job.put("x", id="scheduled", delay=60)
        claims = await job.get_many(2)
        await claims[1].stall(reason="why")
        assert await job.retract_all(state) == 1
        assert await job.retract_all(JobState(state)) == 0
        assert sorted(await job.get_ids()) == sorted({*STATES} - {state})
        assert await job.get_info(state) is None
        if state == "claimed":
            with pytest.raises(NotClaimed):
                await claims[0].finish()
        with pytest.raises(InvalidValue):
            await job.retract_all("finished")

    async def test_all_jobs_are_removed_and_what_was_done_stays(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 3})
        done = await job.put("x")
        await (await job.get()).finish("done")
        before = await read_all(thoonk)
        await job.put_many({"claimed": "x", "stalled": "x", "waiting": "x", "failed": "x"})
        await job.put("x", id="scheduled", delay=60)
        claims = await job.get_many(2)
        await claims[1].stall()
        await (await job.get()).cancel(reason="why")
        assert await job.purge() == 5
        assert await job.purge() == 0
        assert await read_all(thoonk) == before
        assert (await job.get_counts()).finished == 1
        assert await job.get_result(done, timeout=5) == ("x", "done")
        await job.put("y")
        assert (await job.get()).item == "y"

    async def test_a_queue_is_purged(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q", {"max_item_size": 100})
        before = await read_all(thoonk)
        await queue.put_many(map(str, range(1200)))
        await thoonk.backend.execute(QueueTake("q", "token"))
        assert await queue.purge() == 1200
        assert await queue.purge() == 0
        assert await read_all(thoonk) == before
        assert (await thoonk.backend.execute(QueueTake("q", "token"))).entries == ()

    async def test_a_feed_that_is_gone_is_refused(self, thoonk: AsyncThoonk) -> None:
        job, queue = await thoonk.job("j"), await thoonk.queue("q")
        await thoonk.delete_feed("j")
        await thoonk.delete_feed("q")
        for call in (job.retry_all, job.purge, queue.purge):
            with pytest.raises(FeedDoesNotExist):
                await call()
        with pytest.raises(FeedDoesNotExist):
            await job.get_ids("waiting")
        with pytest.raises(FeedDoesNotExist):
            await thoonk.backend.execute(JobFail("j", "a", due=Due(delay=1)))
