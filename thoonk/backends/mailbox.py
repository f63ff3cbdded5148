"""Notices that wait for one subscriber."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from thoonk.names import new_token
from thoonk.notices import Edited, Finished, Gap, Marker, Notice, Published

MOST_UNREAD = 32 * 2**20
"""Bytes of notices that wait for one subscriber, as on a Redis server by default."""

OVERHEAD = 100
"""Bytes that a notice takes besides its item, about."""


def _size(notice: Notice) -> int:
    match notice:
        case Published(item=data) | Edited(item=data) | Finished(result=data):
            return OVERHEAD + len(data)
        case _:
            return OVERHEAD


class Mailbox:
    """Notices of one feed, or of all, until they are taken. Any thread may bring them.

    Attributes:
        marker: which `Marker` notices are for this subscriber.
        heard_up_to: the number of the last notice before it was there.
    """

    def __init__(self, feed: str | None, wake: Callable[[], object]) -> None:
        """``wake`` is called when something has arrived."""
        self.marker = new_token()
        self.heard_up_to = 0
        self._feed = feed
        self._wake = wake
        self._lock = threading.Lock()
        self._arrived: deque[Notice] = deque()
        self._size = 0

    def hear(self, notice: Notice) -> None:
        """Add a notice, if it is for this subscriber."""
        if self._feed is not None and notice.feed not in (self._feed, ""):
            return
        if isinstance(notice, Gap):
            notice = Gap(self._feed or "")
        if isinstance(notice, Marker) and notice.token != self.marker:
            return
        with self._lock:
            size = _size(notice)
            if self._size + size > MOST_UNREAD:
                # What was not read is lost, as with a server that hangs up.
                self._arrived.clear()
                self._arrived.append(Gap(self._feed or ""))
                self._size = OVERHEAD
            self._arrived.append(notice)
            self._size += size
        self._wake()

    def take(self) -> Notice | None:
        """The next notice; None: there is none."""
        with self._lock:
            if not self._arrived:
                return None
            notice = self._arrived.popleft()
            self._size -= _size(notice)
            return notice
