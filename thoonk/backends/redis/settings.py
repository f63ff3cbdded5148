"""Every connection setting that matters, chosen here and not by the driver's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.backoff import NoBackoff

from thoonk.exceptions import InvalidValue
from thoonk.names import check_timeout

POOL_SETTINGS: Mapping[str, Any] = {
    # More callers than this wait for a free connection, for `timeout` seconds at most.
    "max_connections": 64,
    "timeout": 20.0,
}

CONNECTION_SETTINGS: Mapping[str, Any] = {
    # Seconds for one reply. Blocked takers and listeners have connections of their own.
    "socket_timeout": 10.0,
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

NO_RETRIES = (NoBackoff(), 0)
"""Arguments of a Retry: a command whose reply was lost is not simply sent again."""


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
            "decode_responses=True cannot be used: items are bytes; "
            "leave it out, the feed's serializer makes text of them"
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


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's options over our own settings."""
    check_no_decoding(options)
    settings = {**CONNECTION_SETTINGS, **options}
    if settings.get("unix_socket_path"):
        # As the arguments of redis.Redis; its connections know other names.
        settings["path"] = settings["unix_socket_path"]
        for name in ("host", "port", "socket_keepalive"):
            settings.pop(name, None)
    settings.pop("unix_socket_path", None)
    return settings
