"""A listener's memory of which feeds are in its own db."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from conftest import World

from thoonk import Thoonk
from thoonk.backends.redis import known_feeds
from thoonk.backends.redis.known_feeds import KnownFeeds
from thoonk.operations import FeedIsRegistered
from thoonk.testing._sync.helpers import until
from thoonk.testing._sync.observed import Observed


def test_own_feeds_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_feeds, "MOST_FOREIGN", 3)
    known = KnownFeeds(f"own-{number}" for number in range(10))
    for number in range(5):
        known.remember(f"foreign-{number}", own=False)
    assert all(known.is_own(f"own-{number}") for number in range(10))
    assert [known.is_own(f"foreign-{number}") for number in range(5)] == [None, None, *[False] * 3]
    known.remember("own-1", own=False)
    known.remember("foreign-4", own=True)
    assert (known.is_own("own-1"), known.is_own("foreign-4")) == (False, True)


def test_a_foreign_feed_is_looked_up_once_however_many_own_feeds_there_are(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_feeds, "MOST_FOREIGN", 20)
    assert real_world.server is not None
    real_world.raw.sadd("feeds", *(f"own-{number}" for number in range(200)))
    for number in range(200):
        real_world.raw.hset(f"feed.config:own-{number}", "type", "feed")
    looked_up: list[str] = []
    heard: list[Any] = []
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(contextlib.closing(real_world.server.client(db=1)))
        client = stack.enter_context(Thoonk(backend=real_world.url))

        class Counting(Observed):
            def execute(self, operation: Any) -> Any:
                if isinstance(operation, FeedIsRegistered):
                    looked_up.append(operation.feed)
                return super().execute(operation)

        subscription: Any = client.backend.listen(None)
        stack.callback(subscription.close)
        subscription._pubsub._execute = Counting(client.backend).execute
        for _ in range(5):
            for number in range(10):
                raw.publish(f"feed.publish:foreign-{number}", b"1\0x")
        raw.publish("feed.publish:own-1", b"1\0x")
        until(lambda: heard.append(subscription.get(timeout=10)) or True)
    assert [notice.feed for notice in heard] == ["own-1"]
    assert sorted(looked_up) == sorted(f"foreign-{number}" for number in range(10))
