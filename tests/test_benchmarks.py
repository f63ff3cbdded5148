"""The benchmarks run, count what they say they count, and are what the documentation shows."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import servers

ROOT = Path(__file__).resolve().parent.parent


def benchmarks(*arguments: str | Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """With what is installed here."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--here", *map(str, arguments)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# One test, so that it is done once however tests are shared out among processes.
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_is_measured_and_shown(tmp_path: Path, catalogue: Any) -> None:
    quick = run_quickly(tmp_path)
    check_everybody_is_measured_in_everything(quick, catalogue)
    check_round_trips_are_counted(quick)
    check_the_tables_show_the_ratios(quick)


def run_quickly(folder: Path) -> dict[str, Any]:
    """The results of a run that takes seconds; `tables` is what it printed."""
    output = folder / "results.json"
    done = benchmarks("--quick", "--no-peers", "--output", output)
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads(output.read_text("utf-8")), "tables": done.stdout}


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


@pytest.fixture(scope="module")
def catalogue() -> Any:
    """The module that says who takes part. The checkout is not on the path: the wheel is tested."""
    file = ROOT / "benchmarks" / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "benchmarks", file, submodule_search_locations=[str(file.parent)]
    )
    assert spec is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "benchmarks", importlib.util.module_from_spec(spec))
        yield importlib.import_module("benchmarks.catalogue")


def check_everybody_is_measured_in_everything(quick: dict[str, Any], catalogue: Any) -> None:
    parts = quick["parts"]
    assert quick["failures"] == []
    for contestant in (*catalogue.FLOORS, *catalogue.THOONK):
        for visit in contestant.visits:
            for method in set(visit) - {"fill"}:
                (sample,) = parts["rates"][method][contestant.name]
                assert sample["count"] >= 20
                assert sample["seconds"] > 0
                assert sample["client_cpu"] > 0
        if contestant.workers:
            assert parts["drain"][contestant.name][0]["seconds"] > 0
    ours = [c for c in catalogue.AT_ONCE if c.environment == catalogue.OURS]
    for contestant in ours:
        by_calls = parts["at_once"][contestant.visits[0][0]][contestant.name]
        assert by_calls.keys() == {str(calls) for calls in contestant.calls}
    assert parts["at_once"]["drain"].keys() == {c.name for c in ours if c.workers}
    assert parts["notices"].keys() == {"floor.listen", "floor.script_listen", "thoonk.feed"}
    assert parts["waking"].keys() == {"floor.brpop", "thoonk.queue", "thoonk.job"}
    assert parts["pauses"].keys() == {c.name for c in catalogue.BULK}
    assert parts["growth"].keys() == {"feed-size", "item-bytes", "subscribers"}
    assert all(math.isfinite(number) for number in numbers(parts))


def check_round_trips_are_counted(quick: dict[str, Any]) -> None:
    def trips(method: str, name: str) -> float:
        counted: float = quick["parts"]["trips"][method][name]["trips"]
        return counted

    # One more in the forty, such as for a connection that was opened anew, is no matter.
    one, two = pytest.approx(1, abs=0.1), pytest.approx(2, abs=0.1)
    assert trips("put", "floor.lists") == one
    assert trips("claim", "floor.scripts") == two
    for name in ("thoonk.job", "thoonk.queue"):
        assert trips("put", name) == one
        assert trips("claim", name) == two
    assert trips("publish", "thoonk.feed") == one
    assert trips("async_put", "thoonk.async_job") == one
    assert trips("loop", "thoonk.job") == one
    assert trips("prefetch", "thoonk.job") < 0.5


def check_the_tables_show_the_ratios(quick: dict[str, Any]) -> None:
    lines = quick["tables"].splitlines()
    (line,) = (line for line in lines if line.startswith("put, job "))
    rates = quick["parts"]["rates"]["put"]
    ours, floor = rates["thoonk.job"][0], rates["floor.scripts"][0]
    assert f"{floor['seconds'] / ours['seconds']:.2f} (" in line


