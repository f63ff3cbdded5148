"""Sending many items: so many in one operation, for any type of feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from thoonk import InvalidValue, Priority
from thoonk.cli.output import write_json, write_line
from thoonk.cli.session import Session
from thoonk.config import FEED, QUEUE, SORTED_FEED
from thoonk.names import new_id
from thoonk.operations import (
    Entry,
    FeedPublish,
    JobPut,
    Operation,
    Position,
    QueuePut,
    SortedInsert,
    Where,
)

BATCH_ITEMS = 100
BATCH_BYTES = 1_000_000
"""So much is sent at once, or one item that is larger."""


def batches_of(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ...]]:
    """The entries, so many at a time as are sent at once; also those before a bad line."""
    batch: list[Entry] = []
    size = 0
    failure: InvalidValue | EOFError | None = None
    try:
        for entry in entries:
            if batch and (len(batch) == BATCH_ITEMS or size + len(entry.item) > BATCH_BYTES):
                yield tuple(batch)
                batch, size = [], 0
            batch.append(entry)
            size += len(entry.item)
    except (InvalidValue, EOFError) as error:
        failure = error
    if batch:
        yield tuple(batch)
    if failure is not None:
        raise failure


def addition(
    name: str,
    kind: str,
    entries: tuple[Entry, ...],
    priority: Priority = Priority.NORMAL,
) -> Operation[Any]:
    """The operation that adds entries at the end (a sorted feed gives them other ids)."""
    if kind == FEED:
        return FeedPublish(name, entries)
    if kind == SORTED_FEED:
        return SortedInsert(name, tuple(entry.item for entry in entries))
    put = QueuePut if kind == QUEUE else JobPut
    return put(name, entries, priority)


def send_new(
    session: Session,
    name: str,
    kind: str,
    items: Sequence[bytes],
    priority: Priority = Priority.NORMAL,
) -> None:
    """Add items under new ids, and print these."""
    for batch in batches_of(Entry(new_id(), item) for item in items):
        session.client.backend.execute(addition(name, kind, batch, priority))
        print_ids(session, (entry.id for entry in batch))


def insert_new(session: Session, name: str, items: Sequence[bytes], position: Position) -> None:
    """Insert items into a sorted feed, in their order, and print the ids it gives."""
    for batch in batches_of(Entry(new_id(), item) for item in items):
        insert = SortedInsert(name, tuple(entry.item for entry in batch), position)
        ids = session.client.backend.execute(insert)
        print_ids(session, ids)
        # What comes next stands after these, wherever that is.
        position = Position(Where.AFTER, ids[-1])


def print_ids(session: Session, ids: Iterable[str]) -> None:
    """Ids as they come, one per line."""
    for id in ids:
        write_json({"id": id}) if session.json else write_line(id)
