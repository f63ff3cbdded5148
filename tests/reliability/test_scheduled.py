"""Jobs for later are on time, and each is done once, whoever dies; an id is put once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "scheduled.py"


def proved(*words: str) -> dict[str, Any]:
    """What the program found; fails when it is not as it should be."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(180)
def test_jobs_are_on_time_and_done_once_though_half_of_the_workers_are_killed() -> None:
    found = proved("storm", "--jobs", "1000", "--workers", "4", "--within", "3", "--put-ms", "1")
    assert found["finished"] == found["claimed"] == 1000
    assert found["killed"] == 2
    assert found["early"] == found["left"] == found["finished_twice"] == 0
    assert found["late_ms_p50"] < 1000


@pytest.mark.timeout(180)
def test_of_many_processes_that_put_an_id_at_once_one_does() -> None:
    found = proved("same-id", "--processes", "20", "--times", "2")
    assert found["rounds"] == [{"ADDED": 1, "KEPT": 19}] * 2


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_job_of_a_taker_that_dies_is_taken_by_another_within_ten_seconds() -> None:
    assert proved("heir", "--times", "2")["max"] < 11


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_many_scheduled_jobs_make_nothing_slower() -> None:
    assert min(proved("million", "--jobs", "200000")["ratios"].values()) > 0.7
