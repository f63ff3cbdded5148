"""Bytes of the server's memory per item that waits, and what is left when it is done."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL

COUNT = 10_000


def measure(bench: Bench) -> dict[str, Any]:
    """By contestant: bytes per item queued and per item done, in two ways of counting."""
    bench.pin(same_core=False)
    results: dict[str, Any] = {}
    say("space")
    for contestant in bench.taking_part(ALL):
        methods = {method for visit in contestant.visits for method in visit}
        fill = next((m for m in ("put", "publish") if m in methods), None)
        if not contestant.stores or fill is None:
            continue
        count = bench.count(COUNT)
        if contestant.workers:
            methods.add("drain")
        end = next((m for m in ("claim", "loop", "drain") if m in methods), None)
        with bench.visit(contestant) as child:
            empty = _bytes(bench)
            child.call(fill, count=count)
            queued = _bytes(bench)
            if end:
                child.call(end, count=count)
            done = _bytes(bench) if end else None
            results[contestant.name] = {
                "count": count,
                "queued": {k: (v - empty[k]) / count for k, v in queued.items()},
                "left": done and {k: (v - empty[k]) / count for k, v in done.items()},
            }
    return results


def _bytes(bench: Bench) -> dict[str, int]:
    client = bench.server.client
    keys = sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter(count=1000))
    return {"used_memory": bench.server.info("memory")["used_memory"], "keys": keys}
