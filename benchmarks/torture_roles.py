"""One process of the torture run: does its work and writes down what it was told.

    python torture_roles.py ROLE STYLE NAME URL FOLDER CONFIRM_WITHIN

A line is written before a call (its kind ends in «?») and another after it, each with one
system call: what was written outlives the process, whatever happens to it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if clock := os.environ.get("THOONK_TORTURE_CLOCK"):
    # Before anybody has taken hold of it. Not by faketime, for which sleeping fails after a step.
    _time = time.time
    time.time = lambda: _time() + float(Path(clock).read_text("ascii"))

from thoonk import AsyncThoonk, Empty, NotClaimed, Thoonk, ThoonkError, operations
from thoonk.backends import open_async_backend, open_backend
from thoonk.exceptions import NotReplicated, OutcomeUnknown

T = TypeVar("T")

JOBS, QUEUE, FEED = "{jobs}", "{queue}", "{feed}"
"""In braces: on a cluster, that decides where they are."""
THE_END = "the end"
TASKS = 3
"""How many an async process does at once."""


class Journal:
    """An append-only file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, kind: str, *words: str) -> None:
        """One line: the time since the machine was started, its kind, and what it is about."""
        os.write(self._file, ("\t".join([repr(time.monotonic()), kind, *words]) + "\n").encode())


class Watched:
    """A backend that writes down what is about to be confirmed."""

    def __init__(self, backend: Any, journal: Journal) -> None:
        self._backend = backend
        self._journal = journal
        self.wait, self.listen, self.close = backend.wait, backend.listen, backend.close

    def execute(self, operation: Any) -> Any:
        """As the backend's."""
        self.note(operation)
        return self._backend.execute(operation)

    def note(self, operation: Any) -> None:
        """Write it down if need be."""
        if isinstance(operation, operations.QueueConfirm):
            self._journal.write("confirm?", *operation.ids)


class AsyncWatched(Watched):
    """The same for asyncio."""

    async def execute(self, operation: Any) -> Any:
        """As the backend's."""
        self.note(operation)
        return await self._backend.execute(operation)


async def settle(value: Awaitable[T] | T) -> T:
    """The value itself, of a sync client or of an async one."""
    return await value if inspect.isawaitable(value) else value


class Beat:
    """A claim's heartbeat as an async context manager, of either client."""

    def __init__(self, heartbeat: Any) -> None:
        self._heartbeat = heartbeat
        self._is_async = hasattr(heartbeat, "__aenter__")

    async def __aenter__(self) -> None:
        await settle(
            self._heartbeat.__aenter__() if self._is_async else self._heartbeat.__enter__()
        )

    async def __aexit__(self, *error: object) -> None:
        leave = self._heartbeat.__aexit__ if self._is_async else self._heartbeat.__exit__
        await settle(leave(*error))


