"""How long the server is away while one bulk call goes on."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import BULK, PINGER

COUNT = 50_000


def measure(bench: Bench) -> dict[str, Any]:
    """By contestant and method, per round: the longest PING and the longest script, in ms."""
    bench.pin(same_core=False)
    results: dict[str, Any] = {}
    client = bench.server.client
    client.config_set("slowlog-log-slower-than", 100)
    client.config_set("slowlog-max-len", 10_000)
    for number in range(bench.rounds):
        say(f"pauses, round {number + 1} of {bench.rounds}")
        with bench.child(PINGER) as pinger:
            for contestant in bench.taking_part(BULK):
                for visit in contestant.visits:
                    count = max(1_000, bench.count(COUNT))
                    with bench.visit(contestant) as child:
                        for method in visit:
                            client.slowlog_reset()
                            pinger.call("start")
                            child.call(method, count=count)
                            longest: float = pinger.call("stop")
                            slow = client.slowlog_get(10_000)
                            sample = {
                                "ping_ms": longest,
                                "script_ms": max((s["duration"] for s in slow), default=0) / 1000,
                            }
                            by_method = results.setdefault(contestant.name, {})
                            by_method.setdefault(method, []).append(sample)
    return results
