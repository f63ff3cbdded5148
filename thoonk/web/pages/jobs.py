"""The jobs of a feed by state, in pages, and its schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from starlette.requests import Request

from thoonk import AsyncJob
from thoonk.config import FeedConfig
from thoonk.exceptions import UnsupportedOperation
from thoonk.operations import JobInfo, JobState, ReadJobPage, ReadSchedules, WorkerInfo
from thoonk.serializers import BINARY
from thoonk.web.items import ShownItem, show
from thoonk.web.live import site_of
from thoonk.web.site import Site, View
from thoonk.web.urls import query_of

PAGE = 25
"""How many jobs a page shows."""

STATES = (JobState.WAITING, JobState.SCHEDULED, JobState.CLAIMED, JobState.STALLED)

SCHEDULES = "schedules"
"""The tab that shows schedules instead of jobs."""


@attrs.frozen
class JobRow:
    """A job in the table.

    Attributes:
        info: what is known of it.
        item: how its item looks.
        worker: the worker that is processing it, if it is known.
    """

    info: JobInfo
    item: ShownItem
    worker: WorkerInfo | None = None


@attrs.frozen
class ScheduleRow:
    """A schedule in the table.

    Attributes:
        name: its name.
        when: how often, in words.
        item: how its item looks.
        next: when the next job is due, in seconds since 1970; None: it is not known.
    """

    name: str
    when: str
    item: ShownItem
    next: float | None


def job_feed(site: Site, name: str) -> AsyncJob[bytes]:
    """A job feed whose items are left as they are stored."""
    return AsyncJob(name, site.source.backend, BINARY)


async def jobs(request: Request, name: str, config: FeedConfig, common: Mapping[str, Any]) -> View:
    """The jobs in a state, or the schedules."""
    site = site_of(request)
    query = query_of(request)
    tab = query.get("state", "")
    if tab != SCHEDULES and tab not in {state.value for state in STATES}:
        tab = JobState.WAITING.value
    cursor = query.get("cursor", "")
    context: dict[str, Any] = {
        **common,
        "tab": tab,
        "states": [state.value for state in STATES],
        "cursor": cursor,
        "following": "",
        "rows": [],
        "schedules": [],
        "unsupported": "",
    }
    try:
        if tab == SCHEDULES:
            context["schedules"] = await _schedules(site, name, config)
        else:
            state = JobState(tab)
            page = await site.source.read(ReadJobPage(name, state, PAGE, cursor))
            at = await site.workers.at_jobs(name) if state is JobState.CLAIMED else {}
            context["rows"] = [
                JobRow(info, show(data, config.serializer), at.get(info.id))
                for info, data in zip(page.jobs, page.items, strict=False)
            ]
            context["following"] = page.cursor
    except UnsupportedOperation as error:
        context["unsupported"] = str(error)
    return View("jobs.html", context)


async def _schedules(site: Site, name: str, config: FeedConfig) -> list[ScheduleRow]:
    found = await site.source.read(ReadSchedules(name))
    return [
        ScheduleRow(
            status.schedule.name,
            f"every {status.schedule.every:g} s"
            if status.schedule.every is not None
            else f"{status.schedule.cron} ({status.schedule.tz})",
            show(status.schedule.item, config.serializer),
            status.next,
        )
        for status in sorted(found, key=lambda status: status.schedule.name)
    ]
