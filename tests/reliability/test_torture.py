"""A short torture run: everything is broken while it works, and nothing is lost."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from conftest import _binary

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "torture.py"


@attrs.frozen
class Listener:
    name: str
    killed: bool = False


def judged(*heard: str | None, repeats_allowed: bool = True) -> dict[str, Any]:
    """Of the items "abcde", asked for at the times 0 to 4. None: a gap, at the time 2.5."""
    torture = runpy.run_path(str(PROGRAM))

    def line(id: str | None) -> SimpleNamespace:
        return SimpleNamespace(kind="gap" if id is None else "notice", words=[id], time=2.5)

    account = SimpleNamespace(
        puts={torture["FEED"]: {id: SimpleNamespace(id=id) for id in "abcde"}},
        asked_at={id: float(number) for number, id in enumerate("abcde")},
        heard={Listener("one"): [line(id) for id in heard]},
        of=lambda feed, fate: {},
    )
    report: dict[str, Any] = torture["judge_notices"](
        account, [*"abcde"], repeats_allowed=repeats_allowed
    )
    return report


def test_what_is_missed_without_a_gap_is_counted() -> None:
    assert judged(*"abcde")["missed_without_gap"] == 0
    assert judged(*"abde")["missed_without_gap"] == 1
    assert judged(*"ab", None, *"de")["missed_without_gap"] == 0
    assert judged(*"ab", None, "e")["missed_without_gap"] == 1
    assert judged(*"abc")["missed_without_gap"] == 2


def test_repetitions_say_nothing_about_what_follows() -> None:
    # A master that was frozen repeats them, also after the gap that its replacement costs.
    for heard in ([*"abc", "b", *"de"], [*"abc", None, "a", *"de"]):
        report = judged(*heard)
        assert (report["missed_without_gap"], report["repeated"], report["strange"]) == (0, 1, 0)
    assert judged(*"ab", None, "a", "e")["missed_without_gap"] == 1
    assert judged(*"abc", "b", *"de", repeats_allowed=False)["strange"] == 1


def tortured(folder: Path, *words: str) -> dict[str, Any]:
    """The report of a run that went well."""
    report_file = folder / "report.json"
    command = [sys.executable, PROGRAM, *words, "--json", report_file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert report_file.exists(), done.stderr
    report: dict[str, Any] = json.loads(report_file.read_text("utf-8"))
    assert report["ok"], done.stdout
    assert done.returncode == 0
    return report


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["redis-6.2", "valkey-8.1"])
def test_nothing_is_lost_doubled_or_kept_quiet(name: str, tmp_path: Path) -> None:
    report = tortured(tmp_path, "--seconds", "15", "--server", _binary(name))
    jobs, queue, notices = report["jobs"], report["queue"], report["notices"]
    assert jobs["lost"] == jobs["finished_twice"] == jobs["server_disagrees"] == 0
    assert queue["lost"] == queue["taken_twice"] == 0
    assert notices["lost"] == notices["missed_without_gap"] == notices["strange"] == 0
    # The run was one: things were done, and things were broken.
    assert min(jobs["put"], queue["taken"], notices["heard"]) > 20
    assert report["killed"] > 0
    assert report["troubles"]["restart_the_server"] > 0
    assert notices["subscribers_to_the_end"] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cluster_loses_doubles_and_keeps_quiet_nothing(tmp_path: Path) -> None:
    report = tortured(tmp_path, "--seconds", "15", "--cluster", "--server", _binary("redis-path"))
    jobs, queue, notices = report["jobs"], report["queue"], report["notices"]
    assert jobs["lost"] == jobs["finished_twice"] == jobs["server_disagrees"] == 0
    assert queue["lost"] == queue["taken_twice"] == 0
    assert notices["lost"] == notices["missed_without_gap"] == notices["strange"] == 0
    assert report["damage"] == ""
    assert min(jobs["put"], queue["taken"], notices["heard"]) > 20
    assert {"move_a_slot", "fail_over", "kill_a_master", "freeze_a_master"} <= {*report["troubles"]}
    assert notices["subscribers_to_the_end"] > 0


@pytest.mark.timeout(180)
def test_a_file_loses_doubles_and_keeps_quiet_nothing(tmp_path: Path) -> None:
    words = "--backend sqlite --seconds 4 --workers 3 --takers 2 --claim-timeout 1"
    report = tortured(tmp_path, *words.split(), "--confirm-within", "1")
    jobs, queue, notices = report["jobs"], report["queue"], report["notices"]
    assert jobs["lost"] == jobs["finished_twice"] == jobs["server_disagrees"] == 0
    assert queue["lost"] == queue["taken_twice"] == 0
    assert notices["lost"] == notices["missed_without_gap"] == notices["gaps"] == 0
    assert report["damage"] == ""
    assert min(jobs["put"], queue["taken"], notices["heard"]) > 10
    # Not everywhere can a disk be mounted that is filled.
    assert {"lock_the_file", "step_the_clock", "stop_a_process"} <= {*report["troubles"]}
    assert notices["subscribers_to_the_end"] > 0
