"""The workers that are alive, and what each of them does."""

from __future__ import annotations

from starlette.requests import Request

from thoonk.web.live import site_of
from thoonk.web.site import View
from thoonk.web.urls import query_of

PAGE = 100
"""How many workers a page shows."""


async def workers(request: Request) -> View:
    """All workers, or those of a feed or host."""
    site = site_of(request)
    search = query_of(request).get("q", "")
    known = await site.workers()
    words = search.lower().split()
    found = [
        worker
        for worker in known or ()
        if all(
            word in f"{worker.host}:{worker.pid} {' '.join(worker.feeds)}".lower() for word in words
        )
    ]
    return View(
        "workers.html",
        {
            "title": "Workers",
            "search": search,
            "is_supported": known is not None,
            "total": len(known or ()),
            "found": len(found),
            "busy": sum(worker.busy for worker in found),
            "slots": sum(worker.concurrency for worker in found),
            "workers": found[:PAGE],
        },
    )
