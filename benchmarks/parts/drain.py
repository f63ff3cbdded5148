"""How many jobs a second each library's own worker gets through, on all cores."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL


def measure(bench: Bench) -> dict[str, Any]:
    """By contestant, what each round measured from the first job to the last. They do nothing."""
    bench.pin(same_core=False)
    samples: dict[str, Any] = {}
    contestants = [c for c in bench.taking_part(ALL) if c.workers]
    for number in range(bench.rounds):
        say(f"drain, round {number + 1} of {bench.rounds}")
        for contestant in contestants:
            count = bench.count(contestant.jobs)
            with bench.visit(contestant) as child:
                child.call("fill", count=count)
                samples.setdefault(contestant.name, []).append(child.call("drain", count=count))
    return samples
