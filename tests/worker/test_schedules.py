"""Schedules whose times have run out, for nobody has taken jobs for long."""

from __future__ import annotations

import threading
import time

import pytest

from thoonk import Empty, Job, Thoonk
from thoonk.operations import IfMissed, JobSchedule, ReadSchedules, Schedule
from thoonk.testing._sync.helpers import until
from thoonk.worker import Worker


def run_out(thoonk: Thoonk) -> Job[str]:
    """A feed with a schedule that has no time any more; those that were missed are skipped."""
    job = thoonk.job("j")
    schedule = Schedule("s", b"x", cron="* * * * *", tz="UTC", if_missed=IfMissed.SKIP)
    thoonk.backend.execute(JobSchedule("j", schedule, (time.time() - 180, time.time() - 120)))
    with pytest.raises(Empty):
        job.get_nowait()
    assert next_of(thoonk) is None
    return job


def next_of(thoonk: Thoonk) -> float | None:
    (status,) = thoonk.backend.execute(ReadSchedules("j"))
    return status.next


def test_whoever_reads_a_schedule_that_has_no_time_any_more_renews_it() -> None:
    with Thoonk(backend="memory") as thoonk:
        job = run_out(thoonk)
        (schedule,) = job.schedules()
        assert schedule.next is not None
        assert next_of(thoonk) == schedule.next.timestamp()


def test_a_worker_renews_a_schedule_that_has_no_time_any_more() -> None:
    with Thoonk(backend="memory") as thoonk:
        run_out(thoonk)
        worker = Worker(thoonk)
        worker.handle("j", str.upper)
        working = threading.Thread(target=worker.run)
        working.start()
        try:
            until(lambda: next_of(thoonk) is not None, timeout=20)
        finally:
            worker.stop()
            working.join()
