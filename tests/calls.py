"""Calls of every public method, and the commands that they send."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from thoonk import Claim, Empty, Feed, FeedExists, Job, Queue, SortedFeed, Thoonk
from thoonk.operations import Failure, JobSchedule, Schedule


class Nothing:
    """A serializer."""

    name = "nothing"

    def encode(self, item: None) -> bytes:
        return b""

    def decode(self, data: bytes) -> None:
        return None


@attrs.frozen
class Call:
    """One call of a public method, and the commands it sends: scripts and plain words."""

    method: str
    sends: tuple[str, ...]
    call: Callable[..., Any]
    prepare: Callable[[Thoonk], Any] = lambda thoonk: thoonk


OPENED = ("create_feed", "register_feed")


def feed(thoonk: Thoonk) -> Feed[str]:
    opened = thoonk.feed("f")
    opened.publish("x", id="a")
    return opened


def sorted_feed(thoonk: Thoonk) -> SortedFeed[str]:
    opened = thoonk.sorted_feed("f")
    opened.append("1")
    opened.append("2")
    return opened


def queue(thoonk: Thoonk) -> Queue[str]:
    opened = thoonk.queue("f")
    opened.put("x")
    opened.put("y")
    return opened


def job(thoonk: Thoonk) -> Job[str]:
    opened = thoonk.job("f")
    opened.put("x")
    return opened


def claim(thoonk: Thoonk) -> Claim[str]:
    return job(thoonk).get()


def claimed(thoonk: Thoonk) -> tuple[Job[str], str]:
    opened = job(thoonk)
    return opened, opened.get().id


def stalled(thoonk: Thoonk) -> tuple[Job[str], str]:
    opened, id = claimed(thoonk)
    opened.stall(id)
    return opened, id


def finished(thoonk: Thoonk) -> tuple[Job[str], str]:
    opened, id = claimed(thoonk)
    opened.finish(id, "result")
    return opened, id


def scheduled(thoonk: Thoonk) -> Job[str]:
    opened = thoonk.job("f")
    opened.put("x", id="a", delay=60)
    return opened


def due(thoonk: Thoonk) -> Job[str]:
    opened = thoonk.job("f")
    opened.put_many({"a": "x", "b": "y"}, delay=0.001)
    while opened.stats().next_due:
        pass
    return opened


def own_waiting(thoonk: Thoonk) -> Job[str]:
    opened = thoonk.job("f")
    opened.put("x", id="a")
    return opened


def own_claimed(thoonk: Thoonk) -> Job[str]:
    opened = own_waiting(thoonk)
    opened.get()
    return opened


def own_stalled(thoonk: Thoonk) -> Job[str]:
    opened = own_waiting(thoonk)
    opened.get().stall(reason="x")
    return opened


def claimed_often(thoonk: Thoonk) -> tuple[Job[str], str]:
    opened = thoonk.job("f", {"max_failures": 1})
    opened.put("x")
    return opened, opened.get().id


def paused_job(thoonk: Thoonk) -> Job[str]:
    opened = own_waiting(thoonk)
    opened.pause()
    opened.put("y")
    return opened


def paused_empty(thoonk: Thoonk) -> Job[str]:
    opened = scheduled(thoonk)
    opened.pause()
    return opened


def paused_queue(thoonk: Thoonk) -> Queue[str]:
    opened = queue(thoonk)
    opened.pause()
    return opened


def own_queue(thoonk: Thoonk) -> Queue[str]:
    opened = thoonk.queue("f")
    opened.put("x", id="a", unique_for=60)
    return opened


def get_nothing(opened: Queue[str] | Job[str]) -> None:
    with contextlib.suppress(Empty):
        opened.get_nowait()


def raise_in(claim: Claim[str]) -> None:
    with contextlib.suppress(ZeroDivisionError), claim:
        raise ZeroDivisionError


def enter_and_leave(block: contextlib.AbstractContextManager[Any]) -> None:
    with block:
        pass


def existing(thoonk: Thoonk) -> Thoonk:
    thoonk.create_feed("f")
    return thoonk


def create_again(thoonk: Thoonk) -> None:
    with pytest.raises(FeedExists):
        thoonk.create_feed("f")


def three_jobs(thoonk: Thoonk) -> Job[str]:
    opened = thoonk.job("f")
    opened.put_many("abc" for _ in range(3))
    return opened


def loop_of_three(opened: Job[str]) -> None:
    for number, _ in enumerate(opened.claims(timeout=5)):
        if number == 2:
            break


def with_result(thoonk: Thoonk) -> Thoonk:
    finished(thoonk)
    return thoonk


def with_a_run(thoonk: Thoonk) -> Job[str]:
    """A job of a schedule of which few times are known is due."""
    opened = thoonk.job("f")
    schedule = Schedule("s", b"x", cron="0 3 * * *", tz="UTC")
    opened._execute(JobSchedule(opened.name, schedule, (1.7e9, 4e9)))
    return opened


CALLS = [
    # Creating, opening and deleting are of the list of names and of the feed: two steps.
    Call("Thoonk.create_feed", OPENED, lambda t: t.create_feed("f", {"max_length": 50})),
    Call("Thoonk.create_feed", OPENED, create_again, existing),
    *(
        Call(f"Thoonk.{kind}", OPENED, lambda t, kind=kind: getattr(t, kind)("f"))
        for kind in ("feed", "sorted_feed", "list", "queue", "pyqueue", "job")
    ),
    Call("Thoonk.feed", OPENED, lambda t: t.feed("f"), existing),
    Call(
        "Thoonk.feed",
        ("create_feed", "feed_trim", "set_config", "register_feed"),
        lambda t: t.feed("f", {"max_length": 5}),
        existing,
    ),
    Call(
        "Thoonk.delete_feed",
        ("delete_feed", "unregister_feed", "HGETALL"),
        lambda t: t.delete_feed("f"),
        existing,
    ),
    Call(
        "Thoonk.delete_feed",
        ("delete_feed", "delete_feed", "unregister_feed", "HGETALL"),
        lambda t: t.delete_feed("f"),
        with_result,
    ),
    Call("Thoonk.partitioned_queue", OPENED * 2, lambda t: t.partitioned_queue("f", partitions=2)),
    Call("Thoonk.partitioned_job", OPENED * 2, lambda t: t.partitioned_job("f", partitions=2)),
    Call("Thoonk.feed_exists", ("SISMEMBER",), lambda t: t.feed_exists("f")),
    Call("Thoonk.get_feed_names", ("SMEMBERS",), lambda t: t.get_feed_names()),
    Call("Thoonk.get_workers", ("read_workers",), lambda t: t.get_workers()),
    Call("Thoonk.get_config", ("HGETALL",), lambda t: t.get_config("f"), existing),
    Call("Thoonk.set_config", ("set_config",), lambda t: t.set_config("f", "{}"), existing),
    Call(
        "Thoonk.set_config",
        ("feed_trim", "set_config"),
        lambda t: t.set_config("f", {"max_length": 3}),
        existing,
    ),
    Call("Thoonk.open", (), lambda t: t.open()),
    Call("Thoonk.register_feedtype", (), lambda t: t.register_feedtype("mine", Feed)),
    Call("Thoonk.register_serializer", (), lambda t: t.register_serializer(Nothing())),
    *(
        Call(f"{kind.__name__}.{method}", (word,), call, prepare)
        for kind, prepare, ids in (
            (Feed, feed, "ZRANGE"),
            (SortedFeed, sorted_feed, "LRANGE"),
            (Queue, queue, "read_queue_ids"),
        )
        for method, word, call in (
            ("get_ids", ids, lambda f: f.get_ids()),
            ("get_item", "HGET", lambda f: f.get_item("1")),
            ("get_all", "HGETALL", lambda f: f.get_all()),
            ("has_id", "HEXISTS", lambda f: f.has_id("1")),
            ("count", "HLEN", lambda f: f.count()),
            ("stats", "read_stats", lambda f: f.stats()),
            ("count", "HLEN", len),
            ("has_id", "HEXISTS", lambda f: "1" in f),
            ("get_items", "HGETALL", lambda f: f.get_items()),
            ("get_items", "HMGET", lambda f: f.get_items(["1", "2"])),
            ("ids", "read_page", lambda f: set(f.ids())),
            ("ids", "read_page", set),
            ("items", "read_page", lambda f: dict(f.items())),
        )
    ),
    *(
        Call(f"Job.{method}", (word,), call, job)
        for method, word, call in (
            ("get_ids", "read_jobs", lambda f: f.get_ids()),
            ("get_item", "read_jobs", lambda f: f.get_item("1")),
            ("get_all", "read_jobs", lambda f: f.get_all()),
            ("has_id", "read_jobs", lambda f: "1" in f),
            ("count", "count_jobs", len),
            ("stats", "read_stats", lambda f: f.stats()),
            ("get_items", "read_jobs", lambda f: f.get_items()),
            ("get_items", "read_jobs", lambda f: f.get_items(["1", "2"])),
            ("get_info", "read_job", lambda f: f.get_info("1")),
            ("ids", "read_page", set),
            ("items", "read_page", lambda f: dict(f.items())),
        )
    ),
    Call("Feed.ids", ("HLEN", "read_page"), list, feed),  # Python asks for the length first
    Call("Feed.publish_many", ("feed_publish",), lambda f: f.publish_many("x" for _ in "ab"), feed),
    Call("Feed.retract_many", ("feed_retract",), lambda f: f.retract_many(["a", "b"]), feed),
    Call("Feed.publish", ("feed_publish",), lambda f: f.publish("x"), feed),
    Call("Feed.edit", ("feed_publish",), lambda f: f.edit("a", "y"), feed),
    Call("Feed.retract", ("feed_retract",), lambda f: f.retract("a"), feed),
    Call(
        "SortedFeed.publish_many",
        ("sorted_insert",),
        lambda f: f.publish_many(["x", "y"]),
        sorted_feed,
    ),
    Call(
        "SortedFeed.retract_many",
        ("sorted_retract_some",),
        lambda f: f.retract_many(["1", "2"]),
        sorted_feed,
    ),
    Call("SortedFeed.append", ("sorted_insert",), lambda f: f.append("x"), sorted_feed),
    Call("SortedFeed.publish", ("sorted_insert",), lambda f: f.publish("x"), sorted_feed),
    Call("SortedFeed.prepend", ("sorted_insert",), lambda f: f.prepend("x"), sorted_feed),
    Call(
        "SortedFeed.publish_before",
        ("sorted_insert",),
        lambda f: f.publish_before("1", "x"),
        sorted_feed,
    ),
    Call(
        "SortedFeed.publish_after",
        ("sorted_insert",),
        lambda f: f.publish_after("1", "x"),
        sorted_feed,
    ),
    Call("SortedFeed.edit", ("sorted_edit",), lambda f: f.edit("1", "x"), sorted_feed),
    Call("SortedFeed.move", ("sorted_move",), lambda f: f.move(":end", "1"), sorted_feed),
    Call("SortedFeed.move_first", ("sorted_move",), lambda f: f.move_first("2"), sorted_feed),
    Call("SortedFeed.move_last", ("sorted_move",), lambda f: f.move_last("1"), sorted_feed),
    Call(
        "SortedFeed.move_before", ("sorted_move",), lambda f: f.move_before("1", "2"), sorted_feed
    ),
    Call("SortedFeed.move_after", ("sorted_move",), lambda f: f.move_after("2", "1"), sorted_feed),
    Call("SortedFeed.retract", ("sorted_retract",), lambda f: f.retract("1"), sorted_feed),
    Call("Queue.put", ("queue_put",), lambda q: q.put("x", priority=q.HIGH), queue),
    Call("Queue.put_many", ("queue_put",), lambda q: q.put_many(["x"] * 1000), queue),
    Call("Queue.put_many", ("queue_put",) * 2, lambda q: q.put_many(["x"] * 1001), queue),
    # Taking is two steps: the second says that the item has arrived.
    Call("Queue.get_many", ("queue_take", "queue_confirm"), lambda q: q.get_many(1), queue),
    Call("Queue.get", ("queue_take", "queue_confirm"), lambda q: q.get(timeout=5), queue),
    Call("Queue.get_nowait", ("queue_take", "queue_confirm"), lambda q: q.get_nowait(), queue),
    Call("Job.put", ("job_put",), lambda j: j.put("x", priority=j.HIGH), job),
    Call("Job.put_many", ("job_put",), lambda j: j.put_many(["x", "y"]), job),
    Call("Queue.put", ("queue_add",), lambda q: q.put("x", id="a"), queue),
    Call("Queue.put_many", ("queue_add",), lambda q: q.put_many({"a": "x"}), queue),
    Call(
        "Queue.put_many",
        ("queue_add",) * 2,
        lambda q: q.put_many({str(n): "x" for n in range(401)}),
        queue,
    ),
    Call("Queue.purge", ("queue_clear",), lambda q: q.purge(), queue),
    Call("Job.get", ("job_claim",), lambda j: j.get(timeout=5), job),
    Call("Job.get_many", ("job_claim",), lambda j: j.get_many(1, timeout=5), job),
    Call("Job.finish_many", ("job_finish",), lambda j, job_id: j.finish_many([job_id]), claimed),
    Call(
        "Job.retract_many",
        ("job_retract_some",),
        lambda j, job_id: j.retract_many([job_id]),
        claimed,
    ),
    # One for the first, then one for each; leaving the loop gives back the last.
    Call("Job.claims", ("job_next",) * 3 + ("release",), loop_of_three, three_jobs),
    Call("Job.get_nowait", ("job_claim",), lambda j: j.get_nowait(), job),
    Call("Job.finish", ("job_finish",), lambda j, job_id: j.finish(job_id), claimed),
    Call("Job.finish", ("job_finish",), lambda j, job_id: j.finish(job_id, "r", True, 5), claimed),
    Call("Job.get_result", ("LRANGE",), lambda j, job_id: j.get_result(job_id), finished),
    Call("Job.wait", ("LRANGE",), lambda j, id: [*j.wait([id])], finished),
    Call("Job.get_result_nowait", ("LRANGE",), lambda j, id: j.get_result_nowait(id), finished),
    Call("Job.jobs", ("read_job_page",), lambda j: [*j.jobs("waiting")], job),
    Call("Job.get_ids", ("read_job_page",), lambda j: j.get_ids("stalled"), job),
    Call("Job.schedule", ("job_schedule",), lambda j: j.schedule("s", "x", every=9), job),
    Call("Job.unschedule", ("job_unschedule",), lambda j: j.unschedule("s"), job),
    Call("Job.schedules", ("read_schedules",), lambda j: j.schedules(), job),
    Call(
        "Job.get_nowait",
        ("job_claim", "read_schedules", "job_set_runs"),
        lambda j: j.get_nowait(),
        with_a_run,
    ),
    Call("Job.retry_all", ("job_retry_all",), lambda j, _: j.retry_all(), stalled),
    Call("Job.retract_all", ("job_clear",), lambda j, _: j.retract_all("stalled"), stalled),
    Call("Job.purge", ("job_clear",) * 4, lambda j: j.purge(), job),
    Call("Job.cancel", ("job_cancel",), lambda j, job_id: j.cancel(job_id), claimed),
    Call("Job.stall", ("job_stall",), lambda j, job_id: j.stall(job_id), claimed),
    Call("Job.retry", ("job_retry",), lambda j, job_id: j.retry(job_id), stalled),
    Call("Job.retract", ("job_retract",), lambda j, job_id: j.retract(job_id), claimed),
    Call(
        "Job.get_failure_count", ("HGET",), lambda j, job_id: j.get_failure_count(job_id), claimed
    ),
    # Jobs for later, and ids of one's own.
    *(
        Call("Job.put", ("job_add",), call, prepare)
        for prepare in (job, scheduled, own_waiting, own_claimed, own_stalled, paused_job)
        for call in (
            lambda j: j.put("y", j.HIGH, id="a", if_exists="replace", unique_for=5),
            lambda j: j.put("y", id="a", if_exists="replace", delay=60),
        )
    ),
    Call("Job.put", ("job_add",), lambda j: j.put("y", delay=60), scheduled),
    Call("Job.put_many", ("job_add",), lambda j: j.put_many(["y", "z"], delay=60), scheduled),
    Call("Job.put_many", ("job_add",), lambda j: j.put_many({"a": "y", "b": "z"}), scheduled),
    Call("Job.reschedule", ("job_reschedule",), lambda j: j.reschedule("a", 5), scheduled),
    Call("Job.run_now", ("job_reschedule",), lambda j: j.run_now("a"), scheduled),
    Call("Job.get_nowait", ("job_claim",), lambda j: j.get_nowait(), due),
    Call("Job.retract", ("job_retract",), lambda j: j.retract("a"), scheduled),
    Call("Job.retract_many", ("job_retract_some",), lambda j: j.retract_many(["a", "b"]), due),
    # A failure with a reason, or with a time.
    *(
        Call("Job.cancel", ("job_fail",), call, prepare)
        for prepare in (claimed, claimed_often)
        for call in (
            lambda j, job_id: j.cancel(job_id, reason="x"),
            lambda j, job_id: j.cancel(job_id, delay=60),
        )
    ),
    Call("Job.stop", ("job_fail",), lambda j, job_id: j.stop(job_id), claimed),
    Call("Job.stall", ("job_fail",), lambda j, job_id: j.stall(job_id, reason="x"), claimed),
    Call("Claim.cancel", ("job_fail",), lambda c: c.cancel(delay=5, reason="x"), claim),
    Call("Claim.stall", ("job_fail",), lambda c: c.stall(reason="x"), claim),
    Call("Claim.fail", ("job_cancel",), lambda c: c.fail(None, None), claim),
    Call("Claim.fail", ("job_fail",), lambda c: c.fail(None, Failure("x")), claim),
    Call("Claim.fail", ("job_fail",), raise_in, claim),
    # Pauses.
    Call("Job.pause", ("pause_feed",), lambda j: j.pause(), job),
    Call("Job.pause", ("pause_feed",), lambda j: j.pause(), paused_job),
    Call("Job.resume", ("resume_feed",), lambda j: j.resume(), job),
    Call("Job.resume", ("resume_feed",), lambda j: j.resume(), paused_job),
    Call("Job.resume", ("resume_feed",), lambda j: j.resume(), paused_empty),
    Call("Job.put", ("job_put",), lambda j: j.put("y"), paused_job),
    Call("Job.get_nowait", ("job_claim",), get_nothing, paused_job),
    Call("Job.maintenance", ("job_mend",), lambda j: j.maintenance(), paused_job),
    Call("Queue.pause", ("pause_feed",), lambda q: q.pause(), queue),
    Call("Queue.resume", ("resume_feed",), lambda q: q.resume(), paused_queue),
    Call("Queue.put", ("queue_put",), lambda q: q.put("y"), paused_queue),
    Call("Queue.get_nowait", ("queue_take",), get_nothing, paused_queue),
    # All in one state.
    *(
        Call(f"Job.{method}", (word,), lambda j, c=call, s=state: c(j, s), prepare)
        for state, prepare in (
            ("scheduled", scheduled),
            ("waiting", own_waiting),
            ("claimed", own_claimed),
            ("stalled", own_stalled),
        )
        for method, word, call in (
            ("jobs", "read_job_page", lambda j, s: list(j.jobs(s))),
            ("get_ids", "read_job_page", lambda j, s: j.get_ids(s)),
            ("retract_all", "job_clear", lambda j, s: j.retract_all(s)),
        )
    ),
    Call("Queue.purge", ("queue_clear",), lambda q: q.purge(), paused_queue),
    *(
        Call("Queue.put", ("queue_add",), call, prepare)
        for prepare in (queue, own_queue, paused_queue)
        for call in (
            lambda q: q.put("z", q.HIGH, id="a", unique_for=5),
            lambda q: q.put("z", id="a", if_exists="replace"),
        )
    ),
    Call("Queue.put_many", ("queue_add",), lambda q: q.put_many({"a": "x", "b": "y"}), own_queue),
    Call("Job.get_counts", ("count_jobs",), lambda j: j.get_counts(), job),
    Call("Job.maintenance", ("job_mend",), lambda j: j.maintenance(), job),
    Call("Claim.finish", ("job_finish",), lambda c: c.finish("r"), claim),
    Call("Claim.cancel", ("job_cancel",), lambda c: c.cancel(), claim),
    Call("Claim.stall", ("job_stall",), lambda c: c.stall(), claim),
    Call("Claim.progress", ("job_progress",), lambda c: c.progress(0.5, "half"), claim),
    Call("Claim.check", (), lambda c: c.check(), claim),
    Call("Claim.extend", ("job_extend",), lambda c: c.extend(), claim),
    Call("Claim.finish", ("job_finish",), enter_and_leave, claim),
    # It asks how often to beat, when it is not told.
    Call("Claim.heartbeat", ("HGETALL",), lambda c: enter_and_leave(c.heartbeat()), claim),
    Call("Claim.heartbeat", (), lambda c: enter_and_leave(c.heartbeat(60)), claim),
]
