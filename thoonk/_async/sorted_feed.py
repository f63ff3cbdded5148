"""The sorted feed: items in an order that its users arrange."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk.arguments import check_items
from thoonk.chunks import chunked
from thoonk.config import SORTED_FEED
from thoonk.operations import (
    Entry,
    Position,
    SortedEdit,
    SortedInsert,
    SortedMove,
    SortedRetract,
    Where,
)

T = TypeVar("T")


class AsyncSortedFeed(AsyncCollection[T]):
    """An unbounded list of items in the order that you arrange.

    The feed assigns the ids: ``1``, ``2``, ``3`` … Iterating over the feed gives the ids in order.
    """

    type: ClassVar[str] = SORTED_FEED
    kind: ClassVar[str] = SORTED_FEED

    async def append(self, item: T) -> str:
        """Insert at the end; return the new id. (Contract: sorted append)

        Raises:
            InvalidType, SerializerError: nothing was sent.
            ItemTooLarge: it is larger than ``max_item_size``, or than the server accepts.
            FeedDoesNotExist: the feed was deleted.
            BackendUnavailable, AccessDenied, BackendFull: nothing was done.
            OutcomeUnknown: it may or may not have been done.
        """
        return await self._insert(item, Position(Where.END))

    async def publish(self, item: T) -> str:
        """The same as `append`."""
        return await self.append(item)

    async def publish_many(self, items: Iterable[T]) -> list[str]:
        """Append items, in order; return their ids.

        Each item is inserted and announced as by `append`, up to 1000 in one atomic step. If a
        later step fails, the earlier steps stay done (see the error's ``done``).

        Raises:
            InvalidType, SerializerError: nothing was sent.
            FeedDoesNotExist: the feed was deleted.
        """
        encoded = [self._codec.encode(item) for item in check_items(items)]
        answers = await self._execute_many(
            chunked(encoded, len),
            lambda chunk: SortedInsert(self.name, chunk),
            lambda _, ids: ids,
        )
        return [id for ids in answers for id in ids]

    async def prepend(self, item: T) -> str:
        """Insert at the beginning; return the new id. (Contract: sorted prepend)"""
        return await self._insert(item, Position(Where.BEGIN))

    async def publish_before(self, before_id: str, item: T) -> str:
        """Insert before an item; return the new id. (Contract: sorted before)

        Raises:
            ItemDoesNotExist: there is no item ``before_id``; nothing was written.
        """
        return await self._insert(item, Position(Where.BEFORE, before_id))

    async def publish_after(self, after_id: str, item: T) -> str:
        """Insert after an item; return the new id. (Contract: sorted after)

        Raises:
            ItemDoesNotExist: there is no item ``after_id``; nothing was written.
        """
        return await self._insert(item, Position(Where.AFTER, after_id))

    async def edit(self, id: str, item: T) -> None:
        """Replace an item in its place. (Contract: sorted edit)

        Raises:
            ItemDoesNotExist: there is no such item.
        """
        await self._execute(SortedEdit(self.name, Entry(id, self._codec.encode(item))))

    async def move(self, relative_position: str, id: str) -> None:
        """Move an item. (Contract: sorted move)

        Args:
            relative_position: ``:42`` (before item 42), ``42:`` (after it), ``begin:`` or ``:end``.
            id: the item to move. Moving it next to itself changes nothing.

        Raises:
            InvalidValue: the position is not in one of these forms.
            ItemDoesNotExist: there is no such item or neighbor.
        """
        await self._execute(SortedMove(self.name, id, Position.parse(relative_position)))

    async def move_first(self, id: str) -> None:
        """Move an item to the beginning. Raises as `move` does."""
        await self._execute(SortedMove(self.name, id, Position(Where.BEGIN)))

    async def move_last(self, id: str) -> None:
        """Move an item to the end. Raises as `move` does."""
        await self._execute(SortedMove(self.name, id, Position(Where.END)))

    async def move_before(self, existing_id: str, id: str) -> None:
        """Move ``id`` before ``existing_id``. Raises as `move` does."""
        await self._execute(SortedMove(self.name, id, Position(Where.BEFORE, existing_id)))

    async def move_after(self, existing_id: str, id: str) -> None:
        """Move ``id`` after ``existing_id``. Raises as `move` does."""
        await self._execute(SortedMove(self.name, id, Position(Where.AFTER, existing_id)))

    async def retract(self, id: str) -> bool:
        """Remove an item; return whether it existed. (Contract: sorted retract)"""
        removed: tuple[bool, ...] = await self._execute(SortedRetract(self.name, (id,)))
        return removed[0]

    async def retract_many(self, ids: Iterable[str]) -> list[bool]:
        """Remove items; return for each whether it existed. Raises as `publish_many` does.

        Up to 1000 items are removed in one atomic step. If the feed has more than 15,000 items,
        it takes more steps to find them, each of which is short.
        """
        return await self._retract_some(ids, lambda chunk: SortedRetract(self.name, chunk))

    async def _insert(self, item: T, position: Position) -> str:
        data = self._codec.encode(item)
        ids: tuple[str, ...] = await self._execute(SortedInsert(self.name, (data,), position))
        return ids[0]
