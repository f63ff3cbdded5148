"""Each operation: the exact keys it leaves and the exact notices it sends.

The table below has rows for every operation. ``keys`` is the whole db afterwards.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import pytest
import redis
from conftest import MEMORY, World
from peer import Notices

from thoonk import operations as ops
from thoonk.backends import Backend, open_backend
from thoonk.backends.redis.commands import Call, Command, command_for
from thoonk.exceptions import (
    FeedDoesNotExist,
    ItemDoesNotExist,
    ItemExists,
    ItemTooLarge,
    NotClaimed,
    NotScheduled,
    NotStalled,
    WrongFeedType,
)
from thoonk.operations import (
    Batch,
    ClaimRef,
    Completion,
    Delivery,
    Entry,
    JobClaim,
    Position,
    Priority,
    QueueTake,
    RestoreAs,
    Where,
)

SECONDS = 30
"""How far from this clock a time may be that counts as now."""


@attrs.frozen(eq=False)
class Now:
    """Equal to times (ms) that are about now, or about so many seconds after it.

    With ``fraction`` only to those that have it behind the whole milliseconds.
    """

    after: float = 0
    fraction: float | None = None
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float) or self.fraction not in (None, other % 1):
            return False
        return self.is_near(other)

    def is_near(self, value: float) -> bool:
        return abs(value - (time.time() + self.after) * 1000) < SECONDS * 1000


@attrs.frozen(eq=False)
class Holder:
    """Equal to a holder's entry of that token, made now."""

    token: bytes
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes):
            return False
        token, _, since = other.rpartition(b" ")
        return token == self.token and since.isdigit() and Now().is_near(int(since))


