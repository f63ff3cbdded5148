"""A watched backend does what the backend does, and its observers see all of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, Closed, Empty, NotClaimed, Published, Thoonk
from thoonk import operations as ops
from thoonk.backends import open_async_backend, open_backend
from thoonk.backends.memory import MemoryBackend
from thoonk.notices import Notice
from thoonk.observe import AsyncObservedBackend, ObservedBackend


class Recorder:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool, object]] = []
        self.notices: list[Notice] = []
        self.inside = 0

    @contextmanager
    def call(
        self, operation: ops.Operation[Any], *, waiting: bool
    ) -> Iterator[Callable[[Any], object]]:
        answers: list[Any] = []
        self.inside += 1
        try:
            yield answers.append
        except Exception as error:
            answers.append(error)
            raise
        finally:
            self.inside -= 1
            self.calls.append((type(operation).__name__, waiting, answers[0]))

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)


def test_what_threads_do_is_seen(world: World) -> None:
    first, second = Recorder(), Recorder()
    with ObservedBackend(world.url, first, second) as backend, Thoonk(backend=backend) as thoonk:
        job = thoonk.job("job")
        with job.subscribe():
            id = job.put("x")
            claim = job.get(timeout=5)
            claim.finish("done")
            with pytest.raises(NotClaimed):
                job.finish(id)
            with pytest.raises(Empty):
                job.get(timeout=1)
        feed = thoonk.feed("feed")
        with feed.subscribe(resync=True) as notices:
            feed.publish("item", id="a")
            assert notices.get(timeout=5) == Published("feed", "a", "item")
        assert "ObservedBackend of" in repr(thoonk)
    assert first.calls == second.calls
    assert first.inside == 0
    done = [(name, waiting) for name, waiting, _ in first.calls]
    assert done[:2] == [("CreateFeed", False), ("RegisterFeed", False)]
    assert [name for name, _ in done[2:6]] == ["JobPut", "JobClaim", "JobFinish", "JobFinish"]
    assert ("JobClaim", True) in done
    answers = {name: answer for name, _, answer in first.calls[:5]}
    batch = answers["JobClaim"]
    assert isinstance(batch, ops.Batch)
    assert batch.entries[0].id == id
    assert isinstance(first.calls[5][2], NotClaimed)
    assert Published("feed", "a", b"item") in first.notices
    assert first.notices == second.notices


async def test_what_tasks_do_is_seen(world: World) -> None:
    recorder = Recorder()
    async with AsyncObservedBackend(world.url, recorder) as backend:
        async with AsyncThoonk(backend=backend) as thoonk:
            queue = await thoonk.queue("queue")
            await queue.put("x")
            assert await queue.get(timeout=5) == "x"
            with pytest.raises(Empty):
                await queue.get(timeout=1)
            feed = await thoonk.feed("feed")
            async with feed.subscribe() as notices:
                await feed.publish("item", id="a")
                assert await notices.get(timeout=5) == Published("feed", "a", "item")
    names = [name for name, _, _ in recorder.calls]
    assert names[2:5] == ["QueuePut", "QueueTake", "QueueConfirm"]
    assert ("QueueTake", True) in [call[:2] for call in recorder.calls]
    assert recorder.notices == [Published("feed", "a", b"item")]


def test_it_closes_what_it_has_opened_and_nothing_else(world: World) -> None:
    own = ObservedBackend(world.url)
    own.execute(ops.FeedNames())
    own.close()
    with pytest.raises(Closed):
        own.execute(ops.FeedNames())
    given, _ = open_backend(world.url)
    with ObservedBackend(given) as backend:
        backend.execute(ops.FeedNames())
    assert given.execute(ops.FeedNames()) == frozenset()
    given.close()


async def test_so_does_its_twin(world: World) -> None:
    own = AsyncObservedBackend(world.url)
    await own.execute(ops.FeedNames())
    await own.close()
    with pytest.raises(Closed):
        await own.execute(ops.FeedNames())
    given, _ = open_async_backend(world.url)
    async with AsyncObservedBackend(given) as backend:
        await backend.execute(ops.FeedNames())
    assert await given.execute(ops.FeedNames()) == frozenset()
    await given.close()


def test_nothing_of_it_is_there_when_it_is_not_used() -> None:
    """No module is imported, and a call goes to the backend's own method directly.

    (redis-py imports OpenTelemetry where it is installed.)
    """
    program = """
import sys, thoonk
ours = ("thoonk.observe", "thoonk.doctor")
print([name for name in sys.modules if name.startswith((*ours, "opentelemetry", "prometheus"))])
with thoonk.Thoonk(backend="memory") as client:
    job = client.job("job")
    job.put("x")
    job.get(timeout=5).finish("y")
print([name for name in sys.modules if name.startswith((*ours, "prometheus"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n[]\n"), done.stderr
    with Thoonk(backend="memory") as thoonk:
        feed = thoonk.feed("feed")
        assert type(thoonk.backend) is MemoryBackend
        assert feed._execute == thoonk.backend.execute
