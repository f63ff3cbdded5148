"""workers, in a pipe."""

from __future__ import annotations

import datetime as dt

import pytest

from cli.conftest import Cli
from thoonk import Thoonk
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport


@pytest.fixture
def thoonk(thoonk: Thoonk) -> Thoonk:
    """A client in a world with two workers."""
    jobs = (ReportedJob("a\n", "7", 1, 7200.0), ReportedJob("b", "x y", 3, 60.0))
    busy = WorkerReport(
        *("web-1:17:x", "web-1", 17, "2.0", ("a\n", "b"), 8),
        processes=3,
        group="web-1:7",
        running_for=86_400.0,
        busy=2,
        jobs=jobs,
    )
    ending = WorkerReport("web-2:5:y", "web-2", 5, "2.0", ("b",), 1, is_stopping=True)
    for report in (busy, ending):
        thoonk.backend.execute(ReportWorker(report, 600))
    return thoonk


@pytest.mark.usefixtures("thoonk")
def test_workers_are_listed_with_what_they_do(cli: Cli) -> None:
    head, first, second = (line.split("\t") for line in cli("workers").lines)
    assert head == [
        *("host", "pid", "group", "feeds", "busy", "of", "up", "seen", "state", "version", "jobs"),
    ]
    assert (first[:7], first[8:]) == (
        ["web-1", "17", "web-1:7", r"a\n, b", "2", "8", "1d"],
        ["working", "2.0", r"a\n/7 2h, b/x y 1m attempt 3"],
    )
    assert int(first[7].rstrip("s")) < 60
    assert (second[:6], second[8:]) == (
        ["web-2", "5", "-", "b", "0", "1"],
        ["stopping", "2.0", "-"],
    )


@pytest.mark.usefixtures("thoonk")
def test_only_those_on_some_feeds(cli: Cli) -> None:
    assert len(cli("workers", "b").lines) == 3
    assert [line.split("\t")[0] for line in cli("workers", "a\n").lines] == ["host", "web-1"]
    assert cli("workers", "z", "--json").records == []


@pytest.mark.usefixtures("thoonk")
def test_machines_read_json(cli: Cli) -> None:
    first, second = cli("workers", "--json").records
    assert second["jobs"] == []
    reported = dt.datetime.fromisoformat(first.pop("reported"))
    started = dt.datetime.fromisoformat(first.pop("started"))
    assert reported - started == dt.timedelta(days=1)
    assert reported.tzinfo is not None
    since = [dt.datetime.fromisoformat(job.pop("since")) for job in first["jobs"]]
    assert since[0] == reported - dt.timedelta(hours=2)
    assert 0 <= first.pop("age") < 60
    assert first == {
        "id": "web-1:17:x",
        "host": "web-1",
        "pid": 17,
        "version": "2.0",
        "feeds": ["a\n", "b"],
        "concurrency": 8,
        "processes": 3,
        "group": "web-1:7",
        "is_stopping": False,
        "busy": 2,
        "jobs": [
            {"feed": "a\n", "id": "7", "attempt": 1},
            {"feed": "b", "id": "x y", "attempt": 3},
        ],
    }


def test_where_nobody_works_there_is_nothing_to_list(cli: Cli) -> None:
    assert len(cli("workers").lines) == 1
