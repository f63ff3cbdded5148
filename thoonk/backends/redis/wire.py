"""Key names, channel names and notice payloads (contract: Keys, Channels)."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import attrs

from thoonk.names import check_name, decode_name, encode_name
from thoonk.notices import (
    Cancelled,
    Claimed,
    Configured,
    Created,
    Deleted,
    Edited,
    Ended,
    Finished,
    Marker,
    Moved,
    Notice,
    Progressed,
    Published,
    Put,
    Released,
    Retracted,
    Retried,
    Scheduled,
    Stalled,
)

logger = logging.getLogger("thoonk.notices")

FEEDS = b"feeds"
WORKERS = b"feed.workers"
NEWFEED = b"newfeed"
DELFEED = b"delfeed"
CONFFEED = b"conffeed"
CATALOGUE_CHANNELS = (NEWFEED, DELFEED, CONFFEED)


@attrs.frozen
class Keys:
    """The keys and channels of one feed, as bytes."""

    STORED: ClassVar[tuple[str, ...]]
    """The names of its keys; the others are of channels, or `feeds` and `workers`."""

    feeds: ClassVar[bytes] = FEEDS
    workers: ClassVar[bytes] = WORKERS
    name: bytes
    config: bytes
    ids: bytes
    items: bytes
    publishes: bytes
    idincr: bytes
    published: bytes
    claimed: bytes
    stalled: bytes
    cancelled: bytes
    finishes: bytes
    results: bytes
    reserved: bytes
    holders: bytes
    tokens: bytes
    answers: bytes
    scheduled: bytes
    scheduleditems: bytes
    unique: bytes
    info: bytes
    schedules: bytes
    runs: bytes
    runtimes: bytes
    paused: bytes
    running: bytes
    publish: bytes
    edit: bytes
    retract: bytes
    position: bytes
    finish: bytes
    event: bytes

    def result(self, id: str) -> bytes:
        """The key of one job's stored result."""
        return b"feed.jobfinished:%b\0%b" % (self.name, encode_name(id))


_CHANNEL_OF = {
    "publish": b"feed.publish:",
    "edit": b"feed.edit:",
    "retract": b"feed.retract:",
    "position": b"feed.position:",
    "finish": b"job.finish:",
    "event": b"job.event:",
}
_PREFIXES = {
    field.name: _CHANNEL_OF.get(field.name, b"feed.%b:" % field.name.encode())
    for field in attrs.fields(Keys)
    if field.name != "name"
}
Keys.STORED = tuple(name for name in _PREFIXES if name not in _CHANNEL_OF)


def count_of(text: bytes | None) -> int:
    """The number in a counter or count; 0 where there is none, or what a peer left is no number."""
    return int(text) if text is not None and is_count(text) else 0


def is_count(text: bytes) -> bool:
    """Whether that is a whole number from 0 on, of a size that all can count with."""
    return text.isdigit() and len(text) <= 15  # noqa: PLR2004


def marker_channel(token: str) -> bytes:
    """The channel on which a subscription gets the markers of its own pages."""
    return b"feed.marker:" + encode_name(token)


def alarm_of(feed: str) -> bytes:
    """A channel in the slot of a feed's keys, on which nothing is published."""
    return b"feed.alarm:" + encode_name(feed)


@functools.lru_cache(maxsize=4096)
def keys_of(feed: str) -> Keys:
    """The keys and channels of the feed of that name."""
    name = encode_name(feed)
    return Keys(name=name, **{field: prefix + name for field, prefix in _PREFIXES.items()})


# --- which client did it -------------------------------------------------------------


def new_instance(db: int) -> str:
    """A UUID for one client. It is of version 8 and ends in the db's number.

    Channels are shared by all dbs of a server. The number lets a listener tell at
    once whether a created or deleted feed is in its own db.
    """
    number = uuid.uuid4().int
    number = number >> 16 << 16 | db & 0xFFFF
    number = number & ~(0xF << 76) | 0x8 << 76
    return str(uuid.UUID(int=number))


