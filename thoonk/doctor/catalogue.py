"""Rules about which feeds there are, how they are configured, and which keys each has."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Collection, Mapping, Sequence

import attrs

from thoonk.backends.redis.wire import (
    CONFFEED,
    DELFEED,
    FEEDS,
    NEWFEED,
    Keys,
    announcement,
    count_of,
    is_count,
)
from thoonk.config import FEED, FeedConfig, check_config
from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import Fault
from thoonk.doctor.probe import Reply, Words, words
from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import decode_name

RESULT = "jobfinished"

PAUSED = "1"
"""What the field ``paused`` of the configuration is while a feed is paused."""

_TYPES = {
    "answers": "hash",
    "cancelled": "hash",
    "claimed": "zset",
    "config": "hash",
    "finishes": "string",
    "holders": "hash",
    "idincr": "string",
    "info": "hash",
    "items": "hash",
    RESULT: "list",
    "running": "zset",
    "runs": "zset",
    "runtimes": "hash",
    "schedules": "hash",
    "paused": "list",
    "published": "zset",
    "publishes": "string",
    "reserved": "list",
    "results": "zset",
    "scheduled": "zset",
    "scheduleditems": "hash",
    "stalled": "set",
    "tokens": "hash",
    "unique": "zset",
}
"""The type of each key but ``feed.ids``, by its word."""

_DATA = (
    *("config", "items", "ids", "reserved", "claimed", "stalled", "published"),
    *("scheduled", "scheduleditems", "schedules", "paused"),
)
"""What holds items or says where they are. All else is of no use without it."""

UNLISTED = Check(
    "unlisted",
    Severity.WARNING,
    "it has a configuration and works, but is not in feeds: handlers for all feeds miss it",
    "Open it once, or repair",
    "it is listed and announced",
)
HALF_DELETED = Check(
    "half-deleted",
    Severity.WARNING,
    "its name is in feeds and nothing else exists: the program that deleted it died in between",
    "Delete or create it again, or repair",
    "the name is removed, with a notice",
)
NO_CONFIG = Check(
    "no-config",
    Severity.ERROR,
    "its name is in feeds and it has items, but no configuration: no operation will touch it",
    "Write its type: HSET feed.config:FEED type feed (or sorted_feed, queue, job); or delete it",
)
STRAY = Check(
    "stray",
    Severity.WARNING,
    "there are items of a feed that does not exist",
    "Create the feed to read them, or delete it again to remove them",
)
LEFTOVER = Check(
    "leftover",
    Severity.WARNING,
    "keys of a deleted feed, without items; they take memory",
    "Delete it again, or repair",
    "the keys are deleted",
)
STRAY_RESULT = Check(
    "stray-result",
    Severity.WARNING,
    "results that never expire, of a deleted feed; they take memory",
    "Delete them if you do not need them: DEL feed.jobfinished:FEED\\0ID",
)
WRONG_TYPE = Check(
    "wrong-type",
    Severity.ERROR,
    "operations that need the key fail; the rest of the feed was not checked",
    "Check its contents and which program wrote it; then RENAME or DEL it",
)
FIELD = Check(
    "config-field",
    Severity.WARNING,
    "a misspelled setting is kept and has no effect",
    "Set the right one, and remove this one: set_config({NAME: None})",
)
VALUE = Check(
    "config-value",
    Severity.WARNING,
    "it is treated as not set",
    "Set it again: set_config",
)
OWN_TYPE = Check(
    "own-type",
    Severity.NOTE,
    "only programs that register the type can use it; its items were not checked",
    "Nothing, if the type is yours; a type can only be set at creation",
)
COUNTER = Check(
    "counter",
    Severity.ERROR,
    "the feed would assign an id that is taken, and overwrite its item",
    "Repair",
    "the counter is set to the greatest id",
)
UNKNOWN_KEY = Check(
    "unknown-key",
    Severity.NOTE,
    "a later version may have written it; names that begin with feed. are reserved",
    "Nothing, or rename what is yours",
)


@attrs.frozen
class KeyName:
    """A key's name, taken apart. That of a result has an id."""

    word: str
    feed: str
    id: bytes | None = None

    @classmethod
    def parse(cls, key: bytes) -> KeyName | None:
        """Take it apart; None when it is of no feed."""
        prefix, colon, rest = key.partition(b":")
        if not colon or not rest:
            return None
        word = prefix.removeprefix(b"feed.").decode("ascii", "backslashreplace")
        if word != RESULT:
            return cls(word, decode_name(rest))
        feed, _, id = rest.partition(b"\0")
        return cls(word, decode_name(feed), id)

    @property
    def is_known(self) -> bool:
        """Whether the contract knows the word."""
        return self.word in _TYPES or self.word == "ids"


