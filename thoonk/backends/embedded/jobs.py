"""Operations on jobs."""

from __future__ import annotations

import attrs

from thoonk import operations as ops
from thoonk.backends.embedded.schedules import bring_runs
from thoonk.backends.embedded.step import NEVER, Step, does, microseconds, moment
from thoonk.backends.embedded.store import Feed, Record, Row, Shelf, State
from thoonk.backends.embedded.taking import due_time, recovers, schedule, take
from thoonk.config import DEFAULT_RESULT_TIMEOUT, JOB
from thoonk.exceptions import NotClaimed, NotScheduled, NotStalled
from thoonk.notices import Cancelled, Ended, Finished, Progressed, Put, Retried, Scheduled

STATE_OF = {
    State.WAITING: ops.JobState.WAITING,
    State.CLAIMED: ops.JobState.CLAIMED,
    State.STALLED: ops.JobState.STALLED,
    State.SCHEDULED: ops.JobState.SCHEDULED,
}
STATES = {state: own for own, state in STATE_OF.items()}


# --- claims -----------------------------------------------------------------------------


def _claim_timeout(feed: Feed) -> int:
    """How long a claim lasts."""
    if "claim_timeout" not in feed.config:
        return NEVER
    return microseconds(feed.settings.claim_timeout or 0.0) or NEVER


def _requeue_or_stall(step: Step, feed: Feed, row: Row) -> bool:
    """Let a claimed job wait again, at the end, or stall it: then True. The caller saves it."""
    feed.failing += not row.failures
    row.failures += 1
    limit = feed.settings.max_failures if "max_failures" in feed.config else None
    if limit and row.failures >= limit:
        step.stall(feed, row)
        return True
    step.shift(feed, row, State.WAITING, step.end_place(feed))
    step.event(feed, Cancelled, row.id)
    return False


def _expire(step: Step, feed: Feed) -> ops.MaintenanceReport:
    """Give claims back that have expired, a thousand at most."""
    timeout = _claim_timeout(feed)
    if timeout == NEVER or not feed.counts[State.CLAIMED]:
        return ops.MaintenanceReport()
    store = step.store
    old = [
        row
        for row in store.rows(feed, State.CLAIMED, limit=ops.MOST)
        if row.place <= step.now - timeout
    ]
    stalled = [row.id for row in old if _requeue_or_stall(step, feed, row)]
    store.save(feed, old)
    # The clock may have been ahead: such a claim counts as made now.
    ahead = store.rows(feed, State.CLAIMED, limit=ops.MOST, after=(step.now + ops.MOST, 0))
    for row in ahead:
        row.place = step.now
    store.save(feed, ahead)
    expired = tuple(row.id for row in old if row.id not in stalled)
    return ops.MaintenanceReport(expired=expired, stalled=tuple(stalled))


def _bring_due(step: Step, feed: Feed) -> None:
    """Let jobs whose time has come wait to be taken, in the order of their times."""
    if not feed.counts[State.SCHEDULED]:
        return
    due = [
        row
        for row in step.store.rows(feed, State.SCHEDULED, limit=ops.MOST)
        if row.place <= step.now
    ]
    for row in due:
        row.put_at = row.place
        priority = ops.Priority(row.note.pop("high", 0))
        step.shift(feed, row, State.WAITING, step.end_place(feed, priority))
        step.event(feed, Put, row.id)
    step.store.save(feed, due)


def _claim(step: Step, feed: Feed, op: ops.TakeOperation) -> ops.Batch:
    if recovers(step, feed, op):
        _expire(step, feed)
        _bring_due(step, feed)
        bring_runs(step, feed)
    return take(step, feed, op, _claim_timeout(feed))


@does(ops.JobClaim)
def job_claim(step: Step, op: ops.JobClaim) -> ops.Batch:
    """Claim jobs."""
    return _claim(step, step.feed(op.feed, JOB), op)


@does(ops.JobExtend)
def job_extend(step: Step, op: ops.JobExtend) -> tuple[bool, ...]:
    """Restart the time of claims."""
    feed = step.feed(op.feed, JOB)
    found = step.store.get(feed, [claim.id for claim in op.claims])
    rows = [found.get(claim.id) for claim in op.claims]
    held = [step.holds(row, claim.token) for row, claim in zip(rows, op.claims, strict=True)]
    extended = [row for row, holds in zip(rows, held, strict=True) if row is not None and holds]
    for row in extended:
        row.place = step.now
    step.store.save(feed, extended)
    return tuple(held)


@does(ops.JobHolds, writes=False)
def job_holds(step: Step, op: ops.JobHolds) -> tuple[bool, ...]:
    """Whether claims hold."""
    feed = step.feed(op.feed, JOB)
    found = step.store.get(feed, [claim.id for claim in op.claims])
    return tuple(step.holds(found.get(claim.id), claim.token) for claim in op.claims)


# --- endings ----------------------------------------------------------------------------


