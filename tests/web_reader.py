"""A reader of the web page without a browser: pages are asked for, forms filled in and sent."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2 as httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette


class Client:
    """An HTTP client of an application, which runs in a thread beside the test."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def get(self, path: str) -> httpx.Response:
        """The response, after redirections."""

        async def ask() -> httpx.Response:
            return await self._client.get(path, headers={"accept": "text/html"})

        return self._portal.call(ask)

    def post(self, path: str, data: Mapping[str, str]) -> httpx.Response:
        """The response, after redirections."""

        async def ask() -> httpx.Response:
            return await self._client.post(path, data=dict(data))

        return self._portal.call(ask)


@contextmanager
def running(application: Starlette) -> Iterator[Client]:
    """An application as a server would run it."""
    with start_blocking_portal() as portal:
        lifespan = application.router.lifespan_context(application)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(application),
            base_url="http://localhost",
            follow_redirects=True,
        )
        with portal.wrap_async_context_manager(lifespan):
            with portal.wrap_async_context_manager(client):
                yield Client(portal, client)


class Reader:
    """Asks for pages and sends their forms, as a browser without script does."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get(self, path: str, status: int = 200) -> str:
        """A page's text."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return response.text

    def send(self, page: str, action: str, *, confirm: bool = False, **fields: str) -> str:
        """Send the form of a page whose address begins with ``action``; the page that follows.

        With ``confirm`` there is a question first, which is answered with yes.
        """
        form = _form(self.get(page), action)
        response = self._post(form, fields)
        if confirm:
            assert "data-question" in response, "nothing was asked"
            response = self._post(_form(response, action), {})
        assert "data-question" not in response, "asked, which was not expected"
        return response

    def _post(self, form: tuple[str, dict[str, str]], fields: Mapping[str, str]) -> str:
        address, hidden = form
        response = self.client.post(address, data={**hidden, **fields})
        assert response.status_code == 200, response.text
        return response.text


def _form(page: str, action: str) -> tuple[str, dict[str, str]]:
    for match in re.finditer(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL):
        address = html.unescape(match[1])
        if address == action or address.startswith(f"{action}?"):
            hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', match[2])
            return address, {name: html.unescape(value) for name, value in hidden}
    raise AssertionError(f"there is no form for {action}")


def said(page: str) -> str:
    """The message on a page."""
    match = re.search(r'<p class="note (?:done|error)">(.*?)</p>', page, re.DOTALL)
    assert match is not None, "nothing is said"
    return html.unescape(match[1])
