"""The command ``thoonk doctor``, also by itself: ``python -m thoonk.doctor URL``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import click

from thoonk.doctor import CHECKS, Report, Severity, Size, examine
from thoonk.exceptions import AccessDenied, BackendUnavailable, InvalidValue, ThoonkError

HEALTHY, FOUND, USAGE, INTERRUPTED = 0, 1, 2, 130
UNAVAILABLE, FAILED, DENIED = 69, 70, 77
"""What it ends with; these as in sysexits.h."""

DEFAULT_URL = "redis://localhost:6379/0"

_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url", required=False)
@click.option("--repair", is_flag=True, help="Repair what can be repaired without loss.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--backend", metavar="URL", help="The same as URL.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Report only what stays wrong, without a change, for this long.",
)
@click.option(
    "--ignore",
    type=click.Choice(sorted(CHECKS)),
    multiple=True,
    metavar="CHECK",
    help="Skip this check; may be repeated.",
)
@click.option(
    "--stuck-after",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Report jobs that have been claimed for longer than this. Default: 60 times the "
    "claim_timeout of their feed.",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many feeds to list, the largest in memory first.",
)
@click.pass_obj
def doctor(
    frame: object,
    url: str | None,
    *,
    backend: str | None,
    repair: bool,
    as_json: bool,
    patience: float,
    ignore: tuple[str, ...],
    stuck_after: float | None,
    top: int,
) -> None:
    """Examine a Redis or Valkey server or cluster and the feeds on it, or an SQLite file.

    Default URL: THOONK_URL, or redis://localhost:6379/0. You can run it on a busy server: it
    reads in small steps, and does not report what seems wrong only for a moment.

    Exit codes: 0: nothing needs attention; 1: findings need attention; 69: the server cannot be
    reached, or there is no such file; 77: access denied.
    """
    # As a command of `thoonk`, it also accepts the options that all commands share.
    if url and backend:
        raise click.UsageError("URL and --backend mean the same: give only one")
    url = url or backend or getattr(frame, "url", None) or os.environ.get("THOONK_URL")
    as_json = as_json or getattr(frame, "json", False)
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
    try:
        report = examine(
            url or DEFAULT_URL,
            repair=repair,
            patience=patience,
            ignore=ignore,
            stuck_after=stuck_after,
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ThoonkError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        sys.exit(_exit_of(error))
    if as_json:
        shown = {**report.as_dict(), "memory": report.as_dict()["memory"][:top]}
        click.echo(json.dumps(shown, indent=2))
    else:
        for line in _lines(report, top):
            click.echo(line)
    sys.exit(HEALTHY if report.is_healthy else FOUND)


def _exit_of(error: ThoonkError) -> int:
    match error:
        case BackendUnavailable():
            return UNAVAILABLE
        case AccessDenied():
            return DENIED
        case InvalidValue():
            return USAGE
        case _:
            return FAILED


def _lines(report: Report, top: int) -> Iterator[str]:
    width = max((len(finding.check.name) for finding in report.findings), default=0)
    for finding in report.findings:
        severity = finding.check.severity
        label = click.style(f"{severity.name.lower():7}", fg=_COLOUR[severity])
        yield f"{label}  {finding.check.name:{width}}  {finding.line}"
    count = f"{len(report.sizes)} feed{'' if len(report.sizes) == 1 else 's'}"
    yield f"{report.server}, {count}, {report.commands} commands: {_verdict(report)}"
    for size in report.sizes[:top]:
        yield f"  {_bytes(size):>10}  {size.items:>9} items  {size.feed!r}"


def _verdict(report: Report) -> str:
    faults = sum(1 for finding in report.findings if finding.is_fault)
    repaired = sum(finding.repaired for finding in report.findings)
    words = [
        f"{faults} finding{'s' if faults > 1 else ''} need{'s' if faults == 1 else ''} attention"
        if faults
        else "nothing needs attention"
    ]
    if repaired:
        words.append(f"{repaired} repaired")
    return ", ".join(words)


def _bytes(size: Size) -> str:
    number = float(size.bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":  # noqa: PLR2004
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def main() -> None:
    """The command by itself."""
    doctor(prog_name="python -m thoonk.doctor")
