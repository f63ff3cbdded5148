"""Scripts have a short way for the usual job: it does what the long way does, in fewer commands."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import redis
from conftest import World

from thoonk import ThoonkError
from thoonk import operations as ops
from thoonk.backends import Backend, open_backend
from thoonk.backends.redis.scripts import Script, load
from thoonk.backends.redis.wire import Keys, keys_of

HELD = ops.Completion("held", "old")

OPERATIONS: dict[str, ops.Operation[Any]] = {
    "claim": ops.JobClaim("F", "new", recover_expired=False),
    "finish": ops.JobFinish("F", (HELD,)),
    "next": ops.JobNext("F", "new", recover_expired=False, finished=(HELD,)),
}
MOST_COMMANDS = {"claim": 12, "finish": 17, "next": 19}
"""How many commands each takes in its script, in the usual case."""


def only_long(name: str) -> Script:
    """A script that never takes the short way."""
    script = load(name)
    text, count = re.subn(
        rb"^if (?=(?:#ARGV|ARGV\[1\]) ==)",
        b"if false and ",
        script.text,
        flags=re.MULTILINE,
    )
    assert count == (name in ("job_claim", "job_finish", "job_next"))
    return attrs.evolve(script, text=text)


@contextlib.contextmanager
def opened(world: World, *, long: bool = False) -> Iterator[Backend]:
    backend, _ = open_backend(world.url)
    if long:
        backend._load = only_long  # type: ignore[attr-defined]
    yield backend
    backend.close()


def prepare(world: World, backend: Backend) -> None:
    """A job that is held, and one that is the next of two."""
    world.raw.flushall()
    backend.execute(ops.CreateFeed("F", {"type": "job", "claim_timeout": "60"}))
    backend.execute(ops.JobPut("F", (ops.Entry("held", b"item"),)))
    backend.execute(ops.JobClaim("F", "old"))
    backend.execute(ops.JobPut("F", (ops.Entry("next", b"the next"), ops.Entry("last", b""))))


def state(raw: redis.Redis) -> dict[bytes, Any]:
    """Every key and what is in it, without the times."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": raw.get,
        b"list": lambda key: raw.lrange(key, 0, -1),
        b"set": raw.smembers,
        b"hash": raw.hgetall,
        b"zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
    }
    found = {key: read[raw.type(key)](key) for key in sorted(raw.keys())}
    if isinstance(answers := found.get(b"feed.answers:F"), dict):
        found[b"feed.answers:F"] = sorted(answers.values())  # its fields are random
    return {key: re.sub(r"\d{10,}(\.0)?", "TIME", repr(value)) for key, value in found.items()}


def outcome(world: World, backend: Backend, operation: ops.Operation[Any]) -> Any:
    """The answer or the error, what is there afterwards, and the notices."""
    with world.raw.pubsub() as notices:
        notices.psubscribe("feed.*", "job.*")
        for _ in range(2):
            assert notices.get_message(timeout=5)
        answer: Any
        try:
            answer = backend.execute(operation)
        except ThoonkError as error:
            answer = type(error)
        if isinstance(answer, ops.Batch) and answer.retry_after is not None:
            answer = attrs.evolve(answer, retry_after=round(answer.retry_after / 10))
        told = []
        while message := notices.get_message(timeout=0.01):
            told.append((message["channel"], message["data"]))
    return answer, state(world.raw), told


def push(id: bytes) -> Callable[[redis.Redis], object]:
    return lambda raw: raw.rpush("feed.ids:F", id)


