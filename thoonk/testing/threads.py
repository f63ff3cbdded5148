"""Many threads with one client, and the operators, which only synchronous clients have."""

from __future__ import annotations

import pytest

from thoonk.testing._sync.contract import Contract
from thoonk.testing._sync.helpers import Background


class ThreadContract(Contract):
    """What only synchronous clients do: many threads with one of them, ``len`` and ``in``."""

    # --- operators --------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["feed", "sorted_feed", "queue", "job"])
    def test_len_and_in(self, kind: str) -> None:
        with self.client() as thoonk:
            feed = getattr(thoonk, kind)("f")
            put = {"feed": "publish", "sorted_feed": "append", "queue": "put", "job": "put"}[kind]
            assert len(feed) == 0
            assert feed  # an empty feed is still a feed
            ids = [getattr(feed, put)("x") for _ in range(3)]
            assert len(feed) == 3
            assert all(id in feed for id in ids)
            assert "nowhere" not in feed
            assert 5 not in feed

    @pytest.mark.parametrize("kind", ["feed", "sorted_feed"])
    def test_iteration_gives_ids_in_order(self, kind: str) -> None:
        with self.client() as thoonk:
            feed = getattr(thoonk, kind)("f")
            ids = [feed.publish("x") for _ in range(3)]
            ids.remove(first := ids[0])
            if kind == "feed":
                feed.publish("y", id=first)
            else:
                feed.move_last(first)
            assert list(feed) == [*ids, first]
            items = feed.get_all()
            assert [items[id] for id in feed] == ["x", "x", "y" if kind == "feed" else "x"]

    # --- threads ----------------------------------------------------------------------------

    def test_one_client_serves_many_threads_at_once(self) -> None:
        with self.client() as thoonk:
            feed = thoonk.feed("f")

            def publish_some(number: int) -> None:
                for index in range(30):
                    feed.publish("x", id=f"{number}-{index}")

            workers = [Background(publish_some, number) for number in range(6)]
            for worker in workers:
                worker.result(30)
            ids = feed.get_ids()
            assert len(ids) == 180
            for number in range(6):
                own = [id for id in ids if id.startswith(f"{number}-")]
                assert own == [f"{number}-{index}" for index in range(30)]
