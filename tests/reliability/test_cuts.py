"""The connection is cut at every point of every call: each still has its one effect."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from blocking import blocking_client
from conftest import World

from thoonk import Empty, Outcome, Thoonk
from thoonk.backends.redis import scripts
from thoonk.testing.proxy import Cut, Proxy, between


class Handles:
    """A client and a feed of each type."""

    def __init__(self, thoonk: Any) -> None:
        self.thoonk = thoonk
        self.f = thoonk.feed("f", {"max_length": 3})
        self.s = thoonk.sorted_feed("s")
        self.q = thoonk.queue("q")
        self.j = thoonk.job("j")


@attrs.frozen
class Ground:
    """A client behind the proxy, the feeds it works on, and a look at the server."""

    t: Handles
    proxy: Proxy
    raw: Any
    events: list[tuple[Any, ...]]


@pytest.fixture(params=["sync", "async"])
def ground(request: pytest.FixtureRequest, real_world: World) -> Iterator[Ground]:
    assert real_world.server is not None
    events: list[tuple[Any, ...]] = []
    DIRECT[:], SERVER[:] = [real_world.url], [real_world.raw]
    client: Any = Thoonk if request.param == "sync" else blocking_client
    with between(real_world.server) as proxy, client(backend=proxy.url) as thoonk:
        with Thoonk(backend=real_world.url, listen=True) as watcher:
            for event in ("publish", "edit", "retract", "position", "finish", "create", "delete"):
                watcher.register_handler(event, lambda *a, event=event: events.append((event, *a)))
            watcher.register_handler("config:f", lambda feed: events.append(("config", feed)))
            for name in scripts.names():
                real_world.raw.script_load(scripts.load(name).text)
            yield Ground(Handles(thoonk), proxy, real_world.raw, events)


@attrs.frozen
class Case:
    """A call, what is prepared before it, and what must be true after it."""

    name: str
    call: Callable[[Handles, Any], Any]
    check: Callable[[Ground, Any, Any], bool]
    prepare: Callable[[Handles], Any] = lambda _: None
    requests: int = 1


def poll(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _blocked_once(feed: Any) -> None:
    """Open the connection on which a taker blocks, before the cutting begins."""
    before = _waits()
    while _waits() == before:
        # On a loaded machine, a first look may take all of the time.
        with pytest.raises(Empty):
            feed.get(timeout=0.3)


def _waits() -> int:
    """How often takers have blocked."""
    stats = SERVER[0].info("commandstats")
    return int(stats.get("cmdstat_brpoplpush", {"calls": 0})["calls"])


def _get_while_blocked(feed: Any) -> Any:
    """Put an item, past the proxy, once a client is blocked; meanwhile get."""

    def put() -> None:
        # Blocked, or cut off and blocked again: an item that comes before is taken as well.
        with Thoonk(backend=DIRECT[0]) as direct:
            time.sleep(0.15)
            (direct.queue if feed.kind == "queue" else direct.job)(feed.name).put("late")

    thread = threading.Thread(target=put)
    thread.start()
    try:
        return feed.get(timeout=8)
    finally:
        thread.join()


DIRECT: list[str] = []
"""The URL of the server, past the proxy."""

SERVER: list[Any] = []
"""A plain client of it, which may do anything."""


def count(events: list[tuple[Any, ...]], *which: str) -> int:
    return sum(event[0] in which for event in events)


def _three(t: Handles) -> list[str]:
    return [t.s.append(item) for item in "abc"]


def _claimed(t: Handles) -> Any:
    t.j.put("work")
    return t.j.get(timeout=1)


def _stalled(t: Handles) -> Any:
    claim = _claimed(t)
    claim.stall()
    return claim


def _worked_through(job: Any) -> list[tuple[str, int]]:
    """A loop over three jobs of which one fails at first, with nothing left at the end."""
    seen = []
    with job.claims(timeout=5) as claims:
        for claim in claims:
            seen.append((claim.item, claim.cancelled))
            with contextlib.suppress(OSError), claim:
                if claim.item == "bad" and not claim.cancelled:
                    raise OSError
            if len(seen) == 4:
                break
    return seen


def _scheduled(t: Handles) -> None:
    t.j.put("work", id="a", delay=60)


def _due(t: Handles) -> None:
    t.j.put("work", id="a", delay=0.001)
    poll(lambda: t.j.stats().next_due == 0)


def _finished(t: Handles) -> Any:
    claim = _claimed(t)
    claim.finish("done")
    return claim


def _full(t: Handles) -> None:
    for id in "123":
        t.f.publish("old", id=id)


CASES = [
    Case(
        "publish",
        lambda t, _: t.f.publish("x"),
        lambda g, _, id: g.t.f.get_ids() == [id] and g.raw.get("feed.publishes:f") == b"1",
    ),
    Case(
        "publish to a full feed",
        lambda t, _: t.f.publish("x", id="4"),
        lambda g, _, id: (
            g.t.f.get_ids() == ["2", "3", "4"] and g.raw.get("feed.publishes:f") == b"4"
        ),
        _full,
    ),
    Case(
        "edit",
        lambda t, _: t.f.edit("1", "y"),
        lambda g, _, id: (
            g.t.f.get_ids() == ["2", "3", "1"] and g.raw.get("feed.publishes:f") == b"4"
        ),
        _full,
    ),
    Case(
        "retract",
        lambda t, _: t.f.retract("1"),
        lambda g, _, was: was is True and g.t.f.get_ids() == ["2", "3"],
        _full,
    ),
    Case(
        "append",
        lambda t, _: t.s.append("d"),
        lambda g, _, id: id == "4" and g.t.s.get_ids() == ["1", "2", "3", "4"],
        _three,
    ),
    Case(
        "publish_before",
        lambda t, _: t.s.publish_before("2", "d"),
        lambda g, _, id: g.t.s.get_ids() == ["1", id, "2", "3"],
        _three,
    ),
    Case(
        "move",
        lambda t, _: t.s.move_first("3"),
        lambda g, _, __: g.t.s.get_ids() == ["3", "1", "2"],
        _three,
    ),
    Case(
        "sorted edit",
        lambda t, _: t.s.edit("3", "z"),
        lambda g, _, __: g.raw.get("feed.publishes:s") == b"4",
        _three,
    ),
    Case(
        "sorted retract",
        lambda t, _: t.s.retract("3"),
        lambda g, _, was: was is True and g.t.s.get_ids() == ["1", "2"],
        _three,
    ),
    Case(
        "queue put",
        lambda t, _: t.q.put("x"),
        lambda g, _, id: g.t.q.get_ids() == [id] and g.raw.get("feed.publishes:q") == b"1",
    ),
    Case(
        "queue get",
        lambda t, _: t.q.get(timeout=2),
        lambda g, _, item: (
            item == "a"
            and g.t.q.get_nowait() == "b"
            and g.raw.hlen("feed.items:q") == 0
            and not g.raw.exists("feed.claimed:q", "feed.holders:q", "feed.tokens:q")
        ),
        lambda t: [t.q.put(item) for item in "ab"],
        requests=2,
    ),
    Case(
        "job put",
        lambda t, _: t.j.put("x"),
        lambda g, _, id: g.t.j.get_ids() == [id] and g.t.j.get_counts().waiting == 1,
    ),
    Case(
        "job get",
        lambda t, _: t.j.get(timeout=2),
        lambda g, _, claim: claim.item == "a" and _counts(g) == (1, 1, 0, 0),
        lambda t: [t.j.put(item) for item in "ab"],
    ),
    Case(
        "finish",
        lambda _, claim: claim.finish("done"),
        lambda g, claim, _: (
            _counts(g) == (0, 0, 0, 1) and g.t.j.get_result(claim.id, timeout=1) == ("work", "done")
        ),
        _claimed,
    ),
    Case(
        "cancel",
        lambda _, claim: claim.cancel(),
        lambda g, claim, _: _counts(g) == (1, 0, 0, 0) and g.t.j.get_failure_count(claim.id) == 1,
        _claimed,
    ),
    Case(
        "stall",
        lambda _, claim: claim.stall(),
        lambda g, _, __: _counts(g) == (0, 0, 1, 0),
        _claimed,
    ),
    Case(
        "extend",
        lambda _, claim: claim.extend(),
        lambda g, _, __: _counts(g) == (0, 1, 0, 0),
        _claimed,
    ),
    Case(
        "retry",
        lambda t, claim: t.j.retry(claim.id),
        lambda g, _, __: _counts(g) == (1, 0, 0, 0),
        _stalled,
    ),
    Case(
        "job retract",
        lambda t, claim: t.j.retract(claim.id),
        lambda g, _, was: was is True and _counts(g) == (0, 0, 0, 0),
        _claimed,
    ),
    Case(
        "get_nowait",
        lambda t, _: t.q.get_nowait(),
        lambda g, _, item: item == "a" and g.t.q.count() == 0,
        lambda t: t.q.put("a"),
        requests=2,
    ),
    Case(
        "maintenance",
        lambda t, _: t.j.maintenance(),
        lambda g, _, __: _counts(g) == (1, 0, 0, 0),
        lambda t: t.j.put("work"),
    ),
    Case(
        "create_feed",
        lambda t, _: t.thoonk.create_feed("new", {"title": "T"}),
        lambda g, _, __: (
            g.t.thoonk.get_config("new").title == "T" and g.t.thoonk.feed_exists("new")
        ),
        requests=2,
    ),
    Case(
        "set_config",
        lambda t, _: t.thoonk.set_config("f", {"max_length": 1}),
        lambda g, _, __: g.t.f.get_ids() == ["3"],
        _full,
        requests=2,
    ),
    Case(
        "delete_feed",
        lambda t, _: t.thoonk.delete_feed("f"),
        lambda g, _, __: not g.t.thoonk.feed_exists("f") and not g.raw.keys("feed.*:f"),
        _full,
        requests=3,
    ),
    Case(
        "blocked queue get",
        lambda t, _: _get_while_blocked(t.q),
        lambda g, _, item: item == "late" and not g.raw.exists("feed.items:q", "feed.claimed:q"),
        lambda t: _blocked_once(t.q),
        requests=3,
    ),
    Case(
        "blocked job get",
        lambda t, _: _get_while_blocked(t.j),
        lambda g, _, claim: claim.item == "late" and _counts(g) == (0, 1, 0, 0),
        lambda t: _blocked_once(t.j),
        requests=2,
    ),
    Case(
        "get_result",
        lambda t, claim: t.j.get_result(claim.id, timeout=5),
        lambda _, __, result: result == ("work", "done"),
        _finished,
    ),
    Case(
        "publish_many",
        lambda t, _: t.f.publish_many({"4": "x", "2": "y"}),
        lambda g, _, ids: ids == ["4", "2"] and g.t.f.get_ids() == ["3", "4", "2"],
        _full,
    ),
    Case(
        "publish_many in two steps",
        lambda t, _: t.s.publish_many(["x"] * 1500),
        lambda g, _, ids: len(ids) == 1500 and g.t.s.get_ids() == ids,
        requests=2,
    ),
    Case(
        "retract_many",
        lambda t, _: t.f.retract_many(["1", "9", "3"]),
        lambda g, _, were: were == [True, False, True] and g.t.f.get_ids() == ["2"],
        _full,
    ),
    Case(
        "put_many",
        lambda t, _: t.q.put_many(["a", "b"]),
        lambda g, _, ids: g.t.q.get_ids() == ids and g.raw.get("feed.publishes:q") == b"2",
    ),
    Case(
        "queue get_many",
        lambda t, _: t.q.get_many(2, timeout=2),
        lambda g, _, items: items == ["a", "b"] and g.t.q.get_nowait() == "c",
        lambda t: t.q.put_many("abc"[n] for n in range(3)),
        requests=2,
    ),
    Case(
        "job put_many",
        lambda t, _: t.j.put_many(["a", "b"]),
        lambda g, _, ids: sorted(g.t.j.get_ids()) == sorted(ids) and _counts(g) == (2, 0, 0, 0),
    ),
    Case(
        "job get_many",
        lambda t, _: t.j.get_many(2, timeout=2),
        lambda g, _, claims: [c.item for c in claims] == ["a", "b"] and _counts(g) == (1, 2, 0, 0),
        lambda t: t.j.put_many(["a", "b", "c"]),
    ),
    Case(
        "finish_many",
        lambda t, claims: t.j.finish_many(claims, ["A", "B"]),
        lambda g, claims, _: (
            _counts(g) == (0, 0, 0, 2) and g.t.j.get_result(claims[1].id, timeout=1).result == "B"
        ),
        lambda t: t.j.put_many(["a", "b"]) and t.j.get_many(2),
    ),
    Case(
        "claims",
        lambda t, _: _worked_through(t.j),
        lambda g, _, seen: (
            seen == [("a", 0), ("bad", 0), ("c", 0), ("bad", 1)] and _counts(g) == (0, 0, 0, 3)
        ),
        lambda t: t.j.put_many(["a", "bad", "c"]),
        requests=6,
    ),
    Case(
        "items",
        lambda t, _: list(t.f.items()),
        lambda g, _, pairs: pairs == [(id, "old") for id in "123"],
        _full,
        requests=1,
    ),
    Case(
        "get_items",
        lambda t, _: t.f.get_items("13"[n] for n in range(2)),
        lambda g, _, items: items == {"1": "old", "3": "old"},
        _full,
    ),
    Case(
        "put under an id of one's own",
        lambda t, _: t.j.put("x", id="a", unique_for=60),
        lambda g, _, put: put.outcome is Outcome.ADDED and _counts(g) == (1, 0, 0, 0),
    ),
    Case(
        "put for later",
        lambda t, _: t.j.put_many(["x", "y"], delay=60),
        lambda g, _, ids: sorted(g.t.j.get_ids()) == sorted(ids) and _counts(g) == (0, 0, 0, 0, 2),
    ),
    Case(
        "replace",
        lambda t, _: t.j.put("new", id="a", if_exists="replace"),
        lambda g, _, put: (
            put.outcome is Outcome.REPLACED
            and g.t.j.get_all() == {"a": "new"}
            and g.raw.get("feed.publishes:j") == b"2"
        ),
        _scheduled,
    ),
    Case(
        "put or refuse",
        lambda t, _: t.j.put("x", id="a", if_exists="refuse"),
        lambda g, _, put: put.outcome is Outcome.ADDED and _counts(g) == (1, 0, 0, 0),
    ),
    Case(
        "reschedule",
        lambda t, _: t.j.reschedule("a", 600),
        lambda g, _, __: _counts(g) == (0, 0, 0, 0, 1) and g.t.j.stats().next_due > 500,
        _scheduled,
    ),
    Case(
        "run_now",
        lambda t, _: t.j.run_now("a"),
        lambda g, _, __: _counts(g) == (1, 0, 0, 0),
        _scheduled,
    ),
    Case(
        "get of a job that is due",
        lambda t, _: t.j.get(timeout=2),
        lambda g, _, claim: claim.id == "a" and _counts(g) == (0, 1, 0, 0),
        _due,
    ),
    Case(
        "cancel for later",
        lambda _, claim: claim.cancel(delay=60, reason="why"),
        lambda g, claim, stalled: (
            stalled is False
            and _counts(g) == (0, 0, 0, 0, 1)
            and g.t.j.get_failure_count(claim.id) == 1
        ),
        _claimed,
    ),
    Case(
        "cancel with a reason",
        lambda _, claim: claim.cancel(reason="why"),
        lambda g, claim, _: _counts(g) == (1, 0, 0, 0) and g.t.j.get_failure_count(claim.id) == 1,
        _claimed,
    ),
    Case(
        "stall with a reason",
        lambda _, claim: claim.stall(reason="why"),
        lambda g, claim, _: (
            _counts(g) == (0, 0, 1, 0) and g.t.j.get_info(claim.id).failure.message == "why"
        ),
        _claimed,
    ),
    Case(
        "retract a scheduled job",
        lambda t, _: t.j.retract("a"),
        lambda g, _, was: was is True and _counts(g) == (0, 0, 0, 0),
        _scheduled,
    ),
    Case(
        "pause",
        lambda t, _: t.j.pause(),
        lambda g, _, was: was is True and g.t.j.stats().paused is True and g.t.j.count() == 1,
        _scheduled,
    ),
    Case(
        "resume",
        lambda t, _: t.q.resume(),
        lambda g, _, was: was is True and g.t.q.get_nowait() == "x",
        lambda t: (t.q.put("x"), t.q.pause()),
    ),
    Case(
        "retry_all",
        lambda t, _: t.j.retry_all(),
        lambda g, _, number: number == 1 and _counts(g) == (1, 0, 0, 0),
        _stalled,
    ),
    Case(
        "retract_all",
        lambda t, _: t.j.retract_all("claimed"),
        lambda g, _, number: number == 1 and _counts(g) == (0, 0, 0, 0),
        _claimed,
    ),
    Case(
        "put to a queue under an id of one's own",
        lambda t, _: t.q.put_many({"a": "x", "b": "y"}),
        lambda g, _, put: (
            [each.outcome for each in put] == [Outcome.ADDED] * 2 and g.t.q.get_ids() == ["a", "b"]
        ),
    ),
    Case(
        "purge of a queue",
        lambda t, _: t.q.purge(),
        lambda g, _, number: number == 2 and g.t.q.count() == 0,
        lambda t: t.q.put_many(["a", "b"]),
    ),
    Case("get_ids", lambda t, _: t.f.get_ids(), lambda g, _, ids: len(ids) == 3, _full),
]

NOTICES = {
    "publish": {"publish": 1},
    "publish to a full feed": {"publish": 4, "retract": 1},
    "edit": {"publish": 3, "edit": 1},
    "retract": {"retract": 1},
    "publish_many": {"publish": 4, "edit": 1, "retract": 1},
    "publish_many in two steps": {"publish": 1500, "position": 1500},
    "retract_many": {"retract": 2},
    "finish_many": {"finish": 2},
    "append": {"publish": 4, "position": 4},
    "move": {"position": 4},
    "finish": {"finish": 1},
    "create_feed": {"create": 5},
    "delete_feed": {"delete": 1},
    "set_config": {"retract": 2},
}
"""How many notices of a kind the whole of a case sends, whatever is cut."""


def _counts(ground: Ground) -> tuple[int, ...]:
    """Jobs that wait, are claimed, stalled, finished; and are scheduled, where there are any."""
    counts = attrs.astuple(ground.t.j.get_counts())
    return counts if counts[4] else counts[:4]


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize(
    ("case", "request_number"),
    [(case, number) for case in CASES for number in range(case.requests)],
    ids=lambda value: value.name if isinstance(value, Case) else str(value),
)
def test_a_call_has_one_effect_wherever_its_connection_is_cut(
    ground: Ground, case: Case, request_number: int, cut: Cut
) -> None:
    prepared = case.prepare(ground.t)
    ground.proxy.armed = [*[None] * request_number, cut]
    result = case.call(ground.t, prepared)
    assert ground.proxy.done == [cut]
    ground.proxy.armed = []
    assert case.check(ground, prepared, result)
    # A notice sent last says that all before it have been heard.
    ground.raw.publish("feed.retract:s", b"the end")
    poll(lambda: ("retract", "s", "the end") in ground.events)
    ground.events.remove(("retract", "s", "the end"))
    for kind, number in NOTICES.get(case.name, {}).items():
        assert count(ground.events, kind) == number, ground.events


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_matrix_leaves_no_request_out(ground: Ground, case: Case) -> None:
    prepared = case.prepare(ground.t)
    ground.proxy.armed = [None] * 20
    case.call(ground.t, prepared)
    assert 20 - len(ground.proxy.armed) == case.requests
