"""Keeps a claim alive while its job is worked on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from thoonk.backends import AsyncBackend
from thoonk.concurrency._async import Background, Event, event_within
from thoonk.config import FeedConfig
from thoonk.exceptions import NotClaimed, ThoonkError
from thoonk.operations import GetConfig

logger = logging.getLogger("thoonk.job")

PER_TIMEOUT = 3
"""How often a claim is extended within its ``claim_timeout``."""


class AsyncHeartbeat:
    """Extends a claim again and again, from a task of its own, for the length of a block.

    Attributes:
        lost: whether the claim was lost all the same: the job may run elsewhere by now.
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
        self._interval = interval
        self._stop = Event()
        self._background: Background | None = None

    async def __aenter__(self) -> Self:
        if self._interval is None:
            fields = await self._backend.execute(GetConfig(self._feed))
            config = FeedConfig.from_fields(fields, self._feed)
            self._interval = (config.claim_timeout or 0.0) / PER_TIMEOUT
        if self._interval:
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

    async def _run(self) -> None:
        while not await event_within(self._stop, self._interval):
            try:
                await self._extend()
            except NotClaimed:
                self.lost = True
                return
            except ThoonkError as error:
                # The next beat may still come in time.
                extra = {"feed": self._feed}
                logger.warning("a claim in %r was not extended: %s", self._feed, error, extra=extra)
