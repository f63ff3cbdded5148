"""The application: its addresses, and the checks in front of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from thoonk import AsyncThoonk, Thoonk
from thoonk.exceptions import InvalidValue
from thoonk.web.changes import change
from thoonk.web.live import page
from thoonk.web.pages.change_jobs import ADDRESSES
from thoonk.web.pages.edit import ask_retract, editor, move, retract, save
from thoonk.web.pages.feed import feed
from thoonk.web.pages.item import download, image, item
from thoonk.web.pages.job import job
from thoonk.web.pages.log import log
from thoonk.web.pages.login import log_in, log_out, login_form
from thoonk.web.pages.overview import overview
from thoonk.web.pages.workers import workers
from thoonk.web.security import Gate, Guard
from thoonk.web.site import FOLDER, Site
from thoonk.web.source import Source


def app(
    thoonk: AsyncThoonk | Thoonk | str,
    *,
    read_only: bool = False,
    token: str | None = None,
    hosts: Collection[str] | None = None,
) -> Starlette:
    """The page as an ASGI application, to serve or to mount under any path.

    Args:
        thoonk: a client, which stays its owner's to close, or the URL of a backend. Calls of a
            `Thoonk`, which is for threads, run in threads.
        read_only: show everything, change nothing.
        token: what people log in with, and programs send as ``Authorization: Bearer TOKEN``.
            None: no login.
        hosts: the names under which the page answers. None: with ``token`` or ``read_only``
            all names; else only ``localhost``, ``127.0.0.1`` and ``[::1]``, so that a page
            that needs no login is not open to the network by mistake. ``["*"]``: all, where
            the application around it decides who may come in.

    Raises:
        InvalidType: ``thoonk`` is none of these.
        InvalidValue: the token is empty, or there is no backend for the URL.
    """
    if token is not None and not token.strip():
        raise InvalidValue("the token must not be empty")
    site = Site(Source(thoonk), Guard(token=token, read_only=read_only, hosts=hosts))
    site.menu = [("/", "Feeds"), ("/workers", "Workers"), ("/log", "Log")]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await site.close()

    application = Starlette(
        routes=_routes(), middleware=[Middleware(Gate, guard=site.guard)], lifespan=lifespan
    )
    application.state.site = site
    return application


def _routes() -> list[BaseRoute]:
    return [
        Route("/", page(overview, every=2.0)),
        Route("/feed", page(feed)),
        Route("/item", page(item, every=2.0)),
        Route("/item/raw", download),
        Route("/item/image", image),
        Route("/edit", page(editor, every=10.0), methods=["GET"]),
        Route("/edit", change(save), methods=["POST"]),
        Route("/retract", change(retract, ask_retract), methods=["POST"]),
        Route("/move", change(move), methods=["POST"]),
        Route("/job", page(job)),
        Route("/workers", page(workers, every=2.0)),
        Route("/log", page(log, every=0.5)),
        *(Route(at, change(*steps), methods=["POST"]) for at, steps in ADDRESSES.items()),
        Route("/login", login_form, methods=["GET"]),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Mount("/static", StaticFiles(directory=FOLDER / "static"), name="static"),
    ]
