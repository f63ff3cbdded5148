"""Ids that callers choose, in queues and job feeds (contract: job add, queue add)."""

from __future__ import annotations

from typing import Any

import pytest

from thoonk import (
    AsyncJob,
    AsyncThoonk,
    Empty,
    InvalidType,
    InvalidValue,
    ItemExists,
    JobCounts,
    Outcome,
    PutResult,
)
from thoonk.operations import Entry, JobAdd, JobState, QueueAdd, QueueTake
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until
from thoonk.testing._async.stored import read_all

ADDED, KEPT, REPLACED = Outcome.ADDED, Outcome.KEPT, Outcome.REPLACED
TAKEN = ("scheduled", "waiting", "cancelled", "claimed", "stalled")
"""States of a job whose id is taken."""

KINDS = pytest.mark.parametrize("kind", ["queue", "job"])
WAYS = pytest.mark.parametrize("way", ["keep", "replace", "refuse"])


async def job_in(thoonk: AsyncThoonk, state: str) -> AsyncJob[str]:
    """A job feed with the job a in that state, or without it."""
    job = await thoonk.job("f")
    if state == "unknown":
        return job
    await job.put("old", id="a", delay=60 if state == "scheduled" else None)
    if state == "retracted":
        await job.retract("a")
    elif state not in ("scheduled", "waiting"):
        claim = await job.get()
        if state != "claimed":
            ends = {"cancelled": "cancel", "stalled": "stall", "finished": "finish"}
            await getattr(claim, ends[state])()
    return job


async def opened(thoonk: AsyncThoonk, kind: str) -> Any:
    """The feed f, a queue or a job feed."""
    return await (thoonk.queue("f") if kind == "queue" else thoonk.job("f"))


async def end(feed: Any, kind: str) -> None:
    """Take the next one, and be done with it."""
    taken = await feed.get_nowait()
    if kind == "job":
        await taken.finish()


