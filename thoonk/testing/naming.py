"""Names: without their prefix, and without a password."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from thoonk.exceptions import FeedError
from thoonk.operations import WorkerInfo, WorkerReport


def own_name(name: str, prefix: str) -> str | None:
    """The name without its prefix; None when it has another one and belongs to another test."""
    return name[len(prefix) :] if name.startswith(prefix) else None


def forget_prefix(error: FeedError, prefix: str) -> None:
    """Let the error speak of the feed by the name that its user knows."""
    error.feed = error.feed.removeprefix(prefix)
    error.args = tuple(str(argument).replace(prefix, "") for argument in error.args)


def with_prefix(report: WorkerReport, prefix: str) -> WorkerReport:
    """A worker's report with a prefix before the names of its feeds."""
    return attrs.evolve(
        report,
        feeds=tuple(prefix + feed for feed in report.feeds),
        jobs=tuple(attrs.evolve(job, feed=prefix + job.feed) for job in report.jobs),
    )


def own_workers(workers: Iterable[WorkerInfo], prefix: str) -> tuple[WorkerInfo, ...]:
    """The workers on feeds with the prefix, without it."""
    found = []
    for worker in workers:
        feeds = tuple(name for feed in worker.feeds if (name := own_name(feed, prefix)))
        jobs = tuple(
            attrs.evolve(job, feed=name)
            for job in worker.jobs
            if (name := own_name(job.feed, prefix))
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
