"""Commands as bytes for the server (RESP).

redis-py packs too, every word of every command. Most words of ours are the same for
each call on a feed (the script, its keys): these are packed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import attrs

Word: TypeAlias = bytes | str | int | float
"""A word of a command. Text is sent as UTF-8, a number as its decimal form."""


def pack(*words: Word) -> bytes:
    """One command."""
    return b"*%d\r\n%b" % (len(words), _packed(words))


_SIZES = [b"$%d" % size for size in range(128)]
"""How the length of a short word is sent."""


def _packed(words: Iterable[Word]) -> bytes:
    parts: list[bytes] = []
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        size = len(data)
        parts += (_SIZES[size] if size < 128 else b"$%d" % size, data)  # noqa: PLR2004
    parts.append(b"")
    return b"\r\n".join(parts)


@attrs.frozen(eq=False)
class Head:
    """The words that a command begins with, packed in advance."""

    words: Sequence[Word]
    packed: bytes = attrs.field(
        init=False, default=attrs.Factory(lambda self: _packed(self.words), takes_self=True)
    )

    def followed_by(self, words: Sequence[Word]) -> bytes:
        """One command: these words and those."""
        return b"*%d\r\n%b%b" % (len(self.words) + len(words), self.packed, _packed(words))
