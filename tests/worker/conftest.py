"""Workers for tests: in a thread of this process, and as processes of their own."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import servers
from conftest import MEMORY, World, _world

from thoonk import Job, JobCounts, Thoonk
from thoonk.worker import AsyncWorker, Worker

KINDS = {"threads": Worker, "tasks": AsyncWorker}

QUIET = "ignore:This process:DeprecationWarning"
"""Python 3.12 and later warn of forks beside threads, which tests do on purpose."""


def poll(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, inspect.getsource(condition)
        time.sleep(0.01)
    return value


def states(job: Job[Any]) -> tuple[int, int, int, int]:
    counts: JobCounts = job.get_counts()
    return counts.waiting, counts.claimed, counts.stalled, counts.finished


def becomes(job: Job[Any], *expected: int, seconds: float = 60) -> None:
    """Wait until so many are waiting, claimed, stalled, finished."""
    deadline = time.monotonic() + seconds
    while (now := states(job)) != expected:
        assert time.monotonic() < deadline, (now, expected)
        time.sleep(0.01)


def is_pending(pid: int, number: int) -> bool:
    """Whether a process has still to get a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    masks = re.findall(r"(?m)^(?:Sig|Shd)Pnd:\s*(\w+)$", status)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


@attrs.frozen
class Workers:
    """Makes workers of one kind, in one world."""

    kind: str
    url: str

    def __call__(self, **options: Any) -> Any:
        return KINDS[self.kind](self.url, **options)

    def handle(self, worker: Any, feed: str, function: Callable[..., Any], **options: Any) -> None:
        """Let a function do the jobs, a coroutine function or a plain one as is needed."""
        if self.kind == "tasks" and not inspect.iscoroutinefunction(function):
            plain = function

            @functools.wraps(plain)
            async def function(*args: Any, **kwargs: Any) -> Any:
                return plain(*args, **kwargs)

        worker.handle(feed, function, **options)

    @contextlib.contextmanager
    def working(self, worker: Any, **options: Any) -> Iterator[threading.Thread]:
        """The worker runs in a thread for the length of the block."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                worker.run(**options)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield thread
        finally:
            worker.stop()
            thread.join(30)
            assert not thread.is_alive()
        assert not failures, failures


@pytest.fixture(params=[MEMORY, "redis-6.2"])
def world(
    request: pytest.FixtureRequest, running_server: Callable[[str], servers.Server]
) -> Iterator[World]:
    """Memory and one server: a worker uses only what is tried on all of them elsewhere."""
    yield from _world(request.param, running_server)


@pytest.fixture(params=KINDS)
def workers(request: pytest.FixtureRequest, world: World) -> Workers:
    return Workers(request.param, world.url)


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    with Thoonk(backend=world.url) as client:
        yield client


@pytest.fixture
def one_server(running_server: Callable[[str], servers.Server]) -> Iterator[World]:
    """One server, for what does not depend on which one it is."""
    yield from _world("redis-6.2", running_server)


class Command:
    """A program of Python as a process: ``thoonk work``, unless it is another."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *arguments: str,
        program: Sequence[str] = ("-m", "thoonk.worker"),
        stdin: Path = Path(os.devnull),
        ignored: int | None = None,
    ) -> None:
        self.log_file = folder / f"log-{time.monotonic_ns()}"
        self.log_stream = self.log_file.open("wb")
        with stdin.open("rb") as input:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                cwd=folder,
                env={**os.environ, "THOONK_URL": url, "PYTHONWARNINGS": QUIET},
                stdin=input,
                stdout=self.log_stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=None  # noqa: PLW1509 - it only sets a signal
                if ignored is None
                else lambda: signal.signal(ignored, signal.SIG_IGN),
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8")

    def told(self, *words: str) -> None:
        """Wait until these have been logged or printed."""
        poll(lambda: all(word in self.log for word in words))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def takes(self, number: int) -> None:
        """Wait until it has got the signal: while that is pending, a second one is the same."""
        poll(
            lambda: not any(is_pending(pid, number) for pid in [self.process.pid, *self.children()])
        )

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def ends(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            children = self.children()
            self.process.kill()
            self.process.wait(10)
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.log_stream.close()


@attrs.frozen
class Commands:
    """Writes programs with workers, and starts them."""

    folder: Path
    url: str
    started: list[Command] = attrs.field(factory=list)

    def write(self, program: str, name: str = "app") -> None:
        (self.folder / f"{name}.py").write_text(textwrap.dedent(program), "utf-8")

    def start(self, *arguments: str, ignored: int | None = None) -> Command:
        command = Command(self.folder, self.url, *arguments, ignored=ignored)
        self.started.append(command)
        return command

    def start_python(self, *arguments: str, stdin: Path = Path(os.devnull)) -> Command:
        command = Command(self.folder, self.url, *arguments, program=(), stdin=stdin)
        self.started.append(command)
        return command


@pytest.fixture
def commands(one_server: World, tmp_path: Path) -> Iterator[Commands]:
    commands = Commands(tmp_path, one_server.url)
    try:
        yield commands
    finally:
        for command in commands.started:
            command.close()


@pytest.fixture
def client(one_server: World) -> Iterator[Thoonk]:
    """A client of the server that commands work on."""
    with Thoonk(backend=one_server.url) as client:
        yield client
