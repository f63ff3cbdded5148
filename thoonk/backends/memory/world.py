"""What backends in memory share: a fake server, and the callers that wait for something on it."""

from __future__ import annotations

import threading
from typing import ClassVar

from fakeredis import FakeServer

from thoonk.backends.waiters import Waiters


class World(Waiters):
    """One memory, shared by the backends that are given it."""

    _named: ClassVar[dict[str, World]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        super().__init__()
        self.server = FakeServer(version=(7,))

    @classmethod
    def named(cls, name: str) -> World:
        """The world of that name. It lives as long as the process, or until `forget`."""
        with cls._naming:
            if name not in cls._named:
                cls._named[name] = cls()
            return cls._named[name]

    @classmethod
    def forget(cls, name: str) -> None:
        """Let go of the world of that name. Backends that have it keep it while they live."""
        with cls._naming:
            cls._named.pop(name, None)
