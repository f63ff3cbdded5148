"""Sending new items, and printing the ids they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from thoonk import ThoonkError
from thoonk.chunks import chunked
from thoonk.cli.output import write_json, write_line
from thoonk.cli.session import Session
from thoonk.operations import Position, SortedInsert, Where


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
        # What comes next stands after these, wherever that is.
        position = Position(Where.AFTER, ids[-1])


def print_ids(session: Session, ids: Iterable[str]) -> None:
    """Ids as they come, one per line."""
    for id in ids:
        write_json({"id": id}) if session.json else write_line(id)
