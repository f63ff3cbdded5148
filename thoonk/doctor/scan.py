"""One pass over the keys of a feed, in small steps: what was seen, not all at one instant."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import attrs

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.doctor.item_state import Feed, ItemState
from thoonk.doctor.probe import Probe

_ORDERED = frozenset(("items", "ids"))
_TAKEN = _ORDERED | {"reserved", "claimed", "holders", "tokens"}
_WORDS = {
    FEED: _ORDERED,
    SORTED_FEED: _ORDERED,
    QUEUE: _TAKEN,
    JOB: _TAKEN | {"stalled", "published", "cancelled"},
}
"""The keys that a feed of each kind has. What a peer put into others concerns nobody."""


@attrs.frozen
class Scan:
    """What was seen, by the word of the key."""

    items: Collection[bytes]
    scores: Mapping[bytes, float]
    claimed: Mapping[bytes, float]
    stalled: Collection[bytes]
    published: Mapping[bytes, float]
    cancelled: Mapping[bytes, bytes]
    holders: Mapping[bytes, bytes]
    tokens: Mapping[bytes, bytes]
    waiting: Counter[bytes]
    reserved: Counter[bytes]

    @classmethod
    def of(cls, probe: Probe, feed: Feed, found: Collection[str]) -> Scan:
        """Pass over the keys that were found.

        Items come first and lists last: what is put or finished meanwhile is then out of
        suspicion as soon as one looks whether its item is there.
        """
        found = _WORDS[feed.kind].intersection(found)

        def pairs(word: str, command: str = "HSCAN") -> Mapping[bytes, bytes]:
            return dict(probe.pairs(command, getattr(feed.keys, word))) if word in found else {}

        def scores(word: str) -> Mapping[bytes, float]:
            return {id: float(score) for id, score in pairs(word, "ZSCAN").items()}

        def elements(word: str) -> Counter[bytes]:
            return Counter(probe.elements(getattr(feed.keys, word)) if word in found else ())

        is_feed = feed.kind == FEED
        return cls(
            items=set(probe.fields(feed.keys.items)) if "items" in found else (),
            stalled=set(probe.members(feed.keys.stalled)) if "stalled" in found else (),
            published=scores("published"),
            cancelled=pairs("cancelled"),
            tokens=pairs("tokens"),
            holders=pairs("holders"),
            claimed=scores("claimed"),
            scores=scores("ids") if is_feed else {},
            waiting=Counter() if is_feed else elements("ids"),
            reserved=elements("reserved"),
        )

    @property
    def length(self) -> int:
        """How many list elements there are to compare an id with."""
        return self.waiting.total() + self.reserved.total()

    def facts(self) -> Iterator[ItemState]:
        """For each id that was seen anywhere, where."""
        # Those in feed.reserved first, in their order: so they go back.
        ids = dict.fromkeys(
            itertools.chain(
                *(self.reserved, self.waiting, self.items, self.scores, self.claimed),
                *(self.stalled, self.published, self.cancelled, self.holders),
            )
        )
        for id in ids:
            yield ItemState(
                id,
                item=id in self.items,
                waiting=self.waiting.get(id, 0),
                reserved=self.reserved.get(id, 0),
                score=self.scores.get(id),
                claimed=self.claimed.get(id),
                stalled=id in self.stalled,
                published=self.published.get(id),
                cancelled=self.cancelled.get(id),
                holder=self.holders.get(id),
            )
