"""The kit on backends of our own, as third parties run it: plain fixtures, no server made new."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import servers
from conftest import _binary

from thoonk import testing
from thoonk.backends import AsyncBackend, Backend, open_async_backend, open_backend

pytestmark = pytest.mark.slow  # tests/contract has all of it, in fresh worlds

KINDS = ("redis-path",)


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    """It goes on knowing scripts from one test to the next."""
    with servers.running(_binary("redis-path")) as server:
        yield server


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """An empty world."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    server = request.getfixturevalue("server")
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
    url: str = server.url
    return url


class Ours(testing.Contract):
    @pytest.fixture
    def open_backend(self, url: str) -> Callable[[], Backend]:
        return lambda: open_backend(url)[0]


class AsyncOurs(testing.AsyncContract):
    @pytest.fixture
    def open_async_backend(self, url: str) -> Callable[[], AsyncBackend]:
        return lambda: open_async_backend(url)[0]


def _classes() -> Iterator[tuple[str, type[Any]]]:
    for name in testing.__all__:
        contract = getattr(testing, name)
        if not isinstance(contract, type) or name in ("Contract", "AsyncContract"):
            continue
        for base in (Ours, AsyncOurs):
            if issubclass(contract, base.__mro__[1]):
                yield f"Test{name}", type(f"Test{name}", (base, contract), {})


globals().update(_classes())
