"""Who may look, who may change, and what browsers may do with what they get."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thoonk.web.urls import MOST_FIELDS, link

logger = logging.getLogger("thoonk.web")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No script, style or request but from here, and nothing inline."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing. Not no-referrer: browsers would send `Origin: null` with our own
    # forms, too, and we could not distinguish them from forms of other sites.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

SESSION_SECONDS = 7 * 86_400
"""How long a login lasts."""

OPEN_PATHS = ("/login", "/static/")
"""What is there for those, too, who have not logged in."""

CSRF_COOKIE = "thoonk_csrf"


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides about requests.

    Attributes:
        read_only: whether nothing may be changed.
    """

    def __init__(
        self, *, token: str | None, read_only: bool, hosts: Collection[str] | None
    ) -> None:
        """See `thoonk.web.app`."""
        self.read_only = read_only
        self._token = token
        if hosts is None and token is None and not read_only:
            hosts = LOOPBACK
        if hosts is not None and "*" in hosts:
            hosts = None
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        # Derived from the token, so that a login outlives a restart.
        self._key = hashlib.sha256(b"thoonk web\0" + (token or "").encode()).digest()
        self.cookie = f"thoonk_session_{self._sign('cookie')[:8]}"

    @property
    def wants_token(self) -> bool:
        """Whether people have to log in."""
        return self._token is not None

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()

    def allows_host(self, header: str) -> bool:
        """Whether the host that a request names is one of ours.

        A page of another site can let its name lead to this machine (DNS rebinding); it
        cannot change what the browser says here.
        """
        if self._hosts is None:
            return True
        try:
            host = urlsplit(f"//{header}").hostname
        except ValueError:
            return False
        return host is not None and host in self._hosts

    def is_token(self, given: str) -> bool:
        """Whether that is the token; takes as long whatever is given."""
        if self._token is None:
            return False
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def new_session(self) -> str:
        """A cookie for who has shown the token."""
        until = str(int(time.time()) + SESSION_SECONDS)
        return f"{until}.{self._sign(f'session {until}')}"

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        expected = self._sign(f"session {until}")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            return False
        return int(until) > time.time()

    def has_bearer(self, connection: HTTPConnection) -> bool:
        """Whether a request shows the token itself, which no browser does on its own."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def is_known(self, connection: HTTPConnection) -> bool:
        """Whether a request may see the pages."""
        if not self.wants_token or self.has_bearer(connection):
            return True
        return self._is_session(connection.cookies.get(self.cookie, ""))


def new_csrf_token() -> str:
    """What a form and a cookie both have to show."""
    return secrets.token_urlsafe(24)


def is_own_request(request: Request) -> bool:
    """Whether a page of this very origin sent a request, as far as the browser says."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def has_csrf_token(request: Request, given: str) -> bool:
    """Whether a form shows what the cookie has."""
    cookie = request.cookies.get(CSRF_COOKIE, "")
    return bool(cookie) and hmac.compare_digest(
        given.encode("utf-8", "replace"), cookie.encode("utf-8", "replace")
    )


class Gate:
    """The application behind its checks; every response gets the headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        # Starlette before 0.41 passes it by this name.
        self._application = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        handler = self._refusal(scope) or self._application
        await handler(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        host = Headers(scope=scope).get("host", "")
        if not self._guard.allows_host(host):
            logger.warning(
                "Request for another host refused: %.200r",
                host,
                extra={"event": "web_host_refused", "host": host[:200]},
            )
            return PlainTextResponse(
                f"This page is not served under the name {host[:200]!r}. "
                "Use localhost, or name the host where the page is started.",
                status_code=400,
            )
        request = Request(scope)
        if scope.get("query_string", b"").count(b"&") >= MOST_FIELDS:
            return PlainTextResponse("The address has too many fields.", status_code=400)
        path = own_path(scope)
        if path.startswith(OPEN_PATHS) or self._guard.is_known(request):
            return None
        is_read = request.method in ("GET", "HEAD")
        if is_read and "text/html" in request.headers.get("accept", ""):
            back = path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(link(request, "/login", next=back), status_code=303)
        return PlainTextResponse(
            "Log in, or send the token: Authorization: Bearer TOKEN",
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )


def own_path(scope: Scope) -> str:
    """The path of a request below the mount point."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path
