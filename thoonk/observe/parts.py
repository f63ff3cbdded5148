"""Reads from an operation its name, feed, ids and items."""

from __future__ import annotations

import functools
import re
from typing import Any

from thoonk.operations import FeedOperation, Operation

_WITH_IDS = ("entries", "completions", "claims", "finished", "cancelled")
"""Fields of operations whose values have an id each."""


@functools.cache
def _in_words(name: str) -> str:
    return re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()


def name_of(operation: Operation[Any]) -> str:
    """Its name in words: ``job_put`` for a `JobPut`."""
    return _in_words(type(operation).__name__)


def feed_of(operation: Operation[Any]) -> str:
    """The feed that it is for; empty: none."""
    return operation.feed if isinstance(operation, FeedOperation) else ""


def ids_of(operation: Operation[Any]) -> list[str]:
    """The ids that it names."""
    ids = [each.id for name in _WITH_IDS for each in getattr(operation, name, ())]
    ids += getattr(operation, "ids", None) or ()
    one = getattr(operation, "entry", operation)
    return [*ids, one.id] if hasattr(one, "id") else ids


def items_of(operation: Operation[Any]) -> list[bytes]:
    """The items that it brings."""
    items = [entry.item for entry in getattr(operation, "entries", ())]
    items += getattr(operation, "items", ())
    return [*items, operation.entry.item] if hasattr(operation, "entry") else items
