"""Log in with the token, and out."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from thoonk.web.changes import refusal
from thoonk.web.forms import read_form
from thoonk.web.live import site_of
from thoonk.web.security import SESSION_SECONDS
from thoonk.web.site import View, set_cookie
from thoonk.web.urls import link, local_path

logger = logging.getLogger("thoonk.web")

WRONG_TOKEN_DELAY = 0.5
"""Seconds that the answer to a wrong token takes longer."""


async def login_form(request: Request) -> Response:
    """The form that asks for the token."""
    context = {
        "title": "Log in",
        "next": local_path(request.query_params.get("next", "/"), "/"),
        "error": "",
    }
    return site_of(request).render(request, View("login.html", context))


async def log_in(request: Request) -> Response:
    """Take the token, give a cookie."""
    site = site_of(request)
    try:
        form = await read_form(request)
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=400)
    refused = refusal(request, form)
    if refused is not None:
        return refused
    following = local_path(form.get("next", "/"), "/")
    if not site.guard.is_token(form.get("token", "")):
        logger.warning("Login with a wrong token", extra={"event": "web_login_failed"})
        await asyncio.sleep(WRONG_TOKEN_DELAY)
        context = {"title": "Log in", "next": following, "error": "Wrong token."}
        return site.render(request, View("login.html", context, status=403))
    response = RedirectResponse(f"{link(request, '')}{following}", status_code=303)
    set_cookie(
        request, response, site.guard.cookie, site.guard.new_session(), max_age=SESSION_SECONDS
    )
    return response


async def log_out(request: Request) -> Response:
    """Take the cookie away."""
    site = site_of(request)
    try:
        form = await read_form(request)
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=400)
    refused = refusal(request, form)
    if refused is not None:
        return refused
    response = RedirectResponse(link(request, "/login"), status_code=303)
    set_cookie(request, response, site.guard.cookie, "", max_age=0)
    return response
