"""Keeps a claim alive while its job is worked on."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from thoonk.backends import AsyncBackend
from thoonk.concurrency._async import Background, Event, wait_event
from thoonk.config import FeedConfig
from thoonk.exceptions import FeedDoesNotExist, NotClaimed, ThoonkError
from thoonk.operations import GetConfig

logger = logging.getLogger("thoonk.job")

LOOK_EVERY = 1.0
"""Seconds after which it is looked again how long claims hold."""

PER_TIMEOUT = 3
"""How often a claim is extended within its ``claim_timeout``."""


class AsyncHeartbeat:
    """Extends a claim again and again, from a task of its own, for the length of a block.

    Attributes:
        lost: whether the claim was lost anyway: the job may run elsewhere by now.
    """

    def __init__(
        self,
        backend: AsyncBackend,
        feed: str,
        extend: Callable[[], Coroutine[Any, Any, None]],
        interval: float | None,
    ) -> None:
        self.lost = False
        self._backend = backend
        self._feed = feed
        self._extend = extend
        self._interval = interval or 0.0
        self._follows = interval is None
        self._stop = Event()
        self._background: Background | None = None

    async def __aenter__(self) -> Self:
        if self._follows:
            with contextlib.suppress(FeedDoesNotExist):
                await self._look()
        if self._follows or self._interval:
            self._background = Background(self._run, f"thoonk-heartbeat-{self._feed}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._background is not None:
            await self._background.join(5.0)

    async def _look(self) -> None:
        """Read how long claims hold: the configuration may have changed."""
        fields = await self._backend.execute(GetConfig(self._feed))
        config = FeedConfig.from_fields(fields, self._feed)
        self._interval = (config.claim_timeout or 0.0) / PER_TIMEOUT
        if not fields:
            raise FeedDoesNotExist(self._feed)

    def _pause(self, last: float) -> float:
        """Seconds until there is something to do again, the last extension having been then."""
        if not self._interval:
            return LOOK_EVERY
        left = max(0.0, last + self._interval - time.monotonic())
        return min(left, LOOK_EVERY) if self._follows else left

    async def _run(self) -> None:
        last = looked = time.monotonic()
        while not await wait_event(self._stop, self._pause(last)):
            try:
                if self._follows and time.monotonic() - looked >= LOOK_EVERY:
                    looked = time.monotonic()
                    await self._look()
                if not self._interval or time.monotonic() - last < self._interval:
                    continue
                last = time.monotonic()
                await self._extend()
            except (NotClaimed, FeedDoesNotExist):
                self.lost = True
                return
            except ThoonkError as error:
                # The next beat may still come in time.
                extra = {"event": "claims_not_extended", "feed": self._feed}
                logger.warning("Claim of %r not extended: %s", self._feed, error, extra=extra)
