"""The queue (contract: queue put, queue get, queue return, release)."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from thoonk import AsyncThoonk, Empty, FeedDoesNotExist, NotClaimed, SerializerError
from thoonk.operations import CONFIRM_WITHIN, Entry, QueueConfirm, QueueReturn, QueueTake, Release
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, pause, until
from thoonk.testing._async.stored import read_all
from thoonk.testing.checks import PROMPTLY


class AsyncQueueContract(AsyncContract):
    """What a queue does: order, priority, waiting, and that each item reaches one consumer."""

    async def test_items_come_out_as_they_went_in(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put(item) for item in ("a", "b", "c")]
        assert await queue.get_ids() == ids
        assert await queue.count() == 3
        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]
        assert await queue.count() == 0

    async def test_high_priority_is_taken_before_all_that_waits(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await queue.put("normal")
        await queue.put("also normal", priority=queue.NORMAL)
        high = await queue.put("high", priority=queue.HIGH)
        assert (await queue.get_ids())[0] == high
        assert [await queue.get() for _ in range(3)] == ["high", "normal", "also normal"]

    async def test_what_was_taken_is_deleted(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        before = await read_all(thoonk)
        id = await queue.put("x")
        assert await queue.get_item(id) == "x"
        await queue.get()
        assert await queue.get_item(id) is None
        assert await read_all(thoonk) == before

    async def test_get_raises_empty_when_the_time_is_over(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        began = time.monotonic()
        with pytest.raises(Empty):
            await queue.get(timeout=0.25)
        assert 0.24 < time.monotonic() - began < PROMPTLY

    async def test_get_nowait_does_not_wait(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        with pytest.raises(Empty):
            await queue.get_nowait()
        await queue.put("x")
        assert await queue.get_nowait() == "x"

    @pytest.mark.parametrize("timeout", [None, 0, 30])
    async def test_a_blocked_get_wakes_for_a_put(
        self, thoonk: AsyncThoonk, other: AsyncThoonk, timeout: int | None
    ) -> None:
        queue = await thoonk.queue("q")
        waiting = Background(queue.get, timeout)
        await until(lambda: self.blocked() == 1)
        assert not waiting.is_done()
        began = time.monotonic()
        await (await other.queue("q")).put("x")
        assert await waiting.result() == "x"
        assert time.monotonic() - began < PROMPTLY

    async def test_timeout_0_blocks(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        waiting = Background(queue.get, timeout=0)
        await until(lambda: self.blocked() == 1)
        await pause(0.3)
        assert not waiting.is_done()
        await queue.put("x")
        assert await waiting.result() == "x"

    async def test_nothing_is_taken_after_the_time_is_over(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        for number in range(5):
            with pytest.raises(Empty):
                await queue.get(timeout=0.02)
            await queue.put(f"{number}")
            assert await queue.count() == 1
            assert await queue.get(timeout=5) == f"{number}"
        assert self.blocked() == 0

    async def test_every_item_reaches_exactly_one_of_many_consumers(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queues = [await thoonk.queue("q"), await other.queue("q")]

        async def take_all(number: int) -> list[str]:
            taken = []
            while (item := await queues[number % 2].get(timeout=20)) != "end":
                taken.append(item)
            return taken

        consumers = [Background(take_all, number) for number in range(8)]
        await until(lambda: self.blocked() == 8)
        for number in range(200):
            await queues[number % 2].put(f"{number}")
        for _ in consumers:
            await queues[0].put("end")
        taken = [await consumer.result(30) for consumer in consumers]
        count = Counter(item for items in taken for item in items)
        assert count == Counter(f"{number}" for number in range(200))
        for items in taken:
            assert items == sorted(items, key=int)

    async def test_many_puts_at_once_serve_all_who_are_blocked(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        consumers = [Background(queue.get, timeout=20) for _ in range(5)]
        await until(lambda: self.blocked() == 5)
        putters = [Background(queue.put, f"{number}") for number in range(5)]
        for putter in putters:
            await putter.result()
        assert sorted([await consumer.result() for consumer in consumers]) == [
            "0",
            "1",
            "2",
            "3",
            "4",
        ]

    async def test_queues_do_not_serve_each_other(self, thoonk: AsyncThoonk) -> None:
        first, second = await thoonk.queue("q1"), await thoonk.queue("q2")
        waiting = Background(first.get, timeout=20)
        await until(lambda: self.blocked() == 1)
        await second.put("second")
        assert await second.get(timeout=5) == "second"
        assert not waiting.is_done()
        await first.put("first")
        assert await waiting.result() == "first"

    async def test_an_item_that_cannot_be_read_is_handed_out_in_the_error(
        self, thoonk: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("q")
        await (await thoonk.queue("q", serializer="binary")).put(b"\xff\xfe")
        with pytest.raises(SerializerError) as caught:
            await queue.get(timeout=5)
        assert caught.value.data == b"\xff\xfe"

    async def test_pyqueue_carries_python_objects(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.pyqueue("q")
        item: Any = {"a": (1, 2.5, None), "b": {3, 4}, b"c": Counter("xx")}
        await queue.put(item)
        assert await (await other.pyqueue("q")).get(timeout=5) == item

    async def test_a_deleted_queue_is_an_error(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await thoonk.delete_feed("q")
        with pytest.raises(FeedDoesNotExist):
            await queue.get(timeout=1)
        with pytest.raises(FeedDoesNotExist):
            await queue.put("x")
        assert await self.stored(thoonk) == {}

    async def test_the_shortest_wait_ends(self, thoonk: AsyncThoonk) -> None:
        await thoonk.queue("q")
        started = time.monotonic()
        for seconds in (0.0, 0.0004, 0.001, 0.0015):
            batch = await thoonk.backend.wait(QueueTake("q", "token"), seconds)
            assert batch.entries == ()
        assert time.monotonic() - started < PROMPTLY

    # --- the two steps of a get, one by one ---------------------------------------------------

    async def test_asked_again_with_its_token_a_take_answers_the_same(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put(item) for item in "abc"]
        take = QueueTake("q", "a token", count=2)
        first = await thoonk.backend.execute(take)
        assert [(entry.id, entry.item) for entry in first.entries] == [
            (ids[0], b"a"),
            (ids[1], b"b"),
        ]
        for backend in (thoonk.backend, other.backend):
            assert (await backend.execute(take)).entries == first.entries
        assert await queue.get_ids() == ids[2:]
        assert (await other.backend.execute(QueueTake("q", "another"))).entries[0].id == ids[2]

    async def test_what_is_taken_stays_until_it_is_confirmed(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        id = await queue.put("x")
        await thoonk.backend.execute(QueueTake("q", "token"))
        assert await queue.get_item(id) == "x"
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(QueueConfirm("q", (id,), "another token"))
        assert await queue.get_item(id) == "x"
        await thoonk.backend.execute(QueueConfirm("q", (id,), "token"))
        assert await queue.get_item(id) is None
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(QueueConfirm("q", (id,), "token"))

    async def test_a_confirmation_is_for_all_or_none(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put("x") for _ in range(2)]
        await thoonk.backend.execute(QueueTake("q", "token", count=1))
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(QueueConfirm("q", tuple(ids), "token"))
        assert await queue.count() == 2
        await thoonk.backend.execute(QueueConfirm("q", (ids[0],), "token"))

    async def test_what_is_released_is_next_in_its_order(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put(item) for item in "abc"]
        await thoonk.backend.execute(QueueTake("q", "token", count=2))
        assert await thoonk.backend.execute(Release("q", "nobody's")) == ()
        released = await thoonk.backend.execute(Release("q", "token"))
        assert sorted(released) == sorted(ids[:2])
        assert await thoonk.backend.execute(Release("q", "token")) == ()
        assert await queue.get_ids() == ids
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(QueueConfirm("q", (ids[0],), "token"))
        assert [await queue.get(5) for _ in range(3)] == ["a", "b", "c"]

    @pytest.mark.parametrize("confirmed", [False, True])
    async def test_what_is_returned_is_next_confirmed_or_not(
        self, thoonk: AsyncThoonk, confirmed: bool
    ) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put(item) for item in "ab"]
        taken = (await thoonk.backend.execute(QueueTake("q", "token"))).entries[0]
        if confirmed:
            await thoonk.backend.execute(QueueConfirm("q", (taken.id,), "token"))
        back = QueueReturn("q", (Entry(taken.id, taken.item),), "token")
        await thoonk.backend.execute(back)
        assert await queue.get_ids() == ids
        assert await queue.get_all() == {ids[0]: "a", ids[1]: "b"}
        # What has come back already is left alone.
        await thoonk.backend.execute(back)
        assert await queue.get_ids() == ids
        assert [await queue.get(5) for _ in range(2)] == ["a", "b"]

    async def test_a_release_wakes_a_blocked_get(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("q")
        await queue.put("x")
        await thoonk.backend.execute(QueueTake("q", "token"))
        waiting = Background((await other.queue("q")).get)
        await until(lambda: self.blocked() == 1)
        began = time.monotonic()
        await thoonk.backend.execute(Release("q", "token"))
        assert await waiting.result() == "x"
        assert time.monotonic() - began < PROMPTLY

    async def test_an_empty_take_says_when_to_look_again(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.queue("q")
        await queue.put("x")
        await thoonk.backend.execute(QueueTake("q", "token"))
        again = await thoonk.backend.execute(QueueTake("q", "another"))
        assert again.entries == ()
        # By then the one that was not confirmed is back.
        assert again.retry_after is not None
        assert 0 < again.retry_after <= CONFIRM_WITHIN

    async def test_what_was_not_confirmed_in_time_is_next_and_its_token_void(
        self, thoonk: AsyncThoonk
    ) -> None:
        queue = await thoonk.queue("q")
        ids = [await queue.put(item) for item in "ab"]
        await thoonk.backend.execute(QueueTake("q", "token"))
        await self.pass_time(CONFIRM_WITHIN + 0.1)
        assert await queue.get(5) == "a"
        with pytest.raises(NotClaimed):
            await thoonk.backend.execute(QueueConfirm("q", (ids[0],), "token"))
        assert await queue.get_ids() == ids[1:]
