"""Commands about jobs."""

from __future__ import annotations

import contextlib
import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click

from thoonk import (
    AccessDenied,
    Claim,
    FeedConfig,
    FeedDoesNotExist,
    ItemDoesNotExist,
    JobResult,
    NotClaimed,
    UnsupportedOperation,
    WrongFeedType,
)
from thoonk._sync.alive import holders
from thoonk.cli.items import retract_all
from thoonk.cli.output import (
    item_fields,
    print_item,
    spread_out,
    terminal,
    to_terminal,
    write,
    write_json,
    write_line,
)
from thoonk.cli.queues import high_option, waiting_for
from thoonk.cli.sending import own_id_options, send_new, send_own
from thoonk.cli.session import (
    A_SCHEDULE,
    Command,
    Group,
    Seconds,
    Session,
    any_ids_argument,
    as_name,
    at_option,
    check_one_time,
    delay_option,
    id_argument,
    ids_argument,
    name_argument,
    names_argument,
    no_wait_option,
    pass_session,
    timeout_option,
)
from thoonk.cli.values import item_argument, items_argument, items_of, lines_option, result_argument
from thoonk.config import JOB
from thoonk.names import encode_name
from thoonk.operations import Failure, IfMissed, JobState, Priority
from thoonk.raw_items import check_item, printable
from thoonk.schedules import SHORTEST

_SKIPPED = (FeedDoesNotExist, WrongFeedType)
"""Why a feed is skipped if none was named: it was deleted, or is not a job feed."""

STATES = [state.value for state in JobState if state is not JobState.FINISHED]


@click.group(cls=Group)
def job() -> None:
    """Put, claim and finish jobs; read results.

    For long jobs, prefer a worker, which sends heartbeats. These commands are for scripts and
    for repairs by hand.
    """


