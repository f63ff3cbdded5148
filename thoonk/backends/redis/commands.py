"""The commands table: for each operation the one command that does it on Redis.

Nothing here talks to a server. A `Command` is what to send and how to read the
reply; the clients in ``_async`` and ``_sync`` send it.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import attrs

from thoonk import operations as ops
from thoonk.backends.redis import scripts, wire
from thoonk.backends.redis.packing import Head, Word, pack
from thoonk.backends.redis.wire import Keys, keys_of
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.exceptions import (
    FeedDoesNotExist,
    ItemDoesNotExist,
    ItemError,
    ItemExists,
    ItemTooLarge,
    NotClaimed,
    NotScheduled,
    NotStalled,
    ThoonkError,
    UnsupportedOperation,
    WrongFeedType,
)
from thoonk.names import decode_name, encode_name

LARGE_PAGE = 1_000_000
"""Bytes of items after which a page ends, however few they are."""

LARGE_SNAPSHOT_PAGE = 250_000
"""The same of a page of a snapshot. The server hashes these, too."""

LONG_LIST = 15_000
"""How many elements of a list one step of a retraction looks at."""

WORKERS_PAGE = 200
"""About so many records of workers are read in one step."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

SECONDS = 1e11
"""A time below this is in seconds, as some peers write them; others are in ms."""

R = TypeVar("R")
Op = TypeVar("Op", bound="ops.Operation[Any]")


@attrs.define(eq=False)
class Call:
    """Who calls: the client's name for announcements, and which call of which session it is.

    A session is used by one call at a time. A call that is repeated keeps its number, so
    that the server answers it again instead of doing it again. ``load`` finds the script of
    a name. (Frozen, it would take three times as long to make, which each call does.)
    """

    instance: str
    session: str = ""
    number: int = 0
    load: Callable[[str], scripts.Script] = scripts.load


@attrs.define(eq=False)
class Command(Generic[R]):
    """One command and its reply.

    Attributes:
        head: the words it begins with. Of a script: EVALSHA, its SHA, and the keys that
            all its commands on the feed have.
        words: the rest.
        parse: makes the operation's answer from the reply.
        feed: the feed that a refusal speaks of.
        kind: the type of feed it needs; empty: any.
        ids: the ids a refusal may speak of: it names one by its number, from 1.
        writes: whether it can have changed something.
        script: the script it runs, if any.
    """

    head: Head
    words: Sequence[Word]
    parse: Callable[[Any], R]
    feed: str = ""
    kind: str = ""
    ids: Sequence[str] = ()
    writes: bool = False
    script: scripts.Script | None = None

    def packed(self) -> bytes:
        """What to send."""
        return self.head.followed_by(self.words)

    @property
    def key(self) -> Word:
        """The first of its keys. On a cluster all are in the same slot."""
        return (self.head.words or self.words)[1 if self.script is None else 3]

    def largest(self) -> int:
        """Bytes of its largest word."""
        return max((len(word) for word in self.words if isinstance(word, bytes | str)), default=0)

    def with_text(self) -> Sequence[Word]:
        """All words, with the script's text: for a server that does not know it (yet)."""
        if self.script is None:
            return (*self.head.words, *self.words)
        return (b"EVAL", self.script.text, *self.head.words[2:], *self.words)

    def refusal(self, code: str, detail: str) -> ThoonkError | None:
        """What a coded error reply of a script means; None: it is none of ours."""
        match code:
            case "WRONGTYPE":
                # Another type of feed has other types of keys.
                return WrongFeedType(self.feed, expected=self.kind)
            case "NOFEED":
                return FeedDoesNotExist(self.feed)
            case "FEEDTYPE":
                return WrongFeedType(self.feed, expected=self.kind, actual=detail)
            case "TOOLARGE":
                size, allowed = detail.split()
                return ItemTooLarge(self.feed, size=int(size), allowed=int(allowed))
            case "NOITEM" | "NOTCLAIMED" | "NOTSTALLED" | "NOTSCHEDULED" | "EXISTS":
                id = self.ids[int(detail.split(maxsplit=1)[0]) - 1]
                return _ABOUT_ONE[code](self.feed, id)
            case _:
                return None


_ABOUT_ONE: Mapping[str, type[ItemError]] = {
    "NOITEM": ItemDoesNotExist,
    "NOTCLAIMED": NotClaimed,
    "NOTSTALLED": NotStalled,
    "NOTSCHEDULED": NotScheduled,
    "EXISTS": ItemExists,
}

_TABLE: dict[type[ops.Operation[Any]], Callable[[Any, Call], Command[Any]]] = {}

_KINDS = {"feed": FEED, "sorted": SORTED_FEED, "queue": QUEUE, "job": JOB}
_NAMES: dict[type[ops.Operation[Any]], tuple[str, str]] = {}
"""By operation: the name of its script, and the type of feed that it is for."""


def command_for(operation: ops.Operation[R], call: Call) -> Command[R]:
    """The command of an operation, on behalf of a call.

    Raises:
        UnsupportedOperation: the table does not know it.
    """
    try:
        build = _TABLE[type(operation)]
    except KeyError:
        raise UnsupportedOperation(
            f"the Redis backend does not know {type(operation).__name__}"
        ) from None
    return cast("Command[R]", build(operation, call))


