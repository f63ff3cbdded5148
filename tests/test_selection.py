"""The worlds that a test runs in, where it does not run in all."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from selection import Case, by_turns

ROOT = Path(__file__).resolve().parent.parent
WORLDS = ("memory", "one", "two", "three")


def cases(folder: str, tests: int = 300) -> list[Case]:
    return [
        Case(f"tests/{folder}/test_f.py::test_{number}[{world}-x]", world)
        for number in range(tests)
        for world in WORLDS
    ]


def test_each_test_has_one_turn_and_each_world_its_share() -> None:
    kept = by_turns(cases("wire"))
    assert len(kept) == len({case.test for case in kept}) == 300
    assert all(50 < number < 100 for number in Counter(case.world for case in kept).values())
    assert kept == by_turns(reversed(cases("wire")))


def test_a_twin_runs_in_another_world() -> None:
    def worlds(folder: str) -> dict[str, str]:
        kept = by_turns(cases(folder))
        return {case.node_id.split("::")[1].split("[")[0]: case.world for case in kept}

    theirs, ours = worlds("_async"), worlds("_sync")
    assert theirs.keys() == ours.keys()
    assert all(theirs[test] != ours[test] for test in theirs)


def test_some_worlds_are_always_there() -> None:
    kept = by_turns(cases("wire"), always=("memory",))
    assert Counter(case.world == "memory" for case in kept) == {True: 300, False: 300}


def test_a_test_in_one_world_keeps_it() -> None:
    alone = Case("tests/test_f.py::test[two]", "two")
    assert by_turns([alone]) == {alone}


def test_what_is_absent_has_no_turn_unless_it_is_alone() -> None:
    kept = by_turns(cases("wire"), absent=("one", "two"))
    assert {case.world for case in kept} == {"memory", "three"}
    alone = Case("tests/test_f.py::test[two]", "two")
    assert by_turns([alone], absent=("two",)) == {alone}


def collected(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.slow
def test_what_one_environment_of_tox_leaves_to_another_runs_there() -> None:
    tox = ROOT / "tox.ini"
    if not tox.exists():
        pytest.skip("no tox.ini in this copy")
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(tox, "utf-8")
    full = settings["testenv"]["commands"]
    (left_out,) = re.findall(r"^py: .*\{posargs:(.*)\}$", full, re.MULTILINE)
    patterns = [word.partition("=")[2] for word in left_out.split()]
    files = [str(path.relative_to(ROOT)) for each in patterns for path in ROOT.glob(each)]
    measured = settings["testenv:cover"]["commands"].replace("\\\n", " ")
    (arguments,) = re.findall(r"\}pytest -n \d+ --dist worksteal (.*)$", measured, re.MULTILINE)
    assert len(files) > len(patterns)
    assert collected("--full", *files) <= collected(*shlex.split(arguments))
