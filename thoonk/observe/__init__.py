"""A backend that is watched: each operation, each wait, each notice.

Nothing in the library knows of it, so it costs nothing where it is not used. What watches
is in `thoonk.observe.opentelemetry` and `thoonk.observe.prometheus`, or is your own.
"""

from __future__ import annotations

from thoonk.observe._async.backend import AsyncObservedBackend
from thoonk.observe._sync.backend import ObservedBackend
from thoonk.observe.observer import Observer

__all__ = ["AsyncObservedBackend", "ObservedBackend", "Observer"]
