"""How a bulk call is cut into operations, each of which is one short step of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from thoonk.operations import MOST, Entry

E = TypeVar("E")

CHUNK_BYTES = 1_000_000
"""Bytes of items that one operation of a bulk call has at most, unless one item has more."""

MOST_ADDED = 400
"""The most items that one operation puts under ids that may be taken: each is looked up."""

MOST_RESULTS = 400
"""So many results one operation of a bulk call stores at most: each is a key of its own."""


def chunked(
    entries: Iterable[E], size: Callable[[E], int], most: int = MOST
) -> Iterator[tuple[E, ...]]:
    """Cut what a bulk call has into what one operation may have; ``size`` is in bytes."""
    chunk: list[E] = []
    total = 0
    for entry in entries:
        total += size(entry)
        if chunk and (len(chunk) == most or total > CHUNK_BYTES):
            yield tuple(chunk)
            chunk, total = [], size(entry)
        chunk.append(entry)
    if chunk:
        yield tuple(chunk)


def entry_size(entry: Entry) -> int:
    """Bytes of an entry's item."""
    return len(entry.item)
