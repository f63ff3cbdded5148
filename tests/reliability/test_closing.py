"""Closing beside a thread or task that begins to wait or to listen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from typing import Any

from conftest import World

from thoonk import AsyncThoonk, Closed, Thoonk
from thoonk.backends import open_async_backend, open_backend
from thoonk.operations import JobClaim

ROUNDS = 60
SOON = 20.0
"""Seconds in which everything has to end; a wait would take 60."""


def test_a_closed_backend_claims_nothing_and_nobody_hangs(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("j", {"claim_timeout": 600})
        for number in range(ROUNDS):
            backend, _ = open_backend(world.url)
            outcome: list[Any] = []

            def wait(backend: Any = backend, number: int = number, told: Any = outcome) -> None:
                with contextlib.suppress(Closed):
                    told.append(backend.wait(JobClaim("j", f"token-{number}"), 60))

            waiting = threading.Thread(target=wait)
            waiting.start()
            time.sleep(random.uniform(0, 0.004))  # any moment will do
            backend.close()
            id = job.put("x")
            waiting.join(SOON)
            assert not waiting.is_alive()
            assert outcome == []
            assert job.get_counts().claimed == 0
            job.retract(id)


async def test_a_closed_async_backend_claims_nothing_and_no_task_hangs(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        job = await thoonk.job("j", {"claim_timeout": 600})
        for number in range(ROUNDS):
            backend, _ = open_async_backend(world.url)
            waiting = asyncio.create_task(backend.wait(JobClaim("j", f"token-{number}"), 60))
            await asyncio.sleep(random.uniform(0, 0.004))
            await backend.close()
            id = await job.put("x")
            async with asyncio.timeout(SOON):
                with contextlib.suppress(Closed):
                    raise AssertionError(await waiting)
            assert (await job.get_counts()).claimed == 0
            await job.retract(id)


def test_a_subscription_of_a_closed_backend_ends(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        thoonk.feed("f")
        for _ in range(ROUNDS):
            backend, _ = open_backend(world.url)

            def listen(backend: Any = backend) -> None:
                with contextlib.suppress(Closed):
                    backend.listen("f").get()

            listening = threading.Thread(target=listen)
            listening.start()
            time.sleep(random.uniform(0, 0.004))
            backend.close()
            listening.join(SOON)
            assert not listening.is_alive()


async def test_a_subscription_of_a_closed_async_backend_ends(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as thoonk:
        await thoonk.feed("f")
        for _ in range(ROUNDS):
            backend, _ = open_async_backend(world.url)

            async def listen(backend: Any = backend) -> None:
                with contextlib.suppress(Closed):
                    await (await backend.listen("f")).get()

            listening = asyncio.create_task(listen())
            await asyncio.sleep(random.uniform(0, 0.004))
            await backend.close()
            async with asyncio.timeout(SOON):
                await listening
