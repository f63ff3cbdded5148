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
    help="An empty db for the tests, which clear it. Default: a private server.",
)
@click.option("--server", metavar="PROGRAM", help="The program to start as private server.")
@click.option(
    "--level",
    type=click.Choice([str(level) for level in LEVELS]),
    help="The version of the contract. Default: what the peer reports.",
)
@click.option(
    "--without", multiple=True, metavar="NAME", help="A feature or operation that the peer lacks."
)
@click.option(
    "--only", multiple=True, metavar="TEXT", help="Only vectors with TEXT in their section or name."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
@click.option("--first", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--json",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="Write a JSON report; - for stdout.",
)
@click.option("--list", "listing", is_flag=True, help="List the vectors and exit.")
@click.option("-v", "--verbose", is_flag=True, help="Also list what passes and what is skipped.")
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
    """Test whether a peer follows the contract.

    COMMAND starts the peer, a program in any language, which reads requests from stdin and
    writes answers to stdout, one line of JSON each. Put COMMAND after "--":

        thoonk conform -- node peer.js

    Exit code 0 if nothing failed, otherwise 1.
    """
    vectors = _chosen(only)
    if listing:
        for vector in vectors:
            click.echo(vector.title)
        return
    if not command:
        raise click.UsageError("Missing argument 'COMMAND': how to start the peer.")
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
        raise click.ClickException("no vector was run")
    sys.exit(int(any(outcome.failed for outcome in outcomes)))


def _chosen(only: tuple[str, ...]) -> list[Vector]:
    vectors = load()
    if only:
        words = [word.casefold() for word in only]
        vectors = [v for v in vectors if any(word in v.title.casefold() for word in words)]
        if not vectors:
            raise click.UsageError(f"no vector contains {' or '.join(map(repr, only))}")
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
