"""The backend itself: sharing a world, and closing."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest

from thoonk import AsyncThoonk, Closed, Published, UnsupportedOperation
from thoonk.operations import FeedOperation, JobClaim, QueueTake, TakeOperation
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background, pause, until


@attrs.frozen
class Unheard(FeedOperation[None]):
    """An operation that no backend knows."""


class AsyncBackendContract(AsyncContract):
    """That backends share a world, refuse what they do not know, and end when they are closed."""

    async def test_clients_share_what_is_stored(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        id = await (await thoonk.feed("f")).publish("x")
        assert await (await other.feed("f")).get_item(id) == "x"

    async def test_clients_can_share_a_backend(self) -> None:
        backend = self.backend()
        first, second = AsyncThoonk(backend=backend), AsyncThoonk(backend=backend)
        id = await (await first.feed("f")).publish("x")
        await first.close()
        assert await (await second.feed("f")).get_item(id) == "x"
        await second.close()
        assert backend.closed == 0

    async def test_an_operation_that_it_does_not_know_is_refused(self, thoonk: AsyncThoonk) -> None:
        await thoonk.feed("f")
        with pytest.raises(UnsupportedOperation):
            await thoonk.backend.execute(Unheard("f"))

    async def test_closing_twice_is_closing_once(self) -> None:
        backend = self.backend()
        await (await AsyncThoonk(backend=backend).feed("f")).publish("x")
        await backend.close()
        await backend.close()
        await self.backend().close()

    async def test_what_was_closed_does_nothing_and_its_world_stays(
        self, thoonk: AsyncThoonk
    ) -> None:
        backend = self.backend()
        feed = await AsyncThoonk(backend=backend).feed("f")
        await feed.publish("x", id="1")
        queue = await thoonk.queue("q")
        await backend.close()
        with pytest.raises(Closed):
            await feed.publish("x")
        with pytest.raises(Closed):
            await backend.listen("f")
        with pytest.raises(Closed):
            await backend.wait(QueueTake("q", "token"), 1)
        assert await (await thoonk.feed("f")).get_all() == {"1": "x"}
        await queue.put("x")
        assert await queue.get(timeout=5) == "x"

    @pytest.mark.parametrize("take", [QueueTake("f", "token"), JobClaim("f", "token")])
    async def test_closing_wakes_who_waits_and_takes_nothing_for_them(
        self, thoonk: AsyncThoonk, take: TakeOperation
    ) -> None:
        feed: Any = await (thoonk.queue if isinstance(take, QueueTake) else thoonk.job)("f")
        backend = self.backend()
        waiting = Background(backend.wait, take, 30)
        await until(lambda: self.blocked() == 1)
        await backend.close()
        with pytest.raises(Closed):
            await waiting.result()
        id = await feed.put("x")
        assert (await feed.get_counts()).waiting == 1 if feed.kind == "job" else True
        assert await feed.get_ids() == [id]
        await feed.get(timeout=5)

    async def test_closing_ends_subscriptions(self, thoonk: AsyncThoonk) -> None:
        backend = self.backend()
        feed = await AsyncThoonk(backend=backend).feed("f")
        notices = feed.subscribe()
        await notices.__aenter__()
        await feed.publish("x", id="1")
        assert await notices.get(10) == Published("f", "1", "x")
        waiting = Background(notices.get)
        await backend.close()
        with pytest.raises(Closed):
            await waiting.result()
        await (await thoonk.feed("f")).publish("x")

    async def test_closing_ends_what_has_just_begun(self, thoonk: AsyncThoonk) -> None:
        for name in ("f", "g"):
            await thoonk.queue(name)
        for number in range(40):
            backend = self.backend()
            begun = [
                Background(backend.listen, "f"),
                Background(backend.listen),
                Background(backend.wait, QueueTake("f", f"1-{number}"), 30),
                Background(backend.wait, QueueTake("g", f"2-{number}"), 30),
            ]
            await pause(number % 8 / 1000)
            await backend.close()
            for call in begun:
                with contextlib.suppress(Closed):
                    await call.result()
