"""A subscription to the notices of a cluster: it listens at the nodes that have its feeds."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
from redis.exceptions import ResponseError

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.redis import errors, wire
from thoonk.backends.redis._async.listener import AsyncListener
from thoonk.backends.redis.slots import CATALOGUE_SLOT, slot_of
from thoonk.concurrency._async import Event
from thoonk.notices import Created, Deleted, Gap, Notice

if TYPE_CHECKING:
    from thoonk.backends.redis._async.cluster_notices import AsyncClusterNotices
    from thoonk.backends.redis._async.nodes import AsyncNode


class Part(enum.Enum):
    """What is heard at one node."""

    FEED = "feed"
    """What happens in one feed, at the node that has it."""

    CATALOGUE = "catalogue"
    """That the feed is created or deleted, at the node that has the names of all feeds."""

    ALL = "all"
    """What happens in any feed that the node has."""


@attrs.frozen
class Post:
    """Where a subscription listens, and for what."""

    part: Part
    node: AsyncNode


class AsyncClusterSubscription(AsyncMailboxSubscription):
    """Notices of one feed or of all.

    Each node passes on what is published at any other, sooner or later. So a notice counts if it
    was heard at the node that had the feed when the listener was confirmed there.

    Attributes:
        slot: that of the feed; None: it hears all feeds.
        listeners: by where they listen.
        exists: whether there was such a feed when that was last seen; None: that was never seen.
    """

    def __init__(self, notices: AsyncClusterNotices, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        super().__init__(feed)
        self.slot = None if feed is None else slot_of(wire.keys_of(feed).ids)
        self.listeners: dict[Post, AsyncNodeListener] = {}
        self.exists: bool | None = None
        self._heard_at: dict[int, AsyncNode] = {}
        self._notices = notices

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered.

        Raises:
            BackendUnavailable: a node that it has to listen at cannot be reached.
        """
        self._home.check()
        await self._notices.add(self)

    @property
    def is_closed(self) -> bool:
        """Whether it hears no more."""
        return self._closed

    def wanted(
        self, owners: Sequence[AsyncNode | None], shares: Mapping[AsyncNode, tuple[int, ...]]
    ) -> dict[Post, tuple[int, ...]]:
        """Where it should listen, and for which slots.

        Args:
            owners: the masters of all slots.
            shares: the slots of all masters.
        """
        if self.slot is None:
            return {Post(Part.ALL, node): slots for node, slots in shares.items()}
        parts = ((Part.FEED, self.slot), (Part.CATALOGUE, CATALOGUE_SLOT))
        return {
            Post(part, node): (slot,) for part, slot in parts if (node := owners[slot]) is not None
        }

    def hear(self, post: Post, notice: Notice) -> None:
        """Deliver a notice, if it was heard where it counts."""
        if post.part is Part.ALL:
            is_of_catalogue = isinstance(notice, (Created, Deleted))
            slot = CATALOGUE_SLOT if is_of_catalogue else slot_of(wire.keys_of(notice.feed).ids)
            if self._heard_at.get(slot) is not post.node:
                return
        elif self._heard_at.get(_place_of(post.part, self.slot)) is not post.node:
            return
        elif post.part is Part.CATALOGUE and not isinstance(notice, (Created, Deleted)):
            return  # a marker, which counts at the feed's own node
        if isinstance(notice, (Created, Deleted)):
            self.exists = isinstance(notice, Created)
        self.mailbox.hear(notice)

    def hears(self, post: Post, slots: tuple[int, ...]) -> bool:
        """Whether what is heard there counts for these slots."""
        if post.part is Part.ALL:
            return all(self._heard_at.get(slot) is post.node for slot in slots)
        return self._heard_at.get(_place_of(post.part, self.slot)) is post.node

    def leave(self, post: Post, slots: tuple[int, ...]) -> None:
        """Hear nothing for these slots until another node has confirmed them.

        The node that had them may pass on what the other will say, too.
        """
        if post.part is Part.ALL:
            for slot in slots:
                if self._heard_at.get(slot) is not post.node:
                    self._heard_at.pop(slot, None)
        else:
            self._heard_at.pop(_place_of(post.part, self.slot), None)

    def confirmed(self, post: Post, slots: tuple[int, ...], *, again: bool) -> None:
        """From now on, what is heard there counts for these slots."""
        if post.part is Part.ALL:
            self._heard_at.update(dict.fromkeys(slots, post.node))
        else:
            self._heard_at[_place_of(post.part, self.slot)] = post.node
        if not again:
            return
        if post.part is Part.CATALOGUE:
            # The feed's own notices are complete. Only its end may have been missed.
            self._notices.check_exists(self)
        else:
            self.mailbox.hear(Gap(self.feed or ""))

    def moved(self, elsewhere: errors.Elsewhere, node: AsyncNode) -> None:
        """A node says that another has the feed."""
        self._notices.moved(elsewhere, node)

    async def _begin_in_child(self) -> None:
        # Then it is as after a lost connection: a `Gap` tells when it is subscribed again.
        self.listeners = {}
        self._heard_at = {}
        await self._notices.add_when_possible(self)

    async def _leave(self) -> None:
        await self._notices.remove(self)


