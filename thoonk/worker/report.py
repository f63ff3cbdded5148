"""What a process of a worker tells its supervisor, in memory that outlives the process."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import attrs

LONGEST = 1024
"""Bytes of an id and a token. Of a job with longer ones nothing is reported."""


@attrs.frozen
class Orphan:
    """A job whose process has died.

    Attributes:
        feed: the name of its feed.
        id: its id.
        token: the token of its claim, which holds until its time has expired.
        attempt: the number of the attempt; the first is 1.
        error: the name of the error's class; empty where there is none.
        reason: what has happened to it.
        worker: the process, as ``host:pid``.
    """

    feed: str
    id: str
    token: str
    attempt: int
    error: str = ""
    reason: str = ""
    worker: str = ""


@attrs.frozen
class Legacy:
    """What processes that have ended leave to the one that takes their place.

    Attributes:
        orphans: jobs whose end was not reported.
        retries_until: when the last of the attempts that they have scheduled is due, by the
            monotonic clock, which all processes share. Only of a burst.
    """

    orphans: tuple[Orphan, ...] = ()
    retries_until: float = 0.0


class Report:
    """For each slot the job that it is at, and until when that has to be done."""

    def __init__(self, context: Any, feeds: Sequence[str], slots: int) -> None:
        """For so many slots, with jobs of these feeds; ``context``: how processes are started."""
        self._feeds = feeds
        self._numbers = {feed: str(number) for number, feed in enumerate(feeds)}
        self._deadlines = context.RawArray("d", slots)
        self._lengths = context.RawArray("i", slots)
        self._jobs = context.RawArray("c", slots * LONGEST)
        self._retries_until = context.RawValue("d", 0.0)
        self._ticked = context.RawValue("d", 0.0)

    # --- in the process -----------------------------------------------------------------

    def begin(  # noqa: PLR0917 - once per job
        self, slot: int, feed: str, id: str, token: str, attempt: int, limit: float | None
    ) -> None:
        """A slot begins a job, which may take ``limit`` seconds."""
        text = f"{attempt}\0{self._numbers[feed]}\0{token}\0{id}"
        job = text.encode("utf-8", "surrogateescape")
        if len(job) <= LONGEST:
            start = slot * LONGEST
            self._jobs[start : start + len(job)] = job
            self._lengths[slot] = len(job)  # last: a process may be killed at any moment
        self._deadlines[slot] = math.inf if limit is None else time.monotonic() + limit

    def end(self, slot: int) -> None:
        """It is at that job no more."""
        self._lengths[slot] = 0
        self._deadlines[slot] = math.inf

    def tick(self) -> None:
        """The process is not hanging."""
        self._ticked.value = time.monotonic()

    @property
    def retries_until(self) -> float:
        """When the last of the attempts that the process has scheduled is due."""
        return float(self._retries_until.value)

    @retries_until.setter
    def retries_until(self, until: float) -> None:
        self._retries_until.value = until

    # --- in the supervisor --------------------------------------------------------------

    @property
    def ticked(self) -> float:
        """When the process was last known not to hang, by the monotonic clock; 0: never."""
        return float(self._ticked.value)

    def overdue(self, seconds: float) -> list[int]:
        """The slots whose job should have been done this many seconds ago."""
        latest = time.monotonic() - seconds
        return [slot for slot, deadline in enumerate(self._deadlines) if 0 < deadline < latest]

    def orphans(self) -> dict[int, Orphan]:
        """The jobs that the process, which has died, was at, by the numbers of the slots."""
        found = {}
        for slot, length in enumerate(self._lengths):
            start = slot * LONGEST
            job = self._jobs[start : start + length]
            attempt, _, rest = job.decode("utf-8", "surrogateescape").partition("\0")
            number, _, rest = rest.partition("\0")
            token, _, id = rest.partition("\0")
            if id and attempt.isdecimal() and number.isdecimal():
                found[slot] = Orphan(self._feeds[int(number)], id, token, int(attempt))
        return found
