"""The command line for tests: in this process, and as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import processes
import pytest
import servers
from click.testing import CliRunner
from conftest import World, _world

from thoonk import Thoonk
from thoonk.cli.app import app
from thoonk.cli.session import MEMORY_NOTE

PROGRAM = [sys.executable, "-m", "thoonk.cli"]


@attrs.frozen
class Done:
    """A run of the command line that has ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def records(self) -> list[Any]:
        """What it printed with --json."""
        return [json.loads(line) for line in self.out.splitlines()]


@attrs.frozen
class Cli:
    """Runs commands in this process, in one world."""

    url: str

    def __call__(self, *arguments: str, input: bytes = b"", fails: int = 0) -> Done:
        """Run it, see that it ends with the exit code ``fails``, and that errors are told."""
        result = CliRunner().invoke(
            app, arguments, input=input, env={"THOONK_URL": self.url}, prog_name="thoonk"
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == fails, (arguments, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        if fails:
            assert "Error: " in result.stderr
        # Here the memory is shared and goes on.
        errors = result.stderr.replace(f"{MEMORY_NOTE}\n", "")
        return Done(result.exit_code, result.stdout_bytes, errors)


@pytest.fixture
def cli(world: World) -> Cli:
    """The command line in each world."""
    return Cli(world.url)


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    """A client in each world."""
    with Thoonk(backend=world.url) as client:
        yield client


@attrs.frozen
class Process:
    """Starts the command line as a process, in one world."""

    url: str
    started: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    def environment(self) -> dict[str, str]:
        folder = Path(sys.executable).parent
        return {
            **os.environ,
            "THOONK_URL": self.url,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "TERM": "xterm",
            "COLUMNS": "120",
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """A process whose outputs are pipes."""
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environment(),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: str, input: bytes = b"", fails: int = 0) -> Done:
        """Run it to its end."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env=self.environment(),
            input=input,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == fails, (arguments, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def one_server(running_server: Callable[[str], servers.Server]) -> Iterator[World]:
    """A server, for what does not depend on which one it is: pipes, signals, terminals."""
    yield from _world("redis-6.2", running_server)


@pytest.fixture
def process(one_server: World) -> Iterator[Process]:
    """The command line as a process."""
    process = Process(one_server.url)
    yield process
    for started in process.started:
        processes.kill(started)
