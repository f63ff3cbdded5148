"""Pages, and the same pages as streams of what changes in them."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from thoonk.exceptions import (
    BackendError,
    BackendUnavailable,
    FeedDoesNotExist,
    ItemDoesNotExist,
    OutcomeUnknown,
    ThoonkError,
)
from thoonk.raw_items import printable
from thoonk.web.site import Site, View, clock_text

Handler = Callable[[Request], Awaitable[View]]
Endpoint = Callable[[Request], Awaitable[Response]]

EVENTS = "text/event-stream"

KEEP_ALIVE = 15.0
"""Seconds after which something is sent in any case: proxies close what is silent."""


def site_of(request: Request) -> Site:
    """The application that a request is for."""
    site: Site = request.app.state.site
    return site


def page(handler: Handler, every: float = 1.0) -> Endpoint:
    """A page; asked for events, a stream of what changes in it.

    Args:
        handler: looks, and returns what there is to see. It is called for the page, and
            again and again while the page is open.
        every: seconds between two looks.
    """

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        if EVENTS in request.headers.get("accept", ""):
            return StreamingResponse(
                _events(request, handler, every),
                media_type=EVENTS,
                headers={"X-Accel-Buffering": "no"},
            )
        return site_of(request).render(request, await _look(request, handler), is_live=True)

    return endpoint


async def _look(request: Request, handler: Handler) -> View:
    """What there is to see, or what is wrong."""
    try:
        return await handler(request)
    except (BackendUnavailable, OutcomeUnknown) as error:
        return View("away.html", {"message": printable(str(error))}, status=503)
    except (FeedDoesNotExist, ItemDoesNotExist) as error:
        return View("missing.html", {"message": printable(str(error))}, status=404)
    except BackendError as error:
        return View("wrong.html", {"message": printable(str(error))}, status=502)
    except (ThoonkError, ValueError) as error:
        return View("wrong.html", {"message": printable(str(error))}, status=400)


async def _events(request: Request, handler: Handler, every: float) -> AsyncIterator[bytes]:
    site = site_of(request)
    sent: dict[str, str] = {}
    state: tuple[str, float | None] | None = None
    last = time.monotonic()
    template = None
    # Whoever comes back after the connection was lost sends again what it was last.
    yield b"retry: 2000\n\n"
    while not site.closing.is_set() and not await request.is_disconnected():
        view = await _look(request, handler)
        stale_since = view.stale_since
        if view.status == 503:  # noqa: PLR2004
            stale_since = state[1] if state and state[1] is not None else time.time()
        elif template is None:
            template = view.template
        now = (view.template, stale_since)
        if now != state:
            state = now
            yield _event(
                "state",
                {
                    "template": view.template,
                    "stale": None if stale_since is None else clock_text(stale_since),
                },
            )
        if view.template == template:
            regions = site.regions(request, view)
            changed = {name: text for name, text in regions.items() if sent.get(name) != text}
            if changed:
                sent.update(changed)
                yield _event("regions", changed)
                last = time.monotonic()
        if time.monotonic() - last > KEEP_ALIVE:
            last = time.monotonic()
            yield b": still here\n\n"
        try:
            await asyncio.wait_for(site.closing.wait(), every)
        except TimeoutError:
            continue


def _event(name: str, value: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()