def _end(step: Step, feed: Feed, row: Row, completion: ops.Completion) -> None:
    """Note how a job is finished. The caller removes it."""
    feed.finished += 1
    if not completion.has_result:
        step.event(feed, Ended, row.id)
        return
    keep = completion.timeout
    if keep is None:
        keep = feed.settings.result_timeout
    if keep is None:
        keep = DEFAULT_RESULT_TIMEOUT
    (item,) = step.store.items(feed, (row,))
    until = step.now + microseconds(keep) if keep else None
    result = Record(row.id, at=until, first=item, second=completion.result)
    step.store.put_record(feed, Shelf.RESULT, result)
    step.notices.append(Finished(feed.name, row.id, completion.result or b""))


@does(ops.JobFinish)
def job_finish(step: Step, op: ops.JobFinish) -> None:
    """Finish jobs, all or none."""
    feed = step.feed(op.feed, JOB)
    found = step.store.get(feed, [each.id for each in op.completions])
    for each in op.completions:
        if not step.holds(found.get(each.id), each.token):
            raise NotClaimed(feed.name, each.id)
    for each in op.completions:
        _end(step, feed, found[each.id], each)
    step.remove(feed, [*found.values()])


@does(ops.JobNext)
def job_next(step: Step, op: ops.JobNext) -> ops.Batch:
    """End jobs, and claim the next ones."""
    feed = step.feed(op.feed, JOB)
    ends: tuple[ops.Completion | ops.ClaimRef, ...] = (*op.finished, *op.cancelled)
    found = step.store.get(feed, [each.id for each in ends]) if ends else {}
    lost, done, back = list[str](), list[Row](), list[Row]()
    for each in ends:
        row = found.get(each.id)
        if row is None or not step.holds(row, each.token):
            lost.append(each.id)
            continue
        del found[each.id]
        if isinstance(each, ops.Completion):
            _end(step, feed, row, each)
            done.append(row)
        else:
            _requeue_or_stall(step, feed, row)
            back.append(row)
    step.remove(feed, done)
    step.store.save(feed, back)
    batch = _claim(step, feed, op)
    return attrs.evolve(batch, lost=tuple(lost)) if lost else batch


@does(ops.JobCancel)
def job_cancel(step: Step, op: ops.JobCancel) -> bool:
    """Give a job back."""
    feed = step.feed(op.feed, JOB)
    row = step.claimed(feed, op.id, op.token)
    stalled = _requeue_or_stall(step, feed, row)
    step.store.save(feed, (row,))
    return stalled


@does(ops.JobStall)
def job_stall(step: Step, op: ops.JobStall) -> None:
    """Take a job out of circulation."""
    feed = step.feed(op.feed, JOB)
    row = step.claimed(feed, op.id, op.token)
    step.stall(feed, row)
    step.store.save(feed, (row,))


@does(ops.JobFail)
def job_fail(step: Step, op: ops.JobFail) -> ops.Failed:
    """Give a job back, perhaps for later, or stall it, and keep why."""
    feed = step.feed(op.feed, JOB)
    row = step.claimed(feed, op.id, op.token)
    failure = attrs.astuple(op.failure or ops.Failure(""))
    row.note |= {"failed": step.now, "failure": [*failure]}
    outcome = ops.Failed.WAITING
    if op.stall:
        step.stall(feed, row)
    if op.stall or _requeue_or_stall(step, feed, row):
        row.note["stalled"] = step.now
        outcome = ops.Failed.STALLED
    elif op.due and (due := due_time(step, op.due)) > step.now:
        step.shift(feed, row, State.SCHEDULED, due)
        schedule(step, feed, row, due, ops.Priority.NORMAL)
        outcome = ops.Failed.SCHEDULED
    step.store.save(feed, (row,))
    return outcome


@does(ops.JobProgress)
def job_progress(step: Step, op: ops.JobProgress) -> None:
    """Note how far a job is."""
    feed = step.feed(op.feed, JOB)
    row = step.claimed(feed, op.id, op.token)
    row.note |= {"progress": op.fraction, "doing": op.text, "progressed": step.now}
    step.store.save(feed, (row,))
    step.event(feed, Progressed, op.id, op.fraction, op.text)


# --- scheduled and stalled jobs -----------------------------------------------------------


@does(ops.JobReschedule)
def job_reschedule(step: Step, op: ops.JobReschedule) -> bool:
    """Give a scheduled job another time."""
    feed = step.feed(op.feed, JOB)
    row = step.row(feed, op.id)
    if row is None or row.state is not State.SCHEDULED:
        raise NotScheduled(op.feed, op.id)
    due = due_time(step, op.due)
    row.note["due"] = max(due, step.now)
    if due > step.now:
        step.shift(feed, row, State.SCHEDULED, due)
        step.event(feed, Scheduled, op.id, due / 1e6)
    else:
        row.put_at = step.now
        priority = ops.Priority(row.note.pop("high", 0))
        step.shift(feed, row, State.WAITING, step.end_place(feed, priority))
        step.event(feed, Put, op.id)
    step.store.save(feed, (row,))
    return due > step.now


