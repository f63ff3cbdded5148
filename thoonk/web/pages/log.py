"""The latest notices of a feed, or of all, as they come."""

from __future__ import annotations

import itertools

from starlette.requests import Request

from thoonk.web.live import site_of
from thoonk.web.site import View
from thoonk.web.urls import name_in, query_of

SHOWN = 100
"""How many notices the page shows."""


async def log(request: Request) -> View:
    """What has happened lately; paused, what had happened by then."""
    site = site_of(request)
    query = query_of(request)
    name = name_in(query) if query.get("name") else ""
    search = query.get("q", "")
    paused = query.get("paused", "")
    until = int(paused) if paused.isascii() and paused.isdigit() and len(paused) < 16 else None  # noqa: PLR2004
    notices = site.logs.of(name or None)
    words = search.lower().split()
    matching = (entry for entry in notices.newest_first(until) if entry.matches(words))
    entries = [*itertools.islice(matching, SHOWN)]
    newest = next(notices.newest_first(), None)
    return View(
        "log.html",
        {
            "title": f"Log of {name}" if name else "Log",
            "name": name,
            "search": search,
            "entries": entries,
            "count": notices.count,
            "since": notices.since,
            "error": notices.error,
            "newest": newest.number if newest else 0,
            "until": until,
            "shown": SHOWN,
            **({"is_live": False} if until is not None else {}),
        },
    )
