"""Suspects: what may be wrong, how it is looked at at one instant, and who judges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from thoonk.backends.redis.wire import count_of, is_count, keys_of
from thoonk.doctor import catalogue, claims, results, states
from thoonk.doctor.item_state import Fault, Feed, ItemState, facts_of, reads_of
from thoonk.doctor.probe import Reply, Words, text_of_reply, words
from thoonk.names import decode_name, encode_name

JUDGES = (*states.JUDGES, *claims.JUDGES)


@attrs.define(eq=False)
class Candidate:
    """Something that may be wrong.

    Attributes:
        feed: the feed's name.
        subject: what of it, for people; empty: the feed itself.
        reads: what is read of it, at one instant.
        judge: what is wrong with it, by the replies and the server's time in ms.
        comparisons: how many list elements the reads compare, about.
        fixed: how many of the replies, from the first, stay as they are while nobody
            touches the subject; None: all. (A time to live does not.)
        shown: whether the subject is an id, to be shown.
    """

    feed: str
    subject: str
    reads: Sequence[Words]
    judge: Callable[[Sequence[Reply], float], Iterable[Fault]]
    comparisons: int = 0
    fixed: int | None = None
    shown: bool = True
    replies: Sequence[Reply] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def state(self) -> tuple[bytes, ...]:
        """What is the same at each look while nobody touches the subject."""
        return tuple(map(text_of_reply, self.replies[: self.fixed]))


def of_existence(name: str, found: Collection[str]) -> Candidate:
    """Does the feed exist, wholly?"""
    keys = keys_of(name)
    leftovers = catalogue.leftovers_of(keys, found)

    def judge(replies: Sequence[Reply], _: float) -> Iterator[Fault]:
        fault = catalogue.judge_catalogue(keys, leftovers, replies)
        if fault is not None:
            yield fault

    return Candidate(name, "", catalogue.reads_of_catalogue(keys, leftovers), judge, shown=False)


def of_types(name: str, found: Collection[str], kind: str | None) -> Iterator[Candidate]:
    """Are its keys of the right types?"""
    keys = keys_of(name)
    # What a type of somebody's own keeps under ids is not ours to know.
    for word in sorted({*found} - {catalogue.RESULT, *(("ids",) if kind is None else ())}):
        wanted = catalogue.type_of(word, kind or "")

        def judge(
            replies: Sequence[Reply], _: float, word: str = word, wanted: str = wanted
        ) -> Iterator[Fault]:
            actual = decode_name(replies[0])
            if actual not in (wanted, "none"):
                says = f"feed.{word} is a {actual}, not a {wanted}"
                yield Fault(catalogue.WRONG_TYPE, says)

        reads = [words("TYPE", getattr(keys, word))]
        yield Candidate(name, f"feed.{word}", reads, judge, shown=False)


def of_settings(name: str, fields: Mapping[str, str]) -> Iterator[Candidate]:
    """Do the fields of its configuration make sense?"""
    config = keys_of(name).config
    for field in [field for field, _ in catalogue.judge_config(fields)]:

        def judge(replies: Sequence[Reply], _: float, field: str = field) -> Iterator[Fault]:
            value = {} if replies[0] is None else {field: decode_name(replies[0])}
            yield from (fault for _, fault in catalogue.judge_config(value))

        reads = [words("HGET", config, field.encode("utf-8", "surrogateescape"))]
        yield Candidate(name, field, reads, judge, shown=False)


def judge_id(facts: ItemState, feed: Feed) -> Iterator[Fault]:
    """All that is wrong with an id."""
    for judge in JUDGES:
        if (fault := judge(facts, feed)) is not None:
            yield fault


def _of_feed(
    feed: Feed,
    subject: str,
    reads: Sequence[Words],
    judge: Callable[[Sequence[Reply], Feed], Iterable[Fault]],
    **more: Any,
) -> Candidate:
    """A suspect in a feed, which is one only while the feed exists and is of that type.

    What was seen of a feed that was deleted says nothing of one that was created since.
    """
    type_name = encode_name(feed.config.type)

    def judge_now(replies: Sequence[Reply], now: float) -> Iterable[Fault]:
        if replies[0] != type_name:
            return ()
        return judge(replies[1:], attrs.evolve(feed, now=now))

    reads = [words("HGET", feed.keys.config, "type"), *reads]
    return Candidate(feed.name, subject, reads, judge_now, **more)


def of_id(feed: Feed, before: ItemState, length: int, *, walk: bool = True) -> Candidate:
    """Is an id of the feed in one state, with an item, and so on?

    ``walk``: look for it in lists, of ``length`` elements. Else they are believed to be
    as they were seen ``before``.
    """

    def judge(replies: Sequence[Reply], feed: Feed) -> Iterator[Fault]:
        return judge_id(facts_of(feed, before, replies, walk=walk), feed)

    reads = reads_of(feed, before.id, walk=walk)
    comparisons = length if walk else 0
    return _of_feed(feed, decode_name(before.id), reads, judge, comparisons=comparisons)


def of_tokens(
    feed: Feed, tokens: Mapping[bytes, bytes], holders: Mapping[bytes, bytes]
) -> Iterator[Candidate]:
    """Are the ids of a token held under it?"""
    for token, entry in tokens.items():
        if claims.judge_token(feed, token, entry, holders) is None:
            continue
        ids = claims.ids_of_token(entry)

        def judge(
            replies: Sequence[Reply], feed: Feed, token: bytes = token, ids: list[bytes] = ids
        ) -> Iterator[Fault]:
            holders = dict(zip(ids, replies[1:], strict=True))
            fault = claims.judge_token(feed, token, replies[0], holders)
            if fault is not None:
                yield fault

        # The token itself is secret: it entitles to end the claim.
        subject = f"token of {', '.join(map(decode_name, ids))}"
        reads = claims.reads_of_token(feed, token, ids)
        yield _of_feed(feed, subject, reads, judge, shown=False)


def of_counter(feed: Feed, ids: Iterable[bytes]) -> Candidate:
    """Is the counter of a sorted feed as far as its ids?"""
    greatest = max(map(count_of, ids), default=0)

    def judge(replies: Sequence[Reply], feed: Feed) -> Iterator[Fault]:
        is_there, given = replies
        is_garbage = given is not None and not is_count(given)
        if is_there or is_garbage:
            fault = catalogue.judge_counter(feed.keys, greatest, given)
            if fault is not None:
                yield fault

    reads = [words("HEXISTS", feed.keys.items, greatest), words("GET", feed.keys.idincr)]
    return _of_feed(feed, "idincr", reads, judge, shown=False)


def of_totals(feed: Feed) -> Iterator[Candidate]:
    """Are the counters of what was done numbers?"""
    for word in ("publishes", "finishes"):
        key = getattr(feed.keys, word)

        def judge(
            replies: Sequence[Reply], _: Feed, word: str = word, key: bytes = key
        ) -> Iterator[Fault]:
            (total,) = replies
            if total is not None and not is_count(total):
                yield Fault(states.COUNT, f"feed.{word} is no number", (words("DEL", key),))

        yield _of_feed(feed, word, [words("GET", key)], judge, shown=False)


def of_result(feed: Feed, id: bytes) -> Candidate:
    """Do a result and its entry in ``feed.results`` belong together?"""
    key = feed.keys.result(decode_name(id))

    def judge(replies: Sequence[Reply], feed: Feed) -> Iterator[Fault]:
        fault = results.judge_result(feed, results.result_of(id, key, replies))
        if fault is not None:
            yield fault

    reads = [
        words("ZSCORE", feed.keys.results, id),
        words("LLEN", key),
        words("PTTL", key),
    ]
    # The type, and the first two of these.
    return _of_feed(feed, decode_name(id), reads, judge, fixed=3)


def of_stray_result(name: str, id: bytes) -> Candidate:
    """Is it the result of a feed that is gone, and kept for ever?"""
    keys = keys_of(name)

    def judge(replies: Sequence[Reply], _: float) -> Iterator[Fault]:
        configured, left = replies
        if not configured and left == -1:
            yield Fault(catalogue.STRAY_RESULT, "results of no feed")

    key = keys.result(decode_name(id))
    reads = [words("HEXISTS", keys.config, "type"), words("PTTL", key)]
    return Candidate(name, decode_name(id), reads, judge)
