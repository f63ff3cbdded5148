"""Where asyncio and threads differ by more than words. Written by hand, as is its twin."""

from __future__ import annotations


class AsyncOperators:
    """Nothing: ``len()`` and ``in`` cannot await."""


def open_at_once(_: object) -> None:
    """Nothing: a client for asyncio opens with its first call, in the event loop of that."""
