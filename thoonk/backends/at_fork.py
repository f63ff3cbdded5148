"""What objects of backends do when the process forks."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that has to be prepared for a fork."""

    def before_fork(self) -> None:
        """Make sure that no other thread is in the middle of something."""

    def after_fork(self, *, in_child: bool) -> None:
        """Continue, in the parent or in its child."""


_known: WeakSet[Forkable] = WeakSet()
_forking: list[Forkable] = []

_lock = threading.RLock()
"""Held until after the fork: two threads may fork at once."""


def prepare_at_fork(forkable: Forkable) -> None:
    """Call its methods at each fork from now on."""
    _known.add(forkable)


def forget_at_fork(forkable: Forkable) -> None:
    """Call them no more."""
    _known.discard(forkable)


def _before() -> None:
    _lock.acquire()
    _forking[:] = _known
    for forkable in _forking:
        forkable.before_fork()


def _after(*, in_child: bool) -> None:
    while _forking:
        _forking.pop().after_fork(in_child=in_child)
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
