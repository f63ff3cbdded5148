"""URLs of backends, for people to read."""

from __future__ import annotations

from urllib.parse import urlsplit

from thoonk.raw_items import printable


def address(url: str) -> str:
    """Where a URL leads, without user, password and options."""
    parts = urlsplit(url)
    return printable(parts.netloc.rpartition("@")[2] + parts.path) or parts.scheme or url