class Facts:
    """Equal to what is stored of a job: these names, with these texts or times in ms."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, **facts: bytes | float | Now) -> None:
        self._facts = facts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes):
            return False
        texts = [text.partition(b"=") for text in other.split(b"\0")]
        return {name.decode(): text for name, _, text in texts} == {
            name: fact if isinstance(fact, bytes) else Digits(fact)
            for name, fact in self._facts.items()
        }


@attrs.frozen(eq=False)
class Digits:
    """Equal to a time in ms as text."""

    time: float | Now
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and other.isdigit() and self.time == int(other)


class AnyOrder:
    """Equal to a tuple of these ids."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *ids: str) -> None:
        self._ids = sorted(ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and sorted(other) == self._ids


@attrs.frozen(eq=False)
class Announcement:
    """Equal to F, NUL, and a UUID of version 8 that ends in the db's number (0)."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes):
            return False
        name, _, instance = other.partition(b"\0")
        number = uuid.UUID(instance.decode())
        return (
            name == b"F"
            and str(number).encode() == instance
            and number.version == 8
            and instance.endswith(b"0000")
        )


@attrs.frozen(eq=False)
class Answer:
    """Equal to the entry of the answer to that call of a session, made now."""

    call: int
    answer: bytes
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes):
            return False
        time, call, answer = other.split(b" ", 2)
        return (
            time.isdigit()
            and Now().is_near(int(time) * 1000)
            and call == b"%d" % self.call
            and answer == self.answer
        )


@attrs.frozen(eq=False)
class About:
    """Equal to numbers of seconds from half a minute less up to that many, but above 0."""

    seconds: float
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and max(0, self.seconds - SECONDS) < other <= self.seconds


@attrs.frozen(eq=False)
class Age:
    """Equal to numbers of seconds from that many up to half a minute more."""

    seconds: float = 0
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and self.seconds <= other < self.seconds + SECONDS


@attrs.frozen(eq=False)
class Moment:
    """Equal to datetimes about now."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dt.datetime) and Now().is_near(other.timestamp() * 1000)


@attrs.frozen
class Expiring:
    """A key that goes after so many seconds (within half a minute)."""

    content: Any
    seconds: float = attrs.field(eq=lambda seconds: round(seconds / 30))


@attrs.frozen(eq=False)
class AnyMark:
    """Equal to the mark of a page with tag 7, and to the payload of its marker."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes):
            return re.fullmatch(rb"F\x007\.\d+\.\d+", other) is not None
        return isinstance(other, str) and re.fullmatch(r"7\.\d+\.\d+", other) is not None


@attrs.frozen(eq=False)
class AnyOrderOfTimes:
    """Equal to a sorted set of these ids, all from now."""

    ids: tuple[bytes, ...]
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(id for id, _ in other) == sorted(self.ids)


class RunOf(str):
    """Equal to ids of periodic jobs of that schedule."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(f"{self!s}@\\d{{13}}", other) is not None


ANY_MARK: Any = AnyMark()
MOMENT: Any = Moment()
AGE: Any = Age()
UNCHANGED = "unchanged"
NOW = Now()
ANNOUNCED = Announcement()


@attrs.frozen
class Old:
    """A raw command that dates a time in a sorted set back."""

    word: str
    id: str
    seconds: float

    def command(self) -> tuple[Any, ...]:
        return (b"ZADD", f"feed.{self.word}:F", int((time.time() - self.seconds) * 1000), self.id)


class OldInSeconds(Old):
    """The same as some peers write it: in seconds, with decimals."""

    def command(self) -> tuple[Any, ...]:
        return (b"ZADD", f"feed.{self.word}:F", time.time() - self.seconds, self.id)


class OldHigh(Old):
    """The same with the half millisecond of high priority."""

    def command(self) -> tuple[Any, ...]:
        word, key, time, id = super().command()
        return (word, key, time + 0.5, id)


@attrs.frozen
class Alive(Old):
    """A raw command that writes the record of a worker that has reported just now."""

    word: str = attrs.field(init=False, default="")
    id: str = attrs.field(init=False, default="")
    seconds: float = attrs.field(init=False, default=0)
    worker: bytes
    facts: bytes

    def command(self) -> tuple[Any, ...]:
        record = b"%b\0keep=60000\0reported=%d" % (self.facts, time.time() * 1000)
        return (b"HSET", b"feed.workers", self.worker, record)


Step = ops.Operation[Any] | tuple[Any, ...] | Old


@attrs.frozen
class Row:
    """One case: what is done before, the operation, and all that must come of it.

    ``keeps``: the answer that the server remembers for the caller; None: it remembers
    no other than before. ``keys`` says nothing of these.
    """

    says: str
    operation: ops.Operation[Any]
    before: tuple[Step, ...] = ()
    keys: Any = UNCHANGED
    notices: tuple[tuple[bytes, Any], ...] = ()
    answer: Any = None
    keeps: bytes | None = None
    raises: type[Exception] | None = None


def feed(**fields: str) -> Step:
    return ops.CreateFeed("F", {"type": "feed", **fields})


def sorted_feed() -> Step:
    return ops.CreateFeed("F", {"type": "sorted_feed"})


def queue() -> Step:
    return ops.CreateFeed("F", {"type": "queue"})


def job(**fields: str) -> Step:
    return ops.CreateFeed("F", {"type": "job", **fields})


def publish(*ids: str) -> Step:
    return ops.FeedPublish("F", tuple(Entry(id, b"item " + id.encode()) for id in ids))


def insert(*items: bytes) -> tuple[Step, ...]:
    return tuple(ops.SortedInsert("F", (item,)) for item in items)


def queued(*ids: str) -> Step:
    return ops.QueuePut("F", tuple(Entry(id, b"item " + id.encode()) for id in ids))


def put(*ids: str) -> Step:
    return ops.JobPut("F", tuple(Entry(id, b"item " + id.encode()) for id in ids))


def later(id: str, age: float, priority: Priority = Priority.NORMAL) -> Step:
    """A job that is scheduled; it was due so long ago, or is due in so many seconds below 0."""
    entry = Entry(id, b"item " + id.encode())
    return ops.JobAdd("F", (entry,), priority, ops.Due(delay=60 if age > 0 else -age))


def old(word: str, id: str, seconds: float = 60) -> Step:
    """Dates a time in a sorted set back, from the moment in which it is done."""
    return Old(word, id, seconds)


FEED_CONFIG = {b"type": b"feed"}
SORTED_CONFIG = {b"type": b"sorted_feed"}
QUEUE_CONFIG = {b"type": b"queue"}
JOB_CONFIG = {b"type": b"job"}
BINARY = bytes(range(256))
LATE = 4_000_000_000.0
"""A time in the year 2096."""
SCHEDULED = later("a", -60)
REPORT = ops.WorkerReport(
    "W",
    "web\0",
    17,
    "2.0",
    ("a: b", "images"),
    8,
    3,
    "web:7",
    running_for=60.0,
    is_stopping=True,
    busy=2,
    jobs=(ops.ReportedJob("images", "id of 1", 3, 5.5), ops.ReportedJob("a: b", "1")),
)


class Reported:
    """Equal to the record of that worker, made now."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes):
            return False
        times = re.findall(rb"\d{13}", other)
        ages = (0, 60, 5.5, 0)
        near = [Now(-age).is_near(int(time)) for time, age in zip(times, ages, strict=True)]
        return all(near) and re.sub(rb"\d{13}", b"T", other).split(b"\0") == [
            *(b"reported=T", b"keep=20000", b"started=T", b"host=web\xef\xbf\xbd", b"pid=17"),
            *(b"version=2.0", b"concurrency=8", b"busy=2", b"group=web:7", b"processes=3"),
            *(b"stopping=1", b"feed=a: b", b"feed=images"),
            *(b"job=2 T 3 id of 1", b"job=1 T 1 1"),
        ]


REPORTED = Reported()

ROWS = [
    # --- the list of names -----------------------------------------------------------------
    Row(
        "the names are read from the set",
        ops.FeedNames(),
        before=((b"SADD", b"feeds", b"F", b"G"),),
        answer=frozenset({"F", "G"}),
    ),
    Row(
        "a new name is announced as created, then as configured",
        ops.RegisterFeed("F"),
        keys={b"feeds": {b"F"}},
        notices=((b"newfeed", ANNOUNCED), (b"conffeed", ANNOUNCED)),
        answer=True,
    ),
    Row(
        "a name that is there is not announced again",
        ops.RegisterFeed("F"),
        before=(ops.RegisterFeed("F"),),
        answer=False,
    ),
    Row(
        "a name that was there is announced as gone",
        ops.UnregisterFeed("F"),
        before=((b"SADD", b"feeds", b"F", b"G"),),
        keys={b"feeds": {b"G"}},
        notices=((b"delfeed", ANNOUNCED),),
        answer=True,
    ),
    Row("a name that was not there is not", ops.UnregisterFeed("F"), answer=False),
    Row(
        "a name on the list is found",
        ops.FeedIsRegistered("F"),
        before=((b"SADD", b"feeds", b"F"),),
        answer=True,
    ),
    # --- workers ---------------------------------------------------------------------------
    Row(
        "what a worker says is kept with its ages as times",
        ops.ReportWorker(REPORT, 20),
        keys={b"feed.workers": Expiring({b"W": REPORTED}, 3600)},
    ),
    Row(
        "those whose time is over are dropped, and those of a time to come, and what is none",
        ops.ReportWorker(REPORT, 20),
        before=(
            (b"HSET", b"feed.workers", b"W", b"reported=1\0keep=5", b"no record", b"x"),
            (b"HSET", b"feed.workers", b"to come", b"reported=4000000000000\0keep=5"),
            (b"HSET", b"feed.workers", b"dead", b"reported=1732000000000\0keep=3600000"),
            ops.ReportWorker(attrs.evolve(REPORT, id="alive"), 20),
        ),
        keys={b"feed.workers": Expiring({b"W": REPORTED, b"alive": REPORTED}, 3600)},
    ),
    Row(
        "a worker that has ended is removed",
        ops.RemoveWorker("W"),
        before=(
            ops.ReportWorker(REPORT, 20),
            ops.ReportWorker(attrs.evolve(REPORT, id="other"), 20),
        ),
        keys={b"feed.workers": Expiring({b"other": REPORTED}, 3600)},
        answer=True,
    ),
    Row(
        "the key goes with the last of them",
        ops.RemoveWorker("W"),
        before=(ops.ReportWorker(REPORT, 20),),
        keys={},
        answer=True,
    ),
    Row("one that was not there is not removed", ops.RemoveWorker("W"), answer=False),
    Row(
        "those whose time is not over are read, and nothing is written",
        ops.ReadWorkers(),
        before=(
            (b"HSET", b"feed.workers", b"dead", b"reported=1732000000000\0keep=3600000"),
            (b"HSET", b"feed.workers", b"to come", b"reported=4000000000000\0keep=5"),
            (b"HSET", b"feed.workers", b"no record", b"keep=5"),
            Alive(b"odd", b"colour=red\0feed=a\0job=2 1 1 x\0job=\0pid=many\0stopping=no"),
        ),
        answer=ops.WorkerPage(
            (ops.WorkerInfo("odd", "", 0, "", ("a",), 0, 0, "", MOMENT, MOMENT, age=AGE),)
        ),
    ),
    # --- configuration -------------------------------------------------------------------
    Row(
        "the configuration is stored, and nothing said",
        ops.CreateFeed("F", {"type": "feed", "max_length": "3", "colour": "blå"}),
        keys={b"feed.config:F": {b"type": b"feed", b"max_length": b"3", b"colour": "blå".encode()}},
        answer=ops.CreateResult(
            created=True, config={"type": "feed", "max_length": "3", "colour": "blå"}
        ),
        keeps=b"n1",
    ),
    Row(
        "a configuration that is there stays",
        ops.CreateFeed("F", {"type": "queue", "title": "other"}),
        before=(feed(title="first"),),
        answer=ops.CreateResult(created=False, config={"type": "feed", "title": "first"}),
    ),
    Row(
        "setting fields is announced and keeps the others",
        ops.SetConfig("F", {"title": "new", "max_length": "5", "colour": None}),
        before=(feed(title="old", colour="red", size="9"),),
        keys={
            b"feed.config:F": {
                b"type": b"feed",
                b"title": b"new",
                b"max_length": b"5",
                b"size": b"9",
            }
        },
        notices=((b"conffeed", ANNOUNCED),),
        answer=(),
        keeps=b"S",
    ),
    Row(
        "a lower max_length retracts the oldest at once, before the notice of the configuration",
        ops.SetConfig("F", {"max_length": "1"}),
        before=(feed(), publish("a", "b", "c")),
        keys={
            b"feed.config:F": {**FEED_CONFIG, b"max_length": b"1"},
            b"feed.ids:F": [(b"c", NOW)],
            b"feed.items:F": {b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        notices=(
            (b"feed.retract:F", b"a"),
            (b"feed.retract:F", b"b"),
            (b"conffeed", ANNOUNCED),
        ),
        answer=("a", "b"),
        keeps=b"Sa\0b",
    ),
    Row(
        "another type is refused and nothing is set",
        ops.SetConfig("F", {"title": "new", "type": "queue"}),
        before=(feed(),),
        raises=WrongFeedType,
    ),
    Row(
        "a feed that is not there cannot be configured",
        ops.SetConfig("F", {"title": "new"}),
        raises=FeedDoesNotExist,
    ),
    Row(
        "the configuration is read as it is stored",
        ops.GetConfig("F"),
        before=((b"HSET", b"feed.config:F", b"type", b"odd", b"max_length", b"many"),),
        answer={"type": "odd", "max_length": "many"},
    ),
    # --- stats --------------------------------------------------------------------------
    Row(
        "stats of a feed",
        ops.ReadStats("F"),
        before=(feed(), publish("a", "b", "c"), publish("c"), old("ids", "a"), old("ids", "b", 50)),
        answer=ops.FeedStats("feed", items=3, publishes=4, oldest_item=Age(60), newest_item=Age()),
    ),
    Row(
        "stats of an empty feed",
        ops.ReadStats("F", "feed"),
        before=(feed(),),
        answer=ops.FeedStats("feed", items=0, publishes=0),
    ),
    Row(
        "stats of a feed with a peer's scores in seconds, which sort before all others",
        ops.ReadStats("F"),
        before=(
            feed(),
            publish("b"),
            old("ids", "b", 7200),
            OldInSeconds("ids", "a", 3600),
            (b"HSET", b"feed.items:F", b"a", b"x"),
        ),
        answer=ops.FeedStats(
            "feed", items=2, publishes=1, oldest_item=Age(7200), newest_item=Age(7200)
        ),
    ),
    Row(
        "stats of a sorted feed",
        ops.ReadStats("F"),
        before=(sorted_feed(), *insert(b"x", b"y"), ops.SortedRetract("F", ("1",))),
        answer=ops.FeedStats("sorted_feed", items=1, publishes=2),
    ),
    Row(
        "stats of a queue",
        ops.ReadStats("F"),
        before=(
            queue(),
            queued("a", "b", "c", "d"),
            QueueTake("F", "T"),
            old("claimed", "a", 5),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
        ),
        answer=ops.FeedStats(
            "queue", 4, 4, waiting=3, claimed=1, oldest_claimed=Age(5), paused=False
        ),
    ),
    Row(
        "stats of an empty job feed",
        ops.ReadStats("F"),
        before=(job(),),
        answer=ops.FeedStats("job", 0, 0, 0, 0, 0, 0, 0, scheduled=0, paused=False),
    ),
    Row(
        "stats of a job feed; what is claimed does not wait",
        ops.ReadStats("F", "job"),
        before=(
            job(),
            put("a", "b", "c", "d", "e", "f", "g"),
            JobClaim("F", "T", 5),
            ops.JobFinish("F", (Completion("a"),)),
            ops.JobStall("F", "b"),
            ops.JobCancel("F", "c"),
            old("published", "d", 900),
            old("published", "e", 800),
            old("published", "g", 700),
            old("published", "c", 600),
            old("claimed", "e", 500),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
        ),
        answer=ops.FeedStats(
            "job",
            items=6,
            publishes=7,
            waiting=3,
            claimed=2,
            stalled=1,
            failing=1,
            finished=1,
            oldest_waiting=Age(700),
            oldest_claimed=Age(500),
            scheduled=0,
            paused=False,
        ),
    ),
    Row(
        "stats of a job feed of whose jobs all are claimed",
        ops.ReadStats("F"),
        before=(job(), put("a"), old("published", "a", 900), JobClaim("F", "T")),
        answer=ops.FeedStats(
            "job",
            1,
            1,
            waiting=0,
            claimed=1,
            stalled=0,
            failing=0,
            finished=0,
            oldest_claimed=Age(),
            scheduled=0,
            paused=False,
        ),
    ),
    Row(
        "stats of very many claims: how long the next job has waited",
        ops.ReadStats("F"),
        before=(
            job(),
            put(*(f"claimed {number}" for number in range(1000))),
            JobClaim("F", "T", 1000),
            put("claimed 1000"),
            JobClaim("F", "T2"),
            put("last", "next"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.ids:F"),
            *(old("published", f"claimed {number}", 90) for number in range(1001)),
            old("published", "last", 80),
            old("published", "next", 70),
        ),
        answer=ops.FeedStats(
            "job",
            1003,
            1003,
            waiting=2,
            claimed=1001,
            stalled=0,
            failing=0,
            finished=0,
            oldest_waiting=Age(70),
            oldest_claimed=Age(),
            scheduled=0,
            paused=False,
        ),
    ),
    Row(
        "stats of a type of somebody's own, whose kind is known",
        ops.ReadStats("F", "queue"),
        before=(ops.CreateFeed("F", {"type": "mine"}), queued("a")),
        answer=ops.FeedStats("mine", 1, 1, waiting=1, claimed=0, paused=False),
    ),
    Row(
        "stats of a type of somebody's own, whose kind is not",
        ops.ReadStats("F"),
        before=(ops.CreateFeed("F", {"type": "mine"}), queued("a")),
        answer=ops.FeedStats("mine", items=1, publishes=1),
    ),
    Row("stats of a feed that is not there", ops.ReadStats("F"), raises=FeedDoesNotExist),
    Row(
        "stats of a feed of another kind",
        ops.ReadStats("F", "job"),
        before=(queue(),),
        raises=WrongFeedType,
    ),
    # --- delete -------------------------------------------------------------------------
    Row(
        "every key of the feed goes, also those of other types, and no other feed's",
        ops.DeleteFeed("F"),
        before=(
            job(),
            put("a"),
            *((b"SET", f"feed.{word}:F", b"x") for word in ("publishes", "idincr", "finishes")),
            *(
                (b"HSET", f"feed.{word}:F", b"a", b"1")
                for word in ("cancelled", "holders", "tokens")
            ),
            *((b"ZADD", f"feed.{word}:F", 1, b"a") for word in ("claimed", "published")),
            (b"SADD", b"feed.stalled:F", b"a"),
            (b"LPUSH", b"feed.reserved:F", b"a"),
            (b"SADD", b"feeds", b"F"),
            (b"HSET", b"feed.config:F2", b"type", b"feed"),
        ),
        keys={b"feeds": {b"F"}, b"feed.config:F2": {b"type": b"feed"}},
        answer=(),
    ),
    Row(
        "results that are left have to be named first, and nothing goes before",
        ops.DeleteFeed("F"),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            ops.JobFinish("F", (Completion("a", has_result=True, result=b"r", timeout=0),)),
        ),
        answer=("a",),
    ),
    Row(
        "results that are named go with the feed",
        ops.DeleteFeed("F", ("a",)),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            ops.JobFinish("F", (Completion("a", has_result=True, result=b"r", timeout=0),)),
        ),
        keys={},
        answer=(),
    ),
    Row("a feed that is not there cannot be deleted", ops.DeleteFeed("F"), raises=FeedDoesNotExist),
    # --- reading ------------------------------------------------------------------------
    Row("an item", ops.ReadItem("F", "a"), before=(feed(), publish("a")), answer=b"item a"),
    Row("no item", ops.ReadItem("F", "b"), before=(feed(), publish("a")), answer=None),
    Row(
        "all items",
        ops.ReadItems("F"),
        before=(feed(), publish("a", "b")),
        answer={"a": b"item a", "b": b"item b"},
    ),
    Row("the count", ops.CountItems("F"), before=(feed(), publish("a", "b")), answer=2),
    Row("an item is there", ops.HasItem("F", "a"), before=(feed(), publish("a")), answer=True),
    Row(
        "ids of a feed as published",
        ops.ReadIds("F", "feed"),
        before=(feed(), publish("b", "a", "b")),
        answer=("a", "b"),
    ),
    Row(
        "ids of a sorted feed from first to last",
        ops.ReadIds("F", "sorted_feed"),
        before=(
            sorted_feed(),
            *insert(b"x"),
            ops.SortedInsert("F", (b"y",), Position(Where.BEGIN)),
        ),
        answer=("2", "1"),
    ),
    Row(
        "ids of a queue, the next one first",
        ops.ReadIds("F", "queue"),
        before=(queue(), queued("a", "b")),
        answer=("a", "b"),
    ),
    Row("ids of jobs", ops.ReadIds("F", "job"), before=(job(), put("a")), answer=("a",)),
    Row(
        "a feed as it is, and a marker among the notices",
        ops.ReadSnapshotPage("F", "feed", "M", tag="7"),
        before=(
            feed(),
            publish("a", "b"),
            (b"ZADD", b"feed.ids:F", 1_700_000_000_000, b"a", 1_700_000_000_001.5, b"b"),
        ),
        notices=((b"feed.marker:M", ANY_MARK),),
        answer=ops.SnapshotPage(ANY_MARK, 2, ("a", "b"), {"a": b"item a", "b": b"item b"}),
    ),
    Row(
        "a sorted feed, the first id without its item, and another item besides",
        ops.ReadSnapshotPage("F", "sorted_feed", "M", tag="7", skip=1, count=1, wanted=("1",)),
        before=(
            sorted_feed(),
            *insert(b"x"),
            ops.SortedInsert("F", (b"y",), Position(Where.BEGIN)),
            ops.SortedInsert("F", (b"z",), Position(Where.BEGIN)),
        ),
        notices=((b"feed.marker:M", ANY_MARK),),
        answer=ops.SnapshotPage(ANY_MARK, 3, ("3", "2"), {"1": b"x", "2": b"y"}),
    ),
    # --- pages --------------------------------------------------------------------------
    Row(
        "a page of a feed ends where the next begins",
        ops.ReadPage("F", "feed", 1, 2),
        before=(
            feed(),
            publish("a", "b", "c", "d"),
            (b"ZADD", b"feed.ids:F", *(w for n, i in enumerate("abcd") for w in (1.7e12 + n, i))),
        ),
        answer=ops.Page(("b", "c"), (), "1700000000002 c"),
    ),
    Row(
        "in reverse, with items",
        ops.ReadPage("F", "feed", 0, 3, reverse=True, with_items=True),
        before=(feed(), publish("a", "b")),
        answer=ops.Page(("b", "a"), (b"item b", b"item a"), ""),
    ),
    Row(
        "a page of a sorted feed goes on where the item of the cursor is by now",
        ops.ReadPage("F", "sorted_feed", count=2, cursor="2 3 2"),
        before=(sorted_feed(), *insert(b"x", b"y", b"z", b"!")),
        answer=ops.Page(("3", "4"), (), "3 4 4"),
    ),
    Row(
        "or where the items would be that were removed",
        ops.ReadPage("F", "sorted_feed", count=2, cursor="2 6 99"),
        before=(sorted_feed(), *insert(b"x", b"y", b"z", b"!")),
        answer=ops.Page(("2", "3"), (), "2 4 3"),
    ),
    Row(
        "where another was added, what stood after the removed one is not left out",
        ops.ReadPage("F", "sorted_feed", count=2, cursor="1 4 99"),
        before=(sorted_feed(), *insert(b"x", b"y", b"z", b"!")),
        answer=ops.Page(("2", "3"), (), "2 4 3"),
    ),
    Row(
        "a queue is read from the end where items are taken",
        ops.ReadPage("F", "queue", count=2, with_items=True),
        before=(queue(), queued("a", "b", "c")),
        answer=ops.Page(("a", "b"), (b"item a", b"item b"), "1 3 b"),
    ),
    Row(
        "jobs in whatever state, in no order",
        ops.ReadPage("F", "job", with_items=True),
        before=(job(), put("a"), JobClaim("F", "T")),
        answer=ops.Page(("a",), (b"item a",), ""),
    ),
    Row(
        "a page of another type of feed is refused",
        ops.ReadPage("F", "feed"),
        before=(queue(), queued("a")),
        raises=WrongFeedType,
    ),
    Row(
        "items of the ids that there are",
        ops.ReadItems("F", ("a", "b", "ø")),
        before=(feed(), publish("a", "c", "ø")),
        answer={"a": b"item a", "ø": "item ø".encode()},
    ),
    # --- feed ---------------------------------------------------------------------------
    Row(
        "entries are published in order, with any bytes as item",
        ops.FeedPublish("F", (Entry("a", BINARY), Entry("ø", b""))),
        before=(feed(),),
        keys={
            b"feed.config:F": FEED_CONFIG,
            b"feed.ids:F": [(b"a", NOW), ("ø".encode(), NOW)],
            b"feed.items:F": {b"a": BINARY, "ø".encode(): b""},
            b"feed.publishes:F": b"2",
        },
        notices=(
            (b"feed.publish:F", b"a\0" + BINARY),
            (b"feed.publish:F", "ø".encode() + b"\0"),
        ),
        answer=(True, True),
        keeps=b"N1,1",
    ),
    Row(
        "an id that is there is edited and moves to the end, and a full feed drops nothing",
        ops.FeedPublish("F", (Entry("a", b"new"),)),
        before=(feed(max_length="2"), publish("a", "b")),
        keys={
            b"feed.config:F": {**FEED_CONFIG, b"max_length": b"2"},
            b"feed.ids:F": [(b"b", NOW), (b"a", NOW)],
            b"feed.items:F": {b"a": b"new", b"b": b"item b"},
            b"feed.publishes:F": b"3",
        },
        notices=((b"feed.edit:F", b"a\0new"),),
        answer=(False,),
        keeps=b"N0",
    ),
    Row(
        "max_length pushes out the oldest, told before what is new",
        ops.FeedPublish("F", (Entry("c", b"3"), Entry("d", b"4"))),
        before=(feed(max_length="2"), publish("a", "b")),
        keys={
            b"feed.config:F": {**FEED_CONFIG, b"max_length": b"2"},
            b"feed.ids:F": [(b"c", NOW), (b"d", NOW)],
            b"feed.items:F": {b"c": b"3", b"d": b"4"},
            b"feed.publishes:F": b"4",
        },
        notices=(
            (b"feed.retract:F", b"a"),
            (b"feed.publish:F", b"c\x003"),
            (b"feed.retract:F", b"b"),
            (b"feed.publish:F", b"d\x004"),
        ),
        answer=(True, True),
        keeps=b"N1,1",
    ),
    Row(
        "a feed that is not there is not published to",
        ops.FeedPublish("F", (Entry("a", b"1"),)),
        raises=FeedDoesNotExist,
    ),
    Row(
        "a queue is not published to",
        ops.FeedPublish("F", (Entry("a", b"1"),)),
        before=(queue(),),
        raises=WrongFeedType,
    ),
    Row(
        "only what was there is retracted and told",
        ops.FeedRetract("F", ("a", "x")),
        before=(feed(), publish("a", "b")),
        keys={
            b"feed.config:F": FEED_CONFIG,
            b"feed.ids:F": [(b"b", NOW)],
            b"feed.items:F": {b"b": b"item b"},
            b"feed.publishes:F": b"2",
        },
        notices=((b"feed.retract:F", b"a"),),
        answer=(True, False),
        keeps=b"N1,0",
    ),
    # --- sorted feed --------------------------------------------------------------------
    *(
        Row(
            f"an item is inserted at {position}",
            ops.SortedInsert("F", (b"z\0z",), Position.parse(position)),
            before=(sorted_feed(), *insert(b"x", b"y")),
            keys={
                b"feed.config:F": SORTED_CONFIG,
                b"feed.ids:F": order,
                b"feed.items:F": {b"1": b"x", b"2": b"y", b"3": b"z\0z"},
                b"feed.publishes:F": b"3",
                b"feed.idincr:F": b"3",
            },
            notices=(
                (b"feed.publish:F", b"3\0z\0z"),
                (b"feed.position:F", b"3\0" + position.encode()),
            ),
            answer=("3",),
            keeps=b"S3",
        )
        for position, order in (
            ("begin:", [b"3", b"1", b"2"]),
            (":end", [b"1", b"2", b"3"]),
            (":2", [b"1", b"3", b"2"]),
            ("1:", [b"1", b"3", b"2"]),
        )
    ),
    *(
        Row(
            f"several are inserted at {position} and stand in their order",
            ops.SortedInsert("F", (b"p", b"q"), Position.parse(position)),
            before=(sorted_feed(), *insert(b"x", b"y")),
            keys={
                b"feed.config:F": SORTED_CONFIG,
                b"feed.ids:F": order,
                b"feed.items:F": {b"1": b"x", b"2": b"y", b"3": b"p", b"4": b"q"},
                b"feed.publishes:F": b"4",
                b"feed.idincr:F": b"4",
            },
            notices=(
                (b"feed.publish:F", b"3\0p"),
                (b"feed.position:F", b"3\0" + position.encode()),
                (b"feed.publish:F", b"4\0q"),
                (b"feed.position:F", b"4\0" + second),
            ),
            answer=("3", "4"),
            keeps=b"S3\x004",
        )
        for position, second, order in (
            ("begin:", b"3:", [b"3", b"4", b"1", b"2"]),
            (":end", b":end", [b"1", b"2", b"3", b"4"]),
            (":2", b":2", [b"1", b"3", b"4", b"2"]),
            ("1:", b"3:", [b"1", b"3", b"4", b"2"]),
        )
    ),
    Row(
        "an id that comes twice, pushed out between",
        ops.FeedPublish("F", (Entry("a", b"1"), Entry("b", b"2"), Entry("a", b"3"))),
        before=(feed(max_length="1"),),
        keys={
            b"feed.config:F": {**FEED_CONFIG, b"max_length": b"1"},
            b"feed.ids:F": [(b"a", NOW)],
            b"feed.items:F": {b"a": b"3"},
            b"feed.publishes:F": b"3",
        },
        notices=(
            (b"feed.publish:F", b"a\x001"),
            (b"feed.retract:F", b"a"),
            (b"feed.publish:F", b"b\x002"),
            (b"feed.retract:F", b"b"),
            (b"feed.publish:F", b"a\x003"),
        ),
        answer=(True, True, True),
        keeps=b"N1,1,1",
    ),
    Row(
        "a missing neighbour uses up no id",
        ops.SortedInsert("F", (b"z",), Position.parse(":9")),
        before=(sorted_feed(), *insert(b"x")),
        raises=ItemDoesNotExist,
    ),
    Row(
        "an item is edited in its place",
        ops.SortedEdit("F", Entry("1", b"new")),
        before=(sorted_feed(), *insert(b"x", b"y")),
        keys={
            b"feed.config:F": SORTED_CONFIG,
            b"feed.ids:F": [b"1", b"2"],
            b"feed.items:F": {b"1": b"new", b"2": b"y"},
            b"feed.publishes:F": b"3",
            b"feed.idincr:F": b"2",
        },
        notices=((b"feed.edit:F", b"1\0new"),),
        keeps=b"n1",
    ),
    Row(
        "an item that is not there is not edited",
        ops.SortedEdit("F", Entry("9", b"new")),
        before=(sorted_feed(), *insert(b"x")),
        raises=ItemDoesNotExist,
    ),
    *(
        Row(
            f"item 2 is moved to {position}",
            ops.SortedMove("F", "2", Position.parse(position)),
            before=(sorted_feed(), *insert(b"x", b"y", b"z")),
            keys={
                b"feed.config:F": SORTED_CONFIG,
                b"feed.ids:F": order,
                b"feed.items:F": {b"1": b"x", b"2": b"y", b"3": b"z"},
                b"feed.publishes:F": b"3",
                b"feed.idincr:F": b"3",
            },
            notices=((b"feed.position:F", b"2\0" + position.encode()),),
            keeps=b"n1",
        )
        for position, order in (
            ("begin:", [b"2", b"1", b"3"]),
            (":end", [b"1", b"3", b"2"]),
            (":1", [b"2", b"1", b"3"]),
            ("3:", [b"1", b"3", b"2"]),
            (":3", [b"1", b"2", b"3"]),
        )
    ),
    Row(
        "an item is not moved next to itself",
        ops.SortedMove("F", "1", Position.parse("1:")),
        before=(sorted_feed(), *insert(b"x", b"y")),
        keeps=b"n0",
    ),
    Row(
        "nothing is moved next to what is not there",
        ops.SortedMove("F", "1", Position.parse("9:")),
        before=(sorted_feed(), *insert(b"x", b"y")),
        raises=ItemDoesNotExist,
    ),
    Row(
        "what is not there is not moved",
        ops.SortedMove("F", "9", Position.parse("1:")),
        before=(sorted_feed(), *insert(b"x", b"y")),
        raises=ItemDoesNotExist,
    ),
    Row(
        "only what was there is retracted and told, and ids are not given again",
        ops.SortedRetract("F", ("2", "9")),
        before=(sorted_feed(), *insert(b"x", b"y")),
        keys={
            b"feed.config:F": SORTED_CONFIG,
            b"feed.ids:F": [b"1"],
            b"feed.items:F": {b"1": b"x"},
            b"feed.publishes:F": b"2",
            b"feed.idincr:F": b"2",
        },
        notices=((b"feed.retract:F", b"2"),),
        answer=(True, False),
        keeps=b"N1,0",
    ),
    # --- queue --------------------------------------------------------------------------
    Row(
        "normal items join at the left",
        ops.QueuePut("F", (Entry("a", b"1"), Entry("b", BINARY))),
        before=(queue(),),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"1", b"b": BINARY},
            b"feed.publishes:F": b"2",
        },
        keeps=b"n2",
    ),
    Row(
        "high priority joins at the right",
        ops.QueuePut("F", (Entry("c", b"3"),), Priority.HIGH),
        before=(queue(), queued("a", "b")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"b", b"a", b"c"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"3"},
            b"feed.publishes:F": b"3",
        },
        keeps=b"n1",
    ),
    Row(
        "items are taken from the right, held under the token, and still there",
        QueueTake("F", "T", 2),
        before=(queue(), queued("a", "b", "c")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.claimed:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T"), b"b": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a\0b"},
        },
        answer=ops.Batch((ops.Delivery("a", b"item a", 0), ops.Delivery("b", b"item b", 0))),
    ),
    Row(
        "what is reserved is taken first, and an id without item is passed over",
        QueueTake("F", "T"),
        before=(
            queue(),
            queued("a", "b"),
            (b"RPUSH", b"feed.ids:F", b"ghost"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=ops.Batch((ops.Delivery("a", b"item a", 0),)),
    ),
    Row(
        "of an empty queue nothing is taken",
        QueueTake("F", "T"),
        before=(queue(),),
        answer=ops.Batch((), 10.0),
    ),
    Row(
        "asked again with the same token, it answers the same and takes no more",
        QueueTake("F", "T", 2),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T", 2)),
        answer=ops.Batch((ops.Delivery("a", b"item a", 0), ops.Delivery("b", b"item b", 0))),
    ),
    Row(
        "what was not confirmed in time comes back, what was taken first is next",
        QueueTake("F", "T3"),
        before=(
            queue(),
            queued("a", "b", "c"),
            QueueTake("F", "T1"),
            QueueTake("F", "T2"),
            old("claimed", "a", 12),
            old("claimed", "b", 11),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T3")},
            b"feed.tokens:F": {b"T3": b"a"},
        },
        answer=ops.Batch((ops.Delivery("a", b"item a", 0),)),
    ),
    Row(
        "what was not confirmed for nine seconds does not come back, but soon",
        QueueTake("F", "T2"),
        before=(queue(), queued("a"), QueueTake("F", "T1"), old("claimed", "a", 9)),
        answer=ops.Batch((), About(1)),
    ),
    Row(
        "what has arrived is gone",
        ops.QueueConfirm("F", ("a", "b"), "T"),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T", 2)),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c"],
            b"feed.items:F": {b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        keeps=b"n2",
    ),
    Row(
        "what has arrived in part stays in part",
        ops.QueueConfirm("F", ("b",), "T"),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T", 3)),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.items:F": {b"a": b"item a", b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.claimed:F": [(b"a", NOW), (b"c", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T"), b"c": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a\0c"},
        },
        keeps=b"n1",
    ),
    Row(
        "nothing is confirmed under another token",
        ops.QueueConfirm("F", ("a",), "T2"),
        before=(queue(), queued("a"), QueueTake("F", "T")),
        raises=NotClaimed,
    ),
    Row(
        "of several all are confirmed or none",
        ops.QueueConfirm("F", ("a", "b"), "T"),
        before=(queue(), queued("a", "b"), QueueTake("F", "T")),
        raises=NotClaimed,
    ),
    Row(
        "what goes back unconfirmed is next again, in its order, and no publish",
        ops.QueueReturn("F", (Entry("a", b"item a"), Entry("b", b"item b")), "T"),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T", 2)),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        keeps=b"n2",
    ),
    Row(
        "what goes back after it was confirmed is next again, too",
        ops.QueueReturn("F", (Entry("a", b"item a"), Entry("b", b"item b")), "T"),
        before=(
            queue(),
            queued("a", "b", "c"),
            QueueTake("F", "T", 2),
            ops.QueueConfirm("F", ("a", "b"), "T"),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        keeps=b"n2",
    ),
    Row(
        "what has come back by itself, to whomever, does not go back again",
        ops.QueueReturn("F", (Entry("a", b"item a"), Entry("b", b"item b")), "T"),
        before=(
            queue(),
            queued("a", "b"),
            QueueTake("F", "T", 2),
            ops.Release("F", "T"),
            QueueTake("F", "T2"),
        ),
        keeps=b"n0",
    ),
    # --- job ----------------------------------------------------------------------------
    Row(
        "jobs join at the left, with their time",
        ops.JobPut("F", (Entry("a", b"1"), Entry("b", b"2"))),
        before=(job(),),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"1", b"b": b"2"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
        },
        keeps=b"n2",
    ),
    Row(
        "jobs of high priority join at the right",
        ops.JobPut("F", (Entry("b", b"2"),), Priority.HIGH),
        before=(job(), put("a")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"2"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
        },
        keeps=b"n1",
    ),
    Row(
        "a claim is dated and held under its token",
        JobClaim("F", "T"),
        before=(job(), put("a", "b"), (b"HSET", b"feed.cancelled:F", b"a", b"4")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.cancelled:F": {b"a": b"4"},
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=ops.Batch((ops.Delivery("a", b"item a", 4),), None),
    ),
    Row(
        "a claim that ran out is cancelled and comes back to whoever gets next",
        JobClaim("F", "T2"),
        before=(
            job(claim_timeout="5"),
            put("a"),
            JobClaim("F", "T1"),
            old("claimed", "a"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"5"},
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.holders:F": {b"a": Holder(b"T2")},
            b"feed.tokens:F": {b"T2": b"a"},
        },
        answer=ops.Batch((ops.Delivery("a", b"item a", 1),), None),
    ),
    Row(
        "asked again with the same token, it answers the same and claims no more",
        JobClaim("F", "T", 2),
        before=(job(), put("a", "b", "c"), JobClaim("F", "T", 2)),
        answer=ops.Batch((ops.Delivery("a", b"item a", 0), ops.Delivery("b", b"item b", 0)), None),
    ),
    Row(
        "asked again after a part was ended, it answers the rest",
        JobClaim("F", "T", 2),
        before=(
            job(),
            put("a", "b", "c"),
            JobClaim("F", "T", 2),
            ops.JobFinish("F", (Completion("a", "T"),)),
        ),
        answer=ops.Batch((ops.Delivery("b", b"item b", 0),), None),
    ),
    Row(
        "asked again after all was ended, the token is a new one",
        JobClaim("F", "T"),
        before=(job(), put("a", "b"), JobClaim("F", "T"), ops.JobFinish("F", (Completion("a"),))),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"b", NOW)],
            b"feed.claimed:F": [(b"b", NOW)],
            b"feed.finishes:F": b"1",
            b"feed.holders:F": {b"b": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"b"},
        },
        answer=ops.Batch((ops.Delivery("b", b"item b", 0),), None),
    ),
    Row(
        "finished without a result leaves nothing but the counter, and says nothing",
        ops.JobFinish("F", (Completion("a", "T"),)),
        before=(job(), put("a"), (b"HSET", b"feed.cancelled:F", b"a", b"1"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
        },
        keeps=b"n1",
    ),
    Row(
        "a result is stored behind the query for its time, and announced",
        ops.JobFinish("F", (Completion("a", has_result=True, result=b"r\0r", timeout=600),)),
        before=(job(), put("a"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
            b"feed.jobfinished:F\0a": Expiring([b"some", b"item a", b"r\0r"], 600),
            b"feed.results:F": [(b"a", Now(600))],
        },
        notices=((b"job.finish:F", b"a\0r\0r"),),
        keeps=b"n1",
    ),
    Row(
        "an empty result counts, and is kept as configured",
        ops.JobFinish("F", (Completion("a", has_result=True, result=b""),)),
        before=(job(result_timeout="1200"), put("a"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"result_timeout": b"1200"},
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
            b"feed.jobfinished:F\0a": Expiring([b"some", b"item a", b""], 1200),
            b"feed.results:F": [(b"a", Now(1200))],
        },
        notices=((b"job.finish:F", b"a\0"),),
        keeps=b"n1",
    ),
    Row(
        "no value is told from the empty text, and kept for one day when nothing is configured",
        ops.JobFinish("F", (Completion("a", has_result=True, result=None),)),
        before=(job(), put("a"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
            b"feed.jobfinished:F\0a": Expiring([b"none", b"item a", b""], 86_400),
            b"feed.results:F": [(b"a", Now(86_400))],
        },
        notices=((b"job.finish:F", b"a\0"),),
        keeps=b"n1",
    ),
    Row(
        "a result for ever does not expire, and the index forgets those that did",
        ops.JobFinish("F", (Completion("a", has_result=True, result=b"r", timeout=0),)),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            old("results", "gone"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
            b"feed.jobfinished:F\0a": [b"some", b"item a", b"r"],
            b"feed.results:F": [(b"a", float("inf"))],
        },
        notices=((b"job.finish:F", b"a\0r"),),
        keeps=b"n1",
    ),
    Row(
        "of several all are finished or none",
        ops.JobFinish("F", (Completion("a", has_result=True, result=b"r"), Completion("b"))),
        before=(job(), put("a", "b"), JobClaim("F", "T")),
        raises=NotClaimed,
    ),
    Row(
        "under another token nothing is finished",
        ops.JobFinish("F", (Completion("a", "other"),)),
        before=(job(), put("a"), JobClaim("F", "T")),
        raises=NotClaimed,
    ),
    Row(
        "without recovery it takes what waits, and leaves what expired and what is on its way",
        JobClaim("F", "U", 2, recover_expired=False),
        before=(
            job(claim_timeout="60"),
            put("a", "b", "c", "d"),
            JobClaim("F", "T"),
            old("claimed", "a", 100),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"60"},
            b"feed.reserved:F": [b"b"],
            b"feed.items:F": {i: b"item " + i for i in (b"a", b"b", b"c", b"d")},
            b"feed.publishes:F": b"4",
            b"feed.published:F": [(i, NOW) for i in (b"a", b"b", b"c", b"d")],
            b"feed.claimed:F": [(b"a", Now(-100)), (b"c", NOW), (b"d", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T"), b"c": Holder(b"U"), b"d": Holder(b"U")},
            b"feed.tokens:F": {b"T": b"a", b"U": b"c\0d"},
        },
        answer=Batch((Delivery("c", b"item c"), Delivery("d", b"item d"))),
    ),
    Row(
        "where nothing waits, it takes these as well",
        JobClaim("F", "U", 2, recover_expired=False),
        before=(
            job(claim_timeout="60"),
            put("a", "b"),
            JobClaim("F", "T"),
            old("claimed", "a", 100),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            JobClaim("F", "V"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"60"},
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.claimed:F": [(b"b", NOW), (b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"U"), b"b": Holder(b"V")},
            b"feed.tokens:F": {b"U": b"a", b"V": b"b"},
        },
        answer=Batch((Delivery("a", b"item a", 1),)),
    ),
    Row(
        "the last job is finished and the next one claimed",
        ops.JobNext("F", "U", finished=(Completion("a", "T", has_result=True, result=b"r"),)),
        before=(job(), put("a", "b"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.finishes:F": b"1",
            b"feed.published:F": [(b"b", NOW)],
            b"feed.claimed:F": [(b"b", NOW)],
            b"feed.holders:F": {b"b": Holder(b"U")},
            b"feed.tokens:F": {b"U": b"b"},
            b"feed.results:F": [(b"a", Now(86400))],
            b"feed.jobfinished:F\0a": Expiring([b"some", b"item a", b"r"], 86400),
        },
        notices=((b"job.finish:F", b"a\0r"),),
        answer=Batch((Delivery("b", b"item b"),)),
    ),
    Row(
        "one that failed is cancelled and waits at the end",
        ops.JobNext("F", "U", 0, cancelled=(ClaimRef("a", "T"),)),
        before=(job(), put("a", "b"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.cancelled:F": {b"a": b"1"},
        },
        answer=Batch(()),
    ),
    Row(
        "what is held by another is left alone and told",
        ops.JobNext(
            "F",
            "U",
            finished=(Completion("a", "V"), Completion("b", "T")),
            cancelled=(ClaimRef("c", "T"),),
        ),
        before=(job(), put("a", "b"), JobClaim("F", "T", 2)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"2",
            b"feed.finishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=Batch((), None, ("a", "c")),
    ),
    Row(
        "a claim is dated anew",
        ops.JobExtend("F", (ClaimRef("a", "T"),)),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            (b"ZADD", b"feed.claimed:F", 1_700_000_000_000, b"a"),
            (b"HSET", b"feed.holders:F", b"a", b"T 1700000000000"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.running:F": [(b"T a", 1_700_000_000_000)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=(True,),
        keeps=b"N1",
    ),
    Row(
        "a claim that was dated before keeps its time, and what is left of others goes",
        ops.JobExtend("F", (ClaimRef("a", "T"),)),
        before=(
            job(),
            put("a", "b"),
            JobClaim("F", "T"),
            (b"ZADD", b"feed.running:F", 1_700_000_000_000, b"T a", 1_600_000_000_000, b"U a"),
            (b"ZADD", b"feed.running:F", 1_600_000_000_001, b"T b", 1_600_000_000_002, b"nothing"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.running:F": [(b"T a", 1_700_000_000_000)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=(True,),
        keeps=b"N1",
    ),
    Row(
        "dating a peer's claim anew does not bring the former holder back",
        ops.JobExtend("F", (ClaimRef("a"),)),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            (b"ZADD", b"feed.claimed:F", 1_700_000_000_000, b"a"),
            (b"HSET", b"feed.holders:F", b"a", b"T 1600000000000"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": b"T 1600000000000"},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=(True,),
        keeps=b"N1",
    ),
    Row(
        "a claim of a peer since then makes the token void",
        ops.JobExtend("F", (ClaimRef("a", "T"),)),
        before=(job(), put("a"), JobClaim("F", "T"), old("claimed", "a")),
        answer=(False,),
        keeps=b"N0",
    ),
    Row(
        "a cancelled job waits at the left and its failures are counted",
        ops.JobCancel("F", "a", "T"),
        before=(job(), put("a", "b"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.cancelled:F": {b"a": b"1"},
        },
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "cancelled max_failures times it is stalled",
        ops.JobCancel("F", "a"),
        before=(
            job(max_failures="2"),
            put("a"),
            (b"HSET", b"feed.cancelled:F", b"a", b"1"),
            JobClaim("F", "T"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"max_failures": b"2"},
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.cancelled:F": {b"a": b"2"},
            b"feed.stalled:F": {b"a"},
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a job that waits cannot be cancelled",
        ops.JobCancel("F", "a"),
        before=(job(), put("a")),
        raises=NotClaimed,
    ),
    Row(
        "released jobs are next again, in their order, with no failure",
        ops.Release("F", "T"),
        before=(job(), put("a", "b", "c"), JobClaim("F", "T", 2)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"c", b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW), (b"c", NOW)],
        },
        answer=("b", "a"),
    ),
    Row(
        "what is released is what the token still holds",
        ops.Release("F", "T"),
        before=(
            job(),
            put("ended", "kept", "taken over"),
            JobClaim("F", "T", 3),
            ops.JobFinish("F", (Completion("ended"),)),
            old("claimed", "taken over"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"kept"],
            b"feed.items:F": {b"kept": b"item kept", b"taken over": b"item taken over"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": [(b"kept", NOW), (b"taken over", NOW)],
            b"feed.claimed:F": [(b"taken over", Now(-60))],
            b"feed.finishes:F": b"1",
            b"feed.holders:F": {b"taken over": Holder(b"T")},
        },
        answer=("kept",),
    ),
    Row(
        "of what is held under a token some can be released, and those alone",
        ops.Release("F", "T", ("c", "b", "unknown", "waits")),
        before=(job(), put("a", "b", "c", "d", "waits"), JobClaim("F", "T", 4)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"waits", b"c", b"b"],
            b"feed.items:F": {id: b"item " + id for id in (b"a", b"b", b"c", b"d", b"waits")},
            b"feed.publishes:F": b"5",
            b"feed.published:F": [(id, NOW) for id in (b"a", b"b", b"c", b"d", b"waits")],
            b"feed.claimed:F": [(b"a", NOW), (b"d", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T"), b"d": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a\0d"},
        },
        answer=("c", "b"),
    ),
    Row(
        "released items of a queue are next again, in their order",
        ops.Release("F", "T"),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T", 2)),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        answer=("b", "a"),
    ),
    Row(
        "a token under which nothing is held releases nothing",
        ops.Release("F", "T2"),
        before=(queue(), queued("a"), QueueTake("F", "T")),
        answer=(),
    ),
    Row(
        "a feed has nothing to release",
        ops.Release("F", "T"),
        before=(feed(),),
        raises=WrongFeedType,
    ),
    Row(
        "a stalled job keeps its item and the count of its failures",
        ops.JobStall("F", "a", "T"),
        before=(job(), put("a"), (b"HSET", b"feed.cancelled:F", b"a", b"1"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.stalled:F": {b"a"},
        },
        keeps=b"n1",
    ),
    Row(
        "a job that waits cannot be stalled",
        ops.JobStall("F", "a"),
        before=(job(), put("a")),
        raises=NotClaimed,
    ),
    Row(
        "a retried job waits at the left with a new time",
        ops.JobRetry("F", "a"),
        before=(job(), put("a", "b"), JobClaim("F", "T"), ops.JobStall("F", "a")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": Any,
        },
        keeps=b"n1",
    ),
    Row(
        "a job that is not stalled cannot be retried",
        ops.JobRetry("F", "a"),
        before=(job(), put("a")),
        raises=NotStalled,
    ),
    Row(
        "jobs are retracted in whatever state, without a word",
        ops.JobRetract("F", ("waiting", "claimed", "stalled", "reserved", "x")),
        before=(
            job(),
            put("stalled", "claimed", "reserved", "waiting"),
            JobClaim("F", "T", 2),
            ops.JobStall("F", "stalled"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"HSET", b"feed.cancelled:F", b"waiting", b"1"),
        ),
        keys={b"feed.config:F": JOB_CONFIG, b"feed.publishes:F": b"4"},
        answer=(True, True, True, True, False),
        keeps=b"N1,1,1,1,0",
    ),
    Row(
        "failures are read",
        ops.JobFailures("F", "a"),
        before=(job(), put("a"), (b"HSET", b"feed.cancelled:F", b"a", b"3")),
        answer=3,
    ),
    Row(
        "jobs are counted by state",
        ops.CountJobs("F"),
        before=(
            job(),
            put("a", "b", "c", "d", "e", "f"),
            JobClaim("F", "T", 3),
            ops.JobStall("F", "a"),
            ops.JobFinish("F", (Completion("b"),)),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
        ),
        answer=ops.JobCounts(waiting=3, claimed=1, stalled=1, finished=1),
    ),
    Row(
        "a result is read and stays",
        ops.ReadResult("F", "a"),
        before=(job(), (b"RPUSH", b"feed.jobfinished:F\0a", b"some", b"q", b"r")),
        answer=ops.StoredResult(b"q", b"r"),
    ),
    Row(
        "a peer's result, without query",
        ops.ReadResult("F", "a"),
        before=(job(), (b"RPUSH", b"feed.jobfinished:F\0a", b"r")),
        answer=ops.StoredResult(None, b"r"),
    ),
    Row(
        "a result of no value",
        ops.ReadResult("F", "a"),
        before=(job(), (b"RPUSH", b"feed.jobfinished:F\0a", b"none", b"q", b"")),
        answer=ops.StoredResult(b"q", None),
    ),
    Row(
        "two elements are what a peer has left of a result that it consumed",
        ops.ReadResult("F", "a"),
        before=(job(), (b"RPUSH", b"feed.jobfinished:F\0a", b"some", b"q")),
        answer=None,
    ),
    Row("no result", ops.ReadResult("F", "a"), before=(job(), put("a")), answer=None),
    Row(
        "maintenance mends all that can be broken",
        ops.JobMaintain("F"),
        before=(
            job(claim_timeout="30", max_failures="2"),
            put("young", "expired", "failed", "first", "second", "lost", "leftover"),
            (b"HSET", b"feed.cancelled:F", b"failed", b"1"),
            JobClaim("F", "T", 3),
            old("claimed", "expired"),
            old("claimed", "failed"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"LREM", b"feed.ids:F", 1, b"lost"),
            (b"LREM", b"feed.ids:F", 1, b"leftover"),
            (b"ZREM", b"feed.published:F", b"leftover"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"30", b"max_failures": b"2"},
            b"feed.ids:F": [b"lost", b"expired", b"second", b"first"],
            b"feed.items:F": {
                b"young": b"item young",
                b"expired": b"item expired",
                b"failed": b"item failed",
                b"first": b"item first",
                b"second": b"item second",
                b"lost": b"item lost",
            },
            b"feed.publishes:F": b"7",
            b"feed.published:F": [
                (b"expired", NOW),
                (b"first", NOW),
                (b"lost", NOW),
                (b"second", NOW),
                (b"young", NOW),
            ],
            b"feed.claimed:F": [(b"young", NOW)],
            b"feed.cancelled:F": {b"expired": b"1", b"failed": b"2"},
            b"feed.stalled:F": {b"failed"},
            b"feed.holders:F": {b"young": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"young"},
        },
        answer=ops.MaintenanceReport(
            expired=("expired",), stalled=("failed",), recovered=("lost",), discarded=("leftover",)
        ),
    ),
    Row(
        "a step of maintenance mends what is broken, and names suspects",
        ops.JobMend("F"),
        before=(
            job(claim_timeout="30", max_failures="2"),
            put("young", "expired", "failed", "first", "second", "lost", "leftover"),
            (b"HSET", b"feed.cancelled:F", b"failed", b"1"),
            JobClaim("F", "T", 3),
            old("claimed", "expired"),
            old("claimed", "failed"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"LREM", b"feed.ids:F", 1, b"lost"),
            (b"LREM", b"feed.ids:F", 1, b"leftover"),
            (b"ZREM", b"feed.published:F", b"leftover"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"30", b"max_failures": b"2"},
            b"feed.ids:F": [b"expired", b"second", b"first"],
            b"feed.items:F": {
                b"young": b"item young",
                b"expired": b"item expired",
                b"failed": b"item failed",
                b"first": b"item first",
                b"second": b"item second",
                b"lost": b"item lost",
                b"leftover": b"item leftover",
            },
            b"feed.publishes:F": b"7",
            b"feed.published:F": [
                (b"expired", NOW),
                (b"first", NOW),
                (b"lost", NOW),
                (b"second", NOW),
                (b"young", NOW),
            ],
            b"feed.claimed:F": [(b"young", NOW)],
            b"feed.cancelled:F": {b"expired": b"1", b"failed": b"2"},
            b"feed.stalled:F": {b"failed"},
            b"feed.holders:F": {b"young": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"young"},
        },
        answer=ops.Mended(
            ops.MaintenanceReport(expired=("expired",), stalled=("failed",)),
            others=AnyOrder("expired", "first", "second", "lost", "leftover"),  # type: ignore[arg-type]
            waiting=("expired", "second", "first"),
        ),
    ),
    Row(
        "suspects that are in no state are recovered, or discarded when they have no time",
        ops.JobMend("F", suspects=("lost", "waits", "leftover", "claimed", "unknown")),
        before=(
            job(),
            put("claimed", "lost", "leftover", "waits"),
            JobClaim("F", "T", 1),
            (b"LREM", b"feed.ids:F", 1, b"lost"),
            (b"LREM", b"feed.ids:F", 1, b"leftover"),
            (b"ZREM", b"feed.published:F", b"leftover"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"lost", b"waits"],
            b"feed.items:F": {
                b"claimed": b"item claimed",
                b"lost": b"item lost",
                b"waits": b"item waits",
            },
            b"feed.publishes:F": b"4",
            b"feed.published:F": [(b"claimed", NOW), (b"lost", NOW), (b"waits", NOW)],
            b"feed.claimed:F": [(b"claimed", NOW)],
            b"feed.holders:F": {b"claimed": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"claimed"},
        },
        answer=ops.Mended(
            ops.MaintenanceReport(recovered=("lost",), discarded=("leftover",)), looked_at=5
        ),
    ),
    Row(
        "a step of a retraction",
        ops.RetractSome("F", "job", ("a", "unknown", "b")),
        before=(job(), put("a", "b", "c"), JobClaim("F", "T", 1)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"c"],
            b"feed.items:F": {b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": [(b"c", NOW)],
        },
        answer=ops.SomeRetracted((True, False, True), "0 0"),
        keeps=b"N0,0,1,0,1",
    ),
    Row(
        "a step of a retraction from a sorted feed",
        ops.RetractSome("F", "sorted_feed", ("2", "1", "9")),
        before=(sorted_feed(), *insert(b"x", b"y", b"z")),
        keys={
            b"feed.config:F": SORTED_CONFIG,
            b"feed.ids:F": [b"3"],
            b"feed.items:F": {b"3": b"z"},
            b"feed.publishes:F": b"3",
            b"feed.idincr:F": b"3",
        },
        notices=((b"feed.retract:F", b"2"), (b"feed.retract:F", b"1")),
        answer=ops.SomeRetracted((True, True, False), "0 0"),
        keeps=b"N0,0,1,1,0",
    ),
    Row(
        "an item under an id that is taken is kept, others are added",
        ops.QueueAdd("F", (Entry("a", b"new"), Entry("b", b"B")), unique_for=100),
        before=(queue(), queued("a")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"B"},
            b"feed.publishes:F": b"2",
            b"feed.unique:F": [(b"b", Now(100))],
        },
        answer=(ops.Outcome.KEPT, ops.Outcome.ADDED),
        keeps=b"N0,1",
    ),
    Row(
        "an item that waits is replaced in its place, and one that is on its way is not",
        ops.QueueAdd("F", (Entry("a", b"new"), Entry("b", b"new")), if_exists=ops.IfExists.REPLACE),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"new", b"c": b"item c"},
            b"feed.publishes:F": b"4",
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
        },
        answer=(ops.Outcome.KEPT, ops.Outcome.REPLACED),
        keeps=b"N0,2",
    ),
    Row(
        "a put under an id that is taken is refused whole",
        ops.QueueAdd("F", (Entry("b", b"x"), Entry("a", b"x")), if_exists=ops.IfExists.REFUSE),
        before=(queue(), queued("a")),
        raises=ItemExists,
    ),
    Row(
        "an id stays taken when its item is gone",
        ops.QueueAdd("F", (Entry("a", b"x"),), if_exists=ops.IfExists.REPLACE),
        before=(queue(), (b"ZADD", "feed.unique:F", 9e12, "a")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.unique:F": [(b"a", 9e12)],
        },
        answer=(ops.Outcome.KEPT,),
        keeps=b"N0",
    ),
    Row(
        "a queue is cleared, with what is on its way",
        ops.QueueClear("F"),
        before=(queue(), queued("a", "b", "c"), QueueTake("F", "T")),
        keys={b"feed.config:F": QUEUE_CONFIG, b"feed.publishes:F": b"3"},
        answer=ops.Step(3, 0),
        keeps=b"N3,0",
    ),
    Row(
        "a short step of clearing a queue",
        ops.QueueClear("F", 1),
        before=(queue(), queued("a", "b", "c")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"c", b"b"],
            b"feed.items:F": {b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        answer=ops.Step(1, 2),
        keeps=b"N1,2",
    ),
    Row(
        "stalled jobs are available again, without failures",
        ops.JobRetryAll("F"),
        before=(
            job(max_failures="1"),
            put("a", "b"),
            JobClaim("F", "T", 1),
            ops.JobCancel("F", "a", "T"),
            (b"SADD", "feed.stalled:F", "gone"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"max_failures": b"1"},
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"b")),
        },
        answer=ops.Step(1, 0),
        keeps=b"N1,0",
    ),
    Row(
        "claimed jobs are removed, and the others stay",
        ops.JobClear("F", ops.JobState.CLAIMED),
        before=(job(), put("a", "b"), JobClaim("F", "T", 1)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b"],
            b"feed.items:F": {b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"b", NOW)],
        },
        answer=ops.Step(1, 0),
        keeps=b"N1,0",
    ),
    Row(
        "waiting jobs are removed, the next ones first",
        ops.JobClear("F", ops.JobState.WAITING, 1),
        before=(job(), put("a", "b"), (b"ZADD", "feed.unique:F", 9e12, "a")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b"],
            b"feed.items:F": {b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"b", NOW)],
        },
        answer=ops.Step(1, 1),
        keeps=b"N1,1",
    ),
    Row(
        "scheduled jobs are removed",
        ops.JobClear("F", ops.JobState.SCHEDULED),
        before=(job(), ops.JobAdd("F", (Entry("a", b"A"),), due=ops.Due(delay=60))),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"1",
        },
        answer=ops.Step(1, 0),
        keeps=b"N1,0",
    ),
    Row(
        "stalled jobs are removed",
        ops.JobClear("F", ops.JobState.STALLED),
        before=(job(), put("a"), JobClaim("F", "T", 1), ops.JobStall("F", "a", "T")),
        keys={b"feed.config:F": JOB_CONFIG, b"feed.publishes:F": b"1"},
        answer=ops.Step(1, 0),
        keeps=b"N1,0",
    ),
    Row(
        "a page of the jobs that wait, the next one first",
        ops.ReadJobPage("F", ops.JobState.WAITING),
        before=(job(), put("a", "b")),
        answer=ops.JobPage(
            (
                ops.JobInfo("a", ops.JobState.WAITING, put=MOMENT),
                ops.JobInfo("b", ops.JobState.WAITING, put=MOMENT),
            ),
            (b"item a", b"item b"),
            "",
        ),
    ),
    Row(
        "a page of the jobs that are claimed",
        ops.ReadJobPage("F", ops.JobState.CLAIMED),
        before=(job(), put("a", "b"), JobClaim("F", "T", 1)),
        answer=ops.JobPage(
            (ops.JobInfo("a", ops.JobState.CLAIMED, put=MOMENT, claimed=MOMENT),),
            (b"item a",),
            "",
        ),
    ),
    Row(
        "a page of the jobs that are stalled says why",
        ops.ReadJobPage("F", ops.JobState.STALLED),
        before=(
            job(),
            put("a", "b"),
            JobClaim("F", "T", 1),
            ops.JobFail("F", "a", "T", stall=True, failure=ops.Failure("why", worker="w")),
        ),
        answer=ops.JobPage(
            (
                ops.JobInfo(
                    "a",
                    ops.JobState.STALLED,
                    put=MOMENT,
                    failed=MOMENT,
                    stalled=MOMENT,
                    failure=ops.Failure("why", worker="w"),
                ),
            ),
            (b"item a",),
            "",
        ),
    ),
    Row(
        "a page of the jobs that are scheduled, the next one first",
        ops.ReadJobPage("F", ops.JobState.SCHEDULED),
        before=(
            job(),
            ops.JobAdd("F", (Entry("a", b"A"),), due=ops.Due(delay=15)),
            ops.JobAdd("F", (Entry("b", b"B"),), due=ops.Due(delay=9)),
        ),
        answer=ops.JobPage(
            (
                ops.JobInfo("b", ops.JobState.SCHEDULED, put=MOMENT, due=MOMENT),
                ops.JobInfo("a", ops.JobState.SCHEDULED, put=MOMENT, due=MOMENT),
            ),
            (b"B", b"A"),
            "",
        ),
    ),
    Row(
        "items of a feed are restored with their times",
        ops.Restore(
            "F",
            "feed",
            (
                ops.Restored(RestoreAs.ITEM, "a", b"A", at=1e9),
                ops.Restored(RestoreAs.ITEM, "b", b"B", at=1e9),
            ),
        ),
        before=(feed(),),
        keys={
            b"feed.config:F": FEED_CONFIG,
            b"feed.ids:F": [(b"a", 1e12), (b"b", 1e12 + 1 / 1024)],
            b"feed.items:F": {b"a": b"A", b"b": b"B"},
            b"feed.publishes:F": b"2",
        },
        notices=((b"feed.publish:F", b"a\0A"), (b"feed.publish:F", b"b\0B")),
        answer=(1, 1),
        keeps=b"N1,1",
    ),
    Row(
        "an item that is there is restored only if it differs",
        ops.Restore(
            "F",
            "feed",
            (
                ops.Restored(RestoreAs.ITEM, "a", b"item a", at=1e9),
                ops.Restored(RestoreAs.ITEM, "b", b"new"),
            ),
        ),
        before=(feed(), publish("a", "b")),
        keys={
            b"feed.config:F": FEED_CONFIG,
            b"feed.ids:F": [(b"a", Now()), (b"b", Now())],
            b"feed.items:F": {b"a": b"item a", b"b": b"new"},
            b"feed.publishes:F": b"3",
        },
        notices=((b"feed.edit:F", b"b\0new"),),
        answer=(0, 2),
        keeps=b"N0,2",
    ),
    Row(
        "restored items push out the oldest",
        ops.Restore("F", "feed", (ops.Restored(RestoreAs.ITEM, "b", b"B"),)),
        before=(feed(max_length="1"), publish("a")),
        keys={
            b"feed.config:F": {**FEED_CONFIG, b"max_length": b"1"},
            b"feed.ids:F": [(b"b", Now())],
            b"feed.items:F": {b"b": b"B"},
            b"feed.publishes:F": b"2",
        },
        notices=((b"feed.publish:F", b"b\0B"), (b"feed.retract:F", b"a")),
        answer=(1,),
        keeps=b"N1",
    ),
    Row(
        "items of a sorted feed are restored with their ids",
        ops.Restore(
            "F",
            "sorted_feed",
            (
                ops.Restored(RestoreAs.ITEM, "7", b"S"),
                ops.Restored(RestoreAs.ITEM, "1", b"new"),
            ),
        ),
        before=(sorted_feed(), *insert(b"old")),
        keys={
            b"feed.config:F": SORTED_CONFIG,
            b"feed.ids:F": [b"1", b"7"],
            b"feed.items:F": {b"1": b"new", b"7": b"S"},
            b"feed.publishes:F": b"3",
            b"feed.idincr:F": b"7",
        },
        notices=(
            (b"feed.publish:F", b"7\0S"),
            (b"feed.position:F", b"7\0:end"),
            (b"feed.edit:F", b"1\0new"),
        ),
        answer=(1, 2),
        keeps=b"N1,2",
    ),
    Row(
        "what is restored to a queue waits, and ids stay taken",
        ops.Restore(
            "F",
            "queue",
            (
                ops.Restored(RestoreAs.WAITING, "a", b"other"),
                ops.Restored(RestoreAs.WAITING, "b", b"B"),
                ops.Restored(RestoreAs.TAKEN, "c", at=5e9),
            ),
        ),
        before=(queue(), queued("a")),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"B"},
            b"feed.publishes:F": b"2",
            b"feed.unique:F": [(b"c", 5e12)],
        },
        answer=(0, 1, 1),
        keeps=b"N0,1,1",
    ),
    Row(
        "jobs are restored in their states, with results and schedules",
        ops.Restore(
            "F",
            "job",
            (
                ops.Restored(
                    RestoreAs.WAITING,
                    "w",
                    b"W",
                    put=1e9,
                    failures=2,
                    failed=2e9,
                    failure=ops.Failure("why", "E"),
                ),
                ops.Restored(RestoreAs.STALLED, "t", b"T", put=1e9, stalled=2e9),
                ops.Restored(RestoreAs.SCHEDULED, "s", b"S", at=5e9, put=1e9, is_high=True),
                ops.Restored(RestoreAs.RESULT, "r", b"Q", result=b"R"),
            ),
            (ops.ScheduleStatus(ops.Schedule("n", b"x", cron="c"), 5e9, (6e9,)),),
        ),
        before=(job(events="1"),),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"events": b"1"},
            b"feed.ids:F": [b"w"],
            b"feed.items:F": {b"w": b"W", b"t": b"T"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": [(b"w", 1e12)],
            b"feed.cancelled:F": {b"w": b"2"},
            b"feed.stalled:F": {b"t"},
            b"feed.scheduled:F": [(b"s", 5e12 + 0.5)],
            b"feed.scheduleditems:F": {b"s": b"S"},
            b"feed.info:F": {
                b"w": Facts(failed=2e12, message=b"why", error=b"E"),
                b"t": Facts(put=1e12, stalled=2e12),
                b"s": Facts(put=1e12, due=5e12),
            },
            b"feed.results:F": [(b"r", float("inf"))],
            b"feed.jobfinished:F\0r": [b"some", b"Q", b"R"],
            b"feed.schedules:F": {b"n": b"cron=c\0missed=once\0priority=normal\0item=x"},
            b"feed.runs:F": [(b"n", 5e12)],
            b"feed.runtimes:F": {b"n": b"6000000000000"},
        },
        notices=(
            (b"job.event:F", b"put\0w"),
            (b"job.event:F", b"stalled\0t"),
            (b"job.finish:F", b"r\0R"),
            (b"job.event:F", b"scheduled\0s\x005000000000000"),
        ),
        answer=(1, 1, 1, 1, 1),
        keeps=b"N1,1,1,1,1",
    ),
    Row(
        "what is too large is not restored",
        ops.Restore("F", "feed", (ops.Restored(RestoreAs.ITEM, "a", b"large"),)),
        before=(feed(max_item_size="3"),),
        raises=ItemTooLarge,
    ),
    Row(
        "nothing is restored to a feed of another type",
        ops.Restore("F", "queue", (ops.Restored(RestoreAs.WAITING, "a", b"A"),)),
        before=(feed(),),
        raises=WrongFeedType,
    ),
    Row(
        "times are read",
        ops.ReadTimes("F", "feed", ops.Times.PUBLISHED),
        before=(
            feed(),
            ops.Restore("F", "feed", (ops.Restored(RestoreAs.ITEM, "a", b"A", at=1e9),)),
        ),
        answer=ops.TimesPage((ops.IdTime("a", 1e9),)),
    ),
    Row(
        "a schedule is made, and is due after its interval",
        ops.JobSchedule("F", ops.Schedule("s", b"a\0b", every=1000)),
        before=(job(), (b"HSET", "feed.runtimes:F", "s", "9")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.schedules:F": {b"s": b"every=1000000\0missed=once\0priority=normal\0item=a\0b"},
            b"feed.runs:F": [(b"s", Now(1000))],
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a schedule that is there already goes on as it is",
        ops.JobSchedule("F", ops.Schedule("s", b"x", cron="0 3 * * *", tz="UTC"), (5e9, 6e9)),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", cron="0 3 * * *", tz="UTC"), (4e9,)),
        ),
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "a schedule under the same name is another",
        ops.JobSchedule(
            "F",
            ops.Schedule(
                "s",
                b"x",
                cron="0 3 * * *",
                tz="UTC",
                if_missed=ops.IfMissed.SKIP,
                priority=Priority.HIGH,
            ),
            (5e9, 6e9, 7e9),
        ),
        before=(job(), ops.JobSchedule("F", ops.Schedule("s", b"x", every=1000))),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.schedules:F": {
                b"s": b"cron=0 3 * * *\0tz=UTC\0missed=skip\0priority=high\0item=x"
            },
            b"feed.runs:F": [(b"s", 5e12)],
            b"feed.runtimes:F": {b"s": b"6000000000000 7000000000000"},
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "more times of a schedule are told",
        ops.JobSetRuns("F", ops.Schedule("s", b"x", cron="c"), (4e9, 5e9, 6e9)),
        before=(job(), ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c"), (5e9,))),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.schedules:F": {b"s": b"cron=c\0missed=once\0priority=normal\0item=x"},
            b"feed.runs:F": [(b"s", 5e12)],
            b"feed.runtimes:F": {b"s": b"6000000000000"},
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a schedule of which no times were left goes on",
        ops.JobSetRuns("F", ops.Schedule("s", b"x", cron="c"), (1.0, 5e9, 6e9)),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c"), (5e9,)),
            (b"DEL", "feed.runs:F", "feed.ids:F"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.schedules:F": {b"s": b"cron=c\0missed=once\0priority=normal\0item=x"},
            b"feed.runs:F": [(b"s", 5e12)],
            b"feed.runtimes:F": {b"s": b"6000000000000"},
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a schedule that is another by now is told no times",
        ops.JobSetRuns("F", ops.Schedule("s", b"old", cron="c"), (6e9,)),
        before=(job(), ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c"), (5e9,))),
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "a schedule is removed",
        ops.JobUnschedule("F", "s"),
        before=(job(), ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c"), (5e9, 6e9))),
        keys={b"feed.config:F": JOB_CONFIG, b"feed.ids:F": [b""]},
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a schedule that was not there",
        ops.JobUnschedule("F", "s"),
        (job(),),
        keeps=b"n0",
        answer=False,
    ),
    Row(
        "schedules are read",
        ops.ReadSchedules("F"),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c", tz="UTC"), (5e9, 6e9)),
        ),
        answer=(ops.ScheduleStatus(ops.Schedule("s", b"x", cron="c", tz="UTC"), 5e9, (6e9,)),),
    ),
    Row(
        "a job of a schedule is put when it is due, and the next one is known",
        JobClaim("F", "T"),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", cron="c"), (5e9, 6e9)),
            Old("runs", "s", 5),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.items:F": Any,
            b"feed.published:F": Any,
            b"feed.publishes:F": b"1",
            b"feed.claimed:F": Any,
            b"feed.holders:F": Any,
            b"feed.tokens:F": Any,
            b"feed.schedules:F": {b"s": b"cron=c\0missed=once\0priority=normal\0item=x"},
            b"feed.runs:F": [(b"s", 6e12)],
            b"feed.runtimes:F": {b"s": b""},
        },
        answer=Batch((Delivery(RunOf("s"), b"x"),)),
    ),
    Row(
        "of many jobs that were missed one is put",
        JobClaim("F", "T", 5),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", every=600)),
            Old("runs", "s", 6000),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.items:F": Any,
            b"feed.published:F": Any,
            b"feed.publishes:F": b"1",
            b"feed.claimed:F": Any,
            b"feed.holders:F": Any,
            b"feed.tokens:F": Any,
            b"feed.schedules:F": Any,
            b"feed.runs:F": [(b"s", Now(600))],
        },
        answer=Batch((Delivery(RunOf("s"), b"x"),)),
    ),
    Row(
        "a job that was missed is skipped",
        JobClaim("F", "T", 5),
        before=(
            job(),
            ops.JobSchedule("F", ops.Schedule("s", b"x", every=600, if_missed=ops.IfMissed.SKIP)),
            Old("runs", "s", 6100),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.schedules:F": Any,
            b"feed.runs:F": [(b"s", Now(500))],
        },
        answer=Batch((), About(500)),
    ),
    Row(
        "how far a job is",
        ops.JobProgress("F", "a", "T", 0.25, "resizing"),
        before=(job(), put("a"), JobClaim("F", "T", 1), (b"HSET", "feed.info:F", "a", "x=1")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.claimed:F": [(b"a", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"a"},
            b"feed.info:F": {
                b"a": Facts(x=b"1", progressed=NOW, progress=b"0.25", doing=b"resizing")
            },
        },
        keeps=b"n1",
    ),
    Row(
        "how far a job is that is another's",
        ops.JobProgress("F", "a", "U", 0.25),
        before=(job(), put("a"), JobClaim("F", "T", 1)),
        raises=NotClaimed,
    ),
    Row(
        "which claims hold",
        ops.JobHolds("F", (ClaimRef("a", "T"), ClaimRef("b", "T"), ClaimRef("a", "U"))),
        before=(job(), put("a", "b"), JobClaim("F", "T", 1)),
        answer=(True, False, False),
    ),
    *(
        Row(
            f"a feed with events tells of it: {event.split(b' ')[0].decode()}",
            operation,
            before=(job(events="1", **config), *before),
            keys=Any,
            notices=((b"job.event:F", event.replace(b" ", b"\0")),),
            answer=Any,
            keeps=Any,
        )
        for event, operation, before, config in (
            (b"put a", put("a"), (), {}),
            (b"put a", ops.JobAdd("F", (Entry("a", b"A"),)), (), {}),
            (
                b"scheduled a 4000000000000",
                ops.JobAdd("F", (Entry("a", b"A"),), due=ops.Due(at=4e9)),
                (),
                {},
            ),
            (b"claimed a", JobClaim("F", "T"), (put("a"),), {}),
            (b"claimed a", ops.JobNext("F", "T"), (put("a"),), {}),
            (
                b"progressed a 0.5 half",
                ops.JobProgress("F", "a", "T", 0.5, "half"),
                (put("a"), JobClaim("F", "T")),
                {},
            ),
            (
                b"finished a",
                ops.JobFinish("F", (Completion("a"),)),
                (put("a"), JobClaim("F", "T")),
                {},
            ),
            (b"cancelled a", ops.JobCancel("F", "a"), (put("a"), JobClaim("F", "T")), {}),
            (
                b"stalled a",
                ops.JobCancel("F", "a"),
                (put("a"), JobClaim("F", "T")),
                {"max_failures": "1"},
            ),
            (b"stalled a", ops.JobStall("F", "a"), (put("a"), JobClaim("F", "T")), {}),
            (
                b"stalled a",
                ops.JobFail("F", "a", stall=True),
                (put("a"), JobClaim("F", "T")),
                {},
            ),
            (b"cancelled a", ops.JobFail("F", "a"), (put("a"), JobClaim("F", "T")), {}),
            (b"released a", ops.Release("F", "T"), (put("a"), JobClaim("F", "T")), {}),
            (
                b"retried a",
                ops.JobRetry("F", "a"),
                (put("a"), JobClaim("F", "T"), ops.JobStall("F", "a")),
                {},
            ),
            (
                b"retried a",
                ops.JobRetryAll("F"),
                (put("a"), JobClaim("F", "T"), ops.JobStall("F", "a")),
                {},
            ),
            (b"retracted a", ops.JobRetract("F", ("a", "b")), (put("a"),), {}),
            (b"retracted a", ops.RetractSome("F", "job", ("a", "b")), (put("a"),), {}),
            (b"retracted a", ops.JobClear("F", ops.JobState.WAITING), (put("a"),), {}),
            (
                b"put a",
                ops.JobReschedule("F", "a", ops.Due(delay=0)),
                (ops.JobAdd("F", (Entry("a", b"A"),), due=ops.Due(at=4e9)),),
                {},
            ),
            (
                b"cancelled a",
                ops.JobMend("F"),
                (put("a"), JobClaim("F", "T"), old("claimed", "a")),
                {"claim_timeout": "30"},
            ),
            (
                b"cancelled a",
                ops.JobMaintain("F"),
                (put("a"), JobClaim("F", "T"), old("claimed", "a")),
                {"claim_timeout": "30"},
            ),
        )
    ),
    Row(
        "a feed is shortened by a step",
        ops.FeedTrim("F", 1),
        before=(feed(), publish("a", "b", "c")),
        keys={
            b"feed.config:F": FEED_CONFIG,
            b"feed.ids:F": [(b"c", NOW)],
            b"feed.items:F": {b"c": b"item c"},
            b"feed.publishes:F": b"3",
        },
        notices=((b"feed.retract:F", b"a"), (b"feed.retract:F", b"b")),
        answer=("a", "b"),
        keeps=b"Sa\0b",
    ),
    # --- jobs for later, and under ids of the caller's own --------------------------------
    Row(
        "a scheduled job has its item apart from the others, and wakes who waits",
        ops.JobAdd("F", (Entry("a", b"1"), Entry("b", b"2")), due=ops.Due(delay=600)),
        before=(job(),),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"2",
            b"feed.scheduled:F": [(b"a", Now(600, 0)), (b"b", Now(600, 1 / 4096))],
            b"feed.scheduleditems:F": {b"a": b"1", b"b": b"2"},
            b"feed.info:F": {
                b"a": Facts(put=NOW, due=Now(600)),
                b"b": Facts(put=NOW, due=Now(600)),
            },
        },
        answer=(ops.Outcome.ADDED, ops.Outcome.ADDED),
        keeps=b"N1,1",
    ),
    Row(
        "one that is not due first wakes nobody, and where one waits nobody has to be woken",
        ops.JobAdd("F", (Entry("b", b"2"),), Priority.HIGH, ops.Due(at=LATE)),
        before=(job(), put("x"), SCHEDULED),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"x"],
            b"feed.items:F": {b"x": b"item x"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": [(b"x", NOW)],
            b"feed.scheduled:F": [(b"a", Now(60, 0)), (b"b", LATE * 1000 + 0.5)],
            b"feed.scheduleditems:F": {b"a": b"item a", b"b": b"2"},
            b"feed.info:F": {
                b"a": Facts(put=NOW, due=Now(60)),
                b"b": Facts(put=NOW, due=LATE * 1000),
            },
        },
        answer=(ops.Outcome.ADDED,),
        keeps=b"N1",
    ),
    Row(
        "a time that is past is now, and the id stays taken as long as it is said",
        ops.JobAdd("F", (Entry("b", b"2"),), due=ops.Due(at=1e9), unique_for=300),
        before=(job(), put("a"), (b"ZADD", "feed.unique:F", 5, "past", 9e12, "other")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"2"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.unique:F": [(b"b", Now(300)), (b"other", 9e12)],
        },
        answer=(ops.Outcome.ADDED,),
        keeps=b"N1",
    ),
    Row(
        "ids that are taken are kept, in whatever state, and their time does not begin anew",
        ops.JobAdd(
            "F",
            tuple(Entry(id, b"new") for id in ("waiting", "claimed", "stalled", "a", "done")),
            due=ops.Due(delay=900),
            unique_for=900,
        ),
        before=(
            job(),
            put("claimed", "stalled", "waiting"),
            JobClaim("F", "T", 2),
            ops.JobStall("F", "stalled"),
            SCHEDULED,
            (b"ZADD", "feed.unique:F", 9e12, "done"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"waiting"],
            b"feed.items:F": {
                b"waiting": b"item waiting",
                b"claimed": b"item claimed",
                b"stalled": b"item stalled",
            },
            b"feed.publishes:F": b"4",
            b"feed.published:F": [(b"claimed", NOW), (b"waiting", NOW)],
            b"feed.claimed:F": [(b"claimed", NOW)],
            b"feed.holders:F": {b"claimed": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"claimed"},
            b"feed.stalled:F": {b"stalled"},
            b"feed.scheduled:F": [(b"a", Now(60, 0))],
            b"feed.scheduleditems:F": {b"a": b"item a"},
            b"feed.info:F": {b"a": Facts(put=NOW, due=Now(60))},
            b"feed.unique:F": [(b"done", 9e12)],
        },
        answer=(ops.Outcome.KEPT,) * 5,
        keeps=b"N0,0,0,0,0",
    ),
    Row(
        "replaced for now: one that waits keeps its place, others join, a claimed one is kept",
        ops.JobAdd(
            "F",
            tuple(Entry(id, b"new") for id in ("waiting", "claimed", "stalled", "a", "done")),
            if_exists=ops.IfExists.REPLACE,
        ),
        before=(
            job(),
            put("stalled", "claimed", "waiting", "last"),
            JobClaim("F", "T", 2),
            ops.JobFail("F", "stalled", "T", stall=True, failure=ops.Failure("why")),
            SCHEDULED,
            (b"HSET", b"feed.cancelled:F", b"waiting", b"2", b"stalled", b"1"),
            (b"ZADD", "feed.unique:F", 9e12, "done"),
            (b"HSET", "feed.info:F", "waiting", "failed=1"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"stalled", b"last", b"waiting"],
            b"feed.items:F": {
                b"waiting": b"new",
                b"claimed": b"item claimed",
                b"stalled": b"new",
                b"a": b"new",
                b"last": b"item last",
            },
            b"feed.publishes:F": b"8",
            b"feed.published:F": AnyOrderOfTimes(
                (b"claimed", b"waiting", b"stalled", b"a", b"last")
            ),
            b"feed.claimed:F": [(b"claimed", NOW)],
            b"feed.holders:F": {b"claimed": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"claimed"},
            b"feed.unique:F": [(b"done", 9e12)],
        },
        answer=(
            *(ops.Outcome.REPLACED, ops.Outcome.KEPT, ops.Outcome.REPLACED, ops.Outcome.REPLACED),
            ops.Outcome.KEPT,
        ),
        keeps=b"N2,0,2,2,0",
    ),
    Row(
        "replaced for later: all go from where they were",
        ops.JobAdd(
            "F",
            tuple(Entry(id, b"new") for id in ("waiting", "reserved", "stalled", "a")),
            Priority.HIGH,
            due=ops.Due(delay=900),
            if_exists=ops.IfExists.REPLACE,
        ),
        before=(
            job(),
            put("stalled", "reserved", "waiting", "last"),
            JobClaim("F", "T"),
            ops.JobStall("F", "stalled"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            SCHEDULED,
            (b"HSET", b"feed.cancelled:F", b"waiting", b"2"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"last"],
            b"feed.items:F": {b"last": b"item last"},
            b"feed.publishes:F": b"9",
            b"feed.published:F": [(b"last", NOW)],
            b"feed.scheduled:F": [
                (b"waiting", Now(900, 0.5)),
                (b"reserved", Now(900, 0.5 + 1 / 4096)),
                (b"stalled", Now(900, 0.5 + 2 / 4096)),
                (b"a", Now(900, 0.5 + 3 / 4096)),
            ],
            b"feed.scheduleditems:F": dict.fromkeys(
                (b"waiting", b"reserved", b"stalled", b"a"), b"new"
            ),
            b"feed.info:F": dict.fromkeys(
                (b"waiting", b"reserved", b"stalled", b"a"), Facts(put=NOW, due=Now(900))
            ),
        },
        answer=(ops.Outcome.REPLACED,) * 4,
        keeps=b"N2,2,2,2",
    ),
    Row(
        "an id that is free again: the result of its earlier job goes",
        ops.JobAdd("F", (Entry("a", b"new"),), Priority.HIGH),
        before=(
            job(),
            put("a", "b"),
            JobClaim("F", "T"),
            ops.JobFinish("F", (Completion("a", has_result=True, result=b"r"),)),
            (b"ZADD", "feed.unique:F", 1e12, "a"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"new", b"b": b"item b"},
            b"feed.publishes:F": b"3",
            b"feed.finishes:F": b"1",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"b")),
            b"feed.unique:F": [(b"a", 1e12)],
        },
        answer=(ops.Outcome.ADDED,),
        keeps=b"N1",
    ),
    Row(
        "jobs of which one has an id that is taken are refused whole",
        ops.JobAdd("F", (Entry("b", b"x"), Entry("a", b"x")), if_exists=ops.IfExists.REFUSE),
        before=(job(), SCHEDULED),
        raises=ItemExists,
    ),
    Row(
        "jobs are refused for an id that stays taken, too",
        ops.JobAdd("F", (Entry("a", b"x"),), if_exists=ops.IfExists.REFUSE),
        before=(job(), (b"ZADD", "feed.unique:F", 9e12, "a")),
        raises=ItemExists,
    ),
    Row(
        "jobs that are too large are refused whole",
        ops.JobAdd("F", (Entry("b", b"x"), Entry("a", b"xxxx")), due=ops.Due(delay=60)),
        before=(job(max_item_size="3"),),
        raises=ItemTooLarge,
    ),
    Row(
        "whoever claims brings in what is due: the oldest first, high priority before normal",
        JobClaim("F", "T"),
        before=(
            job(),
            put("x"),
            later("low", 30),
            later("lower", 10),
            later("high", 20, Priority.HIGH),
            later("young", -500),
            *(old("scheduled", id, age) for id, age in (("low", 30), ("lower", 10))),
            OldHigh("scheduled", "high", 20),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"lower", b"low", b"x"],
            b"feed.items:F": {
                b"x": b"item x",
                b"low": b"item low",
                b"lower": b"item lower",
                b"high": b"item high",
            },
            b"feed.publishes:F": b"5",
            b"feed.published:F": AnyOrderOfTimes((b"x", b"low", b"lower", b"high")),
            b"feed.claimed:F": [(b"high", NOW)],
            b"feed.holders:F": {b"high": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"high"},
            b"feed.scheduled:F": [(b"young", Now(500, 0))],
            b"feed.scheduleditems:F": {b"young": b"item young"},
            b"feed.info:F": Any,
        },
        answer=ops.Batch((ops.Delivery("high", b"item high", 0),), None),
    ),
    Row(
        "who gets the last job while others are scheduled wakes one who waits",
        JobClaim("F", "T"),
        before=(job(), put("x"), SCHEDULED),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.items:F": {b"x": b"item x"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"x", NOW)],
            b"feed.claimed:F": [(b"x", NOW)],
            b"feed.holders:F": {b"x": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"x"},
            b"feed.scheduled:F": [(b"a", Now(60, 0))],
            b"feed.scheduleditems:F": {b"a": b"item a"},
            b"feed.info:F": {b"a": Facts(put=NOW, due=Now(60))},
        },
        answer=ops.Batch((ops.Delivery("x", b"item x", 0),), None),
    ),
    Row(
        "who gets nothing is told when the next job is due, and takes no empty id",
        JobClaim("F", "T"),
        before=(job(claim_timeout="600"), SCHEDULED),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"claim_timeout": b"600"},
            b"feed.publishes:F": b"1",
            b"feed.scheduled:F": [(b"a", Now(60, 0))],
            b"feed.scheduleditems:F": {b"a": b"item a"},
            b"feed.info:F": {b"a": Facts(put=NOW, due=Now(60))},
        },
        answer=ops.Batch((), About(60)),
    ),
    Row(
        "what is claimed already is not claimed by a second element of the list",
        JobClaim("F", "U", 2),
        before=(job(), put("a", "b"), JobClaim("F", "T"), (b"RPUSH", b"feed.ids:F", b"a")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.claimed:F": [(b"a", NOW), (b"b", NOW)],
            b"feed.holders:F": {b"a": Holder(b"T"), b"b": Holder(b"U")},
            b"feed.tokens:F": {b"T": b"a", b"U": b"b"},
        },
        answer=ops.Batch((ops.Delivery("b", b"item b", 0),), None),
    ),
    Row(
        "a scheduled job gets another time, and keeps its priority",
        ops.JobReschedule("F", "a", ops.Due(delay=900)),
        before=(job(), put("x"), later("a", -60, Priority.HIGH)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"x"],
            b"feed.items:F": {b"x": b"item x"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"x", NOW)],
            b"feed.scheduled:F": [(b"a", Now(900, 0.5))],
            b"feed.scheduleditems:F": {b"a": b"item a"},
            b"feed.info:F": {b"a": Facts(put=NOW, due=Now(900))},
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "one that comes first now wakes who waits",
        ops.JobReschedule("F", "b", ops.Due(delay=30)),
        before=(job(), SCHEDULED, later("b", -90), (b"DEL", b"feed.ids:F")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"2",
            b"feed.scheduled:F": [(b"b", Now(30, 0)), (b"a", Now(60, 0))],
            b"feed.scheduleditems:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.info:F": {
                b"a": Facts(put=NOW, due=Now(60)),
                b"b": Facts(put=NOW, due=Now(30)),
            },
        },
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a scheduled job is available at once",
        ops.JobReschedule("F", "a", ops.Due(delay=0)),
        before=(job(), put("x"), SCHEDULED),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"x"],
            b"feed.items:F": {b"x": b"item x", b"a": b"item a"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"x")),
            b"feed.info:F": {b"a": Facts(put=NOW, due=NOW)},
        },
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "one of high priority is available at once, and next",
        ops.JobReschedule("F", "a", ops.Due(at=0)),
        before=(job(), put("x"), later("a", -60, Priority.HIGH)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"x", b"a"],
            b"feed.items:F": {b"x": b"item x", b"a": b"item a"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"x")),
            b"feed.info:F": {b"a": Facts(put=NOW, due=NOW)},
        },
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "a job that waits is not scheduled",
        ops.JobReschedule("F", "x", ops.Due(delay=900)),
        before=(job(), put("x")),
        raises=NotScheduled,
    ),
    Row(
        "scheduled jobs are retracted, and their ids are free",
        ops.JobRetract("F", ("a", "x")),
        before=(job(), put("x"), SCHEDULED, (b"ZADD", "feed.unique:F", 9e12, "a", 9e12, "b")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"2",
            b"feed.unique:F": [(b"b", 9e12)],
        },
        answer=(True, True),
        keeps=b"N1,1",
    ),
    Row(
        "a short step retracts scheduled jobs, and frees the ids of those that are gone",
        ops.RetractSome("F", "job", ("a", "x", "done")),
        before=(
            job(),
            put("x"),
            SCHEDULED,
            (b"ZADD", "feed.unique:F", 9e12, "a", 9e12, "b", 9e12, "done"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"2",
            b"feed.unique:F": [(b"b", 9e12)],
        },
        answer=ops.SomeRetracted((True, True, False), "0 0"),
        keeps=b"N0,0,1,1,0",
    ),
    Row(
        "what is finished frees no id that stays taken, and nothing more is known of it",
        ops.JobFinish("F", (Completion("a", "T"),)),
        before=(
            job(),
            ops.JobAdd("F", (Entry("a", b"x"),), unique_for=900),
            JobClaim("F", "T"),
            (b"HSET", "feed.info:F", "a", "failed=1"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.publishes:F": b"1",
            b"feed.finishes:F": b"1",
            b"feed.unique:F": [(b"a", Now(900))],
        },
        keeps=b"n1",
    ),
    # --- why a job failed ------------------------------------------------------------------
    Row(
        "a job that failed waits again, and why is kept",
        ops.JobFail("F", "a", "T", failure=ops.Failure("b\0é", "E", "line\n", "w")),
        before=(
            job(),
            put("a", "b"),
            JobClaim("F", "T"),
            (b"HSET", "feed.info:F", "a", "error=Old\0colour=blue\0traceback=old\0due=7"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a", b"b"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"b")),
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.info:F": {
                b"a": Facts(
                    colour=b"blue",
                    due=b"7",
                    failed=NOW,
                    put=NOW,
                    error=b"E",
                    message="b\N{REPLACEMENT CHARACTER}é".encode(),
                    traceback=b"line\n",
                    worker=b"w",
                )
            },
        },
        answer=ops.Failed.WAITING,
        keeps=b"n0",
    ),
    Row(
        "a job that failed too often is stalled, whatever delay was asked for",
        ops.JobFail("F", "a", "T", ops.Due(delay=60), failure=ops.Failure("why")),
        before=(job(max_failures="1"), put("a"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"max_failures": b"1"},
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.stalled:F": {b"a"},
            b"feed.info:F": {
                b"a": Facts(put=NOW, failed=NOW, stalled=NOW, message=b"why"),
            },
        },
        answer=ops.Failed.STALLED,
        keeps=b"n1",
    ),
    Row(
        "a job that failed is scheduled, with what was known of it",
        ops.JobFail("F", "a", "T", ops.Due(delay=60)),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            (b"HSET", "feed.info:F", "a", "put=5\0message=old"),
        ),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"1",
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.scheduled:F": [(b"a", Now(60, 0))],
            b"feed.scheduleditems:F": {b"a": b"item a"},
            b"feed.info:F": {b"a": Facts(put=b"5", failed=NOW, due=Now(60))},
        },
        answer=ops.Failed.SCHEDULED,
        keeps=b"n2",
    ),
    Row(
        "a time that is past lets a job that failed wait",
        ops.JobFail("F", "a", "T", ops.Due(at=1e9)),
        before=(job(), put("a"), JobClaim("F", "T")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"a"],
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
            b"feed.published:F": [(b"a", NOW)],
            b"feed.cancelled:F": {b"a": b"1"},
            b"feed.info:F": {b"a": Facts(put=NOW, failed=NOW)},
        },
        answer=ops.Failed.WAITING,
        keeps=b"n0",
    ),
    Row(
        "a job is stalled with a reason, and has not failed once more",
        ops.JobFail("F", "a", "T", stall=True, failure=ops.Failure("why", worker="w")),
        before=(job(), put("a", "b"), JobClaim("F", "T", 2)),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"b", NOW)],
            b"feed.claimed:F": [(b"b", NOW)],
            b"feed.holders:F": {b"b": Holder(b"T")},
            b"feed.tokens:F": {b"T": b"b"},
            b"feed.stalled:F": {b"a"},
            b"feed.info:F": {
                b"a": Facts(put=NOW, failed=NOW, stalled=NOW, message=b"why", worker=b"w"),
            },
        },
        answer=ops.Failed.STALLED,
        keeps=b"n1",
    ),
    Row(
        "a failure under another token is refused",
        ops.JobFail("F", "a", "U", ops.Due(delay=60), failure=ops.Failure("why")),
        before=(job(), put("a"), JobClaim("F", "T")),
        raises=NotClaimed,
    ),
    Row(
        "what is known of a job that failed and is scheduled",
        ops.ReadJob("F", "a"),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            ops.JobFail(
                "F", "a", "T", ops.Due(delay=15), failure=ops.Failure("why", "E", "t", "w")
            ),
        ),
        answer=ops.JobInfo(
            "a",
            ops.JobState.SCHEDULED,
            put=MOMENT,
            due=MOMENT,
            failed=MOMENT,
            failures=1,
            failure=ops.Failure("why", "E", "t", "w"),
        ),
    ),
    Row(
        "what is known of a job that is claimed, for the second time",
        ops.ReadJob("F", "a"),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            ops.JobCancel("F", "a"),
            JobClaim("F", "U"),
        ),
        answer=ops.JobInfo("a", ops.JobState.CLAIMED, put=MOMENT, claimed=MOMENT, failures=1),
    ),
    Row(
        "what is known of a job that is finished: that it has a result",
        ops.ReadJob("F", "a"),
        before=(
            job(),
            put("a"),
            JobClaim("F", "T"),
            ops.JobFinish("F", (Completion("a", has_result=True, result=b"r"),)),
        ),
        answer=ops.JobInfo("a", ops.JobState.FINISHED, has_result=True),
    ),
    Row("of no job nothing is known", ops.ReadJob("F", "a"), before=(job(), put("b")), answer=None),
    Row(
        "facts that a peer left and that make no sense are passed over",
        ops.ReadJob("F", "a"),
        before=(
            job(),
            put("a"),
            (b"HSET", "feed.info:F", "a", "put=soon\0due=1e999\0\0=\0nothing\0failed=nan"),
            (b"ZADD", "feed.published:F", "inf", "a"),
            (b"HSET", "feed.cancelled:F", "a", "often"),
        ),
        answer=ops.JobInfo("a", ops.JobState.WAITING, failure=ops.Failure("")),
    ),
    Row(
        "jobs that are not finished, with their items",
        ops.ReadJobs("F", with_items=True),
        before=(job(), put("x"), SCHEDULED),
        answer={"x": b"item x", "a": b"item a"},
    ),
    Row(
        "of some ids those that there are",
        ops.ReadJobs("F", ("a", "ø", "x")),
        before=(job(), put("x"), SCHEDULED),
        answer={"a": None, "x": None},
    ),
    Row(
        "a page of jobs has scheduled ones, too",
        ops.ReadPage("F", "job"),
        before=(job(), put("x"), SCHEDULED),
        answer=ops.Page(("x", "a"), (), ""),
    ),
    Row(
        "a page of jobs ends where the scheduled ones begin",
        ops.ReadPage("F", "job", with_items=True),
        before=(job(), put("x"), SCHEDULED),
        answer=ops.Page(("x",), (b"item x",), "s0"),
    ),
    Row(
        "and goes on with these",
        ops.ReadPage("F", "job", with_items=True, cursor="s0"),
        before=(job(), put("x"), SCHEDULED),
        answer=ops.Page(("a",), (b"item a",), ""),
    ),
    Row(
        "scheduled jobs are counted, and the empty id is not",
        ops.CountJobs("F"),
        before=(job(), SCHEDULED),
        answer=ops.JobCounts(0, 0, 0, 0, 1),
    ),
    Row(
        "an empty id that a taker has reserved is not counted",
        ops.CountJobs("F"),
        before=(job(), SCHEDULED, (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F")),
        answer=ops.JobCounts(0, 0, 0, 0, 1),
    ),
    Row(
        "stats of scheduled jobs",
        ops.ReadStats("F"),
        before=(job(), SCHEDULED, ops.PauseFeed("F")),
        answer=ops.FeedStats(
            "job", 0, 1, 0, 0, 0, 0, 0, scheduled=1, next_due=About(60), paused=True
        ),
    ),
    Row(
        "a lost job is found though an empty id makes up for it",
        ops.JobMaintain("F"),
        before=(job(), put("x"), SCHEDULED, (b"DEL", "feed.ids:F"), (b"RPUSH", "feed.ids:F", "")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b"x", b""],
            b"feed.items:F": {b"x": b"item x"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": [(b"x", NOW)],
            b"feed.scheduled:F": Any,
            b"feed.scheduleditems:F": Any,
            b"feed.info:F": Any,
        },
        answer=ops.MaintenanceReport(recovered=("x",)),
    ),
    # --- pauses ------------------------------------------------------------------------------
    Row(
        "what waits in a feed that is paused is out of all takers' reach",
        ops.PauseFeed("F"),
        before=(
            job(),
            put("a", "b", "c"),
            (b"RPOPLPUSH", b"feed.ids:F", b"feed.reserved:F"),
            (b"RPUSH", b"feed.paused:F", b"left", b"over"),
        ),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"paused": b"1"},
            b"feed.paused:F": [b"c", b"b", b"left", b"over", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b", b"c": b"item c"},
            b"feed.publishes:F": b"3",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"b", b"c")),
        },
        notices=((b"conffeed", ANNOUNCED),),
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "what is left over is put back a part at a time, and the feed is not paused until then",
        ops.PauseFeed("F"),
        before=(
            queue(),
            *(
                (b"RPUSH", b"feed.paused:F", *range(start, min(start + 1000, 15_001)))
                for start in range(0, 15_001, 1000)
            ),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"%d" % id for id in range(15_000)],
            b"feed.paused:F": [b"15000"],
        },
        answer=None,
        keeps=b"n2",
    ),
    Row(
        "what is paused already is not paused again",
        ops.PauseFeed("F"),
        before=(queue(), queued("a"), ops.PauseFeed("F")),
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "a feed cannot be paused",
        ops.PauseFeed("F"),
        before=(feed(),),
        raises=WrongFeedType,
    ),
    Row("what is not there cannot be paused", ops.PauseFeed("F"), raises=FeedDoesNotExist),
    Row(
        "what is put in a pause waits behind what was there",
        queued("b"),
        before=(queue(), queued("a"), ops.PauseFeed("F")),
        keys={
            b"feed.config:F": {**QUEUE_CONFIG, b"paused": b"1"},
            b"feed.paused:F": [b"b", b"a"],
            b"feed.items:F": {b"a": b"item a", b"b": b"item b"},
            b"feed.publishes:F": b"2",
        },
        keeps=b"n1",
    ),
    Row(
        "nothing is taken in a pause, and what a peer has put is moved",
        QueueTake("F", "T"),
        before=(
            queue(),
            queued("a"),
            ops.PauseFeed("F"),
            (b"LPUSH", b"feed.ids:F", b"p", b"q"),
        ),
        keys={
            b"feed.config:F": {**QUEUE_CONFIG, b"paused": b"1"},
            b"feed.paused:F": [b"q", b"p", b"a"],
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
        },
        answer=Batch((), None),
    ),
    Row(
        "a job that is due in a pause is brought in, and nobody gets it",
        JobClaim("F", "T"),
        before=(job(), put("x"), later("a", 5), old("scheduled", "a"), ops.PauseFeed("F")),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"paused": b"1"},
            b"feed.paused:F": [b"a", b"x"],
            b"feed.items:F": {b"a": b"item a", b"x": b"item x"},
            b"feed.publishes:F": b"2",
            b"feed.published:F": AnyOrderOfTimes((b"a", b"x")),
            b"feed.info:F": Any,
        },
        answer=Batch((), None),
    ),
    Row(
        "a pause ends: what waits is where it was, before what a peer has put meanwhile",
        ops.ResumeFeed("F"),
        before=(
            queue(),
            queued("a"),
            ops.PauseFeed("F"),
            (b"LPUSH", b"feed.ids:F", b"p", b"q"),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.ids:F": [b"q", b"p", b"a"],
            b"feed.items:F": {b"a": b"item a"},
            b"feed.publishes:F": b"1",
        },
        notices=((b"conffeed", ANNOUNCED),),
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "a pause ends: who waits is woken to learn when the next job is due",
        ops.ResumeFeed("F"),
        before=(job(), SCHEDULED, (b"DEL", "feed.ids:F"), ops.PauseFeed("F")),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"1",
            b"feed.scheduled:F": Any,
            b"feed.scheduleditems:F": Any,
            b"feed.info:F": Any,
        },
        notices=((b"conffeed", ANNOUNCED),),
        answer=True,
        keeps=b"n1",
    ),
    Row(
        "what is not paused is not resumed",
        ops.ResumeFeed("F"),
        before=(queue(), queued("a")),
        answer=False,
        keeps=b"n0",
    ),
    Row(
        "where a peer has put very much the pause does not end yet",
        ops.ResumeFeed("F"),
        before=(
            queue(),
            ops.PauseFeed("F"),
            (b"LPUSH", b"feed.ids:F", *(b"%d" % number for number in range(15_001))),
        ),
        keys={
            b"feed.config:F": {**QUEUE_CONFIG, b"paused": b"1"},
            b"feed.ids:F": [b"15000"],
            b"feed.paused:F": [b"%d" % number for number in reversed(range(15_000))],
        },
        answer=None,
        keeps=b"n2",
    ),
    Row(
        "jobs that wait in a pause are cleared, too",
        ops.JobClear("F", ops.JobState.WAITING),
        before=(job(), put("x"), SCHEDULED, ops.PauseFeed("F")),
        keys={
            b"feed.config:F": {**JOB_CONFIG, b"paused": b"1"},
            b"feed.publishes:F": b"2",
            b"feed.scheduled:F": Any,
            b"feed.scheduleditems:F": Any,
            b"feed.info:F": Any,
        },
        answer=ops.Step(1, 0),
        keeps=b"N1,0",
    ),
    Row(
        "an empty id is no job that is cleared, and stays to wake who waits",
        ops.JobClear("F", ops.JobState.WAITING),
        before=(job(), SCHEDULED),
        keys={
            b"feed.config:F": JOB_CONFIG,
            b"feed.ids:F": [b""],
            b"feed.publishes:F": b"1",
            b"feed.scheduled:F": Any,
            b"feed.scheduleditems:F": Any,
            b"feed.info:F": Any,
        },
        answer=ops.Step(0, 0),
        keeps=b"N0,0",
    ),
    Row(
        "the ids of what is cleared from a queue are free",
        ops.QueueClear("F"),
        before=(
            queue(),
            queued("a", "b"),
            QueueTake("F", "T"),
            (b"ZADD", "feed.unique:F", 9e12, "a", 9e12, "b", 9e12, "c"),
        ),
        keys={
            b"feed.config:F": QUEUE_CONFIG,
            b"feed.publishes:F": b"2",
            b"feed.unique:F": [(b"c", 9e12)],
        },
        answer=ops.Step(2, 0),
        keeps=b"N2,0",
    ),
]


def content(raw: redis.Redis, key: bytes) -> Any:
    match raw.type(key):
        case b"set":
            found: Any = raw.smembers(key)
        case b"hash":
            found = raw.hgetall(key)
        case b"list":
            found = raw.lrange(key, 0, -1)
        case b"zset":
            found = raw.zrange(key, 0, -1, withscores=True)
        case _:
            found = raw.get(key)
    left = raw.pttl(key)
    return found if left < 0 else Expiring(found, left / 1000)


ANSWERS = b"feed.answers:F"


def dump(raw: redis.Redis) -> dict[bytes, Any]:
    return {key: content(raw, key) for key in raw.scan_iter(count=1000)}


def answers_apart(keys: dict[bytes, Any]) -> tuple[dict[bytes, Any], dict[bytes, Any]]:
    """The other keys, and the answers that are remembered."""
    return {k: v for k, v in keys.items() if k != ANSWERS}, keys.get(ANSWERS, {})


@contextlib.contextmanager
def opened(world: World) -> Iterator[tuple[Backend, Notices]]:
    backend, _ = open_backend(world.url)
    notices = Notices(world.raw)
    try:
        yield backend, notices
    finally:
        notices.close()
        backend.close()


def do(world: World, backend: Backend, steps: Iterable[Step]) -> None:
    for step in steps:
        if isinstance(step, Old):
            world.raw.execute_command(*step.command())
        elif isinstance(step, tuple):
            world.raw.execute_command(*step)
        else:
            backend.execute(step)


def test_every_operation_has_a_row() -> None:
    kinds = [k for k in vars(ops).values() if isinstance(k, type) and issubclass(k, ops.Operation)]
    # Those that others are made from cannot be executed.
    names = {kind.__name__ for kind in kinds if not any(kind in k.__mro__[1:] for k in kinds)}
    assert len(names) > 30
    assert {type(row.operation).__name__ for row in ROWS} == names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row.operation).__name__}: {row.says}")
def test_keys_and_notices(world: World, row: Row) -> None:
    with opened(world) as (backend, notices):
        do(world, backend, row.before)
        notices.so_far()
        before, remembered = answers_apart(dump(world.raw))
        if row.raises is None:
            answer = backend.execute(row.operation)
        else:
            with pytest.raises(row.raises):
                backend.execute(row.operation)
            answer = row.answer
        seen = notices.so_far()
        after, answers = answers_apart(dump(world.raw))
    assert row.answer is Any or answer == row.answer
    if row.keys is Any:
        pass
    elif row.keys is UNCHANGED:
        assert after == before
    else:
        expected = {key: after.get(key) if v is Any else v for key, v in row.keys.items()}
        assert after == expected
        assert None not in after.values()
    if world.name == MEMORY:
        assert answers == {}  # nothing comes between, so nothing is repeated
    elif row.keeps is Any:
        pass
    elif row.keeps is not None:
        # One caller, one entry: that of its last call.
        calls = sum(isinstance(step, ops.Operation) for step in row.before) + 1
        assert list(answers.values()) == [Answer(calls, row.keeps)]
    elif b"feed.config:F" in after:
        assert answers == remembered
    else:
        assert answers == {}
    assert [(channel, payload) for channel, payload in seen] == [*row.notices]


# --- the answers that are remembered --------------------------------------------------------


def sent(world: World, operation: ops.Operation[Any], session: str, number: int) -> Any:
    """Send an operation's command by hand, as that call of that session; the raw reply."""
    command: Command[Any] = command_for(operation, Call(str(uuid.uuid4()), session, number))
    try:
        return world.raw.execute_command(*command.with_text())
    except redis.ResponseError as error:
        return str(error)


REMEMBERED = [row for row in ROWS if isinstance(row.keeps, bytes)]


def test_all_operations_that_write_are_remembered_or_harmless_to_repeat() -> None:
    repeatable = {
        # These say of a name or a feed what is true after them.
        ops.RegisterFeed,
        ops.UnregisterFeed,
        ops.DeleteFeed,
        # So do these of a worker.
        ops.ReportWorker,
        ops.RemoveWorker,
        # These have a token, which remembers.
        ops.QueueTake,
        JobClaim,
        ops.JobNext,
        ops.Release,
        # What was mended needs no mending.
        ops.JobMaintain,
        ops.JobMend,
    }
    remembered = {type(row.operation) for row in REMEMBERED}
    assert not remembered & repeatable
    writing = {
        type(row.operation)
        for row in ROWS
        if command_for(row.operation, Call(str(uuid.uuid4()))).writes
    }
    assert writing == remembered | repeatable


@pytest.mark.parametrize(
    "row", REMEMBERED, ids=lambda row: f"{type(row.operation).__name__}: {row.says}"
)
def test_a_call_that_is_repeated_does_nothing_and_is_answered_the_same(
    world: World, row: Row
) -> None:
    with opened(world) as (backend, notices):
        do(world, backend, row.before)
        first = sent(world, row.operation, "S", 7)
        notices.so_far()
        before = dump(world.raw)
        assert before[ANSWERS][b"S"] == Answer(7, row.keeps or b"")
        again = sent(world, row.operation, "S", 7)
        late = sent(world, row.operation, "S", 6)
        seen = notices.so_far()
        after = dump(world.raw)
    assert again == first
    assert late.startswith("OVERTAKEN")
    assert after == before
    assert seen == []


def test_the_next_call_of_a_slot_is_done_and_takes_the_entry_over(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [queue()])
        world.raw.delete(ANSWERS)
        put_one = queued("a")
        assert isinstance(put_one, ops.QueuePut)
        for number in (1, 2, 9):
            assert sent(world, put_one, "S", number) == 1
        assert sent(world, put_one, "another", 1) == 1
        assert world.raw.get("feed.publishes:F") == b"4"
        assert world.raw.hgetall(ANSWERS) == {b"S": Answer(9, b"n1"), b"another": Answer(1, b"n1")}


def test_a_call_that_was_refused_is_tried_again_when_it_is_repeated(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [sorted_feed(), *insert(b"x")])
        edit = ops.SortedEdit("F", Entry("2", b"new"))
        assert sent(world, edit, "S", 1).startswith("NOITEM")
        do(world, backend, insert(b"y"))
        assert sent(world, edit, "S", 1) == 1
        assert world.raw.hget("feed.items:F", "2") == b"new"


@pytest.mark.parametrize(
    ("others", "age", "left"),
    [(20, 700, {17, 18}), (20, 500, {21}), (15, 700, {16}), (20, -9, {21})],
    ids=["found old long ago", "found old a while ago", "few", "found old in time to come"],
)
def test_with_a_new_slot_some_go_that_were_found_old_ten_minutes_ago(
    world: World, others: int, age: int, left: set[int]
) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [queue(), queued("a")])
        world.raw.delete(ANSWERS)
        since = f"0{int(time.time()) - age}"
        world.raw.hset(ANSWERS, mapping={f"old {n}": f"{since} 1 n1" for n in range(others)})
        take_one = ops.QueueConfirm("F", ("a",), "T")
        do(world, backend, [QueueTake("F", "T")])
        # Of the four that are looked at, one may be the new one.
        assert sent(world, take_one, "new", 1) == 1
        assert world.raw.hlen(ANSWERS) in left
        assert world.raw.hget(ANSWERS, "new") == Answer(1, b"n1")
        before = world.raw.hkeys(ANSWERS)
        put_one = queued("b")
        assert isinstance(put_one, ops.QueuePut)
        assert sent(world, put_one, "new", 2) == 1
        assert world.raw.hkeys(ANSWERS) == before


