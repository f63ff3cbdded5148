"""Starts functions side by side, for the examples beside this file.

As processes where the data is on a server; as threads where it is in the memory of this
process, which no other process can see.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, Self

from thoonk import BackendNotInstalled, InvalidType, InvalidValue, Thoonk, ThoonkError

TIMEOUT = 60.0
"""Seconds that everything started has for coming to its end."""


class Vanished(BaseException):
    """Ends a thread that plays a process which is killed."""


def vanish() -> NoReturn:
    """Die at once, without tidying up anything, as after ``kill -9``."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    raise Vanished


class Processes:
    """What runs side by side; leaving the block waits for all of them."""

    def __init__(self, backend: str) -> None:
        """``backend``: its URL, which is also the first argument of all that is started."""
        self._backend = backend
        self._processes: list[BaseProcess] = []
        self._threads: list[Future[None]] = []

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """Call ``function(backend, *arguments)`` in a process or thread of its own."""
        if self._backend.partition(":")[0] == "memory":
            done: Future[None] = Future()
            threading.Thread(
                target=_run, args=(done, function, self._backend, *arguments), daemon=True
            ).start()
            self._threads.append(done)
        else:
            process = multiprocessing.get_context("spawn").Process(
                target=function, args=(self._backend, *arguments), daemon=True
            )
            process.start()
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for process in self._processes:
                process.kill()
            return
        for thread in self._threads:
            thread.result(TIMEOUT)
        for process in self._processes:
            process.join(TIMEOUT)
            if process.exitcode not in (0, -signal.SIGKILL):
                process.kill()
                raise RuntimeError(f"{process.name} ended with {process.exitcode}")


def _run(done: Future[None], function: Callable[..., None], *arguments: object) -> None:
    try:
        function(*arguments)
    except Vanished:
        done.set_result(None)
    except BaseException as error:  # noqa: BLE001  (handed on to who waits)
        done.set_exception(error)
    else:
        done.set_result(None)


@contextlib.contextmanager
def names_of_our_own(thoonk: Thoonk) -> Iterator[str]:
    """A prefix for names of feeds that nobody else has; the feeds are deleted in the end."""
    prefix = f"example-{uuid.uuid4().hex[:8]}-"
    try:
        yield prefix
    finally:
        for name in thoonk.get_feed_names():
            if name.startswith(prefix):
                thoonk.delete_feed(name)


def parser(text: str) -> argparse.ArgumentParser:
    """A command line that knows ``--backend``; ``text`` is the docstring of an example."""
    made = argparse.ArgumentParser(description=text.partition("\n")[0])
    made.add_argument(
        "--backend",
        default=f"memory://{uuid.uuid4().hex}",
        metavar="URL",
        help="such as redis://HOST:PORT/DB; without it, memory, where threads play the processes",
    )
    return made


def main(run: Callable[[Any], bool], arguments: argparse.Namespace) -> NoReturn:
    """Run an example; exit code 0 when it says that all is as it should be."""
    try:
        sys.exit(0 if run(arguments) else 1)
    except (InvalidValue, InvalidType, BackendNotInstalled) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (ThoonkError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
