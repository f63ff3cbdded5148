"""Compare this tree with another one, side by side on one server, in one run.

    python benchmarks/against.py ../before

The other tree is a checkout of Thoonk (``git worktree add``). Both do the same in turn, in short
blocks, so that what else the machine does troubles both alike. Of each block the wall time, the
processor time of the client and that of the server's main thread are taken; the report has the
ratio of the lower quartiles (what is above them has waited for others), above 1 where this tree is
faster, and what each has stored.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ITEM = "x" * 100
MANY = 100
WARM_UP = 2
"""Rounds that are not counted."""

Spent: TypeAlias = defaultdict[tuple[str, str], list[tuple[float, ...]]]
"""By block and tree: of each round the seconds per call, wall, client and server."""


# --- what is done, in a process of its own for each tree -------------------------------------


def _blocks(thoonk: Any, name: str) -> dict[str, Callable[[int], object]]:
    """What there is to do, by name; the argument is how often."""
    job, queue = thoonk.job(name), thoonk.queue(f"{name} queue")

    def loop(count: int) -> None:
        for number, _ in enumerate(job.claims(timeout=1), 1):
            if number == count:
                break

    def each(call: Callable[[], object]) -> Callable[[int], object]:
        return lambda count: [call() for _ in range(count)]

    return {
        "job.put": each(lambda: job.put(ITEM)),
        "job.get + finish": each(lambda: job.get_nowait().finish()),
        "job.put_many": each(lambda: job.put_many([ITEM] * MANY)),
        "job.get_many + finish_many": each(lambda: job.finish_many(job.get_many(MANY))),
        "job.claims": loop,
        "queue.put": each(lambda: queue.put(ITEM)),
        "queue.get": each(queue.get_nowait),
    }


def child(url: str, name: str) -> None:
    """Do what standard input says, a line for each block, and say how long it took."""
    import thoonk as package
    from thoonk import Thoonk

    with Thoonk(backend=url) as thoonk:
        blocks = _blocks(thoonk, name)
        print(json.dumps(package.__file__), flush=True)
        for line in sys.stdin:
            what, count = json.loads(line)
            wall, cpu = time.perf_counter(), time.process_time()
            blocks[what](count)
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            print(json.dumps(spent), flush=True)


BLOCKS = (
    ("job.put", 500),
    ("job.get + finish", 300),
    ("job.put", 300),
    ("job.claims", 500),
    ("job.put_many", 20),
    ("job.get_many + finish_many", 20),
    ("queue.put", 500),
    ("queue.get", 500),
)
"""What is done in a round, and how often: what is put is taken. (The loop leaves one job.)"""


# --- the run -------------------------------------------------------------------------------------


class Tree:
    """One tree, and the process that works with it."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "against.py"), "--child", url, name],
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        where = Path(self._answer())
        if folder.resolve() not in where.resolve().parents:
            raise SystemExit(f"{where} is not of {folder}")

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def do(self, what: str, count: int) -> tuple[float, float]:
        """Seconds that it took, and of processor time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, count]).encode() + b"\n")
        self._process.stdin.flush()
        wall, cpu = self._answer()
        return wall, cpu

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def measure(server: Any, trees: Sequence[Tree], rounds: int) -> Spent:
    """What each block took of each tree, in each round."""
    spent: Spent = defaultdict(list)
    for number in range(-WARM_UP, rounds):
        for what, count in BLOCKS:
            for tree in trees if number % 2 else reversed(trees):
                before = server.processor_time()
                wall, cpu = tree.do(what, count)
                times = (wall, cpu, server.processor_time() - before)
                if number >= 0:
                    spent[what, tree.name].append(tuple(t / count for t in times))
    return spent


def report(spent: Spent, names: Sequence[str]) -> None:
    """Print a line for each block."""
    print(f"{'':28}{'wall':>16}{'client':>16}{'server':>16}   µs, then the ratio")
    for what in dict.fromkeys(what for what, _ in BLOCKS):
        cells = []
        for column in range(3):
            then, here = (
                statistics.quantiles(times[column] for times in spent[what, name])[0]
                for name in names
            )
            cells.append(f"{here * 1e6:>9.1f} {then / here:6.3f}")
        print(f"{what:28}{'  '.join(cells)}")


def report_bytes(server: Any, trees: Sequence[Tree]) -> None:
    """Print what the same jobs take on the server."""
    print("bytes of memory of 1000 jobs, by key:")
    for tree in trees:
        tree.do("job.put", 1000)
        sizes = {
            key.partition(b":")[0].decode(): server.client.memory_usage(key, samples=0)
            for key in sorted(server.client.keys(f"feed.*:{tree.name}"))
        }
        print(f"  {tree.name}: {sum(sizes.values())}  {sizes}")


def main() -> None:
    """Read the arguments, measure, print."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="the other tree")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()

    sys.path.insert(0, str(ROOT))
    from benchmarks.server import running

    with running() as server, contextlib.ExitStack() as stack:

        def start() -> list[Tree]:
            # Names of one length: they are in the keys.
            folders = {"then": options.other, "here": ROOT}
            trees = [Tree(name, folder, server.url) for name, folder in folders.items()]
            for tree in trees:
                stack.callback(tree.end)
            return trees

        trees = start()
        report(measure(server, trees, options.rounds), [tree.name for tree in trees])
        server.empty()
        report_bytes(server, start())


if __name__ == "__main__":
    main()
