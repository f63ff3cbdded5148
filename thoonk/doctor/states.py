"""Rules about the states of items: each item is in exactly one, and each id has an item."""

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
    "a consumer died between two commands, and no other takes them",
    "Run job.maintenance() or repair",
    "they wait again",
)
RETRACTED = Check(
    "retracted",
    Severity.WARNING,
    "a peer has retracted these jobs but not the items; they will not run, and take memory",
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
    "an id without an item: get_ids lists it, consumers skip it",
    "The item cannot be restored; a claimed one disappears when its claim ends",
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
    "the one that is taken next is kept (in a sorted feed the first)",
)
NO_TIME = Check(
    "no-time",
    Severity.WARNING,
    "the job has no time in feed.published: if its worker died, it would count as retracted",
    "Repair",
    "it gets the present time",
)
STALE = Check(
    "stale",
    Severity.WARNING,
    "entries of feed.published, feed.cancelled or feed.info of ended jobs take memory",
    "Repair",
    "the entries are removed",
)
SECONDS = Check(
    "seconds",
    Severity.WARNING,
    "a peer writes times in seconds, which sort before all others until they are rewritten",
    "Repair, and update the peer",
    "the times are rewritten in ms",
)

WRONG_TIME = Check(
    "wrong-time",
    Severity.WARNING,
    "a peer wrote a value that is not a time: the item seems very old, or never expires",
    "Repair, and find its writer; items of a feed keep their position until published",
    "jobs, and claims that never expire, get the present time",
)
COUNT = Check(
    "count",
    Severity.WARNING,
    "a peer wrote a value that is not a number from 0 on: it counts as 0",
    "Repair, and find its writer",
    "it is removed",
)


def _off_lists(state: ItemState, feed: Feed) -> list[Words]:
    return [
        words("LREM", key, 0, state.id)
        for key, count in (
            (feed.keys.ids, state.waiting),
            (feed.keys.reserved, state.reserved),
            (feed.keys.paused, state.paused),
        )
        if count
    ]


def _of_no_claim(state: ItemState, feed: Feed) -> list[Words]:
    return [
        words("ZREM", feed.keys.claimed, state.id),
        words("HDEL", feed.keys.holders, state.id),
    ]


def lost(state: ItemState, feed: Feed) -> Fault | None:
    """An item of a queue or a job that was on its way to a consumer when that died."""
    if not state.item or state.is_known or state.later or feed.kind not in (QUEUE, JOB):
        return None
    if feed.kind == JOB and state.published is None:
        return None
    push = "LPUSH" if feed.kind == JOB else "RPUSH"
    return Fault(LOST, "in no state", (words(push, feed.waiting_key, state.id),))


def retracted(state: ItemState, feed: Feed) -> Fault | None:
    """The item of a job that a peer has retracted."""
    if not state.item or state.is_known or feed.kind != JOB or state.published is not None:
        return None
    if state.later:
        return None  # see `scheduled_too`
    keys = feed.keys
    writes = [
        words("HDEL", key, state.id)
        for key in (keys.items, keys.cancelled, keys.holders, keys.info)
    ]
    return Fault(RETRACTED, "items of retracted jobs", tuple(writes))


def unordered(state: ItemState, feed: Feed) -> Fault | None:
    """An item of a feed or sorted feed that has no place in it."""
    if not state.item or state.is_known or feed.kind not in (FEED, SORTED_FEED):
        return None
    if state.score is not None:
        return None
    return Fault(UNORDERED, "items that are not in feed.ids")


def no_item(state: ItemState, feed: Feed) -> Fault | None:
    """An id in some state whose item is not there."""
    if state.item or not (state.is_known or state.score is not None):
        return None
    if state.later:
        return None  # see `scheduled_too`
    if state.id == b"" and feed.kind == JOB and state.claimed is None and not state.stalled:
        return None  # it wakes a consumer that is to look when the next job is due
    says = "ids without item"
    keys, id = feed.keys, state.id
    match feed.kind:
        case "feed":
            return Fault(
                NO_ITEM, says, (words("ZREM", keys.ids, id), words("PUBLISH", keys.retract, id))
            )
        case "sorted_feed":
            return Fault(
                NO_ITEM, says, (words("LREM", keys.ids, 0, id), words("PUBLISH", keys.retract, id))
            )
    writes = _off_lists(state, feed)
    if state.claimed is not None:
        if not state.is_late(feed):
            # Its consumer has the item and may end the claim.
            return Fault(NO_ITEM, says)
        writes += _of_no_claim(state, feed)
    if feed.kind == JOB:
        writes += [
            words("SREM", keys.stalled, id),
            words("ZREM", keys.published, id),
            words("HDEL", keys.cancelled, id),
            words("HDEL", keys.info, id),
        ]
    return Fault(NO_ITEM, says, tuple(writes))


