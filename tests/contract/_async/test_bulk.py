"""The calls for many: as one after another, in few steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from conftest import World

from contract.peek import everything
from thoonk import (
    AsyncThoonk,
    InvalidType,
    InvalidValue,
)
from thoonk.operations import JobFail, JobRetract, Operation
from thoonk.serializers import JSON
from thoonk.testing._async.claims import states
from thoonk.testing._async.observed import AsyncObserved

R = TypeVar("R")

Call = Callable[[AsyncThoonk], Awaitable[Any]]


async def test_large_items_go_in_steps_of_their_own(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            queue = await thoonk.queue("q")
            recording.sent.clear()
            await queue.put_many(["x" * 600_000] * 3 + ["y"] * 1001)
            assert [len(op.entries) for op in recording.sent] == [1, 1, 1000, 2]
            assert await queue.count() == 1004


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (InvalidType, lambda t: t["f"].publish_many("abc")),
        (InvalidType, lambda t: t["f"].publish_many(3)),
        (InvalidType, lambda t: t["f"].publish_many(["a", 3])),
        (InvalidValue, lambda t: t["f"].publish_many({"a": "b", "": "c"})),
        (InvalidType, lambda t: t["f"].retract_many("abc")),
        (InvalidValue, lambda t: t["f"].retract_many(["a", "b\0"])),
        (InvalidValue, lambda t: t["f"].get_items(["a", ""])),
        (InvalidType, lambda t: t["s"].publish_many(b"abc")),
        (InvalidType, lambda t: t["q"].put_many(["a", b"b"])),
        (InvalidType, lambda t: t["q"].put_many({"a"}, priority="high")),
        (InvalidValue, lambda t: t["q"].get_many(0)),
        (InvalidValue, lambda t: t["q"].get_many(1001)),
        (InvalidType, lambda t: t["q"].get_many("2")),
        (InvalidValue, lambda t: t["q"].put_many({"": "item"})),
        (InvalidValue, lambda t: t["q"].put_many(["item"], unique_for=1)),
        (InvalidType, lambda t: t["s"].publish_many({"id": "item"})),
        (InvalidValue, lambda t: t["j"].put_many({"id": "item", "": "item"})),
        (InvalidType, lambda t: t["j"].put_many({"id": b"item"})),
        (InvalidValue, lambda t: t["j"].put_many({"id": "item"}, if_exists="maybe")),
        (InvalidValue, lambda t: t["j"].put_many({"id": "item"}, unique_for=-1)),
        (InvalidValue, lambda t: t["j"].put_many(["item"], unique_for=1)),
        (InvalidValue, lambda t: t["j"].put_many(["item"], delay=-1)),
        (InvalidType, lambda t: t["j"].put_many(None)),
        (InvalidValue, lambda t: t["j"].get_many(-1)),
        (InvalidType, lambda t: t["j"].finish_many("id")),
        (InvalidValue, lambda t: t["j"].finish_many(["a", "b"], ["1"])),
        (InvalidType, lambda t: t["j"].finish_many(["a"], [1])),
        (InvalidType, lambda t: t["j"].finish_many(["a"], {"a": "1"})),
        (InvalidValue, lambda t: t["j"].finish_many(["a", "b", "a"])),
        (InvalidValue, lambda t: t["j"].finish_many(["a"], ["1"], timeout=-1)),
    ],
)
async def test_what_is_refused_sends_nothing(
    world: World, error: type[Exception], call: Callable[[Any], Awaitable[Any]]
) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        recording = AsyncObserved(client.backend)
        async with AsyncThoonk(backend=recording) as thoonk:
            feeds = {
                "f": await thoonk.feed("f"),
                "s": await thoonk.sorted_feed("s"),
                "q": await thoonk.queue("q"),
                "j": await thoonk.job("j"),
            }
            recording.sent.clear()
            with pytest.raises(error):
                await call(feeds)
            assert recording.sent == []


async def test_nothing_is_left_of_what_was_taken(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    before = everything(world)
    await queue.put_many(["a", "b", "c"])
    await queue.get_many(2)
    await queue.get_many(2)
    after = everything(world)
    assert after.pop(b"feed.publishes:q") == b"3"
    assert after == before


async def test_nothing_is_left_of_finished_jobs(world: World, thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j", {"claim_timeout": 60})
    before = everything(world)
    await job.put_many(["a"] * 30)
    await job.finish_many(await job.get_many(20))
    await job.finish_many(await job.get_many(20))
    after = everything(world)
    assert after.pop(b"feed.publishes:j") == b"30"
    assert after.pop(b"feed.finishes:j") == b"30"
    assert after == before


class Retracting(AsyncObserved):
    """Somebody removes the job before the claim of what cannot be read is ended."""

    async def execute(self, operation: Operation[R]) -> R:
        if isinstance(operation, JobFail):
            await super().execute(JobRetract(operation.feed, (operation.id,)))
        return await super().execute(operation)


async def test_a_job_that_cannot_be_read_and_is_gone_keeps_no_other_from_being_claimed(
    world: World,
) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        async with AsyncThoonk(backend=Retracting(client.backend)) as thoonk:
            texts = await thoonk.job("j", serializer="text")
            await texts.put_many(["1", "{", "2"])
            job: Any = await thoonk.job("j", serializer=JSON)
            claims = await job.get_many(3, timeout=5)
            assert [claim.item for claim in claims] == [1, 2]
            await job.finish_many(claims)
            await texts.put_many(["3", "{", "4"])
            seen = []
            async with job.claims(timeout=0.05, prefetch=3) as loop:
                async for claim in loop:
                    seen.append(claim.item)
            assert seen == [3, 4]
            assert await states(job) == (0, 0, 0, 4)
