"""A scan and the close look at an id read the same of it."""

from __future__ import annotations

import pytest
from conftest import World
from garbage import KINDS, VARIANTS, opened_with_an_item, spoil

from thoonk import Thoonk
from thoonk.backends.redis.wire import Keys, keys_of
from thoonk.config import FeedConfig
from thoonk.doctor.item_state import Feed, ItemState
from thoonk.doctor.probe import Probe
from thoonk.doctor.reader import Scan, reads_of, state_of


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_of_reading_tell_the_same(real_world: World, kind: str) -> None:
    assert real_world.server is not None
    feed = Feed("f", kind, keys_of("f"), FeedConfig(type=kind))
    for variant in VARIANTS:
        real_world.raw.flushall()
        with Thoonk(backend=real_world.server.url) as thoonk:
            opened_with_an_item(thoonk, kind)
        spoil(real_world.raw, variant)
        probe = Probe(real_world.raw)
        scanned = list(Scan.of(probe, feed, Keys.STORED).states())
        assert len(scanned) > 1
        for state in scanned:
            replies = next(probe.look([reads_of(feed, state.id)]))
            assert state_of(feed, ItemState(state.id), replies) == state
            # Without a walk through lists, what they held is believed.
            replies = next(probe.look([reads_of(feed, state.id, walk=False)]))
            assert state_of(feed, state, replies, walk=False) == state
