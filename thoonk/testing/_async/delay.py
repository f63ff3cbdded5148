"""Jobs for later (contract: job add, job reschedule, job fail)."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from thoonk import (
    AsyncJob,
    AsyncThoonk,
    Empty,
    FeedDoesNotExist,
    FeedStats,
    InvalidType,
    InvalidValue,
    ItemTooLarge,
    JobCounts,
    NotClaimed,
    NotScheduled,
    Outcome,
    PutResult,
)
from thoonk.operations import (
    Completion,
    Due,
    Entry,
    Failed,
    JobAdd,
    JobClaim,
    JobFail,
    JobNext,
    ReadJobs,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, pause, until
from thoonk.testing._async.stored import read_all
from thoonk.testing.checks import PROMPTLY

LATER = 5.0
"""Seconds until jobs of these tests are due: more than a test takes that expects nothing yet."""


def in_a_while(seconds: float = LATER) -> dt.datetime:
    """That many seconds from now."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


async def is_nothing_there(job: AsyncJob[str]) -> bool:
    """Whether a consumer would get no job now."""
    try:
        await job.get_nowait()
    except Empty:
        return True
    return False


class AsyncDelayContract(AsyncContract):
    """Jobs that are put, given back or moved for later: not before their time, and then."""

    # --- put --------------------------------------------------------------------------------

    @pytest.mark.parametrize("how", ["delay", "at", "several"])
    async def test_a_job_is_not_there_before_its_time_and_is_there_then(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, how: str
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        if how == "delay":
            id = await job.put("x", delay=LATER)
        elif how == "at":
            id = await job.put("x", at=in_a_while())
        else:
            (id,) = await job.put_many(["x"], delay=LATER)
        assert isinstance(id, PutResult)
        assert id.outcome is Outcome.ADDED
        for _ in range(2):
            assert await is_nothing_there(job)
            assert await is_nothing_there(elsewhere)
        with pytest.raises(Empty):
            await job.get(timeout=0.05)
        await self.pass_time(LATER + 0.05)
        claim = await elsewhere.get(timeout=5)
        assert (claim.id, claim.item, claim.cancelled) == (id, "x", 0)
        assert await is_nothing_there(job)
        await claim.finish("done")
        assert await job.get_result(id, timeout=5) == ("x", "done")

    async def test_no_delay_and_a_time_that_is_past_are_now(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = [
            await job.put("a", delay=0),
            await job.put("b", at=in_a_while(-60)),
            await job.put("c", at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
            await job.put("d"),
        ]
        assert (await job.get_counts()).scheduled == 0
        assert [(await job.get_nowait()).id for _ in range(4)] == ids

    async def test_a_time_zone_tells_the_moment(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        east = dt.timezone(dt.timedelta(hours=5))
        await job.put("past", at=in_a_while(-60).astimezone(east))
        await job.put("to come", at=in_a_while(60).astimezone(east))
        assert (await job.get_nowait()).item == "past"
        assert await is_nothing_there(job)

    async def test_jobs_that_are_due_come_in_the_order_of_their_times(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        first = in_a_while()
        for item, after in (("c", 0.2), ("a", 0), ("d", 0.3), ("b", 0.1)):
            await job.put(item, at=first + dt.timedelta(seconds=after))
        await self.pass_time(LATER + 0.35)
        assert [(await job.get(timeout=5)).item for _ in range(4)] == ["a", "b", "c", "d"]

    async def test_jobs_of_one_put_keep_their_order(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        # By their ids they would come in another one.
        items = {"z": "1", "a": "2", "m": "3", "b": "4"}
        await job.put_many(items, delay=1)
        await self.pass_time(1.05)
        assert [(await job.get(timeout=5)).id for _ in items] == [*items]

    async def test_a_due_job_of_high_priority_is_claimed_before_all_that_waits(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("low", delay=1)
        await job.put("high", job.HIGH, delay=1.2)
        await job.put_many(["higher"], job.HIGH, delay=1.4)
        await job.put("waiting")
        await self.pass_time(1.5)
        taken = [(await job.get(timeout=5)).item for _ in range(4)]
        assert taken == ["higher", "high", "waiting", "low"]

    async def test_a_busy_consumer_brings_in_what_is_due_when_it_looks(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put_many(["a", "b"])
        due = await job.put("high", job.HIGH, delay=1)
        await self.pass_time(1.05)
        taken = await thoonk.backend.execute(JobClaim("j", "token", recover_expired=True))
        assert [entry.id for entry in taken.entries] == [due]

    async def test_more_than_a_hundred_are_due(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many((str(number) for number in range(250)), delay=1)
        assert (await job.get_counts()).scheduled == 250
        await self.pass_time(1.05)
        assert [(await job.get(timeout=5)).id for _ in range(250)] == ids

    @pytest.mark.parametrize("blocked", [1, 3])
    async def test_a_blocked_get_wakes_for_a_job_that_is_due(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, blocked: int
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        consumers = [Background(elsewhere.get) for _ in range(blocked)]
        await until(lambda: self.blocked() == blocked)
        began = time.monotonic()
        await job.put_many(map(str, range(blocked)), delay=0.3)
        taken = [(await consumer.result()).item for consumer in consumers]
        assert 0.29 < time.monotonic() - began < PROMPTLY
        assert sorted(taken) == [*map(str, range(blocked))]

    async def test_a_get_that_begins_later_wakes_for_it_too(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        began = time.monotonic()
        await job.put("later", delay=60)
        await job.put("x", delay=0.4)
        assert (await job.get(timeout=10)).item == "x"
        assert 0.39 < time.monotonic() - began < PROMPTLY

    async def test_a_get_that_is_blocked_wakes_for_what_is_due_sooner(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("later", delay=60)
        consumer = Background((await other.job("j")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await job.put("x", delay=0.3)
        assert (await consumer.result()).item == "x"
        assert time.monotonic() - began < PROMPTLY

    async def test_who_is_busy_with_a_job_does_not_keep_another_from_the_next(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        consumers = [Background(job.get), Background(elsewhere.get)]
        await until(lambda: self.blocked() == 2)
        await job.put("at once")
        await until(lambda: any(consumer.is_done() for consumer in consumers))
        began = time.monotonic()
        await job.put("later", delay=0.3)
        taken = {(await consumer.result()).item for consumer in consumers}
        assert taken == {"at once", "later"}
        assert time.monotonic() - began < PROMPTLY

    async def test_an_empty_get_ends_in_time_though_a_job_is_scheduled(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("x", delay=60)
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Empty):
                await job.get(timeout=0.25)
            assert 0.24 < time.monotonic() - began < PROMPTLY

    async def test_an_empty_claim_says_when_to_look_again(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        assert (await thoonk.backend.execute(JobClaim("j", "1"))).retry_after is None
        await job.put("x", delay=60)
        await job.put("y", delay=30)
        for operation in (JobClaim("j", "2"), JobNext("j", "3")):
            taken = await thoonk.backend.execute(operation)
            assert taken.entries == ()
            assert taken.retry_after is not None
            assert 20 < taken.retry_after <= 30
        await thoonk.set_config("j", {"claim_timeout": 10})
        await job.put("claimed")
        await job.get()
        taken = await thoonk.backend.execute(JobClaim("j", "4"))
        assert taken.retry_after is not None
        assert 0 < taken.retry_after <= 10

    async def test_the_loop_brings_in_what_is_due(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("later", delay=0.2)
        await job.put("now")
        seen: list[str] = []
        async with job.claims(timeout=10) as claims:
            async for claim in claims:
                seen.append(claim.item)
                if len(seen) == 2:
                    claims.stop()
        assert seen == ["now", "later"]

    @pytest.mark.parametrize("delay", [None, LATER])
    async def test_a_job_that_is_too_large_keeps_all_of_its_step_out(
        self, thoonk: AsyncThoonk, delay: float | None
    ) -> None:
        job = await thoonk.job("j", {"max_item_size": 3})
        before = await self.stored(thoonk)
        with pytest.raises(ItemTooLarge):
            await job.put_many({"a": "1", "b": "1234"}, delay=delay)
        assert await self.stored(thoonk) == before

    async def test_what_is_refused_changes_nothing(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        claim_of = await job.put("x")
        await job.get()
        before = await self.stored(thoonk)
        naive = dt.datetime(2030, 1, 1)  # noqa: DTZ001 - that is what is refused
        for delay, at, error in (
            (-1, None, InvalidValue),
            ("1", None, InvalidType),
            (1, in_a_while(), InvalidValue),
            (None, naive, InvalidValue),
            (None, "tomorrow", InvalidType),
        ):
            with pytest.raises(error):
                await job.put("y", delay=delay, at=at)  # type: ignore[arg-type]
            with pytest.raises(error):
                await job.put_many(["y"], delay=delay, at=at)  # type: ignore[arg-type]
            with pytest.raises(error):
                await job.cancel(claim_of, delay=delay, at=at)  # type: ignore[arg-type]
            with pytest.raises(error):
                await job.reschedule(claim_of, delay, at)  # type: ignore[arg-type]
        assert await self.stored(thoonk) == before

    async def test_every_call_on_a_deleted_feed_is_an_error(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=60)
        await thoonk.delete_feed("j")
        for operation in (
            JobAdd("j", (Entry("a", b"x"),), due=Due(delay=1)),
            JobFail("j", id, due=Due(delay=1)),
        ):
            with pytest.raises(FeedDoesNotExist):
                await thoonk.backend.execute(operation)
        for call in (job.run_now, job.get_info):
            with pytest.raises(FeedDoesNotExist):
                await call(id)
        assert await self.stored(thoonk) == {}

    async def test_a_feed_that_is_created_again_has_none_of_its_jobs(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("x", delay=0.05, id="a", unique_for=60)
        await thoonk.delete_feed("j")
        again = await thoonk.job("j")
        await self.pass_time(0.1)
        assert await is_nothing_there(again)
        assert (await again.put("y", id="a")).outcome is Outcome.ADDED

    # --- again and again ------------------------------------------------------------------------

    async def test_a_schedule_puts_a_job_again_and_again(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        assert await job.schedule("s", "x", every=LATER) is True
        assert await elsewhere.schedule("s", "x", every=LATER) is False
        assert await is_nothing_there(job)
        ids = []
        for _ in range(2):
            await self.pass_time(LATER + 0.05)
            claim = await elsewhere.get(timeout=5)
            assert claim.item == "x"
            assert claim.id.startswith("s@")
            ids.append(claim.id)
            await claim.finish()
            assert await is_nothing_there(job)
        assert len({*ids}) == 2
        assert await job.unschedule("s") is True
        assert await job.unschedule("s") is False
        await self.pass_time(LATER + 0.05)
        assert await is_nothing_there(job)

    async def test_a_blocked_get_wakes_for_a_job_of_a_schedule(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        consumer = Background((await other.job("j")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await job.schedule("s", "x", every=1.0, priority=job.HIGH)
        assert (await consumer.result()).item == "x"
        assert 0.9 < time.monotonic() - began < PROMPTLY

    async def test_another_schedule_of_a_name_takes_its_place(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=60)
        assert await job.schedule("s", "y", every=1) is True
        (known,) = await job.schedules()
        assert (known.name, known.item, known.every) == ("s", "y", 1)
        await self.pass_time(1.05)
        assert (await job.get(timeout=5)).item == "y"

    # --- what is there ----------------------------------------------------------------------

    async def test_a_scheduled_job_is_there_for_all_who_read(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        later = await job.put("later", delay=60)
        now = await job.put("now")
        both = {later: "later", now: "now"}
        assert sorted(await job.get_ids()) == sorted(both)
        assert await job.get_all() == both
        assert await job.get_items() == both
        assert await job.get_items([later, "other"]) == {later: "later"}
        assert await job.get_item(later) == "later"
        assert await job.get_item("other") is None
        assert await job.has_id(later)
        assert not await job.has_id("other")
        assert await job.count() == 2
        assert sorted([id async for id in job.ids()]) == sorted(both)
        assert {id: item async for id, item in job.items()} == both
        ids = await thoonk.backend.execute(ReadJobs("j", (later, "other")))
        assert [*ids] == [later]

    async def test_counts_and_stats_follow_a_job_to_its_time(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        assert (await job.stats()).next_due is None
        await job.put("x", delay=LATER)
        await job.put("y", delay=60)
        assert await job.get_counts() == JobCounts(0, 0, 0, 0, 2)
        stats: FeedStats = await job.stats()
        assert (stats.publishes, stats.items, stats.waiting, stats.scheduled) == (2, 0, 0, 2)
        assert stats.oldest_waiting is None
        assert stats.next_due is not None
        assert 0 < stats.next_due <= LATER
        await self.pass_time(LATER + 0.05)
        claim = await job.get(timeout=5)
        assert await job.get_counts() == JobCounts(0, 1, 0, 0, 1)
        await claim.finish()
        assert await job.get_counts() == JobCounts(0, 0, 0, 1, 1)

    async def test_a_consumer_that_finds_nothing_leaves_no_trace(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x", delay=60)
        with pytest.raises(Empty):
            await job.get(timeout=0.05)
        before = await read_all(thoonk)
        for _ in range(2):
            with pytest.raises(Empty):
                await job.get(timeout=0.05)
        assert await read_all(thoonk) == before
        assert await job.get_counts() == JobCounts(0, 0, 0, 0, 1)

    async def test_maintenance_leaves_scheduled_jobs_alone(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"claim_timeout": 60})
        await job.put("x", delay=60)
        before = await read_all(thoonk)
        report = await job.maintenance()
        assert (report.expired, report.stalled, report.recovered, report.discarded) == ((),) * 4
        assert await read_all(thoonk) == before

    @pytest.mark.parametrize("how", ["retract", "retract_many"])
    async def test_a_scheduled_job_is_retracted(self, thoonk: AsyncThoonk, how: str) -> None:
        job = await thoonk.job("j")
        before = await read_all(thoonk)
        id = await job.put("x", delay=1)
        if how == "retract":
            assert await job.retract(id)
        else:
            assert await job.retract_many([id, "other"]) == [True, False]
        assert not await job.retract(id)
        assert await read_all(thoonk) == before
        await self.pass_time(1.05)
        assert await is_nothing_there(job)

    @pytest.mark.parametrize("end", ["finish", "cancel", "stall", "extend"])
    async def test_nobody_has_claimed_a_scheduled_job(self, thoonk: AsyncThoonk, end: str) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        await job.cancel(id, delay=60)
        before = await self.stored(thoonk)
        with pytest.raises(NotClaimed):
            await getattr(claim, end)()
        assert await self.stored(thoonk) == before

    # --- another time -----------------------------------------------------------------------

    async def test_a_job_is_rescheduled(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        sooner, later = await job.put("a", delay=60), await job.put("b", delay=1)
        await job.reschedule(sooner, 1)
        await job.reschedule(later, at=in_a_while(60))
        assert (await job.get_counts()).scheduled == 2
        assert await is_nothing_there(job)
        await self.pass_time(1.05)
        assert (await job.get(timeout=5)).id == sooner
        assert await is_nothing_there(job)

    @pytest.mark.parametrize("how", ["run now", "no delay", "past"])
    async def test_a_job_is_made_available_at_once(self, thoonk: AsyncThoonk, how: str) -> None:
        job = await thoonk.job("j")
        waiting = await job.put("waiting")
        id = await job.put("x", delay=60)
        if how == "run now":
            await job.run_now(id)
        elif how == "no delay":
            await job.reschedule(id, 0)
        else:
            await job.reschedule(id, at=in_a_while(-60))
        assert await job.get_counts() == JobCounts(2, 0, 0, 0, 0)
        assert [(await job.get_nowait()).id for _ in range(2)] == [waiting, id]

    async def test_another_time_leaves_the_priority(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        first = await job.put("first", job.HIGH, delay=60)
        second = await job.put("second", job.HIGH, delay=60)
        third = await job.put("third")
        await job.reschedule(first, 30)
        for id in (first, second):
            await job.run_now(id)
        assert [(await job.get_nowait()).id for _ in range(3)] == [second, first, third]

    @pytest.mark.parametrize("how", ["run now", "sooner"])
    async def test_another_time_wakes_a_blocked_get(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, how: str
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=60)
        consumer = Background((await other.job("j")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await job.reschedule(id, 0 if how == "run now" else 0.3)
        assert (await consumer.result()).id == id
        assert time.monotonic() - began < PROMPTLY

    @pytest.mark.parametrize("state", ["unknown", "waiting", "claimed", "stalled", "finished"])
    async def test_a_job_that_is_not_scheduled_gets_no_other_time(
        self, thoonk: AsyncThoonk, state: str
    ) -> None:
        job = await thoonk.job("j")
        id = "unknown" if state == "unknown" else await job.put("x")
        if state not in ("unknown", "waiting"):
            claim = await job.get()
            if state != "claimed":
                await (claim.stall() if state == "stalled" else claim.finish())
        before = await self.stored(thoonk)
        with pytest.raises(NotScheduled) as caught:
            await job.reschedule(id, 60)
        assert (caught.value.feed, caught.value.id) == ("j", id)
        with pytest.raises(NotScheduled):
            await job.run_now(id)
        assert await self.stored(thoonk) == before

    # --- a job that failed --------------------------------------------------------------------

    @pytest.mark.parametrize("how", ["delay", "at", "claim"])
    async def test_a_job_that_failed_waits_for_its_delay(
        self, thoonk: AsyncThoonk, how: str
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        if how == "delay":
            stalled = await job.cancel(id, delay=LATER, token=claim.token)
        elif how == "at":
            stalled = await job.cancel(id, at=in_a_while())
        else:
            stalled = await claim.cancel(delay=LATER)
            assert claim.ended
        assert stalled is False
        assert await job.get_failure_count(id) == 1
        assert await job.get_counts() == JobCounts(0, 0, 0, 0, 1)
        assert await job.get_all() == {id: "x"}
        assert await is_nothing_there(job)
        await self.pass_time(LATER + 0.05)
        again = await job.get(timeout=5)
        assert (again.id, again.item, again.cancelled) == (id, "x", 1)

    async def test_failures_count_and_stall_whatever_the_delay(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 2})
        id = await job.put("x")
        assert await (await job.get()).cancel(delay=60) is False
        await job.run_now(id)
        assert await (await job.get()).cancel(delay=0.01) is True
        assert await job.get_counts() == JobCounts(0, 0, 1, 0)
        await self.pass_time(0.05)
        assert await is_nothing_there(job)
        await job.retry(id)
        assert (await job.get()).cancelled == 0

    async def test_a_delay_of_none_and_a_time_that_is_past_let_it_wait(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        for due in (None, Due(delay=0), Due(at=0), Due(at=1e9)):
            await thoonk.backend.execute(JobClaim("j", "token"))
            failed = await thoonk.backend.execute(JobFail("j", id, "token", due))
            assert failed is Failed.WAITING
        assert (await job.get()).cancelled == 4

    async def test_only_the_holder_of_a_claim_gives_back_for_later(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        before = await self.stored(thoonk)
        for operation in (
            JobFail("j", id, "another", Due(delay=1)),
            JobFail("j", id, "another", stall=True),
            JobFail("j", "nowhere", "token", Due(delay=1)),
        ):
            with pytest.raises(NotClaimed) as caught:
                await thoonk.backend.execute(operation)
            assert caught.value.id == operation.id
        assert await self.stored(thoonk) == before
        failed = await thoonk.backend.execute(JobFail("j", id, "token", Due(delay=60)))
        assert failed is Failed.SCHEDULED
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(JobFail("j", id, "token", Due(delay=60)))

    async def test_stalling_heeds_no_delay(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        failed = await thoonk.backend.execute(JobFail("j", id, "token", Due(delay=60), stall=True))
        assert failed is Failed.STALLED
        assert await job.get_counts() == JobCounts(0, 0, 1, 0)
        assert await job.get_failure_count(id) == 0

    async def test_giving_back_for_later_leaves_the_others_of_the_token(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        ids = await job.put_many(["a", "b"])
        claims = await job.get_many(2)
        await claims[0].cancel(delay=60)
        await claims[1].finish()
        assert await job.get_ids() == ids[:1]

    async def test_a_job_that_failed_wakes_a_blocked_get_when_it_is_due(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        consumer = Background((await other.job("j")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await claim.cancel(delay=0.3)
        assert (await consumer.result()).id == id
        assert 0.29 < time.monotonic() - began < PROMPTLY

    async def test_a_retried_job_does_not_run_twice(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x", delay=0.05)
        await job.run_now(id)
        claim = await job.get()
        await self.pass_time(0.1)
        assert await is_nothing_there(job)
        await claim.finish()
        await pause(0)
        assert await is_nothing_there(job)
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_finished_with_the_next_step(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        await job.put("y", delay=0.05)
        await self.pass_time(0.1)
        taken = await thoonk.backend.execute(
            JobNext("j", "next", finished=(Completion(id, "token"),))
        )
        assert [entry.item for entry in taken.entries] == [b"y"]