def type_of(word: str, kind: str) -> str:
    """The Redis type that a key must have, in a feed of that kind."""
    if word == "ids":
        return "zset" if kind == FEED else "list"
    return _TYPES[word]


# --- does the feed exist ------------------------------------------------------------------


def reads_of_existence(keys: Keys, leftovers: Sequence[bytes]) -> list[Words]:
    """Whether it is configured, whether it is listed, how much there is of it."""
    return [
        words("HEXISTS", keys.config, "type"),
        words("SISMEMBER", FEEDS, keys.name),
        words("EXISTS", *(getattr(keys, word) for word in _DATA)),
        words("EXISTS", keys.answers, *leftovers),
    ]


def leftovers_of(keys: Keys, found: Collection[str]) -> list[bytes]:
    """The keys among those that were found that are of no use alone."""
    # With the index of results a later deletion finds the results.
    index = {"results"} if RESULT in found else set()
    return [getattr(keys, word) for word in sorted({*found} - {*_DATA, RESULT, *index})]


def existence_rule(
    keys: Keys, leftovers: Sequence[bytes], replies: Sequence[Reply]
) -> Fault | None:
    """A feed that exists by half."""
    configured, listed, data, left = replies
    said = announcement(decode_name(keys.name), str(uuid.uuid4()))
    if configured:
        if listed:
            return None
        listing = words("SADD", FEEDS, keys.name)
        notices = (words("PUBLISH", NEWFEED, said), words("PUBLISH", CONFFEED, said))
        return Fault(UNLISTED, "it is not in feeds", (listing, *notices))
    if listed and data:
        return Fault(NO_CONFIG, "it has no configuration")
    if listed:
        writes = (words("SREM", FEEDS, keys.name), words("PUBLISH", DELFEED, said))
        return Fault(HALF_DELETED, "there is only its name", writes)
    if data:
        return Fault(STRAY, "items of no feed")
    if left and leftovers:
        return Fault(LEFTOVER, "keys of no feed", (words("DEL", *leftovers),))
    return None


def type_rule(word: str, kind: str, actual: str) -> Fault | None:
    """A key of another Redis type than a feed of that kind has."""
    wanted = type_of(word, kind)
    if actual in (wanted, "none"):
        return None
    return Fault(WRONG_TYPE, f"feed.{word} is a {actual}, not a {wanted}")


def stray_result_rule(configured: int, left: int) -> Fault | None:
    """A result that is kept forever, of a feed that does not exist."""
    return Fault(STRAY_RESULT, "results of no feed") if not configured and left == -1 else None


# --- how it is configured -----------------------------------------------------------------


def faulty_settings(fields: Mapping[str, str]) -> dict[str, Fault]:
    """The fields that make no sense, and what is wrong with them."""
    faults = {}
    known = [field.name for field in attrs.fields(FeedConfig) if field.name != "extra"]
    for name, text in fields.items():
        if name not in known:
            if close := difflib.get_close_matches(name, known, 1, 0.75):
                says = f"{name!r} in the configuration, not {close[0]!r}"
                faults[name] = Fault(FIELD, says)
            continue
        if name == "paused" and text == PAUSED:
            continue  # only `pause` sets it
        try:
            check_config({name: text})
        except (InvalidValue, InvalidType) as error:
            faults[name] = Fault(VALUE, str(error))
    return faults


def sensible(fields: Mapping[str, str]) -> FeedConfig:
    """The configuration without what makes no sense."""
    bad = {name for name, fault in faulty_settings(fields).items() if fault.check is VALUE}
    return FeedConfig.from_fields({n: text for n, text in fields.items() if n not in bad})


def counter_rule(keys: Keys, greatest: int, is_there: int, given: bytes | None) -> Fault | None:
    """A counter of ids that is behind the greatest, or no number."""
    repair = (words("SET", keys.idincr, greatest),)
    if given is not None and not is_count(given):
        return Fault(COUNTER, "feed.idincr is no number, and no item can be added", repair)
    number = count_of(given)
    if not is_there or number >= greatest:
        return None
    return Fault(COUNTER, f"the next id would be {number + 1}, and {greatest} is there", repair)
