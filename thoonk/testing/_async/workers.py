"""Which workers there are (contract: Records of workers)."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from thoonk import AsyncThoonk, InvalidType, InvalidValue, WorkerInfo, WorkerJob
from thoonk.operations import (
    LONGEST_KEPT,
    MOST_REPORTED,
    ReadWorkers,
    RemoveWorker,
    ReportedJob,
    ReportWorker,
    WorkerReport,
)
from thoonk.testing._async.contract import AsyncContract

KEEP = 600.0
"""Seconds: longer than a test takes."""

NEAR = dt.timedelta(seconds=30)

IDLE = WorkerReport("web-1:17:x", "web-1", 17, "2.0", ("images",), 8)


def is_about(time: dt.datetime, now: dt.datetime, age: float) -> bool:
    """Whether ``time`` is ``age`` seconds before ``now``, both by the backend's clock."""
    return abs(now - time - dt.timedelta(seconds=age)) < NEAR


class AsyncWorkersContract(AsyncContract):
    """What workers report of themselves."""

    async def test_there_are_no_workers_where_none_has_reported(self, thoonk: AsyncThoonk) -> None:
        assert await thoonk.get_workers() == []

    async def test_a_report_is_read_by_everybody_as_it_was_made(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        report = WorkerReport(
            "web 1:17:ü",
            "web 1 ü",
            17,
            "2.0.0",
            ("b, c=d", "ä : 1", "images"),
            24,
            processes=3,
            group="web 1:7",
            running_for=3600.0,
            is_stopping=True,
            busy=3,
            jobs=(
                ReportedJob("images", "id with = and spaces ", 3, 120.0),
                ReportedJob("b, c=d", "1", 1, 60.0),
            ),
        )
        await thoonk.backend.execute(ReportWorker(report, KEEP))
        (found,) = await other.get_workers()
        assert is_about(found.started, found.reported, 3600)
        first, second = found.jobs
        assert is_about(first.since, found.reported, 120)
        assert is_about(second.since, found.reported, 60)
        assert found.reported.tzinfo is dt.UTC
        assert found == WorkerInfo(
            id="web 1:17:ü",
            host="web 1 ü",
            pid=17,
            version="2.0.0",
            feeds=("b, c=d", "ä : 1", "images"),
            concurrency=24,
            processes=3,
            group="web 1:7",
            started=found.started,
            reported=found.reported,
            is_stopping=True,
            busy=3,
            jobs=(
                WorkerJob("images", "id with = and spaces ", first.since, 3),
                WorkerJob("b, c=d", "1", second.since, 1),
            ),
            age=found.age,
        )
        assert 0 <= found.age < NEAR.total_seconds()

    async def test_the_next_report_takes_the_place_of_the_last(self, thoonk: AsyncThoonk) -> None:
        job = ReportedJob("images", "a")
        busy = attrs.evolve(IDLE, busy=1, jobs=(job,), is_stopping=True)
        await thoonk.backend.execute(ReportWorker(busy, KEEP))
        (before,) = await thoonk.get_workers()
        await thoonk.backend.execute(ReportWorker(IDLE, KEEP))
        (found,) = await thoonk.get_workers()
        assert (before.busy, len(before.jobs), before.is_stopping) == (1, 1, True)
        assert (found.busy, found.jobs, found.is_stopping) == (0, (), False)
        assert found.reported >= before.reported

    async def test_a_worker_that_has_ended_is_removed_and_no_other(
        self, thoonk: AsyncThoonk
    ) -> None:
        for id in ("a", "b"):
            await thoonk.backend.execute(ReportWorker(attrs.evolve(IDLE, id=id), KEEP))
        assert await thoonk.backend.execute(RemoveWorker("a")) is True
        assert await thoonk.backend.execute(RemoveWorker("a")) is False
        assert [worker.id for worker in await thoonk.get_workers()] == ["b"]

    async def test_a_worker_that_reports_no_more_is_there_until_its_time_is_over(
        self, thoonk: AsyncThoonk
    ) -> None:
        await thoonk.backend.execute(ReportWorker(attrs.evolve(IDLE, id="short"), 1.0))
        await thoonk.backend.execute(ReportWorker(attrs.evolve(IDLE, id="long"), KEEP))
        assert "long" in [worker.id for worker in await thoonk.get_workers()]
        await self.pass_time(1.1)
        assert [worker.id for worker in await thoonk.get_workers()] == ["long"]
        await thoonk.backend.execute(ReportWorker(attrs.evolve(IDLE, id="short"), KEEP))
        found = [worker.id for worker in await thoonk.get_workers()]
        assert found == ["long", "short"]

    async def test_a_worker_that_reports_in_time_stays(self, thoonk: AsyncThoonk) -> None:
        for _ in range(3):
            await thoonk.backend.execute(ReportWorker(IDLE, 10.0))
            await self.pass_time(4)
        (found,) = await thoonk.get_workers()
        assert 3.9 < found.age < 10

    async def test_they_come_by_host_and_process_and_by_feed_where_that_is_asked(
        self, thoonk: AsyncThoonk
    ) -> None:
        for host, pid, feeds in (("b", 2, ("x",)), ("b", 10, ("x", "y")), ("a", 3, ("y",))):
            report = attrs.evolve(IDLE, id=f"{host}:{pid}", host=host, pid=pid, feeds=feeds)
            await thoonk.backend.execute(ReportWorker(report, KEEP))
        assert [worker.id for worker in await thoonk.get_workers()] == ["a:3", "b:2", "b:10"]
        assert [worker.id for worker in await thoonk.get_workers("x")] == ["b:2", "b:10"]
        assert await thoonk.get_workers("z") == []
        with pytest.raises(InvalidValue):
            await thoonk.get_workers("")

    async def test_many_are_read_in_parts(self, thoonk: AsyncThoonk) -> None:
        jobs = tuple(ReportedJob("images", f"job-{n}") for n in range(MOST_REPORTED))
        ids = [f"worker-{n:04}" for n in range(300)]
        for id in ids:
            report = attrs.evolve(IDLE, id=id, busy=150, jobs=jobs if id == ids[7] else ())
            await thoonk.backend.execute(ReportWorker(report, KEEP))
        workers = await thoonk.get_workers()
        assert [worker.id for worker in workers] == ids
        assert len(workers[7].jobs) == MOST_REPORTED
        page = await thoonk.backend.execute(ReadWorkers())
        assert page.workers

    async def test_what_is_not_allowed_is_refused_before_anything_is_sent(
        self, thoonk: AsyncThoonk
    ) -> None:
        backend = self.backend()
        for keep in (0.0, -1.0, LONGEST_KEPT + 1):
            with pytest.raises(InvalidValue):
                await backend.execute(ReportWorker(IDLE, keep))
        many = tuple(ReportedJob("images", str(n)) for n in range(MOST_REPORTED + 1))
        for wrong in (
            {"id": ""},
            {"feeds": ()},
            {"feeds": ("",)},
            {"pid": -1},
            {"jobs": many},
            {"jobs": (ReportedJob("other", "a"),)},
        ):
            with pytest.raises((InvalidValue, InvalidType)):
                attrs.evolve(IDLE, **wrong)
        assert backend.sent == []
        assert await thoonk.get_workers() == []
