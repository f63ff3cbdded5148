"""A subscriber's replica of a feed, and the notices that bring it up to date."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from thoonk.config import SORTED_FEED
from thoonk.exceptions import InvalidValue
from thoonk.notices import Deleted, Edited, Moved, Notice, Published, Retracted
from thoonk.operations import Position, Where, digest_of

logger = logging.getLogger("thoonk.notices")


class Order:
    """Ids in an order, each once. Each change takes the same time, however many there are."""

    def __init__(self) -> None:
        # A ring: None stands before the first and after the last.
        self._next: dict[str | None, str | None] = {None: None}
        self._previous: dict[str | None, str | None] = {None: None}

    def __len__(self) -> int:
        return len(self._next) - 1

    def __contains__(self, id: str) -> bool:
        return id in self._next

    def __iter__(self) -> Iterator[str]:
        id = self._next[None]
        while id is not None:
            yield id
            id = self._next[id]

    def after(self, id: str | None) -> str | None:
        """The next id (of None: the first), None at the end."""
        return self._next[id]

    def before(self, id: str | None) -> str | None:
        """The id before (of None: the last), None at the beginning."""
        return self._previous[id]

    def last(self, count: int) -> list[str]:
        """The last ones, in order."""
        found: list[str] = []
        id = self._previous[None]
        while id is not None and len(found) < count:
            found.append(id)
            id = self._previous[id]
        found.reverse()
        return found

    def insert_after(self, neighbour: str | None, id: str) -> None:
        """Insert an id that is not there; after None: as the first."""
        after = self._next[neighbour]
        self._next[neighbour] = self._previous[after] = id
        self._next[id], self._previous[id] = after, neighbour

    def append(self, id: str) -> None:
        """Insert an id that is not there as the last."""
        self.insert_after(self._previous[None], id)

    def discard(self, id: str) -> None:
        """Remove an id if it is there."""
        if id in self._next:
            before, after = self._previous.pop(id), self._next.pop(id)
            self._next[before], self._previous[after] = after, before

    def place(self, id: str, position: Position) -> bool:
        """Put an id at a position; False, and nothing is done, if its neighbor is not there."""
        neighbour = position.neighbour
        if neighbour and (neighbour == id or neighbour not in self._next):
            return False
        self.discard(id)
        match position.where:
            case Where.BEGIN:
                self.insert_after(None, id)
            case Where.END:
                self.append(id)
            case Where.BEFORE:
                self.insert_after(self._previous[neighbour], id)
            case Where.AFTER:
                self.insert_after(neighbour, id)
        return True

    def clear(self) -> None:
        """Remove all."""
        self.__init__()  # type: ignore[misc]


class Replica:
    """What a subscriber has received: which ids there are, in order, and their items.

    Of items only digests are kept.
    """

    def __init__(self, feed: str, kind: str) -> None:
        self.feed = feed
        self.kind = kind
        self.order = Order()
        self.digests: dict[str, bytes] = {}

    def apply(self, notice: Notice) -> bool:
        """Take note of a notice; False when it makes no sense here, so that something is amiss."""
        match notice:
            case Published(_, id, item) | Edited(_, id, item):
                if self.kind != SORTED_FEED:
                    self.order.discard(id)
                if id not in self.order:
                    self.order.append(id)  # in a sorted feed a notice of its position follows
                self.digests[id] = digest_of(item)
            case Retracted(_, id):
                self.order.discard(id)
                self.digests.pop(id, None)
            case Moved(_, id):
                position = position_of(notice)
                return position is not None and id in self.order and self.order.place(id, position)
            case Deleted():
                self.order.clear()
                self.digests.clear()
        return True

    def __len__(self) -> int:
        return len(self.order)


def position_of(notice: Moved) -> Position | None:
    """The position that a notice tells; None, and a line in the log, when it is none."""
    try:
        return Position.parse(notice.position)
    except InvalidValue as error:
        logger.warning(
            "Notice of feed %r skipped, because item %r would have no position: %s",
            notice.feed,
            notice.id,
            error,
            extra={"event": "notice_passed_over", "feed": notice.feed, "id": notice.id},
        )
        return None
