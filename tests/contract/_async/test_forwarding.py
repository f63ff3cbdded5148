"""A backend around another one passes the contract, and passes on what the other one offers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from thoonk.backends import AsyncBackend, AsyncForwardingBackend, open_async_backend
from thoonk.operations import Batch, FeedNames, QueueTake
from thoonk.testing import AsyncBackendContract, AsyncClaimsContract, AsyncContract

TAKE = QueueTake("q", "token")


class AsyncForwarded(AsyncContract):
    @pytest.fixture
    def open_async_backend(self) -> Callable[[], AsyncBackend]:
        url = f"memory://{uuid.uuid4().hex}"
        return lambda: AsyncForwardingBackend(open_async_backend(url)[0])


class TestBackend(AsyncForwarded, AsyncBackendContract):
    pass


class TestClaims(AsyncForwarded, AsyncClaimsContract):
    """One of them needs `interrupt`."""


class AsyncInner:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def execute(self, operation: Any) -> Any:
        return ("execute", operation)

    async def wait(self, operation: Any, timeout: float) -> Any:
        return ("wait", operation, timeout)

    async def listen(self, feed: str | None = None) -> Any:
        return ("listen", feed)

    async def close(self) -> None:
        self.asked.append(("close",))


class AsyncInnerThatInterrupts(AsyncInner):
    async def interrupt(self, operation: Any) -> None:
        self.asked.append(("interrupt", operation))


async def test_all_is_passed_on_and_answered() -> None:
    inner = AsyncInnerThatInterrupts()
    backend = AsyncForwardingBackend(inner)
    assert await backend.execute(FeedNames()) == ("execute", FeedNames())
    assert await backend.wait(TAKE, 2.5) == ("wait", TAKE, 2.5)
    assert await backend.listen("f") == ("listen", "f")
    assert await backend.listen() == ("listen", None)
    await backend.interrupt(TAKE)
    await backend.close()
    assert inner.asked == [("interrupt", TAKE), ("close",)]
    assert repr(backend) == f"<{type(backend).__name__} of {inner!r}>"


async def test_where_no_wait_can_be_interrupted_asking_for_it_does_nothing() -> None:
    inner = AsyncInner()
    await AsyncForwardingBackend(inner).interrupt(TAKE)
    assert inner.asked == []


async def test_a_subclass_changes_one_thing_also_around_another_one() -> None:
    class Empty(AsyncForwardingBackend):
        async def wait(self, operation: Any, timeout: float) -> Batch:
            return Batch(())

    inner = AsyncInnerThatInterrupts()
    backend = AsyncForwardingBackend(Empty(inner))
    assert await backend.wait(TAKE, 1) == Batch(())
    assert await backend.execute(TAKE) == ("execute", TAKE)
    await backend.interrupt(TAKE)
    assert inner.asked == [("interrupt", TAKE)]
