"""Processes that work, watched over by one that does not."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import attrs

from thoonk.exceptions import ThoonkError
from thoonk.worker.shutdown import Shutdown, StopReason
from thoonk.worker.signals import STOPPING, Noted, held_back, taken

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two looks at the shutdown level and the processes."""

OVERDUE = 5.0
"""Seconds, beyond the grace, that a process has to end a job whose time is over."""

QUICK_END = 1.0
"""Seconds. A process that ends sooner is replaced so much later."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_RECYCLE = 64

TellDeadline = Callable[[int, float], None]
Work = Callable[[Callable[[], Shutdown], TellDeadline], StopReason]
"""What a process does: it asks the one how far to shut down, and tells the other deadlines."""


@attrs.define
class Child:
    """A process, and what it tells its supervisor.

    Attributes:
        deadlines: until when the jobs in its slots have to be done, by the monotonic clock; 0
            where there is no limit.
    """

    process: BaseProcess
    deadlines: Any
    started: float
    is_killed: bool = False


class Supervisor:
    """Starts processes, replaces those that end, and ends them when it is to stop."""

    def __init__(
        self, work: Work, *, processes: int, slots: int, grace: float, burst: bool = False
    ) -> None:
        """Nothing is started yet.

        Args:
            work: what each process does.
            processes: how many.
            slots: how many jobs each does at once.
            grace: seconds that they take to end, at most.
            burst: they end by themselves when all is done.
        """
        self._work = work
        self._processes = processes
        self._slots = slots
        self._grace = grace
        self._burst = burst
        # With fork, handlers need not be importable by name. Nothing runs here but this.
        self._context = multiprocessing.get_context("fork")
        self._level = self._context.RawValue("i", Shutdown.NONE)
        self._children: list[Child] = []
        self._missing = processes
        self._start_at = 0.0
        self._mask: set[Any] = set()
        self._shutdown: Callable[[], Shutdown] = lambda: Shutdown.NONE

    def run(self, shutdown: Callable[[], Shutdown]) -> None:
        """Work until it is to stop, or until all is done in a burst."""
        self._shutdown = shutdown
        warn_of_threads()
        try:
            while (level := shutdown()) is Shutdown.NONE:
                if self._missing and time.monotonic() >= self._start_at:
                    self._start()
                if not self._children and not self._missing:
                    return
                self._look_after()
            self._level.value = level
            self._end(shutdown)
        finally:
            # Whatever happened here: nobody is left behind.
            for child in self._children:
                self._kill(child)

    def _start(self) -> None:
        flush()
        while self._missing:
            self._missing -= 1
            deadlines = self._context.RawArray("d", self._slots)
            process = self._context.Process(
                target=self._be_a_child, args=(os.getpid(), deadlines), name="thoonk-worker"
            )
            # Until it has handlers of its own.
            with held_back() as self._mask:
                process.start()
            logger.info(
                "Process %d works",
                process.pid,
                extra={"event": "process_started", "pid": process.pid},
            )
            self._children.append(Child(process, deadlines, time.monotonic()))

    def _look_after(self) -> None:
        """Wait a moment; see who has ended, and who does not come to an end."""
        wait([child.process.sentinel for child in self._children], TICK)
        now = time.monotonic()
        for child in [*self._children]:
            if child.process.exitcode is not None:
                self._children.remove(child)
                self._replace(child, now)
            elif not child.is_killed and any(
                0 < deadline < now - self._grace - OVERDUE for deadline in child.deadlines
            ):
                logger.error(
                    "Process %d hangs, and is killed",
                    child.process.pid,
                    extra={"event": "process_killed", "pid": child.process.pid},
                )
                self._kill(child)

    def _replace(self, child: Child, now: float) -> None:
        code = child.process.exitcode
        if self._level.value != Shutdown.NONE or self._shutdown() is not Shutdown.NONE:
            return
        if code == EXIT_DONE and self._burst:
            logger.info(
                "Process %d has nothing to do any more",
                child.process.pid,
                extra={"event": "process_done", "pid": child.process.pid},
            )
            return
        self._missing += 1
        if code == EXIT_RECYCLE:
            logger.info(
                "Process %d replaced",
                child.process.pid,
                extra={"event": "process_replaced", "pid": child.process.pid},
            )
            return
        logger.warning(
            "Process %d died (%s) and is replaced; its jobs come back when their claims "
            "have run out",
            child.process.pid,
            f"signal {-code}" if code is not None and code < 0 else f"exit code {code}",
            extra={"event": "process_died", "pid": child.process.pid},
        )
        if now - child.started < QUICK_END:
            self._start_at = now + QUICK_END

    def _end(self, shutdown: Callable[[], Shutdown]) -> None:
        """Wait for them to end. They give back what is not done within the grace."""
        deadline = time.monotonic() + self._grace + OVERDUE
        while self._children and time.monotonic() < deadline:
            if shutdown() is Shutdown.COLD and self._level.value != Shutdown.COLD:
                self._level.value = Shutdown.COLD
                deadline = time.monotonic() + OVERDUE
            self._look_after()

    @staticmethod
    def _kill(child: Child) -> None:
        child.is_killed = True
        child.process.kill()

    # --- in a child ---------------------------------------------------------------------

    def _be_a_child(self, parent: int, deadlines: Any) -> None:
        # Ctrl-C goes to all of a terminal's processes. Each takes no more jobs, and the supervisor
        # tells how long the others may take.
        noted = Noted()
        with taken(dict.fromkeys(STOPPING, noted)):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            code = self._work_as_a_child(parent, deadlines, noted)
        logging.shutdown()
        flush()
        # At once: a handler that hangs must not keep the process.
        os._exit(code)

    def _work_as_a_child(self, parent: int, deadlines: Any, noted: Noted) -> int:
        def shutdown() -> Shutdown:
            told = Shutdown(self._level.value)
            if told is Shutdown.NONE and (noted.numbers or os.getppid() != parent):
                return Shutdown.WARM
            return told

        def tell_deadline(slot: int, deadline: float) -> None:
            deadlines[slot] = deadline

        try:
            reason = self._work(shutdown, tell_deadline)
        except ThoonkError as error:
            logger.error(  # noqa: TRY400
                "Process %d cannot work: %s",
                os.getpid(),
                error,
                extra={"event": "process_failed", "pid": os.getpid()},
            )
            return EXIT_FAILED
        return EXIT_RECYCLE if reason is StopReason.RECYCLE else EXIT_DONE


def warn_of_threads() -> None:
    """Say so where other threads run: a child has none of them, and their locks as they were."""
    others = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    if others:
        logger.warning(
            "Fork with other threads running: %s; they are not in the processes, where a lock "
            "that one holds is held for ever",
            ", ".join(sorted(others)[:10]),
            extra={"event": "fork_with_threads", "threads": others},
        )


def flush() -> None:
    """Write out what was printed, if there is somebody to read it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
