"""The latest notices, which all open pages share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator

import attrs

from thoonk.backends import AsyncRestable, AsyncSubscription
from thoonk.exceptions import Empty, ThoonkError
from thoonk.notices import EVENT_OF, Gap, Marker, Moved, Notice, Progressed, Scheduled
from thoonk.raw_items import printable
from thoonk.web.items import show
from thoonk.web.source import Source

logger = logging.getLogger("thoonk.web")

KEPT = 2000
"""How many notices are kept."""

INTEREST = 30.0
"""Seconds after the last look for which notices are collected."""

PAUSE = 1.0
"""Seconds until it is tried again to subscribe."""

REST = 0.25
"""Seconds after each burst of notices in which none is read: the next come together."""

BURST = 1000
"""How many notices are read before others in the event loop have their turn."""


@attrs.frozen
class LogEntry:
    """A notice, and when it came.

    Attributes:
        number: counts the notices of the log.
        at: seconds since 1970, by this machine's clock.
        notice: the notice.
    """

    number: int
    at: float
    notice: Notice

    @property
    def event(self) -> str:
        """What happened, as handlers call it."""
        return EVENT_OF[type(self.notice)]

    @property
    def id(self) -> str:
        """The item or job that it happened to; empty: to none."""
        return getattr(self.notice, "id", "")

    def matches(self, words: list[str]) -> bool:
        """Whether each of the words, in lower case, is in the event, the feed or the id."""
        text = f"{self.event} {self.notice.feed} {self.id}".lower()
        return all(word in text for word in words)

    @property
    def details(self) -> str:
        """What else it says, on one line."""
        notice = self.notice
        data = getattr(notice, "item", getattr(notice, "result", None))
        if isinstance(data, bytes):
            return show(data, None).preview
        match notice:
            case Moved(_, _, position):
                return printable(position)
            case Progressed(_, _, fraction, text):
                return printable(f"{fraction:.0%} {text}".rstrip())
            case Scheduled(_, _, due):
                return "due " + time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(due))
            case Gap():
                return "The connection was lost: notices may be missing here."
        return ""


class NoticeLog:
    """The latest notices of a feed, or of all.

    Attributes:
        since: when it began to listen, in seconds since 1970; None: it does not listen yet.
        count: how many notices have come since then.
        error: why it does not listen just now; or empty.
    """

    def __init__(self, source: Source, feed: str | None) -> None:
        self._source = source
        self._feed = feed
        self._entries: deque[LogEntry] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._wanted_until = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.since: float | None = None
        self.count = 0
        self.error = ""

    def want(self) -> None:
        """Collect notices, for a while from now."""
        self._wanted_until = time.monotonic() + INTEREST
        if self._task is None or self._task.done():
            self._entries.clear()
            self.since, self.count, self.error = None, 0, ""
            self._task = asyncio.create_task(self._collect(), name="thoonk-web-log")

    @property
    def is_wanted(self) -> bool:
        """Whether a page has shown it lately."""
        return time.monotonic() < self._wanted_until

    def newest_first(self, until: int | None = None) -> Iterator[LogEntry]:
        """What is kept, up to a number."""
        for entry in reversed(self._entries.copy()):
            if until is None or entry.number <= until:
                yield entry

    async def _collect(self) -> None:
        while self.is_wanted:
            try:
                subscription = await self._source.backend.listen(self._feed)
                try:
                    self.since, self.error = self.since or time.time(), ""
                    await self._take(subscription)
                finally:
                    await subscription.close()
            except ThoonkError as error:
                self.error = printable(str(error))
                extra = {"event": "web_log_waits", "feed": self._feed}
                logger.debug("Notice log waits for the backend: %s", error, extra=extra)
                await asyncio.sleep(PAUSE)

    async def _take(self, subscription: AsyncSubscription) -> None:
        rest = subscription.rest if isinstance(subscription, AsyncRestable) else asyncio.sleep
        while self.is_wanted:
            burst = await _burst(subscription)
            now = time.time()
            for notice in burst:
                if not isinstance(notice, Marker):
                    self.count += 1
                    self._entries.append(LogEntry(next(self._numbers), now, notice))
            await rest(REST if len(burst) < BURST else 0)

    async def close(self) -> None:
        """Stop listening."""
        self._wanted_until = float("-inf")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def _burst(subscription: AsyncSubscription) -> list[Notice]:
    """The next notices, as many as are there; empty: none came for a while."""
    notices: list[Notice] = []
    with contextlib.suppress(Empty):
        notices.append(await subscription.get(PAUSE))
        while len(notices) < BURST:
            notices.append(await subscription.get(0))
    return notices


class NoticeLogs:
    """The logs of one application, by feed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._logs: dict[str | None, NoticeLog] = {}

    def of(self, feed: str | None) -> NoticeLog:
        """The log of a feed, or of all; it listens from now on."""
        for known, log in [*self._logs.items()]:
            if not log.is_wanted and known != feed:
                del self._logs[known]
        log = self._logs.setdefault(feed, NoticeLog(self._source, feed))
        log.want()
        return log

    async def close(self) -> None:
        """Stop listening."""
        for log in self._logs.values():
            await log.close()
