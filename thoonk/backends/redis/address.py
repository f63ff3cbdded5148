"""Where servers are: URLs of Redis, Valkey, Sentinel and clusters, taken apart strictly.

A URL may hold a password, and one that was not percent-encoded ends up in whatever
part the parser makes of it. So no message shows anything of a URL before its
authority has been understood, and nothing of an authority ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

from thoonk.exceptions import InvalidType, InvalidValue

PORT = 6379
SENTINEL_PORT = 26379

SCHEMES = ("redis", "valkey")
_TLS = {"rediss", "valkeys"}
_PLAIN = {*SCHEMES, *_TLS}
_SENTINEL = {f"{scheme}+sentinel" for scheme in _PLAIN}
CLUSTER_SCHEMES = tuple(f"{scheme}+cluster" for scheme in sorted(_PLAIN))

_ENCODING = (
    "special characters in a user name or password are percent-encoded "
    "(%2F for /, %23 for #, %3F for ?, %40 for @)"
)
_FORM = f"a Redis URL is redis://[[USER]:PASSWORD@]HOST[:PORT][/DB][?OPTION=VALUE]; {_ENCODING}"
_UNIX_FORM = f"a URL of a Unix socket is unix://[[USER]:PASSWORD@]/PATH[?db=DB]; {_ENCODING}"
_SENTINEL_FORM = (
    "a Sentinel URL is redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DB]"
    f"[?OPTION=VALUE]; {_ENCODING}"
)
_CLUSTER_FORM = (
    "a URL of a cluster is redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/DB]"
    f"[?OPTION=VALUE]; {_ENCODING}"
)
_NOT_IN_A_HOST = re.compile(r"[\s@/?#\\]")


def _flag(text: str) -> bool:
    try:
        return {
            "true": True, "yes": True, "on": True, "1": True,
            "false": False, "no": False, "off": False, "0": False,
        }[text.lower()]  # fmt: skip
    except KeyError:
        raise ValueError("true or false") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "client_name": str,
    "db": _whole,
    "decode_responses": _flag,
    "health_check_interval": _whole,
    "max_connections": _whole,
    "password": str,
    "protocol": _whole,
    "retry_for": _number,
    "socket_connect_timeout": _number,
    "socket_keepalive": _flag,
    "socket_read_size": _whole,
    "socket_timeout": _number,
    "ssl": _flag,
    "ssl_ca_certs": str,
    "ssl_ca_data": str,
    "ssl_ca_path": str,
    "ssl_cert_reqs": str,
    "ssl_certfile": str,
    "ssl_check_hostname": _flag,
    "ssl_ciphers": str,
    "ssl_keyfile": str,
    "ssl_min_version": _whole,
    "ssl_password": str,
    "timeout": _number,
    "username": str,
    "wait_replicas": _whole,
    "wait_timeout": _number,
}
"""What may follow the question mark, and how its text is read."""

_SENTINEL_PREFIX = "sentinel_"


@attrs.frozen
class Address:
    """A server, or the Sentinels that know it, or some nodes of a cluster.

    Attributes:
        options: settings of connections to the server, as redis-py names them, and
            ``retry_for``. What the URL does not say is not among them.
        sentinels: host and port of each Sentinel; none: the server is reached directly.
        service: the name by which Sentinels know the master.
        sentinel_options: settings of connections to the Sentinels.
        nodes: host and port of some nodes of a cluster.
    """

    options: dict[str, Any] = attrs.field(factory=dict)
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_options: dict[str, Any] = attrs.field(factory=dict)
    nodes: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, url: str | None) -> Address:
        """Take a URL apart; None says nothing.

        Raises:
            InvalidValue: it is not of the form that its scheme asks for, or has an option that
                is not known or not of its type. The message shows nothing of user name,
                password, host or port.
        """
        if url is None:
            return cls()
        scheme, separator, _ = url.lower().partition("://")
        if not separator:
            raise InvalidValue(_FORM)
        if scheme == "unix":
            return _unix(url)
        if scheme in _SENTINEL:
            return _sentinel(url)
        if scheme in CLUSTER_SCHEMES:
            return _cluster(url)
        if scheme in _PLAIN:
            return _direct(url)
        raise InvalidValue(_FORM)


def check_host(host: object) -> str:
    """A name or an address of a host, and nothing else.

    Raises:
        InvalidType: no text.
        InvalidValue: it is more than a host, perhaps a URL. The message does not show it.
    """
    if not isinstance(host, str):
        raise InvalidType(
            f"host must be a str, not {type(host).__name__}; pass a client as backend=..."
        )
    if not host or _NOT_IN_A_HOST.search(host):
        raise InvalidValue("host must be a host name or an address; pass a URL as backend=...")
    return host


def _split(url: str, form: str) -> SplitResult:
    """The parts of a URL in which an ``@`` is only in front of the hosts."""
    parts: SplitResult | None = None
    # The parser drops line ends and the like without a word.
    if not re.search(r"[\x00-\x20\x7f]", url):
        try:
            parts = urlsplit(url)
        except ValueError:  # its text shows the URL
            parts = None
    # Not in the handler: the parser's error would be shown as what this one came from.
    if parts is None or parts.fragment or url.endswith("#"):
        raise InvalidValue(form)
    if any("@" in part for part in (parts.path, parts.query)):
        raise InvalidValue(form)
    return parts


def _credentials(parts: SplitResult) -> dict[str, Any]:
    before, separator, _ = parts.netloc.rpartition("@")
    if not separator:
        return {}
    username, separator, password = before.partition(":")
    found = {"username": unquote(username), "password": unquote(password) if separator else ""}
    return {name: value for name, value in found.items() if value}


def _place(text: str, port: int, form: str) -> tuple[str, int]:
    """Host and port from ``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^:\[\]]*)(?::(\d+))?", text)
    if match is None:
        raise InvalidValue(form)
    host = unquote(match[1]).strip("[]")
    number = int(match[2]) if match[2] else port
    if not 0 < number < 2**16 or _NOT_IN_A_HOST.search(host):
        raise InvalidValue(form)
    return host, number


