"""Rules about claims: their times, their holders and tokens, and ids that are reserved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from thoonk.config import JOB
from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import (
    Fault,
    Feed,
    ItemState,
    Rule,
    in_milliseconds,
    is_time,
    text_of_time,
)
from thoonk.doctor.probe import Words, words
from thoonk.operations import WorkerInfo, WorkerJob

LATE = Check(
    "late",
    Severity.WARNING,
    "their holders died or are slow, and no program has asked for items since",
    "Start a worker: the next get makes them available",
    "they wait again (jobs: counted as cancelled), or are stalled after max_failures",
)
FUTURE = Check(
    "future",
    Severity.WARNING,
    "a clock was ahead when these were claimed, or a peer's still is: they expire late",
    "The next get that waits repairs them; run job.maintenance() or repair",
    "they count as claimed now, and their holders keep them",
)
HOLDER = Check(
    "holder",
    Severity.WARNING,
    "an entry of feed.holders has no claim: a peer ended it or claimed again; it takes memory",
    "Run job.maintenance() or repair",
    "the entries are removed",
)
TOKEN = Check(
    "token",
    Severity.WARNING,
    "an entry of feed.tokens names ids that are not held under it; it takes memory",
    "Repair",
    "the ids are removed from the entry",
)
RESERVED = Check(
    "reserved",
    Severity.WARNING,
    "a consumer died between two steps, and peers of version 1 do not see these items",
    "The next get of this library takes them; run job.maintenance() or repair",
    "they wait again, as the next ones",
)
ENDLESS = Check(
    "endless",
    Severity.NOTE,
    "without claim_timeout a job whose worker dies is never available again",
    "Set claim_timeout in the feed's configuration",
)
STUCK = Check(
    "stuck",
    Severity.WARNING,
    "its worker keeps extending the claim, but the handler may hang",
    "Check what the worker does; set a time_limit for the handler; end it with thoonk job stop",
)

STUCK_AFTER = 60
"""How many times the ``claim_timeout`` of its feed a job may be claimed, by default.

The other claims of the present say nothing about what is usual: where all workers hang, all of
their claims are old.
"""

NAMED = 20
"""How many stuck jobs of a feed have their own finding."""


def late(state: ItemState, feed: Feed) -> Fault | None:
    """A claim past its time. (Contract: job maintenance since 2, queue get since 2)"""
    if not state.item or not state.is_late(feed):
        return None
    if state.in_lists or state.stalled or state.later:
        return None  # first it has to be in one state
    keys, id = feed.keys, state.id
    writes: list[Words] = [words("ZREM", keys.claimed, id), words("HDEL", keys.holders, id)]
    most = feed.config.max_failures or 0
    if feed.kind != JOB:
        writes.append(words("RPUSH", feed.waiting_key, id))
    elif most and state.failures + 1 >= most:
        writes += [words("ZREM", keys.published, id), words("SADD", keys.stalled, id)]
    else:
        writes.append(words("LPUSH", feed.waiting_key, id))
    if feed.kind == JOB:
        writes.append(words("HSET", keys.cancelled, id, state.failures + 1))
    return Fault(LATE, "claims past their time", tuple(writes))


def future(state: ItemState, feed: Feed) -> Fault | None:
    """A claim of a time that has yet to come. (Contract: Order and time)"""
    if not state.item or state.claimed is None or not state.is_ahead(feed):
        return None
    if state.in_lists or state.stalled:
        return None  # first it has to be in one state
    now = text_of_time(feed.now)
    writes = [words("ZADD", feed.keys.claimed, "XX", now, state.id)]
    token, _, since = (state.holder or b"").rpartition(b" ")
    if token and _is(since, state.claimed):
        writes.append(words("HSET", feed.keys.holders, state.id, token + b" " + now.encode()))
    return Fault(FUTURE, "claims of a time that has yet to come", tuple(writes))


def holder(state: ItemState, feed: Feed) -> Fault | None:
    """A holder's entry that counts for nothing."""
    if state.holder is None:
        return None
    since = state.holder.rpartition(b" ")[2]
    if state.claimed is not None and _is(since, state.claimed):
        return None
    return Fault(HOLDER, "holders of no claim", (words("HDEL", feed.keys.holders, state.id),))


