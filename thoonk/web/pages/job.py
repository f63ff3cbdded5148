"""One job: where it is, what has happened to it, and what is being said of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools

from starlette.requests import Request

from thoonk.config import JOB
from thoonk.exceptions import UnsupportedOperation, WrongFeedType
from thoonk.operations import JobInfo, ReadJob, ReadJobs, ReadResult
from thoonk.web.items import ShownItem, show
from thoonk.web.live import site_of
from thoonk.web.pages.feed import config_of
from thoonk.web.site import Site, View
from thoonk.web.urls import id_in, name_in, query_of

SHOWN = 50
"""How many notices the page shows."""


async def job(request: Request) -> View:
    """A job, also one that is not there any more while its page is open."""
    site = site_of(request)
    query = query_of(request)
    name, id = name_in(query), id_in(query)
    config = await config_of(site, name)
    if config.kind != JOB:
        raise WrongFeedType(name, expected=JOB, actual=config.type)
    info = await site.source.read(ReadJob(name, id))
    item, result = await _item_and_result(site, name, info, config.serializer)
    notices = site.logs.of(name)
    about = (entry for entry in notices.newest_first() if entry.id == id)
    workers = await site.workers.at_jobs(name)
    return View(
        "job.html",
        {
            "title": id,
            "name": name,
            "id": id,
            "config": config,
            "info": info,
            "item": item,
            "result": result,
            "worker": workers.get(id),
            "story": _story(info),
            "entries": [*itertools.islice(about, SHOWN)],
            "since": notices.since,
        },
    )


async def _item_and_result(
    site: Site, name: str, info: JobInfo | None, serializer: str | None
) -> tuple[ShownItem | None, ShownItem | None]:
    if info is None:
        return None, None
    item = result = None
    with contextlib.suppress(UnsupportedOperation):
        item = (await site.source.read(ReadJobs(name, (info.id,), with_items=True))).get(info.id)
    if info.has_result:
        stored = await site.source.read(ReadResult(name, info.id))
        if stored is not None:
            item = stored.query if item is None else item
            result = stored.result
    return (
        None if item is None else show(item, serializer),
        None if result is None else show(result, serializer),
    )


def _story(info: JobInfo | None) -> list[tuple[str, dt.datetime]]:
    """What is known to have happened, in order."""
    if info is None:
        return []
    steps = [
        ("Put", info.put),
        ("Scheduled for", info.due),
        ("Claimed", info.claimed),
        ("Last progress", info.progressed),
        ("Failed last", info.failed),
        ("Stalled", info.stalled),
    ]
    return sorted(((text, at) for text, at in steps if at is not None), key=lambda step: step[1])
