"""Faults that a test switches on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from thoonk.exceptions import BackendUnavailable


class Faults:
    """Faults between clients and their backend, to switch on.

    A client gets the error at once that it would otherwise get after repeating the call. The
    faults apply to all clients of the test's world that the fixtures have opened.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._losses = 0
        self._away = False
        self._cuts = 0

    def lose_reply(self, count: int = 1) -> None:
        """Let the next calls take effect and still raise `OutcomeUnknown`.

        Args:
            count: how many calls. The calls of a blocked ``get`` do not count.
        """
        with self._lock:
            self._losses += count

    def cut(self) -> None:
        """Cut all connections, which are restored at once. Subscribers get a `Gap`.

        They lose the notices that they had not read, as they may in an outage.
        """
        with self._lock:
            self._cuts += 1

    @contextlib.contextmanager
    def refuse(self) -> Iterator[None]:
        """Be unreachable while a block runs.

        Calls raise `BackendUnavailable`, a blocked ``get`` waits for the end of the block, and
        subscribers get a `Gap` afterward.
        """
        self._away = True
        self.cut()
        try:
            yield
        finally:
            self._away = False

    @property
    def is_away(self) -> bool:
        """Whether calls are refused now."""
        return self._away

    @property
    def cuts(self) -> int:
        """How often connections have been cut."""
        return self._cuts

    def check(self) -> None:
        """Raise `BackendUnavailable` while calls are refused."""
        if self._away:
            raise BackendUnavailable("the test refuses connections, nothing was done")

    def takes_reply(self) -> bool:
        """Whether to lose the current reply."""
        with self._lock:
            lost = self._losses > 0
            self._losses -= lost
            return lost
