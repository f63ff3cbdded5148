"""Lines of consumers: those of one client that wait for the same feed.

The first in line blocks on the server on behalf of all, so a feed needs one connection
however many consumers wait for it. The others sleep until they are first, or are called
because there is something for them, too.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable

import attrs

from thoonk.backends.at_fork import prepare_at_fork


@attrs.define(eq=False)
class Place:
    """A consumer's place in the line of a feed.

    Attributes:
        feed: the feed's name.
        token: that of its take.
        wake: wakes the consumer, which then looks at the attributes below.
        caller: its thread or task.
        is_called: whether it is to look, for there may be something.
        is_interrupted: whether it is to stop waiting.
    """

    feed: str
    token: str
    wake: Callable[[], object]
    caller: object
    is_called: bool = False
    is_interrupted: bool = False


class Lines:
    """The lines of one client, by feed. Any thread may call."""

    def __init__(self) -> None:
        self._forget()
        prepare_at_fork(self)

    def _forget(self) -> None:
        # A signal handler may come in while its own thread is in here.
        self._lock = threading.RLock()
        self._lines: dict[str, deque[Place]] = {}

    def before_fork(self) -> None:
        """Nothing has to be done before."""

    def after_fork(self, *, in_child: bool) -> None:
        """Forget in a child who waits: they are threads or tasks of its parent."""
        if in_child:
            self._forget()

    def enter(self, place: Place) -> None:
        """Go to the end of the line."""
        with self._lock:
            self._lines.setdefault(place.feed, deque()).append(place)

    def is_first(self, place: Place) -> bool:
        """Whether the consumer is to block for all."""
        with self._lock:
            line = self._lines.get(place.feed)
            return line is not None and line[0] is place

    def leave(self, place: Place) -> None:
        """Leave the line, and wake the consumer that is the first then.

        A call that the consumer did not follow goes to another.
        """
        with self._lock:
            line = self._lines.get(place.feed)
            if line is None or place not in line:
                return
            was_first = line[0] is place
            line.remove(place)
            if not line:
                del self._lines[place.feed]
                return
            if was_first:
                line[0].wake()
        if place.is_called:
            self.call(place.feed, 1)

    def call(self, feed: str, count: int) -> None:
        """Let up to ``count`` consumers look. The first is not meant: it will see by itself."""
        with self._lock:
            others = itertools.islice(self._lines.get(feed, ()), 1, None)
            waiting = [each for each in others if not each.is_called]
        for place in waiting[:count]:
            place.is_called = True
            place.wake()

    def places(self, feed: str | None = None) -> list[Place]:
        """The places in the line of one feed, or in all lines."""
        with self._lock:
            if feed is not None:
                return list(self._lines.get(feed, ()))
            return [place for line in self._lines.values() for place in line]

    def is_alone(self, place: Place) -> bool:
        """Whether no other consumer is in line for the feed."""
        return len(self._lines.get(place.feed, ())) <= 1