SITUATIONS: dict[str, Callable[[redis.Redis], object]] = {
    "the usual": lambda _: None,
    "the next has failed before": lambda raw: raw.hset("feed.cancelled:F", "next", 2),
    "the held has failed before": lambda raw: raw.hset("feed.cancelled:F", "held", 2),
    "another has failed before": lambda raw: raw.hset("feed.cancelled:F", "last", 2),
    "a count of failures is garbage": lambda raw: raw.hset("feed.cancelled:F", "next", "x"),
    "something is known of the held": lambda raw: raw.hset("feed.info:F", "held", "reason=x"),
    "something is known of the next": lambda raw: raw.hset("feed.info:F", "next", "reason=x"),
    "an empty id rings": push(b""),
    "an id has no item": push(b"gone"),
    "an id has a NUL": lambda raw: (raw.hset("feed.items:F", b"x\0y", "z"), push(b"x\0y")(raw)),
    "an empty id has an item": lambda raw: (raw.hset("feed.items:F", "", "z"), push(b"")(raw)),
    "the held waits a second time": push(b"held"),
    "the next waits a second time": push(b"next"),
    "the next is claimed by a peer": lambda raw: raw.zadd("feed.claimed:F", {"next": 1e12}),
    "the held is claimed by a peer": lambda raw: raw.zadd("feed.claimed:F", {"held": 1e12}),
    "the held is claimed in seconds": lambda raw: raw.zadd("feed.claimed:F", {"held": 1.5e9}),
    "the held is claimed no more": lambda raw: raw.zrem("feed.claimed:F", "held"),
    "the held has another holder": lambda raw: raw.hset("feed.holders:F", "held", "x 1e12"),
    "the held has no holder": lambda raw: raw.hdel("feed.holders:F", "held"),
    "the token has another job": lambda raw: raw.hset("feed.tokens:F", "old", b"held\0last"),
    "the token is not known": lambda raw: raw.hdel("feed.tokens:F", "old"),
    "the new token is in use": lambda raw: raw.hset("feed.tokens:F", "new", "last"),
    "the held has no item": lambda raw: raw.hdel("feed.items:F", "held"),
    "the held is not published": lambda raw: raw.zrem("feed.published:F", "held"),
    "nothing waits": lambda raw: raw.delete("feed.ids:F"),
    "nothing waits but what is reserved": lambda raw: raw.rename("feed.ids:F", "feed.reserved:F"),
    "the counter is garbage": lambda raw: raw.set("feed.finishes:F", "x"),
    "a pause": lambda raw: raw.hset("feed.config:F", "paused", 1),
    "events": lambda raw: raw.hset("feed.config:F", "events", 1),
    "an item is empty": push(b"last"),
    "no feed": lambda raw: raw.hdel("feed.config:F", "type"),
    "a queue": lambda raw: raw.hset("feed.config:F", "type", "queue"),
    "a type of its own": lambda raw: raw.hset("feed.config:F", "type", "mine"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_both_ways_have_the_same_effect(real_world: World, name: str, situation: str) -> None:
    outcomes = []
    for long in (False, True):
        with opened(real_world, long=long) as backend:
            prepare(real_world, backend)
            SITUATIONS[situation](real_world.raw)
            outcomes.append(outcome(real_world, backend, OPERATIONS[name]))
    short_way, long_way = outcomes
    assert short_way == long_way


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_key_of_another_type_is_met_before_anything_is_written(
    real_world: World, name: str
) -> None:
    with opened(real_world) as backend:
        for spoilt in Keys.STORED:
            prepare(real_world, backend)
            key = getattr(keys_of("F"), spoilt)
            real_world.raw.delete(key)
            real_world.raw.set(key, "garbage")
            before = state(real_world.raw)
            with contextlib.suppress(ThoonkError):
                backend.execute(OPERATIONS[name])
                continue
            assert state(real_world.raw) == before, spoilt


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_server_that_is_full_goes_on(real_world: World, name: str) -> None:
    raw = real_world.raw
    with opened(real_world) as backend:
        prepare(real_world, backend)
        # The scripts are there, and this caller has been answered before.
        raw.config_set("maxmemory", 1)
        try:
            with contextlib.suppress(ThoonkError):
                backend.execute(ops.JobPut("F", (ops.Entry("full", b""),)))
                pytest.fail("the server is not full")
            backend.execute(OPERATIONS[name])
        finally:
            raw.config_set("maxmemory", 0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_usual_case_takes_few_commands(real_world: World, name: str) -> None:
    with opened(real_world) as backend:
        for _ in range(2):  # the first time the server gets to know the script
            prepare(real_world, backend)
            real_world.raw.config_resetstat()
            backend.execute(OPERATIONS[name])
            calls = real_world.raw.info("commandstats")
    inside = sum(
        stats["calls"]
        for command, stats in calls.items()
        if not re.search("eval|config|info|client|hello|auth|select|ping", command)
    )
    assert 0 < inside <= MOST_COMMANDS[name]
