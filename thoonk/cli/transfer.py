"""The commands ``export`` and ``import``: a feed as JSON lines.

The first line describes the feed, each further line is an item, a result, an id that stays taken
or a schedule, and the last line has their number, so that a truncated file is noticed:

    {"thoonk": 1, "feed": "j", "type": "job", "config": {"max_failures": 3}}
    {"id": "a", "item": "text", "state": "waiting", "put": "2026-01-01T12:00:00+00:00"}
    {"id": "b", "base64": "AAH/", "state": "stalled", "failures": 3, "error": "OSError"}
    {"id": "c", "item": "text", "state": "finished", "result": "done"}
    {"schedule": "nightly", "item": "text", "cron": "0 3 * * *"}
    {"items": 4}

Only the fields ``id`` and ``item`` or ``base64`` are needed.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, TypeVar

import attrs
import click

from thoonk import FeedExists, InvalidValue, WrongFeedType
from thoonk.chunks import MOST_ADDED, chunked
from thoonk.cli.exit_codes import Exit
from thoonk.cli.feeds import settings_of
from thoonk.cli.output import item_fields, json_line, write_json
from thoonk.cli.records import Reader, Writer, size_of
from thoonk.cli.session import A_FEED, Command, Session, name_argument, pass_session
from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED
from thoonk.operations import (
    Failure,
    IfMissed,
    Outcome,
    PauseFeed,
    Priority,
    RestoreAs,
    Restored,
    Schedule,
    ScheduleStatus,
    SortedInsert,
)
from thoonk.raw_items import check_item, printable

T = TypeVar("T")

FORMAT = 1
"""The version of the format, in the first line."""

STATES = {
    "waiting": RestoreAs.WAITING,
    "scheduled": RestoreAs.SCHEDULED,
    "stalled": RestoreAs.STALLED,
    "finished": RestoreAs.RESULT,
    "taken": RestoreAs.TAKEN,
}
"""What the field ``state`` of a line says."""

NAMES = {what: state for state, what in STATES.items()}


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
    every state are included, with their failures, and results and schedules. Changes made during
    the export may or may not be included.
    """
    feed, config = session.open(name)
    header = {"thoonk": FORMAT, "feed": name, "type": config.type, "config": settings_of(config)}
    if config.paused:
        header["paused"] = True
    file.write(json_line(header))
    count = 0
    reader = Reader(session.client.backend, name, feed.kind)
    for entry in with_progress(reader.entries(), feed.count(), f"export {printable(name)}"):
        file.write(json_line(fields_of(entry, feed.kind)))
        count += 1
    for status in reader.schedules():
        file.write(json_line(schedule_fields(status)))
        count += 1
    file.write(json_line({"items": count}))
    file.flush()


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


def fields_of(entry: Restored, kind: str) -> dict[str, Any]:
    """What the line of an entry says."""
    fields: dict[str, Any] = {"id": entry.id}
    if entry.what is not RestoreAs.TAKEN:
        fields |= item_fields(entry.item)
    if entry.what is not RestoreAs.ITEM and (kind == JOB or entry.what is RestoreAs.TAKEN):
        fields["state"] = NAMES[entry.what]
    if entry.what is RestoreAs.RESULT:
        fields |= item_fields(entry.result, "result")
    times = {_name_of_time(entry.what): entry.at, "put": entry.put, "failed": entry.failed}
    times["stalled"] = entry.stalled
    fields |= {name: _moment(time) for name, time in times.items() if time is not None}
    if entry.is_high:
        fields["priority"] = "high"
    if entry.failures:
        fields["failures"] = entry.failures
    failure = attrs.asdict(entry.failure) if entry.failure else {}
    return fields | {name: text for name, text in failure.items() if text}


def _name_of_time(what: RestoreAs) -> str:
    match what:
        case RestoreAs.ITEM:
            return "published"
        case RestoreAs.RESULT | RestoreAs.TAKEN:
            return "until"
        case _:
            return "due"


