"""A proxy that can hold back a server's replies."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import servers


class HoldingProxy:
    """Passes on what clients send; passes on replies only while `flow` is set."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        self.flow = threading.Event()
        self.flow.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for source, target, holds in ((client, server, False), (server, client, True)):
                    arguments = (source, target, holds)
                    threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, holds: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if holds:
                    self.flow.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.flow.set()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextlib.contextmanager
def holding_proxy(server: servers.Server) -> Iterator[HoldingProxy]:
    """A proxy before a server for the length of a block."""
    proxy = HoldingProxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()
