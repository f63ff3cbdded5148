"""Which of its worlds a test runs in when it does not run in all of them."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable

import attrs


@attrs.frozen
class Case:
    """A test in one of its worlds: its node id, and the name of the world."""

    node_id: str
    world: str

    @property
    def test(self) -> str:
        """The test, whatever the world."""
        head, bracket, parameters = self.node_id.partition("[")
        return head + bracket + parameters.replace(self.world, "*", 1)

    @property
    def turn(self) -> int:
        """The same each time; the turn of a twin comes next."""
        name = self.test.replace("/_async/", "/_sync/")
        return zlib.crc32(name.encode()) + (name == self.test)


def by_turns(
    cases: Iterable[Case], always: Collection[str] = (), absent: Collection[str] = ()
) -> set[Case]:
    """What is left when each test runs in the worlds of ``always`` and in one of the others.

    The next test has its turn in another, so each world has its share of the tests; one that is
    absent only where there is no other.
    """
    kept: set[Case] = set()
    rest: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.node_id):
        if case.world in always:
            kept.add(case)
        else:
            rest.setdefault(case.test, []).append(case)
    for choice in rest.values():
        there = [case for case in choice if case.world not in absent] or choice
        kept.add(there[there[0].turn % len(there)])
    return kept
