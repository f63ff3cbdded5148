"""The command ``workers``: which workers there are, and what each does."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import attrs
import click

from thoonk import WorkerInfo
from thoonk.cli.ages import short_age
from thoonk.cli.output import print_table, to_terminal, write_json, write_line
from thoonk.cli.session import Command, Session, names_argument, pass_session
from thoonk.raw_items import printable

COLUMNS = ("host", "pid", "group", "feeds", "busy", "of", "up", "seen", "state", "version", "jobs")
FOR_MACHINES = ("group", "version")
"""Left out on a terminal."""
NUMBERS = ("pid", "busy", "of", "up", "seen")


def _record(worker: WorkerInfo) -> dict[str, Any]:
    """It as JSON."""
    return attrs.asdict(worker, value_serializer=lambda _, __, value: _plain(value))


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="milliseconds") if isinstance(value, dt.datetime) else value


def _cells(worker: WorkerInfo) -> list[str]:
    """It as a row of the table."""
    up = (worker.reported - worker.started).total_seconds() + worker.age
    jobs = []
    for job in worker.jobs:
        took = (worker.reported - job.since).total_seconds() + worker.age
        again = f" attempt {job.attempt}" if job.attempt > 1 else ""
        where = f"{job.feed}/" if len(worker.feeds) > 1 else ""
        jobs.append(f"{where}{job.id} {short_age(took)}{again}")
    return [
        printable(worker.host),
        str(worker.pid),
        printable(worker.group),
        printable(", ".join(worker.feeds)),
        str(worker.busy),
        str(worker.concurrency),
        short_age(max(0.0, up)),
        short_age(worker.age),
        "stopping" if worker.is_stopping else "working" if worker.busy else "idle",
        printable(worker.version),
        printable(", ".join(jobs)),
    ]


@click.command(cls=Command)
@names_argument
@pass_session
def workers(session: Session, names: tuple[str, ...]) -> None:
    """List live workers: all, or those of the feeds named.

    busy is the number of jobs that run now, of is how many can run at once, up is the time since
    the worker started, and seen is the time since its last report. A worker that dies stays
    listed for another 20 seconds.
    """
    found = session.client.get_workers()
    if names:
        found = [worker for worker in found if not {*names}.isdisjoint(worker.feeds)]
    if session.json:
        for worker in found:
            write_json(_record(worker))
    elif to_terminal():
        if not found:
            click.echo("There are no live workers.", err=True)
            return
        shown = [column not in FOR_MACHINES for column in COLUMNS]
        rows = ([*itertools.compress(_cells(worker), shown)] for worker in found)
        columns = [*itertools.compress(COLUMNS, shown)]
        print_table(columns, rows, right=NUMBERS, long="jobs")
    else:
        for row in (COLUMNS, *map(_cells, found)):
            write_line("\t".join(cell or "-" for cell in row))
