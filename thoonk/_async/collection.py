"""What all feed types have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from thoonk._async.dialect import AsyncOperators
from thoonk._async.subscription import AsyncFeedSubscription
from thoonk.arguments import check_many, check_range
from thoonk.backends import AsyncBackend
from thoonk.chunks import chunked, entry_size
from thoonk.codec import Codec
from thoonk.config import FEED, JOB, SORTED_FEED
from thoonk.exceptions import InvalidValue, ThoonkError, UnsupportedOperation
from thoonk.names import check_id
from thoonk.operations import (
    MOST,
    CountItems,
    Entry,
    FeedStats,
    HasItem,
    Operation,
    Page,
    ReadIds,
    ReadItem,
    ReadItems,
    ReadPage,
    ReadStats,
    RetractSome,
    SomeRetracted,
)
from thoonk.serializers import Serializer

T = TypeVar("T")
R = TypeVar("R")
E = TypeVar("E")

FARTHEST = 2**32
"""A position beyond the end of any feed."""


class AsyncCollection(AsyncOperators, Generic[T]):
    """A named collection of items with ids. Opened by the client's methods.

    Attributes:
        name: the feed's name.
        type: (class) the type as it is stored in the configuration.
        kind: (class) which of the four shapes of data the type is.
    """

    type: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, name: str, backend: AsyncBackend, serializer: Serializer[T]) -> None:
        self.name = name
        self._backend = backend
        self._codec = Codec(name, serializer)
        self._execute: Callable[[Operation[Any]], Coroutine[Any, Any, Any]] = backend.execute

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    async def get_ids(self) -> list[str]:
        """Return all ids. Each type documents their order. (Contract: get_ids)"""
        ids: tuple[str, ...] = await self._execute(ReadIds(self.name, self.kind))
        return [*ids]

    async def get_item(self, id: str) -> T | None:
        """Return an item, or None if there is none with this id. (Contract: get_item)

        Raises:
            SerializerError: the serializer cannot decode the item.
        """
        data: bytes | None = await self._execute(ReadItem(self.name, id))
        return None if data is None else self._codec.decode(data)

    async def get_items(self, ids: Iterable[str] | None = None) -> dict[str, T]:
        """Return items by id. Ids without an item are left out.

        Args:
            ids: the ids. None: all, as `get_all`.

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        if ids is None:
            return await self.get_all()
        wanted = [check_id(id) for id in check_many(ids, "ids")]
        found: dict[str, T] = {}
        for chunk in chunked(wanted, len):
            items: dict[str, bytes] = await self._execute(ReadItems(self.name, chunk))
            found.update((id, self._codec.decode(data)) for id, data in items.items())
        return found

    def ids(
        self, start: int = 0, stop: int | None = None, reverse: bool = False
    ) -> AsyncIterator[str]:
        """Iterate over the ids, which are read in pages. (Contract: pages)

        If the feed is ordered, they come in the order of `get_ids`. Ids that are added or removed
        during the iteration may be missing. An id that keeps its place appears once.

        Args:
            start: how many ids to skip.
            stop: where to stop, counted like ``start``. None: at the end.
            reverse: whether to iterate from the last id to the first. A job feed is unordered,
                and accepts none of these arguments.

        Raises:
            InvalidValue, InvalidType: ``start`` or ``stop`` is not a whole number of 0 or more.
        """
        limit = check_range(start, stop, reverse=reverse, ordered=self.kind != JOB)
        page = ReadPage(self.name, self.kind, min(start, FARTHEST), reverse=reverse)
        return self._ids(page, limit)

    def items(
        self, start: int = 0, stop: int | None = None, reverse: bool = False
    ) -> AsyncIterator[tuple[str, T]]:
        """Iterate over ids and items; arguments and order are those of `ids`.

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        limit = check_range(start, stop, reverse=reverse, ordered=self.kind != JOB)
        first = min(start, FARTHEST)
        page = ReadPage(self.name, self.kind, first, reverse=reverse, with_items=True)
        return self._items(page, limit)

    async def _ids(self, first: ReadPage, limit: int | None) -> AsyncIterator[str]:
        async for page in self._pages(first, limit):
            for id in page.ids:
                yield id

    async def _items(self, first: ReadPage, limit: int | None) -> AsyncIterator[tuple[str, T]]:
        async for page in self._pages(first, limit):
            for id, data in zip(page.ids, page.items, strict=True):
                yield id, self._codec.decode(data)

    async def _pages(self, operation: ReadPage, limit: int | None) -> AsyncIterator[Page]:
        """Pages, each read before the previous one is returned.

        So the position of the next page does not depend on items that the caller may remove.
        """
        if limit == 0:
            return
        operation = attrs.evolve(operation, count=min(limit or MOST, MOST))
        page: Page = await self._execute(operation)
        while page.cursor:
            count = MOST
            if limit is not None:
                limit -= len(page.ids)
                count = min(limit, MOST)
            if count == 0:
                break
            operation = attrs.evolve(operation, count=count, cursor=page.cursor)
            following: Page = await self._execute(operation)
            yield page
            page = following
        yield page

    async def __aiter__(self) -> AsyncIterator[str]:
        async for id in self.ids():
            yield id

    async def get_all(self) -> dict[str, T]:
        """Return all items by id, in no particular order. (Contract: get_all)

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        items: dict[str, bytes] = await self._execute(ReadItems(self.name))
        return {id: self._codec.decode(data) for id, data in items.items()}

    async def has_id(self, id: str) -> bool:
        """Whether there is an item with this id."""
        found: bool = await self._execute(HasItem(self.name, id))
        return found

    async def count(self) -> int:
        """Return the number of items."""
        number: int = await self._execute(CountItems(self.name))
        return number

    async def stats(self) -> FeedStats:
        """Return statistics, at a cost that does not grow with the feed. (Contract: stats)

        Raises:
            FeedDoesNotExist: the feed was deleted.
        """
        stats: FeedStats = await self._execute(ReadStats(self.name, self.kind))
        return stats

    async def _execute_many(
        self,
        chunks: Iterable[tuple[E, ...]],
        operation: Callable[[tuple[E, ...]], Operation[R]],
        ids_of: Callable[[tuple[E, ...], R], Iterable[str]],
    ) -> list[R]:
        """One operation for each chunk. An error of one tells the ids of those before it."""
        answers: list[R] = []
        done: list[str] = []
        for chunk in chunks:
            try:
                answer = await self._execute(operation(chunk))
            except ThoonkError as error:
                error.done = tuple(done)
                raise
            answers.append(answer)
            done.extend(ids_of(chunk, answer))
        return answers

    async def _put_many(
        self, entries: Sequence[Entry], operation: Callable[[tuple[Entry, ...]], Operation[Any]]
    ) -> list[str]:
        """Publish or put entries; their ids."""
        await self._execute_many(
            chunked(entries, entry_size), operation, lambda chunk, _: [entry.id for entry in chunk]
        )
        return [entry.id for entry in entries]

    async def _retract_many(
        self,
        ids: Iterable[str],
        operation: Callable[[tuple[str, ...]], Operation[tuple[bool, ...]]],
    ) -> list[bool]:
        """Remove items; for each whether it was there."""
        checked = [check_id(id) for id in check_many(ids, "ids")]
        answers = await self._execute_many(chunked(checked, len), operation, lambda chunk, _: chunk)
        return [flag for flags in answers for flag in flags]

    async def _retract_some(
        self,
        ids: Iterable[str],
        operation: Callable[[tuple[str, ...]], Operation[tuple[bool, ...]]],
    ) -> list[bool]:
        """As `_retract_many`, in steps that stay short where a long list has to be searched."""
        checked = [check_id(id) for id in check_many(ids, "ids")]
        removed: list[bool] = []
        for chunk in chunked(checked, len):
            flags: list[bool | None] = [None] * len(chunk)
            cursor = ""
            while None in flags:
                left = [index for index, flag in enumerate(flags) if flag is None]
                some = tuple(chunk[index] for index in left)
                try:
                    step: SomeRetracted = await self._execute(
                        RetractSome(self.name, self.kind, some, cursor)
                    )
                except UnsupportedOperation:  # of a backend that does it in one step
                    return await self._retract_many(checked, operation)
                except ThoonkError as error:
                    known = [id for id, flag in zip(chunk, flags, strict=True) if flag is not None]
                    error.done = (*checked[: len(removed)], *known)
                    raise
                cursor = step.cursor
                for index, flag in zip(left, step.removed, strict=True):
                    flags[index] = flag
            removed += map(bool, flags)
        return removed

    def subscribe(self, resync: bool = False) -> AsyncFeedSubscription[T]:
        """Subscribe to the feed's notices. Use it in a ``with`` block.

        Delivers, in order, all changes that happen after the block was entered. After the
        connection was interrupted, it delivers a `Gap`.

        Args:
            resync: whether to start with a `Published` for each existing item and, instead of
                a `Gap`, to deliver notices that make up for the missed ones. A program that
                applies all notices then has the feed's content. For feeds and sorted feeds.

        Raises:
            InvalidValue: ``resync`` was requested for a queue or job feed.
        """
        if resync and self.kind not in (FEED, SORTED_FEED):
            raise InvalidValue(f"only feeds and sorted feeds can be resynced, not a {self.kind}")
        return AsyncFeedSubscription(self._backend, self._codec, self.kind, resync=resync)
