"""Whatever a peer has written into the keys of a feed: a call answers, or raises a ThoonkError."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest
from calls import CALLS, Call
from conftest import World
from garbage import IDS, KINDS, NUMBERS, VARIANTS, opened_with_an_item, spoil

from thoonk import BackendError, Thoonk, ThoonkError
from thoonk.testing._sync.helpers import until


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c.method}-{'+'.join(c.sends)}")
def test_a_call_answers_or_raises_an_error_of_ours(call: Call, world: World) -> None:
    for variant in VARIANTS:
        world.raw.flushall()
        with Thoonk(backend=world.url) as thoonk:
            made = call.prepare(thoonk)
            spoil(world.raw, variant)
            try:
                call.call(*(made if type(made) is tuple else (made,)))
            except BackendError as error:
                # An error of a script would come in this way: there is none but this.
                assert "holds no number" in str(error)  # noqa: PT017 - not all raise
            except ThoonkError:
                pass


@pytest.mark.parametrize("kind", KINDS)
def test_readers_tell_numbers_that_can_be(kind: str, world: World) -> None:
    for variant in VARIANTS:
        world.raw.flushall()
        with Thoonk(backend=world.url) as thoonk:
            feed: Any = opened_with_an_item(thoonk, kind)
            (id,) = feed.get_ids()
            spoil(world.raw, variant)
            stats = feed.stats()
            told = attrs.asdict(stats)
            assert told.pop("type") == kind
            assert stats.publishes == 0
            assert all(number is None or 0 <= number < 1e12 for number in told.values()), told
            if kind == "job":
                assert stats.finished == feed.get_counts().finished == 0
                assert feed.get_failure_count(id) == 0
            assert thoonk.get_config("f").type == kind


@pytest.mark.parametrize("number", [*NUMBERS[:3], *NUMBERS[4:], b"1_000"])
def test_a_setting_that_is_no_number_counts_as_not_set(number: bytes, world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        job = thoonk.job("f")
        for setting in ("max_failures", "claim_timeout", "result_timeout", "max_item_size"):
            world.raw.hset("feed.config:f", setting, number)
        id = job.put("x" * 50)
        job.get_nowait().cancel()
        with contextlib.suppress(ThoonkError):
            job.maintenance()
        assert job.get_counts().waiting == 1, "neither stalled nor lost"
        job.get_nowait().finish("result")
        assert world.raw.pttl(b"feed.jobfinished:f\0" + id.encode()) > 80_000_000
        feed = thoonk.feed("g")
        world.raw.hset("feed.config:g", "max_length", number)
        feed.publish_many("abc" for _ in range(30))
        assert len(feed) == 30


@pytest.mark.parametrize("id", [id for id in IDS if id == b"" or b"\0" in id])
def test_what_is_no_id_does_not_hold_up_a_queue_for_ever(id: bytes, world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        for kind in ("queue", "job"):
            feed = getattr(thoonk, kind)(kind)
            world.raw.hset(f"feed.items:{kind}", id, "garbage")
            world.raw.rpush(f"feed.ids:{kind}", id)
            feed.put("x")
        assert thoonk.queue("queue").get(timeout=5) == "x"
        thoonk.job("job").get(timeout=5).finish()
        assert thoonk.job("job").get_counts().claimed == 0


CHANNELS = ("feed.publish", "feed.edit", "feed.retract", "feed.position", "job.finish", "feed.x")
AFTER_THE_ID = (b"", b"\0", b"\0\xff", b"\0:", b"\0:zzz", b"\0zzz:", b"\0\0\0", b"\0nonsense")


@pytest.mark.parametrize("kind", ["feed", "sorted_feed"])
def test_whatever_is_said_on_channels_listeners_hear_what_comes_next(
    kind: str, world: World
) -> None:
    heard: list[str] = []
    with Thoonk(backend=world.url, listen=True) as thoonk:
        feed: Any = opened_with_an_item(thoonk, kind)
        for event in ("publish", "edit", "retract", "position", "finish", "create", "delete"):
            thoonk.register_handler(event, lambda *told: heard.extend(map(str, told)))
        with feed.subscribe() as plain, feed.subscribe(resync=True) as synced:
            with world.raw.pipeline(transaction=False) as said:
                for name in (b"f", b"", b"\xff", b"f:g"):
                    for id in (b"", b"\xff", b"a", b"1", b"9" * 70_000):
                        for rest in AFTER_THE_ID:
                            for channel in CHANNELS:
                                said.publish(channel.encode() + b":" + name, id + rest)
                            for channel in ("newfeed", "delfeed", "conffeed"):
                                said.publish(channel, name + rest)
                said.execute()
            last = feed.append("last") if kind == "sorted_feed" else feed.publish("last")
            for subscription in (plain, synced):
                while getattr(subscription.get(timeout=30), "id", None) != last:
                    pass
            until(lambda: last in heard)
