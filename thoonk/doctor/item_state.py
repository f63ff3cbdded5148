"""The state of one id of a feed, and the values that rules about it work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from thoonk.backends.redis.wire import Keys, count_of
from thoonk.config import QUEUE, FeedConfig
from thoonk.doctor.findings import Check
from thoonk.doctor.probe import Words
from thoonk.operations import CONFIRM_WITHIN

SECONDS_BELOW = 1e11
"""A time below is in seconds, as some peers write them; all others are in ms."""

NO_TIME_BELOW, NO_TIME_ABOVE = 1e8, 1e14
"""What is below, as seconds or ms, or above, as ms, cannot be a time that a program wrote."""

TARDINESS = 1000.0
"""Ms that a claim may be past its time: a program that waits looks a little later."""


def in_milliseconds(time: float) -> float:
    """A stored time in ms."""
    return time * 1000 if time < SECONDS_BELOW else time


def is_time(time: float) -> bool:
    """Whether a stored number can be a time."""
    return NO_TIME_BELOW <= time <= NO_TIME_ABOVE


def text_of_time(time: float) -> str:
    """A time as it is stored: nothing is lost."""
    return f"{time:.17g}"


@attrs.frozen
class Feed:
    """The feed that is looked at.

    Attributes:
        kind: which of the four shapes it has.
        now: the server's time in ms, when it was looked at.
        is_paused: whether the feed is paused.
    """

    name: str
    kind: str
    keys: Keys
    config: FeedConfig
    now: float = 0.0
    is_paused: bool = False

    @property
    def waiting_key(self) -> bytes:
        """The list of what waits."""
        return self.keys.paused if self.is_paused else self.keys.ids

    @property
    def timeout(self) -> float | None:
        """Ms after which a claim is over; None: never."""
        if self.kind == QUEUE:
            return CONFIRM_WITHIN * 1000
        return self.config.claim_timeout * 1000 if self.config.claim_timeout else None


@attrs.frozen
class ItemState:
    """Where one id is.

    Attributes:
        item: whether it has an item.
        waiting: how often it is in ``feed.ids``.
        reserved: how often it is in ``feed.reserved``.
        paused: how often it is in ``feed.paused``.
        score: its score in the ``feed.ids`` of a feed.
        claimed: its score in ``feed.claimed``.
        stalled: whether it is in ``feed.stalled``.
        published: its score in ``feed.published``.
        cancelled: how often it was cancelled, as it is stored.
        holder: its entry in ``feed.holders``.
        due: its score in ``feed.scheduled``.
        later: whether it has an item in ``feed.scheduleditems``.
        unique: its score in ``feed.unique``.
        info: whether it has an entry in ``feed.info``.
    """

    id: bytes
    item: bool = False
    waiting: int = 0
    reserved: int = 0
    paused: int = 0
    score: float | None = None
    claimed: float | None = None
    stalled: bool = False
    published: float | None = None
    cancelled: bytes | None = None
    holder: bytes | None = None
    due: float | None = None
    later: bool = False
    unique: float | None = None
    info: bool = False

    @property
    def in_lists(self) -> int:
        """How often it waits."""
        return self.waiting + self.reserved + self.paused

    @property
    def is_known(self) -> bool:
        """Whether it is in any state but scheduled."""
        return bool(self.in_lists or self.claimed is not None or self.stalled)

    @property
    def failures(self) -> int:
        """How often it was cancelled."""
        return count_of(self.cancelled)

    def is_ahead(self, feed: Feed) -> bool:
        """Whether it is claimed at a time that has yet to come."""
        return self.claimed is not None and in_milliseconds(self.claimed) > feed.now + TARDINESS

    def is_late(self, feed: Feed) -> bool:
        """Whether it is claimed, and past its time."""
        if self.claimed is None or feed.timeout is None:
            return False
        return in_milliseconds(self.claimed) + feed.timeout + TARDINESS < feed.now


@attrs.frozen
class Fault:
    """Something that is wrong with one thing, and the writes that repair it (perhaps none)."""

    check: Check
    says: str
    repair: tuple[Words, ...] = ()


Rule: TypeAlias = Callable[[ItemState, Feed], Fault | None]
"""Finds one kind of fault in the state of an id."""
