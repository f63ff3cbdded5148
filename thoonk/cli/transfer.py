"""The commands ``export`` and ``import``: a feed as JSON lines.

The first line describes the feed, each further line is an item, and the last line has their
number, so that a truncated file is noticed:

    {"thoonk": 1, "feed": "news", "type": "feed", "config": {"max_length": 100}}
    {"id": "a", "item": "text"}
    {"id": "b", "base64": "AAH/"}
    {"items": 2}
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, TypeVar

import attrs
import click

from thoonk import FeedConfig, FeedExists, InvalidValue, Job, WrongFeedType
from thoonk.chunks import chunked, entry_size
from thoonk.cli.exit_codes import Exit
from thoonk.cli.feeds import settings_of
from thoonk.cli.output import item_fields, json_line, write_json
from thoonk.cli.session import A_FEED, Command, Session, name_argument, pass_session
from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED
from thoonk.operations import (
    Due,
    Entry,
    FeedPublish,
    HasItem,
    JobAdd,
    JobPut,
    Operation,
    Outcome,
    QueuePut,
    ReadJobs,
    SortedInsert,
)
from thoonk.raw_items import check_item, printable

T = TypeVar("T")

FORMAT = 1
"""The version of the format, in the first line."""

BATCH = 100
"""How many jobs are read at once."""


def with_progress(items: Iterable[T], total: int | None, says: str) -> Iterator[T]:
    """The items, with a bar on the terminal that standard error is."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=says)


# --- export ------------------------------------------------------------------------------


@click.command(cls=Command)
@name_argument
@click.argument("file", type=click.File("wb"), default="-")
@pass_session
def export_feed(session: Session, name: str, file: IO[bytes]) -> None:
    """Write the feed NAME to FILE: its configuration and all items, in order.

    The format is JSON lines, for import. Nothing is removed from a queue or job feed. Jobs in
    every state are included, ordered by id, which is the order in which they were put, to the
    millisecond. Changes made during the export may or may not be included.
    """
    feed, config = session.open(name)
    header = {"thoonk": FORMAT, "feed": name, "type": config.type, "config": settings_of(config)}
    file.write(json_line(header))
    count = 0
    entries = _jobs(feed) if feed.kind == JOB else feed.items()
    dues = _dues(feed) if feed.kind == JOB else {}
    for id, item in with_progress(entries, feed.count(), f"export {printable(name)}"):
        file.write(json_line({"id": id, **item_fields(item), **dues.get(id, {})}))
        count += 1
    file.write(json_line({"items": count}))
    file.flush()


def _dues(feed: Job[bytes]) -> dict[str, dict[str, str]]:
    """When scheduled jobs are due, as a field of their lines."""
    return {job.id: {"due": job.due.isoformat()} for job in feed.jobs("scheduled") if job.due}


def _jobs(feed: Job[bytes]) -> Iterator[tuple[str, bytes]]:
    """Jobs by their ids: they have no other order that is the same every time."""
    sorted_ids = sorted(feed.ids())
    for start in range(0, len(sorted_ids), BATCH):
        ids = sorted_ids[start : start + BATCH]
        items = feed.get_items(ids)
        yield from ((id, items[id]) for id in ids if id in items)


# --- import ------------------------------------------------------------------------------


@attrs.frozen
class Header:
    """The first line of an export."""

    feed: str
    type: str
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """Which of the four kinds of feed it is."""
        return KIND_OF_TYPE[self.type]


@attrs.frozen
class Later(Entry):
    """A job that is available later; ``at`` is when, in seconds since 1970."""

    at: float = 0.0