def _handles(kind: type[Op]) -> Callable[[Callable[[Op, Call], Command[Any]]], None]:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    _NAMES[kind] = (name, _KINDS.get(name.partition("_")[0], ""))

    def register(build: Callable[[Op, Call], Command[Any]]) -> None:
        _TABLE[kind] = build

    return register


_NOTHING = Head(())


def _read(
    words: Sequence[Word], parse: Callable[[Any], R], feed: str = "", kind: str = ""
) -> Command[R]:
    return Command(_NOTHING, words, parse, feed, kind)


@functools.lru_cache(maxsize=4096)
def _head(script: scripts.Script, feed: str, results: int) -> Head:
    """The head of a script's commands with so many keys of results.

    The key of answers is the last one: where there are results, it is not in the head.
    """
    keys = keys_of(feed)
    own = [getattr(keys, name) for name in script.keys]
    if script.once and not results:
        own.append(keys.answers)
    count = len(script.keys) + results + script.once
    return Head((b"EVALSHA", script.sha, count, *own))


def _script(
    operation: ops.Operation[R],
    call: Call,
    arguments: Iterable[Word],
    parse: Callable[[Any], R],
    *,
    name: str = "",
    kind: str = "",
    results: Sequence[bytes] = (),
    ids: Sequence[str] = (),
    writes: bool = True,
) -> Command[R]:
    """A command that runs a script.

    Args:
        arguments: its arguments.
        name, kind: of the script, and of the feed; where they do not follow from the operation.
        results: the keys of results it is about, which follow those of the feed.
    """
    own_name, own_kind = _NAMES[type(operation)]
    script, kind = call.load(name or own_name), kind or own_kind
    feed = operation.feed if isinstance(operation, ops.FeedOperation) else ""
    words: list[Word] = [*results]
    if script.once and results:
        words.append(keys_of(feed).answers)
    words += arguments
    if script.once:
        words += (call.session, call.number)
    head = _head(script, feed, len(results))
    return Command(head, words, parse, feed, kind, ids, writes, script)


# --- reading replies --------------------------------------------------------------------


def _nothing(_: object) -> None:
    return None


def _flags(reply: list[int]) -> tuple[bool, ...]:
    return tuple(flag > 0 for flag in reply)


def _names(reply: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(decode_name, reply))


def _pairs(reply: list[bytes] | Mapping[bytes, bytes]) -> Iterable[tuple[bytes, bytes]]:
    # RESP3 has maps where RESP2 has flat lists.
    if isinstance(reply, Mapping):
        return reply.items()
    return zip(reply[::2], reply[1::2], strict=True)


def _fields(reply: list[bytes] | Mapping[bytes, bytes]) -> dict[str, str]:
    return {decode_name(name): decode_name(value) for name, value in _pairs(reply)}


def _entries(entries: Iterable[ops.Entry]) -> Iterable[bytes]:
    for entry in entries:
        yield encode_name(entry.id)
        yield entry.item


def _ids(ids: Iterable[str]) -> Iterable[bytes]:
    return map(encode_name, ids)


# --- all feeds ----------------------------------------------------------------------------


@_handles(ops.FeedNames)
def _(_: ops.FeedNames, call: Call) -> Command[frozenset[str]]:
    return _read((b"SMEMBERS", wire.FEEDS), lambda reply: frozenset(map(decode_name, reply)))


@_handles(ops.FeedIsRegistered)
def _(op: ops.FeedIsRegistered, call: Call) -> Command[bool]:
    return _read((b"SISMEMBER", wire.FEEDS, encode_name(op.feed)), bool)


@_handles(ops.RegisterFeed)
def _(op: ops.RegisterFeed, call: Call) -> Command[bool]:
    payload = wire.announcement(op.feed, call.instance)
    arguments = (encode_name(op.feed), payload, wire.NEWFEED, wire.CONFFEED)
    return _script(op, call, arguments, bool)


@_handles(ops.UnregisterFeed)
def _(op: ops.UnregisterFeed, call: Call) -> Command[bool]:
    payload = wire.announcement(op.feed, call.instance)
    arguments = (encode_name(op.feed), payload, wire.DELFEED)
    return _script(op, call, arguments, bool)


# --- workers --------------------------------------------------------------------------------


def _ms(seconds: float) -> bytes:
    return b"%.0f" % (seconds * 1000)


@_handles(ops.ReportWorker)
def _(op: ops.ReportWorker, call: Call) -> Command[None]:
    worker = op.worker
    facts = [
        b"host=" + _text(worker.host),
        b"pid=%d" % worker.pid,
        b"version=" + _text(worker.version),
        b"concurrency=%d" % worker.concurrency,
        b"busy=%d" % worker.busy,
    ]
    if worker.group:
        facts += [b"group=" + _text(worker.group), b"processes=%d" % worker.processes]
    if worker.is_stopping:
        facts.append(b"stopping=1")
    facts += [b"feed=" + encode_name(feed) for feed in worker.feeds]
    words: list[Word] = [encode_name(worker.id), _ms(op.keep), _ms(worker.running_for)]
    words.append(b"\0".join(facts))
    for job in worker.jobs:
        number = worker.feeds.index(job.feed) + 1
        words += [number, _ms(job.running_for), job.attempt, encode_name(job.id)]
    return _script(op, call, words, _nothing)


@_handles(ops.RemoveWorker)
def _(op: ops.RemoveWorker, call: Call) -> Command[bool]:
    return Command(_NOTHING, (b"HDEL", wire.WORKERS, encode_name(op.id)), bool, writes=True)


