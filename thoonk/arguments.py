"""Checks of what users pass to feeds, before anything is sent."""

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
    """`Priority` of a ``priority`` argument; None is NORMAL.

    Raises:
        InvalidType: neither.
    """
    if priority is None:
        return Priority.NORMAL
    if isinstance(priority, Priority | bool):
        # True and False are what some programs of 1.x pass.
        return Priority(priority)
    raise InvalidType(f"priority must be NORMAL, HIGH or None, not {priority!r:.80}")


def check_due(delay: object, at: object) -> Due | None:
    """When a job is due that is put with these arguments; None: now.

    Raises:
        InvalidType: a delay that is no number, or a time that is no datetime.
        InvalidValue: both, a negative delay, or a datetime without time zone.
    """
    if delay is not None and at is not None:
        raise InvalidValue("a job is put with a delay or for a time (at), not both")
    if at is not None:
        if not isinstance(at, dt.datetime):
            raise InvalidType(f"at must be a datetime, not {type(at).__name__}")
        if at.utcoffset() is None:
            raise InvalidValue(f"at must have a time zone, which {at!r} has not")
        return Due(at=max(0.0, at.timestamp()))
    seconds = check_timeout(delay, "delay")
    return None if seconds is None else Due(delay=seconds)


def check_if_exists(if_exists: object) -> IfExists:
    """`IfExists` of an ``if_exists`` argument.

    Raises:
        InvalidValue: none of the three.
    """
    try:
        return IfExists(if_exists)
    except ValueError:
        allowed = ", ".join(repr(choice.value) for choice in IfExists)
        raise InvalidValue(f"if_exists must be {allowed}, not {if_exists!r:.80}") from None


def check_unique_for(unique_for: object, *, has_id: bool) -> float:
    """Seconds of a ``unique_for`` argument; None is 0.

    Raises:
        InvalidType, InvalidValue: it is no duration, or no id is given that it could be of.
    """
    seconds = check_timeout(unique_for, "unique_for")
    if seconds is not None and not has_id:
        raise InvalidValue("unique_for is for ids of your own, and none is given")
    return seconds or 0.0


def check_state(state: object) -> JobState:
    """`JobState` of a ``state`` argument, of jobs that are not finished.

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
    """Raise `WrongFeedType` unless the stored type means the wanted kind (or is ``type``)."""
    if stored is not None and stored != type and KIND_OF_TYPE.get(stored) != wanted:
        raise WrongFeedType(feed, expected=type, actual=stored)


def check_type(type: str, registered: Iterable[str]) -> str:
    """Return the type of a feed to be created when it is known.

    Raises:
        InvalidValue: it is neither built in nor registered.
    """
    known = {FEED, SORTED_FEED, QUEUE, JOB, *KIND_OF_TYPE, *registered}
    if type not in known:
        raise InvalidValue(f"type must be one of {', '.join(sorted(known))}, not {type!r:.80}")
    return type


def check_many(elements: Iterable[T], what: str) -> list[T]:
    """The elements of an argument that takes several.

    Raises:
        InvalidType: a text, or bytes: their characters are rarely meant; or no iterable.
    """
    if isinstance(elements, str | bytes | bytearray) or not isinstance(elements, Iterable):
        raise InvalidType(f"{what} must be an iterable such as a list, not {elements!r:.80}")
    return list(elements)


def check_items(items: Iterable[T]) -> list[T]:
    """The items of an argument that takes several; as `check_many`, but no mapping either.

    Raises:
        InvalidType: a mapping: its keys would be taken, and its values lost.
    """
    if isinstance(items, Mapping):
        raise InvalidType("items must be an iterable such as a list, not a mapping")
    return check_many(items, "items")


def check_range(start: object, stop: object, *, reverse: object, ordered: bool) -> int | None:
    """How many ids a range has at most, None when it has no end.

    Raises:
        InvalidType: a bound is not an int, or ``reverse`` no bool.
        InvalidValue: it is negative, or the feed has no order and all is not asked for.
    """
    for name, bound in (("start", start), ("stop", stop)):
        if isinstance(bound, bool) or not isinstance(bound, int | None):
            raise InvalidType(f"{name} must be an int, not {type(bound).__name__}")
        if bound is not None and bound < 0:
            raise InvalidValue(f"{name} must be 0 or more, not {bound}")
    if not isinstance(reverse, bool):
        raise InvalidType(f"reverse must be True or False, not {type(reverse).__name__}")
    if not ordered and (start or stop is not None or reverse):
        raise InvalidValue("the ids of a job feed are in no order: no start, stop or reverse")
    if not isinstance(start, int):
        raise InvalidType("start must be an int, not NoneType")
    return None if not isinstance(stop, int) else max(0, stop - start)
