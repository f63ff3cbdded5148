"""Two dbs of one server: channels know no db, so what is of another db has to be kept out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from conftest import World
from peer import Peer

from thoonk import Created, Deleted, Published, Thoonk
from thoonk.testing._sync.helpers import until

EVENTS = ("create", "delete", "publish", "edit", "retract", "position", "finish")
OTHER = 9


@pytest.fixture
def nine(real_world: World) -> Iterator[redis.Redis]:
    """A plain client of db 9."""
    assert real_world.server is not None
    with contextlib.closing(real_world.server.client(db=OTHER)) as raw:
        yield raw


def url_of(world: World, db: int) -> str:
    assert world.server is not None
    return f"redis://127.0.0.1:{world.server.port}/{db}"


class Heard:
    """All that the handlers of one client are called with."""

    def __init__(self, world: World, db: int) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.thoonk = Thoonk(backend=url_of(world, db), listen=True)
        self.other = Thoonk(backend=url_of(world, db))
        for event in EVENTS:
            self.thoonk.register_handler(
                event, lambda *arguments, event=event: self.calls.append((event, *arguments))
            )

    def so_far(self) -> list[tuple[Any, ...]]:
        """What was heard of all that was published before this call."""
        self.other.feed("end").publish("x", id="end")
        until(lambda: self.calls and self.calls[-1][-1] == "end")
        heard = [call for call in self.calls if call[1] != "end"]
        self.other.delete_feed("end")
        until(lambda: self.calls[-1] == ("delete", "end"))
        self.calls.clear()
        return heard

    def close(self) -> None:
        self.thoonk.close()
        self.other.close()


@pytest.fixture
def heard(real_world: World) -> Iterator[dict[int, Heard]]:
    """What is heard in each of the two dbs."""
    both = {db: Heard(real_world, db) for db in (0, OTHER)}
    yield both
    for one in both.values():
        one.close()


def live(thoonk: Thoonk) -> None:
    """All that can be heard of one feed of each kind."""
    feed = thoonk.feed("feed", {"max_length": 1})
    feed.publish("1", id="a")
    feed.publish("2", id="a")
    feed.publish("3", id="b")
    sorted_feed = thoonk.sorted_feed("sorted")
    sorted_feed.append("x")
    sorted_feed.edit("1", "y")
    job = thoonk.job("job")
    job.put("x")
    job.get().finish("done")
    for name in ("feed", "sorted", "job"):
        thoonk.delete_feed(name)


EVENTS_OF_A_LIFE = [
    *("create", "publish", "edit", "retract", "publish"),
    *("create", "publish", "position", "edit"),
    *("create", "finish"),
    *("delete", "delete", "delete"),
]


@pytest.mark.parametrize("db", [0, OTHER])
def test_feeds_of_one_db_are_not_heard_in_the_other(
    real_world: World, heard: dict[int, Heard], db: int
) -> None:
    with Thoonk(backend=url_of(real_world, db)) as thoonk:
        live(thoonk)
        live(thoonk)  # names that were seen before
    assert [call[0] for call in heard[db].so_far()] == EVENTS_OF_A_LIFE * 2
    assert heard[OTHER - db].so_far() == []


def peers_life(peer: Peer, name: str) -> None:
    peer.create(name, {"type": "feed"})
    peer.publish(name, "1", "a")
    peer.publish(name, "2", "a")
    peer.retract(name, "a")
    peer.delete(name)


def test_feeds_that_a_peer_creates_and_deletes_quickly_in_another_db_are_not_heard(
    nine: redis.Redis, heard: dict[int, Heard]
) -> None:
    peer = Peer(nine)
    for number in range(20):
        peers_life(peer, f"f{number}")
        peers_life(peer, "same")
    assert heard[0].so_far() == []


def test_feeds_of_a_peer_in_our_db_are_heard(
    nine: redis.Redis, real_world: World, heard: dict[int, Heard]
) -> None:
    peer = Peer(real_world.raw)
    peer.create("f", {"type": "feed"})
    peer.publish("f", "1", "a")
    peer.publish("f", "2", "a")
    peer.retract("f", "a")
    assert [call[0] for call in heard[0].so_far()] == ["create", "publish", "edit", "retract"]
    peer.delete("f")
    assert heard[0].so_far() == [("delete", "f")]
    assert heard[OTHER].so_far() == []


def test_a_name_that_first_is_another_dbs_and_then_ours_is_heard_from_then_on(
    nine: redis.Redis, real_world: World, heard: dict[int, Heard]
) -> None:
    there, here = Peer(nine), Peer(real_world.raw)
    there.create("f", {"type": "feed"})
    there.publish("f", "x", "a")
    assert heard[0].so_far() == []
    assert [call[0] for call in heard[OTHER].so_far()] == ["create", "publish"]
    there.delete("f")
    here.create("f", {"type": "feed"})
    here.publish("f", "x", "b")
    assert heard[0].so_far() == [("create", "f"), ("publish", "f", "x", "b")]
    assert heard[OTHER].so_far() == [("delete", "f")]


def test_a_deletion_in_another_db_does_not_end_a_feed_of_that_name_here(
    nine: redis.Redis, real_world: World, heard: dict[int, Heard]
) -> None:
    here = Peer(real_world.raw)
    here.create("f", {"type": "feed"})
    nine.sadd("feeds", "f")
    Peer(nine).delete("f")
    with Thoonk(backend=url_of(real_world, OTHER)) as thoonk:
        thoonk.feed("f")
        thoonk.delete_feed("f")
    here.publish("f", "x", "a")
    assert heard[0].so_far() == [("create", "f"), ("publish", "f", "x", "a")]


def test_a_subscription_does_not_hear_of_the_beginning_and_end_of_a_namesake(
    real_world: World,
) -> None:
    with (
        Thoonk(backend=url_of(real_world, 0)) as here,
        Thoonk(backend=url_of(real_world, OTHER)) as there,
    ):
        feed = here.feed("f")
        with feed.subscribe() as notices:
            there.feed("f")
            there.delete_feed("f")
            here.delete_feed("f")
            here.feed("f").publish("x", id="a")
            assert [type(notices.get(timeout=5)) for _ in range(2)] == [Deleted, Created]


def test_items_of_namesakes_in_two_dbs_cannot_be_told_apart(real_world: World) -> None:
    # A limit of the contract: channels are one for all dbs, and payloads do not say.
    with (
        Thoonk(backend=url_of(real_world, 0)) as here,
        Thoonk(backend=url_of(real_world, OTHER)) as there,
    ):
        feed, other = here.feed("f"), there.feed("f")
        with feed.subscribe() as notices:
            other.publish("x", id="a")
            assert notices.get(timeout=5) == Published("f", "a", "x")
        assert feed.get_ids() == []


def test_data_of_two_dbs_is_apart(real_world: World) -> None:
    with (
        Thoonk(backend=url_of(real_world, 0)) as here,
        Thoonk(backend=url_of(real_world, OTHER)) as there,
    ):
        here.queue("q").put("x")
        assert len(there.queue("q")) == 0
        there.delete_feed("q")
        assert here.queue("q").get(timeout=5) == "x"
