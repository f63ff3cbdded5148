"""Partitioned queues and job feeds: putting by key, and taking from many feeds at once."""

from __future__ import annotations

import collections
from typing import Any

import pytest

from thoonk import AsyncThoonk, Empty, InvalidType, InvalidValue, SerializerError
from thoonk.operations import Outcome
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, until

KEYS = [f"customer-{number}" for number in range(20)]


class AsyncPartitionsContract(AsyncContract):
    """That several feeds serve as one."""

    async def test_partitions_are_feeds_with_their_number(self, thoonk: AsyncThoonk) -> None:
        jobs = await thoonk.partitioned_job("j", {"max_failures": 3}, partitions=3)
        names = ["{j:0}", "{j:1}", "{j:2}"]
        assert [job.name for job in jobs.partitions] == names
        assert await thoonk.get_feed_names() == {*names}
        for name in names:
            config = await thoonk.get_config(name)
            assert (config.type, config.max_failures, config["partitions"]) == ("job", 3, "3")

    async def test_another_number_of_partitions_is_refused(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        await thoonk.partitioned_queue("q", partitions=3)
        for number in (2, 4):
            with pytest.raises(InvalidValue, match=f"one of 3 partitions, not of {number}"):
                await other.partitioned_queue("q", partitions=number)
        assert len(await thoonk.get_feed_names()) == 3
        assert len((await other.partitioned_queue("q", partitions=3)).partitions) == 3

    async def test_what_cannot_be_is_refused(self, thoonk: AsyncThoonk) -> None:
        for number in (0, -1, 1001):
            with pytest.raises(InvalidValue, match="partitions must be 1 to 1000"):
                await thoonk.partitioned_queue("q", partitions=number)
        with pytest.raises(InvalidValue, match="braces"):
            await thoonk.partitioned_job("{j}", partitions=2)
        assert await thoonk.get_feed_names() == set()
        jobs = await thoonk.partitioned_job("j", partitions=2)
        wrong: Any = 7
        for error, arguments in (
            (InvalidValue, {"key": "a", "id": "b"}),
            (InvalidValue, {"key": ""}),
            (InvalidValue, {"key": "a{b}"}),
            (InvalidType, {"key": wrong}),
            (InvalidValue, {"unique_for": 5}),
        ):
            with pytest.raises(error):
                await jobs.put("x", **arguments)
        with pytest.raises(InvalidValue, match="not both"):
            await jobs.put_many({"a": "x"}, key="k")
        assert await jobs.count() == 0

    async def test_one_key_is_one_partition(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.partitioned_queue("q", partitions=4)
        where = collections.defaultdict(set)
        for key in KEYS:
            for item in ("1", "2", "3"):
                id = await queue.put(key + item, key=key)
                assert id.outcome is Outcome.ADDED
                assert await queue.of(id).has_id(id)
                where[key].add(queue.of(id).name)
        assert {len(names) for names in where.values()} == {1}
        assert len({name for names in where.values() for name in names}) > 1
        # Those of one key come in their order.
        taken = [await queue.get_nowait() for _ in range(3 * len(KEYS))]
        for key in KEYS:
            own = [item for item in taken if item[:-1] == key]
            assert own == [key + "1", key + "2", key + "3"]
        with pytest.raises(Empty):
            await queue.get_nowait()

    async def test_an_id_finds_its_partition_again(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        jobs = await thoonk.partitioned_job("j", partitions=4)
        theirs = await other.partitioned_job("j", partitions=4)
        for number in range(12):
            assert (await jobs.put("x", id=str(number))).outcome is Outcome.ADDED
            assert (await theirs.put("y", id=str(number))).outcome is Outcome.KEPT
        assert await theirs.count() == 12
        assert sorted(await theirs.get_ids()) == sorted(map(str, range(12)))
        assert await theirs.of("7").retract("7")
        assert not await jobs.of("7").has_id("7")

    async def test_many_are_spread_and_keep_their_order(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.partitioned_queue("q", partitions=3)
        ids = await queue.put_many(str(number) for number in range(300))
        for number, id in enumerate(ids):
            assert await queue.of(id).get_item(id) == str(number)
        assert min([await one.count() for one in queue.partitions]) > 50
        ids = await queue.put_many([*"abc"], key="k")
        assert len({queue.of(id).name for id in ids}) == 1
        assert await queue.put_many({"1": "x", "2": "y"}) == ["1", "2"]
        assert await queue.purge() == 305
        assert await queue.count() == 0

    async def test_nothing_is_put_if_one_item_cannot_be_encoded(self, thoonk: AsyncThoonk) -> None:
        queue = await thoonk.partitioned_queue("q", partitions=3, serializer="json")
        with pytest.raises(SerializerError):
            await queue.put_many([*range(50), object()])
        assert await queue.count() == 0

    async def test_a_get_waits_at_all_partitions(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.partitioned_queue("q", partitions=3)
        theirs = await other.partitioned_queue("q", partitions=3)
        for partition in theirs.partitions:
            waiting = Background(queue.get, 20)
            await until(lambda: self.blocked() >= 3)
            await partition.put(partition.name)
            assert await waiting.result() == partition.name
            assert await theirs.count() == 0

    async def test_a_get_of_jobs_waits_at_all_partitions(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        jobs = await thoonk.partitioned_job("j", partitions=3)
        theirs = await other.partitioned_job("j", partitions=3)
        for partition in theirs.partitions:
            waiting = Background(jobs.get, 20)
            await until(lambda: self.blocked() >= 3)
            id = await partition.put("x")
            claim = await waiting.result()
            assert claim.id == id
            await claim.finish("done", result=True)
        counts = await theirs.get_counts()
        assert (counts.waiting, counts.claimed, counts.finished) == (0, 0, 3)

    async def test_many_that_wait_get_each_item_once(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.partitioned_queue("q", partitions=3)
        theirs = await other.partitioned_queue("q", partitions=3)
        waiting = [Background(queue.get, 20) for _ in range(4)]
        await until(lambda: self.blocked() >= 3)
        items = [str(number) for number in range(12)]
        await theirs.put_many(items)
        got = [await one.result(20) for one in waiting]
        got += [await queue.get(10) for _ in range(8)]
        assert sorted(got) == sorted(items)
        assert await theirs.count() == 0

    async def test_a_get_ends_in_time(self, thoonk: AsyncThoonk) -> None:
        jobs = await thoonk.partitioned_job("j", partitions=3)
        with pytest.raises(Empty):
            await jobs.get(timeout=0.2)
        with pytest.raises(Empty):
            await jobs.get_nowait()
        # No wait is left that would take what comes.
        await jobs.put("x")
        assert (await jobs.get_counts()).waiting == 1

    async def test_results_counts_and_upkeep_are_of_all(self, thoonk: AsyncThoonk) -> None:
        jobs = await thoonk.partitioned_job("j", {"max_failures": 1}, partitions=3)
        ids = await jobs.put_many(["a", "b", "c", "d", "e", "f"])
        later = await jobs.put("later", delay=600)
        for number in range(6):
            claim = await jobs.get(timeout=10)
            if number < 4:
                await claim.finish(claim.item.upper(), result=True)
            else:
                await claim.cancel()
        counts = await jobs.get_counts()
        assert (counts.scheduled, counts.stalled, counts.finished) == (1, 2, 4)
        results = [await jobs.get_result(id, 5) for id in ids if not await jobs.of(id).has_id(id)]
        assert {result.result for result in results} <= {"A", "B", "C", "D", "E", "F"}
        assert len(results) == 4
        assert await jobs.retry_all() == 2
        assert await jobs.retract_all("waiting") == 2
        assert await jobs.get_ids() == [later]
        assert (await jobs.maintenance()).recovered == ()
        assert await jobs.pause()
        assert not await jobs.pause()
        assert await jobs.resume()
        assert not await jobs.resume()
