"""A short torture run: everything is broken while it works, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import _binary

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "torture.py"


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
