"""Blocking takes: the consumers of a client that wait for the same feed share a connection."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from redis.exceptions import NoScriptError, ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.connection import (
    Connection,
    dedicated_connection,
    disconnect,
    is_usable,
    read_reply,
    send,
)
from thoonk.backends.redis._async.server import AsyncServer
from thoonk.backends.redis.commands import Call, Command, command_for, wait_command
from thoonk.backends.redis.lines import Lines, Place
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.settings import REPLY_MARGIN
from thoonk.backends.redis.wire import keys_of
from thoonk.concurrency._async import Event, caller, shielded, sleep, wait_event
from thoonk.exceptions import BackendUnavailable, ThoonkError
from thoonk.operations import Batch, TakeOperation

SHORTEST_READ = 0.05
"""Seconds that a reply is given when its time is over, but it may just have come."""


@attrs.define(eq=False)
class _Blocked:
    """A connection on which the first in line blocks.

    Attributes:
        client_id: by what the server can be asked to unblock it; 0: it is not connected.
        unread: how many replies have not been read.
    """

    connection: Connection
    client_id: int = 0
    unread: int = 0
    pid: int = attrs.field(factory=os.getpid)


class AsyncBlockingTakes:
    """The takes of one backend that wait."""

    def __init__(
        self,
        server: AsyncServer,
        instance: str,
        execute: Callable[[TakeOperation], Coroutine[Any, Any, Batch]],
        release: Callable[[TakeOperation], Coroutine[Any, Any, None]],
        check_open: Callable[[], None],
    ) -> None:
        """It connects when the first consumer waits.

        Args:
            server: where they wait.
            instance: the sender that the server knows.
            execute: takes what there is.
            release: puts back what a take may have taken.
            check_open: raises `Closed` once the backend is closed.
        """
        self._server = server
        self._instance = instance
        self._execute = execute
        self._release = release
        self._check_open = check_open
        self._lines = Lines()
        self._blocked: dict[str, _Blocked] = {}
        self._idle: deque[_Blocked] = deque()
        self._closed = False

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Take, waiting until there is something, for ``timeout`` seconds at most."""
        deadline = time.monotonic() + timeout
        woken = Event()
        place = Place(operation.feed, operation.token, woken.set, caller())
        try:
            self._lines.enter(place)
            # Closing either sees this consumer or is seen here.
            self._check_open()
            while not self._lines.is_first(place):
                is_over = not await wait_event(woken, deadline - time.monotonic())
                woken.clear()
                if not (is_over or place.is_called or place.is_interrupted):
                    continue
                place.is_called = False
                batch = await self._execute(operation)
                if is_over or place.is_interrupted or batch.entries:
                    return batch
                if batch.retry_after is not None:
                    deadline = min(deadline, time.monotonic() + batch.retry_after)
            place.is_called = False  # blocking sees what there is
            left = max(0.0, deadline - time.monotonic())
            answer = await self._block(place, operation, left)
        finally:
            self._lines.leave(place)
        # Where the connection was lost: asked again with the same token, the server answers what
        # it may have answered already.
        return await self._execute(operation) if answer is None else answer

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        try:
            for place in self._lines.places(operation.feed):
                if place.token == operation.token:
                    await self._wake(place)
        except (*errors.CONNECTION_ERRORS, ResponseError) as error:
            raise errors.not_sent(error) from error

    async def close(self) -> None:
        """End all waits, until all are out: the backend is closed already."""
        self._closed = True
        deadline = time.monotonic() + REPLY_MARGIN
        pause = 0.0
        while time.monotonic() < deadline:
            # In a child, the others wait in the process that this one was forked from. Who
            # closes from a signal handler may have interrupted a wait of its own.
            waiting = self._lines.places()
            for place in waiting:
                try:
                    await self._wake(place)
                except (*errors.CONNECTION_ERRORS, ResponseError):
                    if (blocked := self._blocked.get(place.token)) is not None:
                        await disconnect(blocked.connection)
            if all(place.caller == caller() for place in waiting):
                break
            await sleep(pause)
            pause = min(0.02, pause + 0.002)
        while self._idle:
            await disconnect(self._idle.pop().connection)

    async def _wake(self, place: Place) -> None:
        place.is_interrupted = True
        place.wake()
        blocked = self._blocked.get(place.token)
        if blocked is not None and blocked.client_id and blocked.pid == os.getpid():
            await self._unblock(blocked)

    # --- the first in line -------------------------------------------------------------------

    async def _block(self, place: Place, operation: TakeOperation, timeout: float) -> Batch | None:
        """Block on the feed's list of ids, then take. None: it has to be asked again.

        Both commands are sent at once: the server runs the second as soon as the first is
        done, so nothing comes between them and an item reaches its consumer within one round
        trip.
        """
        command = command_for(operation, Call(self._instance))
        blocked = await self._idle_connection()
        self._blocked[operation.token] = blocked
        try:
            if place.is_interrupted:
                return None
            try:
                await self._send(blocked, place, operation, command, timeout)
                batch = command.parse(await self._woken(blocked, command, timeout))
            except NoScriptError:
                return None
            except ResponseError as error:
                refusal = errors.refused(error, command)
                if not isinstance(refusal, BackendUnavailable):
                    raise refusal from error
                await self._hang_up(blocked)
                return None
            except errors.CONNECTION_ERRORS:
                await self._hang_up(blocked)
                return None
        except ThoonkError:
            raise
        except BaseException:
            await shielded(self._abandon, blocked, operation)
            raise
        finally:
            del self._blocked[operation.token]
            if blocked.unread or self._closed:
                await self._hang_up(blocked)
            self._idle.append(blocked)
        if not batch.entries:
            self._check_open()  # callers without an item learn of closing
        return batch

    async def _idle_connection(self) -> _Blocked:
        while self._idle:
            blocked = self._idle.pop()
            try:
                if blocked.pid == os.getpid() and await is_usable(blocked.connection):
                    return blocked
            except BaseException:
                await disconnect(blocked.connection)
                raise
            await disconnect(blocked.connection)
        return _Blocked(dedicated_connection(self._server.pool))

    async def _send(
        self,
        blocked: _Blocked,
        place: Place,
        operation: TakeOperation,
        command: Command[Batch],
        timeout: float,
    ) -> None:
        """Send what blocks and what takes. If others wait, let as many look as there are items."""
        try:
            if not blocked.client_id:
                blocked.unread = 1
                await send(blocked.connection, REPLY_MARGIN, pack(b"CLIENT", b"ID"))
                blocked.client_id = await read_reply(blocked.connection, REPLY_MARGIN)
                blocked.unread = 0
        except errors.CONNECTION_ERRORS as error:
            await self._hang_up(blocked)
            raise errors.not_begun(error) from error
        data = wait_command(operation.feed, timeout) + command.packed()
        if self._lines.is_alone(place):
            blocked.unread = 2
            await send(blocked.connection, REPLY_MARGIN, data)
            return
        blocked.unread = 3
        count = pack(b"LLEN", keys_of(operation.feed).ids)
        await send(blocked.connection, REPLY_MARGIN, count + data)
        left = -operation.count
        try:
            left += await read_reply(blocked.connection, REPLY_MARGIN)
        except ResponseError as error:
            if errors.is_unblocked(error):
                raise  # its own answer may follow
            # What blocks is refused, too, and says so.
        blocked.unread = 2
        if left > 0:
            self._lines.call(operation.feed, -(-left // operation.count))

    async def _woken(self, blocked: _Blocked, command: Command[Batch], timeout: float) -> Any:
        blocking_refused: ResponseError | None = None
        unblocked = False
        latest = time.monotonic() + timeout + REPLY_MARGIN
        try:
            try:
                await read_reply(blocked.connection, timeout)
            except TimeoutError:
                # By itself the server ends it up to a tenth of a second later.
                with contextlib.suppress(ResponseError, *errors.CONNECTION_ERRORS):
                    await self._unblock(blocked)
                left = latest - time.monotonic()
                await read_reply(blocked.connection, max(SHORTEST_READ, left))
        except ResponseError as error:
            unblocked = errors.is_unblocked(error)
            if not unblocked:
                blocking_refused = error
        blocked.unread = 1
        try:
            reply = await read_reply(blocked.connection, REPLY_MARGIN)
        except ResponseError:
            blocked.unread = 0
            raise
        if unblocked and not isinstance(reply, list):
            # A server that held the command back does it afterwards all the same.
            raise ConnectionError("the answer may be that of the command before it")
        blocked.unread = 0
        if blocking_refused is not None and not command.parse(reply).entries:
            # It did not wait: asking again would be a busy loop.
            raise blocking_refused
        return reply

    async def _abandon(self, blocked: _Blocked, operation: TakeOperation) -> None:
        """End a wait early, so that it takes nothing later and has lost nothing."""
        deadline = time.monotonic() + REPLY_MARGIN
        while blocked.unread > 1 and time.monotonic() < deadline:
            try:
                await self._unblock(blocked)
                await read_reply(blocked.connection, 0.05)
                blocked.unread -= 1
            except ResponseError:
                blocked.unread -= 1
            except TimeoutError:
                continue  # it was not blocked yet
            except errors.CONNECTION_ERRORS:
                break
        if blocked.unread == 1:
            with contextlib.suppress(ResponseError, *errors.CONNECTION_ERRORS):
                await read_reply(blocked.connection, REPLY_MARGIN)
        await self._hang_up(blocked)
        await self._release(operation)

    async def _hang_up(self, blocked: _Blocked) -> None:
        blocked.client_id = blocked.unread = 0
        await disconnect(blocked.connection)

    async def _unblock(self, blocked: _Blocked) -> None:
        """End what it waits for, which is then answered by an error.

        Without ERROR, servers from 6.2 until the summer of 2025 crash if they hold the command
        back at that moment (CLIENT PAUSE, a failover).
        """
        unblock = pack(b"CLIENT", b"UNBLOCK", blocked.client_id, b"ERROR")
        await self._server.ask(unblock, timeout=REPLY_MARGIN)
