"""What the library promises, as plain Python: dicts, lists and a number for the time.

Each method is one operation. It returns what the operation answers, raises what it
raises, and appends to `Model.notices` what subscribers are told. Nothing here knows of
Redis; where the wire shows through (a list of reservations, say) it is because the
contract gives it a meaning that users can see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import attrs

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.exceptions import (
    FeedDoesNotExist,
    FeedExists,
    ItemDoesNotExist,
    ItemExists,
    NotClaimed,
    NotScheduled,
    NotStalled,
    WrongFeedType,
)
from thoonk.notices import (
    Configured,
    Created,
    Deleted,
    Edited,
    Finished,
    Moved,
    Notice,
    Published,
    Retracted,
)

CONFIRM_WITHIN = 10_000
"""Milliseconds after which an unconfirmed take from a queue is undone."""

MISSED = 60_000
"""Milliseconds after which periodic jobs were missed: nobody has looked."""

ONE_DAY = 86_400_000
"""Milliseconds that a result is kept when nobody says otherwise."""


@attrs.frozen
class Hold:
    """Who has something since when; a peer that knows no tokens has none.

    ``index`` is its place among what was taken at once.
    """

    token: str | None
    since: int
    index: int = 0


@attrs.frozen
class Saved:
    """Something to restore. ``at``: when a job is due, or until when it stays; None: forever."""

    what: str
    id: str
    item: str | None = None
    at: int | None = None
    high: bool = False
    failures: int = 0
    result: str | None = None


KEPT, ADDED, REPLACED = range(3)
"""What becomes of something that is put or restored."""


@attrs.define
class Result:
    """A stored result; ``until`` is when it goes, None: never. The query may be unknown."""

    query: str | None
    value: str | None
    until: int | None


@attrs.define
class Periodic:
    """A schedule. Of each of its times to come there is when it is, and what ids call it."""

    item: str
    high: bool
    skip: bool
    times: list[int]
    names: list[int]


class ModelFeed:
    """A feed: a dict that remembers in which order its items were published."""

    kind: ClassVar[str] = FEED

    def __init__(self, model: Model, name: str, config: dict[str, Any]) -> None:
        self.model = model
        self.name = name
        self.config = config
        self.items: dict[str, str] = {}

    def tell(self, notice: Notice) -> None:
        self.model.notices.append(notice)

    def ids(self) -> list[str]:
        return list(self.items)

    def require(self, id: str) -> None:
        if id not in self.items:
            raise ItemDoesNotExist(self.name, id)

    def trim(self, room_for: int) -> None:
        """Drop the oldest until there is room for so many more."""
        limit = self.config.get("max_length") or 0
        while limit and len(self.items) + room_for > limit:
            self.retract([next(iter(self.items))])

    def publish(self, entries: Iterable[tuple[str, str]]) -> list[bool]:
        fresh = []
        for id, item in entries:
            is_new = id not in self.items
            if is_new:
                self.trim(1)
            self.items.pop(id, None)
            self.items[id] = item
            self.tell((Published if is_new else Edited)(self.name, id, item))
            fresh.append(is_new)
        return fresh

    def retract(self, ids: Iterable[str]) -> list[bool]:
        was_there = []
        for id in ids:
            was_there.append(id in self.items)
            if self.items.pop(id, None) is not None:
                self.tell(Retracted(self.name, id))
        return was_there

    def restore(self, saved: Iterable[Saved]) -> list[int]:
        """Whenever they were published: all come last."""
        outcomes = [self._restore(each) for each in saved]
        self.trim(0)
        return outcomes

    def _restore(self, saved: Saved) -> int:
        item = saved.item or ""
        before = self.items.get(saved.id)
        if before == item:
            return KEPT
        self.items.pop(saved.id, None)
        self.items[saved.id] = item
        self.tell((Published if before is None else Edited)(self.name, saved.id, item))
        return ADDED if before is None else REPLACED

    def configured(self) -> None:
        """The configuration has changed."""
        self.trim(0)


class ModelSortedFeed(ModelFeed):
    """A sorted feed: a list of ids, and a number that only grows."""

    kind = SORTED_FEED

    def __init__(self, model: Model, name: str, config: dict[str, Any]) -> None:
        super().__init__(model, name, config)
        self.order: list[str] = []
        self.last_id = 0

    def ids(self) -> list[str]:
        return list(self.order)

    def insert(self, position: str, item: str) -> str:
        id = str(self.last_id + 1)
        self._place(id, position)
        self.last_id += 1
        self.items[id] = item
        self.tell(Published(self.name, id, item))
        self.tell(Moved(self.name, id, position))
        return id

    def edit(self, id: str, item: str) -> None:
        self.require(id)
        self.items[id] = item
        self.tell(Edited(self.name, id, item))

    def move(self, position: str, id: str) -> None:
        self.require(id)
        neighbour = neighbour_of(position)
        if neighbour == id:
            return
        if neighbour is not None:
            self.require(neighbour)
        self.order.remove(id)
        self._place(id, position)
        self.tell(Moved(self.name, id, position))

    def retract(self, ids: Iterable[str]) -> list[bool]:
        ids = list(ids)
        was_there = super().retract(ids)
        self.order = [id for id in self.order if id in self.items]
        return was_there

    def restore(self, saved: Iterable[Saved]) -> list[int]:
        """At the end, or where it is already. Ids that are numbers are not given again."""
        return [self._restore(each) for each in saved]

    def _restore(self, saved: Saved) -> int:
        outcome = super()._restore(saved)
        if outcome == ADDED:
            self._place(saved.id, ":end")
            if saved.id.isdecimal():
                self.last_id = max(self.last_id, int(saved.id))
            self.tell(Moved(self.name, saved.id, ":end"))
        return outcome

    def _place(self, id: str, position: str) -> None:
        neighbour = neighbour_of(position)
        if neighbour is not None:
            self.require(neighbour)
        place(self.order, id, position)

    def configured(self) -> None:
        """A sorted feed has no bound."""


def neighbour_of(position: str) -> str | None:
    """The id in a position, None for ``begin:`` and ``:end``."""
    return None if position in ("begin:", ":end") else position.strip(":")


def place(order: list[str], id: str, position: str) -> None:
    """Put an id where a position says."""
    if position == "begin:":
        order.insert(0, id)
    elif position == ":end":
        order.append(id)
    else:
        after = position.endswith(":")
        order.insert(order.index(position.strip(":")) + after, id)


class _Taking(ModelFeed):
    """What queues and job feeds have in common.

    Attributes:
        waiting: ids, the next one first.
        reserved: ids that a blocked taker has reserved and not taken: they come before
            all that waits.
        held: id to who has taken it.
        tokens: token to the ids that were taken under it and are not ended.
        taken_until: id to when it is free again, whatever becomes of its item.
    """

    def __init__(self, model: Model, name: str, config: dict[str, Any]) -> None:
        super().__init__(model, name, config)
        self.waiting: list[str] = []
        self.reserved: list[str] = []
        self.held: dict[str, Hold] = {}
        self.tokens: dict[str, list[str]] = {}
        self.taken_until: dict[str, int] = {}
        self.is_paused = False

    def pause(self) -> bool:
        if self.is_paused:
            return False
        self.is_paused = True
        self.waiting, self.reserved = self.reserved + self.waiting, []
        self.tell(Configured(self.name))
        return True

    def resume(self) -> bool:
        if not self.is_paused:
            return False
        self.is_paused = False
        self.tell(Configured(self.name))
        return True

    def outcomes(self, ids: Iterable[str], way: str) -> list[int]:
        """What becomes of puts under ids that may be taken: 1 added, 2 replaced, 0 kept."""
        found = []
        for id in ids:
            is_taken = id in self.items or self.taken_until.get(id, 0) > self.model.now
            if is_taken and way == "refuse":
                raise ItemExists(self.name, id)
            is_replaced = way == "replace" and id in self.items and id not in self.held
            found.append(2 if is_taken and is_replaced else 0 if is_taken else 1)
        return found

    def keep_taken(self, id: str, seconds: float) -> None:
        if seconds:
            self.taken_until[id] = self.model.now + int(seconds * 1000)

    def restore(self, saved: Iterable[Saved]) -> list[int]:
        """A job or item that is there, in whatever state, is kept."""
        return [self._restore(each) for each in saved]

    def _restore(self, saved: Saved) -> int:
        if saved.what == "taken":
            until = saved.at or 0
            if until <= max(self.model.now, self.taken_until.get(saved.id, 0)):
                return KEPT
            self.taken_until[saved.id] = until
            return ADDED
        if saved.id in self.items:
            return KEPT
        self.items[saved.id] = saved.item or ""
        if saved.what == "waiting":
            self.waiting.append(saved.id)
        return ADDED

    def bring_in(self) -> None:
        """What has come back, or has become due, waits."""
        self.bring_back()

    def put(self, entries: Iterable[tuple[str, str]], *, high: bool) -> None:
        for id, item in entries:
            assert id not in self.items, "ids are fresh"
            self.items[id] = item
            self.waiting.insert(0 if high else len(self.waiting), id)

    def take(self, token: str, count: int = 1, *, recover_expired: bool = True) -> list[str]:
        """Up to so many ids; under a token that has taken before, the same again.

        Without recovery what waits comes before what is on its way, and what has expired only
        where there is neither.
        """
        if recover_expired:
            self.bring_in()
        if token not in self.tokens:
            if not recover_expired and (self.is_paused or (not self.waiting and not self.reserved)):
                self.bring_in()
            if self.is_paused:
                return []
            first, second = self.reserved, self.waiting
            if not recover_expired:
                first, second = second, first
            taken = []
            while len(taken) < count and (first or second):
                taken.append((first or second).pop(0))
            for index, id in enumerate(taken):
                self.held[id] = Hold(token, self.model.now, index)
            if taken:
                self.tokens[token] = taken
        return list(self.tokens.get(token, ()))

    def release(self, token: str) -> list[str]:
        released = list(self.tokens.get(token, ()))
        for id in released:
            self.drop_claim(id)
        self.waiting = released + self.waiting
        return released

    def reserve(self) -> None:
        """A blocked taker woke up, and is not seen again."""
        if self.waiting and not self.is_paused:
            self.reserved.append(self.waiting.pop(0))

    def check_held(self, id: str, token: str = "") -> None:
        hold = self.held.get(id)
        if hold is None or (token and hold.token != token):
            raise NotClaimed(self.name, id)

    def drop_claim(self, id: str) -> None:
        token = self.held.pop(id).token
        if token is not None:
            self.tokens[token].remove(id)
            if not self.tokens[token]:
                del self.tokens[token]

    def held_in_order(self) -> list[str]:
        """Oldest first; of one time, by id or as they were taken."""

        def age(id: str) -> tuple[int, Any]:
            hold = self.held[id]
            return hold.since, id.encode() if self.model.ties_by_id else hold.index

        return sorted(self.held, key=age)

    def held_longer_than(self, timeout: int) -> list[str]:
        now = self.model.now
        return [id for id in self.held_in_order() if now - self.held[id].since >= timeout]

    def bring_back(self) -> None:
        raise NotImplementedError

    def configured(self) -> None:
        """It has no bound."""


class ModelQueue(_Taking):
    """A queue."""

    kind = QUEUE

    def ids(self) -> list[str]:
        return list(self.waiting)

    def add(
        self, entries: Iterable[tuple[str, str]], *, high: bool, way: str, unique_for: float
    ) -> list[int]:
        entries = list(entries)
        outcomes = self.outcomes([id for id, _ in entries], way)
        for (id, item), outcome in zip(entries, outcomes, strict=True):
            if outcome == 1:
                self.put([(id, item)], high=high)
            elif outcome == 2:
                self.items[id] = item
            if outcome:
                self.keep_taken(id, unique_for)
        return outcomes

    def clear(self) -> int:
        for id in list(self.items):
            self.taken_until.pop(id, None)
        count = len(self.items)
        self.items, self.waiting, self.reserved, self.held, self.tokens = {}, [], [], {}, {}
        return count

    def get(self) -> str | None:
        """The item of the next one, gone at once."""
        items = self.get_many(1)
        return items[0] if items else None

    def get_many(self, count: int) -> list[str]:
        ids = self.take("get", count)
        items = [self.items[id] for id in ids]
        self.confirm(ids, "get")
        return items

    def confirm(self, ids: Iterable[str], token: str) -> None:
        ids = list(ids)
        for id in ids:
            self.check_held(id, token)
        for id in ids:
            self.drop_claim(id)
            del self.items[id]

    def put_back(self, entries: Iterable[tuple[str, str]], token: str) -> None:
        """What was taken, and perhaps confirmed, reached nobody."""
        returned = []
        for id, item in entries:
            if id not in self.items:
                self.items[id] = item
            elif id in self.held and self.held[id].token == token:
                self.drop_claim(id)
            else:
                continue  # it has come back by itself
            returned.append(id)
        self.waiting = returned + self.waiting

    def bring_back(self) -> None:
        """Takes that nobody confirmed are next, in the order in which they were taken."""
        late = self.held_longer_than(CONFIRM_WITHIN)
        for id in late:
            self.drop_claim(id)
        self.waiting = late + self.waiting


class ModelJob(_Taking):
    """A job feed. Every job waits, is reserved, held, stalled, or lost by a peer."""

    kind = JOB

    def __init__(self, model: Model, name: str, config: dict[str, Any]) -> None:
        super().__init__(model, name, config)
        self.stalled: set[str] = set()
        self.failures: dict[str, int] = {}
        self.finished = 0
        self.results: dict[str, Result] = {}
        self.lost: set[str] = set()
        self.scheduled: dict[str, tuple[int, bool]] = {}
        self.schedules: dict[str, Periodic] = {}
        self.progressed: dict[str, float] = {}

    def add(
        self,
        entries: Iterable[tuple[str, str]],
        *,
        high: bool,
        delay: float,
        way: str,
        unique_for: float,
    ) -> list[int]:
        entries = list(entries)
        outcomes = self.outcomes([id for id, _ in entries], way)
        joining = []
        for (id, item), outcome in zip(entries, outcomes, strict=True):
            if not outcome:
                continue
            stays = outcome == 2 and id not in self.scheduled and id not in self.stalled
            if delay or not stays:
                if outcome == 2:
                    self._forget(id)
                if delay:
                    self.scheduled[id] = self.model.now + int(delay * 1000), high
                else:
                    joining.append(id)
            self.items[id] = item
            self.failures.pop(id, None)
            self.progressed.pop(id, None)
            self.results.pop(id, None)
            self.keep_taken(id, unique_for)
        for id in joining:
            self.waiting.insert(0 if high else len(self.waiting), id)
        return outcomes

    def fail(self, id: str, token: str, *, delay: float, stall: bool) -> int:
        """0: it waits again, 1: it is stalled, 2: it is scheduled."""
        if stall:
            self.stall(id, token)
            return 1
        if self.cancel(id, token):
            return 1
        if not delay:
            return 0
        self.waiting.remove(id)
        self.scheduled[id] = self.model.now + int(delay * 1000), False
        return 2

    def reschedule(self, id: str, delay: float) -> bool:
        if id not in self.scheduled:
            raise NotScheduled(self.name, id)
        _, high = self.scheduled.pop(id)
        if delay:
            self.scheduled[id] = self.model.now + int(delay * 1000), high
            return True
        self.waiting.insert(0 if high else len(self.waiting), id)
        return False

    def scheduled_in_order(self) -> list[str]:
        return sorted(self.scheduled, key=lambda id: self.scheduled[id][0])

    def bring_in(self) -> None:
        super().bring_in()
        for id in self.scheduled_in_order():
            due, high = self.scheduled[id]
            if due <= self.model.now:
                del self.scheduled[id]
                self.waiting.insert(0 if high else len(self.waiting), id)
        self.bring_periodic()

    def bring_periodic(self) -> None:
        """Each time that has passed puts a job; of times that were missed the last one, or none."""
        due = {name: each.names[0] for name, each in self.schedules.items() if each.names}
        for name in sorted(due, key=lambda name: (due[name], name)):
            each = self.schedules[name]
            passed = [time for time in each.times if time <= self.model.now]
            names, each.names = each.names[: len(passed)], each.names[len(passed) :]
            each.times = each.times[len(passed) :]
            if passed and passed[0] < self.model.now - MISSED:
                names = [] if each.skip else names[-1:]
            for number in names:
                id = f"{name}@{number}"
                if id not in self.items:
                    self.put([(id, each.item)], high=each.high)

    def schedule(self, name: str, wanted: Periodic) -> bool:
        known = self.schedules.get(name)
        is_same = known and (known.item, known.high, known.skip) == (
            wanted.item,
            wanted.high,
            wanted.skip,
        )
        if known and is_same and known.times:
            return False
        self.schedules[name] = wanted
        return True

    def restore_schedule(self, name: str, saved: Periodic) -> int:
        """One that is there is kept, whatever it is like."""
        if name in self.schedules:
            return KEPT
        self.schedules[name] = saved
        return ADDED

    def _restore(self, saved: Saved) -> int:
        if saved.what == "result":
            return self._restore_result(saved)
        outcome = super()._restore(saved)
        if outcome == ADDED and saved.what != "taken":
            if saved.what == "scheduled":
                self.scheduled[saved.id] = saved.at or 0, saved.high
            elif saved.what == "stalled":
                self.stalled.add(saved.id)
            if saved.failures:
                self.failures[saved.id] = saved.failures
        return outcome

    def _restore_result(self, saved: Saved) -> int:
        """For the rest of its time, and not in place of another."""
        is_past = saved.at is not None and saved.at <= self.model.now
        if is_past or self.result(saved.id) is not None:
            return KEPT
        self.results[saved.id] = Result(saved.item, saved.result, saved.at)
        self.tell(Finished(self.name, saved.id, saved.result or ""))
        return ADDED

    def unschedule(self, name: str) -> bool:
        return self.schedules.pop(name, None) is not None

    def progress(self, id: str, token: str, fraction: float) -> None:
        self.check_held(id, token)
        self.progressed[id] = fraction

    def holds(self, id: str, token: str) -> bool:
        try:
            self.check_held(id, token)
        except NotClaimed:
            return False
        return True

    def clear(self, state: str) -> int:
        ids = {
            "scheduled": [*self.scheduled],
            "waiting": self.reserved + self.waiting,
            "claimed": [*self.held],
            "stalled": [*self.stalled],
        }[state]
        self.retract(ids)
        return len(ids)

    def claim(
        self, token: str, count: int = 1, *, recover_expired: bool = True
    ) -> list[tuple[str, str, int]]:
        ids = self.take(token, count, recover_expired=recover_expired)
        return [(id, self.items[id], self.failures.get(id, 0)) for id in ids]

    def claim_by_peer(self) -> None:
        """A peer that knows neither tokens nor reservations."""
        if self.waiting and not self.is_paused:
            self.held[self.waiting.pop(0)] = Hold(None, self.model.now)

    def lose(self) -> None:
        """A peer dies between taking an id and marking it claimed."""
        if self.waiting and not self.is_paused:
            self.lost.add(self.waiting.pop(0))

    def finish(
        self, completions: Iterable[tuple[str, str, bool, str | None, float | None]]
    ) -> None:
        """Each ending: id, token, whether there is a result, the result, seconds to keep it."""
        completions = list(completions)
        for id, token, *_ in completions:
            self.check_held(id, token)
        for id, _, has_result, value, timeout in completions:
            self.finished += 1
            if has_result:
                self._store(id, value, timeout)
                self.tell(Finished(self.name, id, value or ""))
            self._forget(id)

    def end_those_held(
        self,
        finished: Iterable[tuple[str, str, bool, str | None, float | None]],
        cancelled: Iterable[tuple[str, str]],
    ) -> list[str]:
        """Finish and cancel what is held under its token; the ids of the rest."""
        lost = []
        for completion in finished:
            try:
                self.finish([completion])
            except NotClaimed:
                lost.append(completion[0])
        for id, token in cancelled:
            try:
                self.cancel(id, token)
            except NotClaimed:
                lost.append(id)
        return lost

    def _store(self, id: str, value: str | None, timeout: float | None) -> None:
        if timeout is None:
            timeout = self.config.get("result_timeout")
        keep = ONE_DAY if timeout is None else timeout * 1000
        until = self.model.now + keep if keep else None
        self.results[id] = Result(self.items[id], value, until)

    def result(self, id: str) -> tuple[str | None, str | None] | None:
        stored = self.results.get(id)
        if stored is None or (stored.until is not None and self.model.now >= stored.until):
            return None
        return stored.query, stored.value

    def extend(self, id: str, token: str = "") -> None:
        self.check_held(id, token)
        self.held[id] = Hold(self.held[id].token, self.model.now)

    def cancel(self, id: str, token: str = "") -> bool:
        self.check_held(id, token)
        return self._fail(id)

    def _fail(self, id: str) -> bool:
        """It waits again, at the end, or is stalled: true."""
        self.drop_claim(id)
        self.failures[id] = self.failures.get(id, 0) + 1
        limit = self.config.get("max_failures") or 0
        if limit and self.failures[id] >= limit:
            self.stalled.add(id)
            return True
        self.waiting.append(id)
        return False

    def stall(self, id: str, token: str = "") -> None:
        self.check_held(id, token)
        self.drop_claim(id)
        self.stalled.add(id)

    def retry(self, id: str) -> None:
        if id not in self.stalled:
            raise NotStalled(self.name, id)
        self.stalled.remove(id)
        self.failures.pop(id, None)
        self.waiting.append(id)

    def retract(self, ids: Iterable[str]) -> list[bool]:
        was_there = []
        for id in ids:
            was_there.append(id in self.items)
            self.taken_until.pop(id, None)
            if id in self.items:
                self._forget(id)
        return was_there

    def _forget(self, id: str) -> None:
        if id in self.held:
            self.drop_claim(id)
        for ids in (self.waiting, self.reserved):
            if id in ids:
                ids.remove(id)
        self.stalled.discard(id)
        self.lost.discard(id)
        self.scheduled.pop(id, None)
        self.failures.pop(id, None)
        self.progressed.pop(id, None)
        del self.items[id]

    def bring_back(self) -> tuple[list[str], list[str]]:
        """Claims that ran out; returns those that wait again and those that are stalled."""
        expired: list[str] = []
        stalled: list[str] = []
        timeout = self.config.get("claim_timeout")
        if timeout:
            for id in self.held_longer_than(int(timeout * 1000)):
                (stalled if self._fail(id) else expired).append(id)
        return expired, stalled

    def maintain(self, recovered: Iterable[str]) -> tuple[list[str], list[str], set[str]]:
        """``recovered`` only gives the order, which is nobody's promise."""
        expired, stalled = self.bring_back()
        self.waiting = self.reserved + self.waiting
        self.reserved = []
        lost, self.lost = self.lost, set()
        self.waiting += [id for id in recovered if id in lost]
        return expired, stalled, lost


