"""Validate the arguments of feed methods before anything is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TypeVar

from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED
from thoonk.exceptions import InvalidType, InvalidValue, WrongFeedType
from thoonk.names import check_timeout
from thoonk.operations import Due, IfExists, JobState, Priority

T = TypeVar("T")


def check_priority(priority: object) -> Priority:
    """Return the `Priority` of a ``priority`` argument; None means NORMAL.

    Raises:
        InvalidType: the argument is neither a priority nor None.
    """
    if priority is None:
        return Priority.NORMAL
    if isinstance(priority, Priority | bool):
        # Some programs written for 1.x pass True or False.
        return Priority(priority)
    raise InvalidType(f"priority must be NORMAL, HIGH or None, not {priority!r:.80}")


def check_due(delay: object, at: object) -> Due | None:
    """Return when a job with these arguments is due; None means now.

    Raises:
        InvalidType: ``delay`` is not a number, or ``at`` is not a datetime.
        InvalidValue: both are given, ``delay`` is negative, or ``at`` has no time zone.
    """
    if delay is not None and at is not None:
        raise InvalidValue("pass either delay or at, not both")
    if at is not None:
        if not isinstance(at, dt.datetime):
            raise InvalidType(f"at must be a datetime, not {type(at).__name__}")
        if at.utcoffset() is None:
            raise InvalidValue(f"at must be a datetime with a time zone, not {at!r}")
        return Due(at=max(0.0, at.timestamp()))
    seconds = check_timeout(delay, "delay")
    return None if seconds is None else Due(delay=seconds)


def check_if_exists(if_exists: object) -> IfExists:
    """Return the `IfExists` of an ``if_exists`` argument.

    Raises:
        InvalidValue: the argument is not one of the three values.
    """
    try:
        return IfExists(if_exists)
    except ValueError:
        allowed = ", ".join(repr(choice.value) for choice in IfExists)
        raise InvalidValue(f"if_exists must be one of {allowed}, not {if_exists!r:.80}") from None


def check_unique_for(unique_for: object, *, has_id: bool) -> float:
    """Return the seconds of a ``unique_for`` argument; None means 0.

    Raises:
        InvalidType, InvalidValue: the argument is not a duration, or no id is given.
    """
    seconds = check_timeout(unique_for, "unique_for")
    if seconds is not None and not has_id:
        raise InvalidValue("unique_for needs an id: pass one")
    return seconds or 0.0


def check_state(state: object) -> JobState:
    """Return the `JobState` of a ``state`` argument; FINISHED is not allowed.

    Raises:
        InvalidValue: there is no such state.
    """
    try:
        found = JobState(state)
    except ValueError:
        found = JobState.FINISHED
    if found is JobState.FINISHED:
        allowed = ", ".join(repr(s.value) for s in JobState if s is not found)
        raise InvalidValue(f"state must be one of {allowed}, not {state!r:.80}")
    return found


def check_kind(feed: str, stored: str | None, wanted: str, *, type: str) -> None:
    """Raise `WrongFeedType` unless the stored type is ``type`` or of the wanted kind."""
    if stored is not None and stored != type and KIND_OF_TYPE.get(stored) != wanted:
        raise WrongFeedType(feed, expected=type, actual=stored)


def check_type(type: str, registered: Iterable[str]) -> str:
    """Return the type for a new feed if it is known.

    Raises:
        InvalidValue: the type is neither built in nor registered.
    """
    known = {FEED, SORTED_FEED, QUEUE, JOB, *KIND_OF_TYPE, *registered}
    if type not in known:
        raise InvalidValue(f"type must be one of {', '.join(sorted(known))}, not {type!r:.80}")
    return type


def check_many(elements: Iterable[T], what: str) -> list[T]:
    """Return the elements of an argument that takes several values.

    Raises:
        InvalidType: the argument is not iterable, or is text or bytes, whose characters are
            rarely meant as elements.
    """
    if isinstance(elements, str | bytes | bytearray) or not isinstance(elements, Iterable):
        raise InvalidType(f"{what} must be an iterable such as a list, not {elements!r:.80}")
    return list(elements)


def check_items(items: Iterable[T]) -> list[T]:
    """Return the items of an argument, as `check_many` does, but reject mappings.

    Raises:
        InvalidType: as for `check_many`; or the argument is a mapping, whose values would
            be lost.
    """
    if isinstance(items, Mapping):
        raise InvalidType("items must be an iterable such as a list, not a mapping")
    return check_many(items, "items")


def check_range(start: object, stop: object, *, reverse: object, ordered: bool) -> int | None:
    """Return the largest number of ids that a range can have; None if it has no end.

    Raises:
        InvalidType: a bound is not an int, or ``reverse`` is not a bool.
        InvalidValue: a bound is negative, or the feed is unordered and a range was given.
    """
    for name, bound in (("start", start), ("stop", stop)):
        if isinstance(bound, bool) or not isinstance(bound, int | None):
            raise InvalidType(f"{name} must be an int, not {type(bound).__name__}")
        if bound is not None and bound < 0:
            raise InvalidValue(f"{name} must be 0 or more, not {bound}")
    if not isinstance(reverse, bool):
        raise InvalidType(f"reverse must be True or False, not {type(reverse).__name__}")
    if not ordered and (start or stop is not None or reverse):
        raise InvalidValue("a job feed is unordered: start, stop and reverse are not allowed")
    if not isinstance(start, int):
        raise InvalidType("start must be an int, not NoneType")
    return None if not isinstance(stop, int) else max(0, stop - start)
