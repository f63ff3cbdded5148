"""Each fault that is planted is found, and repaired where that is promised; nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis
from conftest import World
from garbage import KINDS, VARIANTS, opened_with_an_item, spoil

from thoonk import Thoonk
from thoonk.backends.embedded import checkup
from thoonk.backends.redis.wire import Keys
from thoonk.config import FEED
from thoonk.doctor import CHECKS, Check, Finding, Report, Severity, cluster, examine, server
from thoonk.doctor.catalogue import KeyName, type_of
from thoonk.doctor.probe import Probe

IGNORED = ("persistence", "endless")
"""The servers of the tests keep nothing, on purpose."""


def examined(world: World, *, repair: bool = False, patience: float = 0.06) -> Report:
    # As its owner: the world's own user may do no more than the library needs.
    assert world.server is not None
    return examine(world.server.url, repair=repair, patience=patience, ignore=IGNORED)


@attrs.frozen
class Patient:
    """A feed of each type with items, and a client to plant faults with."""

    thoonk: Thoonk
    raw: redis.Redis

    @property
    def now(self) -> int:
        seconds, micro = self.raw.time()
        return seconds * 1000 + micro // 1000

    def job(self) -> Any:
        return self.thoonk.job("j", {"claim_timeout": 60, "max_failures": 3})


@pytest.fixture
def patient(real_world: World) -> Any:
    assert real_world.server is not None
    with Thoonk(backend=real_world.server.url) as thoonk:
        feed = thoonk.feed("f")
        for id in ("a", "b", "c"):
            feed.publish(f"item {id}", id=id)
        listed = thoonk.sorted_feed("s")
        for item in ("one", "two", "three"):
            listed.append(item)
        queue = thoonk.queue("q")
        for item in ("first", "second"):
            queue.put(item)
        patient = Patient(thoonk, real_world.raw)
        job = patient.job()
        for item in ("x", "y", "z"):
            job.put(item)
        yield patient


Plant = Callable[[Patient], tuple[str, ...]]
"""Plants a fault; returns the ids that must be told."""

Holds = Callable[[Patient, tuple[str, ...]], bool]
"""Whether what the repair promises is so."""


@attrs.frozen
class Case:
    """A planted fault: by which check it is found, in which feed, and what a repair makes of it.

    ``repaired`` is None for what is only told.
    """

    check: str
    feed: str
    plant: Plant
    repaired: Holds | None = None
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.check}-{self.plant.__name__}"


CASES: list[Case] = []


def plant(
    check: str, feed: str, repaired: Holds | None = None, also: tuple[str, ...] = ()
) -> Callable[[Plant], Plant]:
    def register(function: Plant) -> Plant:
        CASES.append(Case(check, feed, function, repaired, frozenset(also)))
        return function

    return register


def state_of(patient: Patient, id: str) -> set[str]:
    """The states that a job or a queue's item is in; no key of a fault is passed over."""
    raw, states = patient.raw, set()
    feed = "j" if raw.hexists("feed.items:j", id) else "q"
    for word in ("ids", "reserved"):
        if id.encode() in raw.lrange(f"feed.{word}:{feed}", 0, -1):
            states.add("waiting" if word == "ids" else word)
    if raw.zscore(f"feed.claimed:{feed}", id) is not None:
        states.add("claimed")
    if feed == "j" and raw.sismember("feed.stalled:j", id):
        states.add("stalled")
    return states


# --- states ---------------------------------------------------------------------------------


def waits(patient: Patient, ids: tuple[str, ...]) -> bool:
    return all(state_of(patient, id) == {"waiting"} for id in ids)


def is_next(patient: Patient, ids: tuple[str, ...]) -> bool:
    (id,) = ids
    return patient.raw.lindex("feed.ids:q", -1) == id.encode() and waits(patient, ids)


