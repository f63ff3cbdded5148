"""The way to one server."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from redis.exceptions import NoScriptError, ResponseError, TryAgainError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async import limits
from thoonk.backends.redis._async.connection import Pool
from thoonk.backends.redis._async.links import AsyncLinks, Link
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.replication import TOUCH, Replication
from thoonk.backends.redis.sessions import Session
from thoonk.backends.redis.settings import REPLY_MARGIN, reply_timeout
from thoonk.concurrency._async import shielded
from thoonk.exceptions import BackendUnavailable, ItemTooLarge, ThoonkError
from thoonk.operations import Operation, TakeOperation

logger = logging.getLogger("thoonk.backends.redis")

ASKING = pack(b"ASKING")
"""Goes before a command on a slot that is still moving to the node."""


class AsyncServer:
    """Sends commands to one server, once each, and says what became of them."""

    def __init__(
        self,
        pool: Pool,
        longest: float | None,
        *,
        keep: bool,
        replication: Replication,
        cut_off: Callable[[BaseException, Command[Any]], ThoonkError] = errors.answer_lost,
    ) -> None:
        """Nothing is connected before it is used.

        Args:
            pool: its connections.
            longest: seconds for a reply, as configured; None: the default.
            keep: the pool is ours alone.
            replication: how many replicas must have a change.
            cut_off: what it means that the connection failed during a command.
        """
        self.pool = pool
        self._links = AsyncLinks(pool, keep=keep)
        self.longest = longest
        self._replication = replication
        self._cut_off = cut_off

    async def attempt(
        self,
        session: Session,
        operation: Operation[Any],
        command: Command[Any],
        number: int,
        *,
        repeats: bool,
        asking: bool = False,
    ) -> Any:
        """Send the command of an operation, and return its reply.

        The session keeps the link for its next attempt. `end` gives it back.

        Args:
            number: which attempt it is, from 1.
            repeats: whether the call is repeated when no reply comes.
            asking: whether to send ASKING, to a node of a cluster, right before.

        Raises:
            ThoonkError: it was refused, or the connection failed.
        """
        link = await self._link_of(session)
        data = command.packed()
        try:
            await self._links.connect(link, len(data))
        except (*errors.CONNECTION_ERRORS, ResponseError) as error:
            raise errors.not_sent(error) from error

        try:
            ahead = ASKING if asking else b""
            reply = await self._run(link, command, data, number, ahead, repeats=repeats)
            if self._replication.concerns(operation, command):
                await self._replicate(link, operation, number)
        except ResponseError as error:
            raise await self._refusal(link, error, command) from error
        except errors.CONNECTION_ERRORS as error:
            await self._links.hang_up(link)
            too_large = await limits.exceeded(self.pool, command)
            raise too_large or self._cut_off(error, command) from error
        except BaseException:
            # Cancelled or interrupted: a take must not go on behind our back. What is
            # unread after that, perhaps for another interrupt, closes the connection.
            if isinstance(operation, TakeOperation):
                await shielded(self._links.settle, link, REPLY_MARGIN)
            raise
        return reply

    async def ask(self, *commands: bytes, timeout: float) -> list[Any]:
        """The replies to some commands, packed, behind no other call.

        The server may hold back what other calls have sent. And calls of threads may keep all
        connections of the pool.

        Args:
            timeout: seconds for each reply.

        Raises:
            redis.exceptions.RedisError: the connection failed, or one was refused.
        """
        link = self._links.take()
        try:
            await self._links.connect(link, math.inf)  # as a large command: on one of its own
            try:
                return [await self._links.exchange(link, command, timeout) for command in commands]
            except errors.CONNECTION_ERRORS:
                await self._links.hang_up(link)
                raise
        finally:
            if link.is_worth_giving:
                await self._links.give(link)

    async def _run(
        self,
        link: Link,
        command: Command[Any],
        data: bytes,
        number: int,
        ahead: bytes,
        *,
        repeats: bool,
    ) -> Any:
        seconds = reply_timeout(self.longest, number, len(data), repeats=repeats)
        try:
            return await self._links.exchange(link, data, seconds, ahead)
        except NoScriptError:
            # The server has not run it: it does not have the script (any more).
            if command.script is not None and command.script.before:
                before = pack(b"EVAL", command.script.before, 0)
                await self._links.exchange(link, before, seconds, ahead)
            data = pack(*command.with_text())
            seconds = reply_timeout(self.longest, number, len(data), repeats=repeats)
            return await self._links.exchange(link, data, seconds, ahead)

    async def _replicate(self, link: Link, operation: Operation[Any], number: int) -> None:
        """Wait until enough replicas have what the link has written.

        Raises:
            NotReplicated: they do not, and the caller loses nothing by the error.
        """
        wanted = self._replication
        seconds = wanted.timeout + REPLY_MARGIN
        reason = ""
        try:
            if number > 1:
                await self._links.exchange(link, TOUCH, seconds)
            count = await self._links.wait(link, wanted.command, seconds)
        except ResponseError as refusal:
            count, reason = 0, f" ({refusal})"
        error = wanted.shortfall(count, operation, reason)
        if error is not None and not wanted.hands_over(operation):
            raise error
        if error is not None:
            extra = {"event": "not_replicated"}
            logger.warning("Replicas do not confirm a change in time: %s", error, extra=extra)

    async def _link_of(self, session: Session) -> Link:
        link: Link | None = session.link
        if link is None or link.links is not self._links:
            # The call was sent to another server before.
            await end(session)
            session.link = link = self._links.take()
        return link

    async def _refusal(
        self, link: Link, error: ResponseError, command: Command[Any]
    ) -> ThoonkError:
        """What an error reply means."""
        refusal = errors.refused(error, command)
        if isinstance(refusal, BackendUnavailable) and not isinstance(error, TryAgainError):
            # It may no longer be the master: let the next attempt look it up again.
            await self._links.hang_up(link)
        elif isinstance(refusal, ItemTooLarge) and refusal.setting:
            await self._links.hang_up(link)  # which the server does, too
            refusal = await limits.exceeded(self.pool, command) or refusal
        return refusal

    def close(self) -> None:
        """Close what calls go over, now or when they end. The pool stays."""
        self._links.close()


async def end(session: Session) -> None:
    """A call is over, or continues elsewhere: give its link back, where others can use it."""
    link: Link | None = session.link
    if link is not None and link.is_worth_giving:
        session.link = None
        await link.links.give(link)
