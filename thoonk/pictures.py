"""A subscriber's picture of a feed, and the notices that bring it up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from thoonk.config import SORTED_FEED
from thoonk.notices import Deleted, Edited, Moved, Notice, Published, Retracted
from thoonk.operations import Position, Snapshot, Where


class Picture:
    """What a subscriber has been told: which ids there are, in order, and their items.

    Of items only digests are kept.
    """

    def __init__(self, feed: str, kind: str) -> None:
        self.version = ""
        self._feed = feed
        self._is_sorted = kind == SORTED_FEED
        self._ids: dict[str, bytes] = {}
        self._order: list[str] = []

    def apply(self, notice: Notice) -> None:
        """Take note of a notice that the subscriber gets."""
        match notice:
            case Published(_, id, item) | Edited(_, id, item):
                if not self._is_sorted:
                    self._ids.pop(id, None)
                elif id not in self._ids:
                    self._order.append(id)  # a notice of its position follows
                self._ids[id] = _digest(item)
            case Retracted(_, id):
                self._ids.pop(id, None)
                if id in self._order:
                    self._order.remove(id)
            case Moved(_, id, position):
                self._move(id, Position.parse(position))
            case Deleted():
                self.version = ""
                self._ids.clear()
                self._order.clear()

    def _move(self, id: str, position: Position) -> None:
        if id in self._order:
            self._order.remove(id)
        order = self._order
        match position.where:
            case Where.BEGIN:
                index = 0
            case Where.BEFORE if position.neighbour in order:
                index = order.index(position.neighbour)
            case Where.AFTER if position.neighbour in order:
                index = order.index(position.neighbour) + 1
            case _:
                index = len(order)
        order.insert(index, id)

    def catch_up(self, snapshot: Snapshot) -> list[Notice]:
        """Turn this picture into that of a snapshot; the notices that do so, in order."""
        self.version = snapshot.version
        notices: list[Notice] = []

        def tell(notice: Notice) -> None:
            notices.append(notice)
            self.apply(notice)

        there = set(snapshot.ids)
        for id in [id for id in self._ids if id not in there]:
            tell(Retracted(self._feed, id))
        if self._is_sorted:
            self._catch_up_sorted(snapshot, tell)
        else:
            self._catch_up_feed(snapshot, tell)
        return notices

    def _catch_up_feed(self, snapshot: Snapshot, tell: Callable[[Notice], None]) -> None:
        changed = [id for id in snapshot.ids if id in snapshot.items]
        known = [self._ids.get(id) == _digest(snapshot.items[id]) for id in changed]
        first = known.index(False) if False in known else len(changed)
        told = set(changed[first:])
        if [id for id in self._ids if id not in told] != [
            id for id in snapshot.ids if id not in told
        ]:
            # Something was published again as it was. What is told moves to the end, so
            # all that may have moved is told, in order.
            first = 0
        for id in changed[first:]:
            kind = Edited if id in self._ids else Published
            tell(kind(self._feed, id, snapshot.items[id]))

    def _catch_up_sorted(self, snapshot: Snapshot, tell: Callable[[Notice], None]) -> None:
        place = str(Position(Where.BEGIN))
        for index, id in enumerate(snapshot.ids):
            item = snapshot.items[id]
            is_new = id not in self._ids
            if is_new:
                tell(Published(self._feed, id, item))
            elif self._ids[id] != _digest(item):
                tell(Edited(self._feed, id, item))
            if is_new or self._order[index] != id:
                tell(Moved(self._feed, id, place))
            place = str(Position(Where.AFTER, id))

    def __len__(self) -> int:
        return len(self._ids)


def _digest(item: bytes) -> bytes:
    return hashlib.blake2b(item, digest_size=16).digest()
