"""What all pages of an application share, and how a page is rendered."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import Response

from thoonk.raw_items import printable
from thoonk.web import items
from thoonk.web.live_workers import Workers
from thoonk.web.notice_log import NoticeLogs
from thoonk.web.sampler import Sampler
from thoonk.web.security import CSRF_COOKIE, Guard, new_csrf_token, own_path
from thoonk.web.source import Source
from thoonk.web.urls import link, query_of

FOLDER = Path(__file__).parent

KEPT_MESSAGES = 200
"""How many messages wait at most for the page that shows them."""


@attrs.frozen
class View:
    """What a page shows: a template and what is put into it.

    Attributes:
        template: its file in ``templates``. Its blocks whose names begin with ``live`` are
            sent again when they have changed.
        context: what it is rendered with.
        status: of the response.
        stale_since: seconds since 1970 since which the numbers are old; None: they are not.
    """

    template: str
    context: Mapping[str, Any]
    status: int = 200
    stale_since: float | None = None


@attrs.frozen
class Said:
    """A message for the page that follows a change."""

    text: str
    is_error: bool


class Site:
    """One application.

    Attributes:
        source: what pages read from and write to.
        sampler: how full and how busy feeds are.
        workers: the workers that are alive.
        logs: the latest notices.
        guard: who may do what.
        closing: set when live pages are to end.
    """

    def __init__(self, source: Source, guard: Guard) -> None:
        self.source = source
        self.guard = guard
        self.sampler = Sampler(source)
        self.workers = Workers(source)
        self.logs = NoticeLogs(source)
        self.closing = asyncio.Event()
        self.menu: list[tuple[str, str]] = []
        self._said: OrderedDict[str, Said] = OrderedDict()
        self._templates = _environment()

    async def close(self) -> None:
        """End live pages, and close all that the application holds."""
        self.closing.set()
        await self.sampler.close()
        await self.logs.close()
        await self.source.close()

    # --- messages --------------------------------------------------------------------------

    def say(self, text: str, *, is_error: bool = False) -> str:
        """Keep a message; returns what the page that shows it is asked with."""
        key = secrets.token_urlsafe(9)
        self._said[key] = Said(text, is_error)
        while len(self._said) > KEPT_MESSAGES:
            self._said.popitem(last=False)
        return key

    def said(self, key: str) -> Said | None:
        """A message, which is shown once."""
        return self._said.pop(key, None)

    # --- rendering --------------------------------------------------------------------------

    def _context(self, request: Request, view: View, csrf: str) -> dict[str, Any]:
        def here(path: str, **query: object) -> str:
            return link(request, path, **query)

        return {
            "link": here,
            "csrf": csrf,
            "read_only": self.guard.read_only,
            "can_log_out": self.guard.wants_token and not self.guard.has_bearer(request),
            "backend_name": self.source.name,
            "menu": self.menu,
            "stale_since": view.stale_since,
            "template_name": view.template,
            "path": own_path(request.scope),
            "here": here(own_path(request.scope), **{**query_of(request), "said": None}),
            **view.context,
        }

    def render(self, request: Request, view: View, *, is_live: bool = False) -> Response:
        """A page as HTML; whether its address also gives a stream of what changes."""
        csrf = request.cookies.get(CSRF_COOKIE) or new_csrf_token()
        said = self.said(request.query_params.get("said", ""))
        context = {"said": said, "is_live": is_live, **self._context(request, view, csrf)}
        text = self._templates.get_template(view.template).render(context)
        response = Response(
            # Names may have bytes that are not UTF-8.
            text.encode("utf-8", "backslashreplace"),
            status_code=view.status,
            media_type="text/html; charset=utf-8",
        )
        if CSRF_COOKIE not in request.cookies:
            set_cookie(request, response, CSRF_COOKIE, csrf)
        return response

    def regions(self, request: Request, view: View) -> dict[str, str]:
        """The parts of a page that are live, by name."""
        csrf = request.cookies.get(CSRF_COOKIE, "")
        template: Template = self._templates.get_template(view.template)
        context = template.new_context(self._context(request, view, csrf))
        return {
            name: "".join(block(context))
            for name, block in template.blocks.items()
            if name.startswith("live")
        }


def set_cookie(
    request: Request, response: Response, name: str, value: str, max_age: int | None = None
) -> None:
    """Set a cookie that no script reads and no other site sends."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=request.scope.get("root_path", "") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def clock_text(seconds: float) -> str:
    """A time of this machine, as a clock shows it."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _seconds_ago(at: dt.datetime | float) -> float:
    """How long ago it was; negative: it is still to come."""
    return time.time() - (at if isinstance(at, int | float) else at.timestamp())


def _utc(at: dt.datetime | float) -> str:
    """A time as ISO 8601 writes it, to the second."""
    if isinstance(at, int | float):
        at = dt.datetime.fromtimestamp(at, dt.UTC)
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc_text(at: dt.datetime | float) -> str:
    """A time for people."""
    return _utc(at).replace("T", " ").replace("Z", " UTC")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "number": items.number_text,
        "rate": items.rate_text,
        "size": items.size_text,
        "age": items.age_text,
        "printable": printable,
        "clock": clock_text,
        "ago": _seconds_ago,
        "utc": _utc,
        "utc_text": _utc_text,
    }
    environment.filters.update(filters)
    environment.globals["sparkline"] = items.sparkline
    # Macros, also for blocks that are rendered on their own.
    environment.globals["ui"] = environment.get_template("ui.html").module
    return environment
