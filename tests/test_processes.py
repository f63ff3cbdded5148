"""The suite's own way with processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import processes
import pytest

CHILD = "import signal; print(signal.getsignal(signal.{}) is signal.SIG_IGN)"


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGQUIT"])
def test_children_get_the_default_signals_where_the_suite_runs_under_nohup(name: str) -> None:
    program = (
        "import subprocess, sys, processes; processes.restore_signals();"
        f"subprocess.run([sys.executable, '-c', {CHILD.format(name)!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_IGN),
    )
    assert done.stdout == "False\n"


def test_a_process_that_a_failed_test_leaves_is_ended_with_its_pipes() -> None:
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        pytest.raises(ZeroDivisionError),
        processes.started(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
    assert process.stdout is not None
    assert process.stdout.closed
