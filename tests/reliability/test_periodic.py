"""Each time of a schedule puts one job, though workers die and the server is restarted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import _binary

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "periodic.py"


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["redis-6.2", "valkey-8.1"])
def test_each_time_puts_one_job_whoever_dies(name: str) -> None:
    words = ["--seconds", "15", "--workers", "4", "--server", _binary(name)]
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["times"] == found["claimed"] == found["finished"] >= 14
    assert found["server_restarts"] == 2
    assert found["killed"] > 5
    assert found["left"] == found["early"] == found["made_anew"] == 0
    assert found["missing"] == found["not_asked_for"] == found["finished_twice"] == []
