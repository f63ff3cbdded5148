"""Signals that end workers, and what becomes of them in processes that jobs start."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Note = Callable[[int, FrameType | None], None]

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
"""Each asks the worker to stop."""

MAY_BE_IGNORED = tuple(number for number in STOPPING if number != signal.SIGTERM)
"""Left alone where the parent of the program ignores them, as ``nohup`` does."""

ECHO = 0.3
"""Seconds. A terminal that is closed sends SIGHUP, and so does its shell: that counts once."""

_before: dict[int, Any] = {}


class Noted:
    """The signals that have come, each of which asks to stop."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._hung_up = float("-inf")

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take note, and no more: it may have interrupted anything."""
        if number == getattr(signal, "SIGHUP", None):
            last, self._hung_up = self._hung_up, time.monotonic()
            if self._hung_up - last < ECHO:
                return
        self.numbers.append(number)


@contextlib.contextmanager
def taken(handlers: dict[int, Note]) -> Iterator[None]:
    """Handle these signals within the block; in the main thread only.

    The handlers are functions, and none is ignored: what is ignored stays so in programs
    that jobs start.
    """
    for number, handler in handlers.items():
        if number in MAY_BE_IGNORED and signal.getsignal(number) is signal.SIG_IGN:
            continue
        _before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        restore()


def restore() -> None:
    """Handle signals as before."""
    while _before:
        number, handler = _before.popitem()
        # None: it was set by something that is not Python.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def held_back() -> Iterator[set[Any]]:
    """Let signals wait for the end of the block; gives what was held back before."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Fork(threading.local):
    """What a thread that forks has to remember."""

    mask: set[Any] | None = None


_fork = _Fork()


def _before_fork() -> None:
    if _before:
        _fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def _after_fork() -> None:
    if _fork.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _fork.mask)
        _fork.mask = None


def _after_fork_in_child() -> None:
    taken_here = {*_before}
    restore()
    # What a handler raises in here would be lost.
    pending = signal.sigpending()
    for number in taken_here:
        if number != signal.SIGINT or number in pending:
            signal.signal(number, signal.SIG_DFL)
    _after_fork()


if hasattr(os, "register_at_fork"):
    # A child that a job forks ends at a signal, even one that arrives immediately.
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
