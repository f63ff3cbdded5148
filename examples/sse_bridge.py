"""A feed in the browser: an HTTP server that sends a feed's notices on to web pages.

    python examples/sse_bridge.py [--backend URL] [--port 8000]

Open http://127.0.0.1:8000/ in several windows and write something. Start it twice, on two
ports with the same `--backend redis://…`, and pages of both see the same.

There is one subscription for the whole process, however many browsers there are. The
bridge keeps a copy of the feed from its notices; a browser gets that copy first, and from
then on what happens (server-sent events, which every browser understands by itself).

- The connection to Redis is lost: `subscribe(resync=True)` makes up for what was missed,
  and browsers notice nothing but a pause.
- The connection to a browser is lost: it connects again by itself, is told to begin
  anew (`reset`), and gets the copy.
- A browser is too slow: it is hung up on, so that it holds up nobody and costs no memory
  for ever. It connects again when it can; see above.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from urllib.parse import unquote

from side_by_side import main, parser

from thoonk import AsyncFeed, AsyncThoonk, Deleted, Edited, Published, Retracted, ThoonkError

BACKLOG = 200
"""Events that may wait for a browser; with more it is too slow."""

QUIET = 15.0
"""Seconds after which a silent connection gets a comment, and one that takes nothing is cut."""

SEND_TIMEOUT = 5.0
"""Seconds for a request to arrive."""

LARGEST_ITEM = 10_000
"""Bytes of a request's body."""

PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>Thoonk in the browser</title>
<style>body { font: 1rem sans-serif; max-width: 40rem; margin: 2rem auto }</style>
<form><input name="text" autofocus autocomplete="off" size="50"><button>Publish</button></form>
<ul></ul>
<script>
const list = document.querySelector("ul"), form = document.querySelector("form");
const rows = new Map();
const events = new EventSource("/events");
events.addEventListener("reset", () => { rows.clear(); list.replaceChildren(); });
events.addEventListener("put", (event) => {
  const { id, item } = JSON.parse(event.data);
  rows.get(id)?.remove();
  const row = document.createElement("li");
  row.textContent = item;                        // text, whatever is in it
  row.title = "Click to retract";
  row.onclick = () => fetch("/items/" + encodeURIComponent(id), { method: "DELETE" });
  rows.set(id, row);
  list.prepend(row);
});
events.addEventListener("gone", (event) => {
  const { id } = JSON.parse(event.data);
  rows.get(id)?.remove();
  rows.delete(id);
});
form.onsubmit = (event) => {
  event.preventDefault();
  fetch("/items", { method: "POST", body: JSON.stringify(form.text.value),
                    headers: { "Content-Type": "application/json" } });
  form.reset();
};
</script>
"""


def sse(event: str, data: object) -> bytes:
    """One server-sent event. JSON has no line breaks, so one line of data is enough."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


