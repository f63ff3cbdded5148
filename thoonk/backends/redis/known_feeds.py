"""Which feeds are in a listener's own db: channels are shared by all dbs of a server."""

from __future__ import annotations

from collections.abc import Iterable

MOST_FOREIGN = 10_000
"""How many names of feeds in other dbs are remembered. Those of its own db all are."""


class KnownFeeds:
    """Names of feeds, and whether they are in the listener's own db."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._own = set(own)
        self._foreign: dict[str, None] = {}

    def is_own(self, feed: str) -> bool | None:
        """Whether the feed is in the own db; None: not known."""
        if feed in self._own:
            return True
        return False if feed in self._foreign else None

    def remember(self, feed: str, *, own: bool) -> None:
        """Take note where a feed is. Of the foreign ones the longest known is forgotten."""
        if own:
            self._foreign.pop(feed, None)
            self._own.add(feed)
            return
        self._own.discard(feed)
        if feed not in self._foreign and len(self._foreign) >= MOST_FOREIGN:
            del self._foreign[next(iter(self._foreign))]
        self._foreign[feed] = None
