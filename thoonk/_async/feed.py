"""The feed: items in the order they were published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk.config import FEED
from thoonk.names import check_id, new_id
from thoonk.operations import Entry, FeedPublish, FeedRetract

T = TypeVar("T")


class AsyncFeed(AsyncCollection[T]):
    """Items in strict publish order, the newest last; bounded by ``max_length`` if set.

    Subscribers are notified of publications, edits and retractions. Iterating over the feed gives
    the ids in order, as `get_ids`.
    """

    type: ClassVar[str] = FEED
    kind: ClassVar[str] = FEED

    async def publish(self, item: T, id: str | None = None) -> str:
        """Add an item at the end; return its id. (Contract: feed publish)

        Publishing under an existing id is an edit: the item is replaced and moves to the end. If
        the feed exceeds ``max_length``, the oldest items are retracted.

        Args:
            item: an item that the feed's serializer accepts.
            id: the item's id. None: a new random id.

        Raises:
            InvalidValue, InvalidType, SerializerError: nothing was sent.
            ItemTooLarge: the item is larger than ``max_item_size``, or than the server accepts.
            FeedDoesNotExist: the feed was deleted.
            BackendUnavailable, AccessDenied, BackendFull: nothing was done.
            OutcomeUnknown: it may or may not have been done.
        """
        entry = Entry(new_id() if id is None else id, self._codec.encode(item))
        await self._execute(FeedPublish(self.name, (entry,)))
        return entry.id

    async def publish_many(self, items: Iterable[T] | Mapping[str, T]) -> list[str]:
        """Publish items, in order; return their ids.

        Each item is published and announced as by `publish`, up to 1000 in one atomic step. If a
        later step fails, the earlier steps stay done (see the error's ``done``).

        Args:
            items: items, which get new ids, or a mapping of ids to items.

        Raises:
            InvalidValue, InvalidType, SerializerError: nothing was sent.
            FeedDoesNotExist: the feed was deleted.
        """
        if isinstance(items, Mapping):
            entries = self._codec.entries_by_id(items)
        else:
            entries = self._codec.entries(items)
        return await self._put_many(entries, lambda chunk: FeedPublish(self.name, chunk))

    async def edit(self, id: str, item: T) -> str:
        """Publish an item under an id, as `publish` does with its arguments reversed."""
        return await self.publish(item, id=check_id(id))

    async def retract(self, id: str) -> bool:
        """Remove an item; return whether it existed. (Contract: feed retract)"""
        removed: tuple[bool, ...] = await self._execute(FeedRetract(self.name, (id,)))
        return removed[0]

    async def retract_many(self, ids: Iterable[str]) -> list[bool]:
        """Remove items; return for each whether it existed. Raises as `publish_many` does."""
        return await self._retract_many(ids, lambda chunk: FeedRetract(self.name, chunk))
