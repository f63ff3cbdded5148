"""Reads the states of a feed's ids: of all ids in small steps, or of one id at one instant.

What is read, and how, follows in both cases from the table `_PLACES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.doctor.item_state import Feed, ItemState
from thoonk.doctor.probe import Probe, Reply, Words, words


@attrs.frozen
class _Kept:
    """How ids are kept under a key.

    Attributes:
        scan: what is there for each id, read in small steps.
        command: asks for one id.
        value: what the reply to the command says, in the form in which ``scan`` gives it.
        is_list: the command goes through the whole key.
    """

    scan: Callable[[Probe, bytes], Mapping[bytes, Any]]
    command: str
    value: Callable[[Reply], Any]
    is_list: bool = False


_ITEMS = _Kept(lambda probe, key: dict.fromkeys(probe.fields(key), True), "HEXISTS", bool)
_SET = _Kept(lambda probe, key: dict.fromkeys(probe.members(key), True), "SISMEMBER", bool)
_HASH = _Kept(lambda probe, key: dict(probe.pairs("HSCAN", key)), "HGET", lambda reply: reply)
_SCORES = _Kept(
    lambda probe, key: {id: float(score) for id, score in probe.pairs("ZSCAN", key)},
    "ZSCORE",
    lambda reply: None if reply is None else float(reply),
)
_LIST = _Kept(
    lambda probe, key: Counter(probe.elements(key)),
    "LPOS",
    lambda reply: len(reply or ()),
    is_list=True,
)


@attrs.frozen
class _Place:
    """A key of a feed, by its word, and which attribute of `ItemState` it holds (perhaps none)."""

    word: str
    attribute: str
    kept: _Kept
    kinds: tuple[str, ...]

    def read_of(self, feed: Feed, id: bytes) -> Words:
        options = ("COUNT", 0) if self.kept.is_list else ()
        return words(self.kept.command, getattr(feed.keys, self.word), id, *options)


_PLACES = (
    _Place("items", "item", _ITEMS, (FEED, SORTED_FEED, QUEUE, JOB)),
    _Place("scheduleditems", "later", _ITEMS, (JOB,)),
    _Place("unique", "unique", _SCORES, (JOB,)),
    _Place("info", "info", _ITEMS, (JOB,)),
    _Place("stalled", "stalled", _SET, (JOB,)),
    _Place("published", "published", _SCORES, (JOB,)),
    _Place("cancelled", "cancelled", _HASH, (JOB,)),
    _Place("tokens", "", _HASH, (QUEUE, JOB)),
    _Place("running", "", _SCORES, (JOB,)),
    _Place("holders", "holder", _HASH, (QUEUE, JOB)),
    _Place("claimed", "claimed", _SCORES, (QUEUE, JOB)),
    _Place("scheduled", "due", _SCORES, (JOB,)),
    _Place("ids", "score", _SCORES, (FEED,)),
    _Place("ids", "waiting", _LIST, (SORTED_FEED, QUEUE, JOB)),
    _Place("paused", "paused", _LIST, (QUEUE, JOB)),
    _Place("reserved", "reserved", _LIST, (QUEUE, JOB)),
)
"""In the order of a scan. Items come first and lists last: an id that is put or finished
meanwhile is cleared as soon as one looks whether its item is there."""


def _places(feed: Feed, *, walk: bool = True) -> list[_Place]:
    """Where the ids of the feed may be; without lists, if asked."""
    return [
        place
        for place in _PLACES
        if feed.kind in place.kinds and place.attribute and (walk or not place.kept.is_list)
    ]


def reads_of(feed: Feed, id: bytes, *, walk: bool = True) -> list[Words]:
    """The commands that read the state of an id; without those that go through lists, if asked."""
    return [place.read_of(feed, id) for place in _places(feed, walk=walk)]


def state_of(
    feed: Feed, before: ItemState, replies: Sequence[Reply], *, walk: bool = True
) -> ItemState:
    """The state that the replies to `reads_of` tell; what was not read is as ``before``."""
    read = zip(_places(feed, walk=walk), replies, strict=True)
    values: Any = {place.attribute: place.kept.value(reply) for place, reply in read}
    return attrs.evolve(before, **values)


@attrs.frozen
class Scan:
    """What was read of a feed in small steps, so not all at one instant.

    Attributes:
        feed: the feed, with the time at which the scan began.
        found: for the word of each key what it holds, by id (``tokens``: by token; ``running``:
            by token and id).
    """

    feed: Feed
    found: Mapping[str, Mapping[bytes, Any]]

    @classmethod
    def of(cls, probe: Probe, feed: Feed, existing: Collection[str]) -> Scan:
        """Scan a feed of which there are the keys with these words."""
        places = [place for place in _PLACES if feed.kind in place.kinds]
        found: dict[str, Mapping[bytes, Any]] = {place.word: {} for place in places}
        for place in places:
            if place.word in existing:
                found[place.word] = place.kept.scan(probe, getattr(feed.keys, place.word))
        return cls(feed, found)

    @property
    def length(self) -> int:
        """How many list elements there are to compare an id with."""
        return sum(sum(self.found[p.word].values()) for p in _places(self.feed) if p.kept.is_list)

    def states(self) -> Iterator[ItemState]:
        """The state of each id that was found anywhere.

        Those in ``feed.reserved`` come first, in their order: so they go back.
        """
        places = [place for place in _places(self.feed) if self.found[place.word]]
        found = {place.attribute: self.found[place.word] for place in places}
        for id in dict.fromkeys(id for ids in reversed(found.values()) for id in ids):
            yield ItemState(id, **{name: ids[id] for name, ids in found.items() if id in ids})
