"""What a store is: where the embedded engine keeps its rows, and in which order it finds them.

The engine in `thoonk.backends.embedded.core` knows what operations mean. A store knows none of
that: it keeps feeds, rows and records, and answers a few questions about them.
"""

from __future__ import annotations

import enum
import heapq
import operator
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from thoonk.backends.waiters import Waiters
from thoonk.config import KIND_OF_TYPE, PAUSED, FeedConfig
from thoonk.notices import Notice

if TYPE_CHECKING:
    from thoonk.backends.embedded.core import Core


class State(enum.IntEnum):
    """Where a row is: an item of a feed or sorted feed is STORED, the others are queued or jobs."""

    STORED = 0
    WAITING = 1
    CLAIMED = 2
    STALLED = 3
    SCHEDULED = 4


@attrs.define(eq=False)
class Feed:
    """A feed, with the numbers that would be slow to count. The engine changes these.

    Attributes:
        key: the store's own number for it.
        name: its name.
        config: its configuration, as text.
        publishes: publishes, puts and edits so far.
        finished: jobs finished so far.
        given: the last id that a sorted feed has given.
        first: the lowest place that was given to a row; the next row in front gets one below.
        last: the highest place that was given to a row; the next row at the end gets one above.
        counts: how many rows are in each `State`.
        failing: how many rows have failed at least once.
    """

    key: int
    name: str
    config: dict[str, str]
    publishes: int = 0
    finished: int = 0
    given: int = 0
    first: int = 0
    last: int = 0
    counts: list[int] = attrs.field(factory=lambda: [0] * len(State))
    failing: int = 0
    _settings: FeedConfig | None = None

    @property
    def kind(self) -> str | None:
        """Which of the four shapes of data it is; None for a type that is not built in."""
        return KIND_OF_TYPE.get(self.config["type"])

    @property
    def is_paused(self) -> bool:
        """Whether nothing is taken from it."""
        return self.config.get(PAUSED) == "1"

    @property
    def settings(self) -> FeedConfig:
        """The configuration with its values as numbers."""
        if self._settings is None:
            self._settings = FeedConfig.from_fields(self.config)
        return self._settings

    def configure(self, config: dict[str, str]) -> None:
        """Replace the configuration."""
        self.config, self._settings = config, None


@attrs.define(eq=False)
class Row:
    """An item's place and history. The item itself is kept apart: most steps do not need it.

    Times are microseconds since 1970.

    Attributes:
        id: its id, one of a kind in its feed.
        state: where it is.
        place: its order in this state. CLAIMED: when the claim was made or extended last.
            SCHEDULED: when it is due. Rows with the same place come in the order of their keys.
        put_at: when it was published, put, retried or due.
        key: the store's own number for it, higher than that of each row before it.
        since: when its claim was made; 0 where it is not claimed.
        token: what it is claimed under; empty where it is not claimed.
        failures: how often it has failed since it was put or retried.
        note: what else is known, by name; values are text, numbers and lists of text.
    """

    id: str
    state: State
    place: int
    put_at: int
    key: int = 0
    since: int = 0
    token: str = ""
    failures: int = 0
    note: dict[str, Any] = attrs.field(factory=dict)

    @property
    def cursor(self) -> str:
        """Its place and key, as the end of a page."""
        return f"{self.place} {self.key}"


class Shelf(enum.IntEnum):
    """What a `Record` is about."""

    RESULT = 0
    TAKEN = 1
    SCHEDULE = 2
    WORKER = 3
    NAME = 4


EXPIRING = (Shelf.RESULT, Shelf.TAKEN, Shelf.WORKER)
"""The shelves whose records expire."""


@attrs.frozen
class Record:
    """Something that is kept under a name, apart from the rows.

    Attributes:
        id: its name.
        at: RESULT, TAKEN and WORKER: when it expires. SCHEDULE: when it is due next.
            Microseconds since 1970; None: never. NAME: None.
        text: what it says.
        first: bytes that go with it.
        second: more of them.
    """

    id: str
    at: int | None = None
    text: str = ""
    first: bytes | None = None
    second: bytes | None = None


class Hub(Protocol):
    """Receives what other processes do to a store that they share."""

    @property
    def waiters(self) -> Waiters:
        """The consumers of this process that wait."""

    def hear(self, number: int, notice: Notice) -> None:
        """A notice was published, with the number that it has among all."""

    def miss(self) -> None:
        """Notices were lost."""


class Watch(Protocol):
    """Follows what other processes do."""

    def listen(self) -> int:
        """Send the hub new notices. Returns the number of the last one before these."""


