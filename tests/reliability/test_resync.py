"""A mirror built from notices equals the feed, whatever was missed (resync=True)."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from conftest import World
from hypothesis import given
from hypothesis import strategies as st
from mirror import Mirror

from thoonk import Empty, Gap, InvalidValue, Thoonk
from thoonk.operations import Snapshot
from thoonk.pictures import Picture
from thoonk.testing.proxy import between

KINDS = ("feed", "sorted_feed")


def change(feed: Any, chance: random.Random) -> None:
    """One random change by the public calls."""
    ids = feed.get_ids()
    item = str(chance.randrange(5))
    what = chance.randrange(6 if ids else 1)
    if what == 0 or len(ids) < 3:
        feed.publish(item)
    elif what == 1:
        feed.edit(chance.choice(ids), item)
    elif what == 2:
        feed.retract(chance.choice(ids))
    elif feed.kind == "sorted_feed":
        [feed.move_first, feed.move_last, feed.prepend][what - 3](
            item if what == 5 else chance.choice(ids)
        )
    else:
        # Published again as it was: nothing but the order changes.
        id = chance.choice(ids)
        feed.publish(feed.get_item(id), id=id)


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_with_what_is_there(world: World, kind: str) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed = getattr(thoonk, kind)("f")
        for item in "abc":
            feed.publish(item)
        mirror = Mirror(kind)
        with feed.subscribe(resync=True) as notices:
            feed.publish("d")
            while len(mirror.ids) < 4 or (kind == "sorted_feed" and mirror.ids != feed.get_ids()):
                mirror.apply(notices.get(timeout=5))
        assert (mirror.ids, mirror.items) == (feed.get_ids(), feed.get_all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_mirror_equals_the_feed_though_connections_are_cut(
    real_world: World, kind: str, seed: int
) -> None:
    assert real_world.server is not None
    chance = random.Random(seed)
    with between(real_world.server) as proxy, Thoonk(backend=real_world.url) as writer:
        feed = getattr(writer, kind)("f", {"max_length": 12} if kind == "feed" else None)
        done = threading.Event()

        def write() -> None:
            for number in range(300):
                change(feed, chance)
                if number % 40 == 20:
                    # While it is away, things change.
                    proxy.refuse = True
                    proxy.cut_all()
                    for _ in range(chance.randrange(10)):
                        change(feed, chance)
                    proxy.refuse = False
            done.set()

        mirror = Mirror(kind)
        with Thoonk(backend=proxy.url) as reader:
            thread = threading.Thread(target=write)
            with getattr(reader, kind)("f").subscribe(resync=True) as notices:
                thread.start()
                deadline = time.monotonic() + 30
                while True:
                    try:
                        notice = notices.get(timeout=0.3)
                    except Empty:
                        if done.is_set() and mirror.ids == feed.get_ids():
                            break
                        assert time.monotonic() < deadline, (mirror.ids, feed.get_ids())
                    else:
                        assert not isinstance(notice, Gap)
                        mirror.apply(notice)
            thread.join()
        assert (mirror.ids, mirror.items) == (feed.get_ids(), feed.get_all())


def test_without_resync_the_gap_is_told(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy, Thoonk(backend=proxy.url) as thoonk:
        with thoonk.feed("f").subscribe() as notices:
            proxy.cut_all()
            assert notices.get(timeout=10) == Gap("f")


def test_queues_and_jobs_cannot_be_resynced(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        for feed in (thoonk.queue("q"), thoonk.job("j")):
            with pytest.raises(InvalidValue):
                feed.subscribe(resync=True)


IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
ITEMS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([b"1", b"2"]))


@given(kind=st.sampled_from(KINDS), first=IDS, second=IDS, old=ITEMS, new=ITEMS, data=st.data())
def test_any_picture_becomes_any_other(
    kind: str, first: list[str], second: list[str], old: Any, new: Any, data: st.DataObject
) -> None:
    if kind == "feed":
        # What did not change has kept its place; all else stands behind it.
        kept = [id for id in first if data.draw(st.booleans())]
        second = kept + [id for id in second if id not in kept]
        new = {**new, **{id: old.get(id, b"") for id in kept}}
        changed = second[len(kept) :]
    else:
        changed = second
    picture, mirror = Picture("f", kind), Mirror(kind)
    for ids, items, sent in ((first, old, first), (second, new, changed)):
        snapshot = Snapshot("1", tuple(ids), {id: items.get(id, b"") for id in sent})
        for notice in picture.catch_up(snapshot):
            mirror.apply(notice)
        assert mirror.ids == ids
        assert mirror.items == {id: items.get(id, b"") for id in ids}
