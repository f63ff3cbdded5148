"""This library as a peer: ``thoonk conform -- python -m thoonk.conform.adapter``.

Also an example of how a library is fitted to the protocol (docs/conformance.md). Where a call
of the library does what is asked, it makes that call. Tokens and sessions are never seen by
users of the library, so what brings them is executed on its backend.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import redis

from thoonk import Thoonk, notices
from thoonk import operations as ops
from thoonk._sync.taking import take
from thoonk.backends import Backend, Subscription, open_backend
from thoonk.backends.redis import errors, open_client
from thoonk.backends.redis.commands import Call, command_for
from thoonk.backends.redis.wire import new_instance
from thoonk.config import JOB
from thoonk.conform.values import Template, decode, encode
from thoonk.exceptions import (
    Empty,
    FeedDoesNotExist,
    FeedExists,
    InvalidType,
    InvalidValue,
    ItemDoesNotExist,
    ItemExists,
    ItemTooLarge,
    JobFailed,
    NoResult,
    NotClaimed,
    NotScheduled,
    NotStalled,
    ThoonkError,
    WrongFeedType,
)
from thoonk.names import decode_name, encode_name, new_id, new_token
from thoonk.waiting import Deadline

R = TypeVar("R")
Arguments = Mapping[str, Any]

CODES: tuple[tuple[type[ThoonkError], str], ...] = (
    (FeedDoesNotExist, "no feed"),
    (WrongFeedType, "wrong type"),
    (ItemTooLarge, "too large"),
    (ItemDoesNotExist, "no item"),
    (NotClaimed, "not claimed"),
    (NotStalled, "not stalled"),
    (NotScheduled, "not scheduled"),
    (ItemExists, "exists"),
    (InvalidValue, "invalid"),
    (InvalidType, "invalid"),
)
"""What each refusal is called in the protocol."""

PRIORITIES = {"normal": ops.Priority.NORMAL, "high": ops.Priority.HIGH}


def name_of(value: Template) -> str:
    """A name, id or token from its JSON."""
    return decode_name(decode(value))


def as_json(name: str) -> Template:
    """A name, id or token as JSON."""
    return encode(encode_name(name))


def id_of(given: Arguments) -> str:
    """The id that is given, or a new one."""
    return name_of(given["id"]) if "id" in given else new_id()


def entries_of(pairs: list[list[Template]]) -> tuple[ops.Entry, ...]:
    """Entries from their JSON."""
    return tuple(ops.Entry(name_of(id), decode(item)) for id, item in pairs)


def claim_ref_of(job: Arguments) -> ops.ClaimRef:
    """A claim from its JSON."""
    return ops.ClaimRef(name_of(job["id"]), name_of(job.get("token", "")))


def completion_of(job: Arguments) -> ops.Completion:
    """How a job is finished, from its JSON."""
    return ops.Completion(
        name_of(job["id"]),
        name_of(job.get("token", "")),
        has_result="result" in job,
        result=None if job.get("result") is None else decode(job["result"]),
        timeout=job.get("timeout"),
    )


def due_of(given: Arguments) -> ops.Due | None:
    """When a job is due, from its JSON; None: at once."""
    if "at" in given:
        return ops.Due(at=given["at"] / 1000)
    return ops.Due(delay=given["delay"]) if "delay" in given else None


def failure_of(given: Arguments) -> ops.Failure | None:
    """Why a job failed, from its JSON."""
    names = ("message", "error", "traceback", "worker")
    return ops.Failure(*(given.get(name, "") for name in names))


def info_as_json(info: ops.JobInfo) -> dict[str, Template]:
    """What is known of a job, without its id. Times are in ms, or null."""
    failure = info.failure or ops.Failure("")
    return {
        "state": info.state.value,
        **{name: in_ms(getattr(info, name)) for name in TIMES},
        "failures": info.failures,
        "progress": info.progress,
        "doing": info.doing or None,
        **{name: text or None for name, text in attrs.asdict(failure).items()},
        "has_result": info.has_result,
    }


TIMES = ("put", "due", "claimed", "failed", "stalled", "progressed")


def in_ms(time: dt.datetime | None) -> int | None:
    """A time as the server has it."""
    return None if time is None else round(time.timestamp() * 1000)


def restored_of(given: Arguments) -> ops.Restored:
    """What is restored, from its JSON."""

    def data(name: str) -> bytes | None:
        return None if given.get(name) is None else decode(given[name])

    names = ("at", "put", "failed", "stalled")
    times = {name: given[name] / 1000 for name in names if name in given}
    return ops.Restored(
        ops.RestoreAs(given["what"]),
        name_of(given["id"]),
        data("item"),
        is_high=given.get("high", False),
        failures=given.get("failures", 0),
        failure=failure_of(given) if "message" in given else None,
        result=data("result"),
        **times,
    )


def status_of(given: Arguments) -> ops.ScheduleStatus:
    """A schedule with its next times, from its JSON."""
    due = None if given.get("next") is None else given["next"] / 1000
    later = tuple(time / 1000 for time in given.get("later", ()))
    return ops.ScheduleStatus(schedule_of(given), due, later)


def schedule_of(given: Arguments) -> ops.Schedule:
    """A schedule from its JSON."""
    return ops.Schedule(
        name_of(given["name"]),
        decode(given["item"]),
        given.get("every"),
        given.get("cron", ""),
        given.get("tz", ""),
        ops.IfMissed(given.get("missed", "once")),
        PRIORITIES[given.get("priority", "normal")],
    )


def times_of(given: Arguments) -> tuple[float, ...]:
    """The times of a schedule, from their JSON."""
    return tuple(time / 1000 for time in given.get("times", ()))


def schedule_as_json(status: ops.ScheduleStatus) -> Template:
    """A schedule, and when it is due, in ms."""
    schedule = status.schedule
    return {
        "name": as_json(schedule.name),
        "item": encode(schedule.item),
        "every": schedule.every,
        "cron": schedule.cron or None,
        "tz": schedule.tz or None,
        "missed": schedule.if_missed.value,
        "priority": schedule.priority.name.lower(),
        "next": None if status.next is None else round(status.next * 1000),
        "later": [round(time * 1000) for time in status.later],
    }


def report_of(given: Arguments) -> ops.WorkerReport:
    """What a worker says of itself, from its JSON."""
    jobs = (
        ops.ReportedJob(
            name_of(job["feed"]), name_of(job["id"]), job["attempt"], job["running_for"]
        )
        for job in given.get("jobs", ())
    )
    return ops.WorkerReport(
        name_of(given["id"]),
        given["host"],
        given["pid"],
        given["version"],
        tuple(map(name_of, given["feeds"])),
        given["concurrency"],
        given.get("processes", 0),
        given.get("group", ""),
        given["running_for"],
        given.get("stopping", False),
        given.get("busy", 0),
        tuple(jobs),
    )


def worker_as_json(worker: ops.WorkerInfo) -> Template:
    """A worker's record, as JSON. Times are in ms."""
    return {
        "id": as_json(worker.id),
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "feeds": [*map(as_json, worker.feeds)],
        "concurrency": worker.concurrency,
        "processes": worker.processes,
        "group": worker.group,
        "started": in_ms(worker.started),
        "reported": in_ms(worker.reported),
        "stopping": worker.is_stopping,
        "busy": worker.busy,
        "jobs": [
            {
                "feed": as_json(job.feed),
                "id": as_json(job.id),
                "since": in_ms(job.since),
                "attempt": job.attempt,
            }
            for job in worker.jobs
        ],
    }


