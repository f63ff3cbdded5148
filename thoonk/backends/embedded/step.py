"""One operation under way: what its steps share, whichever operation it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from thoonk import operations as ops
from thoonk.backends.embedded.store import Feed, Row, Shelf, State, Store
from thoonk.config import JOB
from thoonk.exceptions import FeedDoesNotExist, ItemTooLarge, NotClaimed, WrongFeedType
from thoonk.notices import JobEvent, Notice, Retracted, Stalled

SECOND = 1_000_000
"""Microseconds."""

NEVER = 2**62
"""Later than any time, in microseconds."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Handler: TypeAlias = Callable[["Step", Any], Any]
H = TypeVar("H", bound=Callable[..., Any])

HANDLERS: dict[type[ops.Operation[Any]], Handler] = {}
"""What does each operation."""

READS: set[type[ops.Operation[Any]]] = set()
"""The operations that change nothing."""


def does(*kinds: type[ops.Operation[Any]], writes: bool = True) -> Callable[[H], H]:
    """Register the function as what does these operations."""

    def register(function: H) -> H:
        for kind in kinds:
            HANDLERS[kind] = function
            if not writes:
                READS.add(kind)
        return function

    return register


def microseconds(seconds: float) -> int:
    """A time or duration as the store keeps it."""
    return round(seconds * SECOND)


def moment(time: int | None) -> dt.datetime | None:
    """A time of the store as operations answer it."""
    return None if not time else _EPOCH + dt.timedelta(microseconds=time)


