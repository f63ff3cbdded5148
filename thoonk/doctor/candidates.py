"""What may be wrong on a server: how each such thing is read at one instant, and by which rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs

from thoonk.backends.redis.wire import count_of, keys_of
from thoonk.doctor import catalogue, claims, results, schedule, states
from thoonk.doctor.item_state import Fault, Feed, ItemState
from thoonk.doctor.probe import Reply, Words, text_of_reply, words
from thoonk.doctor.reader import Scan, reads_of, state_of
from thoonk.names import decode_name, encode_name

RULES = (*states.RULES, *claims.RULES, *schedule.RULES)
"""All rules about the state of an id."""


@attrs.define(eq=False)
class Candidate:
    """Something that may be wrong.

    Attributes:
        feed: the feed's name.
        subject: what of it, for people; empty: the feed itself.
        reads: what is read of it, at one instant.
        rule: what is wrong with it, by the replies and the server's time in ms; None is nothing.
        comparisons: how many list elements the reads compare, about.
        fixed: how many of the replies, from the first, stay as they are while no program
            touches the subject; None: all. (A time to live does not.)
        shown: whether the subject is an id, to be shown.
    """

    feed: str
    subject: str
    reads: Sequence[Words]
    rule: Callable[[Sequence[Reply], float], Iterable[Fault | None]]
    comparisons: int = 0
    fixed: int | None = None
    shown: bool = True
    replies: Sequence[Reply] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def fingerprint(self) -> tuple[bytes, ...]:
        """What is the same at each look while no program changes the subject."""
        return tuple(map(text_of_reply, self.replies[: self.fixed]))


def of_existence(name: str, found: Collection[str]) -> Candidate:
    """Does the feed exist, wholly?"""
    keys = keys_of(name)
    leftovers = catalogue.leftovers_of(keys, found)
    return Candidate(
        name,
        "",
        catalogue.reads_of_existence(keys, leftovers),
        lambda replies, _: [catalogue.existence_rule(keys, leftovers, replies)],
        shown=False,
    )


def of_type(name: str, word: str, kind: str) -> Candidate:
    """Is a key of the right type?"""
    return Candidate(
        name,
        f"feed.{word}",
        [words("TYPE", getattr(keys_of(name), word))],
        lambda replies, _: [catalogue.type_rule(word, kind, decode_name(replies[0]))],
        shown=False,
    )


def of_setting(name: str, field: str) -> Candidate:
    """Does a field of its configuration make sense?"""

    def rule(replies: Sequence[Reply], _: float) -> Iterable[Fault]:
        value = {} if replies[0] is None else {field: decode_name(replies[0])}
        return catalogue.faulty_settings(value).values()

    reads = [words("HGET", keys_of(name).config, field.encode("utf-8", "surrogateescape"))]
    return Candidate(name, field, reads, rule, shown=False)


def faults_of(state: ItemState, feed: Feed) -> Iterator[Fault]:
    """All that is wrong with an id."""
    for rule in RULES:
        if (fault := rule(state, feed)) is not None:
            yield fault


def _of_feed(
    feed: Feed,
    subject: str,
    reads: Sequence[Words],
    rule: Callable[[Sequence[Reply], Feed], Iterable[Fault | None]],
    **more: Any,
) -> Candidate:
    """A candidate in a feed, which is one only while the feed exists and is of that type.

    What was read of a feed that was deleted says nothing of one that was created since.
    """
    type_name = encode_name(feed.config.type)

    def rule_now(replies: Sequence[Reply], now: float) -> Iterable[Fault | None]:
        if replies[0] != type_name:
            return ()
        is_paused = replies[1] == catalogue.PAUSED.encode()
        return rule(replies[2:], attrs.evolve(feed, now=now, is_paused=is_paused))

    config = feed.keys.config
    reads = [words("HGET", config, "type"), words("HGET", config, "paused"), *reads]
    return Candidate(feed.name, subject, reads, rule_now, **more)


def of_id(feed: Feed, before: ItemState, length: int, *, walk: bool = True) -> Candidate:
    """Is an id of the feed in one state, with an item, and so on?

    ``walk``: look for it in lists, of ``length`` elements. Else they are believed to be
    as they were ``before``.
    """
    return _of_feed(
        feed,
        decode_name(before.id),
        reads_of(feed, before.id, walk=walk),
        lambda replies, feed: faults_of(state_of(feed, before, replies, walk=walk), feed),
        comparisons=length if walk else 0,
    )


def of_tokens(feed: Feed, scan: Scan) -> Iterator[Candidate]:
    """The tokens whose ids are not held under them, by what was scanned."""
    holders = scan.found.get("holders", {})
    for token, entry in scan.found.get("tokens", {}).items():
        if claims.token_rule(feed, token, entry, holders) is not None:
            yield _of_token(feed, token, claims.ids_of_token(entry))


def _of_token(feed: Feed, token: bytes, ids: Sequence[bytes]) -> Candidate:

    def rule(replies: Sequence[Reply], feed: Feed) -> Iterable[Fault | None]:
        holders = dict(zip(ids, replies[1:], strict=True))
        return [claims.token_rule(feed, token, replies[0], holders)]

    # The token itself is secret: it entitles to end the claim.
    subject = f"token of {', '.join(map(decode_name, ids))}"
    return _of_feed(feed, subject, claims.reads_of_token(feed, token, ids), rule, shown=False)


def of_counter(feed: Feed, ids: Iterable[bytes]) -> Candidate:
    """Is the counter of a sorted feed as far as its ids?"""
    greatest = max(map(count_of, ids), default=0)
    return _of_feed(
        feed,
        "idincr",
        [words("HEXISTS", feed.keys.items, greatest), words("GET", feed.keys.idincr)],
        lambda replies, feed: [catalogue.counter_rule(feed.keys, greatest, *replies)],
        shown=False,
    )


def of_total(feed: Feed, word: str) -> Candidate:
    """Is a counter of what was done a number?"""
    key = getattr(feed.keys, word)
    return _of_feed(
        feed,
        word,
        [words("GET", key)],
        lambda replies, _: [states.total_rule(word, key, replies[0])],
        shown=False,
    )


def of_schedule(feed: Feed, name: bytes) -> Candidate:
    """Is it a schedule with a time, and do the entries about it belong to an existing one?"""
    return _of_feed(
        feed,
        decode_name(name),
        [
            words("HGET", feed.keys.schedules, name),
            words("ZSCORE", feed.keys.runs, name),
            words("HGET", feed.keys.runtimes, name),
        ],
        lambda replies, feed: schedule.run_rules(feed, name, *replies),
    )


def of_result(feed: Feed, id: bytes) -> Candidate:
    """Do a result and its entry in ``feed.results`` belong together?"""
    key = feed.keys.result(decode_name(id))
    return _of_feed(
        feed,
        decode_name(id),
        [words("ZSCORE", feed.keys.results, id), words("LLEN", key), words("PTTL", key)],
        lambda replies, feed: [results.result_rule(feed, id, replies)],
        fixed=4,  # the two of the feed, and the first two of these
    )


def of_stray_result(name: str, id: bytes) -> Candidate:
    """Is it the result of a deleted feed, and kept forever?"""
    keys = keys_of(name)
    return Candidate(
        name,
        decode_name(id),
        [words("HEXISTS", keys.config, "type"), words("PTTL", keys.result(decode_name(id)))],
        lambda replies, _: [catalogue.stray_result_rule(*replies)],
    )
