"""Where a run took place, and how quiet it was there."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.bench import ALL_CORES, Bench
from benchmarks.environments import NODE_PACKAGES, versions

SHOWN = {"redis", "hiredis", "fakeredis", "lupa", "kombu"}
"""Packages whose versions matter beside the one that an environment is for."""


def describe(bench: Bench) -> dict[str, Any]:
    """The machine, the server, and the versions in each environment."""
    server = bench.server.info("server")
    libraries = {}
    for name, host in bench.hosts.items():
        installed = versions(name, host)
        shown = {*SHOWN, name, *NODE_PACKAGES.get(name, ())}
        libraries[name] = {k: v for k, v in installed.items() if k in shown}
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(ALL_CORES) or os.cpu_count(),
        "pinned": bool(ALL_CORES),
        "python": platform.python_version(),
        "server": f"redis-server {server['redis_version']}",
        "versions": libraries,
    }


def load() -> float | None:
    """How many processes want the CPU, over the last minute; None where nobody knows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
