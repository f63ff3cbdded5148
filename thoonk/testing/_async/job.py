"""The job feed (contract: job put, job get, job finish, job cancel, job stall, job retry)."""

# ruff: noqa: PT012, RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import pytest

from thoonk import (
    AsyncJob,
    AsyncThoonk,
    Empty,
    FeedDoesNotExist,
    Finished,
    InvalidType,
    JobCounts,
    JobResult,
    NoResult,
    NotClaimed,
    NotStalled,
    SerializerError,
)
from thoonk.operations import (
    ClaimRef,
    Completion,
    JobCancel,
    JobClaim,
    JobExtend,
    JobFinish,
    JobNext,
    JobStall,
    Release,
)
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, becomes, pause, until
from thoonk.testing._async.stored import read_all
from thoonk.testing.checks import PROMPTLY


async def result_is_gone(job: AsyncJob[Any], id: str) -> bool:
    try:
        await job.get_result(id, timeout=0.01)
    except (Empty, NoResult):
        return True
    return False


class AsyncJobContract(AsyncContract):
    """What a job feed does: claims and their endings, time, failures, results, maintenance."""

    # --- put and get ------------------------------------------------------------------------

    async def test_jobs_are_claimed_in_the_order_they_were_put(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = [await job.put(item) for item in ("a", "b", "c")]
        claims = [await job.get() for _ in range(3)]
        assert [claim.id for claim in claims] == ids
        assert [claim.item for claim in claims] == ["a", "b", "c"]
        assert [claim.cancelled for claim in claims] == [0, 0, 0]

    async def test_high_priority_is_claimed_first(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("normal")
        await job.put("high", priority=job.HIGH)
        assert [(await job.get()).item for _ in range(2)] == ["high", "normal"]

    async def test_a_claim_unpacks_into_id_item_and_cancelled(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        put = await job.put("x")
        id, item, cancelled = await job.get()
        assert (id, item, cancelled) == (put, "x", 0)
        await job.cancel(id)
        id, item, cancelled = await job.get(timeout=5)
        assert (id, item, cancelled) == (put, "x", 1)

    async def test_a_claimed_job_is_nobody_elses(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j"), await other.job("j")
        await job.put("x")
        await job.get()
        with pytest.raises(Empty):
            await elsewhere.get_nowait()
        with pytest.raises(Empty):
            await elsewhere.get(timeout=0.05)

    async def test_a_blocked_get_wakes_for_a_put(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        waiting = Background(job.get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        id = await (await other.job("j")).put("x")
        assert (await waiting.result()).id == id
        assert time.monotonic() - began < PROMPTLY

    async def test_timeout_0_blocks(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        waiting = Background(job.get, timeout=0)
        await until(lambda: self.blocked() == 1)
        await pause(0.2)
        assert not waiting.is_done()
        await job.put("x")
        assert (await waiting.result()).item == "x"

    async def test_every_job_reaches_exactly_one_of_many_workers(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feeds = [await thoonk.job("j"), await other.job("j")]

        async def work(number: int) -> list[str]:
            done: list[str] = []
            while True:
                async with await feeds[number % 2].get(timeout=20) as claim:
                    if claim.item == "end":
                        return done
                    done.append(claim.item)

        workers = [Background(work, number) for number in range(6)]
        await until(lambda: self.blocked() == 6)
        for number in range(120):
            await feeds[number % 2].put(f"{number}")
        for _ in workers:
            await feeds[0].put("end")
        done = [await worker.result(30) for worker in workers]
        assert Counter(item for items in done for item in items) == Counter(map(str, range(120)))
        await becomes(JobCounts(0, 0, 0, 126), feeds[0].get_counts)
        assert await feeds[0].count() == 0

    async def test_a_job_that_cannot_be_read_is_cancelled(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 2})
        await (await thoonk.job("j", serializer="binary")).put(b"\xff")
        for _ in range(2):
            with pytest.raises(SerializerError) as caught:
                await job.get(timeout=5)
            assert caught.value.data == b"\xff"
        assert await job.get_counts() == JobCounts(waiting=0, claimed=0, stalled=1, finished=0)

    # --- the life of a job ------------------------------------------------------------------

    async def test_counts_follow_a_job_through_its_states(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        assert await job.get_counts() == JobCounts(0, 0, 0, 0)
        id = await job.put("x")
        assert await job.get_counts() == JobCounts(1, 0, 0, 0)
        await job.get()
        assert await job.get_counts() == JobCounts(0, 1, 0, 0)
        await job.stall(id)
        assert await job.get_counts() == JobCounts(0, 0, 1, 0)
        await job.retry(id)
        assert await job.get_counts() == JobCounts(1, 0, 0, 0)
        await job.get()
        await job.cancel(id)
        assert await job.get_counts() == JobCounts(1, 0, 0, 0)
        await job.get()
        await job.finish(id)
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_a_job_is_there_until_it_is_finished(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await job.get()
        assert await job.get_item(id) == "x"
        assert await job.get_ids() == [id]
        assert await job.get_all() == {id: "x"}
        assert await job.has_id(id)
        await job.finish(id)
        assert await job.get_item(id) is None
        assert await job.get_ids() == []
        assert await job.count() == 0

    async def test_a_finished_job_leaves_nothing_but_counters(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 9, "claim_timeout": 60})
        before = await read_all(thoonk)
        id = await job.put("x")
        for _ in range(2):
            await (await job.get(timeout=5)).cancel()
        await job.get(timeout=5)
        await job.finish(id)
        assert await read_all(thoonk) == before
        assert await job.get_failure_count(id) == 0

    async def test_get_ids_has_jobs_in_every_state(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        ids = [await job.put("x") for _ in range(3)]
        await job.get()
        await (await job.get()).stall()
        assert sorted(await job.get_ids()) == sorted(ids)

    async def test_cancel_gives_the_job_back_behind_those_that_wait(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        first, second = await job.put("a"), await job.put("b")
        await job.get()
        await job.cancel(first)
        assert [(await job.get(timeout=5)).id for _ in range(2)] == [second, first]
        assert await job.get_failure_count(first) == 1
        assert await job.get_failure_count(second) == 0

    async def test_cancel_wakes_a_blocked_get(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        waiting = Background(job.get)
        await until(lambda: self.blocked() == 1)
        await claim.cancel()
        again = await waiting.result()
        assert (again.id, again.cancelled) == (id, 1)

    async def test_a_stalled_job_runs_only_after_retry(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await (await job.get()).cancel()
        await job.get(timeout=5)
        await job.stall(id)
        assert await job.get_failure_count(id) == 1
        with pytest.raises(Empty):
            await job.get_nowait()
        waiting = Background(job.get)
        await until(lambda: self.blocked() == 1)
        await job.retry(id)
        claim = await waiting.result()
        assert (claim.id, claim.cancelled) == (id, 0)

    @pytest.mark.parametrize("state", ["waiting", "claimed", "stalled", "cancelled"])
    async def test_retract_removes_a_job_in_whatever_state(
        self, thoonk: AsyncThoonk, state: str
    ) -> None:
        job = await thoonk.job("j")
        before = await read_all(thoonk)
        id = await job.put("x")
        if state != "waiting":
            claim = await job.get()
            if state == "stalled":
                await claim.stall()
            elif state == "cancelled":
                await claim.cancel()
        assert await job.retract(id) is True
        assert await job.retract(id) is False
        assert await read_all(thoonk) == before
        with pytest.raises(Empty):
            await job.get_nowait()

    async def test_finishing_a_retracted_job_is_an_error(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        await job.retract(id)
        with pytest.raises(NotClaimed):
            await claim.finish()

    @pytest.mark.parametrize("state", ["unknown", "waiting", "stalled", "finished"])
    async def test_ending_a_job_that_is_not_claimed_is_an_error(
        self, thoonk: AsyncThoonk, state: str
    ) -> None:
        job = await thoonk.job("j")
        id = "nowhere"
        if state != "unknown":
            id = await job.put("x")
        if state in ("stalled", "finished"):
            claim = await job.get()
            await (claim.stall() if state == "stalled" else claim.finish())
        before = await self.stored(thoonk)
        for end in (job.finish, job.cancel, job.stall):
            with pytest.raises(NotClaimed) as caught:
                await end(id)
            assert (caught.value.feed, caught.value.id) == ("j", id)
        assert await self.stored(thoonk) == before

    @pytest.mark.parametrize("state", ["unknown", "waiting", "claimed"])
    async def test_retrying_a_job_that_is_not_stalled_is_an_error(
        self, thoonk: AsyncThoonk, state: str
    ) -> None:
        job = await thoonk.job("j")
        id = "nowhere" if state == "unknown" else await job.put("x")
        if state == "claimed":
            await job.get()
        before = await self.stored(thoonk)
        with pytest.raises(NotStalled) as caught:
            await job.retry(id)
        assert caught.value.id == id
        assert await self.stored(thoonk) == before

    async def test_every_call_on_a_deleted_job_feed_is_an_error(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        await thoonk.delete_feed("j")
        for call in (job.put, job.finish, job.cancel, job.stall, job.retry, job.retract):
            with pytest.raises(FeedDoesNotExist):
                await call(id)
        for other_call in (job.get_nowait, job.get_counts, job.maintenance, claim.extend):
            with pytest.raises(FeedDoesNotExist):
                await other_call()
        assert await self.stored(thoonk) == {}

    # --- the claim as a context manager -----------------------------------------------------

    async def test_a_claim_is_finished_at_the_end_of_its_block(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        async with await job.get() as claim:
            assert claim.item == "x"
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_a_claim_is_cancelled_when_its_block_raises(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        with pytest.raises(ZeroDivisionError):
            async with await job.get():
                raise ZeroDivisionError
        assert await job.get_failure_count(id) == 1
        assert (await job.get_nowait()).id == id

    async def test_an_explicit_end_inside_the_block_is_the_end(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        first, second, third = [await job.put(item) for item in "abc"]
        async with await job.get() as claim:
            await claim.finish("done", result=True)
        async with await job.get() as claim:
            await claim.cancel()
        async with await job.get() as claim:
            await claim.stall()
        assert await job.get_result(first, timeout=5) == ("a", "done")
        assert await job.get_failure_count(second) == 1
        assert await job.get_counts() == JobCounts(waiting=1, claimed=0, stalled=1, finished=1)
        await job.retry(third)

    async def test_an_error_after_the_explicit_end_does_not_cancel(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        with pytest.raises(ZeroDivisionError):
            async with await job.get() as claim:
                await claim.finish()
                raise ZeroDivisionError
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_the_error_of_the_block_wins_over_a_lost_claim(
        self, thoonk: AsyncThoonk, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        with pytest.raises(ZeroDivisionError):
            async with await job.get():
                await job.retract(id)
                raise ZeroDivisionError
        assert [record.levelno for record in caplog.records if record.name == "thoonk.job"] == [
            logging.WARNING
        ]

    async def test_a_block_whose_claim_was_lost_ends_in_not_claimed(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        with pytest.raises(NotClaimed):
            async with await job.get():
                await job.retract(id)

    # --- tokens, operation by operation -------------------------------------------------------

    async def test_asked_again_with_its_token_a_claim_answers_the_same(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        ids = [await job.put(item) for item in "abc"]
        claim = JobClaim("j", "a token", count=2)
        first = await thoonk.backend.execute(claim)
        assert [entry.id for entry in first.entries] == ids[:2]
        assert (await other.backend.execute(claim)).entries == first.entries
        assert await job.get_counts() == JobCounts(1, 2, 0, 0)

    async def test_a_released_claim_is_next_and_no_failure(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 1})
        ids = [await job.put(item) for item in "abc"]
        await thoonk.backend.execute(JobClaim("j", "token", count=2))
        released = await thoonk.backend.execute(Release("j", "token"))
        assert sorted(released) == sorted(ids[:2])
        claims = [await job.get() for _ in range(3)]
        assert [claim.id for claim in claims] == ids
        assert [claim.cancelled for claim in claims] == [0, 0, 0]

    async def test_of_several_claims_some_can_be_released(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"max_failures": 1})
        ids = [await job.put(item) for item in "abcd"]
        await thoonk.backend.execute(JobClaim("j", "token", count=3))
        some = (ids[2], ids[1], ids[3], "nowhere")
        released = await thoonk.backend.execute(Release("j", "token", some))
        assert sorted(released) == sorted(ids[1:3])
        assert await job.get_counts() == JobCounts(3, 1, 0, 0)
        assert [(await job.get()).id for _ in range(3)] == ids[1:]
        assert await thoonk.backend.execute(Release("j", "token")) == (ids[0],)

    async def test_another_token_ends_no_claim(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        await thoonk.backend.execute(JobClaim("j", "token"))
        for operation in (
            JobFinish("j", (Completion(id, "another"),)),
            JobCancel("j", id, "another"),
            JobStall("j", id, "another"),
        ):
            with pytest.raises(NotClaimed):
                await thoonk.backend.execute(operation)
        held = (ClaimRef(id, "another"), ClaimRef(id, "token"), ClaimRef("nowhere"))
        assert await thoonk.backend.execute(JobExtend("j", held)) == (False, True, False)
        assert await job.get_counts() == JobCounts(0, 1, 0, 0)
        await thoonk.backend.execute(JobFinish("j", (Completion(id, "token"),)))
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_jobs_are_finished_all_or_none(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        first, second = await job.put("a"), await job.put("b")
        await thoonk.backend.execute(JobClaim("j", "token"))
        with pytest.raises(NotClaimed) as caught:
            await thoonk.backend.execute(
                JobFinish("j", (Completion(first, "token"), Completion(second, "token")))
            )
        assert caught.value.id == second
        assert await job.get_counts() == JobCounts(1, 1, 0, 0)
        await thoonk.backend.execute(JobClaim("j", "more"))
        await thoonk.backend.execute(
            JobFinish("j", (Completion(first, "token"), Completion(second, "more")))
        )
        assert await job.get_counts() == JobCounts(0, 0, 0, 2)

    async def test_one_step_ends_jobs_and_claims_the_next(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        first, second, third, fourth = [await job.put(item) for item in "abcd"]
        await thoonk.backend.execute(JobClaim("j", "first", count=2))
        step = JobNext(
            "j",
            "next",
            count=2,
            finished=(
                Completion(first, "first", has_result=True, result=b"done"),
                Completion(third, "first"),
            ),
            cancelled=(ClaimRef(second, "first"), ClaimRef(fourth, "first")),
        )
        batch = await thoonk.backend.execute(step)
        assert [entry.id for entry in batch.entries] == [third, fourth]
        assert sorted(batch.lost) == sorted([third, fourth])
        assert await job.get_result(first, timeout=5) == ("a", "done")
        assert await job.get_counts() == JobCounts(1, 2, 0, 1)
        last = await thoonk.backend.execute(
            JobNext("j", "last", cancelled=(ClaimRef(third, "another"),))
        )
        assert [(entry.id, entry.cancelled) for entry in last.entries] == [(second, 1)]
        assert last.lost == (third,)

    # --- claims that expire ----------------------------------------------------------------

    async def test_a_claim_that_runs_out_comes_back_to_a_blocked_get(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j", {"claim_timeout": 0.3}), await other.job("j")
        id = await job.put("x")
        began = time.monotonic()
        await job.get()
        waiting = Background(elsewhere.get)
        claim = await waiting.result()
        took = time.monotonic() - began
        assert (claim.id, claim.item, claim.cancelled) == (id, "x", 1)
        assert 0.25 < took < PROMPTLY

    async def test_a_get_that_was_blocked_before_the_claim_wakes_for_it_too(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"claim_timeout": 0.3})
        consumers = [Background(job.get) for _ in range(2)]
        await until(lambda: self.blocked() == 2)
        id = await job.put("x")
        await until(lambda: any(consumer.is_done() for consumer in consumers))
        began = time.monotonic()
        claims = [await consumer.result() for consumer in consumers]
        assert time.monotonic() - began < PROMPTLY
        assert {claim.id for claim in claims} == {id}
        assert sorted(claim.cancelled for claim in claims) == [0, 1]

    async def test_without_claim_timeout_a_claim_holds(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.put("x")
        claim = await job.get()
        with pytest.raises(Empty):
            await job.get(timeout=0.3)
        await claim.finish()

    async def test_a_stale_claim_can_do_nothing(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job, elsewhere = await thoonk.job("j", {"claim_timeout": 0.1}), await other.job("j")
        id = await job.put("x")
        stale = await job.get()
        await self.pass_time(0.15)
        fresh = await elsewhere.get(timeout=5)
        assert fresh.id == stale.id
        await thoonk.set_config("j", {"claim_timeout": 60})
        for end in (stale.finish, stale.cancel, stale.stall, stale.extend):
            with pytest.raises(NotClaimed) as caught:
                await end()
            assert caught.value.id == id
        await fresh.finish()
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    async def test_extend_keeps_a_claim(self, thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
        job, elsewhere = await thoonk.job("j", {"claim_timeout": 12}), await other.job("j")
        await job.put("x")
        claim = await job.get()
        for _ in range(2):
            await self.pass_time(7)
            await claim.extend()
            with pytest.raises(Empty):
                await elsewhere.get_nowait()
        await claim.finish()
        assert await job.get_counts() == JobCounts(0, 0, 0, 1)

    @pytest.mark.parametrize("how", ["cancel", "expire"])
    async def test_max_failures_stalls_a_job(self, thoonk: AsyncThoonk, how: str) -> None:
        config = {"max_failures": 2, "claim_timeout": 60 if how == "cancel" else 0.05}
        job = await thoonk.job("j", config)
        id = await job.put("x")
        for failures in range(2):
            claim = await job.get(timeout=5)
            assert claim.cancelled == failures
            if how == "cancel":
                # Who gives it back is told whether that stalled it.
                assert await claim.cancel() is (failures == 1)
            else:
                await self.pass_time(0.06)
        with pytest.raises(Empty):
            await job.get_nowait()
        assert await job.get_counts() == JobCounts(waiting=0, claimed=0, stalled=1, finished=0)
        assert await job.get_failure_count(id) == 2
        await job.retry(id)
        claim = await job.get(timeout=5)
        assert (claim.id, claim.cancelled) == (id, 0)
        assert await job.get_failure_count(id) == 0

    # --- results ----------------------------------------------------------------------------

    async def test_a_result_in_the_place_of_its_switch_is_refused_and_nothing_is_finished(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        claim = await job.get()
        before = await self.stored(thoonk)
        for refused in ("text", "", 0, 1, None):
            with pytest.raises(InvalidType):
                await job.finish(id, result=refused)  # type: ignore[arg-type]
            with pytest.raises(InvalidType):
                await claim.finish("item", result=refused)  # type: ignore[arg-type]
        assert await self.stored(thoonk) == before
        await claim.finish("text")
        assert await job.get_result(id, timeout=5) == ("x", "text")

    async def test_a_result_that_was_there_before_one_asks(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("query")
        await job.get()
        await job.finish(id, "result", result=True, timeout=5)
        query, result = await (await other.job("j")).get_result(id, timeout=5)
        assert (query, result) == ("query", "result")

    @pytest.mark.parametrize("timeout", [None, 0, 5])
    async def test_a_result_that_comes_after_one_asks(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, timeout: int | None
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("query")
        asking = Background((await other.job("j")).get_result, id, timeout)
        claim = await job.get()
        await pause(0.05)
        assert not asking.is_done()
        await claim.finish("result", result=True)
        assert await asking.result() == JobResult("query", "result")

    async def test_a_result_need_not_say_result_true(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("query")
        await (await job.get()).finish("result")
        assert await job.get_result(id, timeout=5) == ("query", "result")

    async def test_a_result_of_none_is_told_from_no_result(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        without, none = await job.put("a"), await job.put("b")
        await (await job.get()).finish()
        await (await job.get()).finish(None, result=True)
        with pytest.raises(NoResult):
            await job.get_result(without, timeout=0.1)
        assert await job.get_result(none, timeout=5) == ("b", None)

    async def test_none_also_arrives_while_one_waits(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("a")
        asking = Background((await other.job("j")).get_result, id, timeout=10)
        await pause(0.05)
        await (await job.get()).finish(None, result=True)
        assert await asking.result() == ("a", None)

    @pytest.mark.parametrize("result", ["", "None", "null", "none"])
    async def test_text_that_looks_like_nothing_is_a_result(
        self, thoonk: AsyncThoonk, result: str
    ) -> None:
        job = await thoonk.job("j")
        async with job.subscribe() as notices:
            id = await job.put("query")
            await (await job.get()).finish(result, result=True)
            assert await notices.get(10) == Finished("j", id, result)
        assert await job.get_result(id, timeout=5) == ("query", result)

    async def test_json_null_is_a_result(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", serializer="json")
        async with job.subscribe() as notices:
            id = await job.put({"a": [1, None]})
            await (await job.get()).finish(None, result=True)
            assert await notices.get(10) == Finished("j", id, None)
        assert await job.get_result(id, timeout=5) == ({"a": [1, None]}, None)
        other_id = await job.put(None)
        assert (await job.get()).item is None
        with pytest.raises(Empty):
            await job.get_result(other_id, timeout=0.05)

    async def test_a_result_can_be_asked_for_twice(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j")
        id = await job.put("query")
        await (await job.get()).finish("result", result=True)
        for asker in (job, job, await other.job("j")):
            assert await asker.get_result(id, timeout=5) == ("query", "result")

    async def test_get_result_raises_empty_when_the_time_is_over(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        id = await job.put("x")
        began = time.monotonic()
        with pytest.raises(Empty):
            await job.get_result(id, timeout=0.25)
        assert 0.24 < time.monotonic() - began < PROMPTLY

    async def test_another_jobs_result_is_not_ones_own(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        first, second = await job.put("a"), await job.put("b")
        asking = Background(job.get_result, second, timeout=10)
        await (await job.get()).finish("result a")
        await pause(0.05)
        assert not asking.is_done()
        await (await job.get()).finish("result b")
        assert await asking.result() == ("b", "result b")
        assert await job.get_result(first, timeout=5) == ("a", "result a")

    @pytest.mark.parametrize("how", ["argument", "configuration"])
    async def test_a_result_is_gone_after_its_timeout(self, thoonk: AsyncThoonk, how: str) -> None:
        job = await thoonk.job("j", {"result_timeout": 0.4 if how == "configuration" else 60})
        id = await job.put("x")
        began = time.monotonic()
        await (await job.get()).finish("done", True, 0.4 if how == "argument" else None)
        if not await result_is_gone(job, id):
            await becomes(True, result_is_gone, job, id)
        assert 0.39 < time.monotonic() - began < PROMPTLY

    # --- maintenance ------------------------------------------------------------------------

    async def test_maintenance_has_nothing_to_do_in_order(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"claim_timeout": 60})
        for _ in range(3):
            await job.put("x")
        await job.get()
        await (await job.get()).stall()
        report = await job.maintenance()
        assert (report.expired, report.stalled, report.recovered, report.discarded) == ((),) * 4
        assert await job.get_counts() == JobCounts(1, 1, 1, 0)

    async def test_maintenance_brings_back_claims_that_have_run_out(
        self, thoonk: AsyncThoonk
    ) -> None:
        job = await thoonk.job("j", {"claim_timeout": 5, "max_failures": 2})
        id = await job.put("x")
        for expired, stalled in [((id,), ()), ((), (id,))]:
            await job.get(timeout=5)
            assert (await job.maintenance()).expired == ()
            await self.pass_time(5.05)
            report = await job.maintenance()
            assert (report.expired, report.stalled) == (expired, stalled)
