"""Keeps a child that a user's function forks from continuing in our place."""

from __future__ import annotations

import inspect
import math
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C has ended."""


def leave(error: BaseException | None) -> NoReturn:
    """End this process, a child, as Python ends a program: with that exception, or without one.

    What is registered to be done at the exit of the program is for the parent to do.
    """
    code = 1
    try:
        if error is None:
            code = 0
        elif isinstance(error, SystemExit):
            if error.code is None or isinstance(error.code, int):
                code = (error.code or 0) & 0xFF
            else:
                sys.stderr.write(f"{error.code}\n")
        else:
            if isinstance(error, KeyboardInterrupt):
                code = INTERRUPTED
            traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


class OneProcess:
    """A block that calls a function of a user.

    The function may fork. A child that returns or raises leaves at the end of the block, for what
    comes behind it is the work of its parent.
    """

    def __enter__(self) -> None:
        self._pid = os.getpid()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._pid:
            leave(error)


class Steps(Generic[T]):
    """Awaits a coroutine of a user, step by step, with a look at each.

    A child that it forks leaves at the end of the step: the event loop is its parent's.

    Attributes:
        cancelled_at: when it was last cancelled, by the monotonic clock.
    """

    def __init__(
        self,
        awaitable: Awaitable[T],
        long: float = math.inf,
        note: Callable[[float], None] | None = None,
    ) -> None:
        """Begin with the first step when awaited.

        Args:
            awaitable: the coroutine.
            long: seconds, of a step that is too long: no other task can run meanwhile.
            note: called with how long such a step took.
        """
        self.awaitable = awaitable
        self._long = long
        self._note = note
        self.cancelled_at: float | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        steps: Any = (
            self.awaitable if inspect.iscoroutine(self.awaitable) else _awaiting(self.awaitable)
        ).__await__()
        pid = os.getpid()
        value: Any = None
        error: BaseException | None = None
        while True:
            began = time.monotonic()
            try:
                yielded = steps.send(value) if error is None else steps.throw(error)
            except StopIteration as stop:
                if os.getpid() != pid:
                    leave(None)
                result: T = stop.value
                return result
            except BaseException as raised:
                if os.getpid() != pid:
                    leave(raised)
                raise
            finally:
                error = None
                took = time.monotonic() - began
                if took > self._long and self._note is not None:
                    self._note(took)
            if os.getpid() != pid:
                leave(
                    RuntimeError("a forked child must not continue in the event loop of its parent")
                )
            try:
                value = yield yielded
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as thrown:  # noqa: BLE001 - it is passed on
                self.cancelled_at = time.monotonic()
                value, error = None, thrown


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable
