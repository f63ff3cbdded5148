"""The command line with the URL of a cluster: each command works, or says why not in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clusters import Cluster, becomes_true

from thoonk import Thoonk
from thoonk.cli.app import app

ROOT = Path(__file__).parents[2]


def run(cluster: Cluster, *arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["--backend", cluster.url, *arguments])
    assert done.exit_code == code, done.output
    return done


def test_commands_work(cluster: Cluster, tmp_path: Path) -> None:
    file = str(tmp_path / "jobs.jsonl")
    run(cluster, "create", "{jobs}", "--type", "job")
    assert run(cluster, "job", "put", "{jobs}", "x", "--id", "a").stdout == "a\n"
    assert run(cluster, "feeds").stdout == "{jobs}\n"
    assert "{jobs}\tjob\t1\t1" in run(cluster, "stats").stdout
    assert "{jobs}\tjob\t1\t1" in run(cluster, "top", "--once").stdout
    run(cluster, "export", "{jobs}", file)
    run(cluster, "import", file, "--as", "{other}")
    assert run(cluster, "job", "get", "{other}", "--no-wait").stdout == "a\nx"
    run(cluster, "pause", "{jobs}")
    run(cluster, "resume", "{jobs}")
    run(cluster, "maintenance")
    run(cluster, "delete", "--yes", "{jobs}", "{other}")


def test_a_worker_does_jobs(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from thoonk.worker import Worker\n"
        "worker = Worker()\n"
        "worker.handles('{jobs}')(str.upper)\n",
        "utf-8",
    )
    with Thoonk(backend=cluster.url) as thoonk:
        id = thoonk.job("{jobs}").put("x")
        options = ["--burst", "--processes", "1", "--backend", cluster.url]
        subprocess.run(
            [sys.executable, "-m", "thoonk.cli", "work", "tasks:worker", *options],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=60,
        )
    assert run(cluster, "job", "result", "{jobs}", id).stdout == "X"


@pytest.mark.parametrize(
    "words", [["create", "x", "--type", "feed"], ["job", "put", "x", "1"], ["stats", "x"]]
)
def test_names_without_braces_are_refused_with_the_right_one(
    cluster: Cluster, words: list[str]
) -> None:
    assert run(cluster, *words, code=2).stderr.endswith("use '{x}' instead of 'x'\n")


def test_a_result_is_waited_for(cluster: Cluster) -> None:
    run(cluster, "create", "{jobs}", "--type", "job")
    run(cluster, "job", "put", "{jobs}", "x", "--id", "a")
    says = run(cluster, "job", "result", "{jobs}", "a", "--no-wait", code=3).stderr
    assert "no result yet" in says
    with Thoonk(backend=cluster.url) as thoonk, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(run, cluster, "job", "result", "{jobs}", "a")
        owner = cluster.owner("{jobs}")
        becomes_true(lambda: owner.call("PUBSUB", "NUMSUB", "job.finish:{jobs}")[1] == 1)
        thoonk.job("{jobs}").get(timeout=10).finish("done")
        assert asked.result(30).stdout == "done"


def test_all_feeds_are_watched(cluster: Cluster) -> None:
    command = [sys.executable, "-m", "thoonk.cli", "--backend", cluster.url, "--json", "watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            becomes_true(
                lambda: all(node.call("PUBSUB", "NUMPAT") == 6 for node in cluster.masters())
            )
            with Thoonk(backend=cluster.url) as thoonk:
                for number in range(6):
                    thoonk.feed(f"{{{number}}}").publish("x", id="1")
            assert process.stdout is not None
            heard = set()
            while len(heard) < 6:
                notice = json.loads(process.stdout.readline())
                if notice["event"] == "publish":
                    heard.add(notice["feed"])
            assert heard == {f"{{{number}}}" for number in range(6)}
        finally:
            process.terminate()


def test_feeds_are_copied_to_a_cluster_under_another_name(cluster: Cluster, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path}/jobs.db"
    with Thoonk(backend=file) as thoonk:
        thoonk.job("jobs").put("x")
    refused = run(cluster, "copy", file, cluster.url, code=2).stderr
    assert refused.endswith("use '{jobs}' instead of 'jobs'; copy it by itself, with --as NAME\n")
    run(cluster, "copy", file, cluster.url, "jobs", "--as", "{jobs}")
    assert run(cluster, "job", "get", "{jobs}", "--no-wait").stdout.endswith("\nx")


def test_the_example_of_shards_runs(cluster: Cluster) -> None:
    options = ["--backend", cluster.url, "--orders", "40"]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples/shards.py"), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.endswith("Each customer's orders were done in their order.\n")
    assert sum(node.call("DBSIZE") for node in cluster.masters()) == 0
