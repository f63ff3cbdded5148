"""Periodic jobs (contract: Periodic jobs)."""

from __future__ import annotations

import datetime as dt
import itertools
import time
import zoneinfo

import pytest

from thoonk import (
    AsyncJob,
    AsyncThoonk,
    Empty,
    FeedDoesNotExist,
    InvalidType,
    InvalidValue,
    PeriodicJob,
    Priority,
    WrongFeedType,
)
from thoonk.operations import (
    IfMissed,
    JobClaim,
    JobNext,
    JobSchedule,
    JobSetRuns,
    JobUnschedule,
    ReadSchedules,
    Schedule,
    ScheduleStatus,
)
from thoonk.schedules import RENEW_BELOW, TOLD, next_times
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until
from thoonk.testing.checks import PROMPTLY

EVERY = 5.0
"""Seconds between two jobs of these tests: more than a test takes that expects none yet."""

MISSED = 61.0
"""After this many seconds without a consumer jobs were missed."""

NIGHTLY = Schedule("s", b"x", cron="0 3 * * *", tz="UTC")
"""A backend knows only the times that it gets."""


async def status_of(thoonk: AsyncThoonk, name: str = "s") -> ScheduleStatus:
    """The schedule, as the backend has it."""
    (status,) = await thoonk.backend.execute(ReadSchedules("j", (name,)))
    return status


async def next_id(thoonk: AsyncThoonk, name: str = "s") -> str:
    """The id that the next job of the schedule will have."""
    status = await status_of(thoonk, name)
    assert status.next is not None
    return f"{name}@{status.next * 1000:.0f}"


def seconds_in(id: str) -> float:
    """The time in the id of a periodic job, in seconds since 1970."""
    return int(id.rpartition("@")[2]) / 1000


async def is_nothing_there(job: AsyncJob[str]) -> bool:
    """Whether a consumer would get no job now."""
    try:
        await job.get_nowait()
    except Empty:
        return True
    return False


