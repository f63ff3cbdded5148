"""How items become bytes and bytes become items.

A feed's configuration names its serializer. Only ``text``, ``binary``, ``json``
and what the program registered can be chosen that way. `PICKLE` is never chosen
by what is stored: a program that can write a configuration could otherwise run code in
every reader.
"""

from __future__ import annotations

import json
import pickle
from typing import Any, Protocol, TypeVar

from thoonk.exceptions import InvalidType, InvalidValue, SerializerError
from thoonk.names import check_name

T = TypeVar("T")


class Serializer(Protocol[T]):
    """What a serializer offers; any object with these three will do."""

    @property
    def name(self) -> str:
        """The name by which a feed's configuration chooses it."""

    def encode(self, item: T, /) -> bytes:
        """Bytes for an item. Any exception means that the item is refused."""

    def decode(self, data: bytes, /) -> T:
        """The item of these bytes. Any exception means that they are not understood."""


class TextSerializer:
    """`str` in, `str` out; UTF-8 on the wire. The default."""

    name = "text"

    def encode(self, item: str, /) -> bytes:
        """UTF-8 of a `str`."""
        if not isinstance(item, str):
            raise InvalidType(
                f"a text feed takes str, not {type(item).__name__}; "
                f"use serializer 'binary' for bytes, 'json' for other values"
            )
        return item.encode()

    def decode(self, data: bytes, /) -> str:
        """The `str` of UTF-8 bytes."""
        return data.decode()


class BinarySerializer:
    """`bytes` in, `bytes` out, untouched."""

    name = "binary"

    def encode(self, item: bytes | bytearray | memoryview, /) -> bytes:
        """The bytes themselves."""
        if not isinstance(item, bytes | bytearray | memoryview):
            raise InvalidType(f"a binary feed takes bytes, not {type(item).__name__}")
        return bytes(item)

    def decode(self, data: bytes, /) -> bytes:
        """The bytes themselves."""
        return data


class JsonSerializer:
    """Whatever the standard library's `json` can write, as compact UTF-8."""

    name = "json"

    def encode(self, item: Any, /) -> bytes:
        """JSON text. NaN and infinities are refused: they are not JSON."""
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()

    def decode(self, data: bytes, /) -> Any:
        """The value of JSON text."""
        return json.loads(data)


class PickleSerializer:
    """Python objects. Unpickling can run code, so only the program may ask for it."""

    name = "pickle"

    def encode(self, item: Any, /) -> bytes:
        """A pickle."""
        return pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)

    def decode(self, data: bytes, /) -> Any:
        """The object of a pickle."""
        return pickle.loads(data)  # noqa: S301 - the program asked for it


TEXT = TextSerializer()
BINARY = BinarySerializer()
JSON = JsonSerializer()
PICKLE = PickleSerializer()


def check_serializer(serializer: object) -> None:
    """Refuse what cannot be a serializer.

    Raises:
        InvalidType: the object lacks ``encode`` or ``decode``.
    """
    if not (
        callable(getattr(serializer, "encode", None))
        and callable(getattr(serializer, "decode", None))
    ):
        raise InvalidType(
            f"a serializer must have encode and decode methods, not {serializer!r:.80}"
        )


def serializer_name(serializer: Serializer[Any] | str) -> str:
    """The name under which a configuration has a serializer.

    Raises:
        InvalidType: neither a name nor a serializer.
        InvalidValue: its name is no name.
    """
    if isinstance(serializer, str):
        return serializer
    check_serializer(serializer)
    return check_name(getattr(serializer, "name", None), "the name of a serializer")


class SerializerRegistry:
    """The serializers that a configuration may name, for one client."""

    def __init__(self) -> None:
        self._by_name: dict[str, Serializer[Any]] = {s.name: s for s in (TEXT, BINARY, JSON)}

    def register(self, serializer: Serializer[Any], name: str | None = None) -> None:
        """Let configurations choose ``serializer`` by ``name`` (its own when None).

        Raises:
            InvalidValue: the name is taken by a built-in, or is not a name.
            InvalidType: the object lacks ``encode`` or ``decode``.
        """
        check_serializer(serializer)
        name = check_name(name or getattr(serializer, "name", None), "serializer name")
        if name in (TEXT.name, BINARY.name, JSON.name):
            raise InvalidValue(f"the serializer {name!r} is built in and cannot be replaced")
        self._by_name[name] = serializer

    def get(self, name: str | None) -> Serializer[Any]:
        """The serializer of that name; text when None.

        Raises:
            SerializerError: nothing is registered under that name.
        """
        if name is None:
            return TEXT
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name))
            hint = " (Python objects: open the feed with pyqueue())" if name == PICKLE.name else ""
            raise SerializerError(
                f"no serializer {name!r} is registered here{hint}; known: {known}"
            ) from None
