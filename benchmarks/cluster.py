"""What an operation costs the servers of a cluster, compared with a single server.

    python benchmarks/cluster.py [--server PROGRAM] [--rounds 7] [--jobs 4800]

Starts a cluster of three masters, and a single server, each with a replica, and lets a client put,
claim and finish jobs on both in turns, and publish to feeds. Three masters get three times as much
as one, so each has the same load. Measured is the processor time of the masters, less what they use
in the same time when there is nothing to do. So it does not matter much how busy the machine is.

Prints a table: microseconds of all masters together for each operation, and the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).parents[1] / "tests")]

import clusters

from benchmarks.server import find_binary
from thoonk import AsyncThoonk
from thoonk.testing import servers

FEEDS = 24
"""Feeds of each kind, so that each master has some."""

AT_ONCE = 48
"""Calls at once for each master."""

IDLE = 2.0
"""Seconds for which it is measured what a server uses with nothing to do."""


class Place:
    """Where it is measured: a URL, and the processor time of its masters."""

    def __init__(self, url: str, masters: list[Any]) -> None:
        self.url = url
        self.size = len(masters)
        self._masters = masters
        self._idle = 0.0

    def used(self) -> float:
        """Seconds of the processor, of all masters together."""
        facts = [master.info("cpu") for master in self._masters]
        return sum(float(f["used_cpu_user"]) + float(f["used_cpu_sys"]) for f in facts)

    def measure_idle(self) -> None:
        """Learn what it uses in a second with nothing to do."""
        before, began = self.used(), time.monotonic()
        time.sleep(IDLE)
        self._idle = (self.used() - before) / (time.monotonic() - began)

    async def cost(self, work: Any, thoonk: Any, count: int) -> float:
        """Microseconds for each of ``count`` operations."""
        before, began = self.used(), time.monotonic()
        await work(thoonk, count, self.size)
        seconds = time.monotonic() - began
        return (self.used() - before - self._idle * seconds) / count * 1e6


@contextlib.contextmanager
def single(binary: str) -> Iterator[Place]:
    """A server with a replica."""
    with servers.running(binary) as master:
        words = ("--replicaof", f"127.0.0.1 {master.port}")
        with servers.running(binary, *words), contextlib.closing(master.client()) as raw:
            clusters.becomes_true(lambda: raw.info("replication")["connected_slaves"] == 1)
            yield Place(master.url, [raw])


@contextlib.contextmanager
def cluster(binary: str) -> Iterator[Place]:
    """Three masters with a replica each."""
    with clusters.running_cluster(binary) as found:
        yield Place(found.url, found.masters())


async def spread(count: int, size: int, step: Any) -> None:
    """Some loops at once, which together take so many steps."""

    async def loop(number: int) -> None:
        for _ in range(count // (size * AT_ONCE)):
            await step(number)

    await asyncio.gather(*map(loop, range(size * AT_ONCE)))


async def work_on_jobs(thoonk: Any, count: int, size: int) -> None:
    """Put, claim and finish."""
    jobs = [await thoonk.job(f"{{jobs {number}}}") for number in range(FEEDS)]

    async def step(number: int) -> None:
        job = jobs[number % FEEDS]
        await job.put("x" * 100)
        await (await job.get(timeout=10)).finish()

    await spread(count, size, step)


async def publish(thoonk: Any, count: int, size: int) -> None:
    """Publish to feeds that keep ten items."""
    feeds = [await thoonk.feed(f"{{feed {number}}}", {"max_length": 10}) for number in range(FEEDS)]
    await spread(count, size, lambda number: feeds[number % FEEDS].publish("x" * 100))


WORK = {"a job: put, get, finish": work_on_jobs, "a publish without subscribers": publish}


async def measure(places: list[Place], rounds: int, count: int) -> None:
    """In turns, and print the medians."""
    print("| µs of all masters | a single server | three masters | ratio |\n|---|---|---|---|")
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(AsyncThoonk(backend=place.url)) for place in places
        ]
        for name, work in WORK.items():
            found: list[list[float]] = [[] for _ in places]
            for place, client in zip(places, clients, strict=True):
                # Opens feeds, connects, loads scripts.
                await work(client, place.size * AT_ONCE * 4, place.size)
            for place in places:
                place.measure_idle()
            for _ in range(rounds):
                for place, client, costs in zip(places, clients, found, strict=True):
                    costs.append(await place.cost(work, client, place.size * count))
            one, three = map(statistics.median, found)
            ratio = statistics.median(b / a for a, b in zip(*found, strict=True))
            print(f"| {name} | {one:.1f} | {three:.1f} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])  # type: ignore[union-attr]
    parser.add_argument("--server", help="a program; default: the first that is found")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=4800, help="for each master")
    options = parser.parse_args()
    binary = options.server or find_binary()
    with single(binary) as one, cluster(binary) as three:
        asyncio.run(measure([one, three], options.rounds, options.jobs))


if __name__ == "__main__":
    main()
