"""One run from the beginning to the tables."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import environments, machine, publish, results
from benchmarks.bench import Bench, say
from benchmarks.catalogue import ALL, AT_ONCE
from benchmarks.server import running
from benchmarks.tables import tables


def run(chosen: argparse.Namespace) -> int:
    """Measure or read, print, and publish if that is asked for; the exit code."""
    if chosen.check:
        stale = publish.stale(environments.ROOT)
        for name in stale:
            print(f"stale: {name}")
        return 1 if stale else 0
    if chosen.source:
        found = results.read(chosen.source)
    else:
        found = measure(chosen)
        results.write(found, chosen.output)
        say(f"written to {chosen.output}")
    print("\n\n".join(table.as_text() for table in tables(found)))
    if chosen.publish:
        publish.publish(found, environments.ROOT)
    for failure in found["failures"]:
        say(f"failed: {failure}")
    return 1 if found["failures"] else 0


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure all parts, one after the other."""
    with running() as server:
        bench = Bench(server, hosts(chosen), chosen.rounds, chosen.quick, only=chosen.contestants)
        found: dict[str, Any] = {
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine.describe(bench),
            "rounds": chosen.rounds,
            "quick": chosen.quick,
            "load": [machine.load()],
            "parts": {},
        }
        for name in chosen.parts:
            part = importlib.import_module(f"benchmarks.parts.{name}")
            found["parts"][name] = part.measure(bench)
            found["load"].append(machine.load())
        found["failures"] = bench.failures
    return found


def hosts(chosen: argparse.Namespace) -> dict[str, list[str]]:
    """How to start a contestant in each environment that takes part."""
    peers = [n for n in environments.ALL if n not in (environments.RUNNER, environments.THOONK)]
    if chosen.here:
        here = environments.host_of(Path(sys.executable))
        # What is not here may still be in an environment from an earlier run.
        ready = [] if chosen.no_peers else [name for name in peers if environments.is_ready(name)]
        return {environments.THOONK: here, **{n: environments.host_in(n) for n in ready}}
    wanted = [environments.THOONK, *([] if chosen.no_peers else peers)]
    if chosen.contestants:
        wanted = [*{c.environment for c in (*ALL, *AT_ONCE) if c.name in chosen.contestants}]
    environments.prepare(wanted)
    return {n: environments.host_in(n) for n in wanted if environments.is_ready(n)}