@plant("stuck", "j")
def claimed_long_ago_and_extended_since(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get_nowait()
    claim.extend()
    patient.raw.zincrby("feed.running:j", -61 * 60_000, f"{claim.token} {claim.id}")
    return (claim.id,)


@plant("lost", "j", waits)
def popped_by_a_peer_that_died(patient: Patient) -> tuple[str, ...]:
    return (patient.raw.rpop("feed.ids:j").decode(),)


@plant("lost", "q", is_next)
def popped_from_a_queue(patient: Patient) -> tuple[str, ...]:
    return (patient.raw.rpop("feed.ids:q").decode(),)


@plant("retracted", "j", lambda p, ids: not p.raw.hexists("feed.items:j", *ids))
def retracted_but_for_the_item(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.rpop("feed.ids:j")
    patient.raw.zrem("feed.published:j", id)
    patient.raw.hset("feed.cancelled:j", id, 2)
    return (id.decode(),)


@plant("unordered", "f")
def out_of_order(patient: Patient) -> tuple[str, ...]:
    patient.raw.zrem("feed.ids:f", "b")
    return ("b",)


@plant("unordered", "s")
def without_a_place(patient: Patient) -> tuple[str, ...]:
    patient.raw.lrem("feed.ids:s", 1, "2")
    return ("2",)


@plant("no-item", "f", lambda p, _: p.thoonk.feed("f").get_ids() == ["a", "c"])
def id_without_item(patient: Patient) -> tuple[str, ...]:
    patient.raw.hdel("feed.items:f", "b")
    return ("b",)


@plant("no-item", "s", lambda p, _: p.thoonk.sorted_feed("s").get_ids() == ["1", "3"])
def place_without_item(patient: Patient) -> tuple[str, ...]:
    patient.raw.hdel("feed.items:s", "2")
    return ("2",)


@plant("no-item", "q", lambda p, _: len(p.thoonk.queue("q").get_ids()) == 2)
def queued_without_item(patient: Patient) -> tuple[str, ...]:
    patient.raw.lpush("feed.ids:q", "nothing")
    return ("nothing",)


@plant("no-item", "j", lambda p, ids: not p.raw.zscore("feed.published:j", ids[0]))
def job_without_item(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.hdel("feed.items:j", id)
    return (id.decode(),)


@plant("no-item", "j", lambda p, _: p.raw.scard("feed.stalled:j") == 0)
def stalled_without_item(patient: Patient) -> tuple[str, ...]:
    patient.raw.sadd("feed.stalled:j", "nothing")
    return ("nothing",)


@plant("no-item", "j")
def claimed_without_item(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.hdel("feed.items:j", claim.id)
    return (claim.id,)


@plant("no-item", "j", lambda p, _: p.raw.zcard("feed.claimed:j") == 0, also=("holder", "token"))
def claimed_long_ago_without_item(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.hdel("feed.items:j", claim.id)
    patient.raw.zadd("feed.claimed:j", {claim.id: patient.now - 100_000})
    return (claim.id,)


@plant("two-states", "j", lambda p, ids: state_of(p, *ids) == {"claimed"})
def waiting_and_claimed(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.lpush("feed.ids:j", claim.id)
    return (claim.id,)


@plant("two-states", "j", waits)
def waiting_and_stalled(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.sadd("feed.stalled:j", id)
    return (id.decode(),)


@plant("two-states", "j", lambda p, ids: state_of(p, *ids) == {"stalled"})
def waiting_and_stalled_out_of_circulation(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.zrem("feed.published:j", id)
    patient.raw.sadd("feed.stalled:j", id)
    return (id.decode(),)


@plant("two-states", "j", lambda p, ids: state_of(p, *ids) == {"claimed"})
def in_all_states(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.sadd("feed.stalled:j", claim.id)
    patient.raw.lpush("feed.ids:j", claim.id)
    patient.raw.lpush("feed.reserved:j", claim.id)
    return (claim.id,)


@plant("two-states", "q", lambda p, ids: state_of(p, *ids) == {"claimed"})
def queued_and_on_its_way(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:q", -1)
    patient.raw.zadd("feed.claimed:q", {id: patient.now + 60_000})
    return (id.decode(),)


def once(patient: Patient, ids: tuple[str, ...]) -> bool:
    lists = [patient.raw.lrange(f"feed.ids:{feed}", 0, -1) for feed in ("s", "q", "j")]
    return sum(waiting.count(ids[0].encode()) for waiting in lists) == 1


@plant("twice", "j", lambda p, ids: once(p, ids) and p.job().get(timeout=5).id == ids[0])
def waiting_twice(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", -1)
    patient.raw.lpush("feed.ids:j", id, id)
    return (id.decode(),)


@plant("twice", "j", once, also=("reserved",))
def waiting_and_reserved(patient: Patient) -> tuple[str, ...]:
    # The one that is reserved is next, so that one is kept, and goes back to the list.
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.lpush("feed.reserved:j", id, id)
    return (id.decode(),)


@plant("twice", "s", lambda p, _: p.thoonk.sorted_feed("s").get_ids() == ["1", "2", "3"])
def placed_twice(patient: Patient) -> tuple[str, ...]:
    patient.raw.rpush("feed.ids:s", "1", "1")
    return ("1",)


@plant("no-time", "j", lambda p, ids: abs(p.raw.zscore("feed.published:j", *ids) - p.now) < 60_000)
def put_without_a_time(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.zrem("feed.published:j", id)
    return (id.decode(),)


@plant("stale", "j", lambda p, ids: not p.raw.hexists("feed.cancelled:j", *ids))
def counts_of_a_job_that_is_over(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.published:j", {"over": patient.now})
    patient.raw.hset("feed.cancelled:j", "over", 1)
    return ("over",)


@plant("seconds", "f", lambda p, ids: p.raw.zscore("feed.ids:f", *ids) > 1e12)
def published_in_seconds(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.ids:f", {"b": patient.now / 1000})
    return ("b",)


@plant("seconds", "j", lambda p, ids: p.raw.zscore("feed.published:j", *ids) > 1e12)
def put_in_seconds(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.zadd("feed.published:j", {id: patient.now / 1000})
    return (id.decode(),)


@plant("seconds", "j", lambda p, ids: p.raw.zscore("feed.claimed:j", *ids) > 1e12)
def claimed_in_seconds(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.rpop("feed.ids:j")
    patient.raw.zadd("feed.claimed:j", {id: patient.now / 1000})
    return (id.decode(),)


@plant("wrong-time", "f")
def published_at_no_time(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.ids:f", {"a": 0, "b": -5, "c": float("inf")})
    return ("a", "b", "c")


@plant(
    "wrong-time",
    "j",
    lambda p, ids: all(abs(p.raw.zscore("feed.published:j", id) - p.now) < 60_000 for id in ids),
)
def put_at_no_time(patient: Patient) -> tuple[str, ...]:
    ids = [id.decode() for id in patient.raw.lrange("feed.ids:j", 0, 2)]
    times = (0, float("-inf"), 1e300)
    patient.raw.zadd("feed.published:j", dict(zip(ids, times, strict=True)))
    return tuple(ids)


@plant("wrong-time", "j", lambda p, ids: p.now - p.raw.zscore("feed.claimed:j", *ids) < 60_000)
def claimed_at_no_time_and_without_an_end(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.thoonk.set_config("j", {"claim_timeout": None})
    patient.raw.zadd("feed.claimed:j", {claim.id: 0})
    patient.raw.delete("feed.holders:j", "feed.tokens:j")
    return (claim.id,)


@plant("count", "j", lambda p, _: not p.raw.exists("feed.cancelled:j"))
def failures_that_are_no_number(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.hset("feed.cancelled:j", id, "often")
    return (id.decode(),)


@plant("count", "f", lambda p, _: p.thoonk.feed("f").stats().publishes == 0)
def publishes_that_are_no_number(patient: Patient) -> tuple[str, ...]:
    patient.raw.set("feed.publishes:f", "-1")
    return ()


# --- claims ---------------------------------------------------------------------------------


def dated_now(patient: Patient, ids: tuple[str, ...], feed: str) -> bool:
    since = patient.raw.zscore(f"feed.claimed:{feed}", *ids)
    return abs(since - patient.now) < 60_000


@plant(
    "future",
    "j",
    lambda p, ids: dated_now(p, ids, "j") and p.thoonk.job("j").get_counts().claimed == 1,
)
def worker_whose_server_was_an_hour_fast(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    since = patient.now + 3_600_000
    holder = patient.raw.hget("feed.holders:j", claim.id).split(b" ")[0]
    patient.raw.zadd("feed.claimed:j", {claim.id: since})
    patient.raw.hset("feed.holders:j", claim.id, b"%b %d" % (holder, since))
    return (claim.id,)


@plant("future", "q", lambda p, ids: dated_now(p, ids, "q"))
def taker_that_counts_for_ever(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.rpop("feed.ids:q")
    patient.raw.zadd("feed.claimed:q", {id: float("inf")})
    return (id.decode(),)


@plant("late", "j", waits, also=("token", "holder"))
def worker_that_claimed_at_time_0(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.zadd("feed.claimed:j", {claim.id: 0})
    return (claim.id,)


def late_claim(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    since = patient.now - 100_000
    holder = patient.raw.hget("feed.holders:j", claim.id).split(b" ")[0]
    patient.raw.zadd("feed.claimed:j", {claim.id: since})
    patient.raw.hset("feed.holders:j", claim.id, b"%b %d" % (holder, since))
    return (claim.id,)


@plant(
    "late",
    "j",
    lambda p, ids: waits(p, ids) and p.job().get_failure_count(*ids) == 1,
    also=("token",),
)
def worker_that_died(patient: Patient) -> tuple[str, ...]:
    return late_claim(patient)


@plant("late", "j", lambda p, ids: state_of(p, *ids) == {"stalled"}, also=("token",))
def job_that_kills_its_workers(patient: Patient) -> tuple[str, ...]:
    ids = late_claim(patient)
    patient.raw.hset("feed.cancelled:j", ids[0], 2)
    return ids


@plant("late", "q", is_next)
def taker_that_died(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.rpop("feed.ids:q")
    patient.raw.zadd("feed.claimed:q", {id: patient.now - 20_000})
    return (id.decode(),)


@plant("holder", "j", lambda p, _: not p.raw.exists("feed.holders:j"), also=("token",))
def claim_that_a_peer_has_ended(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.zrem("feed.claimed:j", claim.id)
    patient.raw.lpush("feed.ids:j", claim.id)
    return (claim.id,)


@plant("holder", "j", lambda p, _: not p.raw.exists("feed.holders:j"), also=("token",))
def claim_that_a_peer_has_made_anew(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    patient.raw.zadd("feed.claimed:j", {claim.id: patient.now - 500})
    return (claim.id,)


@plant("token", "j", lambda p, _: not p.raw.exists("feed.tokens:j"))
def token_of_nothing(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.tokens:j", "secret", "gone\0away")
    return ()


@plant("token", "j", lambda p, _: {v.count(b"\0") for v in p.raw.hvals("feed.tokens:j")} == {0})
def token_of_too_much(patient: Patient) -> tuple[str, ...]:
    claim = patient.job().get(timeout=5)
    (token,) = patient.raw.hkeys("feed.tokens:j")
    patient.raw.hset("feed.tokens:j", token, f"{claim.id}\0away")
    return ()


@plant(
    "reserved", "j", lambda p, ids: p.raw.lrange("feed.ids:j", -2, -1) == [*map(str.encode, ids)]
)
def left_by_takers_that_died(patient: Patient) -> tuple[str, ...]:
    for _ in range(2):
        patient.raw.rpoplpush("feed.ids:j", "feed.reserved:j")
    return tuple(id.decode() for id in patient.raw.lrange("feed.reserved:j", 0, -1))


@plant("reserved", "q", is_next)
def left_by_a_taker_of_a_queue(patient: Patient) -> tuple[str, ...]:
    return (patient.raw.rpoplpush("feed.ids:q", "feed.reserved:q").decode(),)


# --- later, unique ids, pauses -----------------------------------------------------------------


def scheduled(patient: Patient, delay: float = 600) -> str:
    return str(patient.job().put("later", delay=delay))


def is_due_now(patient: Patient, ids: tuple[str, ...]) -> bool:
    job = patient.job()
    return {job.get_nowait().id for _ in range(4)} >= {*ids} and job.get_counts().scheduled == 0


@plant("no-due", "j", is_due_now)
def due_at_no_time(patient: Patient) -> tuple[str, ...]:
    id = scheduled(patient)
    patient.raw.delete("feed.scheduled:j")
    return (id,)


@plant("not-scheduled", "j", lambda p, _: not p.raw.exists("feed.scheduled:j"), also=("stale",))
def scheduled_without_item(patient: Patient) -> tuple[str, ...]:
    id = scheduled(patient)
    patient.raw.delete("feed.scheduleditems:j")
    return (id,)


@plant("not-scheduled", "j", lambda p, ids: state_of(p, *ids) == {"waiting"})
def scheduled_although_it_waits(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.lindex("feed.ids:j", 0)
    patient.raw.zadd("feed.scheduled:j", {id: patient.now + 600_000})
    return (id.decode(),)


@plant("scheduled-too", "j", lambda p, ids: not p.raw.hexists("feed.items:j", *ids))
def scheduled_with_a_second_item(patient: Patient) -> tuple[str, ...]:
    id = scheduled(patient)
    patient.raw.hset("feed.items:j", id, "later")
    patient.raw.zadd("feed.published:j", {id: patient.now})
    return (id,)


@plant("scheduled-too", "j")
def scheduled_and_waiting(patient: Patient) -> tuple[str, ...]:
    id = scheduled(patient)
    patient.raw.hset("feed.items:j", id, "now")
    patient.raw.zadd("feed.published:j", {id: patient.now})
    patient.raw.lpush("feed.ids:j", id)
    return (id,)


@plant("wrong-due", "j", is_due_now)
def due_at_what_is_no_time(patient: Patient) -> tuple[str, ...]:
    ids = [scheduled(patient) for _ in range(2)]
    patient.raw.zadd("feed.scheduled:j", {ids[0]: float("inf")})
    patient.raw.zadd("feed.scheduled:j", {ids[1]: -1})
    # For somebody to get, they have to be looked for: nothing waits.
    for id in patient.raw.lrange("feed.ids:j", 0, 0):
        patient.job().retract(id.decode())
    return (*ids,)


@plant("seconds", "j", lambda p, ids: p.job().get_info(*ids).due.timestamp() > p.now / 1000 + 500)
def due_in_seconds(patient: Patient) -> tuple[str, ...]:
    id = scheduled(patient)
    patient.raw.zadd("feed.scheduled:j", {id: patient.now / 1000 + 600})
    return (id,)


@plant("wrong-unique", "j", lambda p, ids: p.job().put("x", id="over").outcome == 1)
def taken_until_what_is_no_time(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.unique:j", {"over": float("inf"), "long ago": 0})
    return ("over", "long ago")


@plant("stale-run", "j", lambda p, _: not p.raw.exists("feed.runs:j", "feed.runtimes:j"))
def times_of_no_schedule(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.runs:j", {"gone": patient.now + 600_000})
    patient.raw.hset("feed.runtimes:j", "also gone", str(patient.now))
    return ("gone", "also gone")


@plant("wrong-run", "j")
def schedule_that_is_never_due(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.schedules:j", "nightly", "every=600000\0item=x")
    patient.raw.zadd("feed.runs:j", {"nightly": float("inf")})
    return ("nightly",)


def is_due_in_ten_minutes(patient: Patient, ids: tuple[str, ...]) -> bool:
    due = patient.raw.zscore("feed.runs:j", ids[0])
    return due is not None and patient.now + 590_000 < due < patient.now + 610_000


@plant("no-run", "j", is_due_in_ten_minutes)
def schedule_without_a_next_time(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.schedules:j", "often", "every=600000\0item=x")
    return ("often",)


@plant("no-run", "j")
def schedule_whose_times_are_over(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.schedules:j", "nightly", "cron=0 3 * * *\0tz=UTC\0item=x")
    patient.raw.hset("feed.runtimes:j", "nightly", "")
    return ("nightly",)


@plant("no-schedule", "j")
def texts_that_make_no_schedule(patient: Patient) -> tuple[str, ...]:
    texts = ("", "item=x", "every=0\0item=x", "every=-5\0item=x", "cron=0 3 * * *")
    for number, text in enumerate(texts):
        patient.raw.hset("feed.schedules:j", f"{number}", text)
        patient.raw.zadd("feed.runs:j", {f"{number}": patient.now + 600_000})
    return tuple(f"{number}" for number in range(len(texts)))


@plant("wrong-times", "j")
def later_times_that_are_none(patient: Patient) -> tuple[str, ...]:
    for name, times in (("a", "tomorrow"), ("b", f"{patient.now:.0f} 7")):
        patient.raw.hset("feed.schedules:j", name, "cron=0 3 * * *\0tz=UTC\0item=x")
        patient.raw.zadd("feed.runs:j", {name: patient.now + 600_000})
        patient.raw.hset("feed.runtimes:j", name, times)
    return ("a", "b")


@plant("config-value", "q")
def pause_that_is_none(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.config:q", "paused", "yes")
    return ()


@plant("stale", "j", lambda p, _: not p.raw.exists("feed.info:j"))
def facts_of_a_job_that_is_over(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.info:j", "over", "failed=1\0message=why")
    return ("over",)


def in_their_order(patient: Patient, ids: tuple[str, ...]) -> bool:
    job = patient.job()
    return [job.get_nowait().id for _ in ids] == [*ids]


@plant("left-paused", "j", in_their_order)
def pause_that_a_peer_has_ended(patient: Patient) -> tuple[str, ...]:
    ids = [id.decode() for id in reversed(patient.raw.lrange("feed.ids:j", 0, -1))]
    patient.job().pause()
    patient.raw.hdel("feed.config:j", "paused")
    patient.job().put("put since")
    return tuple(ids)


@plant("left-paused", "q", lambda p, _: p.thoonk.queue("q").get_nowait() == "first")
def pause_of_a_queue_that_a_peer_has_ended(patient: Patient) -> tuple[str, ...]:
    patient.thoonk.queue("q").pause()
    patient.raw.hdel("feed.config:q", "paused")
    return tuple(id.decode() for id in patient.raw.lrange("feed.paused:q", 0, -1))


@plant("not-paused", "j", lambda p, ids: p.job().resume() and p.job().get_nowait().item == "x")
def put_by_a_peer_during_a_pause(patient: Patient) -> tuple[str, ...]:
    patient.job().pause()
    (id,) = patient.raw.lrange("feed.paused:j", 0, 0)
    patient.raw.lrem("feed.paused:j", 1, id)
    patient.raw.lpush("feed.ids:j", id)
    return (id.decode(),)


@plant("lost", "j", lambda p, ids: p.raw.lindex("feed.paused:j", 0) == ids[0].encode())
def popped_by_a_peer_before_the_pause(patient: Patient) -> tuple[str, ...]:
    id = patient.raw.rpop("feed.ids:j")
    patient.job().pause()
    return (id.decode(),)


@plant("twice", "j", lambda p, ids: p.raw.lrange("feed.ids:j", 0, -1) == [])
def waiting_here_and_there_during_a_pause(patient: Patient) -> tuple[str, ...]:
    patient.job().pause()
    id = patient.raw.lindex("feed.paused:j", 0)
    patient.raw.lpush("feed.ids:j", id)
    patient.raw.lpush("feed.paused:j", id)
    return (id.decode(),)


# --- results --------------------------------------------------------------------------------


@plant("result-gone", "j", lambda p, _: not p.raw.exists("feed.results:j"))
def result_that_a_peer_has_consumed(patient: Patient) -> tuple[str, ...]:
    patient.raw.zadd("feed.results:j", {"eaten": patient.now + 100_000})
    return ("eaten",)


@plant("result-gone", "j", lambda p, _: not p.raw.exists("feed.jobfinished:j\0half"))
def result_that_was_consumed_but_for_the_query(patient: Patient) -> tuple[str, ...]:
    patient.raw.rpush("feed.jobfinished:j\0half", "some", "query")
    patient.raw.zadd("feed.results:j", {"half": "inf"})
    return ("half",)


@plant("result-unlisted", "j", lambda p, _: p.raw.zscore("feed.results:j", "old") == float("inf"))
def result_of_a_peer(patient: Patient) -> tuple[str, ...]:
    patient.raw.lpush("feed.jobfinished:j\0old", "result")
    return ("old",)


@plant("result-unlisted", "j", lambda p, _: p.raw.zscore("feed.results:j", "old") - p.now > 0)
def result_of_a_peer_that_expires(patient: Patient) -> tuple[str, ...]:
    patient.raw.lpush("feed.jobfinished:j\0old", "result")
    patient.raw.expire("feed.jobfinished:j\0old", 100)
    return ("old",)


# --- feeds ----------------------------------------------------------------------------------


@plant("unlisted", "f", lambda p, _: p.thoonk.feed_exists("f") and p.raw.sismember("feeds", "f"))
def creator_that_died(patient: Patient) -> tuple[str, ...]:
    patient.raw.srem("feeds", "f")
    return ()


@plant("half-deleted", "ghost", lambda p, _: not p.raw.sismember("feeds", "ghost"))
def deleter_that_died(patient: Patient) -> tuple[str, ...]:
    patient.raw.sadd("feeds", "ghost")
    return ()


@plant("no-config", "f")
def configuration_that_is_gone(patient: Patient) -> tuple[str, ...]:
    patient.raw.delete("feed.config:f")
    return ()


@plant("no-config", "f")
def configuration_without_type(patient: Patient) -> tuple[str, ...]:
    patient.raw.hdel("feed.config:f", "type")
    patient.raw.hset("feed.config:f", "title", "x")
    return ()


@plant("stray", "gone")
def items_of_no_feed(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.items:gone", "1", "precious")
    return ()


@plant("leftover", "gone", lambda p, _: not p.raw.keys("feed.*:gone"))
def keys_that_an_old_peer_forgot(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.holders:gone", "1", "token 17")
    patient.raw.hset("feed.tokens:gone", "token", "1")
    patient.raw.set("feed.idincr:gone", 7)
    patient.raw.zadd("feed.results:gone", {"1": 17})
    return ()


@plant("stray-result", "gone")
def result_of_no_feed(patient: Patient) -> tuple[str, ...]:
    patient.raw.rpush("feed.jobfinished:gone\0id", "result")
    return ("id",)


@plant("wrong-type", "j")
def key_of_another_type(patient: Patient) -> tuple[str, ...]:
    patient.raw.delete("feed.ids:j")
    patient.raw.zadd("feed.ids:j", {"x": 1})
    return ()


@plant("wrong-type", "s")
def configuration_of_another_type(patient: Patient) -> tuple[str, ...]:
    patient.raw.delete("feed.config:s")
    patient.raw.set("feed.config:s", "hello")
    return ()


@plant("wrong-type", "")
def names_of_another_type(patient: Patient) -> tuple[str, ...]:
    patient.raw.delete("feeds")
    patient.raw.set("feeds", "hello")
    return ()


@plant("config-field", "f")
def misspelt_setting(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.config:f", "max_lenght", "3")
    return ()


@plant("config-value", "f")
def setting_that_makes_no_sense(patient: Patient) -> tuple[str, ...]:
    patient.raw.hset("feed.config:f", "max_length", "many")
    return ()


@plant("counter", "s", lambda p, _: p.thoonk.sorted_feed("s").append("four") == "4")
def counter_that_is_behind(patient: Patient) -> tuple[str, ...]:
    patient.raw.set("feed.idincr:s", 1)
    return ()


def contents(raw: redis.Redis) -> dict[bytes, dict[bytes, bytes]]:
    """Every item there is."""
    keys = raw.keys("feed.items:*")
    return {key: raw.hgetall(key) for key in keys if raw.type(key) == b"hash"}


def found(report: Report, case: Case) -> Finding:
    (finding,) = [f for f in report.findings if (f.check.name, f.feed) == (case.check, case.feed)]
    return finding


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_planted_fault_is_found_and_repaired_without_loss(
    real_world: World, patient: Patient, case: Case
) -> None:
    """It alone is told; a repair does what it promises; then there is nothing to be found."""
    assert examined(real_world).findings == ()
    ids = case.plant(patient)
    before = contents(patient.raw)
    report = examined(real_world)
    names = {finding.check.name for finding in report.findings}
    assert case.check in names
    assert names <= {case.check, *case.also, "unlisted", "stray"}, report.findings
    finding = found(report, case)
    assert set(finding.ids) == set(ids)
    assert finding.is_fault
    assert not report.is_healthy
    assert bool(finding.repairable) == (case.repaired is not None)
    assert contents(patient.raw) == before

    report = examined(real_world, repair=True)
    if case.repaired is None:
        assert found(report, case).repaired == 0
        assert contents(patient.raw) == before
        assert not report.is_healthy
        return
    finding = found(report, case)
    assert finding.repaired == finding.count
    assert report.is_healthy, report.findings
    assert examined(real_world).findings == ()
    if case.check not in ("retracted", "scheduled-too"):
        assert contents(patient.raw) == before
    assert case.repaired(patient, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_of_whatever_garbage_nothing_is_repaired_twice(real_world: World, kind: str) -> None:
    assert real_world.server is not None
    for variant in VARIANTS:
        real_world.raw.flushall()
        with Thoonk(backend=real_world.server.url) as thoonk:
            opened_with_an_item(thoonk, kind)
        spoil(real_world.raw, variant)
        assert not examined(real_world, patience=0.003).is_healthy
        examined(real_world, repair=True, patience=0.003)
        again = examined(real_world, repair=True, patience=0.003)
        assert [f for f in again.findings if f.repaired] == []


@pytest.mark.parametrize("also", [b"0", b"inf"])
def test_what_is_broken_again_at_once_is_told_and_repaired_once(
    real_world: World, patient: Patient, also: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, repair = real_world.raw, Probe.repair

    def break_it() -> None:
        with raw.pipeline() as both:
            both.set("feed.publishes:f", "many")
            both.execute_command("ZADD", "feed.published:j", also, raw.lindex("feed.ids:j", 0))
            both.execute()

    def repair_and_break(*arguments: Any) -> bool:
        is_repaired = repair(*arguments)
        break_it()
        return is_repaired

    monkeypatch.setattr(Probe, "repair", repair_and_break)
    break_it()
    report = examined(real_world, repair=True)
    assert {f.check.name for f in report.findings if f.is_fault} == {"count", "wrong-time"}
    # One look costs about a hundred; it was looked at a few times, not for a hundred rounds.
    assert report.commands < 1000


def test_every_check_has_a_planted_fault_or_a_test_of_its_own() -> None:
    """A check that nobody has seen find something is not to be trusted."""
    # Those of files have tests in test_files.py, those of clusters in tests/cluster/test_doctor.py.
    of_files = {check.name for check in checkup.CHECKS}
    of_clusters = set(cluster.CHECKS)
    of_server = {value.name for value in vars(server).values() if isinstance(value, Check)}
    notes = {name for name, check in CHECKS.items() if check.severity is Severity.NOTE}
    planted = {case.check for case in CASES}
    assert CHECKS.keys() - of_files - of_clusters - of_server - notes == planted


def test_it_knows_every_key_of_a_feed() -> None:
    """A key that is new in the contract has to be made known here, too."""
    known = {word for word in Keys.STORED if KeyName(word, "feed").is_known}
    assert known == {*Keys.STORED}
    assert {type_of(word, FEED) for word in known} <= {"hash", "list", "set", "string", "zset"}


def test_the_page_tells_of_every_check() -> None:
    """With its severity, and that it is repaired where it is."""
    page = (Path(__file__).parents[2] / "docs/doctor.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*) \|$", page, re.MULTILINE)
    told = {}
    for name, severity, rest in rows:
        # Nothing in a file is repaired: that table has no column for it.
        _, _, repair = rest.partition(" | ")
        told[name] = (severity, bool(repair) and not repair.startswith("reported only"))
    assert told == {
        name: (check.severity.name.lower(), bool(check.repair))
        for name, check in CHECKS.items()
        if name != "more"
    }
