"""redis-py's asyncio connections, as the backend uses them.

Written by hand, as is its twin in ``_sync``: here is all in which redis-py's two
halves differ. The modules next to it are the same in both worlds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias, cast

from redis import exceptions as driver
from redis.asyncio import BlockingConnectionPool, SSLConnection
from redis.asyncio import Connection as TcpConnection
from redis.asyncio import UnixDomainSocketConnection as UnixConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.utils import HIREDIS_AVAILABLE

from thoonk.backends.redis.address import Address
from thoonk.backends.redis.errors import CONNECTION_ERRORS, REPLIES
from thoonk.backends.redis.forks import cut_off_in_children
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.settings import NO_RETRIES, POOL_SETTINGS, of_dedicated
from thoonk.concurrency._async import is_loop_running
from thoonk.identity import client_name, role

# redis-py's own annotations change from version to version.
Client: TypeAlias = Any
Pool: TypeAlias = Any
Connection: TypeAlias = Any


def open_pool(address: Address, settings: dict[str, Any]) -> tuple[Pool, float | None]:
    """A pool whose callers wait for a free connection instead of failing.

    Also the seconds for one reply.
    """
    settings = {**POOL_SETTINGS, "retry": Retry(*NO_RETRIES), **settings}
    # redis-py would start a task for every command that it times.
    timeout: float | None = settings.pop("socket_timeout")
    settings["socket_timeout"] = None
    named = settings.get("client_name")
    settings.setdefault("redis_connect_func", _greet if named else _greeting(role()))
    if address.sentinels:
        return _sentinel_pool(address, settings), timeout
    kind: Any = TcpConnection
    if settings.pop("ssl", False):
        kind = SSLConnection
    if "path" in settings:
        kind = UnixConnection
    pool = BlockingConnectionPool(connection_class=kind, **settings)
    return pool, timeout


async def _greet(connection: Connection) -> None:
    """What follows connecting. A server that is stopped accepts connections and says nothing."""
    try:
        async with asyncio.timeout(connection.socket_connect_timeout):
            await connection.on_connect()
    except TimeoutError as error:
        await disconnect(connection)
        raise driver.TimeoutError(
            "the server accepted the connection but does not answer"
        ) from error


def _greeting(role: str) -> Callable[[Connection], Coroutine[Any, Any, None]]:
    """`_greet` that also gives the connection a name."""
    may_name = True

    # redis-py awaits a function; what it makes of an object that is called it would drop.
    async def greet(connection: Connection) -> None:
        nonlocal may_name
        if may_name:
            # Here and not in the settings: it has the number of the process, which may fork.
            connection.client_name = client_name(role)
            try:
                await _greet(connection)
            except driver.ResponseError:
                connection.client_name = None
            else:
                return
        await _greet(connection)
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
    return SentinelConnectionPool(address.service, manager, **settings)  # type: ignore[no-untyped-call,unused-ignore]


def dedicated_connection(pool: Pool) -> Connection:
    """A connection to the same server that belongs to one waiter or listener."""
    settings = {**of_dedicated(pool.connection_kwargs), "retry": Retry(*NO_RETRIES)}
    connection = pool.connection_class(**settings)
    cut_off_in_children(connection)
    return connection


async def close_pool(pool: Pool) -> None:
    """Close a pool's connections, and those to Sentinels."""
    if not is_loop_running():
        return  # in a forked child: they are the parent's
    await pool.disconnect()
    manager = getattr(pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.connection_pool.disconnect()


async def take_connection(pool: Pool) -> Connection:
    """A connection that is open, from the pool."""
    connection = await pool.get_connection()
    cut_off_in_children(connection)
    return connection


async def give_connection(pool: Pool, connection: Connection) -> None:
    """Back to the pool."""
    await pool.release(connection)


async def connect(connection: Connection) -> None:
    """Open the connection when it is not."""
    if connection.is_connected:
        return
    try:
        await connection.connect()
    except BaseException:
        # Before redis-py 8, cancelled in the middle, it stays half open.
        await connection.disconnect(nowait=True)
        raise


async def send(connection: Connection, timeout: float, data: bytes) -> None:
    """Send commands, packed, opening the connection when it is not.

    Args:
        timeout: seconds.
    """
    async with asyncio.timeout(timeout):
        await connect(connection)
        await _send(connection, data)


async def _send(connection: Connection, data: bytes) -> None:
    if connection.socket_timeout is None:
        await connection.send_packed_command([data], check_health=False)
        return
    # Then redis-py sends inside `asyncio.wait_for`, which before Python 3.12 swallows a
    # cancellation that comes as the sending ends.
    task = asyncio.current_task()
    cancels = task.cancelling() if task else 0
    await connection.send_packed_command([data], check_health=False)
    if task and task.cancelling() > cancels:
        raise asyncio.CancelledError


async def exchange(connection: Connection, timeout: float, data: bytes) -> Any:
    """Send one command, packed, over an open connection, and read its reply.

    Args:
        timeout: seconds for both.
    """
    async with asyncio.timeout(timeout):
        await _send(connection, data)
        return await connection.read_response(disconnect_on_error=False)


async def read_reply(connection: Connection, timeout: float) -> Any:
    """The next reply. It can be called again after it was interrupted.

    Args:
        timeout: seconds.

    Raises:
        TimeoutError: nothing came in time. A later reply can still be read.
    """
    async with asyncio.timeout(timeout):
        return await connection.read_response(disconnect_on_error=False)


@contextlib.contextmanager
def unread(connection: Connection) -> Iterator[None]:
    """Leave what arrives to the operating system and read all of it later, at once.

    Otherwise each message wakes the event loop, which costs the server, too.
    """
    transport = getattr(getattr(connection, "_writer", None), "transport", None)
    # That of fakeredis can do nothing of this.
    is_reading = getattr(transport, "is_reading", None)
    if transport is None or is_reading is None or transport.is_closing() or not is_reading():
        yield
        return
    transport.pause_reading()
    try:
        yield
    finally:
        if not transport.is_closing():
            transport.resume_reading()


async def drain(connection: Connection, timeout: float) -> None:
    """Read what an interrupted caller left unread, up to the answer to a PING of our own.

    Args:
        timeout: seconds for all of it.
    """
    async with asyncio.timeout(timeout):
        await send(connection, timeout, pack(b"PING"))
        while await read_any(connection) not in (b"PONG", "PONG"):
            pass


async def next_message(connection: Connection, sending: object, timeout: float) -> Any:  # noqa: ARG001
    """`read_reply`, while others may send. ``sending`` is of use to threads only."""
    return await read_reply(connection, timeout)


async def read_any(connection: Connection) -> Any:
    """The next reply, be it an error, which is returned. There is no limit to the wait."""
    try:
        return await connection.read_response(disconnect_on_error=False)
    except (driver.ResponseError, *REPLIES) as error:
        return error


class Parser:
    """Parses replies as they arrive, by means of hiredis."""

    def __init__(self, connection: Connection) -> None:
        import hiredis  # noqa: PLC0415 - only some have it

        kinds = connection._parser.parse_error  # noqa: SLF001 - redis-py has no other way
        self._reader = hiredis.Reader(protocolError=driver.InvalidResponse, replyError=kinds)

    def replies(self, data: bytes) -> Iterator[Any]:
        """The replies that end in the data. Errors among them are not raised.

        Raises:
            redis.exceptions.InvalidResponse: it is no Redis that answers there.
        """
        self._reader.feed(data)
        # RESP2 has no booleans.
        while (reply := self._reader.gets()) is not False:
            yield reply


def attach(connection: Connection, protocol: asyncio.Protocol) -> Parser | None:
    """Let an open connection hand over what arrives, where hiredis is installed.

    None: it does not, and replies are to be read with `read_any`.
    """
    transport = getattr(connection._writer, "transport", None)  # noqa: SLF001 - no other way
    if not HIREDIS_AVAILABLE or not hasattr(transport, "set_protocol"):
        return None
    cast("asyncio.Transport", transport).set_protocol(protocol)
    return Parser(connection)


def write(connection: Connection, data: bytes) -> None:
    """Hand over to the system what can be sent now, and keep the rest for later."""
    connection._writer.writelines((data,))  # noqa: SLF001 - redis-py waits until little is left


def hang_up(connection: Connection) -> None:
    """Close the connection where nothing can be awaited."""
    connection._parser.on_disconnect()  # noqa: SLF001
    connection._close()  # noqa: SLF001


async def disconnect(connection: Connection) -> None:
    """Close the connection without waiting for the other side."""
    if not is_loop_running():
        return  # in a forked child: it is the parent's
    await connection.disconnect(nowait=True)


def is_connected(connection: Connection) -> bool:
    """Whether it is open, as far as this side knows."""
    return bool(connection.is_connected)


async def is_usable(connection: Connection) -> bool:
    """Whether an idle connection is open, with nothing unread."""
    # redis-py 8 has renamed the method.
    can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
    try:
        return is_connected(connection) and not await can_read()
    except CONNECTION_ERRORS:
        return False
