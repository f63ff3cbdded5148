"""The command ``thoonk work``."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from thoonk.cli.exit_codes import Exit
from thoonk.cli.output import one_line, write_json
from thoonk.cli.session import Command, Seconds, Session, pass_session
from thoonk.worker.check import Mode, check
from thoonk.worker.workers import AsyncWorker, BaseWorker, Worker

FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"


_COMMON = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""What every record has, unlike what it was given as ``extra``."""


class _JsonFormatter(logging.Formatter):
    """A line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, and what it says in fields of its own."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _COMMON and name not in line:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def load(target: str) -> BaseWorker[Any]:
    """The worker that ``module:attribute`` names, or the only one that the module has.

    What the module itself raises is printed as Python would, with file and line.

    Raises:
        click.UsageError: there is no such module, or no such worker in it.
        SystemExit: the module raises.
    """
    name, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in name.split(".")):
        raise click.UsageError(f"{name!r} is not the name of a module")
    # As in `python -m`: the module may be in the current folder.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise click.UsageError(f"there is no module {missing!r}: {error}") from error
        _print_exception(error)
        raise SystemExit(Exit.FAILED) from error
    if attribute:
        worker: Any = module
        for part in attribute.split("."):
            worker = getattr(worker, part, None)
        if not isinstance(worker, Worker | AsyncWorker):
            raise click.UsageError(f"{target!r} is not a Worker or AsyncWorker")
        return worker
    found = {id(each): each for each in vars(module).values() if isinstance(each, BaseWorker)}
    if len(found) != 1:
        raise click.UsageError(
            f"module {name!r} has {len(found)} workers: name one, as in {name}:worker"
        )
    return next(iter(found.values()))


def _print_exception(error: Exception) -> None:
    """Print a traceback that begins in the module of the user."""
    trace = error.__traceback__
    while trace is not None and _is_of_importing(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    traceback.print_exception(error.with_traceback(trace))


def _is_of_importing(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


def _is_given(context: click.Context, name: str) -> bool:
    return any(
        each.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for each in (context, context.find_root())
    )


def _set_up_logging(session: Session) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if session.json else logging.Formatter(FORMAT))
    level = logging.DEBUG if session.debug else logging.INFO
    # The program's own handlers, if it has any, are as good.
    logging.basicConfig(level=level, handlers=[handler], force=session.debug)
    logging.getLogger("thoonk").setLevel(level)


@click.command(cls=Command)
@click.argument("target", metavar="MODULE:WORKER", required=False)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="How many jobs of each feed run at once, in threads or tasks of each process; with "
    "--shared, of all feeds together. Default: 8, or 1 thread with --processes.",
)
@click.option(
    "-p",
    "--processes",
    type=click.IntRange(0, 1000),
    metavar="N",
    help="The number of worker processes. Default: 0, which runs jobs in this process.",
)
@click.option(
    "--grace",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="How long running jobs get to end after SIGTERM or Ctrl-C before they are given back. "
    "Default: 30.",
)
@click.option(
    "--max-jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Replace a process after about this many jobs (with --processes).",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Let all feeds share the concurrency: a free thread or task runs a job of the first feed "
    "that has one.",
)
@click.option("--burst", is_flag=True, help="Exit when no jobs are left.")
@click.option(
    "feeds",
    "--feed",
    multiple=True,
    metavar="NAME",
    help="Only this feed; may be repeated. With --shared, name the most important feed first.",
)
@click.option(
    "--check",
    "mode",
    is_flag=False,
    flag_value=Mode.READY.value,
    type=click.Choice([mode.value for mode in Mode]),
    metavar="[ready|live]",
    help="Run no jobs; check whether a worker of this host is alive: exit code 0 if so, otherwise "
    "1. Leave out MODULE:WORKER; name feeds with --feed. With live, an unreachable server and a "
    "worker that is stopping count as alive.",
)
@click.option(
    "--within",
    type=Seconds(min=0),
    default=20.0,
    metavar="SECONDS",
    help="With --check: a worker must have reported within SECONDS. Default: 20.",
)
@click.option(
    "--timeout",
    type=Seconds(min=0, min_open=True),
    default=1.0,
    metavar="SECONDS",
    help="With --check: how long to wait for the server. Default: 1.",
)
@pass_session
@click.pass_context
def work(  # noqa: PLR0917 - click passes them by name
    context: click.Context,
    session: Session,
    target: str | None,
    concurrency: int | None,
    processes: int | None,
    grace: float | None,
    max_jobs: int | None,
    shared: bool,
    burst: bool,
    feeds: tuple[str, ...],
    mode: str | None,
    within: float,
    timeout: float,
) -> None:
    """Run a worker: do the jobs of the feeds that it has handlers for.

    MODULE:WORKER is images:worker for worker = Worker() in images.py, which may be in the
    current folder. The first SIGTERM or Ctrl-C lets running jobs end; the second gives them
    back at once.
    """
    if mode is not None:
        if target is not None:
            raise click.UsageError("--check takes no MODULE:WORKER; name feeds with --feed")
        health = check(session.url, feeds, Mode(mode), within=within, timeout=timeout)
        if session.json:
            write_json({"healthy": health.is_good, "message": health.message})
        else:
            click.echo(one_line(health.message), err=not health.is_good)
        raise SystemExit(Exit.OK if health.is_good else Exit.FAILED)
    if target is None:
        raise click.UsageError("Missing argument 'MODULE:WORKER'.")
    worker = load(target)
    if worker.backend is None or (_is_given(context, "backend") and _takes_url(worker)):
        worker.backend = session.url
    worker.concurrency = concurrency or worker.concurrency
    worker.processes = worker.processes if processes is None else processes
    worker.grace = worker.grace if grace is None else grace
    worker.max_jobs = max_jobs or worker.max_jobs
    worker.shared = worker.shared or shared
    _set_up_logging(session)
    code = worker.run(burst=burst, feeds=feeds or None)
    logging.shutdown()
    if code:
        # Jobs that were given back may still run in threads; do not wait for them.
        os._exit(code)


def _takes_url(worker: BaseWorker[Any]) -> bool:
    if isinstance(worker.backend, str):
        return True
    raise click.UsageError("--backend cannot be used: the worker has its own client")