def two_states(state: ItemState, feed: Feed) -> Fault | None:
    """An id that waits, is claimed, is stalled: more than one of these."""
    waits = state.in_lists > 0
    is_claimed = state.claimed is not None
    if not state.item or waits + is_claimed + state.stalled < 2:  # noqa: PLR2004
        return None
    says = " and ".join(
        name
        for name, holds in (
            ("waiting", waits),
            ("claimed", is_claimed),
            ("stalled", state.stalled),
        )
        if holds
    )
    writes: list[Words] = []
    if state.stalled and state.published is None:
        writes += _off_lists(state, feed)
        if is_claimed:
            writes += _of_no_claim(state, feed)
    else:
        if state.stalled:
            writes.append(words("SREM", feed.keys.stalled, state.id))
        if is_claimed:
            writes += _off_lists(state, feed)
    return Fault(TWO_STATES, says, tuple(writes))


def twice(state: ItemState, feed: Feed) -> Fault | None:
    """An id that is more than once among those that wait, or in a sorted feed."""
    total = state.in_lists
    if not state.item or total < 2 or state.claimed is not None or state.stalled:  # noqa: PLR2004
        return None
    ids, paused, reserved, id = feed.keys.ids, feed.keys.paused, feed.keys.reserved, state.id
    writes: list[Words] = []
    if feed.kind == SORTED_FEED:
        writes.append(words("LREM", ids, 1 - total, id))
    elif state.reserved:
        # Those are taken first, from the right.
        if state.waiting:
            writes.append(words("LREM", ids, 0, id))
        if state.paused:
            writes.append(words("LREM", paused, 0, id))
        if state.reserved > 1:
            writes.append(words("LREM", reserved, state.reserved - 1, id))
    elif state.waiting and state.paused:
        writes.append(words("LREM", ids if feed.is_paused else paused, 0, id))
        more = (state.paused if feed.is_paused else state.waiting) - 1
        if more:
            writes.append(words("LREM", feed.waiting_key, more, id))
    else:
        writes.append(words("LREM", ids if state.waiting else paused, total - 1, id))
    return Fault(TWICE, "more than once in feed.ids", tuple(writes))


def no_time(state: ItemState, feed: Feed) -> Fault | None:
    """A job that waits or is claimed and has no time."""
    in_circulation = state.in_lists or state.claimed is not None
    if feed.kind != JOB or not state.item or state.published is not None or state.stalled:
        return None
    if not in_circulation:
        return None
    write = words("ZADD", feed.keys.published, "NX", text_of_time(feed.now), state.id)
    return Fault(NO_TIME, "jobs without a time", (write,))


def stale(state: ItemState, feed: Feed) -> Fault | None:
    """What is left of a job that is over."""
    if feed.kind != JOB or state.is_known or state.item or state.later:
        return None
    writes = []
    if state.published is not None:
        writes.append(words("ZREM", feed.keys.published, state.id))
    if state.cancelled is not None:
        writes.append(words("HDEL", feed.keys.cancelled, state.id))
    if state.info:
        writes.append(words("HDEL", feed.keys.info, state.id))
    return Fault(STALE, "entries of jobs that are over", tuple(writes)) if writes else None


def seconds(state: ItemState, feed: Feed) -> Fault | None:
    """Times in seconds."""
    writes = [
        words("ZADD", key, "XX", text_of_time(in_milliseconds(time)), state.id)
        for key, time in (
            (feed.keys.ids, state.score),
            (feed.keys.published, state.published),
            (feed.keys.claimed, state.claimed),
            (feed.keys.scheduled, state.due),
        )
        if time is not None and is_time(time) and time < SECONDS_BELOW
    ]
    if state.is_ahead(feed):
        return None  # see `future`
    return Fault(SECONDS, "times in seconds", tuple(writes)) if writes else None


def wrong_time(state: ItemState, feed: Feed) -> Fault | None:
    """Numbers that are no times."""
    says = "numbers that are no times"
    if state.score is not None and not is_time(state.score):
        return Fault(WRONG_TIME, says)  # where it belongs cannot be known
    # Other rules report late claims and claims in the future.
    claimed = None if state.is_ahead(feed) or state.is_late(feed) else state.claimed
    writes = [
        words("ZADD", key, "XX", text_of_time(feed.now), state.id)
        for key, time in ((feed.keys.published, state.published), (feed.keys.claimed, claimed))
        if state.item and time is not None and not is_time(time)
    ]
    if writes and claimed is not None and state.holder is not None and not is_time(claimed):
        writes.append(words("HDEL", feed.keys.holders, state.id))
    return Fault(WRONG_TIME, says, tuple(writes)) if writes else None


def count(state: ItemState, feed: Feed) -> Fault | None:
    """How often a job was cancelled, when that is no number."""
    if not state.item or state.cancelled is None or is_count(state.cancelled):
        return None
    write = words("HDEL", feed.keys.cancelled, state.id)
    return Fault(COUNT, "failures in feed.cancelled that are no number", (write,))


def total_rule(word: str, key: bytes, total: bytes | None) -> Fault | None:
    """A counter of what was done in a feed, when that is no number."""
    if total is None or is_count(total):
        return None
    return Fault(COUNT, f"feed.{word} is no number", (words("DEL", key),))


RULES: tuple[Rule, ...] = (
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
