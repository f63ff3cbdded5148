"""Whose turn it is among the threads of this process: first come, first served."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from weakref import WeakValueDictionary

LOOK_EVERY = 0.5
"""Seconds after which one that waits looks again.

A signal handler may have raised before it was woken.
"""


class Turns:
    """A lock that goes to who has waited longest.

    A signal handler may raise anywhere in here. So `end` may be called at any time, also twice.
    """

    def __init__(self) -> None:
        # The first ticket has its turn.
        self._tickets: deque[threading.Lock] = deque()

    def wait(self, ticket: threading.Lock, timeout: float) -> bool:
        """Queue up; whether its turn has come in time. Call `end` in any case.

        The ticket is a lock that is used for nothing else. It is released when it is the first one.
        """
        tickets = self._tickets
        ticket.acquire(blocking=False)
        tickets.append(ticket)
        if tickets[0] is ticket:
            return True
        deadline = time.monotonic() + timeout
        while tickets[0] is not ticket:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            ticket.acquire(timeout=min(left, LOOK_EVERY))
        return True

    def end(self, ticket: threading.Lock) -> None:
        """Give up the turn, or stop waiting for it."""
        tickets = self._tickets
        if ticket in tickets:
            tickets.remove(ticket)
        if tickets:
            # It may be gone by now, or woken.
            with contextlib.suppress(IndexError, RuntimeError):
                tickets[0].release()


_lock = threading.Lock()
_known: WeakValueDictionary[str, Turns] = WeakValueDictionary()


def turns_of(path: str) -> Turns:
    """The turns that are shared by all who use this file."""
    with _lock:
        turns = _known.get(path)
        if turns is None:
            turns = _known[path] = Turns()
        return turns