def schedule_fields(status: ScheduleStatus) -> dict[str, Any]:
    """What the line of a schedule says."""
    schedule = status.schedule
    fields: dict[str, Any] = {"schedule": schedule.name, **item_fields(schedule.item)}
    if schedule.every is not None:
        fields["every"] = schedule.every
    else:
        fields |= {"cron": schedule.cron, "tz": schedule.tz}
    fields["if_missed"] = schedule.if_missed.value
    if schedule.priority is Priority.HIGH:
        fields["priority"] = "high"
    if status.next is not None:
        fields["next"] = [_moment(time) for time in (status.next, *status.later)]
    return fields


# --- import ------------------------------------------------------------------------------


@attrs.frozen
class Header:
    """The first line of an export."""

    feed: str
    type: str
    config: dict[str, Any]
    paused: bool = False

    @property
    def kind(self) -> str:
        """Which of the four kinds of feed it is."""
        return KIND_OF_TYPE[self.type]


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
            return Header(feed, type, config, fields.get("paused") is True)
    raise InvalidValue("line 1 has no name, type or configuration of a feed")


def read_entries(lines: Iterable[bytes], kind: str) -> Iterator[Restored | ScheduleStatus]:
    """What the lines after the first say, up to the last.

    Raises:
        InvalidValue: a line is not what an export has.
        EOFError: the last line is missing, or has another number.
    """
    for number, line in enumerate(lines, 2):
        fields = _fields(line, number)
        if "id" not in fields and "schedule" not in fields:
            if fields.get("items") != number - 2:
                raise EOFError(f"it has {number - 2} items instead of {fields.get('items')}")
            return
        try:
            yield _schedule(fields, kind) if "schedule" in fields else _entry(fields, kind)
        except (ValueError, TypeError) as error:
            raise InvalidValue(f"line {number}: {error}") from error
    raise EOFError("its last line is missing")


def _data(fields: Mapping[str, Any], name: str, encoded: str) -> bytes | None:
    match fields:
        case _ if isinstance(text := fields.get(name), str):
            return text.encode()
        case _ if isinstance(text := fields.get(encoded), str):
            return base64.b64decode(text, validate=True)
    return None


def _item(fields: Mapping[str, Any]) -> bytes:
    item = _data(fields, "item", "base64")
    if item is None:
        raise InvalidValue("neither item nor base64 is a text")
    return item


def _time(fields: Mapping[str, Any], name: str) -> float | None:
    return None if name not in fields else _seconds(fields[name])


def _seconds(text: Any) -> float:
    if not isinstance(text, str):
        raise InvalidValue(f"a time must be text, not {text!r:.80}")
    time = dt.datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise InvalidValue(f"{text!r:.80} has no time zone")
    return time.timestamp()


def _text(fields: Mapping[str, Any], name: str) -> str:
    text = fields.get(name, "")
    if not isinstance(text, str):
        raise InvalidValue(f"{name} must be text, not {text!r:.80}")
    return text


def _priority(fields: Mapping[str, Any]) -> Priority:
    return Priority.HIGH if fields.get("priority") == "high" else Priority.NORMAL


def _what(fields: Mapping[str, Any], kind: str) -> RestoreAs:
    if kind in (FEED, SORTED_FEED):
        return RestoreAs.ITEM
    state = fields.get("state", "scheduled" if "due" in fields and kind == JOB else "waiting")
    if state not in STATES or (kind == QUEUE and state not in ("waiting", "taken")):
        allowed = "waiting or taken" if kind == QUEUE else ", ".join(STATES)
        raise InvalidValue(f"its state must be {allowed}, not {state!r:.80}")
    return STATES[state]


def _entry(fields: Mapping[str, Any], kind: str) -> Restored:
    what = _what(fields, kind)
    failure = [_text(fields, name) for name in ("message", "error", "traceback", "worker")]
    if what is RestoreAs.RESULT:
        item = _data(fields, "item", "base64")
    else:
        item = None if what is RestoreAs.TAKEN else _item(fields)
    return Restored(
        what,
        fields["id"],
        item,
        at=_time(fields, _name_of_time(what)),
        put=_time(fields, "put"),
        is_high=_priority(fields) is Priority.HIGH,
        failures=fields.get("failures", 0),
        failed=_time(fields, "failed"),
        stalled=_time(fields, "stalled"),
        failure=Failure(*failure) if any(failure) else None,
        result=_data(fields, "result", "result_base64"),
    )


