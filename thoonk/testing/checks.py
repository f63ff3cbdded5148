"""What tests of programs look for, for both kinds of clients."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, overload
from unittest.mock import ANY

from thoonk import (
    AsyncCollection,
    AsyncFeed,
    AsyncJob,
    AsyncQueue,
    AsyncSortedFeed,
    Feed,
    Job,
    Queue,
    SortedFeed,
)
from thoonk.testing._async import checks as async_checks
from thoonk.testing._sync import checks as sync_checks
from thoonk.testing.wanted import Wanted

T = TypeVar("T")

PROMPTLY = 8.0
"""Seconds within which a blocked consumer has to wake: less than `thoonk.waiting.LONGEST_WAIT`,
after which it looks by itself, and enough for a busy machine, which may do nothing for some."""


@overload
def drain(feed: Queue[T] | Job[T]) -> list[T]: ...
@overload
def drain(feed: AsyncQueue[T] | AsyncJob[T]) -> Coroutine[Any, Any, list[T]]: ...
def drain(feed: Any) -> Any:
    """Take all that waits in a queue or job feed; jobs are finished, without a result.

    Args:
        feed: for a feed of `AsyncThoonk` the answer has to be awaited.

    Returns:
        The items in the order in which they were taken.
    """
    if isinstance(feed, AsyncCollection):
        return async_checks.drain(feed)  # type: ignore[arg-type]
    return sync_checks.drain(feed)


@overload
def assert_published(
    feed: Feed[Any] | SortedFeed[Any],
    item: object = ...,
    *,
    id: str | None = ...,
    timeout: float = ...,
) -> str: ...
@overload
def assert_published(
    feed: AsyncFeed[Any] | AsyncSortedFeed[Any],
    item: object = ...,
    *,
    id: str | None = ...,
    timeout: float = ...,
) -> Coroutine[Any, Any, str]: ...
def assert_published(
    feed: Any, item: object = ANY, *, id: str | None = None, timeout: float = 0.0
) -> Any:
    """Assert that an item is in a feed or sorted feed, or comes in time.

    Args:
        feed: for a feed of `AsyncThoonk` the answer has to be awaited.
        item: what it has to be equal to; `unittest.mock.ANY`: whatever.
        id: the id that it has to have; None: whichever.
        timeout: seconds to wait for it; 0: it has to be there.

    Returns:
        The item's id.

    Raises:
        AssertionError: it is not there, with what is.
    """
    __tracebackhide__ = True
    wanted = Wanted(item, id, timeout)
    if isinstance(feed, AsyncCollection):
        return async_checks.assert_published(feed, wanted)
    return sync_checks.assert_published(feed, wanted)