@_handles(ops.ReadWorkers)
def _(op: ops.ReadWorkers, call: Call) -> Command[ops.WorkerPage]:
    def parse(reply: list[bytes]) -> ops.WorkerPage:
        cursor, now, *words = reply
        pairs = zip(words[::2], words[1::2], strict=True)
        found = (_worker(decode_name(id), record, now) for id, record in pairs)
        workers = tuple(worker for worker in found if worker is not None)
        return ops.WorkerPage(workers, "" if cursor == b"0" else decode_name(cursor))

    return _script(op, call, (op.cursor or 0, WORKERS_PAGE), parse, writes=False)


def _worker(id: str, record: bytes, now: bytes) -> ops.WorkerInfo | None:
    """What a worker says of itself; None where a peer has left something else."""
    known: dict[bytes, bytes] = {}
    feeds: list[str] = []
    jobs: list[ops.WorkerJob] = []
    for text in record.split(b"\0"):
        name, _, value = text.partition(b"=")
        if name == b"feed":
            feeds.append(decode_name(value))
        elif name == b"job":
            number, since, attempt, job_id = (*value.split(b" ", 3), b"", b"", b"", b"")[:4]
            began = _time(since)
            if began is not None and 0 < wire.count_of(number) <= len(feeds):
                feed = feeds[wire.count_of(number) - 1]
                count = wire.count_of(attempt)
                jobs.append(ops.WorkerJob(feed, decode_name(job_id), began, count))
        else:
            known[name] = value
    last, started = _time(known.get(b"reported")), _time(known.get(b"started"))
    if last is None:
        return None
    words = (known.get(name, b"").decode("utf-8", "replace") for name in _OF_WORKERS)
    host, version, group = words
    return ops.WorkerInfo(
        id,
        host,
        wire.count_of(known.get(b"pid")),
        version,
        tuple(feeds),
        wire.count_of(known.get(b"concurrency")),
        wire.count_of(known.get(b"processes")),
        group,
        started or last,
        last,
        known.get(b"stopping") == b"1",
        wire.count_of(known.get(b"busy")),
        tuple(jobs),
        max(0.0, int(now) / 1000 - last.timestamp()),
    )


_OF_WORKERS = (b"host", b"version", b"group")


# --- one feed of any type -------------------------------------------------------------------


@_handles(ops.CreateFeed)
def _(op: ops.CreateFeed, call: Call) -> Command[ops.CreateResult]:
    def parse(reply: int | list[bytes]) -> ops.CreateResult:
        if isinstance(reply, int):
            return ops.CreateResult(created=True, config=dict(op.config))
        return ops.CreateResult(created=False, config=_fields(reply))

    words = [encode_name(word) for pair in op.config.items() for word in pair]
    return _script(op, call, words, parse)


@_handles(ops.DeleteFeed)
def _(op: ops.DeleteFeed, call: Call) -> Command[tuple[str, ...]]:
    keys = keys_of(op.feed)
    results = [keys.result(id) for id in op.results]
    return _script(op, call, _ids(op.results), _names, results=results)


@_handles(ops.SetConfig)
def _(op: ops.SetConfig, call: Call) -> Command[tuple[str, ...]]:
    keys = keys_of(op.feed)
    words: list[bytes] = [wire.announcement(op.feed, call.instance), wire.CONFFEED, keys.retract]
    for name, value in op.config.items():
        words += [b"-" if value is None else b"+", encode_name(name), encode_name(value or "")]
    return _script(op, call, words, _names, kind=op.config.get("type") or "")


@_handles(ops.FeedTrim)
def _(op: ops.FeedTrim, call: Call) -> Command[tuple[str, ...]]:
    arguments = (keys_of(op.feed).retract, op.length, ops.MOST)
    return _script(op, call, arguments, _names)


@_handles(ops.GetConfig)
def _(op: ops.GetConfig, call: Call) -> Command[Mapping[str, str]]:
    return _read((b"HGETALL", keys_of(op.feed).config), _fields, op.feed)


@_handles(ops.ReadItem)
def _(op: ops.ReadItem, call: Call) -> Command[bytes | None]:
    words = (b"HGET", keys_of(op.feed).items, encode_name(op.id))
    return _read(words, lambda reply: reply, op.feed)


@_handles(ops.ReadItems)
def _(op: ops.ReadItems, call: Call) -> Command[dict[str, bytes]]:
    items = keys_of(op.feed).items
    ids = op.ids
    if ids is None:

        def parse(reply: list[bytes] | Mapping[bytes, bytes]) -> dict[str, bytes]:
            return {decode_name(id): item for id, item in _pairs(reply)}

        return _read((b"HGETALL", items), parse, op.feed)

    def parse_some(reply: list[bytes | None]) -> dict[str, bytes]:
        return {id: item for id, item in zip(ids, reply, strict=True) if item is not None}

    return _read((b"HMGET", items, *_ids(ids)), parse_some, op.feed)


@_handles(ops.CountItems)
def _(op: ops.CountItems, call: Call) -> Command[int]:
    return _read((b"HLEN", keys_of(op.feed).items), int, op.feed)


@_handles(ops.HasItem)
def _(op: ops.HasItem, call: Call) -> Command[bool]:
    return _read((b"HEXISTS", keys_of(op.feed).items, encode_name(op.id)), bool, op.feed)


