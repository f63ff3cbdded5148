"""Items as arguments: where their bytes come from, and whether a feed may have them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from thoonk import FeedConfig
from thoonk.raw_items import check_item


def _bytes_of(ctx: click.Context, param: click.Parameter, value: str) -> bytes:
    """What an argument stands for, exactly."""
    if value == "-":
        if ctx.meta.get("thoonk.input"):
            raise click.BadParameter("- can be given only once", ctx, param)
        ctx.meta["thoonk.input"] = True
        return sys.stdin.buffer.read()
    if value.startswith("@@"):
        return os.fsencode(value[1:])
    if not value.startswith("@"):
        return os.fsencode(value)
    try:
        return Path(value[1:]).read_bytes()
    except OSError as error:
        message = f"{value[1:]!r} cannot be read: {error.strerror}"
        raise click.BadParameter(message, ctx, param) from error


def _read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    if ctx.resilient_parsing or value is None:  # a shell asks for completions
        return value
    if isinstance(value, tuple):
        return tuple(_bytes_of(ctx, param, each) for each in value)
    return _bytes_of(ctx, param, value)


item_argument = click.argument("item", callback=_read)
items_argument = click.argument("items", nargs=-1, required=True, metavar="ITEM...", callback=_read)
result_argument = click.argument("result", required=False, callback=_read)

lines_option = click.option(
    "--lines", is_flag=True, help="Each line of the input is an item, without its line break."
)


def items_of(
    given: Sequence[bytes], *, lines: bool, config: FeedConfig, name: str
) -> Sequence[bytes]:
    """The items that were given, all of which the feed may have; raises as `check_item`."""
    if lines:
        given = [line for data in given for line in _lines(data)]
    for item in given:
        check_item(item, config, name)
    return given


def _lines(data: bytes) -> Iterable[bytes]:
    lines = data.split(b"\n")
    # After the last line break there is no further line.
    return lines if lines[-1] else lines[:-1]