def _read_text(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    return None if value is None else as_name(value)


token_option = click.option(
    "--token",
    default="",
    metavar="TOKEN",
    help="Only if claimed under TOKEN, as job get --json prints it.",
)


@job.command("put")
@name_argument
@items_argument
@high_option
@lines_option
@delay_option
@at_option
@own_id_options
@pass_session
def job_put(
    session: Session,
    name: str,
    items: tuple[bytes, ...],
    high: bool,
    lines: bool,
    delay: float | None,
    at: dt.datetime | None,
    id: str | None,
    if_exists: str | None,
    unique_for: float | None,
) -> None:
    """Put jobs into a job feed; prints their ids. ITEM is given as in put.

    With --id and --json, it also prints the outcome: added, kept (the ID is taken) or replaced.
    """
    check_one_time(delay, at)
    feed, config = session.open(name, JOB)
    given = items_of(items, lines=lines, config=config, name=name)
    when: dict[str, Any] = {"priority": Priority(high), "delay": delay, "at": at}
    own: dict[str, Any] = {"id": id, "if_exists": if_exists, "unique_for": unique_for}
    if not send_own(session, partial(feed.put, **when), given, **own):
        send_new(session, partial(feed.put_many, **when), given)


@job.command("get")
@name_argument
@timeout_option
@no_wait_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the item to FILE.",
)
@pass_session
def job_get(
    session: Session, name: str, timeout: float | None, no_wait: bool, output: Path | None
) -> None:
    """Claim the next job and print it. Waits until there is one.

    The job stays claimed after this command ends, until you finish, cancel or stall it, or
    until the feed's claim_timeout expires. In a pipe, it prints the id, a line break, and then
    the item's bytes and nothing else. With --output, the item goes to a file, and only the id
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
        # Its id was not printed, so no one could finish it.
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
    help="Keep the result this long; 0: forever. Default: the feed's setting, or one day.",
)
@token_option
@pass_session
def job_finish(
    session: Session, name: str, id: str, result: bytes | None, keep: float | None, token: str
) -> None:
    """Finish the claimed job ID. RESULT is given like an item."""
    feed, config = session.open(name, JOB)
    if result is not None:
        check_item(result, config, name)
    elif keep is not None:
        raise click.UsageError("--keep needs a RESULT.")
    feed.finish(id, result, timeout=keep, token=token)


reason_option = click.option(
    "--reason", metavar="TEXT", callback=_read_text, help="Why; job show prints it."
)


@job.command("cancel")
@name_argument
@ids_argument
@token_option
@delay_option
@at_option
@reason_option
@pass_session
def job_cancel(
    session: Session,
    name: str,
    ids: tuple[str, ...],
    token: str,
    delay: float | None,
    at: dt.datetime | None,
    reason: str | None,
) -> None:
    """Give claimed jobs back: they wait again, or are stalled after max_failures."""
    check_one_time(delay, at)
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.cancel(id, token=token, delay=delay, at=at, reason=reason)


@job.command("stall")
@name_argument
@ids_argument
@token_option
@reason_option
@pass_session
def job_stall(
    session: Session, name: str, ids: tuple[str, ...], token: str, reason: str | None
) -> None:
    """Stall claimed jobs: no worker gets them until you retry them."""
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.stall(id, token=token, reason=reason)


@job.command("stop")
@name_argument
@ids_argument
@reason_option
@pass_session
def job_stop(session: Session, name: str, ids: tuple[str, ...], reason: str | None) -> None:
    """Stop running jobs and keep them, stalled. Exit code 5 if one was not claimed."""
    feed, _ = session.open(name, JOB)
    why = {} if reason is None else {"reason": reason}
    others = [id for id in ids if not feed.stop(id, **why)]
    if others:
        raise NotClaimed(name, others[0])


@job.command("reschedule")
@name_argument
@ids_argument
@delay_option
@at_option
@pass_session
def job_reschedule(
    session: Session,
    name: str,
    ids: tuple[str, ...],
    delay: float | None,
    at: dt.datetime | None,
) -> None:
    """Change when scheduled jobs are due, with --delay or --at."""
    check_one_time(delay, at)
    if delay is None and at is None:
        raise click.UsageError("Give --delay or --at. (job run-now makes jobs available now.)")
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.reschedule(id, delay=delay, at=at)


@job.command("run-now")
@name_argument
@ids_argument
@pass_session
def job_run_now(session: Session, name: str, ids: tuple[str, ...]) -> None:
    """Make scheduled jobs available now."""
    feed, _ = session.open(name, JOB)
    for id in ids:
        feed.run_now(id)


@job.command("schedule")
@name_argument
@click.argument("schedule", **A_SCHEDULE)
@item_argument
@click.option(
    "--every", type=Seconds(min=SHORTEST), metavar="SECONDS", help="The time between two jobs."
)
@click.option(
    "--cron", metavar="EXPR", callback=_read_text, help="A cron expression, such as '0 3 * * *'."
)
@click.option(
    "--tz",
    metavar="ZONE",
    callback=_read_text,
    help="The time zone of --cron, such as Europe/Berlin. Default: UTC.",
)
@click.option(
    "--if-missed",
    type=click.Choice([choice.value for choice in IfMissed]),
    default=IfMissed.ONCE.value,
    help="After more than a minute without a consumer: put only the last of the missed jobs, or "
    "none. Default: once.",
)
@high_option
@pass_session
def job_schedule(
    session: Session,
    name: str,
    schedule: str,
    item: bytes,
    every: float | None,
    cron: str | None,
    tz: str | None,
    if_missed: str,
    high: bool,
) -> None:
    """Put a job with ITEM periodically. SCHEDULE is the name of the schedule.

    The server stores the schedule. Consumers that ask for jobs put those that are due. An
    identical schedule continues unchanged; a different one with the same name is replaced.
    """
    if (every is None) is (cron is None):
        raise click.UsageError("Give --every or --cron.")
    if tz is not None and cron is None:
        raise click.UsageError("--tz needs --cron.")
    feed, config = session.open(name, JOB)
    check_item(item, config, name)
    is_new = feed.schedule(
        schedule,
        item,
        every=every,
        cron=cron,
        tz=tz or "UTC",
        if_missed=if_missed,
        priority=Priority(high),
    )
    if session.json:
        write_json({"name": schedule, "new": is_new})
    elif not is_new:
        click.echo(
            f"Note: the schedule {printable(schedule)!r} already exists, unchanged", err=True
        )


@job.command("unschedule")
@name_argument
@click.argument("schedules", nargs=-1, required=True, metavar="SCHEDULE...", **A_SCHEDULE)
@pass_session
def job_unschedule(session: Session, name: str, schedules: tuple[str, ...]) -> None:
    """Remove schedules. Exit code 4 if one does not exist. Jobs that they have put stay."""
    feed, _ = session.open(name, JOB)
    missing = [schedule for schedule in schedules if not feed.unschedule(schedule)]
    if missing:
        raise ItemDoesNotExist(name, missing[0])


@job.command("schedules")
@name_argument
@pass_session
def job_schedules(session: Session, name: str) -> None:
    """List schedules: name, next time, interval or cron expression, and time zone.

    Fields are separated by tabs.
    """
    feed, _ = session.open(name, JOB)
    for found in feed.schedules():
        if session.json:
            fields = attrs.asdict(found, value_serializer=_as_json)
            write_json({**item_fields(fields.pop("item")), **fields})
            continue
        often = found.cron if found.every is None else f"{found.every:g} s"
        zone = found.tz if found.every is None else "-"
        write_line("\t".join(map(printable, (found.name, _as_text(found.next), often, zone))))


@job.command("retry")
@name_argument
@any_ids_argument
@click.option("--all", "every", is_flag=True, help="All stalled jobs.")
@pass_session
def job_retry(session: Session, name: str, ids: tuple[str, ...], every: bool) -> None:
    """Make stalled jobs available again; with --all, prints how many."""
    if bool(ids) is every:
        raise click.UsageError("Give the IDs of jobs, or --all.")
    feed, _ = session.open(name, JOB)
    if every:
        write_line(str(feed.retry_all()))
    for id in ids:
        feed.retry(id)


@job.command("retract")
@name_argument
@any_ids_argument
@click.option("--state", type=click.Choice(STATES), help="All jobs in this state, instead of IDs.")
@pass_session
def job_retract(session: Session, name: str, ids: tuple[str, ...], state: str | None) -> None:
    """Remove jobs. Exit code 4 if one does not exist; with --state, prints how many it removed."""
    if bool(ids) is (state is not None):
        raise click.UsageError("Give the IDs of jobs, or --state.")
    feed, _ = session.open(name, JOB)
    if state is not None:
        write_line(str(feed.retract_all(state)))
    else:
        retract_all(feed, ids)


@job.command("list")
@name_argument
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@pass_session
def job_list(session: Session, name: str, state: str | None) -> None:
    """List jobs: id, state, since or until when, number of failures, and why it failed.

    Scheduled jobs are in the order of their times, waiting jobs in the order in which they will
    be claimed, claimed jobs in the order of their last heartbeats, stalled jobs in no order.
    Fields are separated by tabs.
    """
    feed, _ = session.open(name, JOB)
    for which in STATES if state is None else (state,):
        for info in feed.jobs(which):
            if session.json:
                write_json(attrs.asdict(info, value_serializer=_as_json))
                continue
            failure = info.failure or Failure("")
            time = getattr(info, _TIME_OF[info.state])
            why = ": ".join(filter(None, (failure.error, failure.message)))
            fields = (info.id, info.state.value, _as_text(time), str(info.failures), why)
            write_line("\t".join(map(printable, fields)))


@job.command("show")
@name_argument
@id_argument
@pass_session
def job_show(session: Session, name: str, id: str) -> None:
    """Show the job ID: its state, its times, why it failed, its progress.

    Each line is a field: name, tab, value. The traceback comes last, on lines of its own. Times
    are the server's, in UTC. The holder of a claimed job is the worker that reports it, and since
    when; unknown: no live worker reports it. Exit code 4 if there is neither a job nor a result.
    """
    feed, _ = session.open(name, JOB)
    info = feed.get_info(id)
    if info is None:
        raise ItemDoesNotExist(name, id)
    held = _holder(session, name, id) if info.state is JobState.CLAIMED else {}
    if session.json:
        write_json({**attrs.asdict(info, value_serializer=_as_json), "holder": held or None})
        return
    failure = info.failure or Failure("")
    holder = "{host}:{pid} since {since}".format_map(held) if held else "unknown"
    fields = {
        "id": id,
        "state": info.state.value,
        "holder": holder if info.state is JobState.CLAIMED else "",
        **{time: _as_text(getattr(info, time)) for time in _TIMES},
        "failures": str(info.failures),
        "error": failure.error,
        "message": failure.message,
        "worker": failure.worker,
        "result": "yes" if info.has_result else "",
        "progress": "" if info.progress is None else f"{info.progress:.0%}",
        "doing": info.doing,
        "progressed": _as_text(info.progressed),
    }
    for field, text in fields.items():
        if text:
            write_line(f"{field}\t{printable(text)}")
    if failure.traceback:
        write_line("traceback")
        write_line("\n".join(map(printable, failure.traceback.rstrip("\n").split("\n"))))


def _holder(session: Session, feed: str, id: str) -> dict[str, Any]:
    """The worker that reports that it runs a job; empty: none does."""
    try:
        worker, job = holders(session.client.get_workers(), feed)[id]
    except (AccessDenied, KeyError, UnsupportedOperation):
        return {}
    return {"host": worker.host, "pid": worker.pid, "since": _as_text(job.since)}


_TIMES = ("put", "due", "claimed", "failed", "stalled")
_TIME_OF = {
    JobState.SCHEDULED: "due",
    JobState.WAITING: "put",
    JobState.CLAIMED: "claimed",
    JobState.STALLED: "stalled",
}
"""Which time of a job a list shows."""


def _as_text(time: dt.datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="milliseconds")


def _as_json(_: object, __: object, value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return _as_text(value)
    if isinstance(value, Priority):
        return value.name.lower()
    return value.value if isinstance(value, JobState) else value


@job.command("result")
@name_argument
@id_argument
@timeout_option
@no_wait_option
@pass_session
def job_result(session: Session, name: str, id: str, timeout: float | None, no_wait: bool) -> None:
    """Print the result of the job ID. Waits until there is one, and does not remove it.

    Exit code 1 and the reason if the job has failed and is stalled; 4 if it has ended without a
    result, or does not exist.

    In a pipe, it prints the result's bytes and nothing else; nothing at all if the result is
    None. With --json, it also prints the job's item.
    """
    feed, config = session.open(name, JOB)

    try:
        found: JobResult[bytes] = waiting_for(
            f"the result of {printable(id)}",
            lambda: feed.get_result_nowait(id),
            lambda: feed.get_result(id, timeout=timeout),
            no_wait=no_wait,
        )
    except UnsupportedOperation as error:
        raise UnsupportedOperation(f"{error}; ask again with --no-wait") from error
    if session.json:
        query = item_fields(found.query, "query")
        write_json({"id": id, **query, **item_fields(found.result, "result")})
    elif found.result is not None:
        print_item(found.result, config.serializer)
    elif to_terminal():
        terminal().print("The result is None.", style="dim")


@click.command(cls=Command)
@names_argument
@pass_session
def maintenance(session: Session, names: tuple[str, ...]) -> None:
    """Repair what dead workers and peers left behind, in the job feeds named, or in all.

    Jobs whose claim has expired become available again (as in every get), and so do jobs that
    are in no state.
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
