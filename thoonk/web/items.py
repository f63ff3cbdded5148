"""What an item looks like: text, JSON, an image or bytes, and never HTML of its own."""

from __future__ import annotations

import json
from typing import Any

import attrs

from thoonk.raw_items import printable
from thoonk.serializers import BINARY, JSON, TEXT

CUT_AT = 64 * 1024
"""How much of an item is shown, in bytes."""

HEX_CUT_AT = 4 * 1024
"""How much is shown of an item that is neither text nor an image."""

PREVIEW = 160
"""How many characters of an item a list shows on its one line."""

FOLD_AT = 40
"""With more members than this, an object or array of JSON is folded."""

DEEPEST = 40
"""How many levels of JSON are shown as a tree; deeper ones as text."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def image_type(data: bytes) -> str | None:
    """The media type of an image that browsers show without running anything; else None."""
    for start, media_type in _MAGIC:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


@attrs.frozen
class ShownItem:
    """An item as a page shows it.

    Attributes:
        form: ``text``, ``json``, ``image`` or ``hex``.
        size: in bytes.
        preview: the beginning, on one line.
        text: the beginning, as text or as a hex dump.
        value: of JSON, the value.
        media_type: of an image.
        is_cut: whether more follows.
    """

    form: str
    size: int
    preview: str
    text: str = ""
    value: Any = None
    media_type: str = ""
    is_cut: bool = False

    @property
    def is_long(self) -> bool:
        """Whether there is more to show than the preview."""
        is_tree = self.form == "json" and isinstance(self.value, dict | list)
        return is_tree or self.is_cut or self.form in ("image", "hex") or self.text != self.preview


def show(data: bytes, serializer: str | None) -> ShownItem:
    """How to show an item. Nothing that could run code is decoded."""
    media_type = image_type(data)
    if media_type is not None:
        return ShownItem(
            "image", len(data), f"{media_type}, {size_text(len(data))}", media_type=media_type
        )
    if serializer in (None, TEXT.name, JSON.name, BINARY.name) or data.isascii():
        shown = _as_text(data, serializer)
        if shown is not None:
            return shown
    cut = data[:HEX_CUT_AT]
    return ShownItem(
        "hex",
        len(data),
        _hex(data[:24]) + ("…" if len(data) > 24 else ""),  # noqa: PLR2004
        text=hex_dump(cut),
        is_cut=len(cut) < len(data),
    )


def _as_text(data: bytes, serializer: str | None) -> ShownItem | None:
    is_cut = len(data) > CUT_AT
    try:
        text = data[:CUT_AT].decode(errors="strict") if not is_cut else _beginning(data)
    except UnicodeDecodeError:
        return None
    if serializer == BINARY.name and not all(c.isprintable() or c in "\t\r\n" for c in text):
        return None
    preview = printable(text[: PREVIEW + 1])
    if len(preview) > PREVIEW:
        preview = preview[:PREVIEW] + "…"
    if serializer == JSON.name and not is_cut:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            pass
        else:
            if _depth(value) <= DEEPEST:
                return ShownItem("json", len(data), preview, text=text, value=value)
    return ShownItem("text", len(data), preview, text=text, is_cut=is_cut)


def _beginning(data: bytes) -> str:
    """The text up to where it is cut, which may be within a character."""
    cut = data[:CUT_AT]
    try:
        return cut.decode()
    except UnicodeDecodeError as error:
        if error.start < len(cut) - 3:
            raise
        return cut[: error.start].decode()


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST:
        deepest += 1
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return deepest


def _hex(data: bytes) -> str:
    return data.hex(" ")


def hex_dump(data: bytes) -> str:
    """Bytes in lines of 16: where, in hex, and as ASCII."""
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        ascii = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in part)  # noqa: PLR2004
        lines.append(f"{start:08x}  {_hex(part[:8]):23}  {_hex(part[8:]):23}  {ascii}")
    return "\n".join(lines)


# --- numbers -----------------------------------------------------------------------------------


def number_text(number: float | None) -> str:
    """A whole number with a separator of thousands; empty for None."""
    return "" if number is None else f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def rate_text(rate: float | None) -> str:
    """A rate a second, short."""
    if rate is None:
        return ""
    return number_text(rate) if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004


def size_text(size: int) -> str:
    """A number of bytes, short."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def age_text(seconds: float | None) -> str:
    """A duration, short; empty for None."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    for unit, length, smaller, parts in (
        ("d", 86_400, "h", 24),
        ("h", 3_600, "m", 60),
        ("m", 60, "s", 60),
    ):
        if seconds >= length:
            whole = int(seconds // length)
            rest = int(seconds % length * parts // length)
            return f"{whole}{unit} {rest}{smaller}" if whole < 10 and rest else f"{whole}{unit}"  # noqa: PLR2004
    return f"{seconds:.0f}s"


def sparkline(points: list[float], width: float, height: float, most: float) -> str:
    """The path of an SVG through numbers at equal distances, ``most`` at the top."""
    if len(points) < 2:  # noqa: PLR2004
        return ""
    step = width / (len(points) - 1)
    return "M" + "L".join(
        f"{index * step:.1f} {height - value / (most or 1.0) * height:.1f}"
        for index, value in enumerate(points)
    )
