"""A queue's item whose confirmation is never answered is not lost with the error."""

from __future__ import annotations

import pytest
from conftest import World

from thoonk import InvalidValue, OutcomeUnknown, Thoonk
from thoonk.testing.proxy import Cut, between


def test_an_item_whose_confirmation_got_no_answer_is_in_the_error(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy, Thoonk(backend=proxy.url, retry_for=0) as thoonk:
        queue = thoonk.queue("q")
        queue.put("item")
        queue.get_nowait()
        queue.put("precious")
        proxy.armed = [None, Cut.AFTER]
        with pytest.raises(OutcomeUnknown) as caught:
            queue.get(timeout=1)
        assert caught.value.item == "precious"
        assert not real_world.raw.exists("feed.items:q")


@pytest.mark.parametrize("retry_for", [-1, 301, "5"])
def test_retrying_has_bounds(retry_for: object) -> None:
    with pytest.raises((InvalidValue, TypeError)):
        Thoonk("localhost", retry_for=retry_for)
