"""Commands about queues."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from thoonk import Empty, FeedConfig, OutcomeUnknown
from thoonk.cli.output import item_fields, print_item, write_json, write_line
from thoonk.cli.sending import own_id_options, send_new, send_own
from thoonk.cli.session import (
    A_FEED,
    Command,
    Session,
    name_argument,
    no_wait_option,
    pass_session,
    timeout_option,
)
from thoonk.cli.values import items_argument, items_of, lines_option
from thoonk.config import JOB, QUEUE
from thoonk.operations import Priority
from thoonk.raw_items import printable

T = TypeVar("T")

high_option = click.option("--high", is_flag=True, help="High priority: ahead of all that wait.")


def waiting_for(what: str, now: Callable[[], T], later: Callable[[], T], *, no_wait: bool) -> T:
    """What is there now, else what comes later; a user at a terminal sees that it waits."""
    try:
        return now()
    except Empty:
        if no_wait:
            raise
    if sys.stderr.isatty():
        click.secho(f"Waiting for {what}. Press Ctrl-C to stop.", err=True, dim=True)
    return later()


@click.command(cls=Command)
@name_argument
@items_argument
@high_option
@lines_option
@own_id_options
@pass_session
def put(
    session: Session,
    name: str,
    items: tuple[bytes, ...],
    high: bool,
    lines: bool,
    id: str | None,
    if_exists: str | None,
    unique_for: float | None,
) -> None:
    """Put items into a queue; prints their ids.

    ITEM is the item itself, @FILE for the contents of a file, or - for standard input, byte for
    byte. Write @@text for an item that starts with @. With --id and --json, it also prints the
    outcome: added, kept (the ID is taken) or replaced.
    """
    queue, config = session.open(name, QUEUE)
    given = items_of(items, lines=lines, config=config, name=name)
    priority = Priority(high)
    own: dict[str, Any] = {"id": id, "if_exists": if_exists, "unique_for": unique_for}
    if not send_own(session, partial(queue.put, priority=priority), given, **own):
        send_new(session, partial(queue.put_many, priority=priority), given)


@click.command(cls=Command)
@name_argument
@timeout_option
@no_wait_option
@pass_session
def get(session: Session, name: str, timeout: float | None, no_wait: bool) -> None:
    """Get the next item of a queue and print it. Waits until there is one.

    In a pipe, it prints the item's bytes and nothing else, without a line break. If they
    cannot be written, the item goes back to the head of the queue. Exit code 75 with an item:
    the connection was lost before the server confirmed that the item is yours, so it may be
    delivered again.
    """
    queue, config = session.open(name, QUEUE)
    try:
        item: bytes = waiting_for(
            f"an item in {name!r}",
            queue.get_nowait,
            lambda: queue.get(timeout=timeout),
            no_wait=no_wait,
        )
    except OutcomeUnknown as error:
        # The item has arrived, but not the confirmation that it is ours.
        if isinstance(error.item, bytes):
            _print(session, error.item, config)
        raise
    try:
        _print(session, item, config)
    except BaseException:
        queue.put(item, priority=queue.HIGH)
        raise


def _print(session: Session, item: bytes, config: FeedConfig) -> None:
    if session.json:
        write_json(item_fields(item))
    else:
        print_item(item, config.serializer)


feeds_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...", **A_FEED)


@click.command(cls=Command)
@feeds_argument
@pass_session
def pause(session: Session, names: tuple[str, ...]) -> None:
    """Pause queues or job feeds until you resume them.

    You can still put items and jobs, and finish claimed jobs. Consumers that wait keep waiting.
    """
    for name in names:
        feed, _ = session.open(name, QUEUE, JOB)
        if not feed.pause():
            _note(f"{printable(name)!r} is already paused")


@click.command(cls=Command)
@feeds_argument
@pass_session
def resume(session: Session, names: tuple[str, ...]) -> None:
    """Resume paused queues or job feeds."""
    for name in names:
        feed, _ = session.open(name, QUEUE, JOB)
        if not feed.resume():
            _note(f"{printable(name)!r} is not paused")


@click.command(cls=Command)
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_session
def purge(session: Session, name: str, yes: bool) -> None:
    """Remove all items of a queue, or all jobs; prints how many. The configuration stays.

    At a terminal, it asks for confirmation first.
    """
    feed, _ = session.open(name, QUEUE, JOB)
    question = f"Remove all {feed.count()} items of {printable(name)!r}?"
    if yes or not sys.stdin.isatty() or click.confirm(question, err=True):
        write_line(str(feed.purge()))


def _note(text: str) -> None:
    click.echo(f"Note: {text}", err=True)
