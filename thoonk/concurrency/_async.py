"""Concurrency with tasks. The twin is ``_sync``; both are written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar

from thoonk.concurrency.forks import OneProcess, Steps
from thoonk.exceptions import WrongEventLoop

P = ParamSpec("P")
T = TypeVar("T")

Event = asyncio.Event
Lock = asyncio.Lock
Turn = asyncio.Lock
"""A lock for what a signal handler may do, too, in the middle of it."""
sleep = asyncio.sleep


async def wait_event(event: asyncio.Event, timeout: float | None) -> bool:
    """Wait until the event is set, ``timeout`` seconds at most; whether it is set."""
    try:
        async with asyncio.timeout(timeout):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


class Bell:
    """Wakes one waiter, who resets it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or when it waits."""
        self._event.set()

    async def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, ``timeout`` seconds at most; whether it has."""
        has_rung = await wait_event(self._event, timeout)
        self._event.clear()
        return has_rung


async def shielded(
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call ``function`` and wait for its end, even when the caller is cancelled (again)."""
    task = asyncio.ensure_future(function(*args, **kwargs))
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        task.exception()  # seen; being cancelled comes first
        raise asyncio.CancelledError
    return task.result()


uninterrupted = shielded
"""The twin of the threads' `uninterrupted`: a coroutine function always completes."""


async def call(handler: Callable[..., Any], *args: object) -> None:
    """Call a handler; wait for it when it is a coroutine function."""
    with OneProcess():
        result = handler(*args)
    if inspect.isawaitable(result):
        await Steps(result)


def setter_of(event: asyncio.Event) -> Callable[[], object]:
    """What sets the event, from any thread."""
    loop = asyncio.get_running_loop()

    def set_event() -> None:
        # In a loop that has been closed nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    return set_event


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what may block, in another thread, and wait for its end even when cancelled."""
    return await shielded(asyncio.to_thread, function, *args, **kwargs)


def caller() -> object:
    """The task that runs this."""
    return asyncio.current_task()


def is_end_of_task(error: BaseException) -> bool:
    """Whether an error ends the running task, and did not only come out of something it called."""
    task = asyncio.current_task()
    is_cancelled = task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit) or (
        isinstance(error, asyncio.CancelledError) and is_cancelled
    )


def is_loop_running() -> bool:
    """Whether this runs in an event loop: not so in a child that was forked in one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class HomeLoop:
    """The event loop of an object whose connections work in one loop only."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Remember the running loop the first time, and refuse any other later.

        Raises:
            WrongEventLoop: another loop runs, or none of asyncio's.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        # Not in the handler: that error says less than ours.
        if loop is None:
            raise WrongEventLoop(
                "AsyncThoonk needs asyncio, and no asyncio event loop is running here; "
                "with trio, use Thoonk in a thread"
            )
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise WrongEventLoop(
                "this client is used in another event loop already; make one AsyncThoonk per loop"
            )


class _Sturdy(Coroutine[Any, Any, None]):
    """A coroutine that continues when something that it awaits has raised GeneratorExit.

    Python takes a GeneratorExit that is thrown into a coroutine for the order to close it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, error: Any, *more: Any) -> Any:
        if isinstance(error, GeneratorExit):
            failure = RuntimeError("GeneratorExit was raised by what was awaited")
            failure.__cause__ = error
            error = failure
        return self._coroutine.throw(error, *more)

    def close(self) -> None:
        self._coroutine.close()


NEEDED_AGAIN = 0.02
"""Seconds after which who waits for the end of something looks whether it is needed."""


class Background:
    """Work that lasts until its function returns."""

    def __init__(self, function: Callable[[], Awaitable[None]], name: str) -> None:
        async def run() -> None:
            await function()

        self._task = asyncio.create_task(_Sturdy(run()), name=name)

    async def join(self, timeout: float, is_needed: Callable[[], object] = lambda: False) -> None:
        """Wait until it has ended; cancel it after ``timeout`` seconds.

        Neither is done any more once ``is_needed`` is true: another caller needs it.
        """
        if not is_loop_running():
            return  # in a forked child: the task is the parent's
        if asyncio.current_task() is self._task:
            return  # a handler closes its own client
        deadline = time.monotonic() + timeout
        while not self._task.done() and not is_needed():
            left = deadline - time.monotonic()
            if left <= 0:
                self._task.cancel()
                await asyncio.wait([self._task])
            else:
                await asyncio.wait([self._task], timeout=min(left, NEEDED_AGAIN))
