"""The interface of what watches a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from thoonk.notices import Notice
from thoonk.operations import Operation

OUTCOMES = ["finished", "discarded", "failed", "stalled", "lost", "stopped", "released", "settled"]
"""How a job can end in a worker; docs/observability.md tells what each means."""


class Observer(Protocol):
    """Called for each operation of a backend, and its outcome. The same for threads and tasks."""

    def call(
        self, operation: Operation[Any], *, waiting: bool
    ) -> AbstractContextManager[Callable[[Any], object]]:
        """Entered before an operation is executed, left afterward, with its error if any.

        What it gives is called with the answer, if there is one. ``waiting``: the caller
        blocks until something may be there to take.
        """

    # May have a method ``work(feed, id, attempt)``, whose context manager is entered before a
    # worker calls a handler for a job, and left afterwards with what the handler has raised.
    # May have a method ``ended(feed, id, outcome, seconds)``, which a worker calls when a job has
    # ended: how (one of `OUTCOMES`), and how long the worker had it (None: it is not known).

    def notice(self, notice: Notice) -> None:
        """A notice has arrived at a subscription. Items in it are bytes."""


@contextmanager
def watched(
    observers: Iterable[Observer], operation: Operation[Any], *, waiting: bool
) -> Iterator[Callable[[Any], None]]:
    """All observers' `Observer.call` as one."""
    with ExitStack() as calls:
        tell = [calls.enter_context(o.call(operation, waiting=waiting)) for o in observers]

        def answered(answer: Any) -> None:
            for each in tell:
                each(answer)

        yield answered


def ended(
    observers: Iterable[Observer], feed: str, id: str, outcome: str, seconds: float | None
) -> None:
    """Tell all observers that have a method ``ended``."""
    for observer in observers:
        tell = getattr(observer, "ended", None)
        if tell is not None:
            tell(feed, id, outcome, seconds)


@contextmanager
def worked(observers: Iterable[Observer], feed: str, id: str, attempt: int) -> Iterator[None]:
    """All observers' ``work`` as one."""
    with ExitStack() as blocks:
        for observer in observers:
            work = getattr(observer, "work", None)
            if work is not None:
                blocks.enter_context(work(feed, id, attempt))
        yield