class Hub:
    """The copy of the feed, and the browsers that follow it."""

    def __init__(self, feed: AsyncFeed[str]) -> None:
        """Nothing happens before `run`."""
        self._feed = feed
        self._items: dict[str, str] = {}
        self._browsers: set[asyncio.Queue[bytes | None]] = set()

    async def run(self) -> None:
        """Follow the feed, for ever."""
        async with self._feed.subscribe(resync=True) as notices:
            async for notice in notices:
                match notice:
                    case Published(id=id, item=item) | Edited(id=id, item=item):
                        self._items.pop(id, None)  # an edit moves it to the end
                        self._items[id] = item
                        self._tell(sse("put", {"id": id, "item": item}))
                    case Retracted(id=id):
                        self._items.pop(id, None)
                        self._tell(sse("gone", {"id": id}))
                    case Deleted():
                        self._items.clear()
                        self._tell(sse("reset", {}))

    def _tell(self, event: bytes) -> None:
        for browser in list(self._browsers):
            try:
                browser.put_nowait(event)
            except asyncio.QueueFull:
                self._hang_up(browser)

    def _hang_up(self, browser: asyncio.Queue[bytes | None]) -> None:
        self._browsers.discard(browser)
        while not browser.empty():
            browser.get_nowait()
        browser.put_nowait(None)

    def close(self) -> None:
        """Hang up on everybody."""
        for browser in list(self._browsers):
            self._hang_up(browser)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What one browser has to be sent: the copy, and then what happens."""
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        # Nothing is awaited between these two, so nothing is missed and nothing comes twice.
        copy = [sse("put", {"id": id, "item": item}) for id, item in self._items.items()]
        self._browsers.add(waiting)
        try:
            yield sse("reset", {}) + b"".join(copy)
            while True:
                try:
                    event = await asyncio.wait_for(waiting.get(), QUIET)
                except TimeoutError:
                    event = b": still here\n\n"
                if event is None:
                    return
                yield event
        finally:
            self._browsers.discard(waiting)


class Server:
    """As much of HTTP as is needed. Behind a real one, keep its buffers off `/events`."""

    def __init__(self, feed: AsyncFeed[str], hub: Hub) -> None:
        """``feed`` takes what browsers publish, ``hub`` knows what to tell them."""
        self._feed = feed
        self._hub = hub
        self._open: set[asyncio.Future[None]] = set()

    async def run(self, port: int) -> None:
        """Serve until this is cancelled."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            port = server.sockets[0].getsockname()[1]
            print(f"http://127.0.0.1:{port}/ shows the feed {self._feed.name!r}", flush=True)
            await self._hub.run()
        finally:
            server.close()
            self._hub.close()
            if self._open:
                await asyncio.wait(self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request."""
        over = asyncio.get_running_loop().create_future()
        self._open.add(over)
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split("\r\n", 1)[0].split(" ")
                length, kind = self._headers(head)
                body = await reader.readexactly(length) if length <= LARGEST_ITEM else None
            if (method, path) == ("GET", "/events"):
                await self._stream(writer)
            elif (method, path) == ("GET", "/"):
                await self._send(writer, "200 OK", PAGE, "text/html")
            else:
                status, answer = await self._answer(method, path, kind, body)
                await self._send(writer, status, answer.encode(), "text/plain")
        except TimeoutError:
            writer.transport.abort()  # it takes nothing, so do not wait until it does
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass  # it is gone, or talks nonsense
        finally:
            writer.close()
            self._open.discard(over)
            over.set_result(None)

    def _headers(self, head: str) -> tuple[int, str]:
        """How long the body is, and of what kind."""
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        return int(headers.get("content-length", "0")), headers.get("content-type", "")

    async def _answer(
        self, method: str, path: str, kind: str, body: bytes | None
    ) -> tuple[str, str]:
        """Status and text for what changes the feed."""
        if body is None:
            return "413 Content Too Large", ""
        try:
            # A foreign page cannot make a browser send this type, or DELETE, without asking.
            if (method, path, kind) == ("POST", "/items", "application/json"):
                return "201 Created", await self._feed.publish(json.loads(body))
            if method == "DELETE" and path.startswith("/items/"):
                found = await self._feed.retract(unquote(path.removeprefix("/items/")))
                return ("204 No Content" if found else "404 Not Found"), ""
        except (ValueError, TypeError) as error:  # no JSON, or nothing that the feed takes
            return "400 Bad Request", str(error)
        except ThoonkError as error:
            print(error, file=sys.stderr)
            return "503 Service Unavailable", ""
        return "404 Not Found", ""

    async def _send(
        self, writer: asyncio.StreamWriter, status: str, body: bytes, kind: str
    ) -> None:
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        async with contextlib.aclosing(self._hub.events()) as events:
            async for event in events:
                writer.write(event)
                async with asyncio.timeout(QUIET):
                    await writer.drain()  # waits for this browser only


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    async with AsyncThoonk(backend=arguments.backend) as thoonk:
        feed = await thoonk.feed("messages", {"max_length": 100})
        await Server(feed, Hub(feed)).run(arguments.port)


def run(arguments: argparse.Namespace) -> bool:
    """Returns when the server has ended."""
    asyncio.run(serve(arguments))
    return True


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--port", type=int, default=8000, help="0: any that is free")
    main(run, options.parse_args())
