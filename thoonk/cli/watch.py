"""The command ``watch``: notices as they arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import click

from thoonk import FeedDoesNotExist
from thoonk.cli.output import item_fields, readable, terminal, to_terminal, write_json, write_line
from thoonk.cli.session import Command, Session, names_argument, pass_session, timeout_option
from thoonk.notices import (
    EVENT_OF,
    Configured,
    Created,
    Deleted,
    Edited,
    Finished,
    Gap,
    Marker,
    Moved,
    Notice,
    Progressed,
    Published,
    Scheduled,
)
from thoonk.raw_items import printable
from thoonk.waiting import Deadline

COLOURS = {
    "publish": "green",
    "edit": "yellow",
    "retract": "red",
    "delete": "red",
    "stall": "red",
    "gap": "bold red",
}
GAP = "the connection was lost for a while: notices may have been missed"


@click.command(cls=Command)
@names_argument
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Exit after N notices.")
@timeout_option
@pass_session
def watch(
    session: Session, names: tuple[str, ...], count: int | None, timeout: float | None
) -> None:
    """Print notices as they arrive, of the feeds named, or of all.

    Each line has the time, the event, the feed, the id, and the item or other details; with
    --json they are fields. The feeds need not exist yet. To see every step of the jobs of a
    feed: thoonk config set NAME events=true. After a lost connection, the event gap warns that
    notices may have been missed.
    """
    one = names[0] if len(names) == 1 else None
    subscription = session.client.backend.listen(one)
    serializer_of = _Serializers(session)
    show = _as_json if session.json else _to_terminal() if to_terminal() else _as_line
    if to_terminal() and not session.json:
        what = ", ".join(map(printable, names)) or "all feeds"
        click.secho(f"Watching {what}. Press Ctrl-C to stop.", err=True, dim=True)
    deadline = Deadline(timeout)
    seen = 0
    try:
        while seen != count:
            notice = subscription.get(deadline.remaining())
            serializer_of.hear(notice)
            if isinstance(notice, Marker) or not (
                not names or notice.feed in names or isinstance(notice, Gap)
            ):
                continue
            seen += 1
            show(notice, serializer_of)
            deadline = Deadline(timeout)
    finally:
        subscription.close()


class _Serializers:
    """What feeds are configured to hold, looked up when it is first needed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str | None] = {}

    def hear(self, notice: Notice) -> None:
        """Forget what may have changed."""
        if isinstance(notice, Gap):
            self._known.clear()
        elif isinstance(notice, Configured | Created | Deleted):
            self._known.pop(notice.feed, None)

    def __call__(self, feed: str) -> str | None:
        if feed not in self._known:
            try:
                self._known[feed] = self._session.client.get_config(feed).serializer
            except FeedDoesNotExist:
                return None
        return self._known[feed]


def _item_of(notice: Notice) -> bytes | None:
    match notice:
        case Published(_, _, item) | Edited(_, _, item) | Finished(_, _, item):
            return bytes(item)
    return None


def _details(notice: Notice) -> dict[str, str | float]:
    """What else a notice says, but for its item, under the names that job show has for it."""
    match notice:
        case Moved(_, _, position):
            return {"position": position}
        case Scheduled(_, _, due):
            return {"due": datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")}
        case Progressed(_, _, fraction, text):
            return {"progress": fraction, "doing": text}
    return {}


def _as_json(notice: Notice, _: _Serializers) -> None:
    item = _item_of(notice)
    name = "result" if isinstance(notice, Finished) else "item"
    write_json(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": EVENT_OF[type(notice)],
            "feed": notice.feed or None,
            **({"id": notice.id} if hasattr(notice, "id") else {}),
            **_details(notice),
            **(item_fields(item, name) if item is not None else {}),
        }
    )


def _words(notice: Notice, serializer_of: _Serializers) -> list[str]:
    """Event, feed, id and what else the notice says."""
    event = EVENT_OF[type(notice)]
    if isinstance(notice, Gap):
        return [event, printable(notice.feed) or "*", "", GAP]
    item = _item_of(notice)
    rest = ""
    if item is not None:
        rest = readable(item, serializer_of(notice.feed))
    elif isinstance(notice, Progressed):
        rest = printable(f"{notice.fraction:.0%} {notice.text}".rstrip())
    else:
        rest = " ".join(printable(str(detail)) for detail in _details(notice).values())
    return [event, printable(notice.feed), printable(getattr(notice, "id", "")), rest]


def _now() -> str:
    return time.strftime("%H:%M:%S")


def _as_line(notice: Notice, serializer_of: _Serializers) -> None:
    write_line("\t".join([_now(), *_words(notice, serializer_of)]).rstrip("\t"))


def _to_terminal() -> Callable[[Notice, _Serializers], None]:
    from rich.text import Text

    console = terminal()

    def show(notice: Notice, serializer_of: _Serializers) -> None:
        event, feed, id, rest = _words(notice, serializer_of)
        console.print(
            Text.assemble(
                (_now(), "dim"),
                " ",
                (f"{event:9}", COLOURS.get(event, "cyan")),
                (feed, "bold"),
                " ",
                (id, "dim"),
                " " if id else "",
                rest,
            ),
            soft_wrap=True,
        )

    return show
