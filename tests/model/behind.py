"""What is stored, behind the calls of the clients: keys on a server, or rows of an engine."""

from __future__ import annotations

import json
from typing import Any, Protocol

import redis

from thoonk.backends.embedded import Core
from thoonk.backends.embedded.store import Feed, Record, Row, Shelf, State
from thoonk.backends.redis.wire import Keys, keys_of
from thoonk.config import JOB

MILLISECOND = 1000
"""Microseconds."""

ALL = 2**31
"""More rows than there are."""


class Behind(Protocol):
    """A look at it.

    Attributes:
        takers_reserve: whether a blocked taker reserves what it is about to take.
        has_peers: whether programs without this library can do the last three methods.
        ties_by_id: whether claims of one time are in the order of their ids.
    """

    takers_reserve: bool
    has_peers: bool
    ties_by_id: bool

    def has_nothing_of(self, name: str) -> bool:
        """Whether nothing is left of a feed that was deleted."""

    def stored(self, name: str, model: Any) -> dict[str, Any]:
        """What is stored of a queue or job feed, in the words of the model."""

    def reserve(self, name: str) -> None:
        """A taker reserves the next item, and is not seen again."""

    def pop(self, name: str) -> bytes | None:
        """A peer takes an id off the list."""

    def claim(self, name: str, now: int) -> None:
        """A peer that knows no tokens claims the next job."""


class Wire:
    """Keys on a server."""

    has_peers = True
    ties_by_id = True

    def __init__(self, raw: redis.Redis, *, takers_reserve: bool) -> None:
        self._raw = raw
        self.takers_reserve = takers_reserve

    def has_nothing_of(self, name: str) -> bool:
        return self._raw.exists(*(getattr(keys_of(name), key) for key in Keys.STORED)) == 0

    def reserve(self, name: str) -> None:
        self._raw.rpoplpush(keys_of(name).ids, keys_of(name).reserved)

    def pop(self, name: str) -> bytes | None:
        return self._raw.rpop(keys_of(name).ids)  # type: ignore[return-value]

    def claim(self, name: str, now: int) -> None:
        id = self.pop(name)
        if id is not None:
            self._raw.zadd(keys_of(name).claimed, {id: now})

    def stored(self, name: str, model: Any) -> dict[str, Any]:
        """What is on the wire of a queue or job feed."""
        keys = keys_of(name)
        # An empty id wakes a taker, and would be what it reserves. Here nobody has to be woken.
        self._raw.lrem(keys.ids, 0, b"")
        self._raw.lrem(keys.paused, 0, b"")
        if model.is_paused:
            assert not self._raw.exists(keys.ids)
        with self._raw.pipeline(transaction=False) as pipe:
            pipe.lrange(keys.paused if model.is_paused else keys.ids, 0, -1)
            pipe.lrange(keys.reserved, 0, -1)
            pipe.zrange(keys.claimed, 0, -1, withscores=True)
            pipe.hgetall(keys.holders)
            pipe.hgetall(keys.tokens)
            pipe.smembers(keys.stalled)
            pipe.hgetall(keys.cancelled)
            pipe.zrange(keys.published, 0, -1)
            pipe.zrange(keys.scheduled, 0, -1)
            pipe.hkeys(keys.scheduleditems)
            pipe.hkeys(keys.schedules)
            pipe.zrange(keys.runs, 0, -1, withscores=True)
            pipe.hgetall(keys.runtimes)
            ids, reserved, claimed, holders, tokens, stalled, cancelled, *others = pipe.execute()
            published, scheduled, scheduled_items, schedules, runs, later = others
        since = {id: b"%d" % time for id, time in claimed}
        held = {id.decode(): holder.split(b" ") for id, holder in holders.items()}
        assert {id: time for id, (_, time) in held.items()} == {
            id.decode(): since[id] for id in holders
        }
        seen: dict[str, Any] = {
            "waiting": [id.decode() for id in reversed(ids)],
            "reserved": [id.decode() for id in reversed(reserved) if id],
            "claimed": [id.decode() for id, _ in claimed],
            "holders": {id: token.decode() for id, (token, _) in held.items()},
            "tokens": {token.decode(): ids.decode().split("\0") for token, ids in tokens.items()},
        }
        if model.kind == JOB:
            seen["scheduled"] = [id.decode() for id in scheduled]
            assert {*scheduled_items} == {*scheduled}
            seen["stalled"] = {id.decode() for id in stalled}
            seen["failures"] = {id.decode(): int(count) for id, count in cancelled.items()}
            seen["published"] = {id.decode() for id in published}
            seen["schedules"] = {name.decode(): list[int]() for name in schedules}
            for name_of, first in runs:
                times = [int(first), *map(int, later.get(name_of, b"").split())]
                seen["schedules"][name_of.decode()] = times
        return seen


class Engine:
    """Rows of the embedded engine."""

    takers_reserve = False
    has_peers = False
    ties_by_id = False

    def __init__(self, core: Core) -> None:
        self._store = core.store

    def has_nothing_of(self, name: str) -> bool:
        with self._store.lock, self._store.transaction(writes=False):
            return self._store.find(name) is None

    def stored(self, name: str, model: Any) -> dict[str, Any]:
        store = self._store
        with store.lock, store.transaction(writes=False):
            feed = store.find(name)
            assert feed is not None
            rows = {state: store.rows(feed, state, limit=ALL) for state in State}
            all_rows = store.all_rows(feed, limit=ALL)
            tokens = {row.token: store.held(feed, row.token) for row in rows[State.CLAIMED]}
            schedules = store.records(feed, Shelf.SCHEDULE)
        self._check_numbers(feed, rows, all_rows)
        ids = {state: [row.id for row in rows[state]] for state in State}
        seen: dict[str, Any] = {
            "waiting": ids[State.WAITING],
            "reserved": [],
            "claimed": ids[State.CLAIMED],
            "holders": {row.id: row.token for row in rows[State.CLAIMED]},
            "tokens": {token: [row.id for row in held] for token, held in tokens.items()},
        }
        if model.kind == JOB:
            seen["stalled"] = {*ids[State.STALLED]}
            seen["failures"] = {row.id: row.failures for row in all_rows if row.failures}
            seen["published"] = {*ids[State.WAITING], *ids[State.CLAIMED]}
            seen["scheduled"] = ids[State.SCHEDULED]
            seen["schedules"] = {record.id: _times(record) for record in schedules}
        return seen

    def _check_numbers(self, feed: Feed, rows: dict[State, list[Row]], all_rows: list[Row]) -> None:
        """What is counted as it changes is what there is."""
        assert feed.counts == [len(rows[state]) for state in State]
        assert len(all_rows) == sum(feed.counts)
        assert feed.failing == sum(row.failures > 0 for row in all_rows)

    def reserve(self, name: str) -> None:
        raise NotImplementedError

    def pop(self, name: str) -> bytes | None:
        raise NotImplementedError

    def claim(self, name: str, now: int) -> None:
        raise NotImplementedError


def _times(record: Record) -> list[int]:
    """When a schedule puts jobs, in milliseconds."""
    first = [] if record.at is None else [record.at // MILLISECOND]
    return [*first, *json.loads(record.text)["later"]]