def _schedule(fields: Mapping[str, Any], kind: str) -> ScheduleStatus:
    if kind != JOB:
        raise InvalidValue(f"a {kind} has no schedules")
    every = fields.get("every")
    if every is not None and (isinstance(every, bool) or not isinstance(every, int | float)):
        raise InvalidValue(f"every must be a number of seconds, not {every!r:.80}")
    schedule = Schedule(
        fields["schedule"],
        _item(fields),
        every,
        _text(fields, "cron"),
        _text(fields, "tz"),
        IfMissed(fields.get("if_missed", "once")),
        _priority(fields),
    )
    first, *later = map(_seconds, fields.get("next", ())) if fields.get("next") else (None,)
    return ScheduleStatus(schedule, first, tuple(later))


class Importer:
    """Stores entries in a feed that is new, or is there and of the same type."""

    def __init__(self, session: Session, name: str, header: Header) -> None:
        self._execute = session.client.backend.execute
        self._name = name
        self._kind = header.kind
        self._appended = 0
        try:
            session.client.create_feed(name, {**header.config, "type": header.type})
        except FeedExists:
            self._is_new = False
        else:
            self._is_new = True
        self.config = session.client.get_config(name)
        if self.config.kind != self._kind:
            raise WrongFeedType(name, expected=header.type, actual=self.config.type)
        if self._is_new and header.paused and self._kind in (QUEUE, JOB):
            self._execute(PauseFeed(name))
        self._writer = Writer(session.client.backend, name, self._kind)

    @property
    def sent(self) -> int:
        """How many were stored."""
        counts = self._writer.counts
        return counts[Outcome.ADDED] + counts[Outcome.REPLACED] + self._appended

    @property
    def skipped(self) -> int:
        """How many were there."""
        return self._writer.counts[Outcome.KEPT]

    @property
    def lost(self) -> int:
        """How many the backend cannot store."""
        return self._writer.lost

    def send(self, entries: tuple[Restored | ScheduleStatus, ...]) -> None:
        """Add these at the end."""
        plain = tuple(entry for entry in entries if isinstance(entry, Restored))
        for entry in plain:
            if entry.what not in (RestoreAs.RESULT, RestoreAs.TAKEN):
                check_item(entry.item or b"", self.config, self._name)
        if self._kind == SORTED_FEED and not self._is_new:
            # Its own items may have these ids.
            items = tuple(entry.item or b"" for entry in plain)
            self._appended += len(self._execute(SortedInsert(self._name, items)))
            return
        if plain:
            self._writer.send(plain)
        self._writer.write_schedules(
            tuple(entry for entry in entries if isinstance(entry, ScheduleStatus))
        )


def _until_failure(entries: Iterable[T], failures: list[InvalidValue | EOFError]) -> Iterator[T]:
    """The entries before what cannot be read: they are still imported."""
    try:
        yield from entries
    except (InvalidValue, EOFError) as error:
        failures.append(error)


def _size(entry: Restored | ScheduleStatus) -> int:
    return size_of(entry) if isinstance(entry, Restored) else len(entry.schedule.item)


@click.command(cls=Command)
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--as", "name", metavar="NAME", help="The feed's name. Default: its name in the file.", **A_FEED
)
@pass_session
def import_feed(session: Session, file: IO[bytes], name: str | None) -> None:
    """Read a feed from a FILE that export has written, and add its items at the end.

    If the feed does not exist, it is created with the configuration in the file, and paused if it
    was; an existing feed keeps its own. Items keep their ids, except in an existing sorted feed,
    which assigns new ones. An item whose id exists is edited in a feed, and skipped in a queue or
    job feed, so that you can repeat an interrupted import. Jobs return to their states; those that
    were claimed wait.
    """
    lines = iter(file)
    header = read_header(next(lines, b""))
    importer = Importer(session, name or header.feed, header)
    says = f"import {printable(name or header.feed)}"
    entries = with_progress(read_entries(lines, header.kind), None, says)
    failures: list[InvalidValue | EOFError] = []
    try:
        for chunk in chunked(_until_failure(entries, failures), _size, MOST_ADDED):
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
            lost = f", {importer.lost} cannot be stored here" if importer.lost else ""
            click.echo(f"{importer.sent} items imported{passed}{lost}", err=True)