@pytest.mark.parametrize("age", [700, -3600], ids=["long ago", "in time to come"])
def test_a_kept_answer_is_found_old_twice_before_it_goes(world: World, age: int) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [queue()])
        world.raw.delete(ANSWERS)
        now = int(time.time())
        entries = {f"old {n}": f"{now - age} 7 sanswer\n {n}" for n in range(40)}
        world.raw.hset(ANSWERS, mapping=entries)
        assert sent(world, queued("a"), "new", 1) == 1
        kept = {name.decode(): entry.decode() for name, entry in world.raw.hgetall(ANSWERS).items()}
        assert kept.keys() == {*entries, "new"}
        marked = {name for name, entry in entries.items() if kept[name] != entry}
        assert len(marked) in (3, 4)
        for name in marked:
            mark, rest = kept[name].split(" ", 1)
            assert (mark[0], rest) == ("0", entries[name].split(" ", 1)[1])
            assert 0 <= int(mark) - now < 60
            # Whoever repeats that call gets its answer.
            again = sent(world, queued("b"), name, 7)
            assert again == f"answer\n {name.split()[1]}".encode()
        # One of them is found again after ten minutes more. A call looks at four at random:
        # now and then they are all young.
        (name, *_) = marked
        call_of = kept[name].split(" ", 1)[1]
        world.raw.delete(ANSWERS)
        others = {f"young {n}": f"{now} 1 n1" for n in range(16)}
        old = {f"{name} {n}": f"0{now - 601} {call_of}" for n in range(40)}
        world.raw.hset(ANSWERS, mapping={**others, **old})
        for n in range(8):
            assert sent(world, queued(f"c{n}"), f"newer {n}", 1) == 1
        assert world.raw.hlen(ANSWERS) < 16 + 40 + 8