class Role:
    """What one process does. A sync client blocks the loop, in which nothing else runs then."""

    def __init__(self, role: str, style: str, name: str, url: str, folder: Path) -> None:
        self.role = role
        self.style = style
        self.name = name
        self.url = url
        self.stop = folder / f"stop-{role}"
        self.journal = Journal(folder / f"{name}.journal")

    async def open(self) -> Any:
        """A client whose backend is watched."""
        if self.style == "async":
            return AsyncThoonk(backend=AsyncWatched(open_async_backend(self.url)[0], self.journal))
        return Thoonk(backend=Watched(open_backend(self.url)[0], self.journal))

    async def run(self) -> None:
        """Do it until it is told to stop."""
        while True:
            try:
                thoonk = await self.open()
            except ThoonkError as error:
                # A file on a full disk cannot even be opened.
                self.journal.write("error", type(error).__name__)
                await asyncio.sleep(0.05)
            else:
                break
        work = {
            "producer": self.produce,
            "worker": self.work,
            "taker": self.take,
            "subscriber": self.subscribe,
        }[self.role]
        if self.style == "handler":
            work = self.listen
        tasks = TASKS if self.style == "async" and self.role in ("worker", "taker") else 1
        await asyncio.gather(*(self.repeat(work, thoonk) for _ in range(tasks)))

    async def repeat(self, work: Any, thoonk: Any) -> None:
        """Go on after errors: what is told to the caller is what is being counted."""
        while not self.stop.exists():
            try:
                await work(thoonk)
            except ThoonkError as error:
                self.journal.write("error", type(error).__name__)
                await asyncio.sleep(0.05)

    async def produce(self, thoonk: Any) -> None:
        """Put and publish, a little at a time."""
        calls = {
            JOBS: (await settle(thoonk.job(JOBS))).put,
            QUEUE: (await settle(thoonk.queue(QUEUE))).put,
            FEED: (await settle(thoonk.feed(FEED))).publish,
        }
        self.journal.write("ready")
        number = 0
        while not self.stop.exists():
            for feed, call in calls.items():
                number += 1
                item = f"{self.name}-{feed}-{number}-{time.monotonic_ns()}"
                self.journal.write("put?", feed, item)
                try:
                    id = await settle(call(item))
                except ThoonkError as error:
                    is_unknown = isinstance(error, (OutcomeUnknown, NotReplicated))
                    kind = "unknown" if is_unknown else "refused"
                    self.journal.write(kind, feed, item)
                    self.journal.write("error", type(error).__name__)
                else:
                    self.journal.write("put", feed, item, id)
            await asyncio.sleep(random.uniform(0.01, 0.06))

    async def work(self, thoonk: Any) -> None:
        """Claim and finish; some jobs take longer than a claim lasts and are kept alive."""
        jobs = await settle(thoonk.job(JOBS))
        timeout = (await settle(thoonk.get_config(JOBS))).claim_timeout
        self.journal.write("ready")
        while not self.stop.exists():
            try:
                claim = await settle(jobs.get(timeout=1))
            except Empty:
                continue
            self.journal.write("got", claim.id, str(claim.cancelled))
            # A sync sleep in a sync process, so that the heartbeat has to do without the loop.
            pause = asyncio.sleep if self.style == "async" else time.sleep
            try:
                if random.random() < 0.01:
                    async with Beat(claim.heartbeat()):
                        await settle(pause(timeout * random.uniform(1.1, 1.5)))  # type: ignore[func-returns-value]
                else:
                    await settle(pause(random.uniform(0.01, 0.06)))  # type: ignore[func-returns-value]
                self.journal.write("finish?", claim.id)
                await settle(claim.finish("done"))
            except NotClaimed:
                self.journal.write("fenced", claim.id)
            else:
                self.journal.write("finish", claim.id, claim.item, str(claim.cancelled))

    async def take(self, thoonk: Any) -> None:
        """Take from the queue."""
        queue = await settle(thoonk.queue(QUEUE))
        self.journal.write("ready")
        while not self.stop.exists():
            try:
                item = await settle(queue.get(timeout=1))
            except Empty:
                continue
            self.journal.write("took", item)

    async def subscribe(self, thoonk: Any) -> None:
        """Write down every notice, and every gap."""
        feed = await settle(thoonk.feed(FEED))
        subscription = feed.subscribe()
        is_async = self.style == "async"
        await settle(subscription.__aenter__() if is_async else subscription.__enter__())
        try:
            self.journal.write("subscribed")
            self.journal.write("ready")
            while not self.stop.exists():
                try:
                    notice = await settle(subscription.get(timeout=1))
                except Empty:
                    continue
                kind = type(notice).__name__
                if kind == "Gap":
                    self.journal.write("gap")
                elif kind == "Published":
                    self.journal.write("notice", notice.id)
        finally:
            await settle(subscription.close())

    async def listen(self, _: Any) -> None:
        """The same with handlers."""
        with Thoonk(backend=self.url, listen=True) as thoonk:
            thoonk.register_handler("gap", lambda _: self.journal.write("gap"))
            thoonk.register_handler(
                "publish", lambda *words: self.journal.write("notice", words[2])
            )
            self.journal.write("subscribed")
            self.journal.write("ready")
            while not self.stop.exists():
                time.sleep(0.05)  # noqa: ASYNC251


def main() -> None:
    """Run one role."""
    role, style, name, url, folder, confirm_within = sys.argv[1:]
    operations.CONFIRM_WITHIN = float(confirm_within)
    asyncio.run(Role(role, style, name, url, Path(folder)).run())


if __name__ == "__main__":
    main()
