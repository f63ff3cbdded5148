"""Names: without their prefix, and without a password."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from thoonk.exceptions import FeedError
from thoonk.operations import WorkerInfo, WorkerReport


@attrs.frozen
class Naming:
    """How feeds are called on a shared server: what comes before and behind the name of each."""

    prefix: str
    suffix: str = ""

    def outer(self, name: str) -> str:
        """What the server knows the feed as."""
        return self.prefix + name + self.suffix

    def inner(self, name: str) -> str | None:
        """What its user knows it as; None: it has another form, and belongs to another test."""
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            return None
        return name.removeprefix(self.prefix).removesuffix(self.suffix)

    def forget(self, error: FeedError) -> None:
        """Let the error speak of the feed by the name that its user knows."""
        outer, inner = error.feed, self.inner(error.feed) or error.feed
        error.feed = inner
        error.args = tuple(str(argument).replace(outer, inner) for argument in error.args)

    def of_report(self, report: WorkerReport) -> WorkerReport:
        """A worker's report, as the server is to know it."""
        return attrs.evolve(
            report,
            feeds=tuple(self.outer(feed) for feed in report.feeds),
            jobs=tuple(attrs.evolve(job, feed=self.outer(job.feed)) for job in report.jobs),
        )

    def own_workers(self, workers: Iterable[WorkerInfo]) -> tuple[WorkerInfo, ...]:
        """The workers on feeds whose names have this form, as their user knows them."""
        found = []
        for worker in workers:
            feeds = tuple(name for feed in worker.feeds if (name := self.inner(feed)))
            jobs = tuple(
                attrs.evolve(job, feed=name)
                for job in worker.jobs
                if (name := self.inner(job.feed))
            )
            if feeds:
                found.append(attrs.evolve(worker, feeds=feeds, jobs=jobs))
        return tuple(found)


def without_password(world: str) -> str:
    """The name of a world, which may be a URL, as it may be shown."""
    before, separator, place = world.rpartition("@")
    place = place.partition("?")[0]
    # No parser: a password that is not percent-encoded has to go, too.
    scheme = re.match(r"[a-z+]+://", before)
    return (scheme[0] if scheme else "") + place if separator else place
