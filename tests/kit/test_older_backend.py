"""Backends written before some operations: those that work in short steps, and those of 2.1."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from thoonk import Empty, JobCounts, Thoonk, UnsupportedOperation
from thoonk import operations as ops
from thoonk.backends.embedded import Core, EmbeddedBackend, MemoryStore


class OlderBackend(EmbeddedBackend):
    """It does all in one step."""

    def execute(self, operation: ops.Operation[Any]) -> Any:
        if isinstance(operation, ops.JobMend | ops.RetractSome | ops.FeedTrim):
            raise UnsupportedOperation(f"no {type(operation).__name__} here")
        return super().execute(operation)


@attrs.define
class Clock:
    """It goes when it is told to."""

    time: float = 1e9

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def thoonk(clock: Clock) -> Thoonk:
    return Thoonk(backend=OlderBackend(Core(MemoryStore(), clock)))


def test_maintenance_is_done_in_one_step(thoonk: Thoonk, clock: Clock) -> None:
    job = thoonk.job("j", {"claim_timeout": 5})
    id = job.put("x")
    job.get(timeout=5)
    clock.time += 6
    assert job.maintenance().expired == (id,)


def test_many_are_retracted_a_thousand_in_one_step(thoonk: Thoonk) -> None:
    job, feed = thoonk.job("j"), thoonk.sorted_feed("s")
    ids = job.put_many("x" for _ in range(1500))
    assert job.retract_many([*ids, "unknown"]) == [True] * 1500 + [False]
    feed.publish_many("x" for _ in range(3))
    assert feed.retract_many(["1", "9", "1"]) == [True, False, False]
    assert feed.get_ids() == ["2", "3"]


def test_a_lower_max_length_trims_at_once(thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    ids = feed.publish_many([*"abcd"])
    thoonk.set_config("f", {"max_length": 1})
    assert feed.get_ids() == ids[3:]


# --- before 2.1 -------------------------------------------------------------------------------

SINCE_2_1 = (
    *(ops.JobAdd, ops.JobFail, ops.JobReschedule, ops.ReadJob, ops.ReadJobs, ops.ReadJobPage),
    *(ops.JobRetryAll, ops.JobClear, ops.QueueAdd, ops.QueueClear, ops.PauseFeed, ops.ResumeFeed),
)


class BackendOf20(EmbeddedBackend):
    """It knows no jobs for later, no reasons, and no pauses."""

    def execute(self, operation: ops.Operation[Any]) -> Any:
        if isinstance(operation, SINCE_2_1):
            raise UnsupportedOperation(f"no {type(operation).__name__} here")
        return super().execute(operation)


@pytest.fixture
def old(clock: Clock) -> Thoonk:
    return Thoonk(backend=BackendOf20(Core(MemoryStore(), clock)))


def test_jobs_are_put_read_and_finished_as_ever(old: Thoonk) -> None:
    job = old.job("j")
    ids = job.put_many(["a", "b"])
    assert sorted(job.get_ids()) == sorted(ids)
    assert job.get_all() == job.get_items() == dict(zip(ids, "ab", strict=True))
    assert job.get_items(ids[:1]) == {ids[0]: "a"}
    assert (job.get_item(ids[0]), job.get_item("none")) == ("a", None)
    assert ids[0] in job
    assert "none" not in job
    assert len(job) == 2
    job.get(timeout=5).finish("done")
    assert job.get_result(ids[0], timeout=5) == ("a", "done")
    with pytest.raises(Empty):
        job.get_result(ids[1], timeout=0.05)
    assert job.retract(ids[1])


def test_a_block_that_raises_gives_the_job_back_and_the_reason_is_lost(old: Thoonk) -> None:
    job = old.job("j", {"max_failures": 2})
    id = job.put("x")
    with pytest.raises(ZeroDivisionError), job.get(timeout=5):
        raise ZeroDivisionError
    assert job.get_counts() == JobCounts(1, 0, 0, 0)
    seen = []
    for claim in job.claims(timeout=0.05):
        seen.append(claim.cancelled)
        with pytest.raises(ZeroDivisionError), claim:
            raise ZeroDivisionError
    assert seen == [1]
    assert job.get_counts() == JobCounts(0, 0, 1, 0)
    assert job.get_failure_count(id) == 2


def test_what_it_cannot_do_it_refuses(old: Thoonk) -> None:
    job, queue = old.job("j"), old.queue("q")
    id = job.put("x")
    claim = job.get(timeout=5)
    for call in (
        lambda: job.put("y", id="a"),
        lambda: job.put("y", delay=1),
        lambda: job.put_many({"a": "y"}),
        lambda: queue.put("y", id="a"),
        lambda: job.get_info(id),
        lambda: job.get_ids("waiting"),
        lambda: job.run_now(id),
        lambda: claim.cancel(reason="why"),
        lambda: claim.cancel(delay=1),
        lambda: claim.stall(reason="why"),
        job.retry_all,
        job.purge,
        queue.purge,
        job.pause,
        queue.resume,
    ):
        with pytest.raises(UnsupportedOperation):
            call()
    assert not claim.ended
    assert job.get_counts() == JobCounts(0, 1, 0, 0)
    assert claim.cancel() is False


def test_a_job_is_stopped_though_no_reason_is_kept(old: Thoonk) -> None:
    job = old.job("j")
    id = job.put("x")
    assert job.stop(id) is False
    job.get(timeout=5)
    assert job.stop(id) is True
    assert job.get_counts() == JobCounts(0, 0, 1, 0)


class BackendWithoutSchedules(EmbeddedBackend):
    """It knows nothing of periodic jobs, of progress, and of asking for claims."""

    unknown = (
        *(ops.JobSchedule, ops.JobSetRuns, ops.JobUnschedule, ops.ReadSchedules),
        *(ops.JobProgress, ops.JobHolds),
    )

    def execute(self, operation: ops.Operation[Any]) -> Any:
        if isinstance(operation, self.unknown):
            raise UnsupportedOperation(f"no {type(operation).__name__} here")
        return super().execute(operation)


def test_what_it_does_not_know_is_refused_and_the_claim_goes_on(clock: Clock) -> None:
    job = Thoonk(backend=BackendWithoutSchedules(Core(MemoryStore(), clock))).job("j")
    for call in (
        lambda: job.schedule("s", "x", every=5),
        lambda: job.unschedule("s"),
        job.schedules,
    ):
        with pytest.raises(UnsupportedOperation):
            call()
    job.put("x")
    with job.get() as claim:
        with pytest.raises(UnsupportedOperation):
            claim.progress(0.5, "half")
        claim.set_result("done")
    assert job.get_result(claim.id) == ("x", "done")


class BackendWithoutWorkers(EmbeddedBackend):
    """It keeps nothing of workers."""

    def execute(self, operation: ops.Operation[Any]) -> Any:
        if isinstance(operation, ops.ReportWorker | ops.RemoveWorker | ops.ReadWorkers):
            raise UnsupportedOperation(f"no {type(operation).__name__} here")
        return super().execute(operation)


def test_workers_are_not_known_where_the_backend_does_not_keep_them(clock: Clock) -> None:
    thoonk = Thoonk(backend=BackendWithoutWorkers(Core(MemoryStore(), clock)))
    with pytest.raises(UnsupportedOperation, match="ReadWorkers"):
        thoonk.get_workers()


def test_a_job_that_looks_like_one_of_a_schedule_is_claimed_all_the_same(clock: Clock) -> None:
    job = Thoonk(backend=BackendWithoutSchedules(Core(MemoryStore(), clock))).job("j")
    id = job.put("x", id="s@1700000000000")
    with job.get() as claim:
        assert claim.id == id
