"""How many calls a second, client and server on one core."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL

COUNT = 3_000
"""Items per measurement."""

MANY = 20_000
"""Items per measurement of bulk calls; at least one chunk of a thousand."""


def measure(bench: Bench) -> dict[str, Any]:
    """By method and contestant, what each round measured."""
    bench.pin(same_core=True)
    visits = [(c, visit) for c in bench.taking_part(ALL) for visit in c.visits]
    # Those who do the same come right after each other, so that the machine treats them alike.
    order = list(dict.fromkeys(visit[-1] for _, visit in visits))
    visits.sort(key=lambda pair: order.index(pair[1][-1]))
    samples: dict[str, Any] = {}
    for number in range(bench.rounds):
        say(f"rates, round {number + 1} of {bench.rounds}")
        for contestant, visit in visits:
            in_bulk = visit[0].endswith("_many")
            count = max(1_000, bench.count(MANY)) if in_bulk else bench.count(COUNT)
            with bench.visit(contestant) as child:
                for method in visit:
                    sample = child.call(method, count=count)
                    if method != "fill":
                        by_contestant = samples.setdefault(method, {})
                        by_contestant.setdefault(contestant.name, []).append(sample)
    return samples
