"""Sockets that keep time over the whole of a reply.

The timeout of a socket is for each piece that arrives. A peer, or a network, that lets a byte
through now and then would block its reader forever.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from typing import Any

from redis.exceptions import ConnectionError as DriverConnectionError

SLOWEST = 1 << 16
"""Bytes a second: a large reply may take longer, for as long as it arrives at this rate."""

HANDSHAKE = 5.0
"""Seconds for what follows connecting, where the connection does not say."""


def is_real(sock: object) -> bool:
    """Whether the system knows of it. The sockets of fakeredis are objects with made-up numbers."""
    return hasattr(sock, "gettimeout")


class TimedSocket:
    """A socket whose reads together stay within a limit."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        """``seconds``: the first limit, as of `limit`."""
        self._sock = sock
        # What is called most does not go by way of __getattr__.
        self.sendall = sock.sendall
        self.limit(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def limit(self, seconds: float | None) -> None:
        """All that is read from now on, until the next call, may take so long."""
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._is_first = True
        if self._sock.gettimeout() != seconds:
            self._sock.settimeout(seconds)

    def settimeout(self, seconds: float | None) -> None:
        """The time for each piece, without a limit for them together. The driver calls it."""
        self._end = None
        self._sock.settimeout(seconds)

    def recv_into(self, *args: Any) -> int:
        """As that of a socket."""
        self._keep_time()
        size = self._sock.recv_into(*args)
        if self._end is not None:
            self._end += size / SLOWEST
        return size

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As that of a socket. With flags it is a look between two replies, which has no limit."""
        if flags:
            return self._sock.recv(size, flags)
        self._keep_time()
        data = self._sock.recv(size)
        if self._end is not None:
            self._end += len(data) / SLOWEST
        return data

    def _keep_time(self) -> None:
        if self._end is None or self._seconds is None:
            return
        if self._is_first:
            self._is_first = False  # its timeout is set already
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the rest of the reply did not arrive in time")
        self._sock.settimeout(min(left, self._seconds))


class _KeepingTime:
    """Marks the classes that `keeping_time` has made."""


TAKEN_APART = (AttributeError, TypeError, ValueError)
"""What redis-py raises if one thread closes a connection that another one uses: an attribute has
become None, the buffer is closed, or the socket has no number. See `raise_if_closed`."""


def raise_if_closed(connection: Any, error: Exception) -> None:
    """Report a lost connection if another thread has closed it during a call.

    Raises:
        DriverConnectionError: another thread has closed it.
    """
    # redis-py has no other way to ask. It drops the socket last, so `is_closing` comes first.
    if connection._sock is None or getattr(connection, "is_closing", False):  # noqa: SLF001
        raise DriverConnectionError("the connection was closed by another thread") from error


@functools.cache
def keeping_time(connection_class: Any) -> Any:
    """That class of redis-py's connections, with timed sockets."""
    if issubclass(connection_class, _KeepingTime):
        return connection_class

    def _connect(self: Any) -> Any:
        sock = super(kind, self)._connect()
        if not is_real(sock):
            return sock  # its replies are there at once
        return TimedSocket(sock, self.socket_connect_timeout or HANDSHAKE)

    def connect(self: Any, *args: Any, **options: Any) -> None:
        if self._stays_closed:
            raise DriverConnectionError("the connection was closed by another thread")
        self.is_closing = False
        try:
            super(kind, self).connect(*args, **options)
        except TAKEN_APART as error:
            raise_if_closed(self, error)
            raise

    def can_read(self: Any, *args: Any, **options: Any) -> Any:
        # redis-py would open it again, and there would be nothing to read.
        self._stays_closed = True
        try:
            return super(kind, self).can_read(*args, **options)
        except TAKEN_APART as error:
            raise_if_closed(self, error)
            raise
        finally:
            self._stays_closed = False

    def disconnect(self: Any, *args: Any, **options: Any) -> None:
        self.is_closing = True
        # Of two threads that close it, the one that is ahead does it.
        with contextlib.suppress(*TAKEN_APART):
            super(kind, self).disconnect(*args, **options)

    bases = (connection_class, _KeepingTime)
    methods = {"_connect": _connect, "connect": connect, "can_read": can_read}
    methods["disconnect"] = disconnect
    defaults = {"is_closing": False, "_stays_closed": False}
    kind: Any = type(connection_class.__name__, bases, {**methods, **defaults})
    return kind


def plain(connection_class: Any) -> Any:
    """The class of redis-py that `keeping_time` was given."""
    return connection_class.__bases__[0]
