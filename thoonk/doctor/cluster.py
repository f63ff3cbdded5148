"""Rules about a cluster: who has which slots, which nodes are there, and whether they are alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import attrs

from thoonk.backends.redis.slots import SLOTS, Place
from thoonk.doctor.findings import Check, Finding, Severity

SHOWN = 5
"""How many ranges of slots a line names."""

SLOTS_GONE = Check(
    "slots",
    Severity.ERROR,
    "calls on feeds there fail, and on all others unless cluster-require-full-coverage is no",
    "Start the node again, or let another have them: redis-cli --cluster fix HOST:PORT",
)
NODE_DOWN = Check(
    "node-down",
    Severity.WARNING,
    "the cluster can bear the loss of fewer nodes, or programs cannot reach some feeds",
    "Start it, check the network, or remove it with CLUSTER FORGET from all nodes",
)
NO_REPLICA = Check(
    "no-replica",
    Severity.WARNING,
    "while it is down its feeds cannot be used, and they are lost with its disk",
    "Add a replica: redis-cli --cluster add-node NEW OLD --cluster-slave",
)
MOVING = Check(
    "moving",
    Severity.WARNING,
    "while a slot is between two nodes, most calls on its feeds wait, and fail in the end",
    "Finish the move: redis-cli --cluster fix HOST:PORT",
)
POLICIES = Check(
    "policies",
    Severity.WARNING,
    "feeds are kept or evicted according to the node that they are on, or fail over to",
    "Set maxmemory-policy noeviction on all nodes",
)
UNTAGGED = Check(
    "untagged",
    Severity.WARNING,
    "on a cluster only feeds with a part of their name in braces can be used",
    "Copy it from the old server under such a name (thoonk copy --as), and remove this one",
)
UNREAD = Check(
    "unread",
    Severity.WARNING,
    "what is wrong with feeds is not known",
    "Repair the cluster, and run this again",
)

CHECKS: Mapping[str, Check] = {
    check.name: check for check in list(vars().values()) if isinstance(check, Check)
}
"""All there are, by name."""


def text_of(place: Place) -> str:
    """A place as people write it."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@attrs.frozen
class ClusterNode:
    """A node, by its own word if it answers, else by that of the node with the latest news.

    Attributes:
        id: by which nodes know each other.
        place: host and port.
        master: the id of its master; empty: it is one.
        slots: those it has.
        moving: slots on their way, with the ids of the node that they leave and of the other.
        is_down: whether other nodes agree that it is.
        answers: whether it answers here.
    """

    id: str
    place: Place
    master: str
    slots: frozenset[int]
    moving: frozenset[tuple[int, str, str]]
    is_down: bool
    answers: bool

    @property
    def is_there(self) -> bool:
        """Whether programs can use it."""
        return self.answers and not self.is_down

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return text_of(self.place)


View = Mapping[str, Mapping[str, Any]]
"""What one node says: CLUSTER NODES, as redis-py takes it apart."""


def nodes_of(views: Iterable[View], places: Mapping[str, Place]) -> list[ClusterNode]:
    """The nodes, from what those say that answer.

    Args:
        views: what they say.
        places: where nodes are, by id. Others are left out.
    """
    best: dict[str, tuple[bool, int, Mapping[str, Any]]] = {}
    down = set()
    for line in (line for view in views for line in view.values()):
        id, flags = line["node_id"], line["flags"].split(",")
        rank = ("myself" in flags, int(line["epoch"]))
        if id in places and (id not in best or rank > best[id][:2]):
            best[id] = (*rank, line)
        if "fail" in flags:
            down.add(id)
    return [
        ClusterNode(
            id,
            places[id],
            "" if line["master_id"] == "-" else line["master_id"],
            frozenset(_slots(line)),
            frozenset(_moving(id, line)),
            id in down,
            answers,
        )
        for id, (answers, _, line) in best.items()
    ]


def _slots(line: Mapping[str, Any]) -> Iterator[int]:
    for first, *last in line["slots"]:
        yield from range(int(first), int(last[0] if last else first) + 1)


def _moving(id: str, line: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    if line["master_id"] != "-":
        return  # a replica of Valkey repeats what its master says, as its own
    for move in line["migrations"]:
        other = move["node_id"]
        way = (id, other) if move["state"] == "migrating" else (other, id)
        yield int(move["slot"]), *way


def gone(nodes: Collection[ClusterNode]) -> dict[str, set[int]]:
    """The slots that no program can use, by the node that has them; empty: none has."""
    found = {node.name: {*node.slots} for node in nodes if not node.is_there}
    found[""] = {*range(SLOTS)} - {slot for node in nodes for slot in node.slots}
    return {name: slots for name, slots in found.items() if slots}


def examine_cluster(nodes: Collection[ClusterNode]) -> Iterator[Finding]:
    """What is wrong with the cluster at a moment, but for slots on their way."""
    for name, slots in gone(nodes).items():
        holder = f"{name}, which is down," if name else "no node"
        yield Finding(SLOTS_GONE, f"{holder} has {_ranges(slots)}")
    for node in nodes:
        kind = "replica" if node.master else "master"
        # One text, whether or not the other nodes have found out: it is the same fault.
        if not node.answers:
            yield Finding(NODE_DOWN, f"the {kind} {node.name} does not answer")
        elif node.is_down:
            yield Finding(NODE_DOWN, f"the {kind} {node.name} is down, according to other nodes")
        if node.slots and not any(n.master == node.id and n.is_there for n in nodes):
            some = any(n.master == node.id for n in nodes)
            yield Finding(NO_REPLICA, f"{node.name} has no replica{' that is up' if some else ''}")


def policies(policy_of: Mapping[Place, str]) -> Iterator[Finding]:
    """Nodes that evict differently."""
    places = defaultdict(list)
    for place, policy in policy_of.items():
        places[policy].append(text_of(place))
    if len(places) > 1:
        parts = (f"{policy} on {', '.join(where)}" for policy, where in sorted(places.items()))
        yield Finding(POLICIES, f"maxmemory-policy is {' and '.join(parts)}")


def _ranges(slots: Collection[int]) -> str:
    """How many slots, and which."""
    ordered = sorted(slots)
    firsts = [ordered[0], *(b for a, b in pairwise(ordered) if b > a + 1)]
    lasts = [*(a for a, b in pairwise(ordered) if b > a + 1), ordered[-1]]
    ranges = [f"{a}-{b}" if a < b else f"{a}" for a, b in zip(firsts, lasts, strict=True)]
    more = f" and {len(ranges) - SHOWN} more" if len(ranges) > SHOWN else ""
    return f"slot{'s' if len(slots) > 1 else ''} {', '.join(ranges[:SHOWN])}{more}"