def _retry(step: Step, feed: Feed, rows: list[Row]) -> None:
    for row in rows:
        feed.failing -= row.failures > 0
        row.failures, row.put_at = 0, step.now
        step.shift(feed, row, State.WAITING, step.end_place(feed))
        step.event(feed, Retried, row.id)
    step.store.save(feed, rows)


@does(ops.JobRetry)
def job_retry(step: Step, op: ops.JobRetry) -> None:
    """Let a stalled job wait again."""
    feed = step.feed(op.feed, JOB)
    row = step.row(feed, op.id)
    if row is None or row.state is not State.STALLED:
        raise NotStalled(op.feed, op.id)
    _retry(step, feed, [row])


@does(ops.JobRetryAll)
def job_retry_all(step: Step, op: ops.JobRetryAll) -> ops.Step:
    """Let stalled jobs wait again."""
    feed = step.feed(op.feed, JOB)
    rows = step.store.rows(feed, State.STALLED, limit=op.count)
    _retry(step, feed, rows)
    return ops.Step(len(rows), feed.counts[State.STALLED])


@does(ops.JobRetract)
def job_retract(step: Step, op: ops.JobRetract) -> tuple[bool, ...]:
    """Remove jobs."""
    return step.free(step.feed(op.feed, JOB), op.ids)


@does(ops.JobClear)
def job_clear(step: Step, op: ops.JobClear) -> ops.Step:
    """Remove jobs that are in a state."""
    feed, state = step.feed(op.feed, JOB), STATES[op.state]
    rows = step.store.rows(feed, state, limit=op.count)
    step.free(feed, [row.id for row in rows])
    return ops.Step(len(rows), feed.counts[state])


# --- reading ----------------------------------------------------------------------------


def _info(row: Row) -> ops.JobInfo:
    """What is known of a job that is there."""
    note = row.note
    return ops.JobInfo(
        row.id,
        STATE_OF[row.state],
        put=moment(row.put_at),
        due=moment(note.get("due")),
        claimed=moment(row.since),
        failed=moment(note.get("failed")),
        stalled=moment(note.get("stalled")),
        failures=row.failures,
        failure=ops.Failure(*note["failure"]) if "failure" in note else None,
        progress=note.get("progress"),
        doing=note.get("doing", ""),
        progressed=moment(note.get("progressed")),
    )


@does(ops.ReadJob, writes=False)
def read_job(step: Step, op: ops.ReadJob) -> ops.JobInfo | None:
    """What is known of a job."""
    feed = step.feed(op.feed, JOB)
    has_result = read_result(step, ops.ReadResult(op.feed, op.id)) is not None
    row = step.row(feed, op.id)
    if row is not None:
        return attrs.evolve(_info(row), has_result=has_result)
    return ops.JobInfo(op.id, ops.JobState.FINISHED, has_result=True) if has_result else None


@does(ops.ReadJobPage, writes=False)
def read_job_page(step: Step, op: ops.ReadJobPage) -> ops.JobPage:
    """A part of the jobs in a state."""
    feed = step.feed(op.feed, JOB)
    rows = step.page(feed, STATES[op.state], op.cursor, op.count + 1)
    page, more = rows[: op.count], rows[op.count :]
    return ops.JobPage(
        tuple(map(_info, page)),
        tuple(step.store.items(feed, page)),
        page[-1].cursor if more else "",
    )


@does(ops.JobFailures, writes=False)
def job_failures(step: Step, op: ops.JobFailures) -> int:
    """How often a job has failed."""
    feed = step.store.find(op.feed)
    row = step.row(feed, op.id) if feed else None
    return row.failures if row else 0


@does(ops.CountJobs, writes=False)
def count_jobs(step: Step, op: ops.CountJobs) -> ops.JobCounts:
    """How many jobs are in which state."""
    feed = step.feed(op.feed, JOB)
    counts = feed.counts
    return ops.JobCounts(
        counts[State.WAITING],
        counts[State.CLAIMED],
        counts[State.STALLED],
        feed.finished,
        counts[State.SCHEDULED],
    )


@does(ops.ReadResult, writes=False)
def read_result(step: Step, op: ops.ReadResult) -> ops.StoredResult | None:
    """The result of a job."""
    feed = step.store.find(op.feed)
    found = step.store.record(feed, Shelf.RESULT, op.id) if feed else None
    if found is None or (found.at or NEVER) <= step.now:
        return None
    return ops.StoredResult(found.first, found.second)


# --- maintenance ------------------------------------------------------------------------


@does(ops.JobMaintain)
def job_maintain(step: Step, op: ops.JobMaintain) -> ops.MaintenanceReport:
    """Give claims back that have expired."""
    feed = step.feed(op.feed, JOB)
    reports = [_expire(step, feed)]
    while len(reports[-1].expired) + len(reports[-1].stalled) == ops.MOST:
        reports.append(_expire(step, feed))
    return ops.MaintenanceReport.of_all(reports)


@does(ops.JobMend)
def job_mend(step: Step, op: ops.JobMend) -> ops.Mended:
    """A step of maintenance. No jobs are lost here, so that there is one step."""
    report = job_maintain(step, ops.JobMaintain(op.feed))
    return ops.Mended(report, looked_at=len(op.suspects))
