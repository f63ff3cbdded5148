"""Who this process is: what a person who looks at a server finds it by."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from contextvars import ContextVar

_role: ContextVar[str] = ContextVar("thoonk_role", default="")

_NOT_ALLOWED = re.compile("[^!-~]")
"""What the name of a client must not have, by the rules of CLIENT SETNAME."""


def process_name() -> str:
    """``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def role() -> str:
    """What clients that are opened here are for; empty: nothing special."""
    return _role.get()


@contextlib.contextmanager
def in_role(name: str) -> Iterator[None]:
    """A block in which clients are opened for that purpose."""
    token = _role.set(name)
    try:
        yield
    finally:
        _role.reset(token)


def client_name(role: str) -> str:
    """The name of this process's connections: ``thoonk:host:pid``, or ``thoonk:role:host:pid``."""
    name = ":".join(filter(None, ("thoonk", role, process_name())))
    return _NOT_ALLOWED.sub("-", name)
