"""Commands about feeds as a whole: which there are, making and deleting, configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import click

from thoonk import FeedConfig, FeedDoesNotExist, FeedExists, WrongFeedType
from thoonk.cli.exit_codes import Exit
from thoonk.cli.output import print_table, terminal, to_terminal, write_json, write_line
from thoonk.cli.session import A_FEED, Command, Group, Session, as_name, name_argument, pass_session
from thoonk.config import FEED
from thoonk.operations import KINDS, ReadStats
from thoonk.raw_items import printable

KNOWN = [
    field.name
    for field in attrs.fields(FeedConfig)
    if field.name not in ("type", "paused", "extra")
]
FLAG_KEYS = ("events",)


def _read_settings(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """``KEY=VALUE`` arguments; what keys and values may be is checked by the library."""
    settings = {}
    for argument in value:
        key, separator, text = as_name(argument).partition("=")
        if not (key and separator):
            message = f"{argument!r} is not of the form KEY=VALUE"
            raise click.BadParameter(message, ctx, param)
        settings[key] = _FLAGS.get(text, text) if key in FLAG_KEYS else text
    return settings


_FLAGS = {"true": "1", "false": "0"}
"""How a flag is written here, as in JSON, and how it is stored."""

settings_argument = click.argument(
    "settings", nargs=-1, metavar="[KEY=VALUE]...", callback=_read_settings
)


def settings_of(config: FeedConfig) -> dict[str, Any]:
    """What is configured, but for the type."""
    return {key: value for key, value in config.items() if key != "type"}


def warn_of_unknown(keys: Iterable[str]) -> None:
    """Warn of each key that Thoonk does not know: perhaps it was mistyped."""
    for key in keys:
        if key not in (*KNOWN, "type"):
            known = ", ".join(KNOWN)
            click.echo(
                f"Note: {printable(key)!r} is not a setting of Thoonk; it is stored, but has no "
                f"effect. Settings: {known}",
                err=True,
            )


@click.command(cls=Command)
@click.option("--type", "wanted", metavar="TYPE", help="Only feeds of this type.")
@pass_session
def feeds(session: Session, wanted: str | None) -> None:
    """List the feeds there are.

    In a pipe: their names, one per line. With --json also their types and configurations.
    """
    names = sorted(session.client.get_feed_names())
    if not (session.json or to_terminal() or wanted is not None):
        for name in names:
            write_line(name)
        return
    found = [
        (name, config)
        for name, config in _configurations(session, names)
        if wanted in (None, config.type, config.kind)
    ]
    if session.json:
        for name, config in found:
            write_json({"feed": name, "type": config.type, "config": settings_of(config)})
    elif not to_terminal():
        for name, _ in found:
            write_line(name)
    else:
        _show(found)


def _configurations(session: Session, names: Iterable[str]) -> Iterator[tuple[str, FeedConfig]]:
    for name in names:
        try:
            yield name, session.client.get_config(name)
        except FeedDoesNotExist:
            continue  # deleted since, or a creation that is half done


def _show(found: Iterable[tuple[str, FeedConfig]]) -> None:
    rows = []
    for name, config in found:
        settings = settings_of(config)
        title = settings.pop("title", "")
        shown = " ".join(f"{key}={_as_text(value)}" for key, value in settings.items())
        rows.append([printable(cell) for cell in (name, config.type, title, shown)])
    if rows:
        print_table(["feed", "type", "title", "configuration"], rows, long="configuration")
    else:
        terminal().print("There are no feeds. Make one: thoonk create NAME", style="dim")


@click.command(cls=Command)
@name_argument
@settings_argument
@click.option(
    "--type", type=click.Choice(KINDS), default=FEED, show_default=True, help="What it is."
)
@click.option("--exist-ok", is_flag=True, help="Succeed if the feed exists and is of this type.")
@pass_session
def create(
    session: Session, name: str, settings: dict[str, str], type: str, exist_ok: bool
) -> None:
    """Create the feed NAME. Each KEY=VALUE is a setting.

    Example: thoonk create thumbnails --type job claim_timeout=60 max_failures=3
    """
    fields = {**settings, "type": type}
    warn_of_unknown(fields)
    try:
        session.client.create_feed(name, fields)
    except FeedExists:
        if not exist_ok:
            raise
        config = session.client.get_config(name)
        if config.kind != type:
            raise WrongFeedType(name, expected=type, actual=config.type) from None


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", **A_FEED)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. (Scripts are never asked.)")
@pass_session
def delete(session: Session, names: tuple[str, ...], yes: bool) -> None:
    """Delete feeds and everything in them."""
    missing = False
    for name in names:
        try:
            if yes or not sys.stdin.isatty() or _is_meant(session, name):
                session.client.delete_feed(name)
        except FeedDoesNotExist as error:
            click.echo(f"Error: {error}", err=True)
            missing = True
    if missing:
        sys.exit(Exit.MISSING)


def _is_meant(session: Session, name: str) -> bool:
    """Ask the user at the terminal."""
    items = session.client.backend.execute(ReadStats(name)).items
    return click.confirm(f"Delete {printable(name)!r} with {items} items?", err=True)


@click.group(cls=Group)
def config() -> None:
    """Show or change a feed's configuration."""


@config.command("get")
@name_argument
@click.argument("key", required=False)
@pass_session
def config_get(session: Session, name: str, key: str | None) -> None:
    """Print a feed's configuration, or the value of one KEY.

    Exit code 4 if KEY is not set.
    """
    fields = dict(session.client.get_config(name))
    if key is not None:
        if key not in fields:
            click.echo(f"Error: {key!r} is not set for feed {name!r}", err=True)
            sys.exit(Exit.MISSING)
        value = fields[key]
        write_json(value) if session.json else write_line(_as_text(value))
    elif session.json:
        write_json(fields)
    else:
        show = printable if to_terminal() else str
        for field, value in fields.items():
            write_line(show(f"{field}={_as_text(value)}"))


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@config.command("set")
@name_argument
@settings_argument
@click.option("--unset", multiple=True, metavar="KEY", help="Remove this setting.")
@pass_session
def config_set(
    session: Session, name: str, settings: dict[str, str], unset: tuple[str, ...]
) -> None:
    """Change or remove settings of a feed. A lower max_length trims the feed at once."""
    if not settings and not unset:
        raise click.UsageError("Give at least one KEY=VALUE or --unset KEY.")
    fields: dict[str, str | None] = {**settings, **dict.fromkeys(unset)}
    warn_of_unknown(settings)
    session.client.set_config(name, fields)
