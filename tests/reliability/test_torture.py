"""A short torture run: everything is broken while it works, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import _binary

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "torture.py"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["redis-6.2", "valkey-8.1"])
def test_nothing_is_lost_doubled_or_kept_quiet(name: str, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    words = ["--seconds", "15", "--server", _binary(name), "--json", report_file]
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=160, check=False
    )
    assert report_file.exists(), done.stderr
    report = json.loads(report_file.read_text("utf-8"))
    assert report["ok"], done.stdout
    assert done.returncode == 0
    jobs, queue, notices = report["jobs"], report["queue"], report["notices"]
    assert jobs["lost"] == jobs["finished_twice"] == jobs["server_disagrees"] == 0
    assert queue["lost"] == queue["taken_twice"] == 0
    assert notices["lost"] == notices["missed_without_gap"] == notices["strange"] == 0
    # The run was one: things were done, and things were broken.
    assert min(jobs["put"], queue["taken"], notices["heard"]) > 20
    assert report["killed"] > 0
    assert report["troubles"]["restart_the_server"] > 0
    assert notices["subscribers_to_the_end"] > 0
