"""A peer of version 1 and the library beside each other on the same feeds, in both directions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import MEMORY, World
from peer import Notices, Peer, Refused

from thoonk import (
    Configured,
    Created,
    Deleted,
    Edited,
    Empty,
    FeedDoesNotExist,
    FeedExists,
    Finished,
    Moved,
    NotClaimed,
    Published,
    Retracted,
    Thoonk,
)
from thoonk import waiting as thoonk_waiting
from thoonk.operations import JobCounts, JobMaintain, Outcome, QueueTake, Release
from thoonk.testing._sync.helpers import Background, until
from thoonk.testing.checks import PROMPTLY

NUL = "a\0b"


@pytest.fixture
def peer(world: World) -> Peer:
    return Peer(world.raw)


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    with Thoonk(backend=world.url) as client:
        yield client


@pytest.fixture
def heard(world: World) -> Iterator[Notices]:
    """What a peer hears."""
    notices = Notices(world.raw)
    yield notices
    notices.close()


@pytest.fixture
def called(world: World) -> Iterator[list[tuple[Any, ...]]]:
    """How handlers of ours were called, all of them."""
    calls: list[tuple[Any, ...]] = []

    def note(event: str) -> Callable[..., None]:
        return lambda *arguments: calls.append((event, *arguments))

    with Thoonk(backend=world.url, listen=True) as client:
        for event in ("create", "delete", "publish", "edit", "retract", "position", "finish"):
            client.register_handler(event, note(event))
        client.register_handler("config:f", note("config"))
        yield calls


def is_blocked(world: World, count: int = 1) -> Callable[[], bool]:
    """Whether so many clients of a real server are blocked (memory cannot say: it is)."""
    if world.server is None:
        return lambda: True
    return lambda: sum("b" in client["flags"] for client in world.raw.client_list()) == count


def next_ms(world: World) -> None:
    """Wait until the server's clock shows another ms: peers do not keep order within one."""

    def now() -> int:
        seconds, micro = world.raw.time()
        return seconds * 1000 + micro // 1000

    begin = now()
    until(lambda: now() > begin)


# --- feeds as such --------------------------------------------------------------------------


def test_a_feed_that_a_peer_creates_is_there_for_us(
    peer: Peer, thoonk: Thoonk, called: list[Any]
) -> None:
    peer.create("f", {"type": "feed", "max_length": "2", "odd": "kept"})
    until(lambda: called == [("create", "f"), ("config", "f")])
    assert thoonk.feed_exists("f")
    assert thoonk.get_feed_names() == {"f"}
    assert dict(thoonk.get_config("f")) == {"type": "feed", "max_length": 2, "odd": "kept"}
    with pytest.raises(FeedExists):
        thoonk.create_feed("f")
    assert peer.get_config("f")[b"odd"] == b"kept"


