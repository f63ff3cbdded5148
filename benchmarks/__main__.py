"""Thoonk beside bare Redis commands and beside its peers.

python -m benchmarks                     all of it
python -m benchmarks --only rates        parts of it
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from benchmarks import catalogue
from benchmarks.bench import Bench
from benchmarks.parts import drain, notices, rates, space, trips
from benchmarks.server import running

PARTS = {
    "rates": rates.measure,
    "drain": drain.measure,
    "trips": trips.measure,
    "space": space.measure,
    "notices": notices.measure,
}


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    pythons = {catalogue.OURS: Path(sys.executable)}
    from benchmarks import environments as e

    e.prepare(list(e.PACKAGES)[2:])
    pythons |= {
        n: e.python_of(n) for n in e.PACKAGES if n not in ("runner", "thoonk") and e.is_ready(n)
    }
    with running() as server:
        bench = Bench(server, pythons, options.rounds, options.quick)
        for name, part in PARTS.items():
            if options.only and name not in options.only.split(","):
                continue
            results[name] = part(bench)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    for method, by in results.get("rates", {}).items():
        print(method)
        floor = by.get(catalogue.FLOOR_OF.get(method))
        for name, samples in by.items():
            rate = [s["count"] / s["seconds"] for s in samples]
            cpu = [s["count"] / (s["client_cpu"] + s["server_cpu"]) for s in samples]
            text = f"  {name:20} {statistics.median(rate):10,.0f}/s ({min(rate):,.0f}-{max(rate):,.0f})"
            text += f"  client {statistics.median(s['client_cpu'] * 1e6 / s['count'] for s in samples):6.1f} µs"
            text += f"  server {statistics.median(s['server_cpu'] * 1e6 / s['count'] for s in samples):6.1f} µs"
            if floor:
                ratios = [f["seconds"] / s["seconds"] for f, s in zip(floor, samples)]
                cpus = [
                    (f["client_cpu"] + f["server_cpu"]) / (s["client_cpu"] + s["server_cpu"])
                    for f, s in zip(floor, samples)
                ]
                text += f"   {statistics.median(ratios):.2f} of the floor; {statistics.median(cpus):.2f} by CPU"
            print(text)
    for name, samples in results.get("notices", {}).items():
        median = {k: statistics.median(s[k] for s in samples) for k in samples[0]}
        print(
            f"notices {name:20} p50 {median['p50']:6.1f} µs  p99 {median['p99']:6.1f} µs  drain {median['count'] / median['seconds']:10,.0f}/s"
        )


main()
