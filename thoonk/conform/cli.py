"""The command ``thoonk conform``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator

import attrs
import click

from thoonk.conform import report
from thoonk.conform.peer import PeerFailed
from thoonk.conform.runner import Declaration, Outcome, Runner, check_names
from thoonk.conform.sandbox import Sandbox, private_server
from thoonk.conform.vector import LEVELS, Vector, load
from thoonk.exceptions import ThoonkError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url",
    metavar="URL",
    help="An empty db to try it in; it is cleared. Default: a private server.",
)
@click.option("--server", metavar="PROGRAM", help="The program of the private server.")
@click.option(
    "--level",
    type=click.Choice([str(level) for level in LEVELS]),
    help="The version of the contract. Default: what the peer says.",
)
@click.option(
    "--without", multiple=True, metavar="NAME", help="A feature or operation that it lacks."
)
@click.option(
    "--only", multiple=True, metavar="TEXT", help="Vectors with this in their section or name."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
@click.option("--first", is_flag=True, help="Stop at the first that fails.")
@click.option(
    "--json",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="Write a report; - for stdout.",
)
@click.option("--list", "listing", is_flag=True, help="List the vectors and end.")
@click.option("-v", "--verbose", is_flag=True, help="Name also what passes and what is skipped.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def conform(
    url: str | None,
    server: str | None,
    level: str | None,
    without: tuple[str, ...],
    only: tuple[str, ...],
    timeout: float,
    first: bool,
    target: str | None,
    listing: bool,
    verbose: bool,
    command: tuple[str, ...],
) -> None:
    """Prove that a peer keeps to the contract.

    COMMAND starts the peer, a program in any language. It gets requests on stdin and
    answers on stdout, a line of JSON each. Put it behind "--":

        thoonk conform -- node peer.js

    Ends with 0 when nothing failed, else with 1.
    """
    vectors = _chosen(only)
    if listing:
        for vector in vectors:
            click.echo(vector.title)
        return
    if not command:
        raise click.UsageError("COMMAND is missing: how is the peer started?")
    try:
        with contextlib.ExitStack() as stack:
            url = url or stack.enter_context(private_server(server))
            sandbox = stack.enter_context(contextlib.closing(Sandbox(url)))
            runner = stack.enter_context(contextlib.closing(Runner(sandbox, command, timeout)))
            declared = _declared(runner, level, without)
            outcomes = [*_reported(runner.run(vectors, declared), first, verbose, target)]
    except (ThoonkError, PeerFailed) as error:
        raise click.ClickException(str(error)) from error
    if target is not None:
        with click.open_file(target, "w", "utf-8") as file:
            json.dump(report.as_json(declared, outcomes), file, indent=2, ensure_ascii=False)
            file.write("\n")
    _say(f"{declared.name}, level {declared.level}: {report.summary(outcomes)}", target)
    if not any(not outcome.skipped for outcome in outcomes):
        raise click.ClickException("nothing was tried")
    sys.exit(int(any(outcome.failed for outcome in outcomes)))


def _chosen(only: tuple[str, ...]) -> list[Vector]:
    vectors = load()
    if only:
        words = [word.casefold() for word in only]
        vectors = [v for v in vectors if any(word in v.title.casefold() for word in words)]
        if not vectors:
            raise click.UsageError(f"no vector has {' or '.join(map(repr, only))} in it")
    return vectors


def _declared(runner: Runner, level: str | None, without: tuple[str, ...]) -> Declaration:
    """What the peer says of itself, unless the command line says otherwise."""
    every = load()
    check_names([*without], every)
    declared = runner.hello(every)
    return attrs.evolve(
        declared,
        level=int(level) if level else declared.level,
        without=declared.without | {*without},
    )


def _reported(
    outcomes: Iterator[Outcome], first: bool, verbose: bool, target: str | None
) -> Iterator[Outcome]:
    """Each as it comes, once it has been reported."""
    for outcome in outcomes:
        if outcome.failed:
            for line in report.lines(outcome):
                _say(line, target)
        elif verbose:
            said = f"skipped {outcome.vector.title} ({outcome.skipped})"
            _say(said if outcome.skipped else f"passed  {outcome.vector.title}", target)
        yield outcome
        if outcome.failed and first:
            return


def _say(line: str, target: str | None) -> None:
    """To stdout, or to stderr where the report goes to stdout."""
    colour = {"FAILED": "red", "passed": "green"}.get(line.partition(" ")[0])
    click.secho(line, fg=colour, err=target == "-")