def test_a_part_can_be_chosen(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    done = benchmarks("--quick", "--no-peers", "--only", "space", "--output", output)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text("utf-8"))
    assert found["parts"].keys() == {"space"}
    assert 256 < found["parts"]["space"]["thoonk.job"]["queued"]["keys"] < 1000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_libraries_for_node_take_part(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "no node or no npm on this machine"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=ignore_environments)
    names = ("bullmq.node", "beequeue")
    prepare = f"from benchmarks import environments; environments.prepare({names!r})"
    done = subprocess.run(
        [sys.executable, "-c", prepare],
        cwd=tmp_path,
        env={**os.environ, "npm_config_cache": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "left out" not in done.stderr
    output = tmp_path / "results.json"
    asked = ",".join((*names, "bullmq.pipelining"))
    options = ("--quick", "--only", "rates,drain,at_once", "--contestants", asked)
    done = benchmarks(*options, "--output", output, root=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text("utf-8"))
    parts = found["parts"]
    for name in names:
        assert parts["rates"]["put"][name][0]["client_cpu"] > 0
        assert parts["rates"]["put_many"][name][0]["server_cpu"] > 0
        assert parts["drain"][name][0]["seconds"] > 0
        assert parts["at_once"]["put_at_once"][name].keys() == {"1", "10", "100", "1000"}
        assert parts["at_once"]["drain"][name][0]["seconds"] > 0
        assert found["machine"]["versions"][name]
    for label in ("BullMQ (Node) add", "BullMQ (Node) add, auto-pipelining"):
        assert any(line.startswith(f"{label}  ") for line in done.stdout.splitlines())


def test_an_unknown_part_is_refused() -> None:
    done = benchmarks("--only", "rates,speed")
    assert done.returncode == 2
    assert "no such part: speed" in done.stderr


def test_a_contestant_that_fails_is_told_of(tmp_path: Path) -> None:
    """Not passed over: what is missing in the tables has to have a reason."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=ignore_environments)
    file = tmp_path / "benchmarks/contestants/floors.py"
    file.write_text(file.read_text("utf-8").replace("redis.call('LPUSH'", "redis.call('LPUSCH'"))
    output = tmp_path / "results.json"
    done = benchmarks("--quick", "--no-peers", "--only", "space", "--output", output, root=tmp_path)
    assert done.returncode == 1
    assert "failed: floor.scripts: redis.exceptions.ResponseError" in done.stderr
    assert "floor.scripts" not in json.loads(output.read_text("utf-8"))["parts"]["space"]


def ignore_environments(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in (".environments", "__pycache__")]


def test_the_documentation_shows_the_published_run() -> None:
    done = benchmarks("--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_table_of_the_workers_of_rq_is_that_of_its_run() -> None:
    results = ROOT / "benchmarks/results/rq-workers.json"
    samples = json.loads(results.read_text("utf-8"))["parts"]["drain"]

    def used(name: str) -> list[float]:
        return [(s["client_cpu"] + s["server_cpu"]) / s["count"] * 1e6 for s in samples[name]]

    def cell(ours: str, theirs: str) -> str:
        by = [a / b for a, b in zip(used(theirs), used(ours), strict=True)]
        return f"{statistics.median(by):.0f} ({min(by):.0f}–{max(by):.0f})"

    page = (ROOT / "docs/performance.md").read_text("utf-8")
    one, eight = "thoonk.one_thread", "thoonk.job"
    for start, name in (("Thoonk, 1 thread", one), ("Thoonk, 8 threads", eight)):
        assert f"| {start} | {statistics.median(used(name)):,.0f} |" in page
    for start, name in (("RQ, `SimpleWorker`", "rq"), ("RQ, `Worker`", "rq.forking")):
        (row,) = (line for line in page.splitlines() if line.startswith(f"| {start}"))
        assert row.endswith(
            f"| {statistics.median(used(name)):,.0f} | {cell(one, name)} | {cell(eight, name)} |"
        )


def test_documentation_that_shows_another_run_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=ignore_environments)
    shutil.copytree(ROOT / "docs/charts", tmp_path / "docs/charts")
    shutil.copy(ROOT / "docs/performance.md", tmp_path / "docs")
    assert benchmarks("--check", root=tmp_path).returncode == 0
    page = tmp_path / "docs/performance.md"
    page.write_text(page.read_text("utf-8").replace("| put, job | ", "| put, job |  ", 1), "utf-8")
    (tmp_path / "docs/charts/speed.svg").unlink()
    done = benchmarks("--check", root=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "stale: docs/charts/speed.svg\nstale: docs/performance.md\n"
