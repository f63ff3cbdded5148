"""Workers are listed while they are alive, and their connections have names."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import threading
import time
from typing import Any

import attrs
import pytest
import redis
from conftest import World, smallest_rule

from thoonk import Thoonk, UnsupportedOperation, WorkerInfo
from thoonk.backends.redis import AsyncRedisBackend, RedisBackend
from thoonk.operations import ReadWorkers, RemoveWorker, ReportWorker
from thoonk.worker.reporting import Reporting

from .conftest import Commands, Workers, poll

HOST = socket.gethostname()
QUICK = Reporting(every=0.05, keep=600.0)

PROGRAM = """
    import time
    from thoonk.worker import {kind}
    from thoonk.worker.reporting import Reporting

    worker = {kind}({options})
    worker._reporting = Reporting(every=0.1, keep=1.0)

    @worker.handles("j")
    {function} work(item):
        {work}
"""

KINDS = {
    "threads": ("Worker", "def", "time.sleep({})"),
    "tasks": ("AsyncWorker", "async def", "import asyncio; await asyncio.sleep({})"),
}


def program(kind: str, options: str = "", takes: float = 0) -> str:
    worker, function, work = KINDS[kind]
    return PROGRAM.format(kind=worker, function=function, options=options, work=work.format(takes))


def sole(thoonk: Thoonk) -> WorkerInfo | None:
    """The only worker there is, if there is one."""
    found = thoonk.get_workers()
    assert len(found) < 2
    return found[0] if found else None


def test_a_worker_is_listed_with_what_it_does_and_removed_when_it_ends(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker = workers(concurrency=3)
    worker._reporting = QUICK
    began, may_end = threading.Event(), threading.Event()

    def handler(item: str) -> None:
        began.set()
        poll(may_end.is_set)

    if workers.kind == "tasks":
        # A handler that blocks the loop would keep it from reporting.
        async def handler(item: str) -> None:  # type: ignore[no-redef]
            began.set()
            while not may_end.is_set():
                await asyncio.sleep(0.01)

    worker.handle("a: ü", handler)
    worker.handle("b", handler, concurrency=1)
    jobs = thoonk.job("a: ü")
    try:
        with workers.working(worker):
            idle: Any = poll(lambda: sole(thoonk))
            assert attrs.evolve(idle, started=None, reported=None, age=0, version="") == (
                WorkerInfo(
                    *(idle.id, HOST, os.getpid(), "", ("a: ü", "b"), 4, 0, ""),
                    started=None,  # type: ignore[arg-type]
                    reported=None,  # type: ignore[arg-type]
                )
            )
            assert idle.version
            id = jobs.put("x")
            assert began.wait(60)
            busy: Any = poll(lambda: (w := sole(thoonk)) and w.busy and w)
            assert [(job.feed, job.id, job.attempt) for job in busy.jobs] == [("a: ü", id, 1)]
            (job,) = busy.jobs
            assert idle.started <= job.since <= busy.reported
            worker.stop()
            poll(lambda: (w := sole(thoonk)) and w.is_stopping)
            may_end.set()
        assert thoonk.get_workers() == []
    finally:
        may_end.set()


def test_workers_report_every_five_seconds_where_nothing_else_is_configured() -> None:
    assert Reporting() == Reporting(every=5.0, keep=20.0)


@pytest.mark.parametrize("kind", KINDS)
def test_reports_cost_one_call_each_and_no_more_than_they_should(
    commands: Commands, client: Thoonk, one_server: World, kind: str
) -> None:
    commands.write(program(kind).replace("every=0.1, keep=1.0", "every=0.5, keep=600"))
    command = commands.start("app")
    poll(client.get_workers)
    with one_server.raw.monitor() as monitor:
        reports: list[float] = []
        deadline = time.monotonic() + 30
        while len(reports) < 4:
            assert time.monotonic() < deadline
            one_server.raw.echo("so that there is something to read")
            seen = monitor.next_command()
            if seen["client_type"] == "lua" and "HSET feed.workers" in seen["command"]:
                reports.append(float(seen["time"]))
    # A worker waits from the answer to one report to the next.
    assert min(later - earlier for earlier, later in itertools.pairwise(reports)) > 0.45
    command.signal(signal.SIGTERM)
    assert command.ends() == 0
    assert client.get_workers() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_is_killed_is_listed_until_its_time_is_over(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(program(kind, takes=600))
    command = commands.start("app")
    id = client.job("j").put("x")
    found: Any = poll(lambda: (w := sole(client)) and w.busy and w)
    assert (found.pid, [job.id for job in found.jobs]) == (command.process.pid, [id])
    command.process.kill()
    poll(lambda: client.get_workers() == [])


@pytest.mark.parametrize("kind", KINDS)
def test_each_process_reports_itself_and_names_its_supervisor(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(program(kind, options="processes=2, concurrency=3"))
    command = commands.start("app")
    found: Any = poll(lambda: len(each := client.get_workers()) == 2 and each)
    assert {worker.pid for worker in found} == {*command.children()}
    assert {worker.group for worker in found} == {f"{HOST}:{command.process.pid}"}
    assert {(worker.processes, worker.concurrency) for worker in found} == {(2, 3)}
    killed = found[0].pid
    os.kill(killed, signal.SIGKILL)
    # It is replaced, and its record runs out.
    poll(lambda: len(client.get_workers()) == 2 and killed not in pids(client))
    command.signal(signal.SIGTERM)
    assert command.ends() == 0
    assert client.get_workers() == []


def pids(client: Thoonk) -> set[int]:
    return {worker.pid for worker in client.get_workers()}


# --- where reports fail ----------------------------------------------------------------------


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[str]:
    """Let all that is asked about workers fail; returns what was asked."""
    asked: list[str] = []

    def check(operation: Any) -> None:
        if isinstance(operation, ReportWorker | RemoveWorker | ReadWorkers):
            asked.append(type(operation).__name__)
            raise error

    execute, execute_async = RedisBackend.execute, AsyncRedisBackend.execute

    def checked(self: Any, operation: Any) -> Any:
        check(operation)
        return execute(self, operation)

    async def checked_async(self: Any, operation: Any) -> Any:
        check(operation)
        return await execute_async(self, operation)

    monkeypatch.setattr(RedisBackend, "execute", checked)
    monkeypatch.setattr(AsyncRedisBackend, "execute", checked_async)
    return asked


@pytest.mark.parametrize(
    ("error", "asks_again"),
    [(UnsupportedOperation("no ReportWorker here"), False), (ZeroDivisionError(), True)],
    ids=["an older backend", "whatever else"],
)
def test_a_worker_whose_reports_fail_works_all_the_same(
    workers: Workers,
    thoonk: Thoonk,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    asks_again: bool,
) -> None:
    asked = refuse(monkeypatch, error)
    worker = workers()
    worker._reporting = QUICK
    workers.handle(worker, "j", lambda item: "done")
    jobs = thoonk.job("j")
    with workers.working(worker):
        first = jobs.put("x")
        assert jobs.get_result(first, timeout=60).result == "done"
        if asks_again:
            poll(lambda: asked.count("ReportWorker") > 2)
        second = jobs.put("y")
        assert jobs.get_result(second, timeout=60).result == "done"
    if not asks_again:
        assert asked == ["ReportWorker"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_who_may_not_report_works_and_is_warned_once(
    one_server: World, thoonk_on_one: Thoonk, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    rule = [word for word in smallest_rule() if word not in ("+client|setinfo", "~feed.*")]
    # The keys of one feed alone, and no names for connections.
    rule = [word for word in rule if word != "+client|setname"]
    rule += ["~feed.*:j", "~feed.jobfinished:j*"]
    one_server.raw.execute_command(*rule)
    url = one_server.url.replace("//", "//thoonk:PASSWORD@")
    made = Workers(kind, url)
    worker = made(concurrency=1)
    worker._reporting = QUICK
    made.handle(worker, "j", lambda item: "done")
    jobs = thoonk_on_one.job("j")
    try:
        with caplog.at_level(logging.DEBUG, "thoonk.worker"), made.working(worker):
            id = jobs.put("x")
            assert jobs.get_result(id, timeout=60).result == "done"
            poll(lambda: [r for r in caplog.records if vars(r).get("event") == EVENT])
    finally:
        one_server.raw.execute_command("ACL", "DELUSER", "thoonk")
    (record,) = [r for r in caplog.records if vars(r).get("event") == EVENT]
    assert record.levelno == logging.WARNING
    assert thoonk_on_one.get_workers() == []


EVENT = "worker_not_reported"


@pytest.fixture
def thoonk_on_one(one_server: World) -> Any:
    with Thoonk(backend=one_server.url) as client:
        yield client


# --- names of connections ---------------------------------------------------------------------


def have_names(raw: redis.Redis, *names: str) -> None:
    """Wait until connections have these names, and no others."""
    poll(lambda: {client["name"] for client in raw.client_list()} - {""} == {*names})


def test_connections_of_workers_and_of_clients_have_names(
    one_server: World, thoonk_on_one: Thoonk
) -> None:
    own = f"thoonk:{HOST}:{os.getpid()}"
    thoonk_on_one.feed_exists("f")
    have_names(one_server.raw, own)
    with thoonk_on_one.feed("f").subscribe():
        have_names(one_server.raw, own)
    for kind in KINDS:
        made = Workers(kind, one_server.url)
        worker = made(concurrency=1)
        made.handle(worker, "j", lambda item: None)
        with made.working(worker):
            name = f"thoonk:worker:{HOST}:{os.getpid()}"
            have_names(one_server.raw, own, name)
        have_names(one_server.raw, own)


def test_a_name_that_is_given_wins(one_server: World) -> None:
    separator = "&" if "?" in one_server.url else "?"
    with contextlib.closing(redis.Redis.from_url(one_server.url)) as plain:
        for backend in (f"{one_server.url}{separator}client_name=mine", plain):
            with Thoonk(backend=backend) as client:
                client.feed_exists("f")
                have_names(one_server.raw, *(() if backend is plain else ("mine",)))
            have_names(one_server.raw)
    with Thoonk(backend=one_server.url, client_name="theirs") as client:
        client.feed_exists("f")
        have_names(one_server.raw, "theirs")


def test_what_a_name_must_not_have_is_replaced(
    one_server: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "wéb 1\n")
    with Thoonk(backend=one_server.url) as client:
        client.feed_exists("f")
        have_names(one_server.raw, f"thoonk:w-b-1-:{os.getpid()}")
