"""Stores of third parties: how they are given to the engine, and what the example in LMDB does."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from thoonk import AsyncThoonk, BackendFull, Thoonk
from thoonk.backends import Opener
from thoonk.backends.embedded import EmbeddedBackend, MemoryStore, Store, StoreOpener


class Closing(MemoryStore):
    """It tells whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_backends_on_one_store_share_its_feeds_and_wake_each_other() -> None:
    store = Closing()
    first, second = EmbeddedBackend(store), EmbeddedBackend(store)
    putter, getter = Thoonk(backend=first).queue("q"), Thoonk(backend=second).queue("q")
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(getter.get(timeout=60)))
    thread.start()
    while not first.core.waiters.feeds():
        assert thread.is_alive()
        time.sleep(0.001)
    putter.put("hello")
    thread.join(60)
    assert got == ["hello"]
    first.close()
    assert not store.is_closed
    second.close()
    assert store.is_closed


def test_a_store_without_one_of_its_methods_cannot_be_made() -> None:
    class Half(MemoryStore):
        rows = Store.rows

    with pytest.raises(TypeError, match="rows"):
        Half()


async def test_a_store_is_opened_by_its_url_and_with_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []

    def open_store(url: str, **options: Any) -> Store:
        opened.append((url, options))
        return Closing()

    opener = StoreOpener(open_store)
    assert isinstance(opener, Opener)
    monkeypatch.setattr("thoonk.backends._opener_of", lambda scheme: opener)
    with Thoonk(backend="mine://a", size=1) as thoonk:
        thoonk.queue("q").put("x")
        store = thoonk.backend.core.store
    assert store.is_closed
    async with AsyncThoonk(backend="mine://b") as other:
        await (await other.queue("q")).put("x")
    assert opened == [("mine://a", {"size": 1}), ("mine://b", {})]


def test_a_full_store_in_lmdb_keeps_what_it_has_and_nothing_half(tmp_path: Path) -> None:
    lmdb_store = pytest.importorskip("lmdb_store")
    backend = EmbeddedBackend(lmdb_store.LmdbStore(str(tmp_path), size=2**20, sync=False))
    jobs = Thoonk(backend=backend).job("j")
    ids = []
    with pytest.raises(BackendFull, match="is full; nothing was done"):
        while len(ids) < 10_000:
            ids += jobs.put_many(["x" * 1000] * 10)
    assert sorted(jobs.get_ids()) == sorted(ids)
    backend.close()
    backend = EmbeddedBackend(lmdb_store.LmdbStore(str(tmp_path), size=2**22, sync=False))
    jobs = Thoonk(backend=backend).job("j")
    assert jobs.get_counts().waiting == len(ids)
    assert jobs.put("y") in jobs
    backend.close()
