"""Checks of the states: each item in one, each id with an item."""

from __future__ import annotations

from thoonk.backends.redis.wire import is_count
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import (
    SECONDS_BELOW,
    Fault,
    Feed,
    ItemState,
    Rule,
    in_milliseconds,
    is_time,
    text_of_time,
)
from thoonk.doctor.probe import Words, words

LOST = Check(
    "lost",
    Severity.ERROR,
    "whoever was to take them has died between two commands, and nobody takes them",
    "Run job.maintenance() or repair",
    "they wait again",
)
RETRACTED = Check(
    "retracted",
    Severity.WARNING,
    "a peer has retracted these jobs and forgot the items; they will not run, and take memory",
    "Run job.maintenance() or repair",
    "the items are removed",
)
UNORDERED = Check(
    "unordered",
    Severity.ERROR,
    "get_item finds them, get_ids does not; whether they were retracted cannot be known",
    "Publish them again, or remove them with HDEL feed.items:FEED ID",
)
NO_ITEM = Check(
    "no-item",
    Severity.WARNING,
    "an id without item: get_ids names it, takers pass over it",
    "Nothing can bring an item back; what is claimed goes when the claim is over",
    "the ids are removed, from feeds with a notice",
)
TWO_STATES = Check(
    "two-states",
    Severity.ERROR,
    "it may run twice, or run although it was stalled",
    "Repair",
    "a claim is kept; else a job with a time in feed.published waits, and one without is stalled",
)
TWICE = Check(
    "twice",
    Severity.ERROR,
    "it is taken, or shown, twice",
    "Repair",
    "the one that is next is kept (in a sorted feed the first)",
)
NO_TIME = Check(
    "no-time",
    Severity.WARNING,
    "the job has no time in feed.published: if its taker died it would count as retracted",
    "Repair",
    "it gets the present time",
)
STALE = Check(
    "stale",
    Severity.WARNING,
    "entries of feed.published or feed.cancelled of jobs that are over take memory",
    "Repair",
    "the entries are removed",
)
SECONDS = Check(
    "seconds",
    Severity.WARNING,
    "a peer writes times in seconds, which sort before all others until somebody rewrites them",
    "Repair, and bring the peer up to date",
    "the times are rewritten in ms",
)

WRONG_TIME = Check(
    "wrong-time",
    Severity.WARNING,
    "what a peer wrote there is no time: it seems to be of long ago, or to stand for ever",
    "Repair, and look who wrote it; items of a feed stand where they do until they are published",
    "jobs, and what is claimed for ever, get the present time",
)
COUNT = Check(
    "count",
    Severity.WARNING,
    "what a peer wrote there is no number from 0 on: it counts as 0",
    "Repair, and look who wrote it",
    "it is removed",
)


def _off_lists(facts: ItemState, feed: Feed) -> list[Words]:
    return [
        words("LREM", key, 0, facts.id)
        for key, count in ((feed.keys.ids, facts.waiting), (feed.keys.reserved, facts.reserved))
        if count
    ]


def _of_no_claim(facts: ItemState, feed: Feed) -> list[Words]:
    return [
        words("ZREM", feed.keys.claimed, facts.id),
        words("HDEL", feed.keys.holders, facts.id),
    ]


def lost(facts: ItemState, feed: Feed) -> Fault | None:
    """An item of a queue or a job that was on its way to a taker when that died."""
    if not facts.item or facts.is_known or feed.kind not in (QUEUE, JOB):
        return None
    if feed.kind == JOB and facts.published is None:
        return None
    push = "LPUSH" if feed.kind == JOB else "RPUSH"
    return Fault(LOST, "in no state", (words(push, feed.keys.ids, facts.id),))


def retracted(facts: ItemState, feed: Feed) -> Fault | None:
    """The item of a job that a peer has retracted."""
    if not facts.item or facts.is_known or feed.kind != JOB or facts.published is not None:
        return None
    writes = [
        words("HDEL", key, facts.id)
        for key in (feed.keys.items, feed.keys.cancelled, feed.keys.holders)
    ]
    return Fault(RETRACTED, "items of retracted jobs", tuple(writes))


def unordered(facts: ItemState, feed: Feed) -> Fault | None:
    """An item of a feed or sorted feed that has no place in it."""
    if not facts.item or facts.is_known or feed.kind not in (FEED, SORTED_FEED):
        return None
    if facts.score is not None:
        return None
    return Fault(UNORDERED, "items that are not in feed.ids")


def no_item(facts: ItemState, feed: Feed) -> Fault | None:
    """An id in some state whose item is not there."""
    if facts.item or not (facts.is_known or facts.score is not None):
        return None
    says = "ids without item"
    keys, id = feed.keys, facts.id
    match feed.kind:
        case "feed":
            return Fault(
                NO_ITEM, says, (words("ZREM", keys.ids, id), words("PUBLISH", keys.retract, id))
            )
        case "sorted_feed":
            return Fault(
                NO_ITEM, says, (words("LREM", keys.ids, 0, id), words("PUBLISH", keys.retract, id))
            )
    writes = _off_lists(facts, feed)
    if facts.claimed is not None:
        if not facts.is_late(feed):
            # Its taker has the item and may end the claim.
            return Fault(NO_ITEM, says)
        writes += _of_no_claim(facts, feed)
    if feed.kind == JOB:
        writes += [
            words("SREM", keys.stalled, id),
            words("ZREM", keys.published, id),
            words("HDEL", keys.cancelled, id),
        ]
    return Fault(NO_ITEM, says, tuple(writes))


