"""Processes that tests start: with the default signals, and gone when the test is over."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any


def restore_signals() -> None:
    """Give this process, and so its children, the signal handling of a foreground program.

    ``nohup``, a background job of a shell, and some CI runners start programs with SIGINT,
    SIGQUIT or SIGHUP ignored. Children inherit that, even across exec.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill it if it still runs, reap it, and close its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait()


@contextlib.contextmanager
def started(*arguments: Any, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process, killed at the end of the block if it still runs."""
    process = subprocess.Popen(*arguments, **options)
    try:
        yield process
    finally:
        kill(process)
