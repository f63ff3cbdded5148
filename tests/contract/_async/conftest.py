"""Clients for the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from conftest import World

from thoonk import AsyncThoonk


@pytest.fixture
async def thoonk(world: World) -> AsyncIterator[AsyncThoonk]:
    """A client in each world."""
    async with AsyncThoonk(backend=world.url) as client:
        yield client


@pytest.fixture
async def other(world: World) -> AsyncIterator[AsyncThoonk]:
    """A second client in the same world."""
    async with AsyncThoonk(backend=world.url) as client:
        yield client


@pytest.fixture
async def listening(world: World) -> AsyncIterator[AsyncThoonk]:
    """A client that calls handlers."""
    async with AsyncThoonk(backend=world.url, listen=True) as client:
        yield client
