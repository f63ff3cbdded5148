"""What threads wait with."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from thoonk.concurrency._sync import Bell, wait_event


class Interrupted(BaseException):
    """Raised by a signal handler, anywhere in the main thread."""


@pytest.fixture
def interrupts() -> Iterator[list[bool]]:
    """While the list is not empty, signals raise."""
    wanted: list[bool] = []

    def interrupt(*_: object) -> None:
        if wanted:
            wanted.clear()
            raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield wanted
    wanted.clear()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_bell_wakes_once_for_each_ring() -> None:
    bell = Bell()
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0.01)
    threading.Timer(0.01, bell.ring).start()
    assert bell.wait(None)


def test_no_interrupt_keeps_others_from_ringing(interrupts: list[bool]) -> None:
    chance = random.Random(4)
    caught = 0
    for _ in range(300):
        bell, has_rung = Bell(), threading.Event()

        def ring(bell: Bell = bell, has_rung: threading.Event = has_rung) -> None:
            time.sleep(chance.uniform(0, 0.002))
            bell.ring()
            bell.ring()
            has_rung.set()

        ringing = threading.Thread(target=ring)
        ringing.start()
        try:
            interrupts.append(True)
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.002))
            bell.wait(20)
            interrupts.clear()
        except Interrupted:
            caught += 1
        ringing.join(20)
        assert has_rung.is_set()
    assert caught > 20


class Interrupting:
    """Raises before the n-th line of the module `threading`; to be a trace function."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != threading.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise Interrupted
        return self


def test_what_a_signal_handler_raises_in_a_wait_is_what_comes_of_it() -> None:
    interrupted = 0
    for at in range(1, 1000):
        before = sys.gettrace()
        sys.settrace(Interrupting(at))
        try:
            wait_event(threading.Event(), 0.001)
        except Interrupted:
            interrupted += 1
        else:
            break
        finally:
            sys.settrace(before)
    assert interrupted > 10
