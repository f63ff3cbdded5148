"""What a subscriber builds from notices alone: the plainest code that can be right."""

from __future__ import annotations

from typing import Any

from thoonk import Deleted, Edited, Moved, Published, Retracted


class Mirror:
    """A copy of a feed or sorted feed."""

    def __init__(self, kind: str) -> None:
        self._is_sorted = kind == "sorted_feed"
        self.ids: list[str] = []
        self.items: dict[str, Any] = {}

    def apply(self, notice: Any) -> None:
        match notice:
            case Published(_, id, item) | Edited(_, id, item):
                if id not in self.items or not self._is_sorted:
                    self._take_out(id)
                    self.ids.append(id)
                self.items[id] = item
            case Retracted(_, id):
                self._take_out(id)
                self.items.pop(id, None)
            case Moved(_, id, position):
                self._take_out(id)
                self.ids.insert(self._index(position), id)
            case Deleted():
                self.ids.clear()
                self.items.clear()

    def _take_out(self, id: str) -> None:
        if id in self.ids:
            self.ids.remove(id)

    def _index(self, position: str) -> int:
        if position == "begin:":
            return 0
        if position == ":end":
            return len(self.ids)
        if position.startswith(":"):
            return self.ids.index(position[1:])
        return self.ids.index(position[:-1]) + 1
