"""Takes that do not recover what has expired unless nothing waits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thoonk import Thoonk
from thoonk.backends.embedded import Core, EmbeddedBackend
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.sqlite import SqliteStore
from thoonk.backends.embedded.store import Row, Store
from thoonk.operations import (
    ClaimRef,
    Completion,
    Entry,
    JobClaim,
    JobExtend,
    JobFinish,
    JobPut,
    QueueTake,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def thoonk(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Thoonk]:
    is_file = request.param == "sqlite"
    store = SqliteStore(str(tmp_path / "feeds.db")) if is_file else MemoryStore()
    backend = EmbeddedBackend(Core(store, clock))
    with Thoonk(backend=backend) as client:
        yield client
    backend.close()


def test_what_a_token_has_taken_stays_its_own_however_old(thoonk: Thoonk, clock: Clock) -> None:
    queue = thoonk.queue("q")
    thoonk.job("j", {"claim_timeout": 5.0}).put("x")
    queue.put("x")
    for take in (QueueTake("q", "t", 1), JobClaim("j", "t", 1)):
        assert len(thoonk.backend.execute(take).entries) == 1
    clock.now += 60
    for take in (
        QueueTake("q", "t", 1, recover_expired=False),
        JobClaim("j", "t", 1, recover_expired=False),
    ):
        assert len(thoonk.backend.execute(take).entries) == 1
    assert thoonk.job("j").get_failure_count(thoonk.job("j").get_ids()[0]) == 0


def test_a_pause_recovers_what_expires(thoonk: Thoonk, clock: Clock) -> None:
    job = thoonk.job("j", {"claim_timeout": 5.0})
    ids = [job.put("x"), job.put("y")]
    assert thoonk.backend.execute(JobClaim("j", "t", 1)).entries[0].id == ids[0]
    job.pause()
    clock.now += 60
    assert not thoonk.backend.execute(JobClaim("j", "u", 1, recover_expired=False)).entries
    assert job.get_counts().waiting == 2


def test_a_put_under_ids_that_are_there_takes_their_place(thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    long = [letter * 3000 for letter in "abcd"]

    def put(*items: tuple[str, str]) -> None:
        entries = tuple(Entry(id, item.encode()) for id, item in items)
        thoonk.backend.execute(JobPut("j", entries))

    put(("1", "one"), ("2", long[0]), ("3", "three"))
    failed = job.get_nowait()
    failed.cancel()
    assert job.stats().failing == 1
    put(("4", long[1]), ("2", long[2]), ("1", "again"), ("5", "five"))
    put(("5", long[3]))
    assert job.get_all() == {"3": "three", "4": long[1], "2": long[2], "1": "again", "5": long[3]}
    assert job.stats().failing == 0
    assert job.stats().publishes == 8
    assert job.get_counts().waiting == 5
    assert [job.get_nowait().id for _ in range(5)] == ["3", "4", "2", "1", "5"]


def test_the_oldest_claim_is_the_same_as_by_looking_at_all(thoonk: Thoonk, clock: Clock) -> None:
    job, chance = thoonk.job("j"), random.Random(1)
    job.put_many(["x"] * 3000)
    store, held = thoonk.backend.core.store, list[ClaimRef]()
    for number in range(300):
        clock.now += chance.choice((0.0, 0.0005, 3.0))
        match chance.choice(("claim", "extend", "finish", "finish oldest")):
            case "claim":
                entries = thoonk.backend.execute(JobClaim("j", str(number), chance.randint(1, 30)))
                held += [ClaimRef(entry.id, str(number)) for entry in entries.entries]
            case "extend" if held:
                some = tuple(chance.sample(held, chance.randint(1, len(held))))
                assert all(thoonk.backend.execute(JobExtend("j", some)))
            case "finish" | "finish oldest" as which if held:
                ended = held.pop(0 if which == "finish oldest" else chance.randrange(len(held)))
                thoonk.backend.execute(JobFinish("j", (Completion(ended.id, ended.token),)))
        with store.lock, store.transaction(writes=False):
            feed = store.find("j")
            found, wanted = store.oldest_claim(feed), Store.oldest_claim(store, feed)
        assert (found is None) == (wanted is None)
        # Those that were claimed together are up to a millisecond apart.
        assert found is None or 0 <= found - wanted < 1000


def test_memory_finds_the_oldest_claim_without_looking_at_all() -> None:
    with Thoonk(backend=EmbeddedBackend(Core(MemoryStore()))) as thoonk:
        job = thoonk.job("j")
        job.put_many(["x"] * 2000)
        held = [claim for _ in range(2) for claim in job.get_many(1000)]
        some = tuple(ClaimRef(claim.id, claim.token) for claim in held[:1000])
        thoonk.backend.execute(JobExtend("j", some))
        store, limits = thoonk.backend.core.store, [0]
        rows = store.rows

        def counted(*args: Any, limit: int, **more: Any) -> list[Row]:
            limits.append(limit)
            return rows(*args, limit=limit, **more)

        store.rows = counted
        assert job.stats().oldest_claimed is not None
        assert max(limits) < 1000


def test_a_file_finds_the_oldest_claim_without_looking_at_all(tmp_path: Path) -> None:
    with Thoonk(backend=f"sqlite:///{tmp_path / 'feeds.db'}") as thoonk:
        job = thoonk.job("j")
        job.put_many(["x"] * 5000)
        held = [claim for _ in range(5) for claim in job.get_many(1000)]
        steps = list[None]()
        db = thoonk.backend.core.store.db
        db.set_progress_handler(lambda: steps.append(None), 1)
        for start in range(0, 5000, 1000):
            some = tuple(ClaimRef(claim.id, claim.token) for claim in held[start : start + 1000])
            thoonk.backend.execute(JobExtend("j", some))
            steps.clear()
            assert job.stats().oldest_claimed is not None
            assert len(steps) < 1000
