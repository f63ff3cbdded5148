"""Every connection setting that matters, chosen here and not by the driver's defaults."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from redis.backoff import NoBackoff

from thoonk.backends.redis.address import check_host
from thoonk.backends.redis.credentials import check_provider
from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import check_timeout

POOL_SETTINGS: Mapping[str, Any] = {
    # More callers than this wait for a free connection, for `timeout` seconds at most.
    "max_connections": 64,
    "timeout": 20.0,
}

REPLY_TIMEOUT = 10.0
"""Seconds for one reply, unless the caller or its own client sets it."""

FIRST_REPLY_TIMEOUT = 2.5
"""Seconds for the first attempt of a call that will be repeated.

A balancer or a NAT that has forgotten a connection drops what is sent on it without a
word. A new connection works, so the first one is not waited for as long.
"""

REPLY_MARGIN = 5.0
"""Seconds that a reply may be late behind the time a blocking command was given."""

LARGE = 1 << 16
SLOWEST = 1_000_000
"""A command of more bytes than the first is given time for the second a second, besides."""

CONNECTION_SETTINGS: Mapping[str, Any] = {
    # Seconds for one reply. Blocked consumers and listeners have connections of their own.
    "socket_timeout": REPLY_TIMEOUT,
    "socket_connect_timeout": 5.0,
    "socket_keepalive": True,
    # RESP2: the same reply shapes from every server and driver version.
    "protocol": 2,
    # An idle connection that died is noticed when it is taken from the pool.
    "health_check_interval": 0,
    # Items are bytes.
    "decode_responses": False,
}

DEDICATED_SETTINGS: Mapping[str, Any] = {
    # Waiting is bounded by deadlines of our own.
    "socket_timeout": None,
    "protocol": 2,
    "health_check_interval": 0,
    "decode_responses": False,
}


def reply_timeout(longest: float | None, attempt: int, size: int, *, repeats: bool) -> float:
    """Seconds for the reply to a command.

    Args:
        longest: seconds as configured; None: the default.
        attempt: which one it is, from 1.
        size: bytes of the command.
        repeats: whether the call is repeated when none comes.
    """
    seconds = longest or REPLY_TIMEOUT
    if attempt == 1 and repeats:
        seconds = min(seconds, FIRST_REPLY_TIMEOUT)
    return seconds if size <= LARGE else seconds + size / SLOWEST


NO_RETRIES = (NoBackoff(), 0)
"""Arguments of a Retry: a command whose reply was lost is not sent again."""


def of_dedicated(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a pool, changed for a connection that belongs to one waiter or listener."""
    # redis-py 8 refuses its maintenance notifications on RESP2 where hiredis is missing.
    kept = {k: v for k, v in options.items() if "maint_notifications" not in k}
    return {**kept, **DEDICATED_SETTINGS}


def check_no_decoding(options: Mapping[str, Any]) -> None:
    """Refuse ``decode_responses``: it would destroy items that are not text.

    Raises:
        InvalidValue: it is set.
    """
    if options.get("decode_responses"):
        raise InvalidValue(
            "decode_responses=True cannot be used: items are bytes, and the feed's serializer "
            "decodes them; leave it out"
        )


MOST_RETRYING = 300.0
"""Seconds. The server forgets an answer after ten minutes of silence, see once.lua."""


def check_retry_for(seconds: object) -> float:
    """For how long calls are repeated; 0: not at all.

    Raises:
        InvalidType: not a number.
        InvalidValue: negative, or longer than answers are sure to be remembered.
    """
    checked = check_timeout(seconds, "retry_for") or 0.0
    if checked > MOST_RETRYING:
        raise InvalidValue(f"retry_for may be {MOST_RETRYING:.0f} seconds at most, not {checked}")
    return checked


def check_db(db: object) -> int:
    """The number of a db; None is 0.

    Raises:
        InvalidValue: it is not a number, or below 0.
    """
    if db is None:
        return 0
    if not str(db).isdecimal():
        raise InvalidValue(f"db must be a number, 0 or more, not {db!r:.80}")
    return int(str(db))


_CERT_REQS = ("none", "optional", "required")


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a caller, as redis-py needs them. What it can only know itself passes.

    Raises:
        InvalidType: a setting has a type that is not allowed.
        InvalidValue: a setting has a value that is not allowed.
    """
    check_no_decoding(options)
    checked = {
        name: _CHECKS[name](name, value) if name in _CHECKS else value
        for name, value in options.items()
    }
    needing = [name for name in options if name.startswith("ssl_")]
    if needing and not options.get("ssl"):
        raise InvalidValue(f"{', '.join(needing)} need TLS (rediss:// or ssl=True)")
    return checked


def _check_duration(name: str, value: object) -> float | None:
    return check_timeout(value, name)


def _check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidType(f"{name} must be True or False, not {value!r:.80}")
    return value


def _check_text(name: str, value: object) -> object:
    if not isinstance(value, str | bytes | None):
        # Not the value: it may be meant as a password.
        raise InvalidType(f"{name} must be text, not {type(value).__name__}")
    return value


def _check_host(_: str, value: object) -> str:
    return check_host(value)


def _check_protocol(name: str, value: object) -> object:
    if value not in (2, None):
        raise InvalidValue(f"{name} must be 2 (RESP2), not {value!r:.80}")
    return 2


def _check_number(name: str, value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{name} must be a whole number, not {value!r:.80}")
    if value < (0 if name == "health_check_interval" else 1) or (name == "port" and value >= 2**16):
        raise InvalidValue(f"{name} cannot be {value}")
    return value


def _check_cert_reqs(name: str, value: object) -> object:
    if value is None or isinstance(value, ssl.VerifyMode):
        return value
    text = value.lower().removeprefix("cert_") if isinstance(value, str) else None
    if text not in _CERT_REQS:
        raise InvalidValue(f"{name} must be one of {', '.join(_CERT_REQS)}, not {value!r:.80}")
    return text


def _check_tls_version(name: str, value: Any) -> ssl.TLSVersion | None:
    if value is None:
        return None
    try:
        return ssl.TLSVersion(value)
    except ValueError:
        known = ", ".join(f"{version.name} ({version.value})" for version in ssl.TLSVersion)
        raise InvalidValue(f"{name} must be one of {known}, not {value!r:.80}") from None


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "credential_provider": check_provider,
    "health_check_interval": _check_number,
    "host": _check_host,
    "max_connections": _check_number,
    "password": _check_text,
    "port": _check_number,
    "protocol": _check_protocol,
    "socket_connect_timeout": _check_duration,
    "socket_keepalive": _check_flag,
    "socket_read_size": _check_number,
    "socket_timeout": _check_duration,
    "ssl": _check_flag,
    "ssl_cert_reqs": _check_cert_reqs,
    "ssl_check_hostname": _check_flag,
    "ssl_min_version": _check_tls_version,
    "timeout": _check_duration,
    "username": _check_text,
}


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's options, checked, over our own settings."""
    settings = {**CONNECTION_SETTINGS, **check_options(options)}
    if settings.get("unix_socket_path"):
        # As the arguments of redis.Redis; its connections know other names.
        settings["path"] = settings["unix_socket_path"]
    settings.pop("unix_socket_path", None)
    if settings.get("path"):
        for name in ("host", "port", "socket_keepalive"):
            settings.pop(name, None)
    return settings