def db_of_instance(instance: bytes) -> int | None:
    """The db in which the client of that UUID works, None when it does not say."""
    try:
        number = uuid.UUID(instance.decode("ascii"))
    except ValueError:
        return None
    return number.int & 0xFFFF if number.version == 8 else None  # noqa: PLR2004


def announcement(feed: str, instance: str) -> bytes:
    """Payload of newfeed, delfeed and conffeed."""
    return b"%b\0%b" % (encode_name(feed), instance.encode())


# --- reading notices --------------------------------------------------------------------


@attrs.frozen
class Received:
    """A notice as it came; ``db`` is the db it is of, None when the payload does not say."""

    notice: Notice
    db: int | None = None


def channels_of(feed: str) -> list[bytes]:
    """The channels of a feed's own notices."""
    keys = keys_of(feed)
    return [keys.publish, keys.edit, keys.retract, keys.position, keys.finish, keys.event]


def patterns() -> Iterable[bytes]:
    """Patterns for the channels of all feeds."""
    return [prefix + b"*" for prefix in _CHANNEL_OF.values()]


def read_notice(channel: bytes, payload: bytes) -> Received | None:
    """The notice of a message; None (and a line in the log) when it is not understood.

    Channel names are split at the first colon and payloads at the first NUL: names
    may hold colons and items NULs.
    """
    try:
        if channel in CATALOGUE_CHANNELS:
            name, separator, instance = payload.partition(b"\0")
            _expect(bool(separator))
            feed = check_name(decode_name(name))
            kind = {NEWFEED: Created, DELFEED: Deleted, CONFFEED: Configured}[channel]
            return Received(kind(feed), db_of_instance(instance))
        event, _, name = channel.partition(b":")
        if event == b"feed.marker":
            raw_name, separator, mark = payload.partition(b"\0")
            _expect(bool(separator))
            feed = check_name(decode_name(raw_name))
            return Received(Marker(feed, decode_name(name), decode_name(mark)))
        feed = check_name(decode_name(name))
        if event == b"feed.retract":
            return Received(Retracted(feed, check_name(decode_name(payload), "item id")))
        if event == b"job.event":
            found = _job_event(feed, *payload.split(b"\0"))
            return None if found is None else Received(found)
        raw_id, separator, rest = payload.partition(b"\0")
        _expect(bool(separator))
        id = check_name(decode_name(raw_id), "item id")
        match event:
            case b"feed.publish":
                return Received(Published(feed, id, rest))
            case b"feed.edit":
                return Received(Edited(feed, id, rest))
            case b"feed.position":
                return Received(Moved(feed, id, decode_name(rest)))
            case b"job.finish":
                return Received(Finished(feed, id, rest))
            case _:
                return None
    except ValueError as error:
        logger.warning(
            "Message on channel %.200r skipped, because it is not a notice: %s",
            channel,
            error,
            extra={
                "event": "message_passed_over",
                "channel": channel.decode("utf-8", "backslashreplace"),
            },
        )
        return None


_EVENTS: Mapping[bytes, Callable[[str, str], Notice]] = {
    b"put": Put,
    b"claimed": Claimed,
    b"finished": Ended,
    b"cancelled": Cancelled,
    b"released": Released,
    b"stalled": Stalled,
    b"retried": Retried,
    b"retracted": Retracted,
}


def _job_event(feed: str, event: bytes, raw_id: bytes = b"", *more: bytes) -> Notice | None:
    """The notice of an event of a job; None for one that is not known here."""
    id = check_name(decode_name(raw_id), "item id")
    if event == b"scheduled" and more:
        return Scheduled(feed, id, float(more[0]) / 1000)
    if event == b"progressed" and more:
        text = more[1].decode("utf-8", "replace") if len(more) > 1 else ""
        return Progressed(feed, id, float(more[0]), text)
    kind = _EVENTS.get(event)
    return None if kind is None else kind(feed, id)


def _expect(separated: bool) -> None:
    if not separated:
        raise ValueError("there is no NUL between its parts")
