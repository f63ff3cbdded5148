"""Calls: an operation is sent until it is answered, and takes effect once."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.redis import errors
from thoonk.backends.redis._async import server
from thoonk.backends.redis.commands import Call, Command, command_for
from thoonk.backends.redis.scripts import Script, load
from thoonk.backends.redis.sessions import Session, Sessions
from thoonk.backends.redis.settings import check_retry_for
from thoonk.backends.redis.wire import new_instance
from thoonk.concurrency._async import Event, HomeLoop, shielded, wait_event
from thoonk.exceptions import BackendUnavailable, Closed, OutcomeUnknown, ThoonkError
from thoonk.operations import Batch, Operation, Release, TakeOperation

R = TypeVar("R")
S = TypeVar("S", bound=AsyncMailboxSubscription)

logger = logging.getLogger("thoonk.backends.redis")

FIRST_PAUSE = 0.02
"""Seconds between the first attempt of a call and the second. Pauses grow."""


class AsyncCalls:
    """What a backend on one server and one on many have in common."""

    _load: Callable[[str], Script] = staticmethod(load)
    _longest_pause = 1.0

    def __init__(self, db: int, retry_for: float) -> None:
        """Calls on the feeds in a db, repeated without an answer for ``retry_for`` seconds."""
        self._db = db
        self._instance = new_instance(db)
        self._retry_for = check_retry_for(retry_for)
        self._sessions = Sessions()
        self._reached = False
        self._closing = Event()
        self._home = HomeLoop()

    @property
    def _repeats(self) -> bool:
        """Whether calls are repeated: what was never reached is more likely a wrong address."""
        return self._reached and self._retry_for > 0

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation: one command, one round trip, one effect.

        When the connection is lost the command is sent again, for as long as
        ``retry_for`` says. The server knows a call that it has answered before.
        """
        session = self._sessions.take()
        try:
            try:
                call = Call(self._instance, session.id, session.sequence, self._load)
                command = command_for(operation, call)
                reply, attempts = await self._until_answered(session, operation, command)
            finally:
                try:
                    if session.link is not None and session.link.is_worth_giving:
                        await server.end(session)
                finally:
                    self._sessions.give(session)
        except ThoonkError:
            raise
        except BaseException:
            if isinstance(operation, TakeOperation):
                await shielded(self._release, operation)
            raise
        answer = command.parse(reply)
        if attempts > 1 and isinstance(answer, Batch) and answer.lost:
            # An earlier attempt may have ended them.
            return attrs.evolve(answer, lost=())
        return answer

    async def _until_answered(
        self, session: Session, operation: Operation[Any], command: Command[Any]
    ) -> tuple[Any, int]:
        """The reply, and how many attempts it took."""
        deadline = time.monotonic() + self._retry_for
        pause = FIRST_PAUSE
        may_be_done = False
        attempt = 0
        while True:
            attempt += 1
            try:
                self._check_open()
                reply = await self._attempt(session, operation, command, attempt)
            except (BackendUnavailable, OutcomeUnknown) as error:
                may_be_done = may_be_done or isinstance(error, OutcomeUnknown)
                if self._closing.is_set():
                    # Its connection was closed by ourselves.
                    if may_be_done:
                        raise OutcomeUnknown(
                            "the backend was closed before Redis answered; "
                            "the operation may or may not have taken effect"
                        ) from error
                    raise Closed("the backend has been closed") from error
                is_over = attempt > 1 and time.monotonic() >= deadline
                if not self._repeats or is_over:
                    if may_be_done and isinstance(error, BackendUnavailable):
                        raise errors.answer_lost(error, command) from error.__cause__
                    raise
            else:
                self._reached = True
                return reply, attempt
            await wait_event(self._closing, pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, self._longest_pause)

    async def _attempt(
        self, session: Session, operation: Operation[Any], command: Command[Any], number: int
    ) -> Any:
        """Send the command to the server that it is for, and return the reply."""
        raise NotImplementedError

    async def _release(self, operation: TakeOperation) -> None:
        """Put back what an interrupted take may have taken."""
        try:
            await self.execute(Release(operation.feed, operation.token))
        except ThoonkError as error:
            extra = {"event": "take_not_released", "feed": operation.feed}
            logger.warning(
                "Items of an interrupted get not released; they may stay claimed: %s",
                error,
                extra=extra,
            )

    async def _opened(self, subscription: S) -> S:
        """The subscription, begun, unless the backend is closed meanwhile."""
        try:
            await subscription.open()
        except BackendUnavailable:
            self._check_open()
            raise
        if self._closing.is_set():
            # Closing may not have seen it.
            await subscription.close()
            self._check_open()
        return subscription

    def _check_open(self) -> None:
        self._home.check()
        if self._closing.is_set():
            raise Closed("the backend has been closed")