def _query(parts: SplitResult, form: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        pairs = None
    if pairs is None:
        raise InvalidValue(form)
    return dict(pairs)


def _read(options: dict[str, str]) -> dict[str, Any]:
    """Options of a URL, as what they are."""
    read: dict[str, Any] = {}
    for name, text in options.items():
        if name not in _OPTIONS:
            raise InvalidValue(
                f"unknown option {name!r:.80} in a Redis URL; known: {', '.join(_OPTIONS)}"
            )
        try:
            read[name] = _OPTIONS[name](text)
        except ValueError as error:
            raise InvalidValue(f"{name} in a Redis URL must be {error}, not {text!r:.80}") from None
    return read


def _db(path: str, form: str) -> dict[str, int]:
    if not path:
        return {}
    if not re.fullmatch(r"[0-9]{1,9}", path):
        raise InvalidValue(f"the path of the URL must be a db number: {form}")
    return {"db": int(path)}


def _direct(url: str) -> Address:
    parts = _split(url, _FORM)
    host, port = _place(parts.netloc.rpartition("@")[2], PORT, _FORM)
    options = {
        "host": host or "localhost",
        "port": port,
        **_db(parts.path.removeprefix("/"), _FORM),
        **_credentials(parts),
        **_read(_query(parts, _FORM)),
    }
    if parts.scheme in _TLS:
        options["ssl"] = True
    return Address(options)


def _unix(url: str) -> Address:
    parts = _split(url, _UNIX_FORM)
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        raise InvalidValue(_UNIX_FORM)
    options = {"path": unquote(parts.path), **_credentials(parts)}
    return Address({**options, **_read(_query(parts, _UNIX_FORM))})


def _sentinel(url: str) -> Address:
    parts = _split(url, _SENTINEL_FORM)
    places = parts.netloc.rpartition("@")[2].split(",")
    sentinels = tuple(_place(place, SENTINEL_PORT, _SENTINEL_FORM) for place in places)
    service, _, db = parts.path.removeprefix("/").partition("/")
    if not service or not all(host for host, _ in sentinels):
        raise InvalidValue(_SENTINEL_FORM)
    query = _query(parts, _SENTINEL_FORM)
    of_sentinels = {
        name.removeprefix(_SENTINEL_PREFIX): value
        for name, value in query.items()
        if name.startswith(_SENTINEL_PREFIX)
    }
    of_master = {
        name: value for name, value in query.items() if not name.startswith(_SENTINEL_PREFIX)
    }
    options = {**_db(db, _SENTINEL_FORM), **_credentials(parts), **_read(of_master)}
    if parts.scheme.removesuffix("+sentinel") in _TLS:
        options["ssl"] = True
    return Address(options, sentinels, unquote(service), _read(of_sentinels))


def _cluster(url: str) -> Address:
    parts = _split(url, _CLUSTER_FORM)
    places = parts.netloc.rpartition("@")[2].split(",")
    nodes = tuple(_place(place, PORT, _CLUSTER_FORM) for place in places)
    if not all(host for host, _ in nodes):
        raise InvalidValue(_CLUSTER_FORM)
    options = {
        **_db(parts.path.removeprefix("/"), _CLUSTER_FORM),
        **_credentials(parts),
        **_read(_query(parts, _CLUSTER_FORM)),
    }
    if parts.scheme.removesuffix("+cluster") in _TLS:
        options["ssl"] = True
    return Address(options, nodes=nodes)
