"""Opens stores by their URLs."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Any

from thoonk.backends.checkups import Check, Checkup
from thoonk.backends.embedded._async.backend import AsyncEmbeddedBackend
from thoonk.backends.embedded._sync.backend import EmbeddedBackend
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.store import Store
from thoonk.config import check_seconds
from thoonk.exceptions import InvalidValue


class StoreOpener:
    """Offers a store under a URL: see the entry-point group ``thoonk.backends``."""

    def __init__(self, open_store: Callable[..., Store]) -> None:
        """``open_store`` is called with the URL, and with the options as keywords."""
        self._open_store = open_store

    def open(self, url: str, **options: Any) -> EmbeddedBackend:
        """A backend for threads."""
        return EmbeddedBackend(self._open_store(url, **options))

    def open_async(self, url: str, **options: Any) -> AsyncEmbeddedBackend:
        """A backend for asyncio."""
        return AsyncEmbeddedBackend(self._open_store(url, **options))


class _BuiltIn(StoreOpener):
    """Also examines files: a `thoonk.backends.checkups.Checkable`."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """What `check_up` may report."""
        from thoonk.backends.embedded.checkup import CHECKS  # noqa: PLC0415

        return CHECKS

    def check_up(self, url: str) -> Checkup:
        """Examine the file of ``sqlite:///…``."""
        address = url.partition("?")[0]
        if address.partition(":")[0].lower() == "sqlite":
            from thoonk.backends.embedded import checkup, sqlite_file  # noqa: PLC0415

            path = sqlite_file.path_of(address)
            if path != sqlite_file.IN_MEMORY:
                return checkup.check_up(path)
        raise InvalidValue(f"{address!r:.80} is in memory: there is nothing to examine")


NAMED: dict[str, MemoryStore] = {}
"""The stores of ``embedded://NAME``, which all clients of this process share."""


def _open_store(url: str, **options: Any) -> Store:
    """The store of ``sqlite:…``, ``embedded`` (its own) or ``embedded://NAME`` (shared)."""
    address, _, query = url.partition("?")
    settings = {**dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), **options}
    if address.partition(":")[0].lower() == "sqlite":
        return _sqlite_store(address, settings)
    if settings:
        raise InvalidValue(f"the embedded backend takes no options: remove {', '.join(settings)}")
    name = address.partition("://")[2]
    return NAMED.setdefault(name, MemoryStore()) if name else MemoryStore()


def _sqlite_store(address: str, settings: dict[str, Any]) -> Store:
    # Here and not above: not every Python has the module.
    from thoonk.backends.embedded.sqlite import SqliteStore  # noqa: PLC0415
    from thoonk.backends.embedded.sqlite_file import path_of  # noqa: PLC0415

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


opener = _BuiltIn(_open_store)
