"""What may be a handler, and how workers are made."""

from __future__ import annotations

import functools
import os
from typing import Any

import pytest

from thoonk import AsyncThoonk, InvalidType, InvalidValue, Thoonk
from thoonk.worker import AsyncWorker, Retry, Worker


async def coroutine_function(item: str) -> None: ...


def plain_function(item: str) -> None: ...


class Resizer:
    def __call__(self, item: str) -> str:
        return item


class AsyncResizer:
    async def __call__(self, item: str) -> str:
        return item


@pytest.mark.parametrize(
    "function",
    [plain_function, Resizer(), str.upper, os.stat, functools.partial(max, 1), lambda item: item],
)
def test_whatever_can_be_called_with_an_item_is_a_handler(function: Any) -> None:
    worker = Worker("memory")
    worker.handle("f", function)
    assert not worker.handlers["f"].wants_claim


@pytest.mark.parametrize(
    "function", [coroutine_function, AsyncResizer(), functools.partial(coroutine_function)]
)
def test_coroutine_functions_are_for_the_async_worker(function: Any) -> None:
    AsyncWorker("memory").handle("f", function)
    with pytest.raises(InvalidType, match="use AsyncWorker"):
        Worker("memory").handle("f", function)


def test_plain_functions_are_for_the_other() -> None:
    with pytest.raises(InvalidType, match="use Worker"):
        AsyncWorker("memory").handle("f", plain_function)


def test_the_claim_is_given_to_who_asks_for_it() -> None:
    worker = Worker("memory")
    worker.handle("a", lambda item, claim: None)
    worker.handle("b", lambda item, *, claim: None)
    worker.handle("c", lambda item, other=None: None)
    assert [h.wants_claim for h in worker.handlers.values()] == [True, True, False]


@pytest.mark.parametrize("function", [lambda: None, lambda a, b: None, lambda claim: None])
def test_functions_that_cannot_be_called_with_an_item(function: Any) -> None:
    with pytest.raises(InvalidType, match="must accept an item"):
        Worker("memory").handle("f", function)


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    worker = Worker("memory")
    assert worker.handles("f", retries=1)(plain_function) is plain_function
    assert worker.handlers["f"].retries == 1


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (InvalidValue, {"retries": -1}),
        (InvalidType, {"retries": True}),
        (InvalidType, {"retries": 1.5}),
        (InvalidValue, {"backoff": -1}),
        (InvalidType, {"backoff": "1"}),
        (InvalidValue, {"max_backoff": float("inf")}),
        (InvalidValue, {"time_limit": 0}),
        (InvalidValue, {"claim_timeout": -1}),
        (InvalidValue, {"concurrency": 0}),
        (InvalidValue, {"prefetch": 1001}),
        (InvalidType, {"heartbeat": 1}),
        (InvalidValue, {"heartbeat": False, "prefetch": 2}),
        (InvalidType, {"result": "yes"}),
        (InvalidValue, {"result_timeout": -1}),
        (InvalidValue, {"retry": 1}),
    ],
)
def test_options_that_are_refused(error: type[Exception], options: dict[str, Any]) -> None:
    with pytest.raises(error, match=next(iter(options)) if len(options) == 1 else None):
        Worker("memory").handle("f", plain_function, **options)


def test_names_and_things_that_are_refused() -> None:
    worker = Worker("memory")
    with pytest.raises(InvalidValue):
        worker.handle("", plain_function)
    with pytest.raises(InvalidType, match="callable"):
        worker.handle("f", "function")  # type: ignore[arg-type]
    worker.handle("f", plain_function)
    with pytest.raises(InvalidValue, match="already has a handler"):
        worker.handle("f", plain_function)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (InvalidType, {"backend": 6379}),
        (InvalidType, {"backend": AsyncThoonk(backend="memory")}),
        (InvalidValue, {"concurrency": 0}),
        (InvalidValue, {"processes": -1}),
        (InvalidValue, {"grace": -1}),
        (InvalidValue, {"max_jobs": 0}),
        (InvalidType, {"max_jobs": "3"}),
        (InvalidType, {"max_jobs": 2.5}),
        (InvalidType, {"max_jobs": True}),
        (InvalidType, {"processes": None}),
        (InvalidType, {"processes": ""}),
    ],
)
def test_workers_that_are_refused(error: type[Exception], options: dict[str, Any]) -> None:
    with pytest.raises(error):
        Worker(**options)


def test_what_cannot_be_run() -> None:
    worker = Worker("memory")
    with pytest.raises(InvalidValue, match="no handlers"):
        worker.run()
    worker.handle("f", plain_function, time_limit=1)
    with pytest.raises(InvalidValue, match=r"needs processes.*--processes 8"):
        worker.run()
    with pytest.raises(InvalidValue, match="no handler for 'g'"):
        worker.run(feeds=["g"])


@pytest.mark.parametrize("backend", ["memory", "memory://x", Thoonk(backend="memory")])
def test_processes_cannot_share_a_memory(backend: Any) -> None:
    worker = Worker(backend, processes=2)
    worker.handle("f", plain_function)
    with pytest.raises(InvalidValue, match="memory cannot be shared"):
        worker.run()


def test_processes_cannot_share_a_client_for_asyncio() -> None:
    worker = AsyncWorker(AsyncThoonk("localhost", 1), processes=2)
    worker.handle("f", coroutine_function)
    with pytest.raises(InvalidValue, match="give a URL"):
        worker.run()


def test_delays_are_doubled_up_to_a_limit_and_spread() -> None:
    worker = Worker("memory")
    worker.handle("f", plain_function, backoff=2, max_backoff=10)
    worker.handle("g", plain_function, backoff=0)
    delay = worker.handlers["f"].delay
    for attempt, most in [(1, 2), (2, 4), (3, 8), (4, 10), (10_000, 10)]:
        delays = {delay(attempt) for _ in range(200)}
        assert most / 2 <= min(delays) < 0.6 * most
        assert 0.9 * most < max(delays) <= most
    assert worker.handlers["g"].delay(5) == 0


def test_a_retry_checks_its_delay() -> None:
    assert str(Retry(2)) == "asked for in 2 s"
    with pytest.raises(InvalidValue):
        Retry(-1)
    with pytest.raises(InvalidType):
        Retry("soon")  # type: ignore[arg-type]
