"""Round trips per operation, counted at the socket, and commands per operation."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL, Contestant
from benchmarks.proxy import CountingProxy, counting

FEW, MANY = 100, 600
"""What is counted for the one is taken off what is counted for the other, so that setting
up does not count."""


def measure(bench: Bench) -> dict[str, Any]:
    """By method and contestant: round trips and commands per item."""
    bench.pin(same_core=False)
    say("round trips")
    results: dict[str, Any] = {}
    with counting(bench.server.port) as proxy:
        for contestant in bench.taking_part(ALL):
            if not contestant.stores:
                continue
            for visit in _visits(contestant):
                few, many = (_count(bench, contestant, proxy, visit, n) for n in (FEW, MANY))
                for method in few.keys() & many.keys():
                    results.setdefault(method, {})[contestant.name] = {
                        what: (many[method][what] - few[method][what]) / (MANY - FEW)
                        for what in ("trips", "commands")
                    }
    return results


def _visits(contestant: Contestant) -> tuple[tuple[str, ...], ...]:
    one_by_one = (v for v in contestant.visits if not v[0].endswith("_many"))
    worker = (("fill", "drain"),) if contestant.workers else ()
    return (*one_by_one, *worker)


def _count(
    bench: Bench, contestant: Contestant, proxy: CountingProxy, visit: tuple[str, ...], count: int
) -> dict[str, dict[str, float]]:
    counted: dict[str, dict[str, float]] = {}
    with bench.visit(contestant, proxy.url) as child:
        for method in visit:
            bench.server.client.config_resetstat()
            before = proxy.trips
            child.call(method, count=count)
            stats = bench.server.info("commandstats")
            commands = {
                name.removeprefix("cmdstat_"): fields["calls"]
                for name, fields in stats.items()
                if name not in ("cmdstat_info", "cmdstat_config|resetstat")
            }
            if method != "fill":
                counted[method] = {
                    "trips": proxy.trips - before,
                    "commands": sum(commands.values()),
                }
    return counted
