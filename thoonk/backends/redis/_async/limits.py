"""Whether a command was too large for the server, which then only closes the connection."""

from __future__ import annotations

import contextlib
from typing import Any

from redis.exceptions import ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.connection import (
    Pool,
    dedicated_connection,
    disconnect,
    read_reply,
    send,
)
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.packing import pack
from thoonk.exceptions import ThoonkError

LEAST = 1 << 20
"""Bytes that every server takes: neither limit can be set to less."""

BUFFER = "client-query-buffer-limit"

LIMITS_TIMEOUT = 1.0
"""Seconds for each reply of the server."""

REFUSED_WITHIN = 0.2
"""Seconds for a refusal to arrive behind the reply that it follows at once."""


async def exceeded(pool: Pool, command: Command[Any]) -> ThoonkError | None:
    """What to raise when the command broke its connection because of its size, else None.

    A server reports its limits only where CONFIG is allowed. So a limit is also learned, on a
    connection of its own, that so many bytes will come: it refuses that at once.
    """
    size = command.largest()
    if size <= LEAST:
        return None
    settings: dict[str, int] = {}
    is_refused = False
    connection = dedicated_connection(pool)
    try:
        questions = pack(b"CONFIG", b"GET", errors.BULK) + pack(b"CONFIG", b"GET", BUFFER)
        await send(connection, LIMITS_TIMEOUT, questions + b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % size)
        for name in (errors.BULK, BUFFER):
            with contextlib.suppress(ResponseError, LookupError, ValueError):
                settings[name] = _value(await read_reply(connection, LIMITS_TIMEOUT))
        try:
            await read_reply(connection, REFUSED_WITHIN)
        except ResponseError as error:
            is_refused = errors.BULK_REFUSED in str(error)
    except errors.CONNECTION_ERRORS:
        pass  # nothing was refused: it waits for the bytes, or is not there
    finally:
        await disconnect(connection)
    if is_refused:
        return errors.too_large(command, errors.BULK, settings.get(errors.BULK))
    if 0 < settings.get(BUFFER, 0) < len(command.packed()):
        return errors.too_large(command, BUFFER, settings[BUFFER])
    return None


def _value(reply: Any) -> int:
    """Of the one setting in an answer to CONFIG GET."""
    # RESP3 has a map where RESP2 has a flat list.
    return int(next(iter(reply.values())) if isinstance(reply, dict) else reply[1])
