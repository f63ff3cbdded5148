"""The commands ``top`` and ``stats``: how full and how busy feeds are."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from thoonk.cli.columns import COLUMNS, ROOM_FOR_ALL, fitting, widths
from thoonk.cli.output import table, terminal, to_terminal, write_json, write_line
from thoonk.cli.samples import Sample, Sampler
from thoonk.cli.session import Command, Function, Seconds, Session, names_argument, pass_session

if TYPE_CHECKING:
    from rich.table import Table


def _interval_option(help: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(
        "--interval", type=Seconds(min=0.05), metavar="SECONDS", help=help, **attributes
    )


@click.command(cls=Command)
@names_argument
@_interval_option("Sample the feeds twice, SECONDS apart, and show their rates.")
@pass_session
def stats(session: Session, names: tuple[str, ...], interval: float | None) -> None:
    """Show how full and how busy feeds are: those named, or all.

    With --json, print one object per feed. Ages are in seconds. A field is null where the
    feed's type has no such number.
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
        write_line("\t".join(column.name for column in COLUMNS))
        for sample in samples:
            write_line("\t".join(each.text(sample, grouped=False) or "-" for each in COLUMNS))


@click.command(cls=Command)
@names_argument
@_interval_option("Seconds between two updates.", default=2.0, show_default=True)
@click.option("--once", is_flag=True, help="Print one table and exit.")
@pass_session
def top(session: Session, names: tuple[str, ...], interval: float, once: bool) -> None:
    """Show how full and how busy feeds are, live: those named, or all.

    Press q to quit and ? for the other keys: sort, filter, scroll, pause.

    \b
    oldest   how long the oldest job has waited; of a feed: the age of its first item
    claim    the age of the oldest claim
    failing  unfinished jobs that were cancelled at least once
    due      the time until the next scheduled job

    In a pipe, with --json, or where TERM=dumb, top prints one table after the other.
    """  # noqa: D301 - a real backspace: click keeps the lines that follow it
    sampler = Sampler(session, names)
    if once:
        show(session, sampler())
    elif session.json or not _can_redraw():
        while True:
            show(session, sampler())
            time.sleep(interval)
    else:
        from thoonk.cli.top import run

        run(session, names, interval)


def _can_redraw() -> bool:
    """Whether there is a screen to draw on and a keyboard to read."""
    if not (to_terminal() and sys.__stdin__ is not None and sys.__stdin__.isatty()):
        return False
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown") or os.name == "nt"


def _table(samples: Sequence[Sample]) -> Table:
    room = terminal().width
    columns = fitting(widths(samples), room)
    return table(
        [column.name for column in columns],
        [[column.text(sample, grouped=True) for column in columns] for sample in samples],
        right=[column.name for column in columns if not column.is_text],
        long="feed",
        tight=room < ROOM_FOR_ALL,
    )
