"""One connection for the calls of an event loop.

Commands that are sent in the same turn of the loop go out in one write, and replies come in the
order of the commands. Threads have no such thing: each of their calls has a connection to itself.
"""

from __future__ import annotations

import asyncio
import copy
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

from redis import exceptions as driver

from thoonk.backends.redis._async.connection import (
    Connection,
    Parser,
    attach,
    connect,
    hang_up,
    read_any,
    write,
)
from thoonk.backends.redis.errors import CONNECTION_ERRORS
from thoonk.backends.redis.sockets import SLOWEST

LOST = "Connection closed by server."


class SharedConnection(asyncio.Protocol):
    """A connection on which many calls wait for their replies at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._parser: Parser | None = None
        self._reading: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        # Each with the time at which it is too late, and how much had been received before it.
        self._waiting: deque[tuple[asyncio.Future[Any], float, int]] = deque()
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self._next_check = math.inf
        self._is_connected = False
        self._is_retired = False

    @property
    def is_open(self) -> bool:
        """Whether new commands may be sent, as far as this side knows."""
        return self._is_connected and not self._is_retired

    async def open(self) -> None:
        """Connect. Raises what the driver raises."""
        await connect(self._connection)
        self._parser = attach(self._connection, self)
        self._is_connected = True

    def send(self, data: bytes, timeout: float) -> asyncio.Future[Any]:
        """Send a command, packed. The future becomes its reply, or the error that it is.

        A caller that does not want the reply any more cancels the future.

        Args:
            timeout: seconds for the reply; more where much is received before it. The future
                of one that is late becomes a TimeoutError, and no new calls are sent: those
                behind it have their own time.
        """
        reply = self._loop.create_future()
        if not self._is_connected:
            reply.set_exception(driver.ConnectionError(LOST))
            return reply
        deadline = self._loop.time() + timeout
        self._waiting.append((reply, deadline, self._received))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        if deadline < self._next_check:
            self._check_at(deadline)
        return reply

    def retire(self) -> None:
        """Send no new calls. What was sent may still be answered; then the connection closes."""
        self._is_retired = True
        self._close_when_done()

    def close(self, error: BaseException | None = None) -> None:
        """Close the connection at once. Calls without a reply fail with the error."""
        if not self._is_connected:
            return
        self._is_connected = False
        if self._timer is not None:
            self._timer.cancel()
        if self._reading is not None:
            self._reading.cancel()
        hang_up(self._connection)
        error = error or driver.ConnectionError(LOST)
        for reply, _, _ in self._waiting:
            if not reply.done():
                # One for each: what is raised collects the way that it takes.
                reply.set_exception(copy.copy(error))
        self._waiting.clear()

    # --- sending and receiving ------------------------------------------------------------

    def _flush(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        if not self._is_connected:
            return
        write(self._connection, data)
        if self._parser is None and self._reading is None:
            self._reading = self._loop.create_task(self._read())

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived: asyncio calls it where hiredis is installed."""
        self._received += len(data)
        assert self._parser is not None  # noqa: S101 - it was attached with it
        try:
            for reply in self._parser.replies(data):
                self._answer(reply)
        except CONNECTION_ERRORS as error:
            self.close(error)
        if self._is_retired:
            self._close_when_done()

    def connection_lost(self, error: Exception | None) -> None:
        """The other side has hung up, or this one has: asyncio calls it."""
        self.close(error)

    async def _read(self) -> None:
        """Read replies by the driver's own means, for as long as any is due."""
        try:
            while self._waiting:
                self._answer(await read_any(self._connection))
                if self._is_retired:
                    self._close_when_done()
        except CONNECTION_ERRORS as error:
            self._reading = None
            self.close(error)
        except BaseException:
            self._reading = None
            self.close()
            raise
        else:
            self._reading = None

    def _answer(self, answer: Any) -> None:
        if not self._waiting:
            raise driver.InvalidResponse("a reply that belongs to no command")
        reply = self._waiting.popleft()[0]
        if reply.done():
            return
        if isinstance(answer, Exception):
            reply.set_exception(answer)
        else:
            reply.set_result(answer)

    # --- the time -------------------------------------------------------------------------

    def _check_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_check = time
        self._timer = self._loop.call_at(time, self._check_time)

    def _check_time(self) -> None:
        """End the calls whose replies are late."""
        now = self._loop.time()
        late = False
        following = []
        for reply, deadline in self._unanswered():
            if deadline <= now:
                late = True
                reply.set_exception(TimeoutError("no reply in time"))
            else:
                following.append(deadline)
        self._next_check = math.inf
        if following:
            self._check_at(min(following))
        if late or self._is_retired:
            # Whatever is the matter with it, others are better off with a new one.
            self.retire()

    def _unanswered(self) -> Iterator[tuple[asyncio.Future[Any], float]]:
        for reply, deadline, before in self._waiting:
            if not reply.done():
                yield reply, deadline + (self._received - before) / SLOWEST

    def _close_when_done(self) -> None:
        if all(reply.done() for reply, _, _ in self._waiting):
            self.close()