@_handles(ops.ReadIds)
def _(op: ops.ReadIds, call: Call) -> Command[tuple[str, ...]]:
    keys = keys_of(op.feed)
    if op.kind == JOB:
        return _read((b"HKEYS", keys.items), _names, op.feed)
    if op.kind == QUEUE:

        def parse(reply: list[bytes]) -> tuple[str, ...]:
            # Items are taken from the right end.
            return _names(reversed(reply))

        name = "read_queue_ids"
        return _script(op, call, (), parse, name=name, kind=QUEUE, writes=False)
    word = b"ZRANGE" if op.kind == FEED else b"LRANGE"
    return _read((word, keys.ids, 0, -1), _names, op.feed, op.kind)


@_handles(ops.ReadPage)
def _(op: ops.ReadPage, call: Call) -> Command[ops.Page]:
    def parse(reply: list[Any]) -> ops.Page:
        cursor, ids, items = reply
        return ops.Page(_names(ids), tuple(items), decode_name(cursor))

    flags = (int(op.reverse), int(op.with_items))
    arguments = (op.kind, op.start, op.count, *flags, encode_name(op.cursor), LARGE_PAGE)
    return _script(op, call, arguments, parse, kind=op.kind, writes=False)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


@_handles(ops.ReadStats)
def _(op: ops.ReadStats, call: Call) -> Command[ops.FeedStats]:
    def parse(reply: list[Any]) -> ops.FeedStats:
        type, items, publishes, *rest = reply
        known = [None if number < 0 else number for number in rest]
        counts, times, (scheduled, due, paused) = known[:5], known[5:9], known[9:]
        waiting, claimed, stalled, failing, finished = counts
        oldest_waiting, oldest_claimed, oldest_item, newest_item = map(_seconds, times)
        return ops.FeedStats(
            decode_name(type),
            items,
            publishes,
            waiting,
            claimed,
            stalled,
            failing,
            finished,
            oldest_waiting,
            oldest_claimed,
            oldest_item,
            newest_item,
            scheduled,
            _seconds(due),
            None if paused is None else paused > 0,
        )

    return _script(op, call, (op.kind,), parse, kind=op.kind, writes=False)


@_handles(ops.ReadSnapshotPage)
def _(op: ops.ReadSnapshotPage, call: Call) -> Command[ops.SnapshotPage]:
    def parse(reply: list[Any]) -> ops.SnapshotPage:
        mark, total, ids, items = reply
        pairs = {decode_name(id): item for id, item in _pairs(items)}
        return ops.SnapshotPage(decode_name(mark), total, _names(ids), pairs)

    page = (op.start, op.skip, op.count, LARGE_SNAPSHOT_PAGE)
    marker = (wire.marker_channel(op.marker), encode_name(op.feed), encode_name(op.tag))
    known = (word for id, digest in op.known for word in (encode_name(id), digest.hex()))
    arguments = (op.kind, *page, *marker, len(op.wanted), *_ids(op.wanted), *known)
    return _script(op, call, arguments, parse, kind=op.kind, writes=False)


# --- copies -----------------------------------------------------------------------------------


@_handles(ops.ReadTimes)
def _(op: ops.ReadTimes, call: Call) -> Command[ops.TimesPage]:
    def parse(reply: list[bytes]) -> ops.TimesPage:
        cursor, *words = reply
        pairs = zip(words[::2], words[1::2], strict=True)
        times = tuple(_id_time(op.of, decode_name(id), float(score)) for id, score in pairs)
        return ops.TimesPage(times, decode_name(cursor))

    arguments = (op.kind, op.of.value, encode_name(op.cursor), op.count)
    return _script(op, call, arguments, parse, kind=op.kind, writes=False)


def _id_time(of: ops.Times, id: str, score: float) -> ops.IdTime:
    if not 0 <= score < math.inf:
        return ops.IdTime(id, None)
    ms = score * 1000 if score < SECONDS else score
    if of is not ops.Times.SCHEDULED:
        return ops.IdTime(id, ms / 1000)
    return ops.IdTime(id, math.floor(ms) / 1000, is_high=ms % 1 >= 0.5)  # noqa: PLR2004


@_handles(ops.Restore)
def _(op: ops.Restore, call: Call) -> Command[tuple[ops.Outcome, ...]]:
    keys = keys_of(op.feed)
    words: list[Word] = [op.kind, keys.publish, keys.edit, keys.retract, keys.position, keys.finish]
    words.append(len(op.entries))
    for entry in op.entries:
        words += _restored(entry)
    for status in op.schedules:
        schedule, due = status.schedule, status.next
        first = b"" if due is None else _ms(due)
        words += [encode_name(schedule.name), _schedule(schedule), first, _times(status.later)]
    results = [keys.result(e.id) for e in op.entries if e.what is ops.RestoreAs.RESULT]
    return _script(op, call, words, _outcomes, kind=op.kind, results=results)


def _restored(entry: ops.Restored) -> Iterable[Word]:
    """The words of one entry."""
    form, last = b"", b""
    if entry.what is ops.RestoreAs.RESULT:
        form = b"none" if entry.result is None else b"bare" if entry.item is None else b"some"
        last = entry.result or b""
    elif entry.what not in (ops.RestoreAs.ITEM, ops.RestoreAs.TAKEN):
        last = b"\0".join(_facts(entry))
    return (
        entry.what.value,
        encode_name(entry.id),
        entry.item or b"",
        b"" if entry.at is None else b"%.17g" % (entry.at * 1000),
        b"" if entry.put is None else _ms(entry.put),
        int(entry.is_high),
        entry.failures,
        last,
        form,
    )


