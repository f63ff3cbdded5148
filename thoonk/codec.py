"""Items and results between the values that users have and the bytes that backends store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, NamedTuple, Self, TypeVar

import attrs

from thoonk.arguments import check_items
from thoonk.config import check_seconds
from thoonk.exceptions import InvalidType, SerializerError
from thoonk.names import check_id, check_timeout, new_ids
from thoonk.notices import AnyNotice, Edited, Finished, Notice, Published
from thoonk.operations import Completion, Entry, Outcome, StoredResult
from thoonk.serializers import Serializer

T = TypeVar("T")


class JobResult(NamedTuple, Generic[T]):
    """What was asked of a job and what came of it.

    ``query`` is None when a peer finished the job and kept none.
    """

    query: T | None
    result: T | None


class PutResult(str):
    """The id of a job that was put, and what became of the put.

    Attributes:
        outcome: ADDED; or, where the id was taken, KEPT (nothing was done) or REPLACED.
    """

    __slots__ = ("outcome",)

    outcome: Outcome

    def __new__(cls, id: str, outcome: Outcome = Outcome.ADDED) -> Self:
        """Made by `Job.put`."""
        self = super().__new__(cls, id)
        self.outcome = outcome
        return self

    def __getnewargs__(self) -> tuple[str, Outcome]:  # type: ignore[override]
        return str(self), self.outcome


@attrs.frozen
class Codec(Generic[T]):
    """A feed's serializer, with the feed's name for error messages."""

    feed: str
    serializer: Serializer[T]

    def encode(self, item: T) -> bytes:
        """Bytes for an item.

        Raises:
            SerializerError: the serializer cannot write it.
            InvalidType: what the serializer raises of ours, or it does not make bytes.
        """
        try:
            data = self.serializer.encode(item)
        except InvalidType:
            raise
        except Exception as error:
            raise SerializerError(
                f"feed {self.feed!r}: {type(item).__name__} cannot be written as "
                f"{self.serializer.name}: {error}"
            ) from error
        if not isinstance(data, bytes):
            raise InvalidType(
                f"serializer {self.serializer.name!r} made {type(data).__name__}, not bytes"
            )
        return data

    def encode_alone(self, item: T) -> bytes:
        """As `encode`, but without what belongs to the moment, such as the context of a trace."""
        alone = getattr(self.serializer, "alone", None)
        return self.encode(item) if alone is None else Codec(self.feed, alone).encode(item)

    def decode(self, data: bytes) -> T:
        """The item of bytes.

        Raises:
            SerializerError: the serializer cannot read them.
        """
        try:
            return self.serializer.decode(data)
        except Exception as error:
            raise SerializerError(
                f"feed {self.feed!r}: an item of {len(data)} bytes is not "
                f"{self.serializer.name}: {error}",
                data,
            ) from error

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
                f"result must be True or False (the result itself is item), not {result!r:.80}"
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
