"""What a peer left where it does not belong: a call is refused before it writes, or done."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import redis
from calls import CALLS, Call
from conftest import World

from thoonk import BackendError, Thoonk, ThoonkError
from thoonk.backends.redis import scripts
from thoonk.backends.redis.wire import Keys, keys_of

COUNTERS = ("publishes", "idincr", "finishes")


def state(raw: redis.Redis) -> dict[bytes, Any]:
    """Every key and what is in it."""
    read = {
        b"string": raw.get,
        b"list": lambda key: raw.lrange(key, 0, -1),
        b"set": raw.smembers,
        b"hash": raw.hgetall,
        b"zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
    }
    return {key: read[raw.type(key)](key) for key in sorted(raw.keys())}


def spoil(raw: redis.Redis, name: str) -> None:
    """Put something of another type there."""
    key = getattr(keys_of("f"), name)
    raw.delete(key)
    if name in COUNTERS:
        raw.rpush(key, "garbage")
    else:
        raw.set(key, "garbage")


def refused_or_done(call: Call, world: World, thoonk: Thoonk, name: str, garbage: bool) -> None:
    raw = world.raw
    raw.flushall()
    made = call.prepare(thoonk)
    arguments = made if type(made) is tuple else (made,)
    if garbage:
        raw.set(getattr(keys_of("f"), name), "garbage")
    else:
        spoil(raw, name)
    before = state(raw)
    with raw.pubsub() as notices:
        notices.psubscribe("feed.*", "job.*", "*feed")
        for _ in range(3):
            assert notices.get_message(timeout=5)
        try:
            call.call(*arguments)
        except ThoonkError:
            assert state(raw) == before, name
            assert notices.get_message(timeout=0.001) is None


# A get takes in one step and confirms in another: what was taken in between comes back.
IN_ONE_STEP = [
    call
    for call in CALLS
    if any(name in scripts.names() for name in call.sends) and len(set(call.sends)) == 1
]


@pytest.mark.parametrize("call", IN_ONE_STEP, ids=lambda c: f"{c.method}-{'+'.join(c.sends)}")
def test_a_key_of_another_type_is_met_before_anything_is_written(call: Call, world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        for name in Keys.STORED:
            if name != "answers" or world.server is not None:
                refused_or_done(call, world, thoonk, name, garbage=False)
        for name in COUNTERS:
            refused_or_done(call, world, thoonk, name, garbage=True)


def test_what_is_put_and_published_does_not_depend_on_a_counter(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed, queue, job = thoonk.feed("feed"), thoonk.queue("queue"), thoonk.job("job")
        listed = thoonk.sorted_feed("sorted")
        for name in ("feed", "queue", "job", "sorted"):
            world.raw.set(f"feed.publishes:{name}", "many")
        world.raw.set("feed.finishes:job", "many")
        assert feed.publish("x") in feed.get_ids()
        queue.put("x")
        assert queue.get_nowait() == "x"
        job.put("x")
        job.get_nowait().finish()
        assert len(job) == 0
        assert job.get_counts().finished == job.stats().publishes == 0
        listed.edit(listed.append("x"), "y")
        assert world.raw.get("feed.publishes:sorted") == b"many"


def test_a_sorted_feed_whose_counter_of_ids_is_garbage_takes_no_item(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        listed = thoonk.sorted_feed("f")
        listed.append("x")
        world.raw.set("feed.idincr:f", "garbage")
        before = state(world.raw)
        for _ in range(2):
            with pytest.raises(BackendError, match=r"feed\.idincr of the feed holds no number"):
                listed.append("y")
        assert state(world.raw) == before


def test_a_job_whose_count_of_failures_is_garbage_can_be_cancelled(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("f")
        id = job.put("x")
        world.raw.hset("feed.cancelled:f", id, "often")
        with contextlib.closing(thoonk):
            job.get_nowait().cancel()
            assert job.get_failure_count(id) == 1
            assert job.get_nowait().id == id


def test_a_feed_with_a_key_of_another_type_can_be_deleted(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        for name in Keys.STORED[1:]:
            thoonk.job("f").put("x")
            spoil(world.raw, name)
            thoonk.delete_feed("f")
            assert not world.raw.keys("feed.*")