MODEL_OF: dict[str, type[ModelFeed]] = {
    model.kind: model for model in (ModelFeed, ModelSortedFeed, ModelQueue, ModelJob)
}


class Model:
    """A world of feeds, its time in milliseconds, and all notices so far.

    ``ties_by_id``: in what order claims of one time expire. A server stores them sorted by time
    and then id. The embedded engine keeps the order in which they were taken.
    """

    def __init__(self, *, ties_by_id: bool = True) -> None:
        self.ties_by_id = ties_by_id
        self.now = 0
        self.feeds: dict[str, ModelFeed] = {}
        self.notices: list[Notice] = []

    def __getitem__(self, name: str) -> Any:
        if name not in self.feeds:
            raise FeedDoesNotExist(name)
        return self.feeds[name]

    def create(self, name: str, kind: str, config: dict[str, Any]) -> None:
        if name in self.feeds:
            raise FeedExists(name)
        self.feeds[name] = MODEL_OF[kind](self, name, {"type": kind, **config})
        self.notices += [Created(name), Configured(name)]

    def open(self, name: str, kind: str, config: dict[str, Any]) -> None:
        """As ``thoonk.feed(name, config)`` and its like."""
        if name not in self.feeds:
            self.create(name, kind, config)
            return
        self.check_kind(name, kind)
        if config:
            self.set_config(name, config)

    def check_kind(self, name: str, kind: str) -> None:
        feed = self[name]
        if feed.kind != kind:
            raise WrongFeedType(name, expected=kind, actual=feed.kind)

    def set_config(self, name: str, config: dict[str, Any]) -> None:
        feed = self[name]
        if "type" in config:
            self.check_kind(name, config["type"])
        merged = {**feed.config, **config}
        feed.config = {key: value for key, value in merged.items() if value is not None}
        feed.configured()
        self.notices.append(Configured(name))

    def delete(self, name: str) -> None:
        self[name]
        del self.feeds[name]
        self.notices.append(Deleted(name))


class Mirror:
    """A copy of a feed or a sorted feed, kept up to date by its notices alone."""

    def __init__(self, ids: Iterable[str] = (), items: dict[str, str] | None = None) -> None:
        self.order = list(ids)
        self.items = dict(items or {})

    def hear(self, notice: Notice) -> None:
        match notice:
            case Published(_, id, item):
                self.items[id] = item
                self.order.append(id)
            case Edited(_, id, item):
                self.items[id] = item
                self.edited(id)
            case Retracted(_, id):
                del self.items[id]
                self.order.remove(id)
            case Moved(_, id, position):
                self.order.remove(id)
                place(self.order, id, position)
            case Deleted():
                self.items.clear()
                self.order.clear()

    def edited(self, id: str) -> None:
        """In a feed an edited item moves to the end."""
        self.order.remove(id)
        self.order.append(id)


class SortedMirror(Mirror):
    """A mirror of a sorted feed."""

    def edited(self, id: str) -> None:
        """It stays where it is."""
