"""Feeds without a server: in this process, or in a file that processes share.

`core` does operations on a `store.Store`; `memory` and `sqlite` are stores. What an operation
does is in the module that is named after what it is about: `whole_feeds`, `items`, `taking`,
`jobs`, `schedules`, `workers`, `reading`.
"""

from __future__ import annotations

from thoonk.backends.embedded._async.backend import AsyncEmbeddedBackend
from thoonk.backends.embedded._sync.backend import EmbeddedBackend
from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.opening import StoreOpener, opener
from thoonk.backends.embedded.store import (
    EXPIRING,
    Feed,
    Hub,
    Record,
    Row,
    Shelf,
    State,
    Store,
    Watch,
)

__all__ = [
    "EXPIRING",
    "AsyncEmbeddedBackend",
    "Core",
    "EmbeddedBackend",
    "Feed",
    "Hub",
    "MemoryStore",
    "Record",
    "Row",
    "Shelf",
    "State",
    "Store",
    "StoreOpener",
    "Watch",
    "opener",
]
