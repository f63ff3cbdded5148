"""Looks at feeds through operations: for backends whose storage is not keys on a server."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from thoonk._sync import alive
from thoonk.backends import Backend
from thoonk.backends.redis.wire import keys_of
from thoonk.config import JOB, KIND_OF_TYPE
from thoonk.doctor import catalogue, claims, schedule
from thoonk.doctor.findings import Finding, Size
from thoonk.doctor.item_state import Feed
from thoonk.exceptions import ThoonkError
from thoonk.names import decode_name, encode_name
from thoonk.operations import (
    CountItems,
    FeedNames,
    GetConfig,
    JobState,
    Operation,
    ReadJobPage,
    ReadSchedules,
    WorkerInfo,
)

R = TypeVar("R")


class Contents:
    """Examines the feeds of a backend. It changes nothing.

    Attributes:
        operations: how many operations were executed.
    """

    def __init__(
        self, backend: Backend, bytes_of: Mapping[str, int], stuck_after: float | None
    ) -> None:
        """``bytes_of``: how large each feed is. ``stuck_after``: seconds."""
        self._backend = backend
        self._bytes_of = bytes_of
        self._stuck_after = None if stuck_after is None else stuck_after * 1000
        self._workers: list[WorkerInfo] | None = None
        self.operations = 0
        self._sizes: list[Size] = []

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Those of the feeds that were examined, the largest first."""
        return tuple(sorted(self._sizes, key=lambda size: -size.bytes))

    def execute(self, operation: Operation[R]) -> R:
        """The answer to an operation."""
        self.operations += 1
        return self._backend.execute(operation)

    def findings(self) -> Iterator[Finding]:
        """What is wrong with feeds."""
        for name in self.names():
            yield from self.of_feed(name)

    def names(self) -> list[str]:
        """Which feeds there are."""
        return sorted(self.execute(FeedNames()))

    def of_feed(self, name: str) -> Iterator[Finding]:
        """What is wrong with one of them."""
        fields = dict(self.execute(GetConfig(name)))
        if not fields:
            # A creation or deletion may be under way: then it is neither the second time.
            if not self.execute(GetConfig(name)) and name in self.names():
                yield Finding(catalogue.HALF_DELETED, "there is only its name", name)
            return
        self._sizes.append(Size(name, self._bytes_of.get(name, 0), self.execute(CountItems(name))))
        for fault in catalogue.faulty_settings(fields).values():
            yield Finding(fault.check, fault.says, name)
        kind = KIND_OF_TYPE.get(fields["type"])
        if kind is None:
            yield Finding(catalogue.OWN_TYPE, f"its type is {fields['type']!r:.80}", name)
        elif kind == JOB:
            now = time.time() * 1000
            feed = Feed(name, kind, keys_of(name), catalogue.sensible(fields), now)
            yield from self._of_claims(feed)
            yield from self._of_schedules(name)

    def _of_claims(self, feed: Feed) -> Iterator[Finding]:
        since = dict(self._claimed(feed.name))
        endless = claims.endless_rule(feed, since)
        if endless is not None:
            yield Finding(endless.check, endless.says, feed.name)
        stuck = claims.stuck_rule(feed, since, self._stuck_after)
        holders = self._holders(feed.name) if stuck else {}
        for id, at in stuck[: claims.NAMED]:
            says = claims.says_of_stuck(feed, at, holders.get(decode_name(id)))
            yield Finding(claims.STUCK, says, feed.name, (decode_name(id),))
        if more := stuck[claims.NAMED :]:
            ids = tuple(decode_name(id) for id, _ in more)
            says = f"{len(more)} more that were claimed after these"
            yield Finding(claims.STUCK, says, feed.name, ids[:100], len(more))

    def _claimed(self, name: str) -> Iterator[tuple[bytes, float]]:
        """Since when jobs are claimed, in ms."""
        cursor = ""
        while True:
            page = self.execute(ReadJobPage(name, JobState.CLAIMED, 100, cursor))
            for info in page.jobs:
                if isinstance(info.claimed, dt.datetime):
                    yield encode_name(info.id), info.claimed.timestamp() * 1000
            cursor = page.cursor
            if not cursor:
                return

    def _holders(self, feed: str) -> Mapping[str, Any]:
        """Which workers say that they are processing jobs of the feed."""
        if self._workers is None:
            try:
                self._workers = alive.read_workers(self.execute)
            except ThoonkError:
                self._workers = []
        return alive.holders(self._workers, feed)

    def _of_schedules(self, name: str) -> Iterator[Finding]:
        without = [s.schedule.name for s in self.execute(ReadSchedules(name)) if s.next is None]
        if without:
            says = "schedules that have no next time"
            yield Finding(schedule.NO_RUN, says, name, tuple(without), len(without))
