"""What an open page is sent: the parts of it that change, as they change."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from conftest import World

from thoonk import Thoonk

from .conftest import Browser

SOON = 60.0


class Stream:
    """The events that a page has been sent so far."""

    def __init__(self) -> None:
        self.status = 0
        self._text = ""
        self._has_more = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        """What the application sends."""
        self.status = message.get("status", self.status)
        self._text += message.get("body", b"").decode()
        self._has_more.set()

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Their names and values, but for the last one, if it has not arrived whole."""
        found = re.findall(r"event: (\w+)\ndata: (.*)\n\n", self._text)
        return [(name, json.loads(data)) for name, data in found]

    async def until(self, right: Callable[[str, Any], bool]) -> Any:
        """Wait for an event; return its value."""
        async with asyncio.timeout(SOON):
            while True:
                self._has_more.clear()
                for name, value in self.events:
                    if right(name, value):
                        return value
                await self._has_more.wait()

    async def region(self, name: str, text: str) -> Any:
        """Wait until a region of the page has a text."""
        return await self.until(lambda _, value: text in (value.get(name) or ""))


@asynccontextmanager
async def opened(page: Browser, path: str) -> AsyncIterator[Stream]:
    """A page that is open, as the application sees it."""
    stream, closed = Stream(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await closed.wait()
        return {"type": "http.disconnect"}

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"text/event-stream")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    task = asyncio.create_task(page.application(scope, receive, stream.send))
    try:
        yield stream
    finally:
        closed.set()
        async with asyncio.timeout(SOON):
            await task


async def test_only_what_has_changed_is_sent(thoonk: Thoonk, page: Browser) -> None:
    feed = thoonk.feed("news")
    feed.publish("one", id="a")
    async with opened(page, "/feed?name=news") as stream:
        await stream.region("live_items", ">a</a>")
        assert stream.status == 200
        assert stream.events[0] == ("state", {"template": "feed.html", "stale": None})
        feed.publish("<b>two</b>", id="b")
        changed = await stream.region("live_items", ">b</a>")
        assert "&lt;b&gt;two&lt;/b&gt;" in changed["live_items"]
        # Numbers change besides, and nothing else.
        assert changed.keys() <= {"live_items", "live_head"}


async def test_a_page_whose_feed_is_deleted_is_told_so(thoonk: Thoonk, page: Browser) -> None:
    thoonk.feed("news")
    async with opened(page, "/feed?name=news") as stream:
        await stream.until(lambda name, _: name == "regions")
        thoonk.delete_feed("news")
        await stream.until(lambda _, value: value.get("template") == "missing.html")


async def test_a_stream_says_since_when_the_backend_is_away(
    open_page: Callable[..., Browser], any_server: Callable[..., Any]
) -> None:
    with any_server() as server:
        with Thoonk(backend=server.url) as thoonk:
            thoonk.feed("news")
        page = open_page(server.url)
        async with opened(page, "/feed?name=news") as stream:
            await stream.until(lambda name, _: name == "regions")
            server.kill()
            await stream.until(lambda _, value: bool(value.get("stale")))
            server.start()
            with Thoonk(backend=server.url) as thoonk:
                thoonk.feed("news").publish("x", id="again")
            await stream.region("live_items", ">again</a>")
            assert [value["stale"] for name, value in stream.events if name == "state"][-1] is None


async def test_streams_end_when_the_application_does(world: World, page: Browser) -> None:
    with Thoonk(backend=world.url) as thoonk:
        thoonk.feed("news")
    async with opened(page, "/") as stream:
        await stream.region("live_table", ">news</a>")
        page.application.state.site.closing.set()


async def test_the_log_reads_notices_at_intervals(
    one_server: World, open_page: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One by one they cost the server and the page much more.
    read, reads = asyncio.StreamReader.feed_data, 0

    def counting(reader: asyncio.StreamReader, data: bytes) -> None:
        nonlocal reads
        reads += b"feed.publish:news" in data
        read(reader, data)

    def publish() -> None:
        with Thoonk(backend=one_server.url) as thoonk:
            feed = thoonk.feed("news")
            for number in range(300):
                feed.publish("x", id=f"{number}")

    monkeypatch.setattr(asyncio.StreamReader, "feed_data", counting)
    async with opened(open_page(one_server.url), "/log") as stream:
        await stream.region("live_log", "notices since")
        await asyncio.to_thread(publish)
        await stream.region("live_log", ">299</td>")
    assert reads < 100
