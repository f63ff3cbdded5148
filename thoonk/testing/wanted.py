"""What a test wants to be published."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from unittest.mock import ANY

import attrs


@attrs.define
class Wanted:
    """An item, an id, or both; and until when.

    Attributes:
        item: what it has to be equal to; `unittest.mock.ANY` is equal to everything.
        id: its id; None: whichever.
        timeout: seconds to wait for it; 0: it has to be there.
    """

    item: object = ANY
    id: str | None = None
    timeout: float = 0.0
    _since: float = attrs.field(factory=time.monotonic, init=False)

    def is_met_by(self, id: str, item: object) -> bool:
        """Whether this is it."""
        return self.id in (None, id) and bool(self.item == item)

    def time_left(self) -> float:
        """Seconds, 0 when the time is over."""
        return max(0.0, self._since + self.timeout - time.monotonic())

    def complaint(self, feed: str, items: Mapping[str, Any]) -> str:
        """What to say when it did not come."""
        wanted = "anything" if self.item is ANY else repr(self.item)
        under = f" under the id {self.id!r}" if self.id is not None else ""
        within = f" within {self.timeout} seconds" if self.timeout else ""
        there = "\n".join(f"  {id}: {item!r}" for id, item in items.items()) or "  nothing"
        return f"{wanted} was not published in {feed!r}{under}{within}. There is\n{there}"
