"""What becomes of connections when the process forks.

The child has copies of them, and the server cannot tell who sends: what the child says on one, be
it at the end of a ``with`` block or of the program, counts as said by its parent. So the copies are
cut off as soon as the child begins: they read as closed, and what is written to them goes nowhere.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any
from weakref import WeakSet

from thoonk.backends.redis.sockets import is_real

_connections: WeakSet[Any] = WeakSet()


def cut_off_in_children(connection: Any) -> None:
    """Children forked from this process from now on cannot use the connection."""
    _connections.add(connection)


def _descriptor(connection: Any) -> int:
    """Of its socket, where this driver's connections keep it; -1: it is not open."""
    sock = getattr(connection, "_sock", None)
    writer: Any = getattr(connection, "_writer", None)
    if hasattr(writer, "get_extra_info"):
        sock = writer.get_extra_info("socket")
    return int(sock.fileno()) if sock is not None and is_real(sock) else -1


def _cut_off() -> None:
    # Not closed: its object will close it once more, and event loops share what they watch with
    # those of their parents, where closing the regular way would take it off for both.
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for connection in list(_connections):
            # Whatever one of them is like, the others are cut off, too.
            with contextlib.suppress(Exception):
                descriptor = _descriptor(connection)
                if descriptor >= 0:
                    os.dup2(nowhere, descriptor, inheritable=False)
    finally:
        os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cut_off)
