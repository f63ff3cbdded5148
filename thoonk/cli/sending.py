"""Sending new items, and printing the ids they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from thoonk import ThoonkError
from thoonk.chunks import chunked
from thoonk.cli.output import write_json, write_line
from thoonk.cli.session import AN_ID, Seconds, Session
from thoonk.codec import PutResult
from thoonk.operations import IfExists, Outcome, Position, SortedInsert, Where
from thoonk.raw_items import printable

Function = TypeVar("Function", bound=Callable[..., Any])


def own_id_options(function: Function) -> Function:
    """Decorate a command that puts with the options about an id of the caller's own."""
    for option in (
        click.option(
            "--unique-for",
            type=Seconds(min=0),
            metavar="SECONDS",
            help="Keep the ID taken for this long, even if the item or job is done sooner.",
        ),
        click.option(
            "--if-exists",
            type=click.Choice([choice.value for choice in IfExists]),
            help="What to do if the ID is taken: keep the existing one, replace it while it waits, "
            "or refuse with an error. Default: keep.",
        ),
        click.option("--id", metavar="ID", help="Use this id instead of a random one.", **AN_ID),
    ):
        function = option(function)
    return function


def send_own(
    session: Session,
    put: Callable[..., PutResult],
    items: Sequence[bytes],
    *,
    id: str | None,
    if_exists: str | None,
    unique_for: float | None,
) -> bool:
    """Put the one item that was given under an id of the caller's own, and print the id.

    Returns:
        False when there is no such id: nothing was put.
    """
    if id is None:
        if (if_exists, unique_for) != (None, None):
            raise click.UsageError("--if-exists and --unique-for need --id.")
        return False
    if len(items) != 1:
        raise click.UsageError("--id allows only one item.")
    done = put(items[0], id=id, if_exists=if_exists or IfExists.KEEP.value, unique_for=unique_for)
    if session.json:
        write_json({"id": done, "outcome": done.outcome.name.lower()})
    else:
        write_line(done)
        if done.outcome is Outcome.KEPT:
            click.echo(f"Note: the id {printable(done)!r} is taken; nothing was put", err=True)
    return True


def send_new(
    session: Session, send: Callable[[Sequence[bytes]], list[str]], items: Sequence[bytes]
) -> None:
    """Send items by ``send`` (a method for many), and print their ids as they are sent."""
    for chunk in chunked(items, len):
        try:
            ids: Sequence[str] = send(chunk)
        except ThoonkError as error:
            print_ids(session, error.done)
            raise
        print_ids(session, ids)


def insert_new(session: Session, name: str, items: Sequence[bytes], position: Position) -> None:
    """Insert items into a sorted feed, in their order, and print the ids it gives."""
    for chunk in chunked(items, len):
        ids = session.client.backend.execute(SortedInsert(name, chunk, position))
        print_ids(session, ids)
        # The next items follow these, wherever they are.
        position = Position(Where.AFTER, ids[-1])


def print_ids(session: Session, ids: Iterable[str]) -> None:
    """Ids as they come, one per line."""
    for id in ids:
        write_json({"id": id}) if session.json else write_line(id)