class Adapter:
    """Answers requests."""

    def __init__(self, url: str) -> None:
        """Connect to a server."""
        self.thoonk = Thoonk(backend=url)
        self.backend: Backend
        self.backend, _ = open_backend(url)
        self.client: Any = open_client(url)
        self.heard: Subscription | None = None

    def execute(self, operation: ops.Operation[R], arguments: Arguments) -> R:
        """Execute an operation, under the session that is given, if one is."""
        if "session" not in arguments:
            return self.backend.execute(operation)
        call = Call(new_instance(0), arguments["session"], arguments["call"])
        command = command_for(operation, call)
        try:
            reply = self.client.execute_command(*command.with_text())
        except redis.ResponseError as error:
            raise errors.refused(error, command) from error
        return command.parse(reply)

    # --- feeds of all types -----------------------------------------------------------

    def create(self, feed: str, given: Arguments) -> Template:
        config = {name: name_of(value) for name, value in given["config"].items()}
        if "session" in given:
            opened = self.execute(ops.CreateFeed(feed, config), given)
            self.backend.execute(ops.RegisterFeed(feed))
            return {"created": opened.created}
        try:
            self.thoonk.create_feed(feed, config)
        except FeedExists:
            return {"created": False}
        return {"created": True}

    def delete(self, feed: str, _: Arguments) -> Template:
        self.thoonk.delete_feed(feed)
        return {}

    def set_config(self, feed: str, given: Arguments) -> Template:
        fields = {n: None if v is None else name_of(v) for n, v in given["config"].items()}
        self.execute(ops.SetConfig(feed, fields), given)
        return {}

    def get_config(self, feed: str, given: Arguments) -> Template:
        config = self.execute(ops.GetConfig(feed), given)
        return {"config": {name: as_json(value) for name, value in config.items()}}

    def worker_report(self, _: str, given: Arguments) -> Template:
        self.backend.execute(ops.ReportWorker(report_of(given), given["keep"]))
        return {}

    def worker_remove(self, _: str, given: Arguments) -> Template:
        return {"removed": self.backend.execute(ops.RemoveWorker(name_of(given["id"])))}

    def worker_list(self, _: str, __: Arguments) -> Template:
        return {"workers": [*map(worker_as_json, self.thoonk.get_workers())]}

    def get_names(self, _: str, given: Arguments) -> Template:
        return {"names": [*map(as_json, self.execute(ops.FeedNames(), given))]}

    def get_ids(self, feed: str, given: Arguments) -> Template:
        if given["type"] == JOB:
            return {"ids": [*map(as_json, self.execute(ops.ReadJobs(feed), given))]}
        return {"ids": [*map(as_json, self.execute(ops.ReadIds(feed, given["type"]), given))]}

    def page(self, feed: str, given: Arguments) -> Template:
        found = self.execute(
            ops.ReadPage(
                feed,
                given["type"],
                count=given["count"],
                reverse=given.get("reverse", False),
                cursor=name_of(given.get("cursor", "")),
            ),
            given,
        )
        return {"ids": [*map(as_json, found.ids)], "cursor": as_json(found.cursor)}

    def get_item(self, feed: str, given: Arguments) -> Template:
        id = name_of(given["id"])
        item = self.execute(ops.ReadJobs(feed, (id,), with_items=True), given).get(id)
        return {"item": None if item is None else encode(item)}

    def get_all(self, feed: str, given: Arguments) -> Template:
        items = self.execute(ops.ReadJobs(feed, with_items=True), given)
        return {"items": [[as_json(id), encode(item or b"")] for id, item in items.items()]}

    def snapshot_page(self, feed: str, given: Arguments) -> Template:
        found = self.execute(
            ops.ReadSnapshotPage(
                feed,
                given["type"],
                name_of(given["token"]),
                tag=given["tag"],
                start=given.get("start", 0),
                skip=given.get("skip", 0),
                count=given["count"],
                wanted=tuple(map(name_of, given.get("wanted", ()))),
                known=tuple(
                    (name_of(id), bytes.fromhex(digest)) for id, digest in given.get("known", ())
                ),
            ),
            given,
        )
        return {
            "mark": found.mark,
            "total": found.total,
            "ids": [*map(as_json, found.ids)],
            "items": [[as_json(id), encode(item)] for id, item in found.items.items()],
        }

    def pause(self, feed: str, given: Arguments) -> Template:
        return {"paused": self.execute(ops.PauseFeed(feed), given)}

    def resume(self, feed: str, given: Arguments) -> Template:
        return {"resumed": self.execute(ops.ResumeFeed(feed), given)}

    def listen(self, feed: str | None, _: Arguments) -> Template:
        if self.heard is not None:
            self.heard.close()
        self.heard = self.backend.listen(feed)
        return {}

    def notices(self, _: str, given: Arguments) -> Template:
        assert self.heard is not None  # noqa: S101
        found = []
        for _number in range(given["count"]):
            try:
                found.append(notice_as_json(self.heard.get(given["timeout"])))
            except Empty:
                break
        return {"notices": found}

    # --- feed -----------------------------------------------------------------------------

    def feed_publish(self, feed: str, given: Arguments) -> Template:
        is_new = self.execute(ops.FeedPublish(feed, entries_of(given["entries"])), given)
        return {"new": [*is_new]}

    def feed_retract(self, feed: str, given: Arguments) -> Template:
        (removed,) = self.execute(ops.FeedRetract(feed, (name_of(given["id"]),)), given)
        return {"removed": removed}

    # --- sorted feed ----------------------------------------------------------------------

    def _insert(self, feed: str, given: Arguments, position: ops.Position) -> Template:
        operation = ops.SortedInsert(feed, tuple(map(decode, given["items"])), position)
        return {"ids": [*map(as_json, self.execute(operation, given))]}

    def sorted_append(self, feed: str, given: Arguments) -> Template:
        return self._insert(feed, given, ops.Position(ops.Where.END))

    def sorted_prepend(self, feed: str, given: Arguments) -> Template:
        return self._insert(feed, given, ops.Position(ops.Where.BEGIN))

    def sorted_before(self, feed: str, given: Arguments) -> Template:
        position = ops.Position(ops.Where.BEFORE, name_of(given["neighbour"]))
        return self._insert(feed, given, position)

    def sorted_after(self, feed: str, given: Arguments) -> Template:
        position = ops.Position(ops.Where.AFTER, name_of(given["neighbour"]))
        return self._insert(feed, given, position)

    def sorted_edit(self, feed: str, given: Arguments) -> Template:
        entry = ops.Entry(name_of(given["id"]), decode(given["item"]))
        self.execute(ops.SortedEdit(feed, entry), given)
        return {}

    def sorted_move(self, feed: str, given: Arguments) -> Template:
        position = ops.Position.parse(name_of(given["position"]))
        self.execute(ops.SortedMove(feed, name_of(given["id"]), position), given)
        return {}

    def sorted_retract(self, feed: str, given: Arguments) -> Template:
        (removed,) = self.execute(ops.SortedRetract(feed, (name_of(given["id"]),)), given)
        return {"removed": removed}

    # --- queue ------------------------------------------------------------------------------

    def queue_put(self, feed: str, given: Arguments) -> Template:
        entry = ops.Entry(id_of(given), decode(given["item"]))
        priority = PRIORITIES[given.get("priority", "normal")]
        self.execute(ops.QueuePut(feed, (entry,), priority), given)
        return {"id": as_json(entry.id)}

    def queue_add(self, feed: str, given: Arguments) -> Template:
        operation = ops.QueueAdd(
            feed,
            entries_of(given["entries"]),
            PRIORITIES[given.get("priority", "normal")],
            ops.IfExists(given.get("if_exists", "keep")),
            given.get("unique_for", 0.0),
        )
        return {"outcomes": [*self.execute(operation, given)]}

    def queue_clear(self, feed: str, given: Arguments) -> Template:
        return attrs.asdict(self.execute(ops.QueueClear(feed, given["count"]), given))

    def queue_get(self, feed: str, given: Arguments) -> Template:
        queue = self.thoonk.queue(feed, serializer="binary")
        try:
            item = queue.get(given["timeout"]) if "timeout" in given else queue.get_nowait()
        except Empty:
            return {"item": None}
        return {"item": encode(item)}

    def _take(self, operation: ops.TakeOperation, given: Arguments) -> Template:
        if "timeout" in given:
            try:
                batch = take(self.backend, operation, Deadline(given["timeout"]))
            except Empty:
                batch = ops.Batch(())
        else:
            batch = self.execute(operation, given)
        return {
            "token": as_json(operation.token),
            "entries": [[as_json(e.id), encode(e.item), e.cancelled] for e in batch.entries],
            "lost": [*map(as_json, batch.lost)],
        }

    def queue_take(self, feed: str, given: Arguments) -> Template:
        token = name_of(given["token"]) if "token" in given else new_token()
        taken = self._take(ops.QueueTake(feed, token, given.get("count", 1)), given)
        return {**taken, "entries": [entry[:2] for entry in taken["entries"]]}

    def queue_confirm(self, feed: str, given: Arguments) -> Template:
        ids = tuple(map(name_of, given["ids"]))
        self.execute(ops.QueueConfirm(feed, ids, name_of(given["token"])), given)
        return {}

    def queue_return(self, feed: str, given: Arguments) -> Template:
        entries = entries_of(given["entries"])
        self.execute(ops.QueueReturn(feed, entries, name_of(given["token"])), given)
        return {}

    def release(self, feed: str, given: Arguments) -> Template:
        ids = tuple(map(name_of, given.get("ids", ())))
        self.execute(ops.Release(feed, name_of(given["token"]), ids), given)
        return {}

    # --- job --------------------------------------------------------------------------------

    def job_put(self, feed: str, given: Arguments) -> Template:
        entry = ops.Entry(id_of(given), decode(given["item"]))
        priority = PRIORITIES[given.get("priority", "normal")]
        self.execute(ops.JobPut(feed, (entry,), priority), given)
        return {"id": as_json(entry.id)}

    def job_add(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobAdd(
            feed,
            entries_of(given["entries"]),
            PRIORITIES[given.get("priority", "normal")],
            due_of(given),
            ops.IfExists(given.get("if_exists", "keep")),
            given.get("unique_for", 0.0),
        )
        return {"outcomes": [*self.execute(operation, given)]}

    def job_fail(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobFail(
            feed,
            name_of(given["id"]),
            name_of(given.get("token", "")),
            due_of(given),
            given.get("stall", False),
            failure_of(given),
        )
        return {"outcome": self.execute(operation, given)}

    def job_reschedule(self, feed: str, given: Arguments) -> Template:
        due = due_of(given)
        assert due is not None  # noqa: S101
        operation = ops.JobReschedule(feed, name_of(given["id"]), due)
        return {"scheduled": self.execute(operation, given)}

    def job_info(self, feed: str, given: Arguments) -> Template:
        info = self.execute(ops.ReadJob(feed, name_of(given["id"])), given)
        return {"found": False} if info is None else {"found": True, **info_as_json(info)}

    def job_page(self, feed: str, given: Arguments) -> Template:
        found = self.execute(
            ops.ReadJobPage(
                feed,
                ops.JobState(given["state"]),
                given["count"],
                name_of(given.get("cursor", "")),
            ),
            given,
        )
        jobs = [
            {"id": as_json(info.id), "item": encode(item), **info_as_json(info)}
            for info, item in zip(found.jobs, found.items, strict=True)
        ]
        return {"jobs": jobs, "cursor": as_json(found.cursor)}

    def job_retry_all(self, feed: str, given: Arguments) -> Template:
        return attrs.asdict(self.execute(ops.JobRetryAll(feed, given["count"]), given))

    def job_clear(self, feed: str, given: Arguments) -> Template:
        state = ops.JobState(given["state"])
        return attrs.asdict(self.execute(ops.JobClear(feed, state, given["count"]), given))

    def job_get(self, feed: str, given: Arguments) -> Template:
        token = name_of(given["token"]) if "token" in given else new_token()
        return self._take(ops.JobClaim(feed, token, given.get("count", 1)), given)

    def job_next(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobNext(
            feed,
            name_of(given["token"]) if "token" in given else new_token(),
            given["count"],
            tuple(map(completion_of, given["finished"])),
            tuple(map(claim_ref_of, given["cancelled"])),
        )
        return self._take(operation, given)

    def job_finish(self, feed: str, given: Arguments) -> Template:
        self.execute(ops.JobFinish(feed, tuple(map(completion_of, given["jobs"]))), given)
        return {}

    def _end(self, kind: Callable[..., ops.Operation[Any]], feed: str, given: Arguments) -> Any:
        operation = kind(feed, name_of(given["id"]), name_of(given.get("token", "")))
        self.execute(operation, given)
        return {}

    def job_extend(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobExtend(feed, tuple(map(claim_ref_of, given["jobs"])))
        return {"extended": [*self.execute(operation, given)]}

    def job_holds(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobHolds(feed, tuple(map(claim_ref_of, given["jobs"])))
        return {"holds": [*self.execute(operation, given)]}

    def job_progress(self, feed: str, given: Arguments) -> Template:
        id, token = name_of(given["id"]), name_of(given.get("token", ""))
        operation = ops.JobProgress(feed, id, token, given["progress"], given.get("doing", ""))
        self.execute(operation, given)
        return {}

    def job_schedule(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobSchedule(feed, schedule_of(given), times_of(given))
        return {"new": self.execute(operation, given)}

    def job_set_runs(self, feed: str, given: Arguments) -> Template:
        operation = ops.JobSetRuns(feed, schedule_of(given), times_of(given))
        return {"told": self.execute(operation, given)}

    def job_unschedule(self, feed: str, given: Arguments) -> Template:
        return {"removed": self.execute(ops.JobUnschedule(feed, name_of(given["name"])), given)}

    def schedules(self, feed: str, given: Arguments) -> Template:
        names = tuple(map(name_of, given.get("names", ())))
        found = self.execute(ops.ReadSchedules(feed, names), given)
        return {"schedules": [*map(schedule_as_json, found)]}

    def job_cancel(self, feed: str, given: Arguments) -> Template:
        return self._end(ops.JobCancel, feed, given)

    def job_stall(self, feed: str, given: Arguments) -> Template:
        return self._end(ops.JobStall, feed, given)

    def job_retry(self, feed: str, given: Arguments) -> Template:
        self.execute(ops.JobRetry(feed, name_of(given["id"])), given)
        return {}

    def job_retract(self, feed: str, given: Arguments) -> Template:
        (removed,) = self.execute(ops.JobRetract(feed, (name_of(given["id"]),)), given)
        return {"removed": removed}

    def job_counts(self, feed: str, given: Arguments) -> Template:
        counts = self.execute(ops.CountJobs(feed), given)
        return {
            "waiting": counts.waiting,
            "claimed": counts.claimed,
            "stalled": counts.stalled,
            "finished": counts.finished,
            "scheduled": counts.scheduled,
        }

    def stats(self, feed: str, given: Arguments) -> Template:
        return attrs.asdict(self.execute(ops.ReadStats(feed), given))

    def times(self, feed: str, given: Arguments) -> Template:
        operation = ops.ReadTimes(
            feed,
            given["type"],
            ops.Times(given["of"]),
            given.get("count", ops.MOST),
            name_of(given.get("cursor", "")),
        )
        page = self.execute(operation, given)
        times = [
            [as_json(each.id), None if each.at is None else round(each.at * 1000), each.is_high]
            for each in page.times
        ]
        return {"times": times, "cursor": as_json(page.cursor)}

    def restore(self, feed: str, given: Arguments) -> Template:
        operation = ops.Restore(
            feed,
            given["type"],
            tuple(map(restored_of, given.get("elements", ()))),
            tuple(map(status_of, given.get("schedules", ()))),
        )
        return {"outcomes": [*self.execute(operation, given)]}

    def job_maintenance(self, feed: str, given: Arguments) -> Template:
        self.execute(ops.JobMaintain(feed), given)
        return {}

    def get_result(self, feed: str, given: Arguments) -> Template:
        id = name_of(given["id"])
        if "timeout" in given:
            job = self.thoonk.job(feed, serializer="binary")
            try:
                query, result = job.get_result(id, given["timeout"])
            except (Empty, JobFailed, NoResult):
                return {"found": False}
            stored: ops.StoredResult | None = ops.StoredResult(query, result)
        else:
            stored = self.execute(ops.ReadResult(feed, id), given)
        if stored is None:
            return {"found": False}
        return {
            "found": True,
            "query": None if stored.query is None else encode(stored.query),
            "result": None if stored.result is None else encode(stored.result),
        }


def notice_as_json(notice: notices.Notice) -> Template:
    """A notice as the protocol has it."""
    fields = {"notice": notices.EVENT_OF[type(notice)], "feed": as_json(notice.feed)}
    match notice:
        case notices.Published() | notices.Edited():
            fields |= {"id": as_json(notice.id), "item": encode(notice.item)}
        case notices.Scheduled():
            fields |= {"id": as_json(notice.id), "due": round(notice.due * 1000)}
        case notices.Progressed():
            fields |= {"id": as_json(notice.id), "progress": notice.fraction, "doing": notice.text}
        case notices.Retracted() | notices.JobEvent():
            fields |= {"id": as_json(notice.id)}
        case notices.Moved():
            fields |= {"id": as_json(notice.id), "position": as_json(notice.position)}
        case notices.Finished():
            fields |= {"id": as_json(notice.id), "result": encode(notice.result)}
    return fields


def respond(adapter: Adapter, operation: str, arguments: Arguments) -> dict[str, Template]:
    """The response to a request, but for its number."""
    method = getattr(adapter, operation.replace(" ", "_"), None)
    if method is None:
        return {"error": "unsupported"}
    feed = name_of(arguments["feed"]) if "feed" in arguments else None
    try:
        return {"answer": method(feed, arguments)}
    except ThoonkError as error:
        if "OVERTAKEN" in str(error):
            return {"error": "overtaken"}
        code = next((code for kind, code in CODES if isinstance(error, kind)), "failed")
        return {"error": code, "message": str(error)}


def main() -> None:
    """Answer the requests on stdin until it ends."""
    adapter: Adapter | None = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        operation, arguments = request["operation"], request["arguments"]
        response: dict[str, Template]
        if operation == "hello":
            adapter = Adapter(arguments["url"])
            response = {"answer": {"name": "thoonk for Python", "level": 2, "without": []}}
        elif adapter is None:
            response = {"error": "failed", "message": "hello comes first"}
        else:
            response = respond(adapter, operation, arguments)
        sys.stdout.write(json.dumps({"id": request["id"], **response}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