class AsyncSchedulesContract(AsyncContract):
    """Schedules: each of their times puts one job, for any consumer."""

    async def test_each_time_puts_one_job(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        began = time.time()
        assert await job.schedule("s", "x", every=EVERY) is True
        first = (await status_of(thoonk)).next
        assert first is not None
        assert abs(first - began - EVERY) < EVERY / 2
        ids = []
        for consumer in (job, elsewhere, job):
            assert await is_nothing_there(consumer)
            await self.pass_time(EVERY + 0.05)
            due = await next_id(thoonk)
            claim = await consumer.get(timeout=5)
            assert (claim.id, claim.item, claim.cancelled) == (due, "x", 0)
            assert await is_nothing_there(elsewhere)
            after = (await status_of(thoonk)).next
            assert after is not None
            assert after - seconds_in(due) == pytest.approx(EVERY)
            await claim.finish("done")
            assert await job.get_result(due, timeout=5) == ("x", "done")
            ids.append(due)
        assert len({*ids}) == 3
        assert (await job.get_counts()).finished == 3

    async def test_times_that_have_passed_together_put_a_job_each(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        await self.pass_time(3 * EVERY + 0.05)
        ids = [(await job.get(timeout=5)).id for _ in range(3)]
        first, second, third = map(seconds_in, ids)
        assert second - first == pytest.approx(EVERY)
        assert third - second == pytest.approx(EVERY)
        assert await is_nothing_there(job)

    async def test_the_jobs_of_several_schedules_come_in_the_order_of_their_times(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        for name, every in (("c", 12.0), ("a", 7.0), ("b", 9.0)):
            await job.schedule(name, name, every=every)
        await self.pass_time(12.05)
        assert [(await job.get(timeout=5)).item for _ in range(3)] == [*"abc"]

    async def test_a_job_of_high_priority_is_claimed_before_all_that_waits(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.schedule("low", "low", every=4.0)
        await job.schedule("high", "high", every=5.0, priority=job.HIGH)
        await job.put("waiting")
        await self.pass_time(5.05)
        taken = [(await job.get(timeout=5)).item for _ in range(3)]
        assert taken == ["high", "waiting", "low"]

    async def test_a_job_that_is_not_finished_does_not_keep_the_next_from_coming(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        await self.pass_time(EVERY + 0.05)
        held = await job.get(timeout=5)
        await self.pass_time(EVERY)
        following = await job.get(timeout=5)
        assert following.id != held.id
        assert (await job.get_counts()).claimed == 2

    async def test_an_id_that_is_there_is_not_put_again(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        await self.pass_time(EVERY + 0.05)
        id = await next_id(thoonk)
        await job.put("mine", id=id)
        claim = await job.get(timeout=5)
        assert (claim.id, claim.item) == (id, "mine")
        assert await is_nothing_there(job)

    # --- making the same, another, none ---------------------------------------------------

    async def test_two_clients_make_the_same_schedule(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        assert await job.schedule("s", "x", every=EVERY) is True
        due = await next_id(thoonk)
        assert await elsewhere.schedule("s", "x", every=EVERY) is False
        assert await next_id(thoonk) == due
        await self.pass_time(EVERY + 0.05)
        assert await elsewhere.schedule("s", "x", every=EVERY) is False
        assert (await job.get(timeout=5)).item == "x"
        assert await is_nothing_there(elsewhere)
        assert await job.schedule("s", "x", every=EVERY) is False

    @pytest.mark.parametrize("changed", ["item", "every", "if_missed", "priority"])
    async def test_a_schedule_is_changed(self, thoonk: AsyncThoonk, changed: str) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        other = {"item": "y", "every": 9.0, "if_missed": "skip", "priority": Priority.HIGH}
        arguments = {"item": "x", "every": EVERY, changed: other[changed]}
        for is_new in (True, False):
            assert await job.schedule("s", **arguments) is is_new  # type: ignore[arg-type]
        (found,) = await job.schedules()
        assert getattr(found, changed) == other[changed]

    async def test_a_job_that_waits_stays_when_its_schedule_is_changed(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("before")
        await job.schedule("s", "old", every=EVERY)
        await self.pass_time(EVERY + 0.05)
        await job.get(timeout=5)  # brings in the other one
        assert await job.get_ids("waiting") != []
        assert await job.schedule("s", "new", every=EVERY) is True
        assert (await job.get(timeout=5)).item == "old"
        assert await is_nothing_there(job)
        await self.pass_time(EVERY + 0.05)
        assert (await job.get(timeout=5)).item == "new"
        assert await is_nothing_there(job)

    async def test_a_schedule_that_is_changed_begins_anew(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "old", every=EVERY)
        await self.pass_time(EVERY + 0.05)
        # Nobody has looked, so that there is no job yet.
        await job.schedule("s", "new", every=EVERY)
        assert await is_nothing_there(job)
        await self.pass_time(EVERY + 0.05)
        assert (await job.get(timeout=5)).item == "new"
        assert await is_nothing_there(job)

    async def test_a_schedule_is_removed_and_a_job_that_waits_stays(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("before")
        await job.schedule("s", "x", every=EVERY)
        await self.pass_time(EVERY + 0.05)
        await job.get(timeout=5)
        assert await job.unschedule("s") is True
        assert await job.unschedule("s") is False
        assert await job.schedules() == []
        assert (await job.get(timeout=5)).item == "x"
        await self.pass_time(EVERY + 0.05)
        assert await is_nothing_there(job)
        assert (await thoonk.backend.execute(JobClaim("j", "t"))).retry_after is None
        assert await job.schedule("s", "x", every=EVERY) is True

    async def test_purging_leaves_schedules(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        await job.purge()
        await self.pass_time(EVERY + 0.05)
        assert (await job.get(timeout=5)).item == "x"

    async def test_schedules_are_listed_by_name(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        assert await job.schedules() == []
        await job.schedule("b", "x", every=60)
        await job.schedule("a", "y", every=90.5, if_missed="skip", priority=job.HIGH)
        found = await job.schedules()
        times = [each.next for each in found]
        assert None not in times
        assert found == [
            PeriodicJob("a", "y", 90.5, "", "", "skip", Priority.HIGH, times[0]),
            PeriodicJob("b", "x", 60.0, "", "", "once", Priority.NORMAL, times[1]),
        ]
        names = await thoonk.backend.execute(ReadSchedules("j", ("b", "none")))
        assert [each.schedule.name for each in names] == ["b"]

    @pytest.mark.parametrize("item", [b"", b"\0", b"a\0item=b\0", bytes(range(256))])
    async def test_an_item_is_any_bytes(self, thoonk: AsyncThoonk, item: bytes) -> None:
        await thoonk.job("j")
        schedule = Schedule("a name=@ 1", item, every=EVERY)
        assert await thoonk.backend.execute(JobSchedule("j", schedule)) is True
        assert await thoonk.backend.execute(JobSchedule("j", schedule)) is False
        assert (await status_of(thoonk, schedule.name)).schedule == schedule
        await self.pass_time(EVERY + 0.05)
        id = await next_id(thoonk, schedule.name)
        (entry,) = (await thoonk.backend.execute(JobClaim("j", "t"))).entries
        assert (entry.id, entry.item) == (id, item)

    # --- what was missed ----------------------------------------------------------------------

    @pytest.mark.parametrize("if_missed", ["once", "skip"])
    async def test_of_jobs_that_were_missed_the_last_one_is_put_or_none(
        self, thoonk: AsyncThoonk, if_missed: str
    ) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY, if_missed=if_missed)
        before = (await status_of(thoonk)).next
        await self.pass_time(MISSED + EVERY)
        turned = (await status_of(thoonk)).next
        assert before is not None
        assert turned is not None
        if if_missed == "once":
            id = (await job.get(timeout=5)).id
            steps = (seconds_in(id) - turned) / EVERY
            assert steps == pytest.approx(round(steps))
            assert steps >= 12
        assert await is_nothing_there(job)
        after = (await status_of(thoonk)).next
        assert after is not None
        assert (after - turned) / EVERY == pytest.approx(round((after - turned) / EVERY))
        if if_missed == "once":
            assert after - seconds_in(id) == pytest.approx(EVERY)
        # It goes on as before.
        await self.pass_time(EVERY + 0.05)
        assert (await job.get(timeout=5)).item == "x"
        assert await is_nothing_there(job)

    @pytest.mark.parametrize("if_missed", IfMissed)
    async def test_of_given_times_that_were_missed_the_last_one_counts(
        self, thoonk: AsyncThoonk, if_missed: IfMissed
    ) -> None:
        job = await thoonk.job("j")
        schedule = Schedule("s", b"x", cron="* * * * *", tz="UTC", if_missed=if_missed)
        now = float(round(time.time()))
        times = (now - 200, now - 130, now - 10, now + 4000, now + 5000)
        await thoonk.backend.execute(JobSchedule("j", schedule, times))
        answer = await thoonk.backend.execute(JobClaim("j", "t"))
        ids = [entry.id for entry in answer.entries]
        assert ids == ([f"s@{(now - 10) * 1000:.0f}"] if if_missed is IfMissed.ONCE else [])
        assert await is_nothing_there(job)
        status = await status_of(thoonk)
        assert (status.next, status.later[:1]) == (now + 4000, (now + 5000,))

    # --- times that are told ------------------------------------------------------------------

    async def test_times_that_are_told_are_kept_and_put_a_job_each(
        self, thoonk: AsyncThoonk
    ) -> None:
        await thoonk.job("j")
        now = float(round(time.time()))
        # A day later, and an hour: so it is where summer time ends.
        times = (now - 20, now - 10.5, now + 90_000, now + 180_000)
        assert await thoonk.backend.execute(JobSchedule("j", NIGHTLY, times)) is True
        assert await status_of(thoonk) == ScheduleStatus(NIGHTLY, times[0], times[1:])
        assert await thoonk.backend.execute(JobSchedule("j", NIGHTLY, times[2:])) is False
        answer = await thoonk.backend.execute(JobClaim("j", "t", 5))
        assert [entry.id for entry in answer.entries] == [
            f"s@{(now - 20) * 1000:.0f}",
            f"s@{(now - 10.5) * 1000:.0f}",
        ]
        assert await status_of(thoonk) == ScheduleStatus(NIGHTLY, times[2], times[3:])

    async def test_more_times_are_told(self, thoonk: AsyncThoonk) -> None:
        await thoonk.job("j")
        backend, now = thoonk.backend, float(round(time.time()))
        await backend.execute(JobSchedule("j", NIGHTLY, (now + 50, now + 60)))
        told = (now - 10, now + 50, now + 55, now + 70)
        assert await backend.execute(JobSetRuns("j", NIGHTLY, told)) is True
        assert await status_of(thoonk) == ScheduleStatus(NIGHTLY, now + 50, told[2:])
        other = Schedule("s", b"y", cron=NIGHTLY.cron, tz="UTC")
        assert await backend.execute(JobSetRuns("j", other, (now + 99,))) is False
        unknown = Schedule("t", b"x", cron=NIGHTLY.cron, tz="UTC")
        assert await backend.execute(JobSetRuns("j", unknown, (now + 99,))) is False
        assert await backend.execute(ReadSchedules("j")) == (await status_of(thoonk),)
        assert (await status_of(thoonk)).later == told[2:]

    async def test_without_a_time_a_schedule_waits_to_be_told_of_one(
        self, thoonk: AsyncThoonk
    ) -> None:
        await thoonk.job("j")
        backend, now = thoonk.backend, float(round(time.time()))
        await backend.execute(JobSchedule("j", NIGHTLY, (now - 10,)))
        assert len((await backend.execute(JobClaim("j", "1"))).entries) == 1
        assert await status_of(thoonk) == ScheduleStatus(NIGHTLY, None, ())
        empty = await backend.execute(JobClaim("j", "2"))
        assert (empty.entries, empty.retry_after) == ((), None)
        # Of a past that it has seen there is nothing to be told.
        told = (now - 15, now + 50, now + 60)
        assert await backend.execute(JobSetRuns("j", NIGHTLY, told)) is True
        assert await status_of(thoonk) == ScheduleStatus(NIGHTLY, now + 50, (now + 60,))

    async def test_a_cron_expression_is_meant_in_its_time_zone(self, thoonk: AsyncThoonk) -> None:
        pytest.importorskip("cronsim")
        job = await thoonk.job("j")
        for is_new in (True, False):
            assert await job.schedule("s", "x", cron="0 3 * * *", tz="Europe/Berlin") is is_new
        status = await status_of(thoonk)
        assert status.next is not None
        times = (status.next, *status.later)
        assert len(times) == TOLD
        berlin = zoneinfo.ZoneInfo("Europe/Berlin")
        for each in times:
            local = dt.datetime.fromtimestamp(each, berlin)
            assert (local.hour, local.minute, local.second) == (3, 0, 0)
        assert await job.schedule("s", "x", cron="0 3 * * *", tz="Asia/Tokyo") is True

    async def test_who_takes_a_job_tells_of_more_times(self, thoonk: AsyncThoonk) -> None:
        pytest.importorskip("cronsim")
        job = await thoonk.job("j")
        now = dt.datetime.now(dt.UTC)
        times = next_times(NIGHTLY, now, 1)
        await thoonk.backend.execute(JobSchedule("j", NIGHTLY, (now.timestamp() - 1, *times)))
        await job.get(timeout=5)
        status = await status_of(thoonk)
        assert status.next == times[0]
        assert len(status.later) >= RENEW_BELOW
        assert status.later == next_times(NIGHTLY, now, len(status.later) + 1)[1:]

    # --- who waits ------------------------------------------------------------------------------

    @pytest.mark.parametrize("first", ["consumer", "schedule"])
    async def test_a_blocked_get_wakes_for_a_schedule(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, first: str
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        began = time.monotonic()
        if first == "schedule":
            await job.schedule("s", "x", every=0.4)
        consumer = Background(elsewhere.get)
        if first == "consumer":
            await until(lambda: self.blocked() == 1)
            began = time.monotonic()
            await job.schedule("s", "x", every=0.4)
        assert (await consumer.result()).item == "x"
        assert 0.35 < time.monotonic() - began < PROMPTLY
        assert (await elsewhere.get(timeout=10)).item == "x"
        assert 0.75 < time.monotonic() - began < PROMPTLY

    async def test_two_consumers_share_the_jobs_of_a_schedule(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        await job.schedule("s", "x", every=0.2)

        async def take(consumer: AsyncJob[str]) -> list[str]:
            ids = []
            for _ in range(4):
                claim = await consumer.get(timeout=10)
                ids.append(claim.id)
                await claim.finish()
            return ids

        consumers = [Background(take, each) for each in (job, elsewhere)]
        times = sorted(
            [seconds_in(id) for consumer in consumers for id in await consumer.result(20)]
        )
        for early, late in itertools.pairwise(times):
            assert late - early == pytest.approx(0.2)

    async def test_an_empty_claim_and_stats_say_when_it_is_due(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=60)
        await job.schedule("t", "x", every=30)
        for operation in (JobClaim("j", "1"), JobNext("j", "2")):
            taken = await thoonk.backend.execute(operation)
            assert taken.entries == ()
            assert taken.retry_after is not None
            assert 20 < taken.retry_after <= 30
        stats = await job.stats()
        assert stats.next_due is not None
        assert 20 < stats.next_due <= 30
        assert stats.scheduled == 0
        await job.put("later", delay=10)
        taken = await thoonk.backend.execute(JobClaim("j", "3"))
        assert taken.retry_after is not None
        assert taken.retry_after <= 10

    async def test_a_job_of_a_paused_feed_waits_for_the_end_of_the_pause(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.schedule("s", "x", every=EVERY)
        await job.pause()
        await self.pass_time(EVERY + 0.05)
        assert await is_nothing_there(job)
        await job.resume()
        assert (await job.get(timeout=5)).item == "x"
        assert await is_nothing_there(job)

    # --- what is refused ------------------------------------------------------------------------

    async def test_what_is_refused_changes_nothing(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        before = await self.stored(thoonk)
        for arguments, error in (
            ({}, InvalidValue),
            ({"every": 1, "cron": "* * * * *"}, InvalidValue),
            ({"every": 0}, InvalidValue),
            ({"every": 0.05}, InvalidValue),
            ({"every": "1"}, InvalidType),
            ({"every": 1, "if_missed": "twice"}, InvalidValue),
            ({"every": 1, "priority": "high"}, InvalidType),
            ({"cron": 3}, InvalidType),
        ):
            with pytest.raises(error):
                await job.schedule("s", "x", **arguments)
        with pytest.raises(InvalidValue):
            await job.schedule("", "x", every=1)
        assert await self.stored(thoonk) == before
        assert await job.schedules() == []

    async def test_a_feed_that_is_gone_or_of_another_type_is_refused(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await thoonk.queue("q")
        await job.schedule("s", "x", every=EVERY)
        await thoonk.delete_feed("j")
        for name, error in (("j", FeedDoesNotExist), ("q", WrongFeedType)):
            for operation in (
                JobSchedule(name, Schedule("s", b"x", every=1)),
                JobSetRuns(name, NIGHTLY, (4e9,)),
                JobUnschedule(name, "s"),
                ReadSchedules(name),
            ):
                with pytest.raises(error):
                    await thoonk.backend.execute(operation)
        again = await thoonk.job("j")
        assert await again.schedules() == []
        await self.pass_time(EVERY + 0.05)
        assert await is_nothing_there(again)
