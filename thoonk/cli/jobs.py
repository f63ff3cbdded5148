"""Commands about jobs."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import attrs
import click

from thoonk import Claim, Empty, FeedConfig, FeedDoesNotExist, JobResult, WrongFeedType
from thoonk.cli.items import retract_all
from thoonk.cli.output import (
    item_fields,
    print_item,
    printable,
    spread_out,
    terminal,
    to_terminal,
    write,
    write_json,
    write_line,
)
from thoonk.cli.queues import high_option, waiting_for
from thoonk.cli.sending import send_new
from thoonk.cli.session import (
    Command,
    Group,
    Seconds,
    Session,
    id_argument,
    ids_argument,
    name_argument,
    names_argument,
    no_wait_option,
    pass_session,
    timeout_option,
)
from thoonk.cli.values import check_item, items_argument, items_of, lines_option, result_argument
from thoonk.config import JOB
from thoonk.names import encode_name
from thoonk.operations import Priority

_SKIPPED = (FeedDoesNotExist, WrongFeedType)
"""Why a feed is passed over when none was named: it is gone, or no job feed."""

AT_ONCE = 0.001
"""Seconds: the shortest time that the library waits for a result."""


@click.group(cls=Group)
def job() -> None:
    """Put jobs, claim and finish them, read their results.

    Who works on jobs for long is better off with a worker that gives signs of life; these
    commands are for scripts and for setting things right by hand.
    """


token_option = click.option(
    "--token", default="", metavar="TOKEN", help="Only if claimed under it (job get --json tells)."
)


@job.command("put")
@name_argument
@items_argument
@high_option
@lines_option
@pass_session
def job_put(session: Session, name: str, items: tuple[bytes, ...], high: bool, lines: bool) -> None:
    """Put jobs into a job feed; prints their ids. ITEM is as with put."""
    feed, config = session.open(name, JOB)
    given = items_of(items, lines=lines, config=config, name=name)
    send_new(session, partial(feed.put_many, priority=Priority(high)), given)


@job.command("get")
@name_argument
@timeout_option
@no_wait_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the item there."
)
@pass_session
def job_get(
    session: Session, name: str, timeout: float | None, no_wait: bool, output: Path | None
) -> None:
    """Claim the next job and print it. Waits until there is one.

    It stays claimed when this command has ended, until you finish, cancel or stall it, or
    until the feed's claim_timeout is over. In a pipe: its id, a line break, and then the
    item's bytes and nothing else. With --output the item goes to a file and the id alone
    is printed.
    """
    feed, config = session.open(name, JOB)
    claim = waiting_for(
        f"a job in {name!r}",
        feed.get_nowait,
        lambda: feed.get(timeout=timeout),
        no_wait=no_wait,
    )
    try:
        if output is not None:
            output.write_bytes(claim.item)
        _print_claim(session, claim, config, with_item=output is None)
    except BaseException:
        # Nobody knows of it, so nobody would finish it.
        claim.cancel()
        raise


def _print_claim(
    session: Session, claim: Claim[bytes], config: FeedConfig, *, with_item: bool
) -> None:
    if session.json:
        item = item_fields(claim.item) if with_item else {}
        write_json({"id": claim.id, "token": claim.token, "cancelled": claim.cancelled, **item})
    elif not to_terminal():
        write(encode_name(claim.id) + b"\n" + (claim.item if with_item else b""))
    else:
        limit = f" for {config.claim_timeout:g} s" if config.claim_timeout else ""
        failures = f", cancelled {claim.cancelled} times before" if claim.cancelled else ""
        terminal().print(f"{printable(claim.id)}  claimed{limit}{failures}", markup=False)
        if with_item:
            write_line(spread_out(claim.item, config.serializer))


@job.command("finish")
@name_argument
@id_argument
@result_argument
@click.option(
    "--keep",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="Keep the result so long, 0 for ever; else as configured, or one day.",
)
@token_option
@pass_session
def job_finish(
    session: Session, name: str, id: str, result: bytes | None, keep: float | None, token: str
) -> None:
    """Say that the claimed job ID is done, perhaps with a RESULT (given as an item)."""
    feed, config = session.open(name, JOB)
    if result is not None:
        check_item(result, config, name)
    elif keep is not None:
        raise click.UsageError("--keep is for a RESULT.")
    feed.finish(id, result, timeout=keep, token=token)


@job.command("cancel")
@name_argument
@ids_argument
@token_option
@pass_session
def job_cancel(session: Session, name: str, ids: tuple[str, ...], token: str) -> None:
    """Give claimed jobs back: they wait again, or are stalled after max_failures."""
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.cancel(id, token=token)


@job.command("stall")
@name_argument
@ids_argument
@token_option
@pass_session
def job_stall(session: Session, name: str, ids: tuple[str, ...], token: str) -> None:
    """Take claimed jobs out of circulation, until they are retried."""
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.stall(id, token=token)


@job.command("retry")
@name_argument
@ids_argument
@pass_session
def job_retry(session: Session, name: str, ids: tuple[str, ...]) -> None:
    """Make stalled jobs available again."""
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.retry(id)


@job.command("retract")
@name_argument
@ids_argument
@pass_session
def job_retract(session: Session, name: str, ids: tuple[str, ...]) -> None:
    """Remove jobs in whatever state. Exit code 4 when one was not there."""
    feed, _ = session.open(name, JOB)
    retract_all(feed, ids)


@job.command("result")
@name_argument
@id_argument
@timeout_option
@no_wait_option
@pass_session
def job_result(session: Session, name: str, id: str, timeout: float | None, no_wait: bool) -> None:
    """Print the result of the job ID. Waits until there is one, and leaves it there.

    In a pipe these are the result's bytes and nothing else; none at all where the job was
    finished with a result that is no value (None). With --json also what was asked.
    """
    feed, config = session.open(name, JOB)

    def now() -> JobResult[bytes]:
        try:
            result: JobResult[bytes] = feed.get_result(id, timeout=AT_ONCE)
        except Empty:
            raise Empty(f"job {id!r} has no result") from None
        return result

    found = waiting_for(
        f"the result of {printable(id)}",
        now,
        lambda: feed.get_result(id, timeout=timeout),
        no_wait=no_wait,
    )
    if session.json:
        query = item_fields(found.query, "query")
        write_json({"id": id, **query, **item_fields(found.result, "result")})
    elif found.result is not None:
        print_item(found.result, config.serializer)
    elif to_terminal():
        terminal().print("The result is no value.", style="dim")


@click.command(cls=Command)
@names_argument
@pass_session
def maintenance(session: Session, names: tuple[str, ...]) -> None:
    """Repair what dead workers and peers left behind, in some or all job feeds.

    Claims past their time go back (a get does that, too), and so do jobs that are in no
    state at all.
    """
    for name in names or sorted(session.client.get_feed_names()):
        with contextlib.suppress(*_SKIPPED if not names else ()):
            feed, _ = session.open(name, JOB)
            report = attrs.asdict(feed.maintenance())
            if session.json:
                write_json({"feed": name, **report})
            else:
                done = ", ".join(f"{word} {len(ids)}" for word, ids in report.items())
                write_line(f"{printable(name)}: {done}")
