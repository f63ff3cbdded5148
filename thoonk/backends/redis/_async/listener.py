"""Who hears what comes over a connection to pub/sub."""

from __future__ import annotations

from redis.exceptions import ResponseError

from thoonk.concurrency._async import Event
from thoonk.notices import Notice


class AsyncListener:
    """What `AsyncPubSub` has to know of a listener, and tells it.

    Attributes:
        feed: whose notices it hears; None: of all feeds.
        marker: which `Marker` notices it hears.
        channels: those of its feed.
        catalogue: those of created and deleted feeds, if it hears them.
        patterns: of channels, for all feeds.
        alarm: a channel in the feed's slot of a cluster. The server ends it when the slot leaves.
            None: there is no cluster, or the server has no such channels.
        subscribed: set when the server has confirmed it, or has refused it.
        refusal: what the server refused it with.
    """

    feed: str | None
    channels: tuple[bytes, ...]
    catalogue: tuple[bytes, ...]
    patterns: tuple[bytes, ...]
    alarm: bytes | None
    subscribed: Event
    refusal: BaseException | None

    @property
    def marker(self) -> str:
        """As above."""
        raise NotImplementedError

    def hear(self, notice: Notice) -> None:
        """Take a notice of the feed, or of any."""
        raise NotImplementedError

    def confirmed(self) -> None:
        """From now on all is heard. If ``subscribed`` is set, this is not the first time."""
        raise NotImplementedError

    def refused(self, error: ResponseError) -> bool:
        """Whether the listener looks after it itself; else it is subscribed again after a pause."""
        raise NotImplementedError

    def alarmed(self) -> None:
        """The server has ended the alarm: the slot has left, or the node is no master any more."""
        raise NotImplementedError

    async def close(self) -> None:
        """The connection ends for good."""
        raise NotImplementedError

    def end(self) -> None:
        """Nothing more will come, because what reads was killed."""
        raise NotImplementedError
