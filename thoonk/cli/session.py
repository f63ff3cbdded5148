"""What all commands share: their common options, the client, and how they find a feed."""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED, FeedConfig
from thoonk.exceptions import ThoonkError, WrongFeedType
from thoonk.names import check_name

if TYPE_CHECKING:
    from thoonk import Thoonk

DEFAULT_URL = "redis://localhost:6379/0"
MEMORY_NOTE = "Note: the memory backend starts empty, and is lost when this command ends"

CONNECT_WITHIN = 0.5
"""Seconds to wait for a connection when a user has pressed Tab, or looks at a live table."""

COMPLETE_WITHIN = 2.0
"""Seconds that a shell waits at most for the names that it offers."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Session:
    """One run of the command line.

    Attributes:
        url: where the feeds are.
        json: whether to print JSON.
        debug: whether to show tracebacks.
        is_patient: whether calls wait for a backend that is away for a while.
    """

    def __init__(self) -> None:
        self.url = os.environ.get("THOONK_URL") or DEFAULT_URL
        self.json = False
        self.debug = False
        self.is_patient = True
        self._client: Thoonk | None = None

    @property
    def client(self) -> Thoonk:
        """The client, made when it is first needed and closed at the end of the command."""
        if self._client is None:
            self._client = _open(self.url, None if self.is_patient else CONNECT_WITHIN)
            click.get_current_context().find_root().call_on_close(self._client.close)
            if self.url.partition(":")[0] == "memory":
                click.echo(MEMORY_NOTE, err=True)
        return self._client

    def open(self, name: str, *kinds: str) -> tuple[Any, FeedConfig]:
        """The feed of that name, which is there and is of one of these kinds, and its config.

        Its items are bytes, whatever its serializer. Nothing is created.

        Raises:
            FeedDoesNotExist: there is none of that name.
            WrongFeedType: it is of another kind.
        """
        from thoonk import BINARY, Feed, Job, Queue, SortedFeed

        classes = {FEED: Feed, SORTED_FEED: SortedFeed, QUEUE: Queue, JOB: Job}
        config = self.client.get_config(name)
        if config.kind is None or config.kind not in (kinds or classes):
            raise WrongFeedType(name, expected=" or ".join(kinds), actual=config.type)
        return classes[config.kind](name, self.client.backend, BINARY), config


def _open(
    url: str, connect_within: float | None = None, answer_within: float | None = None
) -> Thoonk:
    """A client; with ``connect_within``, one that soon says that there is no server."""
    # Slow to import, and not needed for help.
    from thoonk import Thoonk
    from thoonk.backends import impatient

    if connect_within is None:
        return Thoonk(backend=url)
    return Thoonk(backend=url, **impatient(url, connect_within, answer_within))


pass_session = click.make_pass_decorator(Session, ensure=True)


# --- options and arguments of several commands ----------------------------------------------


def _set(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_it(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        session = ctx.ensure_object(Session)
        # An option that is not given here keeps the value given before the command.
        if value:
            setattr(session, attribute, value)
            if attribute == "debug":
                logging.basicConfig(level=logging.DEBUG)

    return set_it


def _option(name: str, **attributes: Any) -> click.Option:
    return click.Option(
        [f"--{name}"], expose_value=False, callback=_set(attributes.pop("to", name)), **attributes
    )


def common_params() -> list[click.Parameter]:
    """The options that every command has."""
    return [
        _option(
            "backend",
            to="url",
            metavar="URL",
            help=f"The backend with the feeds. Default: THOONK_URL, or {DEFAULT_URL}.",
        ),
        _option("json", is_flag=True, help="Print JSON, one value per line."),
        _option("debug", is_flag=True, help="Show tracebacks and debug logs."),
    ]


def common_options(function: Function) -> Function:
    """Decorate the group with the options that every command has."""
    params = getattr(function, "__click_params__", [])
    function.__click_params__ = [*reversed(common_params()), *params]  # type: ignore[attr-defined]
    return function


class Seconds(click.FloatRange):
    """A duration in seconds; a finite number."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; fails when it is not in the range, infinite or not a number."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a finite number of seconds.", param, ctx)
        return seconds


class Command(click.Command):
    """A command, with the options that every command has after its own."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += common_params()


class Group(click.Group):
    """A command that has commands of its own."""

    command_class = Command

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += common_params()


def as_name(argument: str) -> str:
    """A name or id as the library has it, whatever encoding the locale says arguments have."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _checked(what: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def check(_: click.Context, __: click.Parameter, value: Any) -> Any:
        if isinstance(value, str):
            return check_name(as_name(value), what)
        if isinstance(value, tuple):
            return tuple(check_name(as_name(each), what) for each in value)
        return value

    return check


def complete_name(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of feeds, for a shell. None when the server cannot say."""
    url = ctx.ensure_object(Session).url
    try:
        with _open(url, CONNECT_WITHIN, COMPLETE_WITHIN) as client:
            names = sorted(client.get_feed_names())
    except ThoonkError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


A_FEED: dict[str, Any] = {"callback": _checked("feed name"), "shell_complete": complete_name}
"""How an argument or option that names a feed is made."""

AN_ID: dict[str, Any] = {"callback": _checked("item id")}
"""How an argument or option that is an id is made."""


def complete_schedule(
    ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of schedules of the feed, for a shell. None when the server cannot say."""
    from thoonk.operations import ReadSchedules

    feed, url = ctx.params.get("name"), ctx.ensure_object(Session).url
    if not isinstance(feed, str):
        return []
    try:
        with _open(url, CONNECT_WITHIN, COMPLETE_WITHIN) as client:
            found = client.backend.execute(ReadSchedules(feed))
    except ThoonkError:
        return []
    names = sorted(status.schedule.name for status in found)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


A_SCHEDULE: dict[str, Any] = {
    "callback": _checked("schedule name"),
    "shell_complete": complete_schedule,
}
"""How an argument that names a schedule is made."""

name_argument = click.argument("name", **A_FEED)
names_argument = click.argument("names", nargs=-1, metavar="[NAME]...", **A_FEED)
id_argument = click.argument("id", **AN_ID)
any_ids_argument = click.argument("ids", nargs=-1, metavar="[ID...]", **AN_ID)
ids_argument = click.argument("ids", nargs=-1, required=True, metavar="ID...", **AN_ID)

timeout_option = click.option(
    "--timeout",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    help="Wait at most this long; exit code 3 if nothing came. Default: forever.",
)
no_wait_option = click.option(
    "--no-wait", is_flag=True, help="Do not wait; exit code 3 if there is nothing."
)

delay_option = click.option(
    "--delay", type=Seconds(min=0), metavar="SECONDS", help="Start no earlier than in SECONDS."
)


def _read_time(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """A time as ISO 8601 has it, with its zone: the server may be in another one."""
    if value is None or ctx.resilient_parsing:
        return value
    try:
        time = dt.datetime.fromisoformat(value)
    except ValueError:
        message = f"{value!r} is not a time such as 2030-12-24T18:00:00+01:00."
        raise click.BadParameter(message, ctx, param) from None
    if time.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone, such as Z or +01:00.", ctx, param)
    return time


at_option = click.option(
    "--at",
    callback=_read_time,
    metavar="TIME",
    help="Start no earlier than at TIME: ISO 8601 with a zone, such as 2030-12-24T18:00Z.",
)


def check_one_time(delay: float | None, at: dt.datetime | None) -> None:
    """Refuse --delay and --at together."""
    if delay is not None and at is not None:
        raise click.UsageError("Give --delay or --at, not both.")
