"""The page: asked in this process, served by a process of its own, and in a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import httpx2
import processes
import pytest
import servers
from conftest import World, _world
from starlette.applications import Starlette

from thoonk import Thoonk
from thoonk.web import app

HOME = "http://localhost"


class Browser(httpx2.AsyncClient):
    """Asks an application in this process, and sends forms as a browser does."""

    def __init__(self, application: Starlette, **options: Any) -> None:
        self.application = application
        transport = httpx2.ASGITransport(app=application, raise_app_exceptions=True)
        headers = {"accept": "text/html", **options.pop("headers", {})}
        base_url = options.pop("base_url", HOME)
        super().__init__(transport=transport, base_url=base_url, headers=headers, **options)

    async def form(self, path: str, *, query: dict[str, str], **fields: str) -> httpx2.Response:
        """Send a form with the token that a page has given."""
        page = await self.get("/login")
        (csrf,) = {*re.findall(r'name="csrf" value="([^"]+)"', page.text)}
        return await self.post(
            path, params=query, data={"csrf": csrf, **fields}, headers={"origin": HOME}
        )


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    """A client in each world."""
    with Thoonk(backend=world.url) as client:
        yield client


@pytest.fixture
async def open_page() -> AsyncIterator[Callable[..., Browser]]:
    """Pages in this process, closed at the end."""
    opened: list[Browser] = []

    def open(*arguments: Any, **options: Any) -> Browser:
        own = {name: options.pop(name) for name in ("headers", "base_url") if name in options}
        opened.append(Browser(app(*arguments, **options), **own))
        return opened[-1]

    yield open
    for browser in opened:
        await browser.application.state.site.close()
        await browser.aclose()


@pytest.fixture
def page(open_page: Callable[..., Browser], world: World) -> Browser:
    """The page on each world."""
    return open_page(world.url)


@attrs.frozen
class Served:
    """`thoonk web` as a process."""

    url: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def serving(backend: str, *options: str) -> Iterator[Served]:
    """``thoonk web`` on a free port."""
    command = [sys.executable, "-m", "thoonk.cli", "web", "--port", "0", "--backend", backend]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with processes.started(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://\S+/) shows ", line)
        assert found is not None, (line, process.stderr and process.stderr.read())
        yield Served(found[1].rstrip("/"), process)


@pytest.fixture
def one_server(running_server: Callable[[str], servers.Server]) -> Iterator[World]:
    """A server, for what does not depend on which one it is."""
    yield from _world("redis-6.2", running_server)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser, started once for a file.

    Not for a session: Playwright keeps an event loop running, in which no asyncio test can run.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if servers.servers_are_required():
            pytest.fail("there is no chromium on this machine")
        pytest.skip("there is no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A tab in which no script may fail and no policy be broken."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "console",
        lambda message: wrong.append(message.text) if "Security Policy" in message.text else None,
    )
    yield tab
    context.close()
    assert not wrong
