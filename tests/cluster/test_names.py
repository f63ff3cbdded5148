"""Names of feeds on a cluster, and the slots of their keys."""

from __future__ import annotations

import attrs
import pytest
from clusters import Cluster, slot_of

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends.redis.slots import check_tagged
from thoonk.backends.redis.wire import Keys, keys_of
from thoonk.exceptions import InvalidValue


@pytest.mark.parametrize("name", ["orders", "a{}b", "{}{a}", "a{b", "a}b", "}a{", "{", "{a"])
def test_a_name_whose_keys_would_be_in_many_slots_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="part of a feed's name is in braces"):
        check_tagged(name)


@pytest.mark.parametrize("name", ["{orders}", "a{b}c", "{a}{}", "{ü}", "{{a}", "{a b}:c"])
def test_all_keys_of_other_names_are_in_one_slot(name: str) -> None:
    check_tagged(name)
    keys = keys_of(name)
    stored = [getattr(keys, key) for key in Keys.STORED if key not in ("feeds", "workers")]
    stored += [keys.result("}"), keys.result("{x}"), *attrs.astuple(keys)[1:]]
    assert {slot_of(key) for key in stored} == {slot_of(name)}


def test_the_error_shows_how_to_write_it_and_nothing_is_sent() -> None:
    # Nobody listens there: a call that was sent would fail otherwise.
    with Thoonk(backend="redis+cluster://127.0.0.1:1") as thoonk:
        with pytest.raises(InvalidValue, match=r"use '{orders}' instead of 'orders'"):
            thoonk.queue("orders")
        with pytest.raises(InvalidValue, match="instead of 'orders'"):
            thoonk.delete_feed("orders")


async def test_the_same_for_asyncio() -> None:
    async with AsyncThoonk(backend="redis+cluster://127.0.0.1:1") as thoonk:
        with pytest.raises(InvalidValue, match=r"use '{orders}' instead of 'orders'"):
            await thoonk.job("orders")


def test_feeds_are_on_all_nodes(cluster: Cluster) -> None:
    names = {f"{{feed {number}}}" for number in range(30)}
    with Thoonk(backend=cluster.url) as thoonk:
        for name in names:
            thoonk.feed(name).publish("x", id="1")
        assert thoonk.get_feed_names() == names
    assert all(node.call("DBSIZE") > 5 for node in cluster.masters())
