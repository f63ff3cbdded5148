"""What queues and job feeds have in common: what is put waits until it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk.backends import AsyncBackend
from thoonk.chunks import MOST_ADDED, chunked, entry_size
from thoonk.codec import PutResult
from thoonk.operations import (
    Batch,
    Entry,
    Operation,
    Outcome,
    PauseFeed,
    Priority,
    ResumeFeed,
    Step,
    TakeOperation,
)
from thoonk.serializers import Serializer
from thoonk.waiting import Throttle

T = TypeVar("T")


class AsyncTakeable(AsyncCollection[T]):
    """A feed whose items wait until they are taken. A base of `AsyncQueue` and `AsyncJob`."""

    NORMAL: ClassVar[Priority] = Priority.NORMAL
    HIGH: ClassVar[Priority] = Priority.HIGH

    def __init__(self, name: str, backend: AsyncBackend, serializer: Serializer[T]) -> None:
        super().__init__(name, backend, serializer)
        self._recovery = Throttle()

    async def pause(self) -> bool:
        """Pause until `resume`; return whether it was not paused before. (Contract: pause)

        You can still put, and claimed jobs can be finished. Callers that wait keep waiting.
        """
        paused: bool | None = None
        while paused is None:
            paused = await self._execute(PauseFeed(self.name))
        return paused

    async def resume(self) -> bool:
        """End a pause; return whether there was one. (Contract: resume)"""
        resumed: bool | None = None
        while resumed is None:
            resumed = await self._execute(ResumeFeed(self.name))
        return resumed

    async def purge(self) -> int:
        """Remove all that is there; return how many."""
        raise NotImplementedError

    def _taking(self, count: int) -> TakeOperation:
        """What takes up to ``count`` items."""
        raise NotImplementedError

    async def _received(self, operation: Any, batch: Batch) -> list[Any]:
        """What the caller gets for what was taken; nothing if that came too late."""
        raise NotImplementedError

    async def _add(
        self,
        entries: Sequence[Entry],
        operation: Callable[[tuple[Entry, ...]], Operation[tuple[Outcome, ...]]],
    ) -> list[PutResult]:
        """Put entries under ids that may be taken; the ids, and what became of each."""
        answers: Iterable[tuple[Outcome, ...]] = await self._execute_many(
            chunked(entries, entry_size, MOST_ADDED),
            operation,
            lambda chunk, _: [entry.id for entry in chunk],
        )
        outcomes = [outcome for answer in answers for outcome in answer]
        return [PutResult(e.id, outcome) for e, outcome in zip(entries, outcomes, strict=True)]

    async def _add_one(self, entry: Entry, operation: Operation[tuple[Outcome, ...]]) -> PutResult:
        outcomes: tuple[Outcome, ...] = await self._execute(operation)
        return PutResult(entry.id, outcomes[0])

    async def _until_done(self, step: Operation[Step]) -> int:
        """Do all of what is there now, in short steps; return with how many it is done.

        What comes meanwhile is not meant: it might never end.
        """
        answer: Step = await self._execute(step)
        count, left = answer.count, answer.left
        while left > 0:
            answer = await self._execute(step)
            count += answer.count
            left = min(left - answer.count, answer.left) if answer.count else 0
        return count
