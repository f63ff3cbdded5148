"""How full and how busy feeds are: samples that all open pages share.

Feeds on an open page are sampled when their page asks and the last sample is older than
a second. All others are sampled in slices while the overview is open, at a pace that
costs less than a hundredth of a processor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping

import attrs

from thoonk.exceptions import BackendUnavailable, FeedDoesNotExist, OutcomeUnknown, ThoonkError
from thoonk.operations import FeedNames, FeedStats, ReadStats
from thoonk.web.source import Source

logger = logging.getLogger("thoonk.web")

FRESH = 0.9
"""Seconds for which a sample is not taken again."""

NAMES_FRESH = 3.0
"""Seconds for which the list of feeds is not read again."""

HISTORY = 60
"""How many rates are kept of a feed."""

SPAN = 120.0
"""Seconds that a sparkline shows."""

SLICE = 50
"""How many feeds are sampled together in the background."""

SHARE = 0.006
"""Which part of a processor the background takes, once each feed has been sampled."""

FIRST_SHARE = 0.5
"""Which part it takes until then."""

INTEREST = 15.0
"""Seconds after the last request for all feeds for which the background continues."""

AGE_OF_SWEEP = 5.0
"""Seconds for which the background does not take a sample again."""


@attrs.frozen
class Point:
    """How fast a feed was at one time; None: its type has no such number."""

    at: float
    put: float
    done: float | None


@attrs.define
class Sample:
    """A feed's stats and how fast it has been.

    Attributes:
        feed: its name.
        stats: what the backend says; None: it could not be read, ``error`` says why.
        taken_at: when, in seconds of a clock that only goes forwards.
        points: rates, the newest last.
        error: why there are no stats.
    """

    feed: str
    stats: FeedStats | None = None
    taken_at: float = 0.0
    points: deque[Point] = attrs.field(factory=lambda: deque(maxlen=HISTORY))
    error: str = ""

    @property
    def kind(self) -> str | None:
        """Which of the four shapes of data it is; None where it is none of them."""
        return self.stats.kind if self.stats else None

    @property
    def put_per_second(self) -> float | None:
        """Publishes, puts and edits a second; None until there are two samples."""
        return self.points[-1].put if self.points else None

    @property
    def done_per_second(self) -> float | None:
        """Items taken of a queue, or jobs finished, a second."""
        return self.points[-1].done if self.points else None

    @property
    def oldest(self) -> float | None:
        """As of its stats."""
        return self.stats.oldest if self.stats else None

    @property
    def needs_attention(self) -> bool:
        """Whether jobs are stalled or fail, or it could not be read."""
        if self.stats is None:
            return bool(self.error)
        return bool(self.stats.stalled or self.stats.failing)

    def take(self, stats: FeedStats, now: float) -> None:
        """Enter new stats."""
        before, passed = self.stats, now - self.taken_at
        if before is not None and passed > 0:
            done, had_done = stats.done, before.done
            self.points.append(
                Point(
                    now,
                    max(0, stats.publishes - before.publishes) / passed,
                    None if done is None or had_done is None else max(0, done - had_done) / passed,
                )
            )
        self.stats, self.taken_at, self.error = stats, now, ""


@attrs.frozen
class Totals:
    """Sums over all feeds that have been sampled."""

    feeds: int
    sampled: int
    waiting: int
    scheduled: int
    claimed: int
    stalled: int
    failing: int


class Sampler:
    """The samples of one application.

    Attributes:
        seen_at: when the backend answered last, in seconds since 1970; None: it never has.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._samples: dict[str, Sample] = {}
        self._names_at = float("-inf")
        self.seen_at: float | None = None
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._wanted_until = float("-inf")

    @property
    def samples(self) -> Mapping[str, Sample]:
        """All feeds by name. Those that have not been sampled yet have no stats."""
        return self._samples

    def totals(self) -> Totals:
        """Sums over all feeds."""
        known = [sample.stats for sample in self._samples.values() if sample.stats is not None]
        return Totals(
            feeds=len(self._samples),
            sampled=len(known),
            waiting=sum(stats.waiting or 0 for stats in known),
            scheduled=sum(stats.scheduled or 0 for stats in known),
            claimed=sum(stats.claimed or 0 for stats in known),
            stalled=sum(stats.stalled or 0 for stats in known),
            failing=sum(stats.failing or 0 for stats in known),
        )

    async def refresh_names(self) -> None:
        """Read which feeds there are, unless that was done just now.

        Raises:
            BackendUnavailable: the backend is away. What was known stays.
        """
        if time.monotonic() - self._names_at < NAMES_FRESH:
            return
        names = await self._source.read(FeedNames())
        self._names_at = time.monotonic()
        self.seen_at = time.time()
        if names == self._samples.keys():
            return
        self._samples = {name: self._samples.get(name) or Sample(name) for name in sorted(names)}

    async def look(self, names: Iterable[str], fresh: float = FRESH) -> None:
        """Sample feeds, unless that was done just now.

        Raises:
            BackendUnavailable: the backend is away. What was known stays.
        """
        wanted = [*names]
        async with self._lock:
            latest = time.monotonic() - fresh
            old = [
                name
                for name in wanted
                if (sample := self._samples.get(name)) is None or sample.taken_at < latest
            ]
            if not old:
                return
            answers = await self._source.read_all(ReadStats(name) for name in old)
            now = time.monotonic()
            self.seen_at = time.time()
            for name, answer in zip(old, answers, strict=True):
                self._enter(name, answer, now)

    def _enter(self, name: str, answer: FeedStats | ThoonkError, now: float) -> None:
        if isinstance(answer, FeedDoesNotExist):
            self._samples.pop(name, None)
            return
        sample = self._samples.setdefault(name, Sample(name))
        if isinstance(answer, ThoonkError):
            sample.stats, sample.taken_at, sample.error = None, now, str(answer)
        else:
            sample.take(answer, now)

    def want_all(self) -> None:
        """Sample all feeds slowly, for a while from now."""
        self._wanted_until = time.monotonic() + INTEREST
        if self._background is None or self._background.done():
            self._background = asyncio.create_task(self._sweep(), name="thoonk-web-sampler")

    async def close(self) -> None:
        """Stop sampling."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)

    async def _sweep(self) -> None:
        while time.monotonic() < self._wanted_until:
            for names in _slices([*self._samples]):
                if time.monotonic() >= self._wanted_until:
                    return
                known = all(
                    (sample := self._samples.get(name)) is None or sample.taken_at for name in names
                )
                began = time.thread_time()
                try:
                    await self.look(names, AGE_OF_SWEEP)
                except (BackendUnavailable, OutcomeUnknown):
                    await asyncio.sleep(1)  # pages say so; here it is only tried again
                spent = time.thread_time() - began
                share = SHARE if known else FIRST_SHARE
                await asyncio.sleep(max(0.25 if known else 0.0, spent / share - spent))
            await asyncio.sleep(0.5)


def _slices(names: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(names), SLICE):
        yield names[start : start + SLICE]
