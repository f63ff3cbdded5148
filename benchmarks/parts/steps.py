"""The longest step that calls make the server do when there are very many jobs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench, say
from thoonk import Thoonk

JOBS = 1_000_000
MANY = 50_000


def measure(bench: Bench) -> dict[str, Any]:
    """By call: the longest script in ms, the seconds it took, and the load of the machine."""
    client = bench.server.client
    client.flushall()
    client.config_set("slowlog-log-slower-than", 100)
    client.config_set("slowlog-max-len", 100_000)
    jobs, many = max(5_000, bench.count(JOBS)), max(1_000, bench.count(MANY))
    results: dict[str, Any] = {}

    def step(name: str, call: Callable[[], Any]) -> Any:
        say(f"steps: {name}")
        client.slowlog_reset()
        began = time.monotonic()
        answer = call()
        taken = time.monotonic() - began
        slow = [s["duration"] for s in client.slowlog_get(100_000) if b"EVAL" in s["command"][:8]]
        results[name] = {
            "script_ms": max(slow, default=0) / 1000,
            "seconds": taken,
            "load": os.getloadavg()[0],
            "jobs": jobs,
            "many": many,
        }
        return answer

    with Thoonk(backend=bench.server.url) as thoonk:
        job = thoonk.job("j", {"claim_timeout": 3600})
        ids = step("put all", lambda: job.put_many("x" * 20 for _ in range(jobs)))
        step("retract the oldest", lambda: job.retract_many(ids[:many]))
        step("retract the newest", lambda: job.retract_many(ids[-many:]))
        scattered = random.sample(ids[many:-many], many // 10)
        step("retract a tenth as many, scattered", lambda: job.retract_many(scattered))
        claims = step(
            "claim", lambda: [c for _ in range(max(1, many // 1000)) for c in job.get_many(1000)]
        )
        step(
            "finish with results",
            lambda: job.finish_many(claims[: many // 2], ["done"] * (many // 2)),
        )
        left: list[Any] = client.zrange("feed.claimed:j", 0, -1)
        for start in range(0, len(left), 1000):
            client.zadd("feed.claimed:j", dict.fromkeys(left[start : start + 1000], 1e12))
        step("maintenance: claims that have run out", job.maintenance)
        client.rpop("feed.ids:j")
        step("maintenance: one job is lost", job.maintenance)
        step("delete_feed", lambda: thoonk.delete_feed("j"))
    return results
