"""Faults that a test switches on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from thoonk.exceptions import BackendUnavailable


class Faults:
    """Switches for what goes wrong between clients and their backend.

    What a client sees is what it sees once it has given up repeating: an error, at once.
    They are for all clients of the test's world that were opened by the fixtures.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._losses = 0
        self._away = False
        self._cuts = 0

    def lose_reply(self, count: int = 1) -> None:
        """Let the next calls take effect and still raise `OutcomeUnknown`.

        Args:
            count: how many calls. What a blocked ``get`` asks meanwhile does not count.
        """
        with self._lock:
            self._losses += count

    def cut(self) -> None:
        """Cut all connections. They are back at once; subscribers get a `Gap`.

        What they had not read by then is lost to them, as it may be in an outage.
        """
        with self._lock:
            self._cuts += 1

    @contextlib.contextmanager
    def refuse(self) -> Iterator[None]:
        """Be away for the length of a block: calls raise `BackendUnavailable`, a blocked
        ``get`` waits for the end, and subscribers get a `Gap` afterward.
        """  # noqa: D205 - one sentence
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
        """Raise `BackendUnavailable` while it is away."""
        if self._away:
            raise BackendUnavailable("the test refuses connections, nothing was done")

    def takes_reply(self) -> bool:
        """Whether the reply at hand is one of those to be lost."""
        with self._lock:
            lost = self._losses > 0
            self._losses -= lost
            return lost
