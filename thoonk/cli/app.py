"""The command ``thoonk`` and its table of commands.

A command is imported only when it is called. So ``thoonk --help`` is quick, and only users of a
command need the packages that it needs beyond the extra ``cli``.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

import thoonk
from thoonk.cli.exit_codes import Exit, exit_of
from thoonk.cli.output import one_line
from thoonk.cli.session import Session, common_options
from thoonk.exceptions import ThoonkError
from thoonk.extras import how_to_install

Section = Mapping[str, tuple[str, str]]
"""Commands by name: where each is found (module:attribute), and what it does, in a few words."""

# This is the only list of commands; it includes those of other packages.
SECTIONS: Mapping[str, Section] = {
    "Feeds": {
        "feeds": ("thoonk.cli.feeds:feeds", "List feeds."),
        "create": ("thoonk.cli.feeds:create", "Create a feed of any type."),
        "delete": ("thoonk.cli.feeds:delete", "Delete feeds and everything in them."),
        "config": ("thoonk.cli.feeds:config", "Show or change a feed's configuration."),
    },
    "Items": {
        "publish": ("thoonk.cli.items:publish", "Publish items to a feed or sorted feed."),
        "edit": ("thoonk.cli.items:edit", "Replace an item."),
        "retract": ("thoonk.cli.items:retract", "Remove items."),
        "move": ("thoonk.cli.items:move", "Move an item of a sorted feed."),
        "item": ("thoonk.cli.items:item", "Print one item."),
        "items": ("thoonk.cli.items:items", "Print all items."),
        "ids": ("thoonk.cli.items:ids", "Print all ids."),
    },
    "Queues and jobs": {
        "put": ("thoonk.cli.queues:put", "Put items into a queue."),
        "get": ("thoonk.cli.queues:get", "Get the next item of a queue."),
        "job": ("thoonk.cli.jobs:job", "Put, claim and finish jobs; read results."),
        "pause": ("thoonk.cli.queues:pause", "Pause queues or job feeds."),
        "resume": ("thoonk.cli.queues:resume", "Resume paused queues or job feeds."),
        "purge": ("thoonk.cli.queues:purge", "Remove all items of a queue, or all jobs."),
        "work": ("thoonk.worker.cli:work", "Run a worker of your program."),
    },
    "Operations": {
        "watch": ("thoonk.cli.watch:watch", "Print notices as they arrive."),
        "top": ("thoonk.cli.stats:top", "Show how full and how busy feeds are, live."),
        "web": ("thoonk.cli.web:web", "Serve a web page that shows feeds and jobs, live."),
        "stats": ("thoonk.cli.stats:stats", "Print the numbers of top once, also for scripts."),
        "workers": ("thoonk.cli.workers:workers", "List live workers."),
        "metrics": ("thoonk.cli.metrics:metrics", "Serve metrics of feeds for Prometheus."),
        "doctor": ("thoonk.doctor.command:doctor", "Find faults on a server, and repair them."),
        "maintenance": ("thoonk.cli.jobs:maintenance", "Repair what dead workers left behind."),
        "export": ("thoonk.cli.transfer:export_feed", "Write a feed to a file."),
        "import": ("thoonk.cli.transfer:import_feed", "Read a feed from a file."),
        "copy": ("thoonk.cli.copying:copy", "Copy or move feeds to another backend."),
        "completion": (
            "thoonk.cli.completion:completion",
            "Print a completion script for a shell.",
        ),
    },
    "Programs in other languages": {
        "conform": ("thoonk.conform.cli:conform", "Test a peer against the contract."),
    },
}


class App(click.Group):
    """A group that loads its commands by name and turns errors into exit codes."""

    def __init__(self, sections: Mapping[str, Section], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]
        self._sections = sections
        self._table = {name: row for rows in sections.values() for name, row in rows.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the table."""
        return [*self._table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name; None when there is none."""
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, by section, without importing anything."""
        width = max(map(len, self._table))
        for title, rows in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), help) for name, (_, help) in rows.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and options, without importing anything."""
        names = [
            CompletionItem(name, help=help)
            for name, (_, help) in self._table.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn every error into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except ThoonkError as error:
            _tell(ctx, one_line(error))
            sys.exit(exit_of(error))
        except (KeyboardInterrupt, click.Abort):
            # The terminal has written ^C on the line.
            click.echo(err=True)
            sys.exit(Exit.INTERRUPTED)
        except BrokenPipeError:
            # The program that reads our output has stopped.
            _drop_output()
            sys.exit(Exit.BROKEN_PIPE)
        except OSError as error:  # a full disk, a file that may not be written
            _tell(ctx, one_line(error))
            _drop_output()
            sys.exit(Exit.FAILED)
        except ImportError as error:
            _tell(ctx, f"packages are missing ({one_line(error)}): {how_to_install('cli')}")
            sys.exit(Exit.FAILED)


def _drop_output() -> None:
    """Drop what is left in the buffer and cannot be written.

    Otherwise Python tries again when it exits, and then sets an exit code of its own.
    """
    if sys.__stdout__ is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(ctx: click.Context, message: str) -> None:
    """Print what went wrong; with ``--debug`` also the traceback."""
    if ctx.ensure_object(Session).debug:
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)


@click.group(
    cls=App,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="For details of a command: thoonk COMMAND --help",
)
@click.version_option(thoonk.__version__, prog_name="thoonk")
@common_options
def app() -> None:
    """Feeds, queues and jobs, from a shell.

    The options above apply to all commands. Put them before or after the command.
    """
