"""Lines in the log say which feed and item they are about, in fields."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from conftest import World

from thoonk import SerializerError, Thoonk
from thoonk.testing._sync.helpers import until


def fields(caplog: pytest.LogCaptureFixture, logger: str, *names: str) -> dict[str, Any]:
    (record,) = [record for record in caplog.records if record.name == logger]
    assert record.levelno >= logging.WARNING
    return {name: getattr(record, name, None) for name in names}


def test_a_setting_that_is_passed_over(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Thoonk(backend=world.url) as thoonk:
        thoonk.feed("feed")
        world.raw.hset("feed.config:feed", "max_length", "many")
        thoonk.get_config("feed")
    expected = {"feed": "feed", "setting": "max_length"}
    assert fields(caplog, "thoonk.config", "feed", "setting") == expected


def test_a_handler_that_fails(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Thoonk(backend=world.url, listen=True) as thoonk:
        thoonk.register_handler("publish", lambda *_: 1 / 0)
        thoonk.feed("feed").publish("x", id="a")
        until(lambda: bool(caplog.records))
    expected = {"feed": "feed", "id": "a", "event": "handler_failed", "notice": "publish"}
    assert fields(caplog, "thoonk.listener", *expected) == expected


def test_notices_that_are_passed_over(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Thoonk(backend=world.url, listen=True) as thoonk:
        thoonk.register_handler("publish", lambda *_: None)
        numbers = thoonk.feed("numbers", serializer="json")
        with numbers.subscribe() as notices:
            thoonk.feed("numbers", serializer="binary").publish(b"}", id="a")
            numbers.publish(1, id="b")
            assert notices.get(timeout=5).id == "b"  # type: ignore[union-attr]
            until(lambda: len(caplog.records) == 2)
    expected = {"feed": "numbers", "id": "a"}
    assert fields(caplog, "thoonk.notices", "feed", "id") == expected
    assert fields(caplog, "thoonk.listener", "feed", "id") == expected


def test_a_claim_that_cannot_be_cancelled(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("job")
        id = job.put("x")
        claim = job.get(timeout=5)
        job.retract(id)
        with pytest.raises(ZeroDivisionError), claim:
            raise ZeroDivisionError
    assert fields(caplog, "thoonk.job", "feed", "id") == {"feed": "job", "id": id}


def test_what_is_no_notice(real_world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("feed")
        with feed.subscribe() as notices:
            real_world.raw.publish("feed.publish:feed", "no NUL")
            feed.publish("x", id="a")
            assert notices.get(timeout=5).id == "a"  # type: ignore[union-attr]
    assert fields(caplog, "thoonk.notices", "channel") == {"channel": "feed.publish:feed"}


def test_a_connection_for_notices_that_is_lost(
    real_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        with thoonk.feed("feed").subscribe() as notices:
            real_world.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            notices.get(timeout=20)
    assert fields(caplog, "thoonk.notices", "feed") == {"feed": "feed"}


@pytest.mark.parametrize(
    "id", [b"\xff", b"1\nERROR all is lost", b"x" * 10_000], ids=["a", "b", "c"]
)
def test_an_id_of_a_peer_makes_one_line_that_can_be_written(
    world: World, caplog: pytest.LogCaptureFixture, id: bytes
) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("job")
        world.raw.hset("feed.items:job", id, b"\xff")
        world.raw.lpush("feed.ids:job", id)
        with pytest.raises(SerializerError):
            job.get_nowait()
    (line,) = caplog.messages
    assert line.encode()
    assert len(line.splitlines()) == 1
    assert len(line) < 500
    assert "unreadable and cancelled" in line
