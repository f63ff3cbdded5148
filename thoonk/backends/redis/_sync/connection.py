"""redis-py's blocking connections, as the backend uses them.

Written by hand, as is its twin in ``_async``: here is all in which redis-py's two
halves differ. The modules beside it are the same in both worlds.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from redis import BlockingConnectionPool, SSLConnection
from redis import Connection as TcpConnection
from redis import UnixDomainSocketConnection as UnixConnection
from redis import exceptions as driver
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from thoonk.backends.redis.address import Address
from thoonk.backends.redis.errors import CONNECTION_ERRORS
from thoonk.backends.redis.forks import cut_off_in_children
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.settings import NO_RETRIES, POOL_SETTINGS, of_dedicated
from thoonk.backends.redis.sockets import (
    TAKEN_APART,
    TimedSocket,
    is_real,
    keeping_time,
    plain,
    raise_if_closed,
)
from thoonk.identity import client_name, role

# What waits for one socket, however large its number is.
_Selector: Any = getattr(selectors, "PollSelector", selectors.DefaultSelector)

REST_OF_MESSAGE = 5.0
"""Seconds for the rest of a message that has begun to arrive."""

# redis-py's own annotations change from version to version.
Client: TypeAlias = Any
Pool: TypeAlias = Any
Connection: TypeAlias = Any


def open_pool(address: Address, settings: dict[str, Any]) -> tuple[Pool, float | None]:
    """A pool whose callers wait for a free connection instead of failing.

    Also the seconds for one reply, which its connections leave to their callers.
    """
    settings = {**POOL_SETTINGS, "retry": Retry(*NO_RETRIES), **settings}
    timeout: float | None = settings["socket_timeout"]
    # For what follows connecting; each call has a limit of its own.
    settings["socket_timeout"] = settings["socket_connect_timeout"]
    if not settings.get("client_name"):
        settings.setdefault("redis_connect_func", _greeting(role()))
    if address.sentinels:
        return _sentinel_pool(address, settings), timeout
    kind: Any = TcpConnection
    if settings.pop("ssl", False):
        kind = SSLConnection
    if "path" in settings:
        kind = UnixConnection
    pool = BlockingConnectionPool(connection_class=keeping_time(kind), **settings)  # type: ignore[no-untyped-call,unused-ignore]
    return pool, timeout


def _greeting(role: str) -> Callable[[Connection], None]:
    """What follows connecting. Among other things, the connection gets a name."""
    may_name = True

    def greet(connection: Connection) -> None:
        nonlocal may_name
        if may_name:
            # Here and not in the settings: it has the number of the process, which may fork.
            connection.client_name = client_name(role)
            try:
                connection.on_connect()
            except driver.ResponseError:
                connection.client_name = None
            else:
                return
        connection.on_connect()
        # It was the name: the user may not set one, or a proxy does not know the command.
        may_name = False

    return greet


def _sentinel_pool(address: Address, settings: dict[str, Any]) -> Pool:
    # This pool of redis-py has no waiting for a free connection: it opens as many as it needs.
    for name in POOL_SETTINGS:
        settings.pop(name)
    patience = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}
    options = {**patience, **address.sentinel_options}
    manager = Sentinel(address.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call,unused-ignore]
    managed = SentinelManagedSSLConnection if settings.get("ssl") else SentinelManagedConnection
    settings["connection_class"] = keeping_time(managed)
    return SentinelConnectionPool(address.service, manager, **settings)  # type: ignore[no-untyped-call,unused-ignore]


def open_plain_pool(address: Address, settings: dict[str, Any]) -> Pool:
    """The same for a client of redis-py, which waits for replies itself."""
    pool, timeout = open_pool(address, settings)
    pool.connection_class = plain(pool.connection_class)
    pool.connection_kwargs["socket_timeout"] = timeout
    return pool


def dedicated_connection(pool: Pool) -> Connection:
    """A connection to the same server that belongs to one waiter or listener."""
    settings = {**of_dedicated(pool.connection_kwargs), "retry": Retry(*NO_RETRIES)}
    connection = keeping_time(pool.connection_class)(**settings)
    cut_off_in_children(connection)
    return connection


def close_pool(pool: Pool) -> None:
    """Close a pool's connections, and those to Sentinels."""
    pool.disconnect()
    manager = getattr(pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        sentinel.connection_pool.disconnect()


def take_connection(pool: Pool) -> Connection:
    """A connection that is open, from the pool."""
    connection = pool.get_connection()
    cut_off_in_children(connection)
    return connection


def give_connection(pool: Pool, connection: Connection) -> None:
    """Back to the pool, as it was."""
    _limit(connection, connection.socket_timeout)
    pool.release(connection)


def connect(connection: Connection) -> None:
    """Open the connection when it is not."""
    if is_connected(connection):
        return
    try:
        connection.connect()
    except BaseException:
        # Interrupted in the middle it would stay half open, with replies unread.
        connection.disconnect()
        raise


def _limit(connection: Connection, seconds: float | None) -> None:
    """Let what is read or written from now on take no longer than that.

    That is for each piece of it, where the connection is from the pool of a client that was
    passed in.
    """
    socket = connection._sock  # noqa: SLF001 - redis-py has no other way
    if isinstance(socket, TimedSocket):
        socket.limit(seconds)
        return
    # A fake one has no timeout: its replies are there at once.
    if hasattr(socket, "gettimeout") and socket.gettimeout() != seconds:
        socket.settimeout(seconds)


def send(connection: Connection, timeout: float, data: bytes) -> None:
    """Send commands, packed, opening the connection when it is not.

    Args:
        timeout: seconds.
    """
    connect(connection)
    _limit(connection, timeout)
    try:
        connection.send_packed_command([data], check_health=False)
    except TAKEN_APART as error:
        raise_if_closed(connection, error)
        raise


def exchange(connection: Connection, timeout: float, data: bytes) -> Any:
    """Send one command, packed, over an open connection, and read its reply.

    Args:
        timeout: seconds for both; more where the reply is large.
    """
    _limit(connection, timeout)
    try:
        connection.send_packed_command([data], check_health=False)
        return connection.read_response(disconnect_on_error=False)
    except TAKEN_APART as error:
        raise_if_closed(connection, error)
        raise


def read_reply(connection: Connection, timeout: float) -> Any:
    """The next reply. It can be called again after it was interrupted.

    Args:
        timeout: seconds.

    Raises:
        TimeoutError: nothing came in time, or not all of it. The rest can still be read.
    """
    end = time.monotonic() + timeout
    try:
        if not connection.can_read(timeout=timeout):
            raise TimeoutError(f"no reply within {timeout:g} s")
        _limit(connection, max(0.001, end - time.monotonic()))
        return connection.read_response(disconnect_on_error=False)
    except TAKEN_APART as error:
        raise_if_closed(connection, error)
        raise
    except driver.TimeoutError as error:
        raise TimeoutError(f"no whole reply within {timeout:g} s") from error


def unread(connection: Connection) -> contextlib.AbstractContextManager[None]:  # noqa: ARG001
    """Nothing is read here but by who waits for it."""
    return contextlib.nullcontext()


def drain(connection: Connection, timeout: float) -> None:
    """Read what an interrupted caller left unread, up to the answer to a PING of our own.

    Args:
        timeout: seconds for all of it.
    """
    deadline = time.monotonic() + timeout
    send(connection, timeout, pack(b"PING"))
    reply = None
    while reply not in (b"PONG", "PONG"):
        try:
            reply = read_reply(connection, max(0.001, deadline - time.monotonic()))
        except driver.ResponseError:
            continue


def next_message(connection: Connection, sending: threading.Lock, timeout: float) -> Any:
    """`read_reply`, while other threads may send, for which they take the lock."""
    sock = getattr(connection, "_sock", None)
    if sock is not None and not is_real(sock):
        return read_reply(connection, timeout)
    deadline = time.monotonic() + timeout
    # With TLS, a socket is not for two threads at once: nothing is read but what has come.
    with _Selector() as selector:
        while True:
            with sending:
                if not is_connected(connection):
                    raise driver.ConnectionError("Connection closed.")
                if connection.can_read(timeout=0):
                    return read_reply(connection, REST_OF_MESSAGE)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no message within {timeout:g} s")
            if not selector.get_map():
                try:
                    selector.register(sock, selectors.EVENT_READ)
                except TAKEN_APART as error:
                    raise_if_closed(connection, error)
                    raise
            selector.select(left)


def hang_up(connection: Connection) -> None:
    """End what another thread reads there."""
    sock = getattr(connection, "_sock", None)
    if sock is not None and is_real(sock):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def disconnect(connection: Connection) -> None:
    """Close the connection without waiting for the other side."""
    connection.disconnect()


def is_connected(connection: Connection) -> bool:
    """Whether it is open, as far as this side knows."""
    # Before redis-py 8 a blocking connection does not tell, but can_read() would connect it.
    is_connected: bool | None = getattr(connection, "is_connected", None)
    return getattr(connection, "_sock", None) is not None if is_connected is None else is_connected


def is_usable(connection: Connection) -> bool:
    """Whether an idle connection is open, with nothing unread."""
    try:
        return is_connected(connection) and not connection.can_read(timeout=0)
    except CONNECTION_ERRORS:
        return False
