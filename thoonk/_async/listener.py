"""The listener: calls registered handlers for each notice, from a task of its own."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.codec import Codec
from thoonk.concurrency._async import Background, Lock, call, is_end_of_task, sleep
from thoonk.config import FeedConfig
from thoonk.events import event_and_arguments, event_of
from thoonk.exceptions import Closed, InvalidType, InvalidValue, ThoonkError
from thoonk.notices import (
    Configured,
    Created,
    Deleted,
    Edited,
    Finished,
    Gap,
    Moved,
    Notice,
    Published,
    log_fields,
)
from thoonk.operations import GetConfig, Position
from thoonk.serializers import SerializerRegistry

logger = logging.getLogger("thoonk.listener")

Handler = Callable[..., Any]

OUTAGE_PAUSE = 1.0
"""Seconds until the listener reads again after an unexpected error."""


class AsyncListener:
    """One subscription to all feeds, and the handlers it serves."""

    def __init__(self, backend: AsyncBackend, serializers: SerializerRegistry) -> None:
        self._backend = backend
        self._serializers = serializers
        self._handlers: defaultdict[str, list[Handler]] = defaultdict(list)
        self._codecs: dict[str, Codec[Any]] = {}
        self._subscription: AsyncSubscription | None = None
        self._background: Background | None = None
        self._starting = Lock()

    async def start(self) -> None:
        """Subscribe, unless done already. From now on, handlers receive all events."""
        if self._background is not None:
            return
        async with self._starting:
            # Who comes second waits here until the first has subscribed.
            if self._background is None:
                self._subscription = await self._backend.listen(None)
                self._background = Background(self._run, "thoonk-listener")

    async def close(self) -> None:
        """Stop after the current handler call."""
        if self._subscription is not None:
            await self._subscription.close()
        if self._background is not None:
            await self._background.join(5.0)

    def add(self, name: str, handler: Handler) -> None:
        """Call ``handler`` for the event. Raises as `event_of` does."""
        event = event_of(name)
        if not callable(handler):
            raise InvalidType(f"a handler must be callable, not {type(handler).__name__}")
        self._handlers[event].append(handler)

    def remove(self, name: str, handler: Handler) -> None:
        """Stop calling ``handler``.

        Raises:
            InvalidValue: it is not registered for the event.
        """
        try:
            self._handlers[event_of(name)].remove(handler)
        except ValueError:
            raise InvalidValue(f"{handler!r:.80} is not registered for {name!r}") from None

    async def _run(self) -> None:
        subscription = self._subscription
        while subscription is not None:
            notice: Notice | None = None
            try:
                notice = await subscription.get()
                await self._dispatch(notice)
            except Closed:
                return
            except ThoonkError as error:
                fields = {} if notice is None else log_fields(notice)
                extra = {"event": "notice_passed_over", **fields}
                logger.warning("Notice skipped: %s", error, extra=extra)
            except BaseException as error:
                if is_end_of_task(error):
                    raise
                # A listener that ends in silence is worse than one that goes on.
                logger.exception(
                    "Listener failed and continues", extra={"event": "listener_failed"}
                )
                if notice is None:
                    await sleep(OUTAGE_PAUSE)

    async def _dispatch(self, notice: Notice) -> None:
        match notice:
            case Gap():
                # Any feed may have been deleted and created again meanwhile.
                self._codecs.clear()
            case Configured() | Created() | Deleted():
                self._codecs.pop(notice.feed, None)
        event, _ = event_and_arguments(notice)
        handlers = self._handlers.get(event)
        if not handlers:
            return
        if isinstance(notice, Moved):
            Position.parse(notice.position)  # a peer may have written what is none
        if isinstance(notice, Published | Edited | Finished):
            codec = await self._codec_of(notice.feed)
            notice = codec.notice(notice)
        _, arguments = event_and_arguments(notice)
        for handler in list(handlers):
            try:
                await call(handler, *arguments)
            except BaseException as error:
                if is_end_of_task(error):
                    raise
                extra = {"event": "handler_failed", "notice": event, **log_fields(notice)}
                logger.exception("Handler %r of event %r failed", handler, event, extra=extra)

    async def _codec_of(self, feed: str) -> Codec[Any]:
        codec = self._codecs.get(feed)
        if codec is None:
            fields = await self._backend.execute(GetConfig(feed))
            config = FeedConfig.from_fields(fields, feed)
            codec = Codec(feed, self._serializers.get(config.serializer))
            self._codecs[feed] = codec
        return codec
