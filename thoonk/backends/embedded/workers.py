"""Operations on the records of workers."""

from __future__ import annotations

import json
from typing import Any

import attrs

from thoonk import operations as ops
from thoonk.backends.embedded.step import SECOND, Step, does, microseconds, moment
from thoonk.backends.embedded.store import Record, Shelf


@does(ops.ReportWorker)
def report_worker(step: Step, op: ops.ReportWorker) -> None:
    """Keep what a worker reports."""
    for late in step.store.records(None, Shelf.WORKER, until=step.now, limit=ops.MOST):
        step.store.remove_record(None, Shelf.WORKER, late.id)
    text = json.dumps({**attrs.asdict(op.worker), "reported": step.now})
    until = step.now + microseconds(op.keep)
    step.store.put_record(None, Shelf.WORKER, Record(op.worker.id, until, text))


@does(ops.RemoveWorker)
def remove_worker(step: Step, op: ops.RemoveWorker) -> bool:
    """Drop what a worker has reported."""
    return step.store.remove_record(None, Shelf.WORKER, op.id)


@does(ops.ReadWorkers, writes=False)
def read_workers(step: Step, _: ops.ReadWorkers) -> ops.WorkerPage:
    """The workers whose time is not over."""
    records = step.store.records(None, Shelf.WORKER)
    live = (record for record in records if (record.at or 0) > step.now)
    return ops.WorkerPage(tuple(_info(step, json.loads(record.text)) for record in live))


def _info(step: Step, said: dict[str, Any]) -> ops.WorkerInfo:
    reported: int = said.pop("reported")

    def began(running_for: float) -> Any:
        return moment(reported - microseconds(running_for))

    jobs = tuple(
        ops.WorkerJob(job["feed"], job["id"], began(job["running_for"]), job["attempt"])
        for job in said.pop("jobs")
    )
    started, feeds = began(said.pop("running_for")), tuple(said.pop("feeds"))
    return ops.WorkerInfo(
        **said,
        feeds=feeds,
        started=started,
        reported=began(0.0),
        jobs=jobs,
        age=max(0.0, (step.now - reported) / SECOND),
    )
