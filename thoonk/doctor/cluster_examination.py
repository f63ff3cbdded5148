"""The course of an examination of a cluster: its nodes, how they hang together, and the feeds."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import TypeAlias

import attrs
import redis

from thoonk.backends.redis import ClusterBackend, open_client
from thoonk.backends.redis.address import Address
from thoonk.backends.redis.errors import CONNECTION_ERRORS, not_sent
from thoonk.backends.redis.settings import MOST_RETRYING
from thoonk.backends.redis.slots import Place, check_tagged, slot_of
from thoonk.backends.redis.wire import keys_of
from thoonk.doctor import cluster, server
from thoonk.doctor.catalogue import KeyName
from thoonk.doctor.cluster import ClusterNode, View, examine_cluster, nodes_of, text_of
from thoonk.doctor.contents import Contents
from thoonk.doctor.examination import LOOKS
from thoonk.doctor.findings import Check, Finding, Report, in_order
from thoonk.doctor.probe import Probe
from thoonk.doctor.server import ServerFacts, examine_server
from thoonk.exceptions import BackendUnavailable, InvalidValue

CONNECT_TIMEOUT = 2.0
"""Seconds to connect to a node."""

Move: TypeAlias = tuple[int, str, str, int]
"""A slot, the ids of the node that it leaves and of the one that it goes to, and how many keys
are left."""


@attrs.frozen
class _Look:
    """What the cluster is like at a moment."""

    nodes: list[ClusterNode]
    findings: tuple[Finding, ...]
    moves: frozenset[Move]

    def unchanged(self, later: _Look) -> _Look:
        """What of it still is so."""
        findings = tuple(finding for finding in self.findings if finding in later.findings)
        return _Look(later.nodes, findings, self.moves & later.moves)


class ClusterExamination:
    """One examination of one cluster. For the arguments see `thoonk.doctor.examine`.

    A failover, or a slot on its way, is no fault. So the cluster is looked at several times, and
    what is wrong each time, without a change, is a finding. Nothing is changed.
    """

    def __init__(
        self, url: str, patience: float, ignore: Collection[str], stuck_after: float | None
    ) -> None:
        self._url = url
        self._patience = patience
        self._ignore = ignore
        self._stuck_after = stuck_after
        self._clients: dict[Place, tuple[redis.Redis, Probe]] = {}

    def run(self) -> Report:
        """Do it all."""
        try:
            look = self._look()
            for _ in range(LOOKS if look.findings or look.moves else 0):
                time.sleep(self._patience / LOOKS)
                look = look.unchanged(self._look())
            name, of_servers = self._of_servers(look.nodes)
            retry_for = min(self._patience, MOST_RETRYING)
            with contextlib.closing(ClusterBackend(self._url, retry_for=retry_for)) as backend:
                contents = Contents(backend, self._sizes(look.nodes), self._stuck_after)
                of_feeds = list(self._of_feeds(contents, look))
        finally:
            for client, _ in self._clients.values():
                client.close()
        findings = [*look.findings, *of_servers, *of_feeds]
        return Report(
            server=name,
            findings=in_order(f for f in findings if f.check.name not in self._ignore),
            sizes=contents.sizes,
            commands=contents.operations + sum(p.commands for _, p in self._clients.values()),
        )

    def _client(self, place: Place) -> tuple[redis.Redis, Probe]:
        if place not in self._clients:
            client = open_client(self._url, node=place, socket_connect_timeout=CONNECT_TIMEOUT)
            self._clients[place] = client, Probe(client)
        return self._clients[place]

    # --- the cluster ------------------------------------------------------------------------

    def _look(self) -> _Look:
        seed, view = self._first_view()
        places = self._places(seed, view)
        views = [view]
        for place in places.values():
            with contextlib.suppress(BackendUnavailable):
                views.append(self._view(place))
        nodes = nodes_of(views, places)
        moves = {move for node in nodes for move in node.moving}
        with_keys = ((*move, self._keys_left(nodes, move[0], move[1])) for move in moves)
        return _Look(nodes, tuple(examine_cluster(nodes)), frozenset(with_keys))

    def _view(self, place: Place) -> View:
        """What a node says of all nodes.

        Raises:
            BackendUnavailable: it does not answer.
            AccessDenied: it does not let us in.
        """
        try:
            view: View = self._client(place)[0].cluster("NODES")
        except CONNECTION_ERRORS as error:
            raise not_sent(error) from error
        return view

    def _first_view(self) -> tuple[Place, View]:
        """That of the first node of the URL that answers."""
        failure: BackendUnavailable | None = None
        for place in Address.parse(self._url).nodes:
            try:
                return place, self._view(place)
            except BackendUnavailable as error:
                failure = error
        assert failure is not None  # noqa: S101 - there is at least one place
        raise failure

    def _places(self, seed: Place, view: View) -> dict[str, Place]:
        """Where each node is, by id: as the cluster tells programs, if it does."""
        places = {}
        for address, line in view.items():
            host, _, port = address.rpartition(":")
            if not {"noaddr", "handshake"}.intersection(line["flags"].split(",")):
                places[line["node_id"]] = (host.strip("[]") or seed[0], int(port))
        for _, _, *nodes in self._client(seed)[1].ask("CLUSTER", "SLOTS"):
            for host, port, id, *_ in nodes:
                known = host.decode() if host and host != b"?" else seed[0]
                places[id.decode()] = (known, port)
        return places

    def _keys_left(self, nodes: Collection[ClusterNode], slot: int, source: str) -> int:
        for node in nodes:
            if node.id == source and node.answers:
                with contextlib.suppress(*CONNECTION_ERRORS):
                    _, probe = self._client(node.place)
                    return int(probe.ask("CLUSTER", "COUNTKEYSINSLOT", slot))
        return 0

    # --- its servers ------------------------------------------------------------------------

    def _of_servers(self, nodes: Collection[ClusterNode]) -> tuple[str, list[Finding]]:
        """Which servers they are, and what is wrong with them; alike findings are one."""
        found: defaultdict[tuple[Check, str], list[str]] = defaultdict(list)
        policies: dict[Place, str] = {}
        names = set()
        for node in sorted(nodes, key=lambda node: node.place):
            if not node.answers:
                continue
            try:
                facts = ServerFacts.read(*self._client(node.place))
            except CONNECTION_ERRORS:
                found[cluster.NODE_DOWN, "the node went down while it was examined"].append(
                    text_of(node.place)
                )
                continue
            names.add(facts.name)
            if policy := facts.info.get("maxmemory_policy"):
                policies[node.place] = policy
            for finding in examine_server(facts):
                if finding.check is not server.ROLE:
                    found[finding.check, finding.says].append(text_of(node.place))
        findings = [
            Finding(check, f"{', '.join(where)}: {says}") for (check, says), where in found.items()
        ]
        masters = sum(1 for node in nodes if not node.master)
        shape = f"cluster of {masters} masters and {len(nodes) - masters} replicas"
        return f"{' and '.join(sorted(names))}, {shape}", [*findings, *cluster.policies(policies)]

    # --- its feeds --------------------------------------------------------------------------

    def _sizes(self, nodes: Collection[ClusterNode]) -> Counter[str]:
        """How many bytes each feed takes, about."""
        sizes: Counter[str] = Counter()
        for node in nodes:
            if node.master or not node.answers:
                continue
            # It may have gone down since then.
            with contextlib.suppress(*CONNECTION_ERRORS):
                self._add_sizes(node, sizes)
        return sizes

    def _add_sizes(self, node: ClusterNode, sizes: Counter[str]) -> None:
        _, probe = self._client(node.place)
        for keys in probe.keys(b"feed.*"):
            for key, size in zip(keys, probe.sizes_of(keys), strict=True):
                name = KeyName.parse(key)
                if name is not None and name.is_known:
                    sizes[name.feed] += size

    def _of_feeds(self, contents: Contents, look: _Look) -> Iterator[Finding]:
        names: defaultdict[int, list[str]] = defaultdict(list)
        try:
            for name in contents.names():
                names[slot_of(keys_of(name).ids)].append(name)
        except BackendUnavailable as error:
            yield Finding(cluster.UNREAD, f"the list of feeds cannot be read: {error}")
        # Calls on these would only wait.
        silent = {slot for slots in cluster.gone(look.nodes).values() for slot in slots}
        places = {node.id: node.name for node in look.nodes}
        for slot, source, target, _ in sorted(look.moves):
            silent.add(slot)
            way = f"from {places.get(source, source)} to {places.get(target, target)}"
            says = f"slot {slot} is on its way {way}, and no key has moved"
            for name in names[slot] or [""]:
                yield Finding(cluster.MOVING, says, name)
        for name in sorted(name for slot in names.keys() - silent for name in names[slot]):
            yield from self._of_feed(contents, name)

    def _of_feed(self, contents: Contents, name: str) -> Iterator[Finding]:
        try:
            check_tagged(name)
        except InvalidValue:
            yield Finding(cluster.UNTAGGED, "no part of its name is in braces", name)
            return
        try:
            yield from contents.of_feed(name)
        except BackendUnavailable as error:
            yield Finding(cluster.UNREAD, f"it cannot be read: {error}", name)
