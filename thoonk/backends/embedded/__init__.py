"""Feeds without a server: in this process, or in a file that processes share.

`core` does operations on a `store.Store`; `memory` and `sqlite` are stores. What an operation
does is in the module that is named after what it is about: `whole_feeds`, `items`, `taking`,
`jobs`, `schedules`, `workers`, `reading`.
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from thoonk.backends.embedded._async.backend import AsyncEmbeddedBackend
from thoonk.backends.embedded._sync.backend import EmbeddedBackend
from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.store import Store
from thoonk.config import check_seconds
from thoonk.exceptions import InvalidValue

__all__ = ["AsyncEmbeddedBackend", "Core", "EmbeddedBackend", "opener"]


class _Opener:
    """Opens ``embedded`` (feeds of its own) and ``embedded://NAME`` (shared by that name)."""

    def __init__(self) -> None:
        self._named: dict[str, Core] = {}

    def _core(self, url: str, options: dict[str, Any]) -> Core:
        if url.partition(":")[0].lower() == "sqlite":
            return Core(_sqlite_store(url, options))
        if options:
            raise InvalidValue(f"the embedded backend has no options, so not {', '.join(options)}")
        name, _, query = url.partition("://")[2].partition("?")
        if query:
            raise InvalidValue(f"the embedded backend has no options, so not {query:.80}")
        if not name:
            return Core(MemoryStore())
        return self._named.setdefault(name, Core(MemoryStore()))

    def open(self, url: str, **options: Any) -> EmbeddedBackend:
        return EmbeddedBackend(self._core(url, options))

    def open_async(self, url: str, **options: Any) -> AsyncEmbeddedBackend:
        return AsyncEmbeddedBackend(self._core(url, options))


def _sqlite_store(url: str, options: dict[str, Any]) -> Store:
    # Here and not above: not every Python has the module.
    from thoonk.backends.embedded.sqlite import SqliteStore, path_of  # noqa: PLC0415

    address, _, query = url.partition("?")
    settings = {**dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), **options}
    unknown = settings.keys() - {"synchronous", "retry_for"}
    if unknown:
        raise InvalidValue(
            "options of an SQLite backend are synchronous and retry_for, "
            f"not {', '.join(sorted(unknown))}"
        )
    synchronous = settings.get("synchronous", "normal")
    if synchronous not in ("normal", "full"):
        raise InvalidValue(f"synchronous must be normal or full, not {synchronous!r:.80}")
    retry_for = check_seconds("retry_for", settings.get("retry_for", 30.0))
    return SqliteStore(path_of(address), synchronous=synchronous, retry_for=retry_for)


opener = _Opener()
