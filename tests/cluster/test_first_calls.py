"""The first calls after a master was killed: they need no longer than the cluster itself."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clusters import FAILOVER_WITHIN, Cluster, Node, becomes_true
from either import entered, settle

from thoonk import AsyncThoonk, Thoonk

SOON = 1.5
"""Seconds after a failover until the calls that wait for it are answered, with some room."""

TRIES = 6
"""The best one counts: the machine may be busy with something else."""


def takes_over(replica: Node, survivor: Node) -> float:
    """Wait until a node that was left in peace sees the replica as master. Returns when."""

    def is_seen() -> bool:
        lines = [line.split() for line in survivor.call("CLUSTER", "NODES").decode().splitlines()]
        line = next(line for line in lines if line[0] == replica.id)
        return "master" in line[2] and len(line) > 8  # with slots

    becomes_true(is_seen, FAILOVER_WITHIN)
    return time.monotonic()


def blocked_at(node: Node) -> int:
    return int(node.info("clients")["blocked_clients"])


class Timed:
    """Calls of a client for threads or for asyncio, and when they were answered."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def begin(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Task[tuple[Any, float]]:
        return asyncio.ensure_future(self._timed(call, *arguments))

    async def _timed(self, call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
        if inspect.iscoroutinefunction(call):
            return await call(*arguments), time.monotonic()

        def timed() -> tuple[Any, float]:
            return call(*arguments), time.monotonic()

        return await asyncio.get_running_loop().run_in_executor(self._pool, timed)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", [Thoonk, AsyncThoonk])
async def test_calls_and_takers_go_on_soon_after_a_failover(
    cluster: Cluster, client: Callable[..., Any]
) -> None:
    late: list[dict[str, float]] = []
    while len(late) < TRIES and (not late or max(late[-1].values()) >= SOON):
        late.append(await _kill_and_measure(cluster, client))
    assert max(late[-1].values()) < SOON, late


async def _kill_and_measure(cluster: Cluster, client: Callable[..., Any]) -> dict[str, float]:
    """How long after the failover each call was answered."""
    master = cluster.owner("{f}")
    replica, survivor = cluster.replica_of(master), cluster.other_master(master)
    with ThreadPoolExecutor(5) as pool:
        timed = Timed(pool)
        async with (
            entered(client(backend=cluster.url)) as thoonk,
            entered(client(backend=cluster.url)) as taker,
        ):
            queue, job = await settle(thoonk.queue("{f} q")), await settle(thoonk.job("{f} j"))
            taken_queue = await settle(taker.queue("{f} q"))
            taken_job = await settle(taker.job("{f} j"))
            get = functools.partial(taken_queue.get, timeout=60)
            claim = functools.partial(taken_job.get, timeout=60)
            takers = [timed.begin(get), timed.begin(claim)]
            await asyncio.to_thread(becomes_true, lambda: blocked_at(master) == 2)
            cluster.replicate(master)
            try:
                cluster.kill(master)
                putters = [timed.begin(queue.put, "x"), timed.begin(job.put, "y")]
                taken_over = await asyncio.to_thread(takes_over, replica, survivor)
                answers = [await asyncio.wait_for(each, 30) for each in (*putters, *takers)]
                assert answers[2][0] == "x"
                assert answers[3][0].item == "y"
                await settle(answers[3][0].finish())
                names = ("queue put", "job put", "queue get", "job get")
                return {
                    name: when - taken_over for name, (_, when) in zip(names, answers, strict=True)
                }
            finally:
                await asyncio.to_thread(cluster.restart, master)
                await asyncio.to_thread(cluster.settle)
