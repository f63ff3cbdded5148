"""Serves the page on an address of this machine, until it is stopped."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from thoonk.exceptions import InvalidValue


class _Server(uvicorn.Server):
    """A server that ends live pages before it waits for connections to end."""

    def __init__(self, application: Starlette, root_path: str) -> None:
        config = uvicorn.Config(
            application,
            root_path=root_path,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        super().__init__(config)
        self._closing = application.state.site.closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End live pages, then as every server."""
        self._closing.set()
        await super().shutdown(sockets)


def check_root_path(text: str) -> str:
    """The path under which a proxy shows the page, without a slash at its end; empty: none.

    Raises:
        InvalidValue: it would not do in links: ``//host`` leads elsewhere, for one.
    """
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise InvalidValue(
            "the root path must be like /jobs: parts of letters, digits and . _ ~ -, each after "
            f"a slash, not {text!r:.80}"
        )
    return path


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; raises `OSError` where the address is taken or not ours."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise InvalidValue(f"there is no host {host!r}: {error.strerror}") from error
    return socket.create_server(address[:2], family=family)


def serve(
    application: Starlette,
    listener: socket.socket,
    ready: Callable[[], None] = lambda: None,
    root_path: str = "",
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        application: what `thoonk.web.app` returns.
        listener: where connections are accepted.
        ready: called when they are.
        root_path: what a proxy removes from the front of paths; links begin with it.
    """
    ready()
    _Server(application, root_path).run(sockets=[listener])
