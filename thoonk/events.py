"""Events: the names under which handlers are registered, and what handlers are called with."""

from __future__ import annotations

from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.notices import (
    EVENT_OF,
    Configured,
    Edited,
    Finished,
    Gap,
    JobEvent,
    Moved,
    Notice,
    Progressed,
    Published,
    Retracted,
    Scheduled,
)

EVENTS = frozenset(EVENT_OF.values()) - {"config"}


def event_of(name: object) -> str:
    """The event that a handler's name means: ``publish_notice`` is ``publish``.

    Raises:
        InvalidType: not text.
        InvalidValue: there is no such event.
    """
    if not isinstance(name, str):
        raise InvalidType(f"an event is a str, not {type(name).__name__}")
    event = name if name.startswith("config:") else name.removesuffix("_notice")
    if event not in EVENTS and not (event.startswith("config:") and event != "config:"):
        raise InvalidValue(
            f"unknown event {name!r:.80}; known: {', '.join(sorted(EVENTS))} and config:FEED"
        )
    return event


def event_and_arguments(notice: Notice) -> tuple[str, tuple[object, ...]]:
    """The event of a notice and what its handlers are called with."""
    match notice:
        case Published(feed, id, item) | Edited(feed, id, item):
            return EVENT_OF[type(notice)], (feed, item, id)
        case Finished(feed, id, result):
            return "finish", (feed, id, result)
        case Moved(feed, id, position):
            return "position", (feed, id, position)
        case Retracted(feed, id):
            return "retract", (feed, id)
        case Scheduled(feed, id, due):
            return "schedule", (feed, id, due)
        case Progressed(feed, id, fraction, text):
            return "progress", (feed, id, fraction, text)
        case JobEvent(feed, id):
            return EVENT_OF[type(notice)], (feed, id)
        case Configured(feed):
            return f"config:{feed}", (feed,)
        case Gap(feed):
            return "gap", (feed or None,)
        case _:
            return EVENT_OF[type(notice)], (notice.feed,)
