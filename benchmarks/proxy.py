"""Counts round trips where they happen: at the socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class CountingProxy:
    """Forwards connections to a port of this machine.

    A round trip is a request, however many commands are in it, that comes after a reply
    (or first of all).
    """

    def __init__(self, port: int) -> None:
        self.trips = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        answered = True

        async def requests() -> None:
            nonlocal answered
            while data := await reader.read(1 << 20):
                self.trips += answered
                answered = False
                far_writer.write(data)
            far_writer.close()

        async def replies() -> None:
            nonlocal answered
            while data := await far_reader.read(1 << 20):
                answered = True
                writer.write(data)
            writer.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(requests(), replies())

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


@contextlib.contextmanager
def counting(port: int) -> Iterator[CountingProxy]:
    """A proxy for the length of a block."""
    proxy = CountingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
