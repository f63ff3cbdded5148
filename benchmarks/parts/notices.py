"""How long a notice is under way, and how fast notices that wait are read."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import NOTICES

STAMPED = 1_000
WAITING = 10_000
"""Items per measurement."""


def measure(bench: Bench) -> dict[str, Any]:
    """By contestant: latencies in µs, and what draining took, per round."""
    bench.pin(same_core=False)
    results: dict[str, Any] = {}
    for number in range(bench.rounds):
        say(f"notices, round {number + 1} of {bench.rounds}")
        for contestant in bench.taking_part(NOTICES):
            with bench.visit(contestant) as sender, bench.child(contestant) as listener:
                listener.call("subscribe")
                count = bench.count(STAMPED)
                listener.ask("latencies", count=count)
                sender.call("send_stamped", count=count)
                latencies = sorted(listener.answer())
                count = bench.count(WAITING)
                sender.call("send_many", count=count)
                sample = listener.call("drain", count=count)
                sample["p50"] = latencies[len(latencies) // 2]
                sample["p99"] = latencies[len(latencies) * 99 // 100]
                results.setdefault(contestant.name, []).append(sample)
    return results