def _facts(entry: ops.Restored) -> Iterable[bytes]:
    """What is known of a job, as it is stored."""
    times = {"failed": entry.failed, "stalled": entry.stalled, "due": entry.at}
    if entry.what is not ops.RestoreAs.WAITING:
        times["put"] = entry.put
    for name, time in times.items():
        if time is not None:
            yield b"%b=%b" % (name.encode(), _ms(time))
    for name in ("error", "message", "traceback", "worker"):
        if text := getattr(entry.failure, name, ""):
            yield b"%b=%b" % (name.encode(), _text(text))


# --- feed -----------------------------------------------------------------------------------


@_handles(ops.FeedPublish)
def _(op: ops.FeedPublish, call: Call) -> Command[tuple[bool, ...]]:
    keys = keys_of(op.feed)
    return _script(op, call, (keys.publish, keys.edit, keys.retract, *_entries(op.entries)), _flags)


@_handles(ops.FeedRetract)
def _(op: ops.FeedRetract, call: Call) -> Command[tuple[bool, ...]]:
    keys = keys_of(op.feed)
    arguments = (keys.retract, *_ids(op.ids))
    return _script(op, call, arguments, _flags)


# --- sorted feed ------------------------------------------------------------------------------


def _place(position: ops.Position) -> tuple[bytes, bytes, bytes]:
    return (
        position.where.value.encode(),
        encode_name(position.neighbour),
        encode_name(str(position)),
    )


@_handles(ops.SortedInsert)
def _(op: ops.SortedInsert, call: Call) -> Command[tuple[str, ...]]:
    keys = keys_of(op.feed)
    return _script(
        op,
        call,
        (keys.publish, keys.position, *_place(op.position), *op.items),
        _names,
        ids=("", op.position.neighbour),
    )


@_handles(ops.SortedEdit)
def _(op: ops.SortedEdit, call: Call) -> Command[None]:
    keys = keys_of(op.feed)
    return _script(op, call, (keys.edit, *_entries([op.entry])), _nothing, ids=(op.entry.id,))


@_handles(ops.SortedMove)
def _(op: ops.SortedMove, call: Call) -> Command[None]:
    keys = keys_of(op.feed)
    return _script(
        op,
        call,
        (keys.position, encode_name(op.id), *_place(op.position)),
        _nothing,
        ids=(op.id, op.position.neighbour),
    )


@_handles(ops.SortedRetract)
def _(op: ops.SortedRetract, call: Call) -> Command[tuple[bool, ...]]:
    keys = keys_of(op.feed)
    arguments = (keys.retract, *_ids(op.ids))
    return _script(op, call, arguments, _flags)


# --- queue --------------------------------------------------------------------------------------


def _taken(reply: list[Any] | bytes) -> ops.Batch:
    if isinstance(reply, bytes):
        # Of one job. To the server and to us, this costs less than lists with one element each.
        id, _, item = reply.partition(b"\0")
        return ops.Batch((ops.Delivery(decode_name(id), item),))
    left, ids, *columns = reply
    # Of items, of how often each was cancelled, and of ids that were lost; a queue has the first.
    lost = columns.pop() if len(columns) > 2 else ()  # noqa: PLR2004
    entries = tuple(map(ops.Delivery, map(decode_name, ids), *columns))
    return ops.Batch(entries, None if left < 0 else left / 1000, _names(lost))


@_handles(ops.QueuePut)
def _(op: ops.QueuePut, call: Call) -> Command[None]:
    arguments: tuple[Word, ...] = (int(op.priority), *_entries(op.entries))
    return _script(op, call, arguments, _nothing)


def _outcomes(reply: list[int]) -> tuple[ops.Outcome, ...]:
    return tuple(map(ops.Outcome, reply))


@_handles(ops.QueueAdd)
def _(op: ops.QueueAdd, call: Call) -> Command[tuple[ops.Outcome, ...]]:
    arguments: tuple[Word, ...] = (
        int(op.priority),
        op.if_exists.value,
        math.ceil(op.unique_for * 1000),
        *_entries(op.entries),
    )
    return _script(op, call, arguments, _outcomes, ids=[entry.id for entry in op.entries])


@_handles(ops.QueueTake)
def _(op: ops.QueueTake, call: Call) -> Command[ops.Batch]:
    arguments = (
        op.count,
        encode_name(op.token),
        int(op.recover_expired),
        ops.CONFIRM_WITHIN * 1000,
    )
    return _script(op, call, arguments, _taken)


@_handles(ops.QueueConfirm)
def _(op: ops.QueueConfirm, call: Call) -> Command[None]:
    arguments = (encode_name(op.token), *_ids(op.ids))
    return _script(op, call, arguments, _nothing, ids=op.ids)


@_handles(ops.QueueReturn)
def _(op: ops.QueueReturn, call: Call) -> Command[None]:
    arguments = (encode_name(op.token), *_entries(op.entries))
    return _script(op, call, arguments, _nothing)


@_handles(ops.Release)
def _(op: ops.Release, call: Call) -> Command[tuple[str, ...]]:
    words = map(encode_name, (op.token, *op.ids))
    return _script(op, call, tuple(words), _names)


