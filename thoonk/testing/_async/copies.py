"""Reading and writing a feed as it is stored (contract: times, restore)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from thoonk import (
    AsyncThoonk,
    FeedDoesNotExist,
    InvalidValue,
    ItemTooLarge,
    NoResult,
    WrongFeedType,
)
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.notices import Edited, Finished, Moved, Published, Put, Retracted, Scheduled, Stalled
from thoonk.operations import (
    Failure,
    IdTime,
    JobCounts,
    JobState,
    Operation,
    Outcome,
    ReadTimes,
    Restore,
    RestoreAs,
    Restored,
    Schedule,
    ScheduleStatus,
    Times,
)
from thoonk.testing._async.contract import AsyncContract

ADDED, KEPT, REPLACED = Outcome.ADDED, Outcome.KEPT, Outcome.REPLACED
LONG_AGO = 1e9
"""Seconds since 1970."""

EXACT = 0.002
"""How far from it a time may be that was stored, in seconds."""


def item(id: str, text: bytes, **more: Any) -> Restored:
    """An item of a feed."""
    return Restored(RestoreAs.ITEM, id, text, **more)


class AsyncCopiesContract(AsyncContract):
    """A feed can be read and stored again with all that it has."""

    async def _do(self, thoonk: AsyncThoonk, operation: Operation[Any]) -> Any:
        return await thoonk.backend.execute(operation)

    async def _times(self, thoonk: AsyncThoonk, name: str, kind: str, of: Times) -> list[IdTime]:
        """All of them, in small pages."""
        found, cursor = list[IdTime](), ""
        while True:
            page = await self._do(thoonk, ReadTimes(name, kind, of, 2, cursor))
            found += page.times
            cursor = page.cursor
            if not cursor:
                return found

    async def test_a_feed_keeps_its_ids_its_order_and_its_times(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        for id in "cabd":
            await feed.publish(f"item {id}", id=id)
        await feed.publish("edited", id="a")
        times = await self._times(thoonk, "f", FEED, Times.PUBLISHED)
        assert [each.id for each in times] == [*"cbda"]
        assert all(abs((each.at or 0) - time.time()) < 60 for each in times)
        copy = await thoonk.feed("g")
        entries = tuple(item(each.id, b"x", at=(each.at or 0) - LONG_AGO) for each in times)
        assert await self._do(thoonk, Restore("g", FEED, entries)) == (ADDED,) * 4
        assert await copy.get_ids() == [*"cbda"]
        kept = await self._times(thoonk, "g", FEED, Times.PUBLISHED)
        assert [each.id for each in kept] == [*"cbda"]
        for before, after in zip(times, kept, strict=True):
            assert after.at == pytest.approx((before.at or 0) - LONG_AGO, abs=EXACT)

    async def test_an_item_is_stored_once_and_one_that_differs_is_edited(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        old, other = item("a", b"1", at=LONG_AGO), item("b", b"2", at=LONG_AGO + 5)
        async with feed.subscribe() as notices:
            assert await self._do(thoonk, Restore("f", FEED, (old, other))) == (ADDED, ADDED)
            assert await self._do(thoonk, Restore("f", FEED, (old, other))) == (KEPT, KEPT)
            new = item("a", b"new", at=LONG_AGO + 9)
            assert await self._do(thoonk, Restore("f", FEED, (new,))) == (REPLACED,)
            assert [await notices.get(10) for _ in range(3)] == [
                Published("f", "a", "1"),
                Published("f", "b", "2"),
                Edited("f", "a", "new"),
            ]
        assert await feed.get_ids() == ["b", "a"]
        assert (await thoonk.backend.execute(ReadTimes("f", FEED, Times.PUBLISHED))).times[-1] == (
            IdTime("a", pytest.approx(LONG_AGO + 9, abs=EXACT))  # type: ignore[arg-type]
        )
        assert (await feed.stats()).publishes == 3

    async def test_what_would_be_too_early_comes_after_the_last(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("x", id="now")
        await self._do(thoonk, Restore("f", FEED, (item("old", b"x", at=LONG_AGO),)))
        await feed.publish("x", id="later")
        assert await feed.get_ids() == ["now", "old", "later"]

    async def test_max_length_holds(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 2})
        entries = tuple(item(id, b"x", at=LONG_AGO + n) for n, id in enumerate("abc"))
        async with feed.subscribe() as notices:
            await self._do(thoonk, Restore("f", FEED, entries))
            told = [await notices.get(10) for _ in range(4)]
        assert told[-1] == Retracted("f", "a")
        assert await feed.get_ids() == ["b", "c"]

    async def test_a_sorted_feed_keeps_its_ids(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.sorted_feed("f")
        entries = (item("7", b"seven"), item("3", b"three"))
        async with feed.subscribe() as notices:
            assert await self._do(thoonk, Restore("f", SORTED_FEED, entries)) == (ADDED, ADDED)
            assert await self._do(thoonk, Restore("f", SORTED_FEED, entries)) == (KEPT, KEPT)
            change = (item("7", b"new"),)
            assert await self._do(thoonk, Restore("f", SORTED_FEED, change)) == (REPLACED,)
            assert [await notices.get(10) for _ in range(5)] == [
                Published("f", "7", "seven"),
                Moved("f", "7", ":end"),
                Published("f", "3", "three"),
                Moved("f", "3", ":end"),
                Edited("f", "7", "new"),
            ]
        assert await feed.get_ids() == ["7", "3"]
        assert await feed.append("x") == "8"

    async def test_a_queue_keeps_its_order_and_nothing_comes_twice(
        self, thoonk: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("q")
        await queue.put("first", id="a")
        entries = tuple(Restored(RestoreAs.WAITING, id, id.encode()) for id in "bac")
        assert await self._do(thoonk, Restore("q", QUEUE, entries)) == (ADDED, KEPT, ADDED)
        assert [await queue.get(timeout=1) for _ in range(3)] == ["first", "b", "c"]

    async def test_ids_stay_taken(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await queue.put("x", id="a", unique_for=600)
        assert await queue.get(timeout=1) == "x"
        (found,) = await self._times(thoonk, "q", QUEUE, Times.TAKEN)
        assert found.at == pytest.approx(time.time() + 600, abs=60)
        copy = await thoonk.queue("r")
        taken = Restored(RestoreAs.TAKEN, "a", at=found.at)
        assert await self._do(thoonk, Restore("r", QUEUE, (taken,))) == (ADDED,)
        assert await self._do(thoonk, Restore("r", QUEUE, (taken,))) == (KEPT,)
        past = Restored(RestoreAs.TAKEN, "b", at=LONG_AGO)
        assert await self._do(thoonk, Restore("r", QUEUE, (past,))) == (KEPT,)
        assert (await copy.put("x", id="a")).outcome is KEPT
        assert (await copy.put("x", id="b")).outcome is ADDED

    async def test_jobs_keep_their_states_and_their_failures(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j", {"events": True})
        due = time.time() + 600
        failure = Failure("no disk", "OSError", "Traceback…", "host:1")
        entries = (
            Restored(
                RestoreAs.WAITING, "w", b"w", put=LONG_AGO, failures=2, failed=LONG_AGO + 9,
                failure=failure,
            ),
            Restored(
                RestoreAs.STALLED, "t", b"t", put=LONG_AGO, failures=3, failed=LONG_AGO + 5,
                stalled=LONG_AGO + 5, failure=failure,
            ),
            Restored(RestoreAs.SCHEDULED, "s", b"s", at=due, put=LONG_AGO, is_high=True),
            Restored(RestoreAs.WAITING, "v", b"v"),
        )  # fmt: skip
        async with job.subscribe() as notices:
            assert await self._do(thoonk, Restore("j", JOB, entries)) == (ADDED,) * 4
            assert await self._do(thoonk, Restore("j", JOB, entries)) == (KEPT,) * 4
            told = [await notices.get(10) for _ in range(4)]
        assert {type(notice) for notice in told} == {Put, Stalled, Scheduled}
        assert await job.get_counts() == JobCounts(2, 0, 1, 0, 1)
        waiting, stalled, later = [await job.get_info(id) for id in "wts"]
        assert waiting is not None
        assert stalled is not None
        assert later is not None
        assert waiting.state is JobState.WAITING
        assert waiting.put is not None
        assert waiting.put.timestamp() == pytest.approx(LONG_AGO, abs=EXACT)
        assert (waiting.failures, waiting.failure) == (2, failure)
        assert waiting.failed is not None
        assert waiting.failed.timestamp() == pytest.approx(LONG_AGO + 9, abs=EXACT)
        assert (stalled.state, stalled.failures) == (JobState.STALLED, 3)
        assert stalled.stalled is not None
        assert stalled.stalled.timestamp() == pytest.approx(LONG_AGO + 5, abs=EXACT)
        assert later.due is not None
        assert later.due.timestamp() == pytest.approx(due, abs=EXACT)
        (found,) = await self._times(thoonk, "j", JOB, Times.SCHEDULED)
        assert (found.id, found.is_high) == ("s", True)
        assert found.at == pytest.approx(due, abs=EXACT)
        claim = await job.get(timeout=1)
        assert (claim.id, claim.cancelled) == ("w", 2)
        await claim.cancel()
        assert await self._do(thoonk, Restore("j", JOB, entries)) == (KEPT,) * 4
        assert (await job.stats()).failing == 2
        await job.run_now("s")
        assert (await job.get(timeout=1)).id == "s"

    async def test_of_one_id_the_first_job_is_stored(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        due = time.time() + 600
        for id, (first, second) in {
            "a": (RestoreAs.SCHEDULED, RestoreAs.WAITING),
            "b": (RestoreAs.SCHEDULED, RestoreAs.STALLED),
            "c": (RestoreAs.WAITING, RestoreAs.SCHEDULED),
        }.items():
            entries = (Restored(first, id, b"1", at=due), Restored(second, id, b"2", at=due))
            assert await self._do(thoonk, Restore("j", JOB, entries)) == (ADDED, KEPT)
        assert await job.get_counts() == JobCounts(1, 0, 0, 0, 2)
        assert await job.get_all() == dict.fromkeys("abc", "1")

    async def test_results_are_kept_for_the_rest_of_their_time(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        for id, timeout in (("a", 600), ("b", 0)):
            await job.put("query", id=id)
            await (await job.get(timeout=1)).finish("result", timeout=timeout)
        found = {e.id: e.at for e in await self._times(thoonk, "j", JOB, Times.RESULTS)}
        assert found == {"a": pytest.approx(time.time() + 600, abs=60), "b": None}
        copy = await thoonk.job("k")
        entries = (
            *(Restored(RestoreAs.RESULT, id, b"q", at=at, result=b"r") for id, at in found.items()),
            Restored(RestoreAs.RESULT, "past", b"q", at=LONG_AGO, result=b"r"),
            Restored(RestoreAs.RESULT, "bare", None, result=b"r"),
            Restored(RestoreAs.RESULT, "none", b"q"),
        )
        async with copy.subscribe() as notices:
            outcomes = await self._do(thoonk, Restore("k", JOB, entries))
            assert outcomes == (ADDED, ADDED, KEPT, ADDED, ADDED)
            assert await self._do(thoonk, Restore("k", JOB, entries)) == (KEPT,) * 5
            assert await notices.get(10) == Finished("k", "a", "r")
        assert await copy.get_result("a", timeout=1) == ("q", "r")
        assert await copy.get_result("bare", timeout=1) == (None, "r")
        with pytest.raises(NoResult):
            await copy.get_result("past", timeout=0.01)
        kept = {e.id: e.at for e in await self._times(thoonk, "k", JOB, Times.RESULTS)}
        assert kept.keys() == {"a", "b", "bare", "none"}
        assert kept["a"] == pytest.approx(found["a"], abs=EXACT)
        assert kept["b"] is None

    async def test_schedules_go_on_when_they_were_due(self, thoonk: AsyncThoonk) -> None:
        await thoonk.job("j")
        soon = round(time.time()) + 300.0
        statuses = (
            ScheduleStatus(Schedule("tick", b"x", every=1000.0), soon, (soon + 1000,)),
            ScheduleStatus(Schedule("tock", b"y", cron="c", tz="UTC"), soon, (soon + 7,)),
        )
        restore = Restore("j", JOB, schedules=statuses)
        assert await self._do(thoonk, restore) == (ADDED, ADDED)
        assert await self._do(thoonk, restore) == (KEPT, KEPT)
        found = await (await thoonk.job("j")).schedules()
        assert {each.name: each.next and each.next.timestamp() for each in found} == {
            "tick": soon,
            "tock": soon,
        }

    async def test_a_paused_feed_stays_paused(self, thoonk: AsyncThoonk) -> None:
        job = await thoonk.job("j")
        await job.pause()
        entry = Restored(RestoreAs.WAITING, "a", b"x")
        assert await self._do(thoonk, Restore("j", JOB, (entry,))) == (ADDED,)
        assert (await job.stats()).waiting == 1
        await job.resume()
        assert (await job.get(timeout=1)).id == "a"

    async def test_what_is_refused_stores_nothing(self, thoonk: AsyncThoonk) -> None:
        await thoonk.feed("f", {"max_item_size": 3})
        small, large = item("a", b"x"), item("b", b"large")
        with pytest.raises(ItemTooLarge):
            await self._do(thoonk, Restore("f", FEED, (small, large)))
        with pytest.raises(WrongFeedType):
            await self._do(thoonk, Restore("f", SORTED_FEED, (small,)))
        with pytest.raises(WrongFeedType):
            await self._do(thoonk, ReadTimes("f", JOB, Times.RESULTS))
        for operation in (Restore("g", FEED, (small,)), ReadTimes("g", FEED, Times.PUBLISHED)):
            with pytest.raises(FeedDoesNotExist):
                await self._do(thoonk, operation)
        with pytest.raises(InvalidValue, match="a feed restores item, not 'waiting'"):
            Restore("f", FEED, (Restored(RestoreAs.WAITING, "a", b"x"),))
        with pytest.raises(InvalidValue, match="queue cannot have failed: 'a' has 2 failures"):
            Restore("q", QUEUE, (Restored(RestoreAs.WAITING, "a", b"x", failures=2),))
        assert await (await thoonk.feed("f")).get_ids() == []
