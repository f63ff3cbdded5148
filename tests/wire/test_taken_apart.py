"""A connection that one thread closes while another one uses it, at whatever line of redis-py."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import redis
from conftest import World

from thoonk import Thoonk, ThoonkError
from thoonk.backends.redis._sync import connection as connections
from thoonk.backends.redis.errors import CONNECTION_ERRORS
from thoonk.backends.redis.packing import pack

DRIVER = str(Path(inspect.getfile(redis)).parent)


class Closing:
    """Closes the connection in use before redis-py runs its n-th line; to be a trace function.

    A line that has run before does not count.

    Attributes:
        lines: how many lines of redis-py have run.
        place: where the connection was closed; None: nowhere.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0
        self._seen: set[tuple[CodeType, int]] = set()
        self.place: str | None = None

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(DRIVER) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        line = (frame.f_code, frame.f_lineno)
        if event == "line" and line not in self._seen:
            self._seen.add(line)
            if self.lines == self.at and (used := _connection(frame)) is not None:
                code = frame.f_code
                self.place = f"{code.co_name} at {code.co_filename}:{frame.f_lineno}"
                used.disconnect()
            self.lines += 1
        return self._line


def _connection(frame: FrameType | None) -> Any:
    """That whose method runs, or called what runs; None: there is none, or it is being made."""
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if hasattr(candidate, "send_packed_command"):
            return candidate if hasattr(candidate, "_parser") else None
        frame = frame.f_back
    return None


def closed_at_each_line(
    allowed: tuple[type[BaseException], ...], call: Callable[[], object]
) -> tuple[int, list[str]]:
    """Call it until no line is left to close the connection at.

    Returns how often it was closed, and what was raised that is not allowed, with the place.
    """
    closed, wrong = 0, []
    for at in range(100_000):
        closing = Closing(at)
        before = sys.gettrace()
        sys.settrace(closing)
        try:
            with contextlib.suppress(*allowed):
                call()
        except Exception as error:
            wrong.append(f"{error!r} in {closing.place}")
        finally:
            sys.settrace(before)
        closed += closing.place is not None
        if closing.lines <= at:
            return closed, wrong
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("is_open", [False, True])
def test_a_call_reports_a_lost_connection(real_world: World, is_open: bool) -> None:
    with contextlib.ExitStack() as stack:

        def client() -> Thoonk:
            return stack.enter_context(Thoonk(backend=real_world.url, retry_for=0))

        kept = client()
        kept.queue("q").put_many(["x"] * 3)

        def call() -> None:
            thoonk = kept if is_open else client()
            queue = thoonk.queue("q")
            queue.put("x")
            queue.get(timeout=0)

        closed, wrong = closed_at_each_line((ThoonkError,), call)
    assert wrong == []
    assert closed > 20


def test_what_waits_and_listens_reports_a_lost_connection(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        thoonk.queue("q").put("x")
        pool = thoonk.backend._pool

        def call() -> None:
            connection = connections.dedicated_connection(pool)
            try:
                connections.connect(connection)
                connections.exchange(connection, 20, pack(b"PING"))
                connections.send(connection, 20, pack(b"SMEMBERS", b"feeds"))
                connections.drain(connection, 20)
                connections.is_usable(connection)
                connections.send(connection, 20, pack(b"SUBSCRIBE", b"newfeed"))
                sending = threading.Lock()
                connections.next_message(connection, sending, 20)
                connections.next_message(connection, sending, 0.001)
            finally:
                connection.disconnect()

        closed, wrong = closed_at_each_line((*CONNECTION_ERRORS, TimeoutError), call)
    assert wrong == []
    assert closed > 150