# --- job --------------------------------------------------------------------------------------


def _result_keys(keys: Keys, completions: Iterable[ops.Completion]) -> list[bytes]:
    return [keys.result(completion.id) for completion in completions if completion.has_result]


@_handles(ops.JobPut)
def _(op: ops.JobPut, call: Call) -> Command[None]:
    arguments: tuple[Word, ...] = (int(op.priority), *_entries(op.entries))
    return _script(op, call, arguments, _nothing)


def _due(due: ops.Due) -> bytes:
    if due.delay is not None:
        return b"+%.17g" % (due.delay * 1000)
    return b"%.0f" % ((due.at or 0) * 1000)


@_handles(ops.JobAdd)
def _(op: ops.JobAdd, call: Call) -> Command[tuple[ops.Outcome, ...]]:
    keys = keys_of(op.feed)
    arguments: tuple[Word, ...] = (
        int(op.priority),
        b"" if op.due is None else _due(op.due),
        op.if_exists.value,
        math.ceil(op.unique_for * 1000),
        *_entries(op.entries),
    )
    ids = [entry.id for entry in op.entries]
    results = [keys.result(id) for id in ids]
    return _script(op, call, arguments, _outcomes, results=results, ids=ids)


def _text(text: str) -> bytes:
    """A text as it is kept with a job: without NUL."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "backslashreplace")


@_handles(ops.JobFail)
def _(op: ops.JobFail, call: Call) -> Command[ops.Failed]:
    facts: list[bytes] = []
    for name in ("error", "message", "traceback", "worker"):
        # What an earlier failure has left is not for this one.
        facts += [name.encode(), _text(getattr(op.failure, name, ""))]
    what = b"stall" if op.stall else b"" if op.due is None else _due(op.due)
    arguments = (encode_name(op.id), encode_name(op.token), what, *facts)
    return _script(op, call, arguments, ops.Failed, ids=(op.id,))


@_handles(ops.JobProgress)
def _(op: ops.JobProgress, call: Call) -> Command[None]:
    facts = (b"progress", f"{op.fraction:.6g}", b"doing", _text(op.text))
    arguments: tuple[Word, ...] = (encode_name(op.id), encode_name(op.token), *facts)
    return _script(op, call, arguments, _nothing, ids=(op.id,))


@_handles(ops.JobHolds)
def _(op: ops.JobHolds, call: Call) -> Command[tuple[bool, ...]]:
    return _script(op, call, _held(op.claims), _flags, writes=False)


@_handles(ops.JobReschedule)
def _(op: ops.JobReschedule, call: Call) -> Command[bool]:
    return _script(op, call, (encode_name(op.id), _due(op.due)), bool, ids=(op.id,))


@_handles(ops.ReadJobs)
def _(op: ops.ReadJobs, call: Call) -> Command[Mapping[str, bytes | None]]:
    def parse(reply: list[bytes]) -> Mapping[str, bytes | None]:
        if not op.with_items:
            return dict.fromkeys(_names(reply))
        return {decode_name(id): item for id, item in _pairs(reply)}

    arguments: tuple[Word, ...] = (int(op.with_items), *_ids(op.ids or ()))
    return _script(op, call, arguments, parse, kind=JOB, writes=False)


@_handles(ops.ReadJob)
def _(op: ops.ReadJob, call: Call) -> Command[ops.JobInfo | None]:
    def parse(reply: list[Any]) -> ops.JobInfo | None:
        if not reply:
            return None
        state, *times, failures, result, texts = reply
        info = _info(op.id, decode_name(state), times, failures, texts)
        return attrs.evolve(info, has_result=result > 0)

    keys = keys_of(op.feed)
    arguments = (encode_name(op.id),)
    return _script(op, call, arguments, parse, kind=JOB, results=[keys.result(op.id)], writes=False)


@_handles(ops.ReadJobPage)
def _(op: ops.ReadJobPage, call: Call) -> Command[ops.JobPage]:
    def parse(reply: list[bytes]) -> ops.JobPage:
        cursor, *words = reply
        rows = [words[at : at + 7] for at in range(0, len(words), 7)]
        jobs = (
            _info(decode_name(id), op.state.value, times, failures, texts)
            for id, _, *times, failures, texts in rows
        )
        return ops.JobPage(tuple(jobs), tuple(row[1] for row in rows), decode_name(cursor))

    arguments = (op.state.value, encode_name(op.cursor), op.count, LARGE_PAGE)
    return _script(op, call, arguments, parse, kind=JOB, writes=False)


def _info(
    id: str, state: str, times: Iterable[bytes], failures: bytes, texts: bytes
) -> ops.JobInfo:
    """What is known of a job, from the words of a reply."""
    put, due, claimed = map(_time, times)
    known = dict(text.partition(b"=")[::2] for text in texts.split(b"\0"))
    failure = None
    if known.get(b"failed"):
        words = (known.get(name, b"") for name in (b"message", b"error", b"traceback", b"worker"))
        failure = ops.Failure(*(word.decode("utf-8", "replace") for word in words))
    return ops.JobInfo(
        id,
        ops.JobState(state),
        put=put or _time(known.get(b"put")),
        due=due or _time(known.get(b"due")),
        claimed=claimed,
        failed=_time(known.get(b"failed")),
        stalled=_time(known.get(b"stalled")),
        failures=wire.count_of(failures),
        failure=failure,
        progress=_fraction(known.get(b"progress")),
        doing=known.get(b"doing", b"").decode("utf-8", "replace"),
        progressed=_time(known.get(b"progressed")),
    )


def _fraction(text: bytes | None) -> float | None:
    try:
        number = float(text or b"")
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _step(reply: list[int]) -> ops.Step:
    return ops.Step(*reply)


@_handles(ops.JobRetryAll)
def _(op: ops.JobRetryAll, call: Call) -> Command[ops.Step]:
    return _script(op, call, (op.count,), _step)


@_handles(ops.JobClear)
def _(op: ops.JobClear, call: Call) -> Command[ops.Step]:
    return _script(op, call, (op.state.value, op.count), _step)


@_handles(ops.QueueClear)
def _(op: ops.QueueClear, call: Call) -> Command[ops.Step]:
    return _script(op, call, (op.count,), _step)


def _time(text: bytes | None) -> dt.datetime | None:
    """A time that is stored, in ms or, by some peers, in seconds; None for what is none."""
    try:
        ms = float(text or b"")
        ms = ms * 1000 if ms < SECONDS else ms
        return EPOCH + dt.timedelta(milliseconds=math.floor(ms))
    except (ValueError, OverflowError):
        return None


def _schedule(schedule: ops.Schedule) -> bytes:
    """A schedule as it is stored."""
    texts = {
        "every": "" if schedule.every is None else f"{schedule.every * 1000:.0f}",
        "cron": schedule.cron,
        "tz": schedule.tz,
        "missed": schedule.if_missed.value,
        "priority": schedule.priority.name.lower(),
    }
    head = "".join(f"{name}={text}\0" for name, text in texts.items() if text)
    return encode_name(head) + b"item=" + schedule.item


def _times(times: Iterable[float]) -> str:
    return " ".join(f"{time * 1000:.0f}" for time in times)


@_handles(ops.JobSchedule)
def _(op: ops.JobSchedule, call: Call) -> Command[bool]:
    schedule = op.schedule
    arguments = (encode_name(schedule.name), _schedule(schedule), _times(op.times))
    return _script(op, call, arguments, bool)


@_handles(ops.JobSetRuns)
def _(op: ops.JobSetRuns, call: Call) -> Command[bool]:
    schedule = op.schedule
    arguments = (encode_name(schedule.name), _schedule(schedule), _times(op.times))
    return _script(op, call, arguments, bool)


@_handles(ops.JobUnschedule)
def _(op: ops.JobUnschedule, call: Call) -> Command[bool]:
    return _script(op, call, (encode_name(op.name),), bool)


@_handles(ops.ReadSchedules)
def _(op: ops.ReadSchedules, call: Call) -> Command[tuple[ops.ScheduleStatus, ...]]:
    def parse(reply: list[bytes]) -> tuple[ops.ScheduleStatus, ...]:
        rows = (reply[at : at + 4] for at in range(0, len(reply), 4))
        return tuple(found for row in rows if (found := _status(*row)) is not None)

    return _script(op, call, tuple(_ids(op.names)), parse, kind=JOB, writes=False)


def _status(name: bytes, stored: bytes, due: bytes, later: bytes) -> ops.ScheduleStatus | None:
    """A schedule, from the words of a reply; None where a peer has left something else."""
    head, _, item = (b"\0" + stored).partition(b"\0item=")
    texts = dict(text.partition("=")[::2] for text in decode_name(head).split("\0"))
    try:
        schedule = ops.Schedule(
            decode_name(name),
            item,
            float(texts["every"]) / 1000 if texts.get("every") else None,
            texts.get("cron", ""),
            texts.get("tz", ""),
            ops.IfMissed(texts.get("missed", "once")),
            ops.Priority.HIGH if texts.get("priority") == "high" else ops.Priority.NORMAL,
        )
        times = tuple(int(word) / 1000 for word in later.split())
        return ops.ScheduleStatus(schedule, float(due) / 1000 if due else None, times)
    except ValueError:
        return None


@_handles(ops.PauseFeed)
def _(op: ops.PauseFeed, call: Call) -> Command[bool | None]:
    payload = wire.announcement(op.feed, call.instance)
    return _script(op, call, (payload, wire.CONFFEED, LONG_LIST), _done)


def _done(reply: int) -> bool | None:
    """Whether it has changed something; None: it is to be asked again."""
    return None if reply > 1 else reply > 0


@_handles(ops.ResumeFeed)
def _(op: ops.ResumeFeed, call: Call) -> Command[bool | None]:
    payload = wire.announcement(op.feed, call.instance)
    return _script(op, call, (payload, wire.CONFFEED, LONG_LIST), _done)


@_handles(ops.JobClaim)
def _(op: ops.JobClaim, call: Call) -> Command[ops.Batch]:
    arguments: tuple[Word, ...] = (op.count, encode_name(op.token), int(op.recover_expired))
    return _script(op, call, arguments, _taken)


def _completion(completion: ops.Completion) -> Iterable[Word]:
    id, token = encode_name(completion.id), encode_name(completion.token)
    if not completion.has_result:
        return (id, token, b"")
    kind = b"none" if completion.result is None else b"some"
    keep = b"" if completion.timeout is None else completion.timeout * 1000
    return (id, token, kind, completion.result or b"", keep)


@_handles(ops.JobFinish)
def _(op: ops.JobFinish, call: Call) -> Command[None]:
    keys = keys_of(op.feed)
    words = [word for completion in op.completions for word in _completion(completion)]
    return _script(
        op,
        call,
        words,
        _nothing,
        results=_result_keys(keys, op.completions),
        ids=[completion.id for completion in op.completions],
    )


@_handles(ops.JobNext)
def _(op: ops.JobNext, call: Call) -> Command[ops.Batch]:
    keys = keys_of(op.feed)
    words = [word for completion in op.finished for word in _completion(completion)]
    return _script(
        op,
        call,
        (
            op.count,
            encode_name(op.token),
            int(op.recover_expired),
            len(op.finished),
            *words,
            *_held(op.cancelled),
        ),
        _taken,
        results=_result_keys(keys, op.finished),
    )


def _held(claims: Iterable[ops.ClaimRef]) -> Iterable[bytes]:
    for claim in claims:
        yield encode_name(claim.id)
        yield encode_name(claim.token)


@_handles(ops.JobExtend)
def _(op: ops.JobExtend, call: Call) -> Command[tuple[bool, ...]]:
    return _script(op, call, _held(op.claims), _flags)


@_handles(ops.JobCancel)
def _(op: ops.JobCancel, call: Call) -> Command[bool]:
    arguments = (encode_name(op.id), encode_name(op.token))
    return _script(op, call, arguments, bool, ids=(op.id,))


@_handles(ops.JobStall)
def _(op: ops.JobStall, call: Call) -> Command[None]:
    arguments = (encode_name(op.id), encode_name(op.token))
    return _script(op, call, arguments, _nothing, ids=(op.id,))


@_handles(ops.JobRetry)
def _(op: ops.JobRetry, call: Call) -> Command[None]:
    arguments = (encode_name(op.id),)
    return _script(op, call, arguments, _nothing, ids=(op.id,))


@_handles(ops.JobRetract)
def _(op: ops.JobRetract, call: Call) -> Command[tuple[bool, ...]]:
    return _script(op, call, _ids(op.ids), _flags)


@_handles(ops.RetractSome)
def _(op: ops.RetractSome, call: Call) -> Command[ops.SomeRetracted]:
    def parse(reply: list[int]) -> ops.SomeRetracted:
        right, left, *flags = reply
        removed = (None if flag < 0 else flag > 0 for flag in flags)
        return ops.SomeRetracted(tuple(removed), f"{right} {left}")

    keys = keys_of(op.feed)
    place = (*map(int, op.cursor.split()),) or (0, 0)
    arguments: tuple[Word, ...] = (*place, LONG_LIST, *_ids(op.ids))
    if op.kind == JOB:
        return _script(op, call, arguments, parse, kind=JOB, name="job_retract_some")
    words = (keys.retract, *arguments)
    return _script(op, call, words, parse, kind=SORTED_FEED, name="sorted_retract_some")


@_handles(ops.JobFailures)
def _(op: ops.JobFailures, call: Call) -> Command[int]:
    words = (b"HGET", keys_of(op.feed).cancelled, encode_name(op.id))
    return _read(words, wire.count_of, op.feed)


@_handles(ops.CountJobs)
def _(op: ops.CountJobs, call: Call) -> Command[ops.JobCounts]:
    return _script(op, call, (), lambda reply: ops.JobCounts(*reply), kind=JOB, writes=False)


@_handles(ops.ReadResult)
def _(op: ops.ReadResult, call: Call) -> Command[ops.StoredResult | None]:
    def parse(reply: list[bytes]) -> ops.StoredResult | None:
        match reply:
            case [kind, query, result]:
                return ops.StoredResult(query, None if kind == b"none" else result)
            case [result]:  # of a peer, which keeps no query
                return ops.StoredResult(None, result)
            case _:  # none, or consumed by a peer
                return None

    return _read((b"LRANGE", keys_of(op.feed).result(op.id), 0, -1), parse, op.feed)


@_handles(ops.JobMaintain)
def _(op: ops.JobMaintain, call: Call) -> Command[ops.MaintenanceReport]:
    def parse(reply: list[list[bytes]]) -> ops.MaintenanceReport:
        return ops.MaintenanceReport(*map(_names, reply))

    return _script(op, call, (), parse)


@_handles(ops.JobMend)
def _(op: ops.JobMend, call: Call) -> Command[ops.Mended]:
    def parse(reply: list[Any]) -> ops.Mended:
        cursor, expired, stalled, recovered, discarded, others, waiting = reply
        mended = map(_names, (expired, stalled, recovered, discarded))
        report = ops.MaintenanceReport(*mended)
        if op.suspects:
            return ops.Mended(report, looked_at=int(cursor))
        return ops.Mended(report, decode_name(cursor), _names(others), _names(waiting))

    arguments: tuple[Word, ...] = (op.cursor.encode(),)
    if op.suspects:
        arguments = ("suspects", *_ids(op.suspects))
    return _script(op, call, arguments, parse)


def wait_command(feed: str, seconds: float) -> bytes:
    """The command that blocks until an item of a queue or job feed is put, for ``seconds``.

    It moves the id to the list of reservations, from which every take serves itself
    first: a consumer that dies between the two has lost nothing.
    """
    keys = keys_of(feed)
    # 0 means "for ever", and redis-server 6.2 also takes 0.001 for it.
    return pack(b"BRPOPLPUSH", keys.ids, keys.reserved, f"{max(seconds, 0.002):.3f}")
