"""«Run a job after several others» of docs/howto/job-pipeline.md, with workers that are killed."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
import servers
from test_examples_in_docs import ROOT, blocks_of

from thoonk import Thoonk

PAGE = ROOT / "docs/howto/job-pipeline.md"

DEADLY = """
import os
import signal

import tasks

worker = tasks.worker
what, when = os.environ["DIES"].split()
feed = tasks.parts if what == "publish" else tasks.thoonk.job(os.environ["FEED"])
function = getattr(feed, what)


def die(*arguments, **options):
    if when == "after":
        function(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)


setattr(feed, what, die)
job = tasks.thoonk.job
tasks.thoonk.job = lambda name, *more, **options: (
    feed if name == os.environ["FEED"] else job(name, *more, **options)
)
worker.run(burst=True)
"""
"""The page's worker, killed at one moment of its first job."""


@pytest.mark.parametrize(
    ("dies", "feed"),
    [
        ("publish before", "parts"),
        ("publish after", "parts"),
        ("put before", "reports"),
        ("put after", "reports"),
        ("put before", "tidy"),
        ("put after", "tidy"),
    ],
)
def test_the_report_is_put_once_wherever_a_worker_dies(
    running_server: Callable[[str], servers.Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies: str,
    feed: str,
) -> None:
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
    (program,) = (b.text for b in blocks_of(PAGE.read_text("utf-8")) if b.file)
    (tmp_path / "tasks.py").write_text(program)
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.setenv("THOONK_URL", server.url)
    worker = runpy.run_path(str(tmp_path / "tasks.py"))["worker"]

    def work(feed: str) -> None:
        """Until the claim of the worker that died has expired, too."""
        while len(thoonk.job(feed)):
            assert worker.run(burst=True, feeds=[feed]) == 0

    def die() -> None:
        """Run the worker that is killed."""
        environment = {**os.environ, "DIES": dies, "FEED": feed}
        command = [sys.executable, "deadly.py"]
        with processes.started(command, cwd=tmp_path, env=environment) as process:
            assert process.wait(60) == -signal.SIGKILL

    with Thoonk(backend=server.url) as thoonk, contextlib.closing(worker.backend):
        sales, costs = (thoonk.job(name, {"claim_timeout": 0.5}) for name in ("sales", "costs"))
        reports = thoonk.job("reports", {"claim_timeout": 0.5})
        costs.put("may")
        work("costs")
        assert reports.get_counts().waiting == 0
        sales.put("may")
        if feed == "tidy":
            work("sales")
            die()
        else:
            die()
            assert sales.get_counts().claimed == 1
            if (dies, feed) == ("put after", "reports"):
                # It is even done before the job that put it is repeated.
                work("reports")
                assert reports.get_counts().finished == 1
            work("sales")
        work("reports")
        assert reports.get_result("report:may", timeout=30).result == "may: 42"
        counts = reports.get_counts()
        assert (counts.finished, len(reports), reports.stats().publishes) == (1, 0, 1)
        assert thoonk.job("tidy").get_counts().scheduled == 1