def _fields(line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise InvalidValue(f"line {number} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidValue(f"line {number} is not an object")
    return fields


def read_header(line: bytes) -> Header:
    """What the first line says.

    Raises:
        InvalidValue: it is not the first line of an export that can be read here.
    """
    fields = _fields(line, 1)
    if fields.get("thoonk") != FORMAT:
        raise InvalidValue(f"this is not an export of a feed in format {FORMAT}")
    match fields:
        case {"feed": str(feed), "type": str(type), "config": dict(config)} if type in KIND_OF_TYPE:
            return Header(feed, type, config)
    raise InvalidValue("line 1 has no name, type or configuration of a feed")


def read_entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The items in the lines after the first, up to the last.

    Raises:
        InvalidValue: a line is not what an export has.
        EOFError: the last line is missing, or has another number.
    """
    for number, line in enumerate(lines, 2):
        fields = _fields(line, number)
        if "id" not in fields:
            if fields.get("items") != number - 2:
                raise EOFError(f"it has {number - 2} items instead of {fields.get('items')}")
            return
        try:
            yield _entry(fields)
        except (ValueError, TypeError) as error:
            raise InvalidValue(f"line {number}: {error}") from error
    raise EOFError("its last line is missing")


def _entry(fields: dict[str, Any]) -> Entry:
    match fields:
        case {"item": str(text)}:
            entry = Entry(fields["id"], text.encode())
        case {"base64": str(text)}:
            entry = Entry(fields["id"], base64.b64decode(text, validate=True))
        case _:
            raise InvalidValue("neither item nor base64 is a text")
    if "due" not in fields:
        return entry
    due = dt.datetime.fromisoformat(fields["due"])
    if due.utcoffset() is None:
        raise InvalidValue(f"{fields['due']!r:.80} has no time zone")
    return Later(entry.id, entry.item, due.timestamp())


class Importer:
    """Puts items into a feed that is new, or is there and of the same type."""

    def __init__(self, session: Session, name: str, header: Header) -> None:
        self._execute = session.client.backend.execute
        self._name = name
        self._kind = header.kind
        self.sent = 0
        self.skipped = 0
        try:
            session.client.create_feed(name, {**header.config, "type": header.type})
        except FeedExists:
            self._is_new = False
        else:
            self._is_new = True
        self.config: FeedConfig = session.client.get_config(name)
        if self.config.kind != self._kind:
            raise WrongFeedType(name, expected=header.type, actual=self.config.type)

    def send(self, entries: tuple[Entry, ...]) -> None:
        """Add these at the end."""
        for entry in entries:
            check_item(entry.item, self.config, self._name)
        later = [entry for entry in entries if isinstance(entry, Later)]
        if later and self._kind == JOB:
            for entry in later:
                self._schedule(entry)
            entries = tuple(entry for entry in entries if not isinstance(entry, Later))
        if self._kind in (QUEUE, JOB):
            fresh = tuple(entry for entry in entries if self._is_fresh(entry.id))
            self.skipped += len(entries) - len(fresh)
            entries = fresh
        if entries:
            self._execute(addition(self._name, self._kind, entries))
        self.sent += len(entries)

    def _schedule(self, entry: Later) -> None:
        plain = Entry(entry.id, entry.item)
        (outcome,) = self._execute(JobAdd(self._name, (plain,), due=Due(at=entry.at)))
        if outcome is Outcome.KEPT:
            self.skipped += 1
        else:
            self.sent += 1

    def _is_fresh(self, id: str) -> bool:
        # An id that waits twice would be taken twice.
        if self._is_new:
            return True
        if self._kind == JOB:
            return not self._execute(ReadJobs(self._name, (id,)))
        return not self._execute(HasItem(self._name, id))


def _until_failure(
    entries: Iterable[Entry], failures: list[InvalidValue | EOFError]
) -> Iterator[Entry]:
    """The entries before what cannot be read: they are still imported."""
    try:
        yield from entries
    except (InvalidValue, EOFError) as error:
        failures.append(error)


def addition(name: str, kind: str, entries: tuple[Entry, ...]) -> Operation[Any]:
    """The operation that adds entries at the end (a sorted feed gives them other ids)."""
    if kind == FEED:
        return FeedPublish(name, entries)
    if kind == SORTED_FEED:
        return SortedInsert(name, tuple(entry.item for entry in entries))
    put = QueuePut if kind == QUEUE else JobPut
    return put(name, entries)


@click.command(cls=Command)
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--as", "name", metavar="NAME", help="The feed's name. Default: its name in the file.", **A_FEED
)
@pass_session
def import_feed(session: Session, file: IO[bytes], name: str | None) -> None:
    """Read a feed from a FILE that export has written, and add its items at the end.

    If the feed does not exist, it is created with the configuration in the file; an existing
    feed keeps its own. Items keep their ids, except in a sorted feed, which assigns new ones.
    An item whose id exists is edited in a feed, and skipped in a queue or job feed, so that you
    can repeat an interrupted import. Scheduled jobs are scheduled again; all others wait.
    """
    lines = iter(file)
    header = read_header(next(lines, b""))
    importer = Importer(session, name or header.feed, header)
    entries = with_progress(read_entries(lines), None, f"import {printable(name or header.feed)}")
    failures: list[InvalidValue | EOFError] = []
    try:
        for chunk in chunked(_until_failure(entries, failures), entry_size):
            importer.send(chunk)
        if failures:
            raise failures[0]
    except EOFError as error:
        click.echo(f"Error: the file is incomplete: {error}", err=True)
        sys.exit(Exit.FAILED)
    finally:
        if session.json:
            write_json({"imported": importer.sent, "skipped": importer.skipped})
        else:
            passed = f", {importer.skipped} existed" if importer.skipped else ""
            click.echo(f"{importer.sent} items imported{passed}", err=True)
