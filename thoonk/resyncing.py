"""How a subscriber's replica is brought up to what is on the server, page by page.

The feed is read from its first id to its last. Each page has a marker among the
notices, so that it is known exactly then; notices keep what has been read exact from one
page to the next. Nothing is sent before the last page has been read. Then the replica and
what has been read are compared, and what makes the difference is sent.

It waits for nothing: its owner executes what it asks for, and hands it what arrives.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Generator, Iterator
from itertools import count

from thoonk.config import SORTED_FEED
from thoonk.notices import Edited, Moved, Notice, Published, Retracted
from thoonk.operations import Position, ReadSnapshotPage, SnapshotPage, Where, digest_of
from thoonk.replicas import Order, Replica, position_of

logger = logging.getLogger("thoonk.notices")

PAGE = 250
"""Ids of a page. The server reads it in a few milliseconds."""

OVERLAP = 100
"""Ids of the page before that are read again: so many may go while a page is on its way."""

MOST_OVERLAP = 800

MOST_WANTED = 100
"""Items that are asked for with a page although their ids are not in it."""

PASSES = 3
"""How often a feed is read that does not agree with its notices, until it is taken as it is."""

SLICE = 500
"""Steps after which `Resync.difference` lets others run."""

_numbers = count(1)


class Resync:
    """A resync under way.

    ``order`` is an exact beginning of the feed's order; ``items`` has the items of these and
    of others that notices gave, None where it is the replica's.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._is_sorted = replica.kind == SORTED_FEED
        self._passes = 0
        self._overlap = OVERLAP
        self._doubles: set[str] = set()
        self._asked: ReadSnapshotPage | None = None
        self._page: SnapshotPage | None = None
        self.is_complete = False
        self._begin()

    def _begin(self) -> None:
        self._passes += 1
        self._order = Order()
        self._items: dict[str, bytes | None] = {}
        # Items that are needed: of ids that were moved here from where nothing has been read.
        self._wanted: dict[str, None] = {}
        # Of a feed: those at the beginning that stay as they were told.
        self._kept: dict[str, None] = {}
        self._keeps = not self._is_sorted
        # Where in the replica the ids of the next page are expected.
        self._met: str | None = None
        # How much further the feed has been read than ``order`` is long, for ids that it has twice.
        self._shift = 0
        self._agrees = True

    # --- reading --------------------------------------------------------------------------

    @property
    def is_asking(self) -> bool:
        """Whether the next step is to execute `ask`; else it is to wait for a notice."""
        return self._page is None

    def ask(self, marker: str) -> ReadSnapshotPage:
        """What is to be read next, by the subscription with that marker."""
        reach = len(self._order) + self._shift
        start = max(0, reach - self._overlap)
        known: list[tuple[str, bytes]] = []
        if self._is_sorted or self._keeps:
            order, digests = self._replica.order, self._replica.digests
            id = order.after(self._met)
            while id is not None and len(known) < PAGE:
                if id not in self._wanted:
                    known.append((id, digests[id]))
                id = order.after(id)
        wanted = [id for id, _ in zip(self._wanted, range(MOST_WANTED), strict=False)]
        self._asked = ReadSnapshotPage(
            self._replica.feed,
            self._replica.kind,
            marker,
            tag=str(next(_numbers)),
            start=start,
            skip=reach - start,
            count=PAGE,
            wanted=tuple(wanted),
            known=tuple(known),
        )
        return self._asked

    def answered(self, page: SnapshotPage) -> None:
        """What `ask` asked for; it counts once its marker has been heard."""
        self._page = page

    # --- notices --------------------------------------------------------------------------

    def hear(self, notice: Notice) -> None:
        """A notice that comes before the marker of the page."""
        match notice:
            case Published(_, id, item) | Edited(_, id, item):
                if not self._is_sorted:
                    self._drop(id)  # it is the last now
                self._items[id] = item
                self._wanted.pop(id, None)
            case Retracted(_, id):
                self._drop(id)
                self._items.pop(id, None)
                self._wanted.pop(id, None)
            case Moved(_, id):
                position = position_of(notice)
                if position is None:
                    self._agrees = False
                elif position.where is Where.END or not self._order.place(id, position):
                    # It stands where nothing has been read yet.
                    self._order.discard(id)
                elif id not in self._items:
                    self._wanted[id] = None

    def _drop(self, id: str) -> None:
        self._order.discard(id)
        self._kept.pop(id, None)

    def marked(self, mark: str) -> None:
        """A marker; when it is that of the page, the page is joined to what has been read."""
        asked, page = self._asked, self._page
        if asked is None or page is None or page.mark != mark:
            return  # of a page whose answer never came
        self._page = None
        for id in asked.wanted:
            if id in self._wanted and id in page.items:
                self._items[id] = page.items[id]
                del self._wanted[id]
        reach = len(self._order) + self._shift
        if asked.start > reach:
            # So many items were removed since the request that the page does not adjoin.
            self._overlap = min(MOST_OVERLAP, self._overlap * 2)
            return
        self._join(asked, page, reach)
        if asked.start + len(page.ids) >= page.total and not self._wanted:
            self._finish(page.total)

    def _join(self, asked: ReadSnapshotPage, page: SnapshotPage, reach: int) -> None:
        overlap = reach - asked.start
        tail = self._order.last(overlap)
        begin = overlap
        if [*page.ids[:overlap]] != tail and not self._is_known(page.ids[:overlap]):
            # Something has changed of which there was no notice; what was read last counts.
            self._agrees = False
            for id in (*tail, *page.ids):
                self._drop(id)
            begin = 0
        known = {id for id, _ in asked.known}
        for index in range(begin, len(page.ids)):
            id = page.ids[index]
            if id in self._order:
                self._twice(id)
                continue
            self._order.append(id)
            if id in page.items:
                self._items[id] = page.items[id]
                self._wanted.pop(id, None)
            elif id in known and index >= asked.skip:
                self._items[id] = None
                self._wanted.pop(id, None)
            elif id not in self._items:
                self._wanted[id] = None
            self._meet(id)
        self._shift = asked.start + len(page.ids) - len(self._order)

    def _meet(self, id: str) -> None:
        """Note where in the replica an id is that has been read."""
        replica = self._replica
        if self._is_sorted:
            if id in replica.order:
                self._met = id
            return
        if self._keeps and self._is_unchanged(id):
            ahead = replica.order.after(self._met)
            while ahead is not None and ahead != id:
                ahead = replica.order.after(ahead)
            if ahead is not None:
                self._met = id
                self._kept[id] = None
                return
        # A reported item moves to the end, so all items after it are reported, too.
        self._keeps = False
        if self._items.get(id) is None:
            self._wanted[id] = None

    def _is_unchanged(self, id: str) -> bool:
        if id in self._wanted or id not in self._replica.digests:
            return False
        item = self._items[id]
        return item is None or digest_of(item) == self._replica.digests[id]

    def _is_known(self, ids: tuple[str, ...]) -> bool:
        """Whether these are ids read before, in a feed that has some of them twice."""
        return bool(self._doubles) and all(id in self._order for id in ids)

    def _twice(self, id: str) -> None:
        if id in self._doubles:
            return
        self._doubles.add(id)
        logger.warning(
            "Feed %r has item %r twice in its order; only the first position counts",
            self._replica.feed,
            id,
            extra={"event": "item_twice", "feed": self._replica.feed, "id": id},
        )

    def _finish(self, total: int) -> None:
        # Notices mentioned these items, but no page had them.
        unplaced = [id for id in self._items if id not in self._order]
        if not self._agrees or unplaced or len(self._order) + self._shift != total:
            if self._passes < PASSES:
                self._begin()
                return
            logger.warning(
                "Contents of feed %r do not agree with its notices; using what was read",
                self._replica.feed,
                extra={"event": "feed_disagrees", "feed": self._replica.feed},
            )
            for id in unplaced:
                if self._items[id] is not None:
                    self._order.append(id)
        self.is_complete = True

    # --- telling ----------------------------------------------------------------------------

    def difference(self) -> Iterator[Notice | None]:
        """The notices that turn the replica into what has been read; it is changed on the way.

        Between them None, now and then: others should have a turn.
        """
        replica = self._replica
        for steps, id in enumerate([*replica.order], 1):
            if id not in self._order:
                yield self._tell(Retracted(replica.feed, id))
            if steps % SLICE == 0:
                yield None
        if self._is_sorted:
            yield from self._difference_sorted()
        else:
            yield from self._difference_feed()

    def _tell(self, notice: Notice) -> Notice:
        self._replica.apply(notice)
        return notice

    def _difference_feed(self) -> Iterator[Notice | None]:
        feed, digests = self._replica.feed, self._replica.digests
        for step, id in enumerate(self._order, 1):
            if id not in self._kept:
                kind = Edited if id in digests else Published
                yield self._tell(kind(feed, id, self._items.pop(id) or b""))
            if step % SLICE == 0:
                yield None

    def _difference_sorted(self) -> Iterator[Notice | None]:
        feed, digests = self._replica.feed, self._replica.digests
        staying = yield from self._staying()
        position = Position(Where.BEGIN)
        for step, id in enumerate(self._order, 1):
            item = self._items.pop(id)
            if id not in digests:
                yield self._tell(Published(feed, id, item or b""))
            elif item is not None and digest_of(item) != digests[id]:
                yield self._tell(Edited(feed, id, item))
            if id not in staying:
                yield self._tell(Moved(feed, id, str(position)))
            if step % SLICE == 0:
                yield None
            position = Position(Where.AFTER, id)

    def _staying(self) -> Generator[None, None, set[str]]:
        """The most ids that need not be moved: the longest run in the order of both."""
        places: dict[str, int] = {}
        for place, id in enumerate(self._replica.order):
            places[id] = place
            if place % SLICE == 0:
                yield None
        # Of runs of each length the one that ends earliest: where, with which id, after which.
        ends: list[int] = []
        ids: list[str] = []
        before: dict[str, str | None] = {}
        for step, id in enumerate(self._order):
            if step % SLICE == 0:
                yield None
            if id not in places:
                continue
            length = bisect_left(ends, places[id])
            before[id] = ids[length - 1] if length else None
            if length == len(ends):
                ends.append(places[id])
                ids.append(id)
            else:
                ends[length], ids[length] = places[id], id
        staying: set[str] = set()
        last = ids[-1] if ids else None
        while last is not None:
            staying.add(last)
            last = before[last]
        return staying