def test_what_is_no_kept_answer_goes_and_hinders_nobody(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [queue()])
        world.raw.delete(ANSWERS)
        world.raw.hset(ANSWERS, mapping={f"garbage {n}": "garbage" for n in range(40)})
        assert sent(world, queued("a"), "new", 1) == 1
        assert world.raw.hlen(ANSWERS) in (37, 38)
        assert sent(world, queued("b"), "garbage 1", 1) == 1
        assert world.raw.llen("feed.ids:F") == 2


# --- times and scores -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "kind"), [(3_600_000, "ms"), (60, "s"), (float("inf"), "ms")], ids=str
)
def test_a_claim_of_a_time_to_come_counts_as_made_now_and_stays_its_holders(
    world: World, ahead: float, kind: str
) -> None:
    with opened(world) as (backend, _):
        config = {"type": "job", "claim_timeout": "60"}
        do(world, backend, [ops.CreateFeed("F", config), put("a", "b", "c")])
        do(world, backend, [JobClaim("F", "T", 2), JobClaim("F", "U")])
        unit = 1000 if kind == "ms" else 1
        time_to_come = world.raw.time()[0] * unit + ahead
        text = f"{time_to_come:.17g}"
        world.raw.zadd("feed.claimed:F", {"a": time_to_come, "b": time_to_come, "c": time_to_come})
        world.raw.hset("feed.holders:F", mapping={"a": f"T {text}", "c": f"U {text}"})
        # Of b a peer has made another claim since.
        world.raw.hset("feed.holders:F", "b", "T 1")
        report = backend.execute(ops.JobMend("F")).report
        assert (report.expired, report.stalled) == ((), ())
        now = world.raw.time()[0] * 1000 + 1000
        for id, since in world.raw.zrange("feed.claimed:F", 0, -1, withscores=True):
            assert now - 60_000 < since <= now
            holder = b"T 1" if id == b"b" else b"%s %d" % ({b"a": b"T", b"c": b"U"}[id], since)
            assert world.raw.hget("feed.holders:F", id) == holder
        assert backend.execute(ops.JobExtend("F", (ClaimRef("a", "T"), ClaimRef("b", "T")))) == (
            True,
            False,
        )
        backend.execute(ops.JobFinish("F", (Completion("c", "U"),)))
        # Asked again, its taker has what it has taken.
        assert [e.id for e in backend.execute(JobClaim("F", "T", 2)).entries] == ["a"]


