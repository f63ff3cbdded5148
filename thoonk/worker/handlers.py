"""Handlers: which function does the jobs of which feed, and how."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

import attrs

from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import check_name
from thoonk.operations import check_count
from thoonk.partitions import partition_names
from thoonk.serializers import Serializer
from thoonk.worker.values import check_seconds

MOST_DOUBLINGS = 30


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives something to await; also for objects and partials."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - its method is what is looked at
    )


def _seconds(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        check_seconds(attribute.name, value)


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not check_seconds(attribute.name, value):
        raise InvalidValue(f"{attribute.name} must be more than 0 seconds; None means none")


def _count(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        check_count(attribute.name, value)


def _retries(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{attribute.name} must be an int, not {type(value).__name__}")
    if value < 0:
        raise InvalidValue(f"{attribute.name} must be 0 or more, not {value}")


def _flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidType(f"{attribute.name} must be True or False, not {type(value).__name__}")


@attrs.frozen
class Handler:
    """A function that does the jobs of one feed. `Worker.handle` describes the options."""

    feed: str
    function: Callable[..., Any]
    wants_claim: bool
    serializer: Serializer[Any] | str | None = None
    partitions: int | None = attrs.field(default=None, validator=_count)
    family: str | None = None
    concurrency: int | None = attrs.field(default=None, validator=_count)
    weight: int | None = attrs.field(default=None, validator=_count)
    prefetch: int | None = attrs.field(default=None, validator=_count)
    retries: int | None = attrs.field(default=None, validator=_retries)
    backoff: float = attrs.field(default=1.0, validator=_seconds)
    max_backoff: float = attrs.field(default=300.0, validator=_seconds)
    time_limit: float | None = attrs.field(default=None, validator=_positive)
    claim_timeout: float | None = attrs.field(default=None, validator=_seconds)
    heartbeat: bool = attrs.field(default=True, validator=_flag)
    result: bool | None = attrs.field(default=None, validator=_flag)
    result_timeout: float | None = attrs.field(default=None, validator=_seconds)
    store_traceback: bool = attrs.field(default=True, validator=_flag)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be had together."""
        if not self.heartbeat and (self.prefetch or 1) > 1:
            raise InvalidValue("without a heartbeat nothing is prefetched: jobs would be lost")

    def of_each_partition(self) -> list[Handler]:
        """This one, or one for each partition of its feed; their ``family`` is its name then."""
        if self.partitions is None:
            return [self]
        names = partition_names(self.feed, self.partitions)
        return [attrs.evolve(self, feed=name, family=self.feed) for name in names]

    def call(self, claim: Any) -> Any:
        """What the function returns for the claim's item."""
        if self.wants_claim:
            return self.function(claim.item, claim=claim)
        return self.function(claim.item)

    def delay(self, attempt: int) -> float:
        """Seconds from the failure of that attempt (the first is 1) to the next one.

        Doubled each time; up to a half is taken off at random, so that jobs that failed
        together do not come back together.
        """
        most = min(self.backoff * 2.0 ** min(attempt - 1, MOST_DOUBLINGS), self.max_backoff)
        return most * random.uniform(0.5, 1)  # noqa: S311 - no secret


def make_handler(
    feed: str, function: Callable[..., Any], *, asynchronous: bool, **options: Any
) -> Handler:
    """Check what a user wants to have as a handler.

    Raises:
        InvalidType: not callable with an item, or of the other kind of worker.
        InvalidValue: an option is not allowed, or there is no such option.
    """
    check_name(feed, "feed name")
    if not callable(function):
        raise InvalidType(f"a handler must be callable, not {type(function).__name__}")
    if is_coroutine_function(function) != asynchronous:
        raise InvalidType(
            f"AsyncWorker needs a coroutine function, not {function!r:.80}: use Worker"
            if asynchronous
            else f"{function!r:.80} is a coroutine function: use AsyncWorker"
        )
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):  # some of what is written in C
        wants_claim = False
    else:
        wants_claim = "claim" in parameters
        try:
            inspect.signature(function).bind(None, **({"claim": None} if wants_claim else {}))
        except TypeError as error:
            raise InvalidType(
                f"a handler must accept an item, or an item and a claim; "
                f"{function!r:.80} does not: {error}"
            ) from None
    known = {field.name for field in attrs.fields(Handler)} - {
        *("feed", "function", "wants_claim", "family")
    }
    unknown = options.keys() - known
    if unknown:
        raise InvalidValue(
            f"unknown option {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    handler = Handler(feed, function, wants_claim, **options)
    handler.of_each_partition()  # refuses a name that cannot be partitioned
    return handler