class AsyncOwnIdsContract(AsyncContract):
    """Puts under ids of the caller's own, which may be taken."""

    # --- jobs in every state --------------------------------------------------------------

    @WAYS
    @pytest.mark.parametrize("state", ["unknown", "finished", "retracted"])
    async def test_an_id_that_is_free_is_added(
        self, thoonk: AsyncThoonk, state: str, way: str
    ) -> None:
        job = await job_in(thoonk, state)
        put = await job.put("new", id="a", if_exists=way)
        assert isinstance(put, PutResult)
        assert (put, put.outcome) == ("a", ADDED)
        claim = await job.get_nowait()
        assert (claim.id, claim.item, claim.cancelled) == ("a", "new", 0)

    @pytest.mark.parametrize("delay", [None, 0.05])
    @pytest.mark.parametrize("state", TAKEN)
    async def test_an_id_that_is_taken_is_kept(
        self, thoonk: AsyncThoonk, state: str, delay: float | None
    ) -> None:
        job = await job_in(thoonk, state)
        before = await self.stored(thoonk)
        read = await read_all(thoonk)
        put = await job.put("new", id="a", delay=delay)
        assert (put, put.outcome) == ("a", KEPT)
        assert await read_all(thoonk) == read
        with pytest.raises(ItemExists) as caught:
            await job.put("new", id="a", delay=delay, if_exists="refuse")
        assert (caught.value.feed, caught.value.id) == ("f", "a")
        assert before.keys() <= (await self.stored(thoonk)).keys()
        assert await read_all(thoonk) == read
        assert await job.get_item("a") == "old"

    @pytest.mark.parametrize("state", ["scheduled", "waiting", "cancelled", "stalled"])
    async def test_a_job_is_replaced_and_starts_anew(self, thoonk: AsyncThoonk, state: str) -> None:
        job = await job_in(thoonk, state)
        put = await job.put("new", id="a", if_exists="replace")
        assert (put, put.outcome) == ("a", REPLACED)
        assert await job.get_counts() == JobCounts(1, 0, 0, 0, 0)
        assert await job.get_all() == {"a": "new"}
        assert await job.get_failure_count("a") == 0
        claim = await job.get_nowait()
        assert (claim.id, claim.item, claim.cancelled) == ("a", "new", 0)
        with pytest.raises(Empty):
            await job.get_nowait()
        await claim.finish()
        assert await job.get_counts() == JobCounts(0, 0, 0, 1, 0)

    @pytest.mark.parametrize("state", ["scheduled", "waiting", "cancelled", "stalled"])
    async def test_a_job_is_replaced_for_later(self, thoonk: AsyncThoonk, state: str) -> None:
        job = await job_in(thoonk, state)
        put = await job.put("new", id="a", if_exists="replace", delay=5)
        assert put.outcome is REPLACED
        assert await job.get_counts() == JobCounts(0, 0, 0, 0, 1)
        with pytest.raises(Empty):
            await job.get_nowait()
        await self.pass_time(5.05)
        claim = await job.get(timeout=5)
        assert (claim.id, claim.item, claim.cancelled) == ("a", "new", 0)
        with pytest.raises(Empty):
            await job.get_nowait()

    @pytest.mark.parametrize("delay", [None, 0.05])
    async def test_a_job_that_is_claimed_is_not_replaced(
        self, thoonk: AsyncThoonk, delay: float | None
    ) -> None:
        job = await thoonk.job("f")
        await job.put("old", id="a")
        claim = await job.get()
        put = await job.put("new", id="a", if_exists="replace", delay=delay)
        assert put.outcome is KEPT
        await claim.finish("done")
        assert await job.get_result("a", timeout=5) == ("old", "done")
        assert await job.get_counts() == JobCounts(0, 0, 0, 1, 0)

    async def test_the_result_of_an_earlier_job_goes(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        await job.put("old", id="a")
        await (await job.get()).finish("old result")
        await job.put("new", id="a")
        with pytest.raises(Empty):
            await job.get_result_nowait("a")
        await (await job.get()).finish("new result")
        assert await job.get_result_nowait("a") == ("new", "new result")

    async def test_why_an_earlier_job_failed_is_forgotten(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        await job.put("old", id="a")
        await (await job.get()).stall(reason="why")
        await job.put("new", id="a", if_exists="replace")
        info = await job.get_info("a")
        assert info is not None
        assert (info.state, info.failures, info.failure) == (JobState.WAITING, 0, None)
        assert (info.failed, info.stalled) == (None, None)

    async def test_what_is_replaced_at_once_wakes_a_blocked_get(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        job = await thoonk.job("f")
        await job.put("old", id="a", delay=60)
        consumer = Background((await other.job("f")).get)
        await until(lambda: self.blocked() == 1)
        await job.put("new", id="a", if_exists="replace")
        assert (await consumer.result()).item == "new"

    async def test_some_are_late_and_some_have_an_id(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        assert type(await job.put("plain")) is str
        assert (await job.put("late", delay=60)).outcome is ADDED  # type: ignore[attr-defined]
        results = await job.put_many(["x", "y"], delay=60)
        assert len({*results}) == 2
        assert await job.get_counts() == JobCounts(1, 0, 0, 0, 3)

    # --- queues and jobs --------------------------------------------------------------------

    @KINDS
    async def test_one_that_waits_is_replaced_in_its_place(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        await feed.put_many({"a": "1", "b": "2", "c": "3"})
        put = await feed.put("new", id="b", if_exists="replace")
        assert (put, put.outcome) == ("b", REPLACED)
        assert await feed.get_all() == {"a": "1", "b": "new", "c": "3"}
        taken = [await feed.get_nowait() for _ in "abc"]
        assert [each if kind == "queue" else each.item for each in taken] == ["1", "new", "3"]

    @KINDS
    async def test_a_mapping_gives_the_ids(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("old", id="b")
        put = await feed.put_many({"a": "1", "b": "2", "c": "3"})
        assert put == ["a", "b", "c"]
        assert [each.outcome for each in put] == [ADDED, KEPT, ADDED]
        assert await feed.get_all() == {"a": "1", "b": "old", "c": "3"}
        put = await feed.put_many({"d": "4", "b": "2"}, if_exists="replace")
        assert [each.outcome for each in put] == [ADDED, REPLACED]
        taken = [await feed.get_nowait() for _ in "abcd"]
        items = [each if kind == "queue" else each.item for each in taken]
        assert items == ["2", "1", "3", "4"]
        assert await feed.put_many({}) == []

    @KINDS
    async def test_thousands_are_put_in_steps(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        items = {f"id {number}": str(number) for number in range(1100)}
        put = await feed.put_many(items)
        assert [*put] == [*items]
        assert await feed.get_all() == items

    @KINDS
    async def test_high_priority_is_taken_first(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("normal", id="a")
        await feed.put("high", feed.HIGH, id="b")
        await feed.put_many({"c": "higher"}, feed.HIGH)
        taken = [await feed.get_nowait() for _ in "abc"]
        items = [each if kind == "queue" else each.item for each in taken]
        assert items == ["higher", "high", "normal"]

    @KINDS
    async def test_a_step_with_an_id_that_is_taken_is_refused_whole(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("old", id="b")
        before = await read_all(thoonk)
        with pytest.raises(ItemExists) as caught:
            await feed.put_many({"a": "1", "b": "2", "c": "3"}, if_exists="refuse")
        assert (caught.value.id, caught.value.done) == ("b", ())
        assert await read_all(thoonk) == before
        many = {f"id {number}": "x" for number in range(1100)}
        with pytest.raises(ItemExists) as caught:
            await feed.put_many({**many, "b": "2"}, if_exists="refuse")
        assert await feed.count() == 1 + len(caught.value.done)
        assert 0 < len(caught.value.done) < 1100

    @KINDS
    async def test_a_put_wakes_a_blocked_get(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, kind: str
    ) -> None:
        feed, elsewhere = await opened(thoonk, kind), await opened(other, kind)
        consumers = [Background(elsewhere.get) for _ in range(3)]
        await until(lambda: self.blocked() == 3)
        await feed.put("x", id="a")
        await feed.put_many({"b": "y", "c": "z"})
        taken = [await consumer.result() for consumer in consumers]
        items = [each if kind == "queue" else each.item for each in taken]
        assert sorted(items) == ["x", "y", "z"]

    @KINDS
    async def test_what_is_refused_sends_nothing(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        before = await self.stored(thoonk)
        for error, arguments in (
            (InvalidValue, {"id": ""}),
            (InvalidValue, {"id": "a\0b"}),
            (InvalidType, {"id": 3}),
            (InvalidValue, {"id": "a", "if_exists": "maybe"}),
            (InvalidValue, {"id": "a", "unique_for": -1}),
            (InvalidType, {"id": "a", "unique_for": "1"}),
            (InvalidValue, {"unique_for": 1}),
        ):
            with pytest.raises(error):
                await feed.put("x", **arguments)
        assert await self.stored(thoonk) == before

    async def test_a_queues_id_is_free_once_its_item_has_arrived(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("f")
        for item in ("1", "2"):
            put = await queue.put(item, id="a")
            assert put.outcome is ADDED
            assert await queue.get_nowait() == item

    async def test_an_item_on_its_way_is_kept(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("f")
        await queue.put("old", id="a")
        await thoonk.backend.execute(QueueTake("f", "token"))
        for way in ("keep", "replace"):
            assert (await queue.put("new", id="a", if_exists=way)).outcome is KEPT
        with pytest.raises(ItemExists):
            await queue.put("new", id="a", if_exists="refuse")
        again = await thoonk.backend.execute(QueueTake("f", "token"))
        assert [entry.item for entry in again.entries] == [b"old"]

    # --- ids that stay taken ------------------------------------------------------------------

    @KINDS
    async def test_an_id_stays_taken_for_its_time(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        assert (await feed.put("1", id="a", unique_for=5)).outcome is ADDED
        await end(feed, kind)
        for way in ("keep", "replace"):
            assert (await feed.put("2", id="a", if_exists=way)).outcome is KEPT
        with pytest.raises(ItemExists):
            await feed.put("2", id="a", if_exists="refuse")
        put = await feed.put_many({"a": "2", "b": "3"}, unique_for=60)
        assert [each.outcome for each in put] == [KEPT, ADDED]
        assert await feed.get_all() == {"b": "3"}
        await end(feed, kind)
        # What was kept did not begin its time anew.
        await self.pass_time(5.05)
        assert (await feed.put("4", id="a")).outcome is ADDED
        assert (await feed.put("4", id="b")).outcome is KEPT

    @KINDS
    async def test_an_id_is_taken_while_there_is_the_item_though_its_time_is_over(
        self, thoonk: AsyncThoonk, kind: str
    ) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("1", id="a", unique_for=0.05)
        await self.pass_time(0.1)
        assert (await feed.put("2", id="a")).outcome is KEPT
        await end(feed, kind)
        assert (await feed.put("3", id="a")).outcome is ADDED

    @KINDS
    async def test_who_replaces_sets_the_time_anew(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("1", id="a", unique_for=1)
        put = await feed.put("2", id="a", if_exists="replace", unique_for=60)
        assert put.outcome is REPLACED
        # One that does not ask for a time leaves it as it is.
        await feed.put("3", id="a", if_exists="replace")
        await self.pass_time(1.05)
        await end(feed, kind)
        assert (await feed.put("4", id="a")).outcome is KEPT

    @KINDS
    async def test_a_time_of_none_is_no_time(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        for item in ("1", "2"):
            assert (await feed.put(item, id="a", unique_for=0)).outcome is ADDED
            await end(feed, kind)

    async def test_a_job_that_failed_keeps_its_id(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("f")
        await job.put("1", id="a", unique_for=60, delay=60)
        await job.run_now("a")
        await (await job.get()).cancel(delay=60)
        assert (await job.put("2", id="a")).outcome is KEPT

    @pytest.mark.parametrize("how", ["retract", "retract_many", "retract_all", "purge"])
    @pytest.mark.parametrize("state", ["waiting", "scheduled"])
    async def test_an_id_that_is_retracted_is_free(
        self, thoonk: AsyncThoonk, how: str, state: str
    ) -> None:
        job = await thoonk.job("f")
        await job.put("1", id="a", unique_for=60, delay=60 if state == "scheduled" else None)
        if how == "retract":
            await job.retract("a")
        elif how == "retract_many":
            await job.retract_many(["a"])
        elif how == "retract_all":
            await job.retract_all(state)
        else:
            await job.purge()
        assert (await job.put("2", id="a")).outcome is ADDED

    @pytest.mark.parametrize("how", ["retract", "retract_many"])
    async def test_the_id_of_a_finished_job_can_be_freed(
        self, thoonk: AsyncThoonk, how: str
    ) -> None:
        job = await thoonk.job("f")
        await job.put("1", id="a", unique_for=60)
        await (await job.get()).finish()
        removed = await (job.retract("a") if how == "retract" else job.retract_many(["a"]))
        assert removed in (False, [False])
        assert (await job.put("2", id="a")).outcome is ADDED

    async def test_the_ids_of_a_purged_queue_are_free(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("f")
        await queue.put("1", id="a", unique_for=60)
        await queue.purge()
        assert (await queue.put("2", id="a")).outcome is ADDED

    @KINDS
    async def test_feeds_do_not_take_each_others_ids(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed = await opened(thoonk, kind)
        await feed.put("x", id="a", unique_for=60)
        assert (await (await thoonk.queue("q")).put("y", id="a")).outcome is ADDED
        assert (await (await thoonk.job("j")).put("y", id="a")).outcome is ADDED

    async def test_an_id_is_named_once_in_a_step(self) -> None:
        twice = (Entry("a", b"x"), Entry("a", b"y"))
        for operation in (JobAdd, QueueAdd):
            with pytest.raises(InvalidValue):
                operation("f", twice)
