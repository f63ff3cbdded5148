"""Many calls at once, workers that do a hundred jobs at once, and bulk calls."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import AT_ONCE

ONE_BY_ONE = 2_000
COUNT = 10_000
"""Items per measurement, with one call at a time and with more."""

JOBS = 30_000
MANY = 20_000

WARM_UP = 2_000
"""Items before each measurement, in the same process: Node compiles what runs often."""

TASKS = 100
"""Jobs that a worker does at once."""


def measure(bench: Bench) -> dict[str, Any]:
    """By method and contestant, what each round measured; of calls, by how many at once."""
    bench.pin(same_core=False)
    results: dict[str, Any] = {}
    contestants = bench.taking_part(AT_ONCE)
    for number in range(bench.rounds):
        say(f"at once, round {number + 1} of {bench.rounds}")
        for calls in sorted({calls for c in contestants for calls in c.calls}):
            count = bench.count(COUNT if calls > 1 else ONE_BY_ONE)
            for contestant in (c for c in contestants if calls in c.calls):
                (method,) = contestant.visits[0]
                with bench.visit(contestant) as child:
                    child.call(method, count=bench.count(WARM_UP), calls=calls)
                    sample = child.call(method, count=count, calls=calls)
                    by_calls = results.setdefault(method, {}).setdefault(contestant.name, {})
                    by_calls.setdefault(str(calls), []).append(sample)
        for contestant in (c for c in contestants if c.workers):
            count = bench.count(JOBS)
            with bench.visit(contestant) as child:
                for jobs in (bench.count(WARM_UP), count):
                    child.call("fill", count=jobs)
                    sample = child.call("drain", count=jobs, tasks=TASKS)
                results.setdefault("drain", {}).setdefault(contestant.name, []).append(sample)
        for contestant in (c for c in contestants if ("put_many",) in c.visits):
            count = max(1_000, bench.count(MANY))
            with bench.visit(contestant) as child:
                child.call("put_many", count=max(1_000, bench.count(WARM_UP)))
                sample = child.call("put_many", count=count)
                results.setdefault("put_many", {}).setdefault(contestant.name, []).append(sample)
    return results
