"""Type checkers accept right programs and refuse wrong ones."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROGRAMS = ["clients.py", "async_clients.py", "backends.py"]

START = """
import thoonk.backends.memory
from thoonk import *
def program(thoonk: Thoonk) -> None:
"""

WRONG = {
    "a number into a text feed": ('thoonk.feed("f").publish(1)', "arg-type"),
    "text into a binary feed": ('thoonk.feed("f", serializer=BINARY).publish("x")', "arg-type"),
    "bytes into a text queue": ('thoonk.queue("q").put(b"x")', "call-overload"),
    "no such priority": ('thoonk.queue("q").put("x", priority="highest")', "call-overload"),
    "an item that may be missing": ('item: str = thoonk.feed("f").get_item("i")', "assignment"),
    "a result that may be None": (
        'result: str = thoonk.job("j").get_result("i").result',
        "assignment",
    ),
    "an id that is a number": ('thoonk.feed("f").retract(1)', "arg-type"),
    "a timeout that is text": ('thoonk.queue("q").get(timeout="5")', "arg-type"),
    "a config that is a number": ('thoonk.create_feed("f", 50)', "arg-type"),
    "a serializer that decodes nothing": ('thoonk.feed("f", serializer=3)', "call-overload"),
    "a sorted feed is given no ids": ('thoonk.list("s").publish("x", id="i")', "call-arg"),
    "a feed has no priorities": ('thoonk.feed("f").HIGH', "attr-defined"),
    "claims cannot be changed": ('thoonk.job("j").get().item = "x"', "misc"),
    "every notice has a feed, not every one an item": (
        'print([n.item for n in thoonk.feed("f").subscribe()])',
        "union-attr",
    ),
    "a port that is text": ('Thoonk("localhost", "6379")', "arg-type"),
    "an asyncio backend for the blocking client": (
        "from thoonk import backends; x: backends.Backend = backends.memory.AsyncMemoryBackend()",
        "assignment",
    ),
}


@pytest.fixture(autouse=True)
def _needs_mypy() -> None:
    if importlib.util.find_spec("mypy") is None:
        if os.environ.get("THOONK_EXPECT_TOOLS"):
            pytest.fail("mypy is not installed")
        pytest.skip("mypy is not installed")


def mypy(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Check files against the installed package, whatever lies in the checkout."""
    # The cache saves most of the time and is shared by all tests of this file.
    cache = folder.parent / "mypy-cache"
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, files)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_right_programs_are_accepted(program: str, tmp_path: Path) -> None:
    copy = tmp_path / program
    copy.write_text((HERE / program).read_text("utf-8"), "utf-8")
    done = mypy(tmp_path, copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wrong_programs_are_refused_each_for_its_reason(tmp_path: Path) -> None:
    files = []
    for number, (line, _) in enumerate(WRONG.values()):
        file = tmp_path / f"wrong_{number}.py"
        file.write_text(START + "    " + line + "\n")
        files.append(file)
    done = mypy(tmp_path, *files)
    for number, (name, (line, code)) in enumerate(WRONG.items()):
        errors = [row for row in done.stdout.splitlines() if row.startswith(f"wrong_{number}.py")]
        errors = [row for row in errors if " error: " in row]
        assert errors, (name, line, done.stdout, done.stderr)
        assert all(row.endswith(f"[{code}]") for row in errors), (name, line, errors)


def test_the_programs_around_the_wrong_ones_are_right(tmp_path: Path) -> None:
    file = tmp_path / "right.py"
    file.write_text(START + '    thoonk.feed("f").publish("x")\n')
    done = mypy(tmp_path, file)
    assert done.returncode == 0, done.stdout + done.stderr