def _is(text: bytes, time: float) -> bool:
    try:
        return float(text) == time
    except ValueError:
        return False


def reserved(state: ItemState, feed: Feed) -> Fault | None:
    """An id that was on the way to a consumer, for too long."""
    if not state.item or not state.reserved or state.claimed is not None or state.stalled:
        return None
    if state.in_lists > 1:
        return None  # see `twice`
    writes = (
        words("LREM", feed.keys.reserved, 1, state.id),
        words("RPUSH", feed.waiting_key, state.id),
    )
    return Fault(RESERVED, "ids left in feed.reserved", writes)


RULES: tuple[Rule, ...] = (late, future, holder, reserved)


# --- tokens: these are of takes, not of ids -----------------------------------------------


def reads_of_token(feed: Feed, token: bytes, ids: Sequence[bytes]) -> list[Words]:
    """What is read to check the entry of a token that names these ids."""
    return [
        words("HGET", feed.keys.tokens, token),
        *(words("HGET", feed.keys.holders, id) for id in ids),
    ]


def ids_of_token(entry: bytes) -> list[bytes]:
    """The ids in an entry of ``feed.tokens``."""
    return entry.split(b"\0")


def is_held(holder: bytes | None, token: bytes) -> bool:
    """Whether that entry of ``feed.holders`` is the token's."""
    return holder is not None and holder.rpartition(b" ")[0] == token


def token_rule(
    feed: Feed, token: bytes, entry: bytes | None, holders: Mapping[bytes, bytes | None]
) -> Fault | None:
    """A token that names ids which are not held under it."""
    if entry is None:
        return None
    ids = ids_of_token(entry)
    held = [id for id in ids if is_held(holders.get(id), token)]
    if held == ids:
        return None
    key = feed.keys.tokens
    write = words("HSET", key, token, b"\0".join(held)) if held else words("HDEL", key, token)
    return Fault(TOKEN, "tokens of what is not held", (write,))


def endless_rule(feed: Feed, claimed: Mapping[bytes, float]) -> Fault | None:
    """Claims that are never over."""
    if feed.kind != JOB or feed.timeout is not None or not claimed:
        return None
    oldest = max(0.0, feed.now - min(map(in_milliseconds, claimed.values()))) / 1000
    return Fault(ENDLESS, f"{len(claimed)} claims without an end, the oldest of {oldest:.0f} s")


def since_when(scan: Mapping[str, Mapping[bytes, Any]]) -> dict[bytes, float]:
    """Since when each job is claimed, in ms. (Contract: Since when a job is claimed)

    Claims may be extended while they are read. So the token of a holder counts, and the time
    next to it does not.
    """
    running, holders, found = scan["running"], scan["holders"], dict[bytes, float]()
    for id, score in scan["claimed"].items():
        time = in_milliseconds(score)
        token = holders.get(id, b"").rpartition(b" ")[0]
        first = running.get(token + b" " + id, time)
        found[id] = min(first, time) if is_time(first) else time
    return found


def stuck_rule(
    feed: Feed, since: Mapping[bytes, float], after: float | None
) -> list[tuple[bytes, float]]:
    """Jobs that are claimed for much longer than usual, oldest first, and since when.

    ``after``: for so many ms; None: as the feed's ``claim_timeout`` says.
    """
    if feed.kind != JOB or (after is None and feed.timeout is None):
        return []
    if after is None:
        after = STUCK_AFTER * (feed.timeout or 0.0)
    old = [(id, time) for id, time in since.items() if is_time(time) and feed.now - time > after]
    return sorted(old, key=lambda each: each[1])


def says_of_stuck(
    feed: Feed, time: float, holder: tuple[WorkerInfo, WorkerJob] | None = None
) -> str:
    """Since when a job is claimed, and which worker is processing it, for people."""
    at = dt.datetime.fromtimestamp(time / 1000, dt.UTC)
    age = dt.timedelta(seconds=int((feed.now - time) / 1000))
    by = f"by worker {holder[0].host}:{holder[0].pid}" if holder else "no live worker reports it"
    return f"claimed since {at:%Y-%m-%d %H:%M:%S} UTC, for {age}, {by}"
