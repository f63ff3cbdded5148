"""Slots of a cluster: which one a feed is in, and which node has it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from thoonk.backends.redis import wire
from thoonk.backends.redis.packing import Word
from thoonk.exceptions import InvalidValue

SLOTS: int = REDIS_CLUSTER_HASH_SLOTS

Place = tuple[str, int]
"""Host and port of a node."""


@functools.lru_cache(maxsize=4096)
def slot_of(key: Word) -> int:
    """The slot of a key."""
    slot: int = key_slot(key if isinstance(key, bytes) else str(key).encode())
    return slot


CATALOGUE_SLOT = slot_of(wire.FEEDS)
"""Where the names of all feeds are."""


@functools.lru_cache(maxsize=4096)
def check_tagged(feed: str) -> None:
    """Refuse the name of a feed whose keys would be in many slots.

    Raises:
        InvalidValue: it has no part in braces, or an empty one is the first.
    """
    _, opened, rest = feed.partition("{")
    tag, closed, _ = rest.partition("}")
    if not (opened and closed and tag):
        plain = feed.replace("{", "").replace("}", "") or "feed"
        raise InvalidValue(
            "on a cluster, a part of a feed's name is in braces and decides where the feed is: "
            f"use {'{' + plain + '}'!r:.80} instead of {feed!r:.80}"
        )


@attrs.frozen
class Shard:
    """Some slots, from the first to the last, the place of their master, and of its replicas."""

    first: int
    last: int
    master: Place
    replicas: tuple[Place, ...] = ()


@attrs.frozen
class Layout:
    """Who has which slots, as one node sees it.

    Attributes:
        epoch: grows with each failover: of two nodes that differ, the one with the higher
            number knows more.
        shards: the slots. Some may be missing.
    """

    epoch: int
    shards: tuple[Shard, ...]

    @classmethod
    def read(cls, info: bytes, slots: Sequence[Any], host: str) -> Layout:
        """From the replies to CLUSTER INFO and CLUSTER SLOTS.

        Args:
            info: the first reply.
            slots: the second.
            host: of the node, which may not know by which name it is reached.
        """
        facts = dict(line.partition(b":")[::2] for line in info.splitlines())
        shards = []
        for first, last, master, *replicas in slots:
            places = [*_places([master, *replicas], host)]
            if places:
                shards.append(Shard(first, last, places[0], tuple(places[1:])))
        return cls(int(facts.get(b"cluster_current_epoch", 0)), tuple(shards))


def _places(nodes: Sequence[Any], host: str) -> Iterator[Place]:
    for name, port, *_ in nodes:
        # "?": it goes by a name that nobody has told it.
        yield (name.decode() if name and name != b"?" else host), port
