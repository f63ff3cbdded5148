"""Samples: a feed's numbers at one time, and its rates since the time before."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import attrs

from thoonk import FeedDoesNotExist, FeedStats
from thoonk.cli.session import Session
from thoonk.operations import ReadStats


@attrs.frozen
class Sample:
    """A feed's stats at one time, and how fast it has been since the sample before.

    Attributes:
        feed: its name.
        stats: what the backend says.
        taken_at: when, in seconds of a clock that only goes forwards.
        put_per_second: publishes, puts and edits; None in the first sample.
        done_per_second: items of a queue taken, jobs finished; None in the first sample,
            and for feeds.
    """

    feed: str
    stats: FeedStats
    taken_at: float
    put_per_second: float | None = None
    done_per_second: float | None = None

    def after(self, before: Sample) -> Sample:
        """This sample with the rates since the one before."""
        seconds = self.taken_at - before.taken_at
        if seconds <= 0:
            return self
        done = None
        if self.stats.done is not None and before.stats.done is not None:
            done = max(0, self.stats.done - before.stats.done) / seconds
        put = max(0, self.stats.publishes - before.stats.publishes) / seconds
        return attrs.evolve(self, put_per_second=put, done_per_second=done)

    def record(self) -> dict[str, Any]:
        """It as JSON; what its type does not have is null."""
        return {
            "feed": self.feed,
            **attrs.asdict(self.stats),
            "put_per_second": self.put_per_second,
            "done_per_second": self.done_per_second,
        }


class Sampler:
    """Samples the feeds named, or all feeds, repeatedly."""

    def __init__(self, session: Session, names: Iterable[str]) -> None:
        self._session = session
        self._names = tuple(names)
        self._before: dict[str, Sample] = {}
        self._is_first = True

    def __call__(self) -> list[Sample]:
        """The samples of now, by name; with rates where there were samples before.

        Raises:
            FeedDoesNotExist: when it is called first, a feed that was named is not there.
        """
        client = self._session.client
        now: dict[str, Sample] = {}
        for name in self._names or sorted(client.get_feed_names()):
            try:
                stats = client.backend.execute(ReadStats(name))
            except FeedDoesNotExist:
                if self._names and self._is_first:
                    raise
                continue  # deleted since
            sample = Sample(name, stats, time.monotonic())
            before = self._before.get(name)
            now[name] = sample if before is None else sample.after(before)
        self._before = now
        self._is_first = False
        return [*now.values()]