class Store(ABC):
    """Where feeds, rows and records are kept.

    A store is a subclass. Methods that are not abstract are for stores that can do it faster, or
    that processes share; later versions of this class add only such. The engine calls from one
    thread at a time, holding `lock`, and inside a `transaction`.

    Feeds and rows are the engine's to change: what it was given by the store it changes, and gives
    back to be kept. A store may give the same objects each time, or other ones.
    """

    is_quick = False
    """Whether it never waits for a disk or a network, so that an event loop can call it."""

    shares_notices = False
    """Whether notices come from `publish` to all processes, and not from the engine."""

    core: Core | None = None
    """The engine on this store."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @abstractmethod
    def transaction(self, *, writes: bool) -> AbstractContextManager[None]:
        """A block that happens as a whole or, when it raises, not at all.

        A store that cannot undo anything is safe with this engine: it writes nothing before all
        that it can refuse has been checked.
        """

    def close(self) -> None:  # noqa: B027 - not every store has to
        """Release what was opened, also what watches.

        The engine calls it without holding `lock`, because a thread that watches may need the lock
        to end. Hold it to close what transactions use: none begins after that.
        """

    # feeds

    @abstractmethod
    def find(self, name: str) -> Feed | None:
        """The feed of that name."""

    @abstractmethod
    def create(self, name: str, config: dict[str, str]) -> Feed:
        """Add a feed, and give it its key. There is none of that name."""

    @abstractmethod
    def save_feed(self, feed: Feed) -> None:
        """Keep a feed as it is now. Its configuration is unchanged."""

    def save_config(self, feed: Feed) -> None:
        """Keep a feed as it is now, with its configuration."""
        self.save_feed(feed)

    @abstractmethod
    def drop(self, feed: Feed) -> None:
        """Remove a feed, its rows and its records."""

    # rows

    @abstractmethod
    def get(self, feed: Feed, ids: Iterable[str]) -> dict[str, Row]:
        """The rows of these ids, as far as they are there."""

    @abstractmethod
    def rows(
        self,
        feed: Feed,
        state: State,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
        reverse: bool = False,
        skip: int = 0,
    ) -> list[Row]:
        """Rows in a state by place and key, from behind ``after`` on, ``skip`` left out.

        ``reverse``: the other way round, from the last one or from before ``after``.
        """

    @abstractmethod
    def all_rows(self, feed: Feed, *, limit: int, after: int = 0, skip: int = 0) -> list[Row]:
        """Rows in whatever state by key, from behind the key ``after`` on."""

    def held(self, feed: Feed, token: str) -> list[Row]:
        """The rows that are claimed under a token, by place and key."""
        claimed = self.rows(feed, State.CLAIMED, limit=feed.counts[State.CLAIMED])
        return [row for row in claimed if row.token == token]

    def oldest_put(self, feed: Feed) -> int | None:
        """The earliest ``put_at`` of those that wait."""
        waiting = self.rows(feed, State.WAITING, limit=feed.counts[State.WAITING])
        return min((row.put_at for row in waiting), default=None)

    def oldest_claim(self, feed: Feed) -> int | None:
        """The earliest ``since`` of those that are claimed."""
        claimed = self.rows(feed, State.CLAIMED, limit=feed.counts[State.CLAIMED])
        return min((row.since for row in claimed), default=None)

    @abstractmethod
    def items(self, feed: Feed, rows: Sequence[Row]) -> list[bytes]:
        """The items of rows that are there."""

    @abstractmethod
    def add(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> None:
        """Add rows, and give them their keys, which ascend. Their ids are free."""

    def add_new(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> list[Row]:
        """`add`, whose ids should be free: else nothing is added, and these are the rows there."""
        known = self.get(feed, [row.id for row in rows])
        if not known:
            self.add(feed, rows, items)
        return [*known.values()]

    @abstractmethod
    def save(self, feed: Feed, rows: Sequence[Row]) -> None:
        """Keep rows as they are now; their ids, keys and items are unchanged."""

    @abstractmethod
    def set_item(self, feed: Feed, row: Row, item: bytes) -> None:
        """Replace the item of a row."""

    @abstractmethod
    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        """Remove rows with their items."""

    # records

    @abstractmethod
    def put_record(self, feed: Feed | None, shelf: Shelf, record: Record) -> None:
        """Keep a record in place of the one of that name. Without a feed it belongs to none."""

    @abstractmethod
    def record(self, feed: Feed | None, shelf: Shelf, id: str) -> Record | None:
        """The record of that name, even when it has expired."""

    @abstractmethod
    def records(
        self, feed: Feed | None, shelf: Shelf, until: int | None = None, limit: int = 0
    ) -> list[Record]:
        """Records by ``at``: with ``until`` those up to that time; with ``limit`` so many."""

    def record_times(
        self, feed: Feed, shelf: Shelf, *, after: str, limit: int
    ) -> list[tuple[str, int | None]]:
        """Names of records and their ``at``, in an order of names, from behind ``after`` on."""
        found = ((each.id, each.at) for each in self.records(feed, shelf) if each.id > after)
        return heapq.nsmallest(limit, found, key=operator.itemgetter(0))

    @abstractmethod
    def remove_record(self, feed: Feed | None, shelf: Shelf, id: str) -> bool:
        """Remove a record. Whether there was one."""

    @abstractmethod
    def clean(self, now: int) -> None:
        """Remove what is not needed any more. The engine calls this now and then.

        These are records of `EXPIRING` whose ``at`` has passed, of all feeds. A few at most in
        each call are enough.
        """

    # notices, where processes share the store

    def publish(self, notices: Sequence[Notice]) -> None:
        """Keep notices for subscribers of all processes. Only where ``shares_notices``."""
        raise NotImplementedError

    def watch(self, hub: Hub) -> Watch:
        """Report to the hub what other processes do. Only where ``shares_notices``."""
        raise NotImplementedError