class Step:
    """One operation: the store, the time, and the notices that go out when it is done.

    Attributes:
        store: where everything is.
        now: the time, in microseconds since 1970. It does not change during a step.
        notices: what subscribers are sent when the step is done, in order.
    """

    def __init__(self, store: Store, now: int, marks: Callable[[], int]) -> None:
        self.store = store
        self.now = now
        self.new_mark = marks
        self.notices: list[Notice] = []
        self._changed: dict[str, Feed] = {}

    def end(self) -> None:
        """Keep what has changed of feeds."""
        for feed in self._changed.values():
            self.store.save_feed(feed)

    def changes(self, feed: Feed) -> None:
        """Save the feed's numbers at the end."""
        self._changed[feed.name] = feed

    # --- feeds --------------------------------------------------------------------------

    def feed(self, name: str, kind: str | None = None) -> Feed:
        """A feed of that kind.

        Raises:
            FeedDoesNotExist: there is none.
            WrongFeedType: it is of another kind.
        """
        feed = self.store.find(name)
        if feed is None:
            raise FeedDoesNotExist(name)
        # A type of the program's own is left to the program.
        if kind and feed.kind and feed.kind != kind:
            raise WrongFeedType(name, expected=kind, actual=feed.kind)
        return feed

    def feed_for(self, name: str, kind: str, items: Iterable[bytes]) -> Feed:
        """`feed`, to which items are brought.

        Raises:
            ItemTooLarge: one has more bytes than the feed allows.
        """
        feed = self.feed(name, kind)
        if "max_item_size" in feed.config and (allowed := feed.settings.max_item_size):
            for item in items:
                if len(item) > allowed:
                    raise ItemTooLarge(name, size=len(item), allowed=allowed)
        return feed

    # --- rows ---------------------------------------------------------------------------

    def row(self, feed: Feed, id: str) -> Row | None:
        """The row of that id."""
        return self.store.get(feed, (id,)).get(id)

    def page(self, feed: Feed, state: State, cursor: str, limit: int) -> list[Row]:
        """Rows in a state from behind a `Row.cursor` on; an empty one stands for the beginning."""
        place, _, key = cursor.partition(" ")
        after = (int(place), int(key)) if cursor else None
        return self.store.rows(feed, state, limit=limit, after=after)

    def add(
        self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes], *, publishes: bool = True
    ) -> None:
        """Add rows. Each counts as a publish."""
        self.store.add(feed, rows, items)
        self._count(feed, rows, publishes=publishes)

    def put(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> None:
        """`add`, in place of rows that have these ids."""
        known = self.store.add_new(feed, rows, items)
        if known:
            self.remove(feed, known)
            self.store.add(feed, rows, items)
        self._count(feed, rows, publishes=True)

    def _count(self, feed: Feed, rows: Sequence[Row], *, publishes: bool) -> None:
        for row in rows:
            feed.counts[row.state] += 1
        if publishes:
            feed.publishes += len(rows)
        self.changes(feed)

    def shift(self, feed: Feed, row: Row, state: State, place: int) -> None:
        """Bring a row into a state. The caller saves it."""
        feed.counts[row.state] -= 1
        feed.counts[state] += 1
        row.state, row.place = state, place
        if state is not State.CLAIMED:
            row.since, row.token = 0, ""
        self.changes(feed)

    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        """Remove rows with their items."""
        for row in rows:
            feed.counts[row.state] -= 1
            feed.failing -= row.failures > 0
        self.changes(feed)
        self.store.remove(feed, rows)

    def free(self, feed: Feed, ids: Sequence[str]) -> tuple[bool, ...]:
        """Remove items, and let their ids be put again; whether each was there."""
        found, gone = self.store.get(feed, ids), list[Row]()
        answers = []
        for id in ids:
            row = found.pop(id, None)
            self.store.remove_record(feed, Shelf.TAKEN, id)
            answers.append(row is not None)
            if row is not None:
                gone.append(row)
                self.event(feed, Retracted, id)
        self.remove(feed, gone)
        return tuple(answers)

    def end_place(self, feed: Feed, priority: ops.Priority = ops.Priority.NORMAL) -> int:
        """The place of a row that joins those that wait: at the end, or in front."""
        if priority is ops.Priority.HIGH:
            feed.first -= 1
            return feed.first
        feed.last += 1
        return feed.last

    def put_back(self, feed: Feed, rows: Sequence[Row]) -> None:
        """Let rows that were taken be the next ones, in their order."""
        feed.first -= len(rows)
        for index, row in enumerate(rows):
            self.shift(feed, row, State.WAITING, feed.first + index)
        self.store.save(feed, rows)

    def earliest(self, feed: Feed, state: State) -> int | None:
        """The lowest place in a state."""
        if not feed.counts[state]:
            return None
        (row,) = self.store.rows(feed, state, limit=1)
        return row.place

    def next_due(self, feed: Feed) -> int:
        """When the next job or schedule is due."""
        due = NEVER
        if feed.counts[State.SCHEDULED]:
            due = self.earliest(feed, State.SCHEDULED) or NEVER
        if feed.kind == JOB:
            for record in self.store.records(feed, Shelf.SCHEDULE, until=NEVER, limit=1):
                due = min(due, record.at or NEVER)
        return due

    # --- claims -------------------------------------------------------------------------

    def holds(self, row: Row | None, token: str) -> bool:
        """Whether the claim of the token holds; no token stands for any claim."""
        return row is not None and row.state is State.CLAIMED and token in ("", row.token)

    def claimed(self, feed: Feed, id: str, token: str) -> Row:
        """The row of a job whose claim holds.

        Raises:
            NotClaimed: it does not.
        """
        row = self.row(feed, id)
        if row is None or not self.holds(row, token):
            raise NotClaimed(feed.name, id)
        return row

    # --- notices ------------------------------------------------------------------------

    def event(self, feed: Feed, event: type[JobEvent | Retracted], id: str, *more: Any) -> None:
        """Tell what happened to a job, where that is configured."""
        if self.has_events(feed):
            self.notices.append(event(feed.name, id, *more))

    def has_events(self, feed: Feed) -> bool:
        """Whether notices of what happens to jobs are configured."""
        return feed.config.get("events") == "1" and (feed.kind or JOB) == JOB

    def stall(self, feed: Feed, row: Row) -> None:
        """Take a claimed job out of circulation. The caller saves the row."""
        self.shift(feed, row, State.STALLED, self.end_place(feed))
        self.event(feed, Stalled, row.id)