def test_a_feed_that_we_create_is_there_for_a_peer(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    thoonk.create_feed("f:å", {"type": "job", "claim_timeout": 30})
    (first, created), (second, configured) = heard.so_far()
    assert (first, second) == (b"newfeed", b"conffeed")
    assert created == configured
    assert created.startswith("f:å\0".encode())
    assert peer.names() == {"f:å".encode()}
    assert peer.get_config("f:å") == {b"type": b"job", b"claim_timeout": b"30"}
    with pytest.raises(Refused):
        peer.create("f:å", {"type": "feed"})


def test_a_feed_that_a_peer_deletes_is_gone_for_us(
    peer: Peer, thoonk: Thoonk, called: list[Any]
) -> None:
    feed = thoonk.feed("f")
    until(lambda: ("create", "f") in called)
    peer.delete("f")
    until(lambda: called[-1] == ("delete", "f"))
    assert not thoonk.feed_exists("f")
    with pytest.raises(FeedDoesNotExist):
        feed.publish("x")
    with pytest.raises(FeedDoesNotExist):
        thoonk.delete_feed("f")


def test_a_feed_that_we_delete_is_gone_for_a_peer(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    peer.create("f", {"type": "feed"})
    peer.publish("f", "x")
    heard.so_far()
    thoonk.delete_feed("f")
    ((channel, payload),) = heard.so_far()
    assert (channel, payload[:2]) == (b"delfeed", b"f\0")
    assert peer.client.keys("*") == []
    with pytest.raises(Refused):
        peer.delete("f")


def test_what_a_peers_delete_leaves_does_no_harm_to_a_new_feed(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("f")
    for number in range(3):
        job.put(f"old {number}")
    claim = job.get()
    claim.finish("result")
    lost = job.get()
    peer.client.rpoplpush("feed.ids:f", "feed.reserved:f")
    peer.delete("f")
    left = ["reserved", "holders", "tokens", "results"]
    if world.name != MEMORY:  # which remembers no answers
        left.append("answers")
    assert peer.client.exists(*(f"feed.{word}:f" for word in left)) == len(left)
    again = thoonk.job("f")
    assert again.get_counts().claimed == 0
    again.put("new")
    assert again.get(timeout=5).item == "new"
    with pytest.raises(NotClaimed):
        lost.finish()
    with pytest.raises(Empty):
        again.get_nowait()
    thoonk.delete_feed("f")
    assert peer.client.keys("*") == []


def test_configuration_goes_both_ways(
    peer: Peer, thoonk: Thoonk, heard: Notices, called: list[Any]
) -> None:
    feed = thoonk.feed("f")
    until(lambda: len(called) == 2)
    heard.so_far()
    peer.set_config("f", {"max_length": "2"})
    until(lambda: called[2:] == [("config", "f")])
    ids = [feed.publish(str(n)) for n in range(3)]
    assert feed.get_ids() == ids[1:]
    heard.so_far()
    thoonk.set_config("f", {"max_length": 1})
    said = heard.so_far()
    assert said[0] == (b"feed.retract:f", ids[1].encode())
    assert [channel for channel, _ in said] == [b"feed.retract:f", b"conffeed"]
    new = peer.publish("f", "peer's")
    assert feed.get_ids() == [new.decode()]


# --- feed -----------------------------------------------------------------------------------


def test_what_a_peer_publishes_edits_and_retracts_reaches_us(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    peer.create("f:1", {"type": "feed"})
    feed = thoonk.feed("f:1")
    with feed.subscribe() as notices:
        for id in ("a", "b:ø"):
            peer.publish("f:1", NUL, id)
            next_ms(world)
        peer.publish("f:1", "new", "a")
        assert feed.get_ids() == ["b:ø", "a"]
        assert feed.get_all() == {"a": "new", "b:ø": NUL}
        peer.retract("f:1", "b:ø")
        peer.retract("f:1", "unknown")
        assert feed.get_item("b:ø") is None
        peer.publish("f:1", "", "c")
        assert [notices.get(timeout=5) for _ in range(5)] == [
            Published("f:1", "a", NUL),
            Published("f:1", "b:ø", NUL),
            Edited("f:1", "a", "new"),
            Retracted("f:1", "b:ø"),
            Published("f:1", "c", ""),
        ]


def test_what_we_publish_edit_and_retract_reaches_a_peer(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    feed = thoonk.feed("f:1")
    heard.so_far()
    feed.publish(NUL, id="a")
    feed.publish("2", id="b:ø")
    feed.publish("new", id="a")
    assert peer.get_ids("f:1", "feed") == ["b:ø".encode(), b"a"]
    assert peer.get_all("f:1") == {b"a": b"new", "b:ø".encode(): b"2"}
    feed.retract("b:ø")
    assert peer.get_item("f:1", "b:ø") is None
    assert heard.so_far() == [
        (b"feed.publish:f:1", b"a\0a\0b"),
        (b"feed.publish:f:1", "b:ø\x002".encode()),
        (b"feed.edit:f:1", b"a\0new"),
        (b"feed.retract:f:1", "b:ø".encode()),
    ]


def test_both_publish_and_edit_in_a_bounded_feed(world: World, peer: Peer, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f", {"max_length": 3})
    for number in range(6):
        if number % 2:
            feed.publish("ours", id=str(number))
        else:
            next_ms(world)
            peer.publish("f", "theirs", str(number))
    assert feed.get_ids() == ["3", "4", "5"]
    feed.publish("edited", id="4")
    assert feed.get_ids() == ["3", "5", "4"]
    assert peer.get_ids("f", "feed") == [b"3", b"5", b"4"]


def test_scores_in_seconds_are_sorted_rightly_by_our_next_publish(
    world: World, thoonk: Thoonk
) -> None:
    theirs = Peer(world.raw, seconds=True)
    feed = thoonk.feed("f")
    feed.publish("x", id="1")
    next_ms(world)
    theirs.publish("f", "x", "2")
    next_ms(world)
    theirs.publish("f", "x", "3")
    feed.publish("x", id="4")
    theirs.publish("f", "x", "5")
    assert feed.get_ids()[0] == "5"  # as seconds sort
    feed.publish("x", id="6")
    assert feed.get_ids() == ["1", "2", "3", "4", "5", "6"]
    scores = [score for _, score in world.raw.zrange("feed.ids:f", 0, -1, withscores=True)]
    assert all(before < after for before, after in itertools.pairwise(scores))
    assert all(abs(score - time.time() * 1000) < 60_000 for score in scores)


def test_max_length_pushes_out_the_oldest_also_among_scores_in_seconds(
    world: World, thoonk: Thoonk
) -> None:
    theirs = Peer(world.raw, seconds=True)
    feed = thoonk.feed("f", {"max_length": 2})
    feed.publish("x", id="1")
    next_ms(world)
    theirs.publish("f", "x", "2")
    feed.publish("x", id="3")
    assert feed.get_ids() == ["2", "3"]


# --- sorted feed ------------------------------------------------------------------------------


def test_what_a_peer_does_in_a_sorted_feed_reaches_us(peer: Peer, thoonk: Thoonk) -> None:
    peer.create("f", {"type": "list"})
    feed = thoonk.sorted_feed("f")
    with feed.subscribe() as notices:
        assert peer.insert("f", "a") == b"1"
        assert peer.insert("f", "b", "begin:") == b"2"
        assert peer.insert("f", NUL, ":1") == b"3"
        assert peer.insert("f", "d", "2:") == b"4"
        assert feed.get_ids() == ["2", "4", "3", "1"]
        peer.edit("f", "3", "c")
        peer.move("f", "1:", "2")
        peer.sorted_retract("f", "4")
        assert feed.get_ids() == ["3", "1", "2"]
        assert feed.get_all() == {"1": "a", "2": "b", "3": "c"}
        assert [notices.get(timeout=5) for _ in range(11)] == [
            Published("f", "1", "a"),
            Moved("f", "1", ":end"),
            Published("f", "2", "b"),
            Moved("f", "2", "begin:"),
            Published("f", "3", NUL),
            Moved("f", "3", ":1"),
            Published("f", "4", "d"),
            Moved("f", "4", "2:"),
            Edited("f", "3", "c"),
            Moved("f", "2", "1:"),
            Retracted("f", "4"),
        ]


def test_what_we_do_in_a_sorted_feed_reaches_a_peer(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    feed = thoonk.sorted_feed("f")
    heard.so_far()
    feed.append("a")
    feed.prepend("b")
    assert peer.insert("f", "c", "2:") == b"3"
    assert feed.publish_before("3", "d") == "4"
    assert feed.publish_after("1", "e") == "5"
    assert peer.get_ids("f", "sorted_feed") == [b"2", b"4", b"3", b"1", b"5"]
    feed.edit("3", "new")
    feed.move_first("5")
    feed.retract("2")
    with pytest.raises(Refused):
        peer.move("f", ":2", "1")
    assert peer.get_ids("f", "sorted_feed") == [b"5", b"4", b"3", b"1"]
    assert peer.get_all("f") == {b"1": b"a", b"3": b"new", b"4": b"d", b"5": b"e"}
    assert heard.so_far()[4:] == [
        (b"feed.publish:f", b"3\0c"),
        (b"feed.position:f", b"3\x002:"),
        (b"feed.publish:f", b"4\0d"),
        (b"feed.position:f", b"4\0:3"),
        (b"feed.publish:f", b"5\0e"),
        (b"feed.position:f", b"5\x001:"),
        (b"feed.edit:f", b"3\0new"),
        (b"feed.position:f", b"5\0begin:"),
        (b"feed.retract:f", b"2"),
    ]


def test_a_sorted_edit_on_the_publish_channel_brings_the_new_item(
    world: World, thoonk: Thoonk
) -> None:
    feed = thoonk.sorted_feed("f")
    id = feed.append("old")
    with feed.subscribe() as notices:
        Peer(world.raw, edits_as_publishes=True).edit("f", id, "new")
        assert notices.get(timeout=5) == Published("f", id, "new")
    assert feed.get_item(id) == "new"


# --- queue --------------------------------------------------------------------------------------


def test_a_queue_goes_both_ways_in_one_order(peer: Peer, thoonk: Thoonk) -> None:
    queue = thoonk.queue("f")
    queue.put("1")
    peer.queue_put("f", "2")
    queue.put("3")
    peer.queue_put("f", "urgent", high=True)
    queue.put("urgent too", priority=queue.HIGH)
    assert peer.queue_get("f") == b"urgent too"
    assert queue.get(timeout=5) == "urgent"
    assert peer.queue_get("f") == b"1"
    assert queue.get(timeout=5) == "2"
    assert peer.queue_get("f") == b"3"
    assert len(queue) == 0
    with pytest.raises(Empty):
        queue.get_nowait()


def test_a_peer_gets_what_a_taker_of_ours_died_with_once_we_have_brought_it_back(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("f")
    ids = [queue.put(item) for item in ("1", "2")]
    thoonk.backend.execute(QueueTake("f", "of a taker that died"))
    assert queue.get_ids() == ids[1:]
    assert peer.queue_get("f") == b"2"
    world.raw.zincrby("feed.claimed:f", -11_000, ids[0])
    batch = thoonk.backend.execute(QueueTake("f", "T"))
    assert [entry.id for entry in batch.entries] == ids[:1]
    thoonk.backend.execute(Release("f", "T"))
    assert peer.queue_get("f") == b"1"
    assert world.raw.exists("feed.items:f", "feed.claimed:f", "feed.tokens:f") == 0


def test_items_of_a_peer_that_puts_at_the_other_end_are_all_taken(
    world: World, thoonk: Thoonk
) -> None:
    theirs = Peer(world.raw, wrong_end=True)
    queue = thoonk.queue("f")
    for item in ("1", "2"):
        theirs.queue_put("f", item)
    theirs.queue_put("f", "urgent", high=True)
    assert [queue.get(timeout=5) for _ in range(3)] == ["2", "1", "urgent"]


def test_a_blocked_get_of_ours_is_woken_by_a_peers_put(
    world: World, peer: Peer, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.server is None:
        # Memory is not told of a push behind its back: its takers look from time to time.
        monkeypatch.setattr(thoonk_waiting, "LONGEST_WAIT", 0.2)
    queue, job = thoonk.queue("q"), thoonk.job("j")
    item, claim = Background(queue.get), Background(job.get)
    until(is_blocked(world, 2))
    begin = time.monotonic()
    peer.queue_put("q", "item")
    peer.job_put("j", "job")
    assert item.result() == "item"
    assert claim.result().item == "job"
    assert time.monotonic() - begin < PROMPTLY
    claim.result().finish()
    assert peer.client.exists("feed.reserved:q", "feed.reserved:j", "feed.claimed:j") == 0


def test_a_blocked_get_of_a_peer_is_woken_by_our_put(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    queue, job = thoonk.queue("q"), thoonk.job("j")
    item, claimed = Background(peer.queue_get, "q"), Background(peer.job_get, "j")
    until(is_blocked(world, 2))
    queue.put("item")
    id = job.put("job")
    assert item.result() == b"item"
    assert claimed.result() == (id.encode(), b"job", 0)


def test_takers_of_both_kinds_share_a_queue_and_each_item_is_taken_once(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("q")
    count = 40

    def ours() -> list[str]:
        taken = []
        while (item := queue.get(timeout=10)) != "stop":
            taken.append(item)
        return taken

    def theirs() -> list[str]:
        taken = []
        while (item := peer.queue_get("q")) != b"stop":
            assert item is not None
            taken.append(item.decode())
        return taken

    takers = [Background(ours), Background(theirs), Background(ours), Background(theirs)]
    for number in range(count):
        if number % 2:
            queue.put(str(number))
        else:
            peer.queue_put("q", str(number))
    # Normal priority: taken when all else has been.
    for _ in takers:
        queue.put("stop")
    taken = [item for taker in takers for item in taker.result(30)]
    assert sorted(taken, key=int) == [str(number) for number in range(count)]
    assert world.raw.exists("feed.ids:q", "feed.items:q", "feed.reserved:q") == 0


# --- job --------------------------------------------------------------------------------


class OurWorker:
    """The library under the peer's names."""

    def __init__(self, thoonk: Thoonk) -> None:
        self.job = thoonk.job("j")

    def put(self, item: str, *, high: bool = False) -> str:
        return self.job.put(item, priority=self.job.HIGH if high else None)

    def get(self) -> tuple[str, str, int]:
        id, item, cancelled = self.job.get(timeout=10)
        return id, item, cancelled

    def finish(self, id: str, result: str | None = None) -> None:
        self.job.finish(id, result)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)


class TheirWorker:
    """The peer, in text."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def put(self, item: str, *, high: bool = False) -> str:
        return self.peer.job_put("j", item, high=high).decode()

    def get(self) -> tuple[str, str, int]:
        claimed = self.peer.job_get("j")
        assert claimed is not None
        id, item, cancelled = claimed
        assert item is not None
        return id.decode(), item.decode(), cancelled

    def finish(self, id: str, result: str | None = None) -> None:
        self.peer.job_finish("j", id, result)

    def __getattr__(self, name: str) -> Any:
        return lambda job_id: getattr(self.peer, f"job_{name}")("j", job_id)


@pytest.fixture
def workers(peer: Peer, thoonk: Thoonk) -> dict[str, Any]:
    return {"ours": OurWorker(thoonk), "theirs": TheirWorker(peer)}


SIDES = ("ours", "theirs")


@pytest.mark.parametrize("sides", [s for s in itertools.product(SIDES, repeat=3) if len({*s}) > 1])
def test_a_job_goes_through_all_its_states_between_both(
    world: World, workers: dict[str, Any], heard: Notices, sides: tuple[str, ...]
) -> None:
    puts, gets, ends = (workers[side] for side in sides)
    counts = workers["ours"].get_counts
    first = puts.put("first")
    urgent = puts.put("urgent", high=True)
    assert gets.get() == (urgent, "urgent", 0)
    ends.cancel(urgent)
    assert gets.get() == (first, "first", 0)
    assert gets.get() == (urgent, "urgent", 1)
    assert workers["ours"].get_failure_count(urgent) == 1
    ends.stall(urgent)
    ends.cancel(first)
    assert (counts().waiting, counts().claimed, counts().stalled) == (1, 0, 1)
    ends.retry(urgent)
    assert gets.get() == (first, "first", 1)
    assert gets.get() == (urgent, "urgent", 0)
    heard.so_far()
    ends.finish(first)
    assert heard.so_far() == []
    ends.finish(urgent, "done")
    assert heard.so_far() == [(b"job.finish:j", urgent.encode() + b"\0done")]
    assert workers["ours"].get_result(urgent, timeout=5).result == "done"
    assert (counts().waiting, counts().claimed, counts().stalled) == (0, 0, 0)
    assert counts().finished == 2
    for word in ("ids", "items", "published", "claimed", "stalled", "cancelled", "reserved"):
        assert not world.raw.exists(f"feed.{word}:j"), word


@pytest.mark.parametrize("state", ["waiting", "claimed", "stalled"])
@pytest.mark.parametrize("side", SIDES)
def test_a_job_of_one_is_retracted_by_the_other_in_any_state(
    world: World, workers: dict[str, Any], side: str, state: str
) -> None:
    owner, other = workers[side], workers["theirs" if side == "ours" else "ours"]
    id = owner.put("x")
    if state != "waiting":
        owner.get()
    if state == "stalled":
        owner.stall(id)
    other.retract(id)
    for word in ("ids", "items", "published", "claimed", "stalled", "cancelled", "reserved"):
        assert not world.raw.exists(f"feed.{word}:j"), word
    owner.put("next")
    assert other.get()[1] == "next"


def test_what_is_not_so_is_refused_by_both(workers: dict[str, Any]) -> None:
    id = workers["theirs"].put("x")
    for refused in (workers["ours"].finish, workers["ours"].cancel, workers["ours"].stall):
        with pytest.raises(NotClaimed):
            refused(id)
    workers["ours"].get()
    workers["ours"].finish(id)
    for refused in (workers["theirs"].finish, workers["theirs"].cancel, workers["theirs"].stall):
        with pytest.raises(Refused):
            refused(id)


def test_a_result_that_a_peer_stored_alone_is_read_without_query(
    peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    id = job.put("query")
    peer.job_get("j")
    peer.job_finish("j", id, "result")
    assert peer.client.lrange(b"feed.jobfinished:j\0" + id.encode(), 0, -1) == [b"result"]
    for _ in range(2):
        assert tuple(job.get_result(id, timeout=5)) == (None, "result")


def test_a_result_that_a_peer_only_announces_reaches_who_waits_for_it(
    world: World, thoonk: Thoonk
) -> None:
    theirs = Peer(world.raw, stores_results=False)
    job = thoonk.job("j")
    id = job.put("query")
    theirs.job_get("j")
    waiting = Background(job.get_result, id, timeout=10)
    until(lambda: world.raw.pubsub_numsub("job.finish:j")[0][1] == 1)
    theirs.job_finish("j", id, NUL)
    assert tuple(waiting.result()) == ("query", NUL)
    assert not world.raw.exists(b"feed.jobfinished:j\0" + id.encode())


def test_a_result_of_ours_is_taken_by_a_peer_that_waits_for_it(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    id = job.put("query")
    waiting = Background(peer.job_take_result, "j", id)
    until(is_blocked(world))
    job.get(timeout=5).finish("result")
    assert waiting.result() == b"result"


def test_a_result_of_ours_that_a_peer_consumed_is_gone_for_us(peer: Peer, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    for result in ("result", None):
        id = job.put("query")
        job.get(timeout=5).finish(result, result=True)
        assert tuple(job.get_result(id, timeout=5)) == ("query", result)
        assert peer.job_take_result("j", id) == (result or "").encode()
        with pytest.raises(Empty):
            job.get_result(id, timeout=0.1)


def test_a_peer_hears_our_result_and_we_hear_theirs(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    job = thoonk.job("j")
    ids = [job.put("1"), peer.job_put("j", "2").decode()]
    with job.subscribe() as notices:
        job.get(timeout=5).finish("one")
        peer.job_get("j")
        peer.job_finish("j", ids[1], "")
        assert notices.get(timeout=5) == Finished("j", ids[0], "one")
        assert notices.get(timeout=5) == Finished("j", ids[1], "")
    assert (b"job.finish:j", ids[0].encode() + b"\0one") in heard.so_far()


@pytest.mark.parametrize("seconds", [False, True], ids=["ms", "seconds"])
def test_a_peers_claim_runs_out_in_its_time(world: World, thoonk: Thoonk, seconds: bool) -> None:
    theirs = Peer(world.raw, seconds=seconds)
    job = thoonk.job("j", {"claim_timeout": 60})
    id = job.put("x")
    theirs.job_get("j")
    with pytest.raises(Empty):
        job.get_nowait()
    assert job.maintenance().expired == ()
    long_ago = time.time() - 61
    world.raw.zadd("feed.claimed:j", {id: long_ago if seconds else int(long_ago * 1000)})
    assert tuple(job.get_nowait()) == (id, "x", 1)
    with pytest.raises(Empty):
        job.get_nowait()


def test_a_claim_that_a_peer_took_over_is_no_longer_ours(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    ours = job.get(timeout=5)
    peer.job_cancel("j", id)
    next_ms(world)  # claims of the same ms cannot be told apart by their time
    assert peer.job_get("j") == (id.encode(), b"x", 1)
    for lost in (ours.finish, ours.extend, ours.cancel, ours.stall):
        with pytest.raises(NotClaimed):
            lost()
    peer.job_finish("j", id, "theirs")
    assert job.get_result(id, timeout=5).result == "theirs"


def test_an_item_that_a_peers_retract_left_behind_never_runs(world: World, thoonk: Thoonk) -> None:
    theirs = Peer(world.raw, leaves_items=True)
    job = thoonk.job("j")
    gone = job.put("gone")
    theirs.job_retract("j", gone)
    assert job.get_ids() == [gone]
    assert job.maintenance().discarded == (gone,)
    assert job.get_ids() == []
    with pytest.raises(Empty):
        job.get_nowait()


def test_a_job_that_a_peer_died_with_is_brought_back(peer: Peer, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    assert peer.client.rpop("feed.ids:j") == id.encode()
    with pytest.raises(Empty):
        job.get_nowait()
    assert job.maintenance().recovered == (id,)
    assert job.get_nowait().id == id


# --- scheduled jobs -------------------------------------------------------------------------


def test_a_peers_maintenance_does_not_make_a_scheduled_job_run_early(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    job.put("first")
    id = job.put("later", delay=60)
    assert peer.job_get("j")[1:] == (b"first", 0)
    for _ in range(2):
        peer.job_maintenance("j")
        assert job.maintenance().recovered == ()
        assert not world.raw.exists("feed.ids:j")
        with pytest.raises(Empty):
            job.get_nowait()
    assert job.get_counts().scheduled == 1
    job.run_now(id)
    assert peer.job_get("j") == (id.encode(), b"later", 0)


def test_a_peer_gets_a_job_that_is_due_once_a_taker_of_ours_has_looked(
    peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    job.put_many({"1": "first", "2": "second"}, delay=0.05)

    def ours() -> str | None:
        try:
            return job.get_nowait().id
        except Empty:
            return None

    taken: list[str | None] = []
    until(lambda: bool(taken.append(ours()) or taken[-1]))
    assert taken[-1] == "1"
    assert peer.job_get("j") == (b"2", b"second", 0)


def test_an_empty_id_that_wakes_a_peer_is_not_counted_and_goes(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    for repair in (job.maintenance, job.get_nowait):
        thoonk.set_config("j", {"claim_timeout": None if repair == job.maintenance else 60})
        job.put("later", delay=60)
        world.raw.lpush("feed.ids:j", "")  # where it was not the first
        assert peer.job_get("j")[:2] == (b"", None)
        assert world.raw.zrange("feed.claimed:j", 0, -1) == [b""]
        assert job.get_counts().claimed == 0
        assert (job.stats().claimed, job.stats().oldest_claimed) == (0, None)
        world.raw.delete("feed.ids:j")
        if repair == job.maintenance:
            repair()
        else:
            with pytest.raises(Empty):
                repair()
        assert not world.raw.exists("feed.claimed:j", "feed.cancelled:j")


def test_jobs_that_are_first_due_together_wake_a_taker(world: World, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    job.put_many({"b": "x", "a": "x"}, delay=60)
    assert world.raw.lrange("feed.ids:j", 0, -1) == [b""]
    assert job.get_counts().waiting == 0


def test_scheduled_jobs_of_a_feed_that_a_peer_deletes_are_not_the_next_feeds(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    job.put("old", id="a", delay=0.001, unique_for=60)
    job.pause()
    job.put("old")
    peer.delete("j")
    assert world.raw.exists("feed.scheduled:j", "feed.unique:j", "feed.paused:j") == 3
    again = thoonk.job("j")
    with pytest.raises(Empty):
        again.get(timeout=0.05)
    assert again.put("new", id="a").outcome is Outcome.ADDED
    assert again.get_nowait().item == "new"


def test_why_a_job_failed_that_a_peer_has_ended_is_forgotten_by_maintenance(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    ids = [job.put(item) for item in ("finished", "retracted", "waits")]
    for _ in ids:
        job.get_nowait().cancel(reason="no luck")
    job.put("x", id="later", delay=60)
    for _ in ids[:2]:
        peer.job_get("j")
    peer.job_finish("j", ids[0])
    peer.job_retract("j", ids[1])
    assert world.raw.hlen("feed.info:j") == 4
    job.maintenance()
    assert {*world.raw.hkeys("feed.info:j")} == {ids[2].encode(), b"later"}
    peer.job_finish("j", peer.job_get("j")[0])
    world.raw.delete("feed.scheduleditems:j")
    job._backend.execute(JobMaintain("j"))
    assert not world.raw.exists("feed.info:j")


# --- pauses -----------------------------------------------------------------------------------


def test_a_peer_takes_nothing_from_a_paused_queue_and_what_it_puts_is_next(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("q")
    queue.put("1")
    queue.pause()
    assert peer.queue_get("q", 0.05) is None
    queue.put("2")
    for item in ("3", "4"):
        peer.queue_put("q", item)
    with pytest.raises(Empty):
        queue.get_nowait()
    # Which has taken them along.
    assert peer.queue_get("q", 0.05) is None
    peer.queue_put("q", "5")
    assert not world.raw.exists("feed.claimed:q")
    queue.resume()
    assert [queue.get_nowait(), peer.queue_get("q")] == ["1", b"2"]
    assert [queue.get_nowait(), peer.queue_get("q"), queue.get_nowait()] == ["3", b"4", "5"]


def test_a_peer_takes_no_job_of_a_paused_feed_and_what_it_puts_and_gives_back_is_not_lost(
    peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    for item in ("1", "2"):
        job.put(item)
    assert peer.job_get("j")[1] == b"1"
    (id,) = [id for id in job.get_ids() if job.get_item(id) == "1"]
    job.pause()
    assert peer.job_get("j", 0.05) is None
    peer.job_put("j", "3")
    peer.job_cancel("j", id)
    with pytest.raises(Empty):
        job.get_nowait()
    assert job.get_counts().waiting == 3
    job.resume()
    assert [peer.job_get("j")[1:] for _ in range(3)] == [(b"2", 0), (b"3", 0), (b"1", 1)]


def test_what_a_peer_puts_while_a_taker_of_ours_waits_for_the_end_of_a_pause_is_in_its_place(
    world: World, peer: Peer, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("q")
    queue.put("1")
    queue.pause()
    taker = Background(queue.get, timeout=20)
    until(is_blocked(world))
    for item in ("2", "3"):
        peer.queue_put("q", item)
    if world.name != MEMORY:  # where a peer wakes nobody
        until(lambda: world.raw.llen("feed.paused:q") == 3)
        until(is_blocked(world))
    queue.resume()
    assert taker.result() == "1"
    assert [queue.get_nowait(), queue.get_nowait()] == ["2", "3"]


def test_a_job_that_a_peers_maintenance_puts_back_twice_is_not_run_twice_at_a_time(
    peer: Peer, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    job.pause()
    peer.job_maintenance("j")
    job.resume()
    assert peer.client.lrange("feed.ids:j", 0, -1) == [id.encode()] * 2
    claim = job.get_nowait()
    with pytest.raises(Empty):
        job.get_nowait()
    claim.finish()
    assert job.get_counts() == JobCounts(0, 0, 0, 1)


def test_a_taker_that_has_waited_through_a_pause_learns_when_the_next_job_is_due(
    world: World, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    job.pause()
    job.put("later", delay=60)
    assert not world.raw.exists("feed.ids:j")
    job.resume()
    assert world.raw.lrange("feed.ids:j", 0, -1) == [b""]


# --- listening ----------------------------------------------------------------------------------


def test_nothing_is_lost_between_a_peers_creation_and_its_first_items(
    peer: Peer, called: list[Any]
) -> None:
    for number in range(20):
        name = f"f{number}"
        peer.create(name, {"type": "feed"})
        peer.publish(name, "x", "1")
        peer.publish(name, "y", "1")
        peer.retract(name, "1")
    until(lambda: len(called) == 80)
    assert called[:4] == [
        ("create", "f0"),
        ("publish", "f0", "x", "1"),
        ("edit", "f0", "y", "1"),
        ("retract", "f0", "1"),
    ]


def test_what_nobody_understands_is_passed_over(
    world: World, peer: Peer, thoonk: Thoonk, called: list[Any]
) -> None:
    feed = thoonk.feed("f")
    until(lambda: len(called) == 2)
    with feed.subscribe() as notices:
        for channel in ("newfeed", "delfeed", "conffeed"):
            world.raw.publish(channel, "without nul")
            world.raw.publish(channel, "\0" + "no name")
        for word in ("publish", "edit", "position"):
            world.raw.publish(f"feed.{word}:f", "without nul")
            world.raw.publish(f"feed.{word}:f", "\0no id")
            world.raw.publish(f"feed.{word}:", "a\0no name")
        world.raw.publish("feed.retract:f", "")
        world.raw.publish("job.finish:f", "without nul")
        world.raw.publish("feed.publishes:f", "1")
        world.raw.publish("feed.claimed:f", "1")
        world.raw.publish("feed.publish:f", b"id\0\xff not text")
        peer.publish("f", "x", "1")
        assert notices.get(timeout=5) == Published("f", "1", "x")
    until(lambda: called[2:] == [("publish", "f", "x", "1")])


def test_a_subscriber_hears_of_its_feeds_end_and_new_beginning_by_a_peer(
    peer: Peer, thoonk: Thoonk
) -> None:
    feed = thoonk.feed("f")
    with feed.subscribe() as notices:
        peer.create("another", {"type": "feed"})
        peer.delete("f")
        assert notices.get(timeout=5) == Deleted("f")
        peer.create("f", {"type": "feed"})
        assert notices.get(timeout=5) == Created("f")
        assert notices.get(timeout=5) == Configured("f")
        peer.publish("f", "x", "1")
        assert notices.get(timeout=5) == Published("f", "1", "x")


def test_a_name_without_configuration_is_no_feed_and_is_healed(peer: Peer, thoonk: Thoonk) -> None:
    peer.client.sadd("feeds", "half")
    with pytest.raises(FeedDoesNotExist):
        thoonk.get_config("half")
    feed = thoonk.feed("half")
    feed.publish("x")
    assert peer.get_config("half") == {b"type": b"feed"}
    thoonk.delete_feed("half")
    peer.client.sadd("feeds", "half")
    thoonk.delete_feed("half")
    assert peer.names() == set()


def test_a_feed_that_is_not_on_the_list_is_healed_and_announced(
    peer: Peer, thoonk: Thoonk, heard: Notices
) -> None:
    peer.client.hset("feed.config:half", "type", "queue")
    assert thoonk.get_feed_names() == set()
    thoonk.queue("half")
    assert peer.names() == {b"half"}
    assert [channel for channel, _ in heard.so_far()] == [b"newfeed", b"conffeed"]
