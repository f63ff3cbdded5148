"""The example of Grafana's dashboard and Prometheus' rules: tried with Prometheus itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from conftest import World
from prometheus_client import CollectorRegistry, start_http_server

from thoonk import NotClaimed, Thoonk
from thoonk.observe import ObservedBackend
from thoonk.observe.prometheus import FeedCollector, Metrics
from thoonk.operations import ReportWorker, WorkerReport
from thoonk.testing._sync.helpers import until
from thoonk.testing.servers import HeldPort
from thoonk.worker import Worker

FOLDER = Path(__file__).parents[2] / "examples/monitoring"
NAME = re.compile(r"\bthoonk_\w+")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"no {name} on this machine"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    Metrics(registry)
    collector = FeedCollector("memory://monitoring")
    registry.register(collector)
    yield registry
    collector.close()


def expressions() -> Iterator[str]:
    """All that is asked of Prometheus, by the dashboard and by the rules."""

    def of(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for name, part in value.items():
                if name in ("expr", "definition"):
                    yield part
                yield from of(part)
        elif isinstance(value, list):
            for part in value:
                yield from of(part)

    yield from of(json.loads((FOLDER / "dashboard.json").read_text("utf-8")))
    for name in ("alerts.yml", "alerts_test.yml"):
        yield (FOLDER / name).read_text("utf-8")


def test_every_metric_that_is_asked_for_is_exported(registry: CollectorRegistry) -> None:
    exported = {
        family.name + suffix
        for family in registry.collect()
        for suffix in SUFFIXES.get(family.type, ())
    }
    asked = {name for text in expressions() for name in NAME.findall(text)}
    assert len(asked) > 10
    assert asked - exported == set()


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(places) == len({*places})  # none covers another
    assert max(x for x, _ in places) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


def test_prometheus_accepts_the_files_and_the_rules_do_what_they_say() -> None:
    promtool = program("promtool")
    for arguments in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        done = subprocess.run(
            [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def make_traffic(url: str, metrics: Metrics) -> None:
    """Something for every panel to show."""
    backend = ObservedBackend(url, metrics)
    with Thoonk(backend=backend) as thoonk:
        mail = thoonk.job("mail", {"claim_timeout": 600})
        worker = Worker(thoonk, concurrency=1)

        @worker.handles("mail", retries=0)
        def send(letter: str) -> None:
            if letter == "to nobody":
                raise ValueError(letter)

        mail.put_many(["to Ann", "to nobody"])
        worker.run(burst=True)
        mail.put("to Ben")
        mail.put("to Cleo")
        mail.put("to Dora", delay=600)
        mail.get(timeout=60)
        claim = mail.get(timeout=60)
        claim.cancel()
        with pytest.raises(NotClaimed):
            claim.finish()
        mail.put("to Eve")
        report = WorkerReport("id", "host", 1, "2", ("mail",), 1)
        thoonk.backend.execute(ReportWorker(report, keep=3600))


def test_prometheus_reads_the_metrics_and_each_panel_shows_something(
    real_world: World, tmp_path: Path
) -> None:
    prometheus = program("prometheus")
    registry = CollectorRegistry()
    collector = FeedCollector(real_world.url)
    registry.register(collector)
    make_traffic(real_world.url, Metrics(registry))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    held = HeldPort()
    port, own_port = server.server_port, held.number
    config = (FOLDER / "prometheus.yml").read_text("utf-8")
    for old, new in (("localhost:9400", f"127.0.0.1:{port}"), ("_interval: 15s", "_interval: 1s")):
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "prometheus.yml").write_text(config.replace("timeout: 5s", "timeout: 1s"), "utf-8")
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    log = (tmp_path / "log").open("wb")
    running = subprocess.Popen(
        [
            prometheus,
            "--config.file=prometheus.yml",
            f"--web.listen-address=127.0.0.1:{own_port}",
            "--storage.tsdb.path=data",
        ],
        cwd=tmp_path,
        stdout=log,
        stderr=subprocess.STDOUT,
    )

    def ask(path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{own_port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert running.poll() is None, (tmp_path / "log").read_text("utf-8")
            return None

    def answer(asked: str) -> Any:
        return (ask("query", query=asked) or {}).get("result")

    try:
        found = until(lambda: answer('thoonk_feed_waiting{feed="mail"}'), timeout=60)
        assert found[0]["value"][1] == "1"
        dashboard = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                asked = target["expr"].replace("$feed", ".*").replace("$__rate_interval", "1m")
                # A rate needs two samples.
                assert until(lambda asked=asked: answer(asked), timeout=60), asked
        groups = until(
            lambda: [
                group
                for group in ask("rules")["groups"]
                if all(rule["health"] == "ok" for rule in group["rules"])
            ],
            timeout=60,
        )
        assert len(groups) == 1
    finally:
        running.terminate()
        running.wait(30)
        log.close()
        held.release()
        server.shutdown()
        server.server_close()
        thread.join(10)
        collector.close()
