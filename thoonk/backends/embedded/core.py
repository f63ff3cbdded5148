"""The engine: does operations, one at a time, on a store, and sends their notices."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from thoonk import operations as ops
from thoonk.backends.at_fork import prepare_at_fork
from thoonk.backends.embedded import (  # noqa: F401 - they register what they do
    items,
    jobs,
    reading,
    restoring,
    schedules,
    taking,
    whole_feeds,
    workers,
)
from thoonk.backends.embedded.step import HANDLERS, READS, Handler, Step, microseconds
from thoonk.backends.embedded.store import Store, Watch
from thoonk.backends.waiters import Waiters
from thoonk.exceptions import BackendError, Closed, UnsupportedOperation
from thoonk.notices import Gap, Notice

R = TypeVar("R")

EXPIRE_EVERY = 256
"""After so many operations that change something, expired records are looked for."""


class Listener(Protocol):
    """A subscriber: gets notices from any thread.

    Attributes:
        heard_up_to: the number of the last notice before it listened.
    """

    heard_up_to: int

    def hear(self, notice: Notice) -> None:
        """Take note, and do not wait."""


class Core:
    """Feeds on a store. Any thread may call; the backends of one process share it.

    Attributes:
        store: where feeds are kept.
        handlers: what does each operation.
        waiters: the consumers of this process that wait.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """``clock`` tells the time in seconds since 1970. Tests may have one of their own."""
        self.store = store
        self.handlers: Mapping[type[ops.Operation[Any]], Handler] = HANDLERS
        self.clock = clock
        self.waiters = Waiters()
        self._listeners: list[Listener] = []
        self._lock = store.lock
        self._watch: Watch | None = None
        self._watched_by = 0
        self._users = 0
        self._closed = False
        self._marks = itertools.count()
        self._until_expiry = EXPIRE_EVERY
        prepare_at_fork(self)

    def __str__(self) -> str:
        return str(self.store)

    @classmethod
    def of(cls, store: Store) -> Core:
        """The engine on a store, which has one however many ask."""
        with store.lock:
            if store.core is None:
                store.core = cls(store)
            return store.core

    def open(self) -> None:
        """One backend more uses it."""
        with self._lock:
            self._users += 1
            self._closed = False

    def close(self) -> None:
        """One backend less uses it. The last one closes the store."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            self._closed = True
        # Not under the lock: the thread that watches may wait for that.
        self.store.close()

    def _check_open(self) -> None:
        """Refuse what another thread had begun before the last backend was closed."""
        if self._closed:
            raise Closed("the backend has been closed")

    @property
    def is_watched(self) -> bool:
        """Whether nothing is to be done by `watch`."""
        if not self.store.shares_notices:
            return True
        return self._watch is not None and self._watched_by == os.getpid()

    def watch(self) -> Watch | None:
        """Learn what other processes do, from now on; None where there are none."""
        if not self.is_watched:
            with self._lock:
                self._check_open()
                if not self.is_watched:
                    self._watch, self._watched_by = self.store.watch(self), os.getpid()
        return self._watch

    def execute(self, operation: ops.Operation[R]) -> R:
        """Do one operation with its notices, and wake consumers that wait for what it left."""
        kind = type(operation)
        handler = self.handlers.get(kind)
        if handler is None:
            raise UnsupportedOperation(f"the embedded engine does not know {kind.__name__}")
        writes = kind not in READS
        store = self.store
        try:
            with self._lock:
                self._check_open()
                with store.transaction(writes=writes):
                    step = Step(store, microseconds(self.clock()), self._marks.__next__)
                    answer = cast("R", handler(step, operation))
                    if writes:
                        step.end()
                        self._clean(step)
                        if store.shares_notices and step.notices:
                            store.publish(step.notices)
                if not store.shares_notices:
                    self.deliver(step.notices)
            if operation.wakes_waiters:
                self.waiters.call_for(operation)
        except BackendError:
            # A signal handler may have closed the store, which undoes what was not committed.
            self._check_open()
            raise
        except Exception:
            raise
        except BaseException:
            # A signal handler has raised. What was to be done may be done, without its notices.
            if not store.shares_notices:
                self.miss()
            self.waiters.call_for(operation)
            raise
        return answer

    def _clean(self, step: Step) -> None:
        self._until_expiry -= 1
        if self._until_expiry <= 0:
            self._until_expiry = EXPIRE_EVERY
            self.store.clean(step.now)

    # --- notices ------------------------------------------------------------------------

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Send notices to the subscriptions of this process."""
        for notice in notices:
            for listener in self._listeners:
                listener.hear(notice)

    def hear(self, number: int, notice: Notice) -> None:
        """Send a notice to the subscriptions that were there when it was published."""
        for listener in self._listeners:
            if number > listener.heard_up_to:
                listener.hear(notice)

    def miss(self) -> None:
        """Say to all subscriptions that notices were lost."""
        for listener in self._listeners:
            listener.hear(Gap(""))

    def add_listener(self, listener: Listener) -> None:
        """Send notices to it from now on."""
        watch = self.watch()
        with self._lock:
            self._check_open()
            if watch is not None:
                listener.heard_up_to = watch.listen()
            self._listeners = [*self._listeners, listener]

    def remove_listener(self, listener: Listener) -> None:
        """Send it no more. May be called twice."""
        with self._lock:
            self._listeners = [each for each in self._listeners if each is not listener]

    def before_fork(self) -> None:
        """Make sure that no other thread is in the middle of something."""
        # A store that is shared between processes does this itself.
        if not self.store.shares_notices:
            self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Continue."""
        if in_child:
            # They are the parent's.
            self._listeners = []
        if not self.store.shares_notices:
            self._lock.release()
