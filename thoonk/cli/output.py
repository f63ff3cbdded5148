"""Prints tables for people on a terminal, and plain lines for programs in a pipe."""

from __future__ import annotations

import base64
import errno
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from thoonk.names import encode_name
from thoonk.raw_items import printable
from thoonk.serializers import BINARY, JSON

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table

SHOWN_BYTES = 32
"""How much of an item that is not text a terminal shows."""


def to_terminal() -> bool:
    """Whether a user sees the output."""
    return sys.__stdout__ is not None and sys.stdout.isatty()


def terminal() -> Console:
    """The terminal that standard output is. (Rich takes longer to import than all the rest.)"""
    from rich.console import Console

    return Console(highlight=False)


# --- text --------------------------------------------------------------------------------


def one_line(error: BaseException | str) -> str:
    """A message, perhaps of an error, on one line."""
    return printable(" ".join(str(error).split()))


def readable(data: bytes, serializer: str | None) -> str:
    """An item as people read it, on one line. Nothing that can run code is decoded."""
    if serializer != BINARY.name or data.isascii():
        try:
            return printable(data.decode())
        except UnicodeDecodeError:
            pass
    more = "…" if len(data) > SHOWN_BYTES else ""
    return f"<{len(data)} bytes: {data[:SHOWN_BYTES].hex(' ')}{more}>"


def spread_out(data: bytes, serializer: str | None) -> str:
    """An item as people read it, on as many lines as it has."""
    if serializer == JSON.name:
        try:
            text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
            return "\n".join(map(printable, text.split("\n")))
        except ValueError:
            pass
    try:
        return "\n".join(map(printable, data.decode().split("\n")))
    except UnicodeDecodeError:
        return readable(data, serializer)


# --- printing ------------------------------------------------------------------------------


def write(data: bytes) -> None:
    """Write bytes to standard output, and nothing else; raises `OSError` when that fails."""
    if sys.__stdout__ is None:
        raise OSError(errno.EBADF, "standard output is closed")
    click.echo(data, nl=False)


def write_line(text: str) -> None:
    """A line of text, names in it byte for byte as they are."""
    write(encode_name(text) + b"\n")


def json_line(value: Any) -> bytes:
    """A value as JSON, on one line with its end."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # a name that is not UTF-8
        return json.dumps(value).encode() + b"\n"


def write_json(value: Any) -> None:
    """A value as a line of JSON."""
    write(json_line(value))


def item_fields(data: bytes | None, name: str = "item") -> dict[str, str | None]:
    """An item for JSON: as text where it is UTF-8, else as Base64 in another field."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        suffix = "base64" if name == "item" else f"{name}_base64"
        return {suffix: base64.b64encode(data).decode()}


def print_item(data: bytes, serializer: str | None) -> None:
    """An item: readable on a terminal; in a pipe its bytes and nothing else."""
    if to_terminal():
        write_line(spread_out(data, serializer))
    else:
        write(data)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], **options: Any) -> None:
    """A table on the terminal."""
    terminal().print(table(columns, rows, **options))


def table(
    columns: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    right: Iterable[str] = (),
    long: str = "",
    tight: bool = False,
    caption: str | None = None,
) -> Table:
    """A table for the terminal.

    Args:
        columns: their headings.
        rows: cells, printable.
        right: columns of numbers.
        long: the column that is cut short where there is no room for all.
        tight: a single space between columns.
        caption: a line below it.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    result = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 0 if tight else 1, 0, 0),
        pad_edge=False,
        caption=caption,
        caption_justify="left",
    )
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        result.add_column(column, justify=justify, no_wrap=column != long)
    for row in rows:
        result.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    return result
