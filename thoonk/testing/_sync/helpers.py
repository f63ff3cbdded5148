"""What tests need to do several things at once, with threads. Twin of the one in ``_async``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class Background:
    """A call that goes on while the test does something else."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._result = function(*args, **kwargs)
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def is_done(self) -> bool:
        """Whether it has returned or raised."""
        return not self._thread.is_alive()

    def result(self, timeout: float = 10) -> Any:
        """What the call returned; raises what it raised."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._result


def pause(seconds: float) -> None:
    """Let time pass, so that times differ."""
    time.sleep(seconds)


def until(condition: Callable[[], Any], timeout: float = 10) -> Any:
    """Poll until the condition, a plain function, is true; return its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)
    return value


def becomes(expected: Any, function: Callable[..., Any], *args: Any, timeout: float = 10) -> None:
    """Call repeatedly until the answer is ``expected``."""
    deadline = time.monotonic() + timeout
    while (answer := function(*args)) != expected:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{answer!r} instead of {expected!r}")
        time.sleep(0.005)
