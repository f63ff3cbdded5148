"""Commands about items: publishing, changing, reading them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click

from thoonk import Feed, FeedConfig, ItemDoesNotExist, Job, Queue, SortedFeed
from thoonk.cli.exit_codes import Exit
from thoonk.cli.output import (
    item_fields,
    print_item,
    print_table,
    readable,
    terminal,
    to_terminal,
    write,
    write_json,
)
from thoonk.cli.sending import insert_new, print_ids, send_new
from thoonk.cli.session import (
    AN_ID,
    Command,
    Session,
    id_argument,
    ids_argument,
    name_argument,
    pass_session,
)
from thoonk.cli.values import item_argument, items_argument, items_of, lines_option
from thoonk.config import FEED, JOB, SORTED_FEED
from thoonk.names import encode_name
from thoonk.operations import Position, Where
from thoonk.raw_items import check_item, printable

T = TypeVar("T")
AnyFeed = Feed[bytes] | SortedFeed[bytes] | Queue[bytes] | Job[bytes]


@click.command(cls=Command)
@name_argument
@items_argument
@click.option(
    "--id",
    metavar="ID",
    help="The item's id; an existing item is edited. Not for sorted feeds.",
    **AN_ID,
)
@click.option(
    "--at", metavar="POSITION", help="Where to insert in a sorted feed, as in move. Default: :end."
)
@lines_option
@pass_session
def publish(
    session: Session,
    name: str,
    items: tuple[bytes, ...],
    id: str | None,
    at: str | None,
    lines: bool,
) -> None:
    """Publish items to a feed or sorted feed; prints their ids.

    ITEM is the item itself, @FILE for the contents of a file, or - for standard input, byte for
    byte. Write @@text for an item that starts with @.
    """
    position = None if at is None else Position.parse(at)
    feed, config = session.open(name, FEED, SORTED_FEED)
    given = items_of(items, lines=lines, config=config, name=name)
    if isinstance(feed, SortedFeed):
        if id is not None:
            raise click.UsageError(f"{name!r} is a sorted feed, which assigns its own ids.")
        insert_new(session, name, given, position or Position(Where.END))
    elif position is not None:
        raise click.UsageError(f"--at is only for sorted feeds; {name!r} is a feed.")
    elif id is None:
        send_new(session, feed.publish_many, given)
    elif len(given) == 1:
        print_ids(session, [feed.publish(given[0], id=id)])
    else:
        raise click.UsageError("--id allows only one item.")


@click.command(cls=Command)
@name_argument
@id_argument
@item_argument
@pass_session
def edit(session: Session, name: str, id: str, item: bytes) -> None:
    """Replace the item ID of a feed or sorted feed with ITEM, given as in publish.

    In a feed, the item moves to the end.
    """
    feed, config = session.open(name, FEED, SORTED_FEED)
    check_item(item, config, name)
    # A feed would publish it.
    if not feed.has_id(id):
        raise ItemDoesNotExist(name, id)
    feed.edit(id, item)


@click.command(cls=Command)
@name_argument
@ids_argument
@pass_session
def retract(session: Session, name: str, ids: tuple[str, ...]) -> None:
    """Remove items of a feed or sorted feed. Exit code 4 if one does not exist."""
    feed, _ = session.open(name, FEED, SORTED_FEED)
    retract_all(feed, ids)


def retract_all(feed: Any, ids: Sequence[str]) -> None:
    """Retract each; say at the end what was not there."""
    missing = [id for id, was in zip(ids, feed.retract_many(ids), strict=True) if not was]
    for id in missing:
        click.echo(f"Error: {ItemDoesNotExist(feed.name, id)}", err=True)
    if missing:
        sys.exit(Exit.MISSING)


@click.command(cls=Command)
@name_argument
@id_argument
@click.argument("position")
@pass_session
def move(session: Session, name: str, id: str, position: str) -> None:
    """Move the item ID of a sorted feed.

    POSITION is begin:, :end, :X (before the item X) or X: (after it).
    """
    Position.parse(position)
    feed, _ = session.open(name, SORTED_FEED)
    feed.move(position, id)


@click.command(cls=Command)
@name_argument
@id_argument
@pass_session
def item(session: Session, name: str, id: str) -> None:
    """Print the item ID of a feed of any type.

    In a pipe, it prints the item's bytes and nothing else, without a line break.
    """
    feed, config = session.open(name)
    data = feed.get_item(id)
    if data is None:
        raise ItemDoesNotExist(name, id)
    if session.json:
        write_json({"id": id, **item_fields(data)})
    else:
        print_item(data, config.serializer)


@click.command(cls=Command)
@name_argument
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Print at most N.")
@click.option("--reverse", is_flag=True, help="Start with the last one.")
@pass_session
def items(session: Session, name: str, limit: int | None, reverse: bool) -> None:
    """Print the items of a feed of any type, in order. Nothing is removed.

    In a pipe: id, tab, item, line break. Use --json if items may contain line breaks.
    """
    feed, config = session.open(name)
    entries = _part(feed, feed.items, limit, reverse=reverse)
    if session.json:
        for id, data in entries:
            write_json({"id": id, **item_fields(data)})
    elif to_terminal():
        _show(entries, config)
    else:
        for id, data in entries:
            write(encode_name(id) + b"\t" + data + b"\n")


def _show(entries: Iterable[tuple[str, bytes]], config: FeedConfig) -> None:
    rows = [(printable(id), readable(data, config.serializer)) for id, data in entries]
    if rows:
        print_table(["id", "item"], rows, long="item")
    else:
        terminal().print("There are no items.", style="dim")


@click.command(cls=Command)
@name_argument
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Print at most N.")
@click.option("--reverse", is_flag=True, help="Start with the last one.")
@pass_session
def ids(session: Session, name: str, limit: int | None, reverse: bool) -> None:
    """Print the ids of a feed of any type, in order, one per line.

    For a job feed: all unfinished jobs, in no order, and without --reverse.
    """
    feed, _ = session.open(name)
    print_ids(session, _part(feed, feed.ids, limit, reverse=reverse))


def _part(
    feed: AnyFeed, read: Callable[..., Iterator[T]], limit: int | None, *, reverse: bool
) -> Iterator[T]:
    """What ``read`` reads, up to ``limit``. Jobs have no order: there is no reverse of it."""
    if feed.kind == JOB:
        return itertools.islice(read(reverse=reverse), limit)
    return read(0, limit, reverse)
