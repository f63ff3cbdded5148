"""The nodes of a cluster: one server for each, and a table of who has which slot."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs
from redis.exceptions import ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.blocking import AsyncBlockingTakes
from thoonk.backends.redis._async.server import AsyncServer
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.slots import SLOTS, Layout, Place
from thoonk.concurrency._async import Turn
from thoonk.exceptions import BackendUnavailable

ASK = pack(b"CLUSTER", b"INFO"), pack(b"CLUSTER", b"SLOTS")

MOST_REDIRECTIONS = 5
"""How often one is sent on from node to node at once. Then there is a pause."""

ASK_TIMEOUT = 2.0
"""Seconds for a node to say who has which slot. Then another is asked."""


@attrs.frozen(eq=False)
class AsyncNode:
    """A node: where it is, the way to it, and the takes that wait there."""

    place: Place
    server: AsyncServer
    blocking: AsyncBlockingTakes


class AsyncNodes:
    """Finds the server of a slot. It asks the cluster when it does not know, or may be wrong.

    Attributes:
        seeds: the places that it was given.
        is_reached: whether any node has ever said who has which slot.
    """

    def __init__(
        self,
        places: Iterable[Place],
        open_node: Callable[[Place], AsyncNode],
    ) -> None:
        """Nothing is connected before it is needed.

        Args:
            places: of some nodes.
            open_node: makes the node at a place.
        """
        self.seeds = tuple(places)
        self._open_node = open_node
        self._nodes: dict[Place, AsyncNode] = {}
        self._owners: list[AsyncNode | None] = [None] * SLOTS
        # In the order in which they are to be asked.
        self._places: list[Place] = random.sample(self.seeds, len(self.seeds))
        self._epoch = 0
        self._is_doubtful = True
        self.is_reached = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turn = Turn()

    def __iter__(self) -> Iterator[AsyncNode]:
        """Those that have been connected, or may have been."""
        return iter(list(self._nodes.values()))

    async def owner(self, slot: int) -> AsyncNode:
        """The master that has the slot, as far as is known.

        Raises:
            BackendUnavailable: no node can be reached, or none has the slot.
            AccessDenied: the nodes do not let us in.
            BackendError: it is no cluster.
        """
        if self._is_doubtful:
            await self._learn()
        node = self._owners[slot]
        if node is None:
            self._is_doubtful = True
            raise BackendUnavailable(f"no node of the cluster has slot {slot}; nothing was done")
        return node

    @property
    def owners(self) -> Sequence[AsyncNode | None]:
        """The masters of all slots, as far as is known. None: no node has the slot."""
        return self._owners

    async def look(self) -> None:
        """Ask one node whether anything has changed: each time another one.

        Raises:
            BackendUnavailable: no node can be reached.
            AccessDenied: the nodes do not let us in.
        """
        if not self._is_doubtful:
            place = self._places[0]
            self._put_last(place)
            try:
                layout = await self._layout(self._node(place))
            except (*errors.CONNECTION_ERRORS, ResponseError):
                self._is_doubtful = True
            else:
                # One that is cut off from the others knows less than they.
                if layout.epoch >= self._epoch and layout.shards:
                    self._use(layout)
        if self._is_doubtful:
            await self._learn()

    def doubt(self, node: AsyncNode) -> None:
        """The node is not there, or cannot do it: ask another who has its slots now."""
        self._is_doubtful = True
        self._put_last(node.place)

    def _put_last(self, place: Place) -> None:
        if place in self._places:
            self._places.remove(place)
            self._places.append(place)

    def moved(self, slot: int, node: AsyncNode) -> None:
        """According to another node, this one has the slot."""
        self._owners[slot] = node

    def at(self, place: Place, told_by: AsyncNode) -> AsyncNode:
        """The node at a place that another node has named. No host: it is on the same one."""
        host, port = place
        return self._node((host or told_by.place[0], port))

    def _node(self, place: Place) -> AsyncNode:
        node = self._nodes.get(place)
        if node is None:
            node = self._nodes.setdefault(place, self._open_node(place))
        return node

    # --- asking ---------------------------------------------------------------------------

    async def _learn(self) -> None:
        if self._pid != os.getpid():
            # A fork may have come while another thread of the parent asked.
            self._begin()
        async with self._turn:
            if self._is_doubtful:
                self._use(await self._best())

    async def _best(self) -> Layout:
        """What the first node says that knows as much as this client; else who knows most."""
        best: Layout | None = None
        failure: BaseException | None = None
        for place in tuple(self._places):
            try:
                layout = await self._layout(self._node(place))
            except (*errors.CONNECTION_ERRORS, ResponseError) as error:
                if isinstance(error, ResponseError) and errors.NO_CLUSTER in str(error):
                    raise errors.of_server(error) from error
                failure = error
                self._put_last(place)
                continue
            if best is None or layout.epoch > best.epoch:
                best = layout
            if layout.epoch >= self._epoch and layout.shards:
                break
        if best is None:
            assert failure is not None  # noqa: S101 - there is at least one place
            raise errors.not_sent(failure) from failure
        return best

    async def _layout(self, node: AsyncNode) -> Layout:
        info, slots = await node.server.ask(*ASK, timeout=ASK_TIMEOUT)
        return Layout.read(info, slots, node.place[0])

    def _use(self, layout: Layout) -> None:
        owners: list[AsyncNode | None] = [None] * SLOTS
        known = {*self.seeds}
        for shard in layout.shards:
            known.update((shard.master, *shard.replicas))
            count = shard.last - shard.first + 1
            owners[shard.first : shard.last + 1] = [self._node(shard.master)] * count
        self._owners = owners
        self._epoch = max(self._epoch, layout.epoch)
        self.is_reached = True
        self._places = [place for place in self._places if place in known]
        self._places += known.difference(self._places)
        self._is_doubtful = False
