"""Items as they are stored, for tools that show and write them without decoding them."""

from __future__ import annotations

import json
from typing import NoReturn

from thoonk.config import FeedConfig
from thoonk.exceptions import SerializerError
from thoonk.serializers import JSON, TEXT


def printable(text: str) -> str:
    """Text on one line that does nothing to a terminal or page.

    Control characters, and bytes that are not UTF-8, are written as escapes.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def check_item(data: bytes, config: FeedConfig, name: str) -> None:
    """Refuse bytes that readers of the feed could not decode.

    What pickle writes, or a serializer that a program registered, is not checked.

    Raises:
        SerializerError: not UTF-8, or not JSON, in a feed of such.
    """
    serializer = config.serializer or TEXT.name
    if serializer not in (TEXT.name, JSON.name):
        return
    try:
        text = data.decode()
        if serializer == JSON.name:
            json.loads(text, parse_constant=_no_json)
    except ValueError as error:
        raise SerializerError(
            f"feed {name!r} holds {serializer}, but this item of {len(data)} bytes is not "
            f"{serializer}: {error}",
            data,
        ) from error


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
