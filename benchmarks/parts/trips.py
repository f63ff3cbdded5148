"""Round trips per operation, counted at the socket, and commands per operation."""

from __future__ import annotations

from typing import Any, TypeAlias

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL, Contestant
from benchmarks.child import Child
from benchmarks.proxy import CountingProxy, counting

FEW, MANY = 100, 600
"""What is counted for the one is taken off what is counted for the other, so that setting
up does not count."""

Counts: TypeAlias = dict[str, dict[str, int]]


def measure(bench: Bench) -> dict[str, Any]:
    """By method and contestant: round trips and commands per item."""
    bench.pin(same_core=False)
    say("round trips")
    results: dict[str, Any] = {}
    few, many = (20, 60) if bench.quick else (FEW, MANY)
    with counting(bench.server.port) as proxy:
        for contestant in bench.taking_part(ALL):
            for visit in _visits(contestant):
                first, then = {}, {}
                with bench.visit(contestant, proxy.url) as child:
                    first = _count(bench, child, proxy, visit, few)
                    if "drain" not in visit:
                        # That was the first call of all; here is one like those to come.
                        first = _count(bench, child, proxy, visit, few)
                        then = _count(bench, child, proxy, visit, many)
                if "drain" in visit:
                    # Not all workers can be started twice in a process.
                    with bench.visit(contestant, proxy.url) as child:
                        then = _count(bench, child, proxy, visit, many)
                for method in first.keys() & then.keys():
                    results.setdefault(method, {})[contestant.name] = {
                        what: (number - first[method][what]) / (many - few)
                        for what, number in then[method].items()
                    }
    return results


def _visits(contestant: Contestant) -> tuple[tuple[str, ...], ...]:
    if not contestant.stores:
        return ()
    one_by_one = (v for v in contestant.visits if not v[0].endswith("_many"))
    worker = (("fill", "drain"),) if contestant.workers else ()
    return (*one_by_one, *worker)


def _count(
    bench: Bench, child: Child, proxy: CountingProxy, visit: tuple[str, ...], count: int
) -> Counts:
    counted: Counts = {}
    for method in visit:
        bench.server.client.config_resetstat()
        before = proxy.trips
        child.call(method, count=count)
        stats = bench.server.info("commandstats")
        own = ("cmdstat_info", "cmdstat_config|resetstat")
        commands = sum(fields["calls"] for name, fields in stats.items() if name not in own)
        if method != "fill":
            counted[method] = {"trips": proxy.trips - before, "commands": commands}
    return counted
