"""Keeps the board of ``top`` up to date: asks the server, and notes how that went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from thoonk import AsyncThoonk, BackendUnavailable, FeedDoesNotExist, OutcomeUnknown
from thoonk.cli.board import Board
from thoonk.cli.output import one_line
from thoonk.cli.rounds import NAMES_PER_SECOND, Pace, choose
from thoonk.cli.samples import Sample
from thoonk.config import JOB
from thoonk.exceptions import ThoonkError
from thoonk.operations import ReadStats
from thoonk.raw_items import printable

AT_A_TIME = 8
"""Calls on their way at once; each has its own connection."""
CONFIG_EVERY = 60.0
"""Seconds after which the configuration of a feed is read again."""


class Lookout:
    """Samples feeds round by round.

    Attributes:
        board: what is known.
        error: what went wrong in the last round, on one line; None: nothing.
        answered_at: when the server last answered, by `time.monotonic`; None: not yet.
        full_turn: seconds in which every feed is sampled once, as it is now.
    """

    def __init__(self, client: AsyncThoonk, names: tuple[str, ...]) -> None:
        """``names``: the feeds; none: all there are."""
        self.board = Board(names=sorted(names))
        self.error: str | None = None
        self.answered_at: float | None = None
        self.full_turn = 0.0
        self._client = client
        self._named = names
        self._pace = Pace()
        self._names_due = 0.0
        self._config_read_at: dict[str, float] = {}
        self._has_been_seen: set[str] = set()
        self._problem: str | None = None

    async def round(self, in_sight: Collection[str], interval: float) -> None:
        """Sample the feeds in sight, and a bounded number of the others.

        Raises:
            ThoonkError: the server has not answered yet, or a feed that was named does
                not exist. Later on, what goes wrong is in `error`.
        """
        self._problem = None
        began = time.monotonic()
        try:
            if not self._named:
                await self._list_names(began, interval)
            names = self._named or self.board.names
            sampled_at = {name: each.taken_at for name, each in self.board.samples.items()}
            chosen = choose(names, in_sight, sampled_at, self._pace.budget(interval))
            visible = len({*in_sight} & {*chosen})
            others = max(1, len(chosen) - visible)
            self.full_turn = interval * max(1.0, (len(names) - visible) / others)
            began = time.monotonic()
            for start in range(0, len(chosen), AT_A_TIME):
                await self._sample_all(chosen[start : start + AT_A_TIME])
            self._pace.took(time.monotonic() - began, len(chosen))
        except (BackendUnavailable, OutcomeUnknown) as error:
            self._names_due = 0.0
            if self.answered_at is None:
                raise
            self._problem = one_line(error)
        self.error = self._problem

    async def _list_names(self, now: float, interval: float) -> None:
        if now >= self._names_due:
            names = await self._client.get_feed_names()
            self.board.keep_only(names)
            self.answered_at = time.monotonic()
            # A little early, so that no round just misses it.
            self._names_due = now + 0.9 * max(interval, len(names) / NAMES_PER_SECOND)

    async def _sample_all(self, names: list[str]) -> None:
        """Sample these at once."""
        done = await asyncio.gather(*map(self._sample, names), return_exceptions=True)
        for name, error in zip(names, done, strict=True):
            if isinstance(error, BackendUnavailable | OutcomeUnknown):
                raise error
            is_wrong_name = isinstance(error, FeedDoesNotExist)
            if isinstance(error, ThoonkError) and self.board.samples and not is_wrong_name:
                self._problem = f"{printable(name)}: {one_line(error)}"
            elif error is not None:
                raise error

    async def _sample(self, name: str) -> None:
        board = self.board
        try:
            stats = await self._client.backend.execute(ReadStats(name))
            sample = Sample(name, stats, time.monotonic())
            if stats.kind == JOB and stats.claimed:
                await self._read_config(name, sample.taken_at)
        except FeedDoesNotExist:
            if name in self._named and name not in self._has_been_seen:
                raise
            board.remove(name)  # deleted since
            return
        self.answered_at = sample.taken_at
        self._has_been_seen.add(name)
        board.add(sample)

    async def _read_config(self, name: str, now: float) -> None:
        """Learn the claim_timeout of a feed with claims, now and then."""
        if now - self._config_read_at.get(name, -CONFIG_EVERY) >= CONFIG_EVERY:
            config = await self._client.get_config(name)
            self.board.claim_timeouts[name] = config.claim_timeout
            self._config_read_at[name] = now
