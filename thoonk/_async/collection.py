"""What all feed types have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Generic, TypeVar

from thoonk._async.subscription import AsyncFeedSubscription
from thoonk.backends import AsyncBackend
from thoonk.config import FEED, SORTED_FEED
from thoonk.exceptions import InvalidValue
from thoonk.flows import Codec
from thoonk.operations import CountItems, HasItem, Operation, ReadIds, ReadItem, ReadItems
from thoonk.serializers import Serializer

T = TypeVar("T")
R = TypeVar("R")


class AsyncCollection(Generic[T]):
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
        """All ids. In which order is said at each type. (Contract: get_ids)"""
        ids: tuple[str, ...] = await self._execute(ReadIds(self.name, self.kind))
        return [*ids]

    async def get_item(self, id: str) -> T | None:
        """The item of an id, None when there is none. (Contract: get_item)

        Raises:
            SerializerError: its bytes are not what the serializer writes.
        """
        data: bytes | None = await self._execute(ReadItem(self.name, id))
        return None if data is None else self._codec.decode(data)

    async def get_all(self) -> dict[str, T]:
        """All items by id, in no particular order. (Contract: get_all)

        Raises:
            SerializerError: an item's bytes are not what the serializer writes.
        """
        items: dict[str, bytes] = await self._execute(ReadItems(self.name))
        return {id: self._codec.decode(data) for id, data in items.items()}

    async def has_id(self, id: str) -> bool:
        """Whether there is an item of that id."""
        found: bool = await self._execute(HasItem(self.name, id))
        return found

    async def count(self) -> int:
        """How many items there are."""
        number: int = await self._execute(CountItems(self.name))
        return number

    # sync: def __len__(self) -> int:
    # sync:     return self.count()
    # sync:
    # sync: def __bool__(self) -> bool:
    # sync:     return True  # an empty feed is still a feed
    # sync:
    # sync: def __contains__(self, id: object) -> bool:
    # sync:     return isinstance(id, str) and self.has_id(id)

    def subscribe(self, resync: bool = False) -> AsyncFeedSubscription[T]:
        """The feed's notices as they happen, to be used in a ``with`` block.

        Whatever happens after the block was entered is delivered, in order. Where the
        connection was lost for a while, a `Gap` says so.

        Args:
            resync: begin with a `Published` for each item that is there, and instead of a
                `Gap` give the notices that make up for what was missed: who applies all
                notices has what is in the feed. For feeds and sorted feeds.

        Raises:
            InvalidValue: ``resync`` is asked of a queue or job feed.
        """
        if resync and self.kind not in (FEED, SORTED_FEED):
            raise InvalidValue(f"only feeds and sorted feeds can be resynced, not a {self.kind}")
        return AsyncFeedSubscription(self._backend, self._codec, self.kind, resync=resync)