def test_a_take_of_a_time_to_come_counts_as_made_now(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [queue(), queued("a"), QueueTake("F", "T")])
        time_to_come = world.raw.time()[0] * 1000 + 3_600_000
        world.raw.zadd("feed.claimed:F", {"a": time_to_come})
        world.raw.hset("feed.holders:F", "a", f"T {time_to_come}")
        assert backend.execute(QueueTake("F", "U")).entries == ()
        assert world.raw.zscore("feed.claimed:F", "a") < time_to_come - 3_000_000
        backend.execute(ops.QueueConfirm("F", ("a",), "T"))


def test_the_entry_of_a_holder_has_the_time_of_the_claim(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [job(), put("a"), JobClaim("F", "T")])
        since = world.raw.zscore("feed.claimed:F", "a")
        assert world.raw.hget("feed.holders:F", "a") == b"T %d" % since
        begin = world.raw.time()
        while world.raw.time() < (begin[0], begin[1] + 1000):
            pass
        backend.execute(ops.JobExtend("F", (ClaimRef("a", "T"),)))
        extended = world.raw.zscore("feed.claimed:F", "a")
        assert extended > since
        assert world.raw.hget("feed.holders:F", "a") == b"T %d" % extended


def test_scores_of_one_step_increase_strictly_also_after_a_clock_that_was_ahead(
    world: World,
) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [feed()])
        ahead = int((time.time() + 3600) * 1000)
        world.raw.zadd("feed.ids:F", {"future": ahead})
        world.raw.hset("feed.items:F", "future", "x")
        do(world, backend, [publish("b", "a"), publish("0")])
        assert world.raw.zrange("feed.ids:F", 0, -1, withscores=True) == [
            (b"future", ahead),
            (b"b", ahead + 1 / 1024),
            (b"a", ahead + 2 / 1024),
            (b"0", ahead + 3 / 1024),
        ]


def test_a_claim_tells_when_it_is_worth_looking_again(world: World) -> None:
    with opened(world) as (backend, _):
        do(world, backend, [job(claim_timeout="600"), put("a"), JobClaim("F", "T")])
        batch = backend.execute(JobClaim("F", "T2"))
        assert batch.entries == ()
        assert batch.retry_after is not None
        assert 600 - SECONDS < batch.retry_after <= 600


def test_job_next_that_is_repeated_ends_nothing_more_and_claims_the_same(world: World) -> None:
    with opened(world) as (backend, notices):
        do(world, backend, (job(), put("a", "b", "c"), JobClaim("F", "T", 2)))
        operation = ops.JobNext(
            "F",
            "U",
            finished=(Completion("a", "T", has_result=True, result=b"r"),),
            cancelled=(ClaimRef("b", "T"),),
        )
        first = backend.execute(operation)
        notices.so_far()
        before = dump(world.raw)
        again = backend.execute(operation)
        assert notices.so_far() == []
        assert answers_apart(dump(world.raw))[0] == answers_apart(before)[0]
    assert [entry.id for entry in first.entries] == [entry.id for entry in again.entries] == ["c"]
    assert (first.lost, again.lost) == ((), ("a", "b"))
