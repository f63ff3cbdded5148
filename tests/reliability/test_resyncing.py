"""How a replica is brought up to date page by page, without a server: every order of events."""

from __future__ import annotations

import random
import sys
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirror import Mirror

from thoonk import resyncing
from thoonk.notices import Edited, Marker, Moved, Notice, Published, Retracted
from thoonk.operations import ReadSnapshotPage, SnapshotPage, digest_of
from thoonk.replicas import Order, Replica
from thoonk.resyncing import Resync

KINDS = ("feed", "sorted_feed")


class Model:
    """A feed as a server has it, and the notices of what is done to it."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        self.kind = kind
        self.chance = chance
        self.ids: list[str] = []
        self.items: dict[str, bytes] = {}
        self.notices: deque[Notice] = deque()
        self.sent = 0
        self._last = 0
        self._pages = 0

    def change(self) -> None:
        """Something that a user may do, with its notices."""
        chance = self.chance
        what = chance.randrange(5) if self.ids else 0
        id = chance.choice(self.ids) if self.ids else ""
        item = b"%d" % chance.randrange(3)
        if what == 0:
            self._last += 1
            self._publish(str(self._last), item)
        elif what == 1:
            self.ids.remove(id)
            del self.items[id]
            self.notices.append(Retracted("f", id))
        elif self.kind == "feed":
            # Half of them are published again as they were.
            self._publish(id, self.items[id] if chance.randrange(2) else item)
        elif what == 2:
            self.items[id] = item
            self.notices.append(Edited("f", id, item))
        else:
            self.ids.remove(id)
            self._place(id)

    def _publish(self, id: str, item: bytes) -> None:
        kind = Edited if id in self.items else Published
        if id in self.items:
            self.ids.remove(id)
        self.items[id] = item
        self.notices.append(kind("f", id, item))
        if self.kind == "feed":
            self.ids.append(id)
        else:
            self._place(id)

    def _place(self, id: str) -> None:
        index = self.chance.randint(0, len(self.ids))
        positions = []
        if index == 0:
            positions.append("begin:")
        else:
            positions.append(f"{self.ids[index - 1]}:")
        if index == len(self.ids):
            positions.append(":end")
        else:
            positions.append(f":{self.ids[index]}")
        self.ids.insert(index, id)
        self.notices.append(Moved("f", id, self.chance.choice(positions)))

    def page(self, op: ReadSnapshotPage, size: int) -> SnapshotPage:
        """As a server answers, with pages that are cut short now and then."""
        self._pages += 1
        mark = f"{op.tag}.{self._pages}"
        self.notices.append(Marker("f", op.marker, mark))
        known = dict(op.known)
        items = {id: self.items.get(id, b"") for id in op.wanted[:1]}
        size = self.chance.randint(1, size)
        ids = self.ids[op.start : op.start + op.skip + size]
        for id in ids[op.skip :]:
            if known.get(id) != digest_of(self.items[id]):
                items[id] = self.items[id]
        self.sent += len(items)
        return SnapshotPage(mark, len(self.ids), tuple(ids), items)


def resync(model: Model, replica: Replica, *, changes: int, size: int) -> list[Notice]:
    """Bring a replica up to date while so many changes are made; what is told."""
    chance = model.chance
    under_way = Resync(replica)
    for _ in range(10_000):
        if under_way.is_complete:
            return [n for n in under_way.difference() if n is not None]
        while changes and chance.randrange(3):
            changes -= 1
            model.change()
        if under_way.is_asking:
            op = under_way.ask("m")
            if chance.randrange(5) == 0:
                model.page(op, size)  # the answer was lost
            if chance.randrange(5):
                under_way.answered(model.page(op, size))  # else its caller was interrupted
        elif model.notices:
            notice = model.notices.popleft()
            if isinstance(notice, Marker):
                under_way.marked(notice.mark)
            else:
                under_way.hear(notice)
    raise AssertionError("it comes to no end")


def catch_up_with_notices(model: Model, replica: Replica, mirror: Mirror) -> None:
    while model.notices:
        notice = model.notices.popleft()
        if not isinstance(notice, Marker):
            assert replica.apply(notice)
            mirror.apply(notice)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resyncing, "PAGE", 3)
        patch.setattr(resyncing, "OVERLAP", 2)
        patch.setattr(resyncing, "MOST_OVERLAP", 8)
        patch.setattr(resyncing, "MOST_WANTED", 2)
        patch.setattr(resyncing, "SLICE", 2)
        yield


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
def test_a_mirror_equals_a_feed_that_changes_while_it_is_read(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    model, replica, mirror = Model(kind, chance), Replica("f", kind), Mirror(kind)
    for _ in range(3):
        for _ in range(chance.randrange(25)):
            model.change()
        model.notices.clear()  # nobody heard
        for notice in resync(model, replica, changes=chance.randrange(40), size=3):
            mirror.apply(notice)
        assert [*replica.order] == mirror.ids
        catch_up_with_notices(model, replica, mirror)
        assert (mirror.ids, mirror.items) == (model.ids, model.items)
        assert [*replica.order] == model.ids
        assert replica.digests == {id: digest_of(item) for id, item in model.items.items()}


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
def test_of_a_feed_that_rests_nothing_is_told_twice(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    model, replica, mirror = Model(kind, chance), Replica("f", kind), Mirror(kind)
    for _ in range(2):
        for _ in range(chance.randrange(40)):
            model.change()
        model.notices.clear()
        told = resync(model, replica, changes=0, size=3)
        whats = [(type(notice), notice.id) for notice in told]  # type: ignore[attr-defined]
        assert len({*whats}) == len(whats)
        for notice in told:
            if isinstance(notice, Edited) and kind == "sorted_feed":
                assert mirror.items[notice.id] != notice.item
            mirror.apply(notice)
        assert (mirror.ids, mirror.items) == (model.ids, model.items)
    assert resync(model, replica, changes=0, size=3) == []


@pytest.mark.parametrize("kind", KINDS)
def test_items_that_have_not_changed_are_not_read_again(kind: str) -> None:
    chance = random.Random(7)
    model, replica = Model(kind, chance), Replica("f", kind)
    while len(model.ids) < 30:
        model.change()
    model.notices.clear()
    resync(model, replica, changes=0, size=3)
    read = model.sent
    assert read >= 30
    assert resync(model, replica, changes=0, size=3) == []
    assert model.sent - read < 10


def test_one_item_that_was_moved_is_told_as_one_that_was_moved() -> None:
    model, replica = Model("sorted_feed", random.Random(1)), Replica("f", "sorted_feed")
    model.ids = [*"abcdefgh"]
    model.items = dict.fromkeys(model.ids, b"x")
    resync(model, replica, changes=0, size=3)
    model.ids = [*"bcdefgha"]
    assert resync(model, replica, changes=0, size=3) == [Moved("f", "a", "h:")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", ["aa", "abab", "aaaaaaaaaaaaaaaaaaaaaaab", "abcdefgaabcdefgb"])
def test_an_id_that_stands_in_the_order_twice_ends_no_resync(
    kind: str, ids: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, replica, mirror = Model(kind, random.Random(1)), Replica("f", kind), Mirror(kind)
    model.ids = [*ids]
    model.items = dict.fromkeys(ids, b"x")
    for notice in resync(model, replica, changes=0, size=3):
        mirror.apply(notice)
    assert mirror.ids == [*dict.fromkeys(ids)]
    assert "item_twice" in {getattr(record, "event", "") for record in caplog.records}


@pytest.mark.parametrize("kind", KINDS)
def test_a_feed_that_does_not_agree_with_its_notices_is_taken_as_it_is(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(50):
        chance = random.Random(seed)
        model, replica, mirror = Model(kind, chance), Replica("f", kind), Mirror(kind)
        for _ in range(40):
            model.change()
        model.notices.clear()
        # Somebody changes the feed and tells nothing, somebody tells what is not so.
        under_way = Resync(replica)
        for _ in range(2_000):
            if under_way.is_complete:
                break
            if under_way.is_asking:
                heard = len(model.notices)
                model.change()
                while len(model.notices) > heard:
                    model.notices.pop()
                model.notices.append(Published("f", f"x{chance.randrange(3)}", b"x"))
                model.notices.append(Moved("f", "1", chance.choice(["9:", "nowhere", ":2"])))
                under_way.answered(model.page(under_way.ask("m"), 3))
            else:
                notice = model.notices.popleft()
                if isinstance(notice, Marker):
                    under_way.marked(notice.mark)
                else:
                    under_way.hear(notice)
        assert under_way.is_complete
        for told in under_way.difference():
            if told is not None:
                mirror.apply(told)
        assert mirror.ids == [*replica.order]
    assert "feed_disagrees" in {getattr(record, "event", "") for record in caplog.records}


def steps_of(function: Any) -> int:
    """How many lines of the library are run."""
    steps = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal steps
        if "thoonk" not in frame.f_code.co_filename:
            return None
        steps += event == "line"
        return trace

    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(None)
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_the_work_of_a_resync_grows_with_the_length_of_the_feed_and_not_with_its_square(
    kind: str,
) -> None:
    def work(length: int) -> int:
        replica = Replica("f", kind)
        for number in range(length):
            replica.apply(Published("f", f"{number}", b"x"))
        model = Model(kind, random.Random(1))
        # All stands elsewhere: from both ends in turn.
        model.ids = [f"{n // 2 if n % 2 else length - 1 - n // 2}" for n in range(length)]
        model.items = dict.fromkeys(model.ids, b"y")
        return steps_of(lambda: resync(model, replica, changes=0, size=50))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resyncing, "PAGE", 50)
        few, many = work(500), work(4_000)
    assert many < 10 * few  # eight times as long; the square would be 64 times


def test_to_apply_a_notice_costs_the_same_in_a_long_feed() -> None:
    def work(length: int) -> int:
        replica = Replica("f", "sorted_feed")
        for number in range(length):
            replica.apply(Published("f", f"{number}", b"x"))
        middle = length // 2

        def change() -> None:
            replica.apply(Moved("f", f"{middle}", f"{middle + 2}:"))
            replica.apply(Moved("f", "1", f":{middle}"))
            replica.apply(Retracted("f", f"{middle + 1}"))

        return steps_of(change)

    assert work(10) == work(5_000)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_an_order_is_a_list_without_repetitions(seed: int) -> None:
    chance = random.Random(seed)
    order, plain = Order(), list[str]()
    for _ in range(40):
        id = str(chance.randrange(9))
        if chance.randrange(3) == 0:
            order.discard(id)
            plain = [other for other in plain if other != id]
        elif id not in plain:
            index = chance.randint(0, len(plain))
            order.insert_after(plain[index - 1] if index else None, id)
            plain.insert(index, id)
        assert [*order] == plain
        assert len(order) == len(plain)
        count = chance.randrange(5)
        assert order.last(count) == plain[len(plain) - min(count, len(plain)) :]
