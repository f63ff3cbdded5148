"""The rules for feed names, item ids and durations (contract: Names).

Names and ids are text without NUL. On the wire they are UTF-8; bytes of a peer
that are not UTF-8 survive as surrogate escapes, so they round-trip exactly.
"""

from __future__ import annotations

import binascii
import math
import os
import time

from thoonk.exceptions import InvalidType, InvalidValue

MAX_NAME_BYTES = 65_536
"""Longest name or id, in bytes of UTF-8."""

_ALPHABET = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_FROM_BASE64 = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", _ALPHABET
)

_RANDOM_PART = ((1 << 78) - 1).to_bytes(15)
"""Which bits of an id are random."""


def encode_name(text: str) -> bytes:
    """Wire form of a checked name or id."""
    return text.encode("utf-8", "surrogateescape")


def decode_name(data: bytes) -> str:
    """Text of a name or id that came from the wire."""
    return data.decode("utf-8", "surrogateescape")


def check_name(text: object, what: str = "feed name") -> str:
    """Return ``text`` when it may be used as a name.

    Args:
        text: the candidate.
        what: how the error message calls it.

    Raises:
        InvalidType: it is not a `str`.
        InvalidValue: it is empty, has a NUL, is too long, or has no UTF-8 form.
    """
    if not isinstance(text, str):
        raise InvalidType(f"{what} must be a str, not {type(text).__name__} ({text!r:.80})")
    if not text:
        raise InvalidValue(f"{what} must not be empty")
    if "\0" in text:
        raise InvalidValue(f"{what} must not contain a NUL: {text!r:.80}")
    try:
        size = len(text) if text.isascii() else len(encode_name(text))
    except UnicodeEncodeError as error:
        raise InvalidValue(
            f"{what} must be valid Unicode, not {text!r:.80} (it has a lone surrogate)"
        ) from error
    if size > MAX_NAME_BYTES:
        raise InvalidValue(f"{what} may have {MAX_NAME_BYTES} bytes at most, not {size}")
    return text


def check_id(id: object) -> str:
    """Return ``id`` when it may be used as an item id; raises as `check_name`."""
    return check_name(id, "item id")


def shown(id: str) -> str:
    """An id as written in a log line: quoted where it is long or has what no line may have.

    Peers may have written line breaks, and bytes that are not UTF-8.
    """
    return id if id.isprintable() and 0 < len(id) <= 200 else f"{id!r:.200}"  # noqa: PLR2004


def check_timeout(timeout: object, what: str = "timeout") -> float | None:
    """Return a duration in seconds, or None for "no limit" (None and 0).

    Raises:
        InvalidType: not a number.
        InvalidValue: negative, or not a finite number.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise InvalidType(
            f"{what} must be a number of seconds or None, not {type(timeout).__name__}"
        )
    if not math.isfinite(timeout) or timeout < 0:
        raise InvalidValue(f"{what} must be 0 or more seconds, not {timeout!r}")
    return float(timeout) or None


def new_id() -> str:
    """A fresh item id: 20 characters that sort by the time they were made (UTC, ms).

    42 bits of time, which last until 2109, and 78 random bits, in an alphabet in ASCII
    order.
    """
    time_part = time.time_ns() // 1_000_000 << 78
    return _characters((time_part | int.from_bytes(os.urandom(10)) >> 2).to_bytes(15))


def new_ids(count: int) -> list[str]:
    """So many fresh item ids, made in one moment."""
    # All at once, as one long number: that takes a third of the time of one by one.
    time_part = (time.time_ns() // 1_000_000 << 78).to_bytes(15)
    random = int.from_bytes(os.urandom(15 * count)) & int.from_bytes(_RANDOM_PART * count)
    ids = _characters((int.from_bytes(time_part * count) | random).to_bytes(15 * count))
    return [ids[start : start + 20] for start in range(0, 20 * count, 20)]


def new_token() -> str:
    """A fresh secret for one claim: 20 random characters."""
    return _characters(os.urandom(15))


def _characters(data: bytes) -> str:
    """Bytes, a multiple of three, as text in the alphabet above."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_BASE64).decode()
