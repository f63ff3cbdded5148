"""What every part of a run shares: the server, the environments, who takes part."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import attrs

from benchmarks.catalogue import Contestant
from benchmarks.child import Child, ContestantFailed
from benchmarks.server import Server


def say(text: str) -> None:
    """A line on what goes on, away from the tables."""
    print(text, file=sys.stderr, flush=True)


@attrs.frozen
class Bench:
    """One run.

    Attributes:
        server: all contestants use it, one after the other.
        hosts: the command of a contestant's process, for each environment that there is.
        rounds: how often everything is measured.
        quick: only see that it runs.
        failures: what went wrong.
        only: the names of those who take part; empty: all.
    """

    server: Server
    hosts: dict[str, list[str]]
    rounds: int
    quick: bool
    failures: list[str] = attrs.field(factory=list)
    only: frozenset[str] = frozenset()

    def count(self, number: int) -> int:
        """How many items, where a real run has ``number``."""
        return max(20, number // 100) if self.quick else number

    def taking_part(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        """Those of them who are asked for and whose environment there is."""
        asked = [c for c in contestants if not self.only or c.name in self.only]
        return [c for c in asked if c.environment in self.hosts]

    @contextlib.contextmanager
    def visit(self, contestant: Contestant, url: str | None = None) -> Iterator[Child]:
        """An empty server and a process of the contestant's, for the length of a block.

        When the contestant fails, that is told and recorded, and the block is left.
        """
        self.server.empty()
        try:
            with self.child(contestant, url) as child:
                yield child
        except ContestantFailed as error:
            say(f"{contestant.name} fails: {error}")
            self.failures.append(f"{contestant.name}: {error.reason}")

    def child(self, contestant: Contestant, url: str | None = None) -> Child:
        """A process of the contestant's, on the cores to which `pin` has bound the runner."""
        return Child(
            self.hosts[contestant.environment],
            f"benchmarks.contestants.{contestant.target}",
            url or self.server.url,
            server=self.server.url,
        )

    def pin(self, *, same_core: bool) -> None:
        """From now on server and client share one core, or run on any.

        A child inherits what the runner is bound to.
        """
        if not hasattr(os, "sched_setaffinity"):
            return
        cores = {max(ALL_CORES)} if same_core else ALL_CORES
        self.server.pin(cores)
        os.sched_setaffinity(0, cores)


ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
