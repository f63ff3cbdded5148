"""A health probe: is a worker of this host alive? The program that works is not imported."""

from __future__ import annotations

import enum
import socket
import threading
from collections.abc import Iterable, Sequence

import attrs

from thoonk import Thoonk, WorkerInfo
from thoonk.backends import impatient
from thoonk.exceptions import ThoonkError


class Mode(enum.Enum):
    """The question. The modes differ if the server is unreachable or a worker is stopping."""

    READY = "ready"
    LIVE = "live"


@attrs.frozen
class Health:
    """What a probe has found."""

    is_good: bool
    message: str


def check(url: str, feeds: Sequence[str], mode: Mode, *, within: float, timeout: float) -> Health:
    """Whether workers of this host have reported lately.

    Args:
        url: the backend.
        feeds: each needs a worker; none: there has to be a worker.
        mode: READY: one that takes jobs. LIVE: one that is there, or the server cannot be asked.
        within: seconds since a worker has reported, at most.
        timeout: seconds for the server's answer.

    Raises:
        InvalidValue: no such backend.
    """
    answers: list[Health] = []
    # Not part of the time limit: this imports a driver, and does not connect yet.
    client = Thoonk(backend=url, **impatient(url, timeout, timeout))

    def ask() -> None:
        try:
            with client:
                workers = client.get_workers()
        except ThoonkError as error:
            answers.append(_unknown(mode, str(error)))
        else:
            answers.append(judge(workers, socket.gethostname(), feeds, mode, within))

    # A daemon thread: looking up a host's address cannot be interrupted, so do not wait for it.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    return answers[0] if answers else _unknown(mode, f"no answer within {timeout:g} s")


def _unknown(mode: Mode, why: str) -> Health:
    """No answer: do not restart a worker because its server is unreachable."""
    return Health(mode is Mode.LIVE, f"cannot ask the server: {why}")


def _serves(worker: WorkerInfo, feed: str) -> bool:
    """Whether a worker works on a feed. It lists a partitioned one by its partitions."""
    return feed in worker.feeds or f"{{{feed}:0}}" in worker.feeds


def judge(
    workers: Iterable[WorkerInfo], host: str, feeds: Sequence[str], mode: Mode, within: float
) -> Health:
    """What the workers that are listed mean for a host."""
    found = [
        worker
        for worker in workers
        if worker.host == host and worker.age <= within
        if mode is Mode.LIVE or not worker.is_stopping
    ]
    missing = [feed for feed in feeds if not any(_serves(worker, feed) for worker in found)]
    if missing or not found:
        what = f"the feed {missing[0]!r}" if missing else "any feed"
        return Health(False, f"no worker of {host} for {what} has reported within {within:g} s")
    suited = [
        worker for worker in found if not feeds or any(_serves(worker, feed) for feed in feeds)
    ]
    freshest = min(suited, key=lambda worker: worker.age)
    return Health(
        True,
        f"worker {freshest.host}:{freshest.pid} on {', '.join(freshest.feeds)} reported "
        f"{freshest.age:.1f} s ago",
    )
