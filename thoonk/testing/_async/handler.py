"""Handlers: what is called, with what, and what happens when one fails."""

from __future__ import annotations

import logging
import operator
from typing import Any

import pytest

from thoonk import AsyncThoonk, InvalidValue
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import pause, until

Calls = list[tuple[Any, ...]]


def note(calls: Calls, *first: Any) -> Any:
    """A handler that notes its arguments."""

    def handler(*arguments: Any) -> None:
        calls.append((*first, *arguments))

    return handler


def by_source(calls: Calls) -> dict[str, Calls]:
    """The calls of each feed, and those for created and deleted feeds: each in their order.

    A backend of several servers has no order between them.
    """
    found: dict[str, Calls] = {}
    for call in calls:
        source = "" if call[0] in {"create", "delete"} else call[1]
        found.setdefault(source, []).append(call)
    return found


class AsyncHandlerContract(AsyncContract):
    """The notices of all feeds that a listening client receives."""

    @pytest.mark.parametrize("suffix", ["", "_notice"])
    async def test_each_event_calls_its_handlers_with_its_arguments(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk, suffix: str
    ) -> None:
        calls: Calls = []
        for event in ("create", "delete", "publish", "edit", "retract", "position", "finish"):
            await listening.register_handler(event + suffix, note(calls, event))
        feed = await thoonk.feed("f")
        await feed.publish("one", id="1")
        await feed.publish("new one", id="1")
        await feed.retract("1")
        sorted_feed = await thoonk.list("s")
        await sorted_feed.append("two")
        await sorted_feed.edit("1", "new two")
        await sorted_feed.move_first("1")
        job = await thoonk.job("j")
        id = await job.put("query")
        await (await job.get()).finish("result", result=True)
        await thoonk.delete_feed("f")
        expected: Calls = [
            ("create", "f"),
            ("publish", "f", "one", "1"),
            ("edit", "f", "new one", "1"),
            ("retract", "f", "1"),
            ("create", "s"),
            ("publish", "s", "two", "1"),
            ("position", "s", "1", ":end"),
            ("edit", "s", "new two", "1"),
            ("position", "s", "1", "begin:"),
            ("create", "j"),
            ("finish", "j", id, "result"),
            ("delete", "f"),
        ]
        await until(lambda: len(calls) >= len(expected))
        assert by_source(calls) == by_source(expected)

    async def test_a_client_hears_what_it_does_itself(self, listening: AsyncThoonk) -> None:
        calls: Calls = []
        await listening.register_handler("publish", note(calls))
        await (await listening.feed("f")).publish("x", id="1")
        await until(lambda: calls)
        assert calls == [("f", "x", "1")]

    async def test_a_removed_handler_is_not_called(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        calls: Calls = []
        removed, kept = note(calls, "removed"), note(calls, "kept")
        await listening.register_handler("publish_notice", removed)
        await listening.register_handler("publish", kept)
        feed = await thoonk.feed("f")
        await feed.publish("x", id="1")
        await until(lambda: len(calls) == 2)
        await listening.remove_handler("publish", removed)
        await feed.publish("x", id="2")
        await until(lambda: len(calls) == 3)
        assert [call[0] for call in calls] == ["removed", "kept", "kept"]
        with pytest.raises(InvalidValue):
            await listening.remove_handler("publish", removed)

    async def test_a_handler_that_raises_is_logged_and_the_rest_go_on(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk, caplog: pytest.LogCaptureFixture
    ) -> None:
        def failing(feed: str, item: str, id: str) -> None:
            raise ZeroDivisionError

        calls: Calls = []
        await listening.register_handler("publish", failing)
        await listening.register_handler("publish", note(calls))
        feed = await thoonk.feed("f")
        await feed.publish("x", id="1")
        await feed.publish("x", id="2")
        await until(lambda: len(calls) == 2)
        failures = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [record.name for record in failures] == ["thoonk.listener"] * 2
        assert failures[0].exc_info is not None
        assert failures[0].exc_info[0] is ZeroDivisionError

    async def test_a_handler_may_use_its_client(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        log = await listening.feed("log")

        async def handler(feed: str, item: str, id: str) -> None:
            if feed == "f":
                await pause(0.01)
                await log.publish(f"{id}: {item}", id=id)

        await listening.register_handler("publish", handler)
        feed = await thoonk.feed("f")
        async with log.subscribe() as notices:
            for number in range(3):
                await feed.publish("x", id=f"{number}")
            for _ in range(3):
                await notices.get(10)
        ids = await log.get_ids()
        items = await log.get_all()
        assert [items[id] for id in ids] == ["0: x", "1: x", "2: x"]

    async def test_notices_of_one_handler_come_one_at_a_time_and_in_order(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        calls: Calls = []
        running: list[int] = []

        async def handler(feed: str, item: str, id: str) -> None:
            running.append(1)
            calls.append((id, len(running)))
            await pause(0.001)
            running.pop()

        await listening.register_handler("publish", handler)
        feed = await thoonk.feed("f")
        for number in range(50):
            await feed.publish("x", id=f"{number}")
        await until(lambda: len(calls) == 50)
        assert calls == [(f"{number}", 1) for number in range(50)]

    async def test_config_handlers_are_for_one_feed(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        await thoonk.create_feed("a:b")
        await thoonk.create_feed("other")
        calls: Calls = []
        created: Calls = []
        await listening.register_handler("config:a:b", note(calls))
        await listening.register_handler("create", note(created))
        await thoonk.set_config("other", {"title": "x"})
        await thoonk.set_config("a:b", {"title": "x"})
        await thoonk.create_feed("last")
        await until(lambda: ("last",) in created and calls)
        # The notices of its creation may still have been on their way.
        assert calls in ([("a:b",)], [("a:b",)] * 2)

    async def test_a_feed_is_created_and_deleted_once_for_the_handlers(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        calls: Calls = []
        await listening.register_handler("create_notice", note(calls, "create"))
        await listening.register_handler("delete_notice", note(calls, "delete"))
        for client in (thoonk, other, listening):
            await client.feed("f")
        await other.delete_feed("f")
        await thoonk.create_feed("f", {"type": "queue"})
        await until(lambda: len(calls) >= 3)
        await pause(0.05)
        assert calls == [("create", "f"), ("delete", "f"), ("create", "f")]

    async def test_nothing_is_lost_between_a_feeds_creation_and_its_first_publish(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        calls: Calls = []
        await listening.register_handler("create", note(calls, "create"))
        await listening.register_handler("publish", note(calls, "publish"))
        expected: Calls = []
        for number in range(60):
            client = (thoonk, other, listening)[number % 3]
            await (await client.feed(f"f{number}")).publish("x", id="1")
            expected += [("create", f"f{number}"), ("publish", f"f{number}", "x", "1")]
        await until(lambda: len(calls) == len(expected))
        assert calls == expected

    async def test_items_are_decoded_as_the_feed_is_configured(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        calls: Calls = []
        await listening.register_handler("publish", note(calls))
        await (await thoonk.feed("j", serializer="json")).publish({"a": 1}, id="1")
        await (await thoonk.feed("b", serializer="binary")).publish(b"\xff", id="1")
        await (await thoonk.feed("t")).publish("x", id="1")
        await until(lambda: len(calls) == 3)
        expected = [("b", b"\xff", "1"), ("j", {"a": 1}, "1"), ("t", "x", "1")]
        assert sorted(calls, key=operator.itemgetter(0)) == expected

    async def test_a_changed_serializer_is_noticed(
        self, listening: AsyncThoonk, thoonk: AsyncThoonk
    ) -> None:
        calls: Calls = []
        await listening.register_handler("publish", note(calls))
        await (await thoonk.feed("f")).publish("1", id="1")
        await until(lambda: len(calls) == 1)
        again: Any = await thoonk.feed("f", {"serializer": "json"})
        await again.publish({"a": 1}, id="2")
        await until(lambda: len(calls) == 2)
        assert calls == [("f", "1", "1"), ("f", {"a": 1}, "2")]

    async def test_handlers_are_silent_after_close(self, thoonk: AsyncThoonk) -> None:
        calls: Calls = []
        feed = await thoonk.feed("f")
        async with self.client(listen=True) as listening:
            await listening.register_handler("publish", note(calls))
            await feed.publish("x", id="1")
            await until(lambda: calls)
        async with feed.subscribe() as notices:
            await feed.publish("x", id="2")
            await notices.get(10)
        assert len(calls) == 1

    async def test_a_handler_may_close_its_client(self, thoonk: AsyncThoonk) -> None:
        listening = self.client(listen=True)
        closed: list[bool] = []

        async def handler(feed: str, item: str, id: str) -> None:
            await listening.close()
            closed.append(True)

        await listening.register_handler("publish", handler)
        await (await thoonk.feed("f")).publish("x")
        await until(lambda: closed)
        await listening.close()
        assert closed == [True]
