"""Who calls: slots, from which the server tells a repeated call from a new one."""

from __future__ import annotations

import os
from collections import deque

import attrs

from thoonk.names import new_token


@attrs.define(eq=False)
class Slot:
    """A name that is used by one call at a time, and the number of its last call."""

    name: str
    number: int = 0


class Slots:
    """The slots of one backend. As many come to be as calls are under way at once."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._free: deque[Slot] = deque()

    def take(self) -> Slot:
        """A slot that no other call uses, for its next call."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with the slots it has.
            self._pid = os.getpid()
            self._free = deque()
        try:
            slot = self._free.pop()
        except IndexError:
            slot = Slot(new_token()[:12])
        slot.number += 1
        return slot

    def give(self, slot: Slot) -> None:
        """The call is over."""
        self._free.append(slot)
