"""Concurrency with threads. The twin is ``_async``; both are written by hand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from thoonk.concurrency.forks import OneProcess

P = ParamSpec("P")
T = TypeVar("T")

Event = threading.Event
Lock = threading.Lock
Turn = threading.RLock
"""A lock for what a signal handler may do, too, in the middle of it."""
sleep = time.sleep


def wait_event(event: threading.Event, timeout: float | None) -> bool:
    """Wait until the event is set, ``timeout`` seconds at most; whether it is set."""
    try:
        return event.wait(timeout)
    except RuntimeError as error:
        # An exception of a signal handler, Ctrl-C for one, while `Event` has let go of its lock:
        # it lets go of it once more, which is an error, and hides the first.
        if error.__context__ is None:
            raise
        raise error.__context__ from None


class Bell:
    """Wakes one waiter, who resets it.

    An exception that a signal handler raises can leave an `Event` locked forever, and block the
    thread that sets it. Here it costs no more than a ring.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the waiter, now or when it waits."""
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silence.release()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, ``timeout`` seconds at most; whether it has."""
        return self._silence.acquire(timeout=-1 if timeout is None else max(0.0, timeout))


def shielded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function``: a thread cannot be cancelled meanwhile."""
    return function(*args, **kwargs)


def uninterrupted(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in a thread that signal handlers do not interrupt. It always completes."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it is seldom needed

    with ThreadPoolExecutor(1, "thoonk-uninterrupted") as threads:
        return threads.submit(function, *args, **kwargs).result()


def call(handler: Callable[..., Any], *args: object) -> None:
    """Call a handler."""
    with OneProcess():
        handler(*args)


def setter_of(event: threading.Event) -> Callable[[], object]:
    """What sets the event, from any thread."""
    return event.set


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what may block, in this thread."""
    return function(*args, **kwargs)


def caller() -> object:
    """The thread that runs this."""
    return threading.get_ident()


def is_end_of_task(error: BaseException) -> bool:
    """Whether an error ends this thread: none has to."""
    del error
    return False


class HomeLoop:
    """For threads there is no event loop to belong to."""

    def check(self) -> None:
        """Nothing to check."""


NEEDED_AGAIN = 0.02
"""Seconds after which who waits for the end of something looks whether it is needed."""


class Background:
    """Work that lasts until its function returns."""

    def __init__(self, function: Callable[[], None], name: str) -> None:
        # A daemon: an unclosed client must not keep the interpreter alive.
        self._thread = threading.Thread(target=function, name=name, daemon=True)
        self._thread.start()

    def join(self, timeout: float, is_needed: Callable[[], object] = lambda: False) -> None:
        """Wait until it has ended, ``timeout`` seconds at most.

        That is not done any more once ``is_needed`` is true: another caller needs it.
        """
        if threading.current_thread() is self._thread:
            return
        deadline = time.monotonic() + timeout
        while self._thread.is_alive() and not is_needed():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._thread.join(min(left, NEEDED_AGAIN))
