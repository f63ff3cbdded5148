"""A feed whose jobs are done here: its handler, its jobs, and what its configuration says."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

import attrs

from thoonk import AsyncClaim, AsyncJob, AsyncThoonk
from thoonk.config import FeedConfig
from thoonk.exceptions import FeedDoesNotExist, ThoonkError
from thoonk.partitions import PARTITIONS
from thoonk.worker._async.slot import AsyncSlot
from thoonk.worker.handlers import Handler
from thoonk.worker.running_job import RunningJob

logger = logging.getLogger("thoonk.worker")

CLAIM_TIMEOUT = 30.0
"""Seconds, for a feed that has no ``claim_timeout``."""

RETRIES = 3
"""For a feed that has no ``max_failures``."""

OPENINGS = 20
"""How often a feed that is deleted while it is opened is opened again."""


@attrs.define(eq=False)
class Consumer:
    """A feed whose jobs are done here.

    Attributes:
        job_feed: the feed.
        claim_timeout: seconds; 0: claims do not expire.
        max_failures: after how many attempts a job is stalled; 0: never.
        serializer: the name of the feed's serializer.
        looked: when the configuration was read, by the monotonic clock.
        renewed: when schedules last got their times, by the same clock.
        slots: those that do its jobs, and perhaps others as well.
        other_partitions: the number of partitions that has been found, if it is another.
    """

    handler: Handler
    job_feed: AsyncJob[Any]
    claim_timeout: float
    max_failures: int
    serializer: str | None
    slots: list[AsyncSlot] = attrs.field(factory=list)
    looked: float = attrs.field(factory=time.monotonic)
    renewed: float = float("-inf")
    other_partitions: str | None = None

    @property
    def feed(self) -> str:
        """The feed's name."""
        return self.handler.feed

    def jobs(self) -> list[RunningJob[AsyncClaim[Any]]]:
        """Those of the feed that run here."""
        held = [slot.held for slot in self.slots]
        return [job for job in held if job is not None and job.feed == self.feed]


def _wanted(handler: Handler) -> dict[str, float]:
    """What the feed is to be configured with if it is not configured."""
    retries = RETRIES if handler.retries is None else handler.retries
    timeout = CLAIM_TIMEOUT if handler.claim_timeout is None else handler.claim_timeout
    return {"claim_timeout": timeout, "max_failures": retries + 1}


async def _configure(
    thoonk: AsyncThoonk, handler: Handler, config: FeedConfig, wanted: dict[str, float]
) -> dict[str, Any]:
    changes = {name: value for name, value in wanted.items() if config.get(name) != value}
    if changes:
        await thoonk.set_config(handler.feed, changes)
        logger.info(
            "Configuration of feed %r set: %s",
            handler.feed,
            changes,
            extra={"event": "feed_configured", "feed": handler.feed},
        )
    settings = {**config, **wanted}
    if not settings.get("claim_timeout"):
        logger.warning(
            "Feed %r has no claim_timeout: if a worker dies, its job is never available again",
            handler.feed,
            extra={"event": "feed_without_claim_timeout", "feed": handler.feed},
        )
    return settings


async def open_consumer(thoonk: AsyncThoonk, handler: Handler) -> Consumer:
    """Open the feed of a handler, and configure what it asks for or is not configured.

    A feed that is deleted meanwhile is opened again.

    Raises:
        ThoonkError: it cannot be opened.
    """
    for _ in range(OPENINGS):
        with contextlib.suppress(FeedDoesNotExist):
            return await _open_once(thoonk, handler)
    return await _open_once(thoonk, handler)


async def _open_once(thoonk: AsyncThoonk, handler: Handler) -> Consumer:
    known = {} if handler.partitions is None else {PARTITIONS: handler.partitions}
    job = await thoonk.job(handler.feed, known, serializer=handler.serializer)
    config = await thoonk.get_config(handler.feed)
    asked = {"claim_timeout": handler.claim_timeout, "max_failures": handler.retries}
    wanted = {
        name: value
        for name, value in _wanted(handler).items()
        if asked[name] is not None or config.get(name) is None
    }
    settings = await _configure(thoonk, handler, config, wanted)
    return Consumer(
        handler,
        job,
        settings.get("claim_timeout") or 0.0,
        int(settings.get("max_failures") or 0),
        config.serializer,
    )


async def reopen(thoonk: AsyncThoonk, consumer: Consumer) -> None:
    """The feed was deleted: create it again. When that fails, it is logged."""
    try:
        fresh = await open_consumer(thoonk, consumer.handler)
    except ThoonkError as error:
        logger.warning(
            "Feed %r cannot be opened: %s",
            consumer.feed,
            error,
            extra={"event": "feed_not_opened", "feed": consumer.feed},
        )
    else:
        consumer.job_feed, consumer.serializer = fresh.job_feed, fresh.serializer
        consumer.claim_timeout, consumer.max_failures = fresh.claim_timeout, fresh.max_failures
        consumer.looked = fresh.looked


def log_failure(feed: str, error: Exception) -> None:
    """Log that a loop over a feed starts again. That the feed was deleted is no failure."""
    extra = {"event": "loop_failed", "feed": feed}
    if isinstance(error, FeedDoesNotExist):
        return
    if isinstance(error, ThoonkError):
        logger.warning("Loop over %r failed; trying again: %s", feed, error, extra=extra)
    else:
        logger.error("Loop over %r failed; trying again", feed, exc_info=error, extra=extra)


def _compare_partitions(consumer: Consumer, config: FeedConfig) -> None:
    """Log, once, that there is another number of partitions: some may have no worker."""
    own, stored = consumer.handler.partitions, config.get(PARTITIONS)
    other = None if own is None or stored in {None, str(own)} else str(stored)
    if other not in {None, consumer.other_partitions}:
        logger.warning(
            "Feed %r is one of %s partitions now, not of %s: start the worker again with %s",
            *(consumer.feed, other, own, other),
            extra={"event": "partitions_changed", "feed": consumer.feed},
        )
    consumer.other_partitions = other


async def refresh(thoonk: AsyncThoonk, consumer: Consumer) -> None:
    """Read the configuration again: it may have changed, or the feed may have been created again.

    What is missing then is set as when the worker began. What was set otherwise
    since then holds, also for this worker.

    Raises:
        ThoonkError: it cannot be read. What was known holds.
    """
    handler = consumer.handler
    consumer.looked = time.monotonic()
    config = await thoonk.get_config(consumer.feed)
    _compare_partitions(consumer, config)
    missing = {name: value for name, value in _wanted(handler).items() if config.get(name) is None}
    settings: dict[str, Any] = {**config}
    if missing:
        settings = await _configure(thoonk, handler, config, missing)
    consumer.claim_timeout = settings.get("claim_timeout") or 0.0
    consumer.max_failures = int(settings.get("max_failures") or 0)
    if config.serializer != consumer.serializer:
        consumer.job_feed = await thoonk.job(handler.feed, serializer=handler.serializer)
        consumer.serializer = config.serializer
        for slot in consumer.slots:
            slot.source.begin_anew()
