"""What the processes of a worker count is read together."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from conftest import World
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from thoonk import Thoonk

PROGRAM = """
    import os
    from thoonk import Thoonk
    from thoonk.observe import ObservedBackend
    from thoonk.observe.prometheus import Metrics
    from thoonk.worker import Worker

    worker = Worker(Thoonk(backend=ObservedBackend(os.environ["THOONK_URL"], Metrics())))

    @worker.handles("jobs", backoff=0)
    def work(item):
        if item == "dies":
            os._exit(3)
"""


def test_what_processes_count_is_added_up(real_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM), "utf-8")
    with Thoonk(backend=real_world.url) as thoonk:
        job = thoonk.job("jobs", {"claim_timeout": 60, "max_failures": 1})
        job.put_many(["x"] * 20)
        job.put("dies")
        done = subprocess.run(
            [sys.executable, "-m", "thoonk.worker", "app", "--processes", "2", "--burst"],
            cwd=tmp_path,
            env={
                **os.environ,
                "THOONK_URL": real_world.url,
                "PROMETHEUS_MULTIPROC_DIR": str(folder),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert job.get_counts().finished == 20
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    ended = "thoonk_jobs_ended_total"
    assert registry.get_sample_value(ended, {"feed": "jobs", "outcome": "finished"}) == 20
    assert registry.get_sample_value(ended, {"feed": "jobs", "outcome": "stalled"}) == 1
    assert registry.get_sample_value("thoonk_job_duration_seconds_count", {"feed": "jobs"}) == 20
    pids = {path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}
    assert len(pids) >= 2
    # Of processes that are no more there are no gauges.
    living = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}
    assert len(living) <= 1
