"""URLs of masters that Sentinel watches over."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from thoonk.exceptions import InvalidValue

SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
SENTINEL_PORT = 26379


@attrs.frozen
class SentinelUrl:
    """``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DB``, taken apart.

    Attributes:
        hosts: the Sentinels.
        service: the name of the master.
        settings: for connections to the master, as redis-py names them.
        sentinel_settings: for connections to the Sentinels (``sentinel_username`` and
            ``sentinel_password`` of the query).
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    settings: dict[str, Any]
    sentinel_settings: dict[str, Any]

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Take a URL apart.

        Raises:
            InvalidValue: it has not this form. The message does not show it.
        """
        parts = urlsplit(url)
        credentials, _, places = parts.netloc.rpartition("@")
        try:
            hosts = tuple(_place(place) for place in places.split(","))
            service, _, db = parts.path.strip("/").partition("/")
            number = int(db or 0)
        except ValueError:
            hosts, service, number = (), "", 0
        if not service or not hosts:
            raise InvalidValue(
                "a Sentinel URL is redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,...]/SERVICE[/DB]"
            )
        settings: dict[str, Any] = {"db": number}
        username, separator, password = credentials.partition(":")
        if username:
            settings["username"] = unquote(username)
        if separator:
            settings["password"] = unquote(password)
        if parts.scheme.startswith("rediss"):
            settings["ssl"] = True
        sentinel_settings = {}
        for name, value in parse_qsl(parts.query):
            if name.startswith("sentinel_"):
                sentinel_settings[name.removeprefix("sentinel_")] = value
            else:
                settings[name] = value
        return cls(hosts, service, settings, sentinel_settings)


def _place(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator:
        host, port = text, str(SENTINEL_PORT)
    if not host:
        raise ValueError(text)
    return host.strip("[]"), int(port)
