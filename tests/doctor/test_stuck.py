"""Jobs that are claimed for much longer than usual are told, however often claims are extended."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest
import servers
from click.testing import CliRunner
from conftest import World

from thoonk import InvalidValue, Thoonk
from thoonk.doctor import Finding, examine
from thoonk.doctor.claims import NAMED, STUCK_AFTER
from thoonk.doctor.command import doctor
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport
from thoonk.testing.clock import rewind

IGNORED = ("persistence",)


@pytest.fixture
def server(real_world: World) -> servers.Server:
    assert real_world.server is not None
    return real_world.server


@pytest.fixture
def thoonk(server: servers.Server) -> Iterator[Thoonk]:
    with Thoonk(backend=server.url) as client:
        yield client


def stuck(server: servers.Server, after: float | None = None) -> list[Finding]:
    report = examine(server.url, patience=0, ignore=IGNORED, stuck_after=after)
    assert {finding.check.name for finding in report.findings} <= {"stuck", "endless"}
    return [finding for finding in report.findings if finding.check.name == "stuck"]


def test_a_job_whose_claim_is_extended_again_and_again_is_told(
    thoonk: Thoonk, server: servers.Server
) -> None:
    job = thoonk.job("videos", {"claim_timeout": 60})
    job.put_many({"hangs": "x", "ends": "x", "young": "x", "waits": "x"})
    hangs, ends = job.get_nowait(), job.get_nowait()
    began = dt.datetime.now(dt.UTC)
    with server.client() as raw:
        # Each time the worker is alive, and says so within the claim_timeout.
        for _ in range(STUCK_AFTER + 1):
            assert rewind(raw, "videos", 60) == 2
            hangs.extend()
            ends.extend()
    ends.finish()
    young = job.get_nowait()
    young.extend()
    (finding,) = stuck(server)
    assert (finding.feed, finding.ids, finding.count) == ("videos", ("hangs",), 1)
    since = f"{began - dt.timedelta(seconds=60 * (STUCK_AFTER + 1)):%Y-%m-%d %H:}"
    assert finding.says.startswith(f"claimed since {since}")
    assert " UTC, for 1:01:" in finding.says
    assert finding.says.endswith(", no live worker reports it")
    assert finding.is_fault
    at = ReportedJob("videos", "hangs", running_for=3660)
    worker = WorkerReport("w", "host-1", 4711, "2.0", ("videos",), 1, busy=1, jobs=(at,))
    thoonk.backend.execute(ReportWorker(worker, keep=600))
    (finding,) = stuck(server)
    assert finding.says.endswith(", by worker host-1:4711")
    # The next attempt is not as old as the one before.
    hangs.cancel()
    for claim in job.get_many(2):
        claim.extend()
    assert stuck(server) == []


def test_a_limit_of_ones_own(thoonk: Thoonk, server: servers.Server) -> None:
    job = thoonk.job("videos")
    job.put_many({str(number): "x" for number in range(NAMED + 3)})
    claims = job.get_many(NAMED + 3)
    assert stuck(server) == []
    with server.client() as raw:
        rewind(raw, "videos", 30)
    for claim in claims:
        claim.extend()
    assert stuck(server) == stuck(server, 40) == []
    found = stuck(server, 20)
    assert [finding.count for finding in found] == [1] * NAMED + [3]
    assert {id for finding in found for id in finding.ids} == {claim.id for claim in claims}
    with pytest.raises(InvalidValue):
        examine(server.url, stuck_after=-1)


def test_the_command_has_it_as_an_option(thoonk: Thoonk, server: servers.Server) -> None:
    job = thoonk.job("videos", {"claim_timeout": 60})
    job.put("x", id="hangs")
    claim = job.get_nowait()
    with server.client() as raw:
        rewind(raw, "videos", 50)
    claim.extend()
    options = [server.url, "--patience", "0", "--ignore", "persistence"]
    done = CliRunner().invoke(doctor, [*options, "--stuck-after", "49"])
    assert done.exit_code == 1
    assert done.output.startswith("warning  stuck  feed 'videos': claimed since ")
    assert "UTC, for 0:00:5" in done.output
    assert "('hangs'); " in done.output
    done = CliRunner().invoke(doctor, [*options, "--stuck-after", "49", "--json"])
    (finding,) = json.loads(done.output)["findings"]
    assert (finding["check"], finding["ids"]) == ("stuck", ["hangs"])
    assert CliRunner().invoke(doctor, options).exit_code == 0