def two_states(facts: ItemState, feed: Feed) -> Fault | None:
    """An id that waits, is claimed, is stalled: more than one of these."""
    waits = facts.waiting + facts.reserved > 0
    is_claimed = facts.claimed is not None
    if not facts.item or waits + is_claimed + facts.stalled < 2:  # noqa: PLR2004
        return None
    says = " and ".join(
        state
        for state, holds in (
            ("waiting", waits),
            ("claimed", is_claimed),
            ("stalled", facts.stalled),
        )
        if holds
    )
    writes: list[Words] = []
    if facts.stalled and facts.published is None:
        writes += _off_lists(facts, feed)
        if is_claimed:
            writes += _of_no_claim(facts, feed)
    else:
        if facts.stalled:
            writes.append(words("SREM", feed.keys.stalled, facts.id))
        if is_claimed:
            writes += _off_lists(facts, feed)
    return Fault(TWO_STATES, says, tuple(writes))


def twice(facts: ItemState, feed: Feed) -> Fault | None:
    """An id that is more than once among those that wait, or in a sorted feed."""
    total = facts.waiting + facts.reserved
    if not facts.item or total < 2 or facts.claimed is not None or facts.stalled:  # noqa: PLR2004
        return None
    ids, reserved, id = feed.keys.ids, feed.keys.reserved, facts.id
    writes: list[Words] = []
    if feed.kind == SORTED_FEED:
        writes.append(words("LREM", ids, 1 - total, id))
    elif facts.reserved:
        # Those are taken first, from the right.
        if facts.waiting:
            writes.append(words("LREM", ids, 0, id))
        if facts.reserved > 1:
            writes.append(words("LREM", reserved, facts.reserved - 1, id))
    else:
        writes.append(words("LREM", ids, total - 1, id))
    return Fault(TWICE, "more than once in feed.ids", tuple(writes))


def no_time(facts: ItemState, feed: Feed) -> Fault | None:
    """A job that waits or is claimed and has no time."""
    in_circulation = facts.waiting or facts.reserved or facts.claimed is not None
    if feed.kind != JOB or not facts.item or facts.published is not None or facts.stalled:
        return None
    if not in_circulation:
        return None
    write = words("ZADD", feed.keys.published, "NX", text_of_time(feed.now), facts.id)
    return Fault(NO_TIME, "jobs without a time", (write,))


def stale(facts: ItemState, feed: Feed) -> Fault | None:
    """What is left of a job that is over."""
    if feed.kind != JOB or facts.is_known or facts.item:
        return None
    writes = []
    if facts.published is not None:
        writes.append(words("ZREM", feed.keys.published, facts.id))
    if facts.cancelled is not None:
        writes.append(words("HDEL", feed.keys.cancelled, facts.id))
    return Fault(STALE, "entries of jobs that are over", tuple(writes)) if writes else None


def seconds(facts: ItemState, feed: Feed) -> Fault | None:
    """Times in seconds."""
    writes = [
        words("ZADD", key, "XX", text_of_time(in_milliseconds(time)), facts.id)
        for key, time in (
            (feed.keys.ids, facts.score),
            (feed.keys.published, facts.published),
            (feed.keys.claimed, facts.claimed),
        )
        if time is not None and is_time(time) and time < SECONDS_BELOW
    ]
    if facts.is_ahead(feed):
        return None  # see `future`
    return Fault(SECONDS, "times in seconds", tuple(writes)) if writes else None


def wrong_time(facts: ItemState, feed: Feed) -> Fault | None:
    """Numbers that are no times."""
    says = "numbers that are no times"
    if facts.score is not None and not is_time(facts.score):
        return Fault(WRONG_TIME, says)  # where it belongs cannot be known
    # A claim that was late or of the future is told as that.
    claimed = None if facts.is_ahead(feed) or facts.is_late(feed) else facts.claimed
    writes = [
        words("ZADD", key, "XX", text_of_time(feed.now), facts.id)
        for key, time in ((feed.keys.published, facts.published), (feed.keys.claimed, claimed))
        if facts.item and time is not None and not is_time(time)
    ]
    if writes and claimed is not None and facts.holder is not None and not is_time(claimed):
        writes.append(words("HDEL", feed.keys.holders, facts.id))
    return Fault(WRONG_TIME, says, tuple(writes)) if writes else None


def count(facts: ItemState, feed: Feed) -> Fault | None:
    """How often a job was cancelled, when that is no number."""
    if not facts.item or facts.cancelled is None or is_count(facts.cancelled):
        return None
    write = words("HDEL", feed.keys.cancelled, facts.id)
    return Fault(COUNT, "failures in feed.cancelled that are no number", (write,))


JUDGES: tuple[Rule, ...] = (
    lost,
    retracted,
    unordered,
    no_item,
    two_states,
    twice,
    no_time,
    stale,
    seconds,
    wrong_time,
    count,
)