def _place_of(part: Part, slot: int | None) -> int:
    # The feed may have the slot of the catalogue, and be heard at another node for a while.
    return -1 if part is Part.CATALOGUE or slot is None else slot


class AsyncNodeListener(AsyncListener):
    """The ear of a subscription at one node.

    Attributes:
        slots: for which it is to be heard.
        is_confirmed: whether the node has confirmed that.
        is_wanted: whether it is where its feed is.
    """

    def __init__(
        self, subscription: AsyncClusterSubscription, post: Post, *, is_first: bool
    ) -> None:
        """``is_first``: the subscription begins here, and has missed nothing."""
        self.feed = subscription.feed
        feed = subscription.feed
        self.channels = ()
        self.catalogue = ()
        self.patterns = ()
        self.alarm = None
        match post.part:
            case Part.ALL:
                self.catalogue = wire.CATALOGUE_CHANNELS
                self.patterns = tuple(wire.patterns())
            case Part.CATALOGUE:
                self.catalogue = (wire.NEWFEED, wire.DELFEED)
            case Part.FEED:
                assert feed is not None  # noqa: S101 - those of all feeds have no such part
                self.catalogue = (wire.CONFFEED,)
                self.channels = tuple(wire.channels_of(feed))
                self.alarm = wire.alarm_of(feed)
        self.subscribed = Event()
        if not is_first:
            self.subscribed.set()
        self.refusal = None
        self.slots: tuple[int, ...] = ()
        self.is_confirmed = False
        self.is_wanted = True
        self._marker = subscription.marker
        self._post = post
        self._subscription = weakref.ref(subscription)

    def is_asked(self, slots: tuple[int, ...]) -> bool:
        """Whether the node has yet to say whether it can be heard there for all these slots."""
        is_open = not self.is_confirmed and self.refusal is None
        return is_open and set(slots) <= set(self.slots)

    @property
    def marker(self) -> str:
        """That of the subscription."""
        return self._marker

    def hear(self, notice: Notice) -> None:
        """Pass it on."""
        if (subscription := self._subscription()) is not None:
            subscription.hear(self._post, notice)

    def confirmed(self) -> None:
        """The node has confirmed it, perhaps again."""
        self.is_confirmed = True
        subscription = self._subscription()
        # One that is about to leave does not count any more.
        is_in_place = subscription is not None and subscription.listeners.get(self._post) is self
        if subscription is not None and is_in_place and self.is_wanted:
            again = self.subscribed.is_set()
            subscription.confirmed(self._post, self.slots, again=again)

    def refused(self, error: ResponseError) -> bool:
        """The node may not have the slot any more, and says who has."""
        self.is_confirmed = False
        elsewhere = errors.of_server(error)
        subscription = self._subscription()
        if not isinstance(elsewhere, errors.Elsewhere) or subscription is None:
            return False
        subscription.moved(elsewhere, self._post.node)
        return True

    def alarmed(self) -> None:
        """Ask again, there or elsewhere."""
        self.is_confirmed = False
        self.refusal = ConnectionError("the slot has left")

    async def close(self) -> None:
        """The subscription ends with the backend."""

    def end(self) -> None:
        """End the subscription: it would not hear all."""
        if (subscription := self._subscription()) is not None:
            subscription.end()
