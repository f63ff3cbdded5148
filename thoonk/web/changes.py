"""Changes: forms that are checked, confirmed if they destroy, done, and answered for."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from thoonk.exceptions import ThoonkError
from thoonk.raw_items import printable
from thoonk.web.forms import read_form
from thoonk.web.live import Endpoint, site_of
from thoonk.web.security import has_csrf_token, is_own_request
from thoonk.web.site import Site, View
from thoonk.web.urls import link, local_path, query_of

logger = logging.getLogger("thoonk.web")


@attrs.frozen
class Change:
    """What a form asks for.

    Attributes:
        request: the request that brought it.
        site: the application.
        query: what its address names.
        form: its fields.
    """

    request: Request
    site: Site
    query: Mapping[str, str]
    form: Mapping[str, str]


@attrs.frozen
class Question:
    """What is asked before something is destroyed.

    Attributes:
        title: the question.
        text: what will happen.
        button: what the button says that does it.
        back: what the button says that does nothing.
    """

    title: str
    text: str
    button: str
    back: str = "Cancel"


Doing = Callable[[Change], Awaitable[str | View]]
"""Does it and returns a message, or a page that says what is wrong with the form."""

Asking = Callable[[Change], Question]


def refusal(request: Request, form: Mapping[str, str]) -> Response | None:
    """Why a form is not accepted: it is not from a page of ours."""
    if not is_own_request(request):
        return PlainTextResponse("This form was sent by a page of another site.", status_code=403)
    if not has_csrf_token(request, form.get("csrf", "")):
        return PlainTextResponse(
            "This form is not from a page that this browser got from here. "
            "Go back, reload the page, and try again (cookies have to be allowed).",
            status_code=403,
        )
    return None


def _log(path: str, result: str, *, is_error: bool) -> None:
    if is_error:
        logger.warning(
            "Change by %s failed: %s", path, result, extra={"event": "web_change_failed"}
        )
    else:
        logger.info("Change by %s: %s", path, result, extra={"event": "web_change"})


def change(doing: Doing, ask: Asking | None = None) -> Endpoint:
    """An address for forms that change something.

    Nothing is changed on a page that is read-only, or by a form that is not from one of our
    pages (unless the request shows the token itself).

    Args:
        doing: does it, and says what has been done.
        ask: what to ask first; None: it destroys nothing.
    """

    @functools.wraps(doing)
    async def endpoint(request: Request) -> Response:
        site = site_of(request)
        if site.guard.read_only:
            return PlainTextResponse("This page is read-only.", status_code=403)
        try:
            form = await read_form(request)
            query = query_of(request)
        except ValueError as error:
            return PlainTextResponse(str(error), status_code=400)
        if not site.guard.has_bearer(request):
            refused = refusal(request, form)
            if refused is not None:
                return refused
        change = Change(request, site, query, form)
        back = local_path(form.get("back", ""), link(request, "/"))
        try:
            if ask is not None and form.get("confirmed") != "yes":
                question = ask(change)
                view = View("confirm.html", {"question": question, "form": form, "back": back})
                return site.render(request, view)
            result = await doing(change)
        except (ThoonkError, ValueError) as error:
            result, is_error = printable(str(error)), True
        else:
            is_error = False
        if isinstance(result, View):
            return site.render(request, result)
        _log(request.url.path, result, is_error=is_error)
        separator = "&" if "?" in back else "?"
        said = site.say(result, is_error=is_error)
        return RedirectResponse(f"{back}{separator}said={said}", status_code=303)

    return endpoint
