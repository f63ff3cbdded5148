"""Learns that a file was written to, by whichever process."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import sys
import threading
from typing import Protocol

_MODIFIED = 0x2
"""inotify's IN_MODIFY."""


class Changes(Protocol):
    """Waits for a file to be written to."""

    def wait(self, timeout: float) -> bool:
        """Return when it may have been, after ``timeout`` seconds at most; whether it is known."""

    def stop(self) -> None:
        """End a wait, from another thread."""

    def close(self) -> None:
        """Release what it holds."""


class Notified:
    """The kernel tells (Linux)."""

    def __init__(self, path: str) -> None:
        """Raises `OSError` where the kernel has no watches left, or the file is not there."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._stopped, self._stop = os.pipe()
        # Not select, which fails where many files are open.
        self._poll = select.poll()
        for descriptor in (self._inotify, self._stopped):
            self._poll.register(descriptor, select.POLLIN)
        try:
            _checked(libc.inotify_add_watch(self._inotify, os.fsencode(path), _MODIFIED))
        except OSError:
            self.close()
            raise

    def wait(self, timeout: float) -> bool:
        ready = self._poll.poll(math.ceil(timeout * 1000))
        if any(descriptor == self._inotify for descriptor, _ in ready):
            with contextlib.suppress(BlockingIOError):
                # As many as there are, up to what the buffer holds.
                os.read(self._inotify, 65_536)
        return bool(ready)

    def stop(self) -> None:
        os.write(self._stop, b"x")

    def close(self) -> None:
        for descriptor in (self._inotify, self._stopped, self._stop):
            os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Polled:
    """The file is looked at again and again."""

    EVERY = 0.005
    """Seconds between two looks."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def wait(self, timeout: float) -> bool:
        self._stopped.wait(min(timeout, self.EVERY))
        return False

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held."""


def changes_of(path: str) -> Changes:
    """The best way there is on this system."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            return Notified(path)
    return Polled()
