"""A TCP proxy between a client and a server that breaks connections on demand."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections.abc import Iterator
from typing import Protocol


class Cut(enum.Enum):
    """Where the connection of the next request is cut."""

    BEFORE = "the request does not arrive"
    HALF_REQUEST = "half of the request arrives"
    AFTER = "the request arrives, nothing of the reply"
    HALF_REPLY = "the request arrives, half of the reply"


class Proxy:
    """Forwards to a port of this machine, byte by byte and request by request.

    Attributes:
        port: where it listens, on 127.0.0.1.
        armed: cuts to come: each request (what the client sends in one go) uses up the
            first of them. None in it lets a request pass.
        done: the cuts that were made.
        refuse: close new connections at once.
        trickle: seconds from one byte to the next of what a server sends, on all connections.
        pace: bytes a second that a server sends, on all connections; 0: as fast as it can.
        halve: of the next that a server sends one half arrives, and then nothing more on
            that connection.
    """

    def __init__(self, port: int) -> None:
        """Listen on a free port, in threads of its own, and forward to ``port``."""
        self._target = port
        self.armed: list[Cut | None] = []
        self.done: list[Cut] = []
        self.refuse = False
        self.halve = False
        self.trickle = 0.0
        self.pace = 0
        self.closed = threading.Event()
        self._lost: list[threading.Event] = []
        self._lock = threading.Lock()
        self._requests_flow = threading.Event()
        self._replies_flow = threading.Event()
        self.thaw()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the server's first db, by way of this proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def freeze(self) -> None:
        """Hold back what is sent, both ways, until `thaw`. Connections stay open."""
        self._requests_flow.clear()
        self._replies_flow.clear()

    def hold_replies(self) -> None:
        """Hold back what the server sends, until `thaw`. Requests arrive."""
        self._replies_flow.clear()

    def thaw(self) -> None:
        """Forward again, what was held back first."""
        self._requests_flow.set()
        self._replies_flow.set()

    def forget_connections(self) -> None:
        """Drop what is sent on the connections of now, both ways. New ones work.

        As a balancer or a NAT does that has forgotten them.
        """
        with self._lock:
            self.freeze()
            self._lost += [self._requests_flow, self._replies_flow]
            self._requests_flow, self._replies_flow = threading.Event(), threading.Event()
            self.thaw()

    def cut_all(self) -> None:
        """Cut whatever is open now."""
        with self._lock:
            for side in self._open:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut everything and listen no more."""
        self.refuse = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.thaw()
        self.cut_all()
        for event in (self.closed, *self._lost):
            event.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()  # the server is away
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(self, client, server, self._requests_flow, self._replies_flow)
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=link.upstream, daemon=True).start()
            threading.Thread(target=link.downstream, daemon=True).start()

    def next_cut(self) -> Cut | None:
        """What happens to the next request. For the connections."""
        with self._lock:
            cut = self.armed.pop(0) if self.armed else None
            if cut is not None:
                self.done.append(cut)
            return cut

    def forget(self, *sides: socket.socket) -> None:
        """They are closed. For the connections."""
        with self._lock:
            self._open -= set(sides)


class _Link:
    """One client's connection and the one to the server behind it."""

    def __init__(
        self,
        proxy: Proxy,
        client: socket.socket,
        server: socket.socket,
        requests_flow: threading.Event,
        replies_flow: threading.Event,
    ) -> None:
        self._proxy = proxy
        self._requests_flow = requests_flow
        self._replies_flow = replies_flow
        self._client = client
        self._server = server
        self._reply_cut: Cut | None = None

    def upstream(self) -> None:
        """Forward requests until the end."""
        with contextlib.suppress(OSError):
            while data := self._client.recv(1 << 20):
                self._requests_flow.wait()
                cut = self._proxy.next_cut()
                if cut is Cut.BEFORE:
                    break
                if cut is Cut.HALF_REQUEST:
                    self._server.sendall(data[: len(data) // 2])
                    break
                self._reply_cut = cut
                self._server.sendall(data)
        self._hang_up()

    def downstream(self) -> None:
        """Forward replies until the end."""
        with contextlib.suppress(OSError):
            while data := self._server.recv(1 << 20):
                self._replies_flow.wait()
                while self._proxy.trickle and len(data) > 1:
                    self._client.sendall(data[:1])
                    data = data[1:]
                    self._proxy.closed.wait(self._proxy.trickle)
                while self._proxy.pace and len(data) > 1:
                    piece = data[: self._proxy.pace // 20]
                    self._client.sendall(piece)
                    data = data[len(piece) :]
                    self._proxy.closed.wait(0.05)
                if self._proxy.halve:
                    self._proxy.halve = False
                    self._client.sendall(data[: len(data) // 2])
                    self._proxy.closed.wait()
                    break
                if self._reply_cut is Cut.AFTER:
                    break
                if self._reply_cut is Cut.HALF_REPLY:
                    self._client.sendall(data[: len(data) // 2])
                    break
                self._client.sendall(data)
        self._hang_up()

    def _hang_up(self) -> None:
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self._proxy.forget(self._client, self._server)


class HasPort(Protocol):
    """A server on this machine."""

    port: int


@contextlib.contextmanager
def between(server: HasPort) -> Iterator[Proxy]:
    """A proxy before a server, for the length of a block."""
    proxy = Proxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()
