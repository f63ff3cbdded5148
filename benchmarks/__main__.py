"""Thoonk beside bare Redis commands and beside its peers.

    python -m benchmarks                       everything, some twenty minutes
    python -m benchmarks --only rates,drain    parts of it
    python -m benchmarks --publish             and show it in the documentation

Needs Python, pip, Node, npm, and the network on the first run: each library is installed into
an environment of its own below benchmarks/.environments.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks import environments

RESULTS = Path(__file__).resolve().parent / "results"

PARTS = (
    *("rates", "drain", "at_once", "trips", "space"),
    *("notices", "waking", "pauses", "steps", "growth"),
)
"""The modules of `benchmarks.parts`, in the order in which they are run."""


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="PARTS", help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--contestants",
        metavar="NAMES",
        help="some of those in catalogue.py, such as rq,thoonk.job",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each is measured (5)")
    parser.add_argument("--no-peers", action="store_true", help="only Thoonk and the floors")
    parser.add_argument(
        "--quick", action="store_true", help="a hundredth of the items: does it run at all?"
    )
    parser.add_argument(
        "--here", action="store_true", help="with what is installed here; nothing is installed"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the JSON goes")
    parser.add_argument(
        "--publish", action="store_true", help="make it the run that the documentation shows"
    )
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="an earlier run; measure nothing"
    )
    parser.add_argument(
        "--check", action="store_true", help="does the documentation show the published run?"
    )
    chosen = parser.parse_args()
    chosen.parts = chosen.only.split(",") if chosen.only else list(PARTS)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    chosen.contestants = frozenset(chosen.contestants.split(",") if chosen.contestants else ())
    partly = chosen.only or chosen.contestants or chosen.no_peers or chosen.quick
    if chosen.publish and not chosen.source and partly:
        parser.error(
            "only a whole run can be published: no --only, --contestants, --no-peers or --quick"
        )
    if chosen.rounds is None:
        chosen.rounds = 1 if chosen.quick else 5
    if chosen.rounds < 1:
        parser.error("--rounds must be 1 or more")
    chosen.output = chosen.output or RESULTS / time.strftime("%Y-%m-%dT%H%M.json")
    return chosen


def main() -> int:
    """Go over to the runner's own environment, then do what is asked."""
    chosen = options()
    runner = environments.python_of(environments.RUNNER)
    if not chosen.here and Path(sys.prefix) != runner.parent.parent:
        environments.prepare([environments.RUNNER])
        command = [str(runner), "-m", "benchmarks", *sys.argv[1:]]
        os.execve(runner, command, {**os.environ, "PYTHONPATH": str(environments.ROOT)})
    from benchmarks import run  # needs what only the runner's environment has for certain

    return run.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
