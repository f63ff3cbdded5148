"""Processes that work, watched over by one that does not."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import attrs

from thoonk.exceptions import ThoonkError
from thoonk.worker.notify import Notifier
from thoonk.worker.outcomes import TimeLimitExceeded
from thoonk.worker.report import Legacy, Orphan, Report
from thoonk.worker.shutdown import Shutdown, StopReason
from thoonk.worker.signals import STOPPING, Noted, held_back, taken

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two looks at the shutdown level and the processes."""

OVERDUE = 5.0
"""Seconds, beyond the grace, that a process has to end a job whose time is over."""

START_WITHIN = 60.0
"""Seconds that a process may take to open its feeds, until it counts as hanging."""

QUICK_END = 1.0
"""Seconds. A process that ends sooner is replaced so much later."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_RECYCLE = 64

Work = Callable[[Callable[[], Shutdown], Report, Legacy], StopReason]
"""What a process does: it asks how far to shut down, and reports; others have left it something."""


@attrs.define
class Child:
    """A process, and what it tells its supervisor.

    Attributes:
        overdue: the slots whose jobs have made it hang, for which it was killed.
    """

    process: BaseProcess
    report: Report
    started: float
    is_killed: bool = False
    overdue: Sequence[int] = ()

    def orphans(self, how: str) -> list[Orphan]:
        """The jobs that it was at when it died, and why they failed."""
        orphans = []
        for slot, orphan in self.report.orphans().items():
            error, reason = "", f"its process {self.process.pid} died ({how})"
            if slot in self.overdue:
                error = TimeLimitExceeded.__name__
                reason = f"not done within its time limit; process {self.process.pid} was killed"
            elif self.overdue:
                reason = f"its process {self.process.pid} was killed, for another job hung in it"
            worker = f"{socket.gethostname()}:{self.process.pid}"
            orphans.append(attrs.evolve(orphan, error=error, reason=reason, worker=worker))
        return orphans


class Supervisor:
    """Starts processes, replaces those that end, and ends them when it is to stop."""

    def __init__(
        self,
        work: Work,
        *,
        processes: int,
        feeds: Sequence[str],
        slots: int,
        grace: float,
        burst: bool = False,
        notifier: Notifier | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            work: what each process does.
            processes: how many.
            feeds: the names of those whose jobs they do.
            slots: how many jobs one of them does at once.
            grace: seconds that they take to end, at most.
            burst: they end by themselves when all is done.
            notifier: the service manager; None: there is none.
        """
        self._work = work
        self._processes = processes
        self._feeds = feeds
        self._slots = slots
        self._grace = grace
        self._burst = burst
        self._notifier = notifier or Notifier()
        self._is_ready = False
        # With fork, handlers need not be importable by name. Nothing runs here but this.
        self._context = multiprocessing.get_context("fork")
        self._level = self._context.RawValue("i", Shutdown.NONE)
        self._children: list[Child] = []
        self._missing = processes
        self._start_at = 0.0
        self._legacy = Legacy()
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
                self._notify()
            self._level.value = level
            self._notifier.stopping(f"Stopping; jobs have {self._grace:g} s")
            self._end(shutdown)
        finally:
            # Leave no process behind, whatever happened.
            for child in self._children:
                self._kill(child)

    def _start(self) -> None:
        flush()
        while self._missing:
            self._missing -= 1
            report = Report(self._context, self._feeds, self._slots)
            legacy, self._legacy = self._legacy, Legacy()
            # Even if the process dies before it reports any.
            report.retries_until = legacy.retries_until
            process = self._context.Process(
                target=self._be_a_child, args=(os.getpid(), report, legacy), name="thoonk-worker"
            )
            # Until it has handlers of its own.
            with held_back() as self._mask:
                process.start()
            logger.info(
                "Process %d started",
                process.pid,
                extra={"event": "process_started", "pid": process.pid},
            )
            self._children.append(Child(process, report, time.monotonic()))

    def _look_after(self) -> None:
        """Wait a moment; see who has ended, and who does not come to an end."""
        wait([child.process.sentinel for child in self._children], TICK)
        now = time.monotonic()
        for child in [*self._children]:
            if child.process.exitcode is not None:
                self._children.remove(child)
                forget_metrics(child.process.pid)
                self._replace(child, now)
            elif not child.is_killed and (overdue := child.report.overdue(self._grace + OVERDUE)):
                child.overdue = overdue
                logger.error(
                    "Process %d hangs; killing it",
                    child.process.pid,
                    extra={"event": "process_killed", "pid": child.process.pid},
                )
                self._kill(child)

    def _notify(self) -> None:
        """Let the service manager know, as long as no process hangs."""
        if not self._is_ready and not self._missing:
            self._is_ready = all(child.report.ticked for child in self._children)
            if self._is_ready:
                feeds = ", ".join(self._feeds)
                self._notifier.ready(f"Working on {feeds} in {self._processes} processes")
        if self._notifier.watchdog and not any(map(self._hangs, self._children)):
            self._notifier.alive()

    def _hangs(self, child: Child) -> bool:
        now = time.monotonic()
        if not child.report.ticked:
            return now - child.started > START_WITHIN
        return now - child.report.ticked > self._notifier.watchdog / 2

    def _replace(self, child: Child, now: float) -> None:
        code = child.process.exitcode
        if self._level.value != Shutdown.NONE or self._shutdown() is not Shutdown.NONE:
            return
        if code == EXIT_DONE and self._burst:
            logger.info(
                "Process %d has no jobs left",
                child.process.pid,
                extra={"event": "process_done", "pid": child.process.pid},
            )
            return
        self._missing += 1
        until = max(self._legacy.retries_until, child.report.retries_until)
        self._legacy = attrs.evolve(self._legacy, retries_until=until)
        if code == EXIT_RECYCLE:
            logger.info(
                "Process %d replaced",
                child.process.pid,
                extra={"event": "process_replaced", "pid": child.process.pid},
            )
            return
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        orphans = child.orphans(how)
        self._legacy = attrs.evolve(self._legacy, orphans=(*self._legacy.orphans, *orphans))
        logger.warning(
            "Process %d died (%s) and is replaced; the jobs that it was running (%d) fail now, "
            "others are available again when their claims expire",
            child.process.pid,
            how,
            len(orphans),
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
            self._notify()

    @staticmethod
    def _kill(child: Child) -> None:
        child.is_killed = True
        child.process.kill()

    # --- in a child ---------------------------------------------------------------------

    def _be_a_child(self, parent: int, report: Report, legacy: Legacy) -> None:
        # Ctrl-C goes to all of a terminal's processes. Each takes no more jobs, and the supervisor
        # tells how long the others may take.
        noted = Noted()
        with taken(dict.fromkeys(STOPPING, noted)):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            code = self._work_as_a_child(parent, report, legacy, noted)
        logging.shutdown()
        flush()
        # At once: a handler that hangs must not keep the process.
        os._exit(code)

    def _work_as_a_child(self, parent: int, report: Report, legacy: Legacy, noted: Noted) -> int:
        def shutdown() -> Shutdown:
            told = Shutdown(self._level.value)
            if told is Shutdown.NONE and (noted.numbers or os.getppid() != parent):
                return Shutdown.WARM
            return told

        try:
            reason = self._work(shutdown, report, legacy)
        except ThoonkError as error:
            logger.error(  # noqa: TRY400
                "Process %d cannot work: %s",
                os.getpid(),
                error,
                extra={"event": "process_failed", "pid": os.getpid()},
            )
            return EXIT_FAILED
        return EXIT_RECYCLE if reason is StopReason.RECYCLE else EXIT_DONE


def forget_metrics(pid: int | None) -> None:
    """Take what a process that has ended gauged out of the files of prometheus_client.

    Only where the program uses its mode for several processes. What it counted stays.
    """
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR") and "prometheus_client" in sys.modules:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def warn_of_threads() -> None:
    """Warn if other threads run: a child has none of them, and their locks as they were."""
    others = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    if others:
        logger.warning(
            "Forking while other threads run: %s; the processes do not have them, and a lock that "
            "one of them holds is never released there",
            ", ".join(sorted(others)[:10]),
            extra={"event": "fork_with_threads", "threads": others},
        )


def flush() -> None:
    """Write out what was printed, if it can be read."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
