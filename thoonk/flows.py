"""What the clients decide without I/O, the same for both worlds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, NamedTuple, TypeVar

import attrs

from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED, check_seconds
from thoonk.exceptions import (
    BackendError,
    BackendFull,
    BackendUnavailable,
    Empty,
    InvalidType,
    InvalidValue,
    ItemTooLarge,
    OutcomeUnknown,
    SerializerError,
    ThoonkError,
    UnsupportedOperation,
    WrongFeedType,
)
from thoonk.names import check_id, check_timeout, new_ids
from thoonk.notices import (
    EVENT_OF,
    AnyNotice,
    Configured,
    Edited,
    Finished,
    Gap,
    Moved,
    Notice,
    Published,
    Retracted,
)
from thoonk.operations import MOST, Batch, Completion, Entry, Priority, StoredResult
from thoonk.serializers import Serializer, decode_item, encode_item

T = TypeVar("T")
E = TypeVar("E")

CHUNK_BYTES = 1_000_000
"""Bytes of items that one operation of a bulk call has at most, unless one item has more."""

MOST_RESULTS = 400
"""So many results one operation of a bulk call stores at most: each is a key of its own."""

RECOVER_EVERY = 0.1
"""Seconds between two takes of a busy taker that look for what ran out."""

LONGEST_WAIT = 10.0
"""Seconds after which a blocked taker looks for itself, whatever it has heard."""


class JobResult(NamedTuple, Generic[T]):
    """What was asked of a job and what came of it.

    ``query`` is None when a peer finished the job and kept none.
    """

    query: T | None
    result: T | None


# --- items ------------------------------------------------------------------------------


@attrs.frozen
class Codec(Generic[T]):
    """A feed's serializer, with the feed's name for error messages."""

    feed: str
    serializer: Serializer[T]

    def encode(self, item: T) -> bytes:
        """Bytes for an item; raises `SerializerError` or `InvalidType`."""
        return encode_item(self.serializer, item, self.feed)

    def decode(self, data: bytes) -> T:
        """The item of bytes; raises `SerializerError`."""
        return decode_item(self.serializer, data, self.feed)

    def origin(self) -> Any:
        """What came with the item that was decoded last, where the serializer keeps that."""
        kept = getattr(self.serializer, "kept", None)
        return None if kept is None else kept()

    def hand_over(self, origin: Any) -> None:
        """The item that this came with is what its reader gets next."""
        if origin is not None:
            self.serializer.restore(origin)  # type: ignore[attr-defined]

    def working_on(self, origin: Any) -> AbstractContextManager[None]:
        """A block in which the item is worked on that this came with."""
        if origin is None:
            return nullcontext()
        within: AbstractContextManager[None] = self.serializer.working_on(origin)  # type: ignore[attr-defined]
        return within

    def entries(self, items: Iterable[T]) -> list[Entry]:
        """Items as they are published or put, under fresh ids."""
        encoded = [self.encode(item) for item in check_items(items)]
        return list(map(Entry, new_ids(len(encoded)), encoded))

    def entries_by_id(self, items: Mapping[str, T]) -> list[Entry]:
        """Items as they are published under ids of the caller's."""
        return [Entry(check_id(id), self.encode(item)) for id, item in items.items()]

    def completion(
        self, id: str, token: str, item: T | None, *, result: bool, timeout: float | None
    ) -> Completion:
        """How a job is finished, from the arguments of ``finish``."""
        if not isinstance(result, bool):
            # Programs of 1.x passed the result here; it would be lost.
            raise InvalidType(
                f"result must be True or False, the result is item; not {result!r:.80}"
            )
        keep = None if timeout is None else check_seconds("timeout", check_timeout(timeout) or 0)
        if item is None and not result:
            return Completion(id, token)
        data: bytes | None = None
        try:
            data = self.encode(item)  # type: ignore[arg-type]
        except (SerializerError, InvalidType):
            # None is a result, also where the serializer has no bytes for it.
            if item is not None:
                raise
        return Completion(id, token, has_result=True, result=data, timeout=keep)

    def result(self, stored: StoredResult) -> JobResult[T]:
        """The stored result of a job."""
        query = None if stored.query is None else self.decode(stored.query)
        result = None if stored.result is None else self.decode(stored.result)
        return JobResult(query, result)

    def notice(self, notice: Notice) -> AnyNotice[T]:
        """A backend's notice with its item decoded; raises `SerializerError`."""
        match notice:
            case Published(feed, id, item):
                return Published(feed, id, self.decode(item))
            case Edited(feed, id, item):
                return Edited(feed, id, self.decode(item))
            case Finished(feed, id, result):
                return Finished(feed, id, self.decode(result))
        return notice  # type: ignore[return-value]


# --- arguments ----------------------------------------------------------------------------


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
        InvalidType: a text, or bytes: their characters are hardly meant; or no iterable.
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


def chunked(
    entries: Iterable[E], size: Callable[[E], int], most: int = MOST
) -> Iterator[tuple[E, ...]]:
    """Cut what a bulk call has into what one operation may have; ``size`` is in bytes."""
    chunk: list[E] = []
    total = 0
    for entry in entries:
        total += size(entry)
        if chunk and (len(chunk) == most or total > CHUNK_BYTES):
            yield tuple(chunk)
            chunk, total = [], size(entry)
        chunk.append(entry)
    if chunk:
        yield tuple(chunk)


def entry_size(entry: Entry) -> int:
    """Bytes of an entry's item."""
    return len(entry.item)


def is_refusal(error: ThoonkError) -> bool:
    """Whether the backend refused an operation, and would again: nothing was done."""
    passing = (BackendUnavailable, BackendFull, OutcomeUnknown, UnsupportedOperation)
    return isinstance(error, BackendError | ItemTooLarge) and not isinstance(error, passing)


# --- waiting --------------------------------------------------------------------------------


class Deadline:
    """The end of a call's patience."""

    def __init__(self, timeout: float | None) -> None:
        """``timeout`` in seconds; None and 0: no end. Raises as `check_timeout`."""
        seconds = check_timeout(timeout)
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left, None when there is no end.

        Raises:
            Empty: none are left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise Empty("nothing came within the timeout")
        return left

    def next_wait(self, taken: Batch) -> float:
        """Seconds to wait after a take that found nothing.

        Raises:
            Empty: the time is over.
        """
        left = self.remaining()
        wait = LONGEST_WAIT if left is None else min(left, LONGEST_WAIT)
        if taken.retry_after is not None:
            # A little apart from each other, or all takers would look in the same instant.
            wait = min(wait, taken.retry_after + random.uniform(0.005, 0.1))  # noqa: S311
        return wait


class Throttle:
    """Which takes of one taker look for what ran out: one in a tenth of a second does."""

    def __init__(self) -> None:
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether the take that is made now is to be thorough."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + RECOVER_EVERY
        return True


# --- handlers -------------------------------------------------------------------------------

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
            f"no event {name!r:.80}; there are {', '.join(sorted(EVENTS))} and config:FEED"
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
        case Configured(feed):
            return f"config:{feed}", (feed,)
        case Gap(feed):
            return "gap", (feed or None,)
        case _:
            return EVENT_OF[type(notice)], (notice.feed,)
