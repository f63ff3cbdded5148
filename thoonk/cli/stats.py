"""The commands ``top`` and ``stats``: how full and how busy feeds are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from thoonk import BackendUnavailable, FeedDoesNotExist, FeedStats, OutcomeUnknown
from thoonk.cli.ages import short_age
from thoonk.cli.output import (
    one_line,
    printable,
    table,
    terminal,
    to_terminal,
    write_json,
    write_line,
)
from thoonk.cli.session import Command, Function, Seconds, Session, names_argument, pass_session
from thoonk.config import JOB, KIND_OF_TYPE, QUEUE
from thoonk.operations import ReadStats

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = (
    "feed",
    "type",
    "items",
    "waiting",
    "claimed",
    "stalled",
    "failing",
    "in/s",
    "out/s",
    "oldest",
    "claim",
    "scheduled",
    "due",
    "paused",
)
RARE = COLUMNS[-3:]
"""Shown on a terminal only where a feed has something there."""
NUMBERS = COLUMNS[2:]
ROOM_FOR_ALL = 110
"""Columns that a terminal needs for the whole table; without them the types are left out."""
ROOM_FOR_NAME = 12
"""Columns kept for the name of a feed, if it is that long; numbers make room for it."""
DISPENSABLE = (
    *("in/s", "out/s", "failing", "claim", "due", "claimed", "oldest", "stalled"),
    *("scheduled", "paused"),
)
"""What is left out, in this order, until all others fit: a number that is cut short misleads."""


@attrs.frozen
class Sample:
    """A feed's stats at one time, and how fast it has been since the sample before.

    Attributes:
        feed: its name.
        stats: what the backend says.
        taken_at: when, in seconds of a clock that only goes forwards.
        put_per_second: publishes, puts and edits; None in the first sample.
        done_per_second: items of a queue taken, jobs finished; None in the first sample,
            and for feeds.
    """

    feed: str
    stats: FeedStats
    taken_at: float
    put_per_second: float | None = None
    done_per_second: float | None = None

    @property
    def done(self) -> int | None:
        """How many items were taken from a queue, or jobs finished, so far."""
        kind = KIND_OF_TYPE.get(self.stats.type)
        if kind == QUEUE:
            return self.stats.publishes - self.stats.items
        return self.stats.finished if kind == JOB else None

    def after(self, before: Sample) -> Sample:
        """This sample with the rates since the one before."""
        seconds = self.taken_at - before.taken_at
        done = None
        if self.done is not None and before.done is not None:
            done = max(0, self.done - before.done) / seconds
        put = max(0, self.stats.publishes - before.stats.publishes) / seconds
        return attrs.evolve(self, put_per_second=put, done_per_second=done)

    def record(self) -> dict[str, Any]:
        """It as JSON; what its type does not have is null."""
        return {
            "feed": self.feed,
            **attrs.asdict(self.stats),
            "put_per_second": self.put_per_second,
            "done_per_second": self.done_per_second,
        }

    def cells(self) -> list[str]:
        """It as a row of the table."""
        stats = self.stats
        oldest = stats.oldest_item if stats.oldest_waiting is None else stats.oldest_waiting
        counts = (stats.items, stats.waiting, stats.claimed, stats.stalled, stats.failing)
        return [
            printable(self.feed),
            printable(stats.type),
            *("" if number is None else str(number) for number in counts),
            _rate(self.put_per_second),
            _rate(self.done_per_second),
            short_age(oldest),
            short_age(stats.oldest_claimed),
            "" if stats.scheduled is None else str(stats.scheduled),
            short_age(stats.next_due),
            "yes" if stats.paused else "",
        ]


def _rate(number: float | None) -> str:
    return "" if number is None else f"{number:.1f}"


class Sampler:
    """Looks again and again at the feeds named, or at all there are."""

    def __init__(self, session: Session, names: Iterable[str]) -> None:
        self._session = session
        self._names = tuple(names)
        self._before: dict[str, Sample] = {}
        self._is_first = True

    def __call__(self) -> list[Sample]:
        """The samples of now, by name; with rates where there were samples before.

        Raises:
            FeedDoesNotExist: when it is called first, a feed that was named is not there.
        """
        client = self._session.client
        now: dict[str, Sample] = {}
        for name in self._names or sorted(client.get_feed_names()):
            try:
                stats = client.backend.execute(ReadStats(name))
            except FeedDoesNotExist:
                if self._names and self._is_first:
                    raise
                continue  # deleted since
            sample = Sample(name, stats, time.monotonic())
            before = self._before.get(name)
            now[name] = sample if before is None else sample.after(before)
        self._before = now
        self._is_first = False
        return [*now.values()]


def _interval_option(help: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(
        "--interval", type=Seconds(min=0.05), metavar="SECONDS", help=help, **attributes
    )


@click.command(cls=Command)
@names_argument
@_interval_option("Look twice, so far apart, and tell the rates in between.")
@pass_session
def stats(session: Session, names: tuple[str, ...], interval: float | None) -> None:
    """Tell how full and how busy the feeds named are, or all.

    With --json one object for each, with ages in seconds and null for what its type does
    not have.
    """
    sampler = Sampler(session, names)
    samples = sampler()
    if interval is not None:
        time.sleep(interval)
        samples = sampler()
    show(session, samples)


def show(session: Session, samples: Sequence[Sample]) -> None:
    """Print samples: as JSON, as a table, or in a pipe with tabs."""
    if session.json:
        for sample in samples:
            write_json(sample.record())
    elif to_terminal():
        terminal().print(_table(samples))
    else:
        for row in (COLUMNS, *(sample.cells() for sample in samples)):
            write_line("\t".join(cell or "-" for cell in row))


@click.command(cls=Command)
@names_argument
@_interval_option("How often to look.", default=2.0, show_default=True)
@click.option("--once", is_flag=True, help="Print one table and end.")
@pass_session
def top(session: Session, names: tuple[str, ...], interval: float, once: bool) -> None:
    """Show how full and how busy the feeds named are, or all, until Ctrl-C.

    oldest is how long the oldest job has waited (of a feed: how old its first item is);
    claim is how old the oldest claim is; failing are jobs, not finished yet, that were
    cancelled before; due is how long until the first scheduled job is. The last three
    columns are there when a feed has something to tell in them.
    """
    sampler = Sampler(session, names)
    if once:
        show(session, sampler())
    elif session.json or not to_terminal():
        while True:
            show(session, sampler())
            time.sleep(interval)
    else:
        session.is_patient = False
        _live(sampler, interval)


def _live(sampler: Sampler, interval: float) -> None:
    from rich.live import Live

    # The first look: what is wrong with the address or a name ends the command.
    samples = sampler()
    caption = None
    with Live(console=terminal(), auto_refresh=False, screen=True) as live:
        while True:
            now = time.strftime("%H:%M:%S")
            live.update(_table(samples, caption or f"{now}  Ctrl-C ends it."), refresh=True)
            time.sleep(interval)
            caption = None
            try:
                samples = sampler()
            except (BackendUnavailable, OutcomeUnknown) as error:
                caption = f"These numbers are old: {one_line(error)}"


def _table(samples: Sequence[Sample], caption: str | None = None) -> Table:
    rows = [sample.cells() for sample in samples]
    columns = [*COLUMNS]
    for name in RARE:
        where = columns.index(name)
        if not any(row[where] not in ("", "0") for row in rows):
            _drop(name, columns, rows)
    is_narrow = terminal().width < ROOM_FOR_ALL
    if is_narrow:
        # Names and numbers need the room.
        for name in ("type", *DISPENSABLE):
            if name != "type" and _width(columns, rows) <= terminal().width:
                break
            if name in columns:
                _drop(name, columns, rows)
    return table(columns, rows, right=NUMBERS, long="feed", tight=is_narrow, caption=caption)


def _drop(name: str, columns: list[str], rows: Iterable[list[str]]) -> None:
    where = columns.index(name)
    for row in (columns, *rows):
        del row[where]


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How wide a tight table is at least."""
    names, *numbers = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    # A space before each column, and one at the end.
    return min(names, ROOM_FOR_NAME) + sum(numbers) + len(columns) + 1
