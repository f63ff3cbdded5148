"""What a handler raises to say what becomes of its job, and what is raised for it."""

from __future__ import annotations

from thoonk.exceptions import ThoonkError
from thoonk.worker.values import check_seconds


class Outcome(Exception):
    """A handler's decision about its job; not an error of the handler."""


class Retry(Outcome):
    """Do the job again later. It counts as a failed attempt, like any other.

    Attributes:
        delay: seconds from now; None: as the handler's ``backoff`` says.
    """

    def __init__(self, delay: float | None = None) -> None:
        super().__init__(delay)
        self.delay = None if delay is None else check_seconds("delay", delay)

    def __str__(self) -> str:
        return "asked for" if self.delay is None else f"asked for in {self.delay:g} s"


class Stall(Outcome):
    """Take the job out of circulation, until `thoonk.Job.retry`."""

    def __init__(self, reason: str = "asked for") -> None:
        super().__init__(reason)


class Discard(Outcome):
    """The job need not be done: it is finished, without a result."""

    def __init__(self, reason: str = "asked for") -> None:
        super().__init__(reason)


class TimeLimitExceeded(ThoonkError, TimeoutError):
    """A job took longer than its handler's ``time_limit``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not done within the time limit of {seconds:g} s")
