"""How many calls a second, client and server on one core."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL, Contestant
from benchmarks.child import ContestantFailed

COUNTS = {"put_many": 20_000, "publish_many": 20_000, "claim_many": 20_000}
COUNT = 3_000
"""Items per measurement."""


def measure(bench: Bench) -> dict[str, Any]:
    """By method and contestant, what each round measured."""
    bench.pin(same_core=True)
    samples: dict[str, Any] = {}
    for number in range(bench.rounds):
        say(f"rates, round {number + 1} of {bench.rounds}")
        for contestant in bench.taking_part(ALL):
            for visit in contestant.visits:
                for method, sample in _visit(bench, contestant, visit).items():
                    by_contestant = samples.setdefault(method, {})
                    by_contestant.setdefault(contestant.name, []).append(sample)
    return samples


def _visit(bench: Bench, contestant: Contestant, visit: tuple[str, ...]) -> dict[str, Any]:
    bench.server.empty()
    count = bench.count(COUNTS.get(visit[-1], COUNT))
    measured = {}
    try:
        with bench.child(contestant) as child:
            for method in visit:
                sample = child.call(method, count=count)
                if method != "fill":
                    measured[method] = sample
    except ContestantFailed as error:
        say(f"{contestant.name} cannot {visit}: {error}")
        return {}
    return measured
