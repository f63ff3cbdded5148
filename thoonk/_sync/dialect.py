"""Where asyncio and threads differ by more than words. Written by hand, as is its twin."""

from __future__ import annotations

from typing import Protocol


class _Countable(Protocol):
    def count(self) -> int: ...

    def has_id(self, id: str) -> bool: ...


class _Openable(Protocol):
    def open(self) -> object: ...

    def close(self) -> None: ...


class Operators:
    """What Python's operators ask of a collection."""

    def __len__(self: _Countable) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty feed is still a feed

    def __contains__(self: _Countable, id: object) -> bool:
        return isinstance(id, str) and self.has_id(id)


def open_at_once(client: _Openable) -> None:
    """Open a client that was just made, or close what it has and raise."""
    try:
        client.open()
    except BaseException:
        client.close()
        raise
