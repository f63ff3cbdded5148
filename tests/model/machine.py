"""The machine: random operations on the library and on the model, compared after each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from model.arena import Arena
from model.model import Mirror, Model, Periodic, Saved, SortedMirror

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.exceptions import Empty, FeedDoesNotExist, JobFailed, NoResult, ThoonkError
from thoonk.notices import Notice
from thoonk.operations import (
    ClaimRef,
    Completion,
    Due,
    Entry,
    Failure,
    FeedPublish,
    FeedRetract,
    IfExists,
    IfMissed,
    JobAdd,
    JobClaim,
    JobClear,
    JobCounts,
    JobFail,
    JobFinish,
    JobHolds,
    JobNext,
    JobProgress,
    JobPut,
    JobReschedule,
    JobRetract,
    JobSchedule,
    JobState,
    JobUnschedule,
    PauseFeed,
    Position,
    Priority,
    QueueAdd,
    QueueClear,
    QueueConfirm,
    QueuePut,
    QueueReturn,
    QueueTake,
    ReadResult,
    Release,
    Restore,
    RestoreAs,
    Restored,
    ResumeFeed,
    Schedule,
    ScheduleStatus,
    SortedInsert,
    SortedRetract,
    Step,
    Where,
)

_examples = itertools.count()

# Times are multiples of five seconds, or well between two of them: the time that a step
# takes on a real server, where the clock does not stand still, makes no difference.
PASSING = st.sampled_from([5, 10, 25, 75])
CLAIM_TIMEOUTS = st.sampled_from([20.0, 50.0, None])
FAILURES = st.sampled_from([1, 2, 0, None])
RESULT_TIMEOUTS = st.sampled_from([None, 13.0, 0.0])
COMPLETIONS = st.sampled_from(
    [
        # item, result, timeout
        (None, False, None),
        ("done", False, None),
        ("", True, 13.0),
        (None, True, None),
        ("for ever", True, 0.0),
        ("a\0b", True, 38.0),
    ]
)
DELAYS = st.sampled_from([0.0, 3.0, 13.0, 38.0])
SCHEDULES = st.sampled_from(["tick", "tock"])
WAYS = st.sampled_from([*IfExists])
OWN_ID = st.sampled_from(["own 1", "own 2", "own 3"])
OWN_IDS = st.lists(OWN_ID, min_size=1, max_size=2, unique=True)
AGO = st.sampled_from([None, -1000.0, 0.0, 1000.0])
"""When an item that is restored was published, in seconds from now."""
LIMITS = st.sampled_from([1, 2, 3, 5, 0, None])
LATE = 1000
"""Milliseconds that a step may take: well below the least difference that times make."""

WHO = st.integers(0, 1)
NUMBERS = st.integers(0, 7)
"""Which of the things that there are, counted round and round."""
RARE = 7
TEXTS = st.sampled_from(["", "x", "é", "a\0b", "n\n"])
IDS = st.sampled_from(["a", "b", "c", "d", "ü:1", ":e"])
POSITIONS = st.sampled_from(["begin:", ":end", ":{}", "{}:"])

KINDS = {"plain": FEED, "bounded": FEED, "sorted": SORTED_FEED, "queue": QUEUE, "job": JOB}
GAMES = {
    "feed": ["plain", "bounded"],
    "sorted": ["sorted"],
    "queue": ["queue"],
    "job": ["job"],
    "all": [*KINDS],
}
"""Which feeds are played with: fewer feeds, longer stories of each."""

SETTINGS: dict[str, dict[str, Any]] = {
    "bounded": {"max_length": 3},
    "job": {"claim_timeout": 20.0, "max_failures": 3},
}


@attrs.define
class Subscriber:
    """A subscription, what it has been told, and the mirror it builds from that."""

    name: str
    subscription: Any
    heard: int
    mirror: Mirror | None


@attrs.define
class Take:
    """What was taken from the queue under a token."""

    token: str
    entries: tuple[Entry, ...]
    confirmed: bool = False


@attrs.frozen
class Answer:
    """What a call returned or raised."""

    value: Any = None
    error: ThoonkError | None = None

    def compared(self) -> object:
        """What two answers have to share."""
        if self.error is None:
            return self.value
        return type(self.error), getattr(self.error, "feed", None), getattr(self.error, "id", None)


def answer_of(call: Callable[[], Any]) -> Answer:
    try:
        return Answer(call())
    except ThoonkError as error:
        return Answer(error=error)


def plays(*labels: str) -> Callable[[Any], Any]:
    """The rule is for games with one of these feeds."""
    return precondition(lambda machine: any(label in machine.labels for label in labels))


def of(things: Sequence[Any], number: int) -> Any:
    """One of the things, the last one for 0."""
    return things[-1 - number % len(things)]


class Machine(RuleBasedStateMachine):
    """Five feeds, two clients, and the model."""

    def __init__(self, arena: Arena, labels: Sequence[str]) -> None:
        super().__init__()
        self.arena = arena
        self.model = Model(ties_by_id=arena.behind.ties_by_id)
        self.clock = arena.clock
        prefix = f"{next(_examples)}:"
        self.names = {label: prefix + label for label in KINDS}
        self.kinds = {self.names[label]: kind for label, kind in KINDS.items()}
        self.subscribers: list[Subscriber] = []
        self.catalogue_heard = 0
        self.claims: list[Any] = []
        self.job_tokens: list[str] = []
        self.takes: list[Take] = []
        self.jobs: list[str] = []
        self.numbers = itertools.count(1)
        self.sound = True
        self.labels = labels
        self.feeds: list[dict[str, Any]] = [{}, {}]
        for label in labels:
            self.begin(label)
        self.hear()
        for label in labels:
            self.fill(label)

    def begin(self, label: str) -> None:
        """Both clients open the feed; only its creation is told."""
        name, kind, config = self.names[label], KINDS[label], SETTINGS.get(label, {})
        backend = self.arena.clients[0].backend
        # Before it is there, so that nothing of it is missed.
        subscription = self.run(lambda: backend.listen(name))
        self.subscribers.append(self.subscriber(name, subscription))
        self.feeds[0][label] = self.run(lambda: self.opener(0, kind)(name, config))
        self.feeds[1][label] = self.run(lambda: self.opener(1, kind)(name))
        self.model.open(name, kind, config)

    def fill(self, label: str) -> None:
        """Something to play with."""
        for number in range(4):
            if KINDS[label] == FEED:
                self.publish_to(0, label, "abcd"[number], "")
            elif KINDS[label] == SORTED_FEED:
                self.insert_at(0, "begin:" if number % 2 else ":end", number, "")
            else:
                self.put_to(0, label, high=number == 1, text="")
        if KINDS[label] == JOB:
            self.schedule_to(0, "tick", "x", high=False, skip=True, first=3, step=25)
            self.schedule_to(0, "tock", "x", high=True, skip=False, first=13, step=10)

    # --- doing and comparing --------------------------------------------------------------

    def run(self, call: Callable[[], Any]) -> Any:
        return self.arena.driver.run(call)

    def opener(self, who: int, kind: str) -> Any:
        return getattr(self.arena.clients[who], kind)

    def step(self, name: str, real: Callable[[], Any], expected: Callable[[Any], Any]) -> Answer:
        """Do it, let the model do it (given the answer, for ids made by us), compare all."""
        self.sound = False
        self.tick()
        answer = answer_of(lambda: self.run(real))
        self.reject_if_late()
        predicted = answer_of(lambda: expected(answer.value))
        assert answer.compared() == predicted.compared(), (answer, predicted)
        self.compare(name)
        self.hear()
        self.sound = True
        return answer

    def reject_if_late(self) -> None:
        """Give the game up when nobody can say at what time the server did the step.

        The model takes it for the time of the tick before. A machine that stands still in between
        makes the server's time another.
        """
        if self.clock.since_tick() > LATE:
            reject()

    def operation(self, who: int, operation: Any, expected: Callable[[Any], Any]) -> Answer:
        backend = self.arena.clients[who].backend
        return self.step(operation.feed, lambda: backend.execute(operation), expected)

    def tick(self) -> None:
        """No two claims have the same time, so that their order is known."""
        self.model.now += self.clock.tick()

    def number(self) -> str:
        return f"{next(self.numbers):04}"

    def entries(self, texts: list[str]) -> tuple[Entry, ...]:
        return tuple(Entry(f"id{self.number()}", text.encode()) for text in texts)

    def compare(self, name: str) -> None:
        """What the feed shows, to either client and on the wire, is what the model shows."""
        client = self.arena.clients[next(self.numbers) % 2]
        model = self.model.feeds.get(name)
        if model is None:
            with pytest.raises(ThoonkError):
                self.run(lambda: client.get_config(name))
            assert self.arena.behind.has_nothing_of(name)
            assert not self.run(lambda: client.feed_exists(name))
            return
        assert dict(self.run(lambda: client.get_config(name))) == model.config
        feed = self.feeds[client is self.arena.clients[1]][self.label_of(name)]
        ids = self.run(feed.get_ids)
        if model.kind == JOB:
            assert sorted(ids) == sorted(model.ids())
            self.compare_counts(feed, model)
        else:
            assert ids == model.ids()
        assert self.run(feed.get_all) == model.items
        self.compare_pages(feed, model)
        if model.kind in (QUEUE, JOB):
            assert self.arena.behind.stored(name, model) == self.predicted(model)

    def compare_pages(self, feed: Any, model: Any) -> None:
        collected = self.arena.driver.collected
        pairs = collected(feed.items())
        if model.kind == JOB:
            assert sorted(pairs) == sorted(model.items.items())
            return
        expected = [(id, model.items[id]) for id in model.ids()]
        assert pairs == expected
        start, stop = next(self.numbers) % 4, next(self.numbers) % 9
        ids = collected(feed.ids(start, stop, reverse=True))
        assert ids == [id for id, _ in reversed(expected)][start:stop]
        some = {id: model.items[id] for id in model.ids()[::2]}
        assert self.run(lambda: feed.get_items([*some, "none"])) == some

    def compare_counts(self, feed: Any, model: Any) -> None:
        waiting = len(model.waiting) + len(model.reserved)
        counts = JobCounts(
            waiting, len(model.held), len(model.stalled), model.finished, len(model.scheduled)
        )
        assert self.run(feed.get_counts) == counts

    def predicted(self, model: Any) -> dict[str, Any]:
        held = model.held.items()
        seen: dict[str, Any] = {
            "waiting": model.waiting,
            "reserved": model.reserved,
            "claimed": model.held_in_order(),
            "holders": {id: hold.token for id, hold in held if hold.token is not None},
            "tokens": model.tokens,
        }
        if model.kind == JOB:
            seen["stalled"] = model.stalled
            seen["failures"] = model.failures
            seen["published"] = set(model.items) - model.stalled - {*model.scheduled}
            seen["scheduled"] = model.scheduled_in_order()
            seen["schedules"] = {name: each.names for name, each in model.schedules.items()}
        return seen

    # --- notices --------------------------------------------------------------------------

    def label_of(self, name: str) -> str:
        return name.partition(":")[2]

    def subscriber(self, name: str, subscription: Any) -> Subscriber:
        """Someone who listens from now on, and has seen what is there."""
        there = self.model.feeds.get(name)
        copy = (there.ids(), there.items) if there else ()
        mirrors = {FEED: Mirror, SORTED_FEED: SortedMirror}
        mirror = mirrors.get(KINDS[self.label_of(name)])
        heard = len(self.model.notices)
        return Subscriber(name, subscription, heard, mirror(*copy) if mirror else None)

    def hear(self) -> None:
        """Every subscriber is told what the model says, in that order."""
        notices = self.model.notices
        for subscriber in self.subscribers:
            for expected in notices[subscriber.heard :]:
                if expected.feed == subscriber.name:
                    assert self.next_of(subscriber.subscription) == expected
                    if subscriber.mirror is not None:
                        subscriber.mirror.hear(expected)
            subscriber.heard = len(notices)
            self.compare_mirror(subscriber)
        for expected in notices[self.catalogue_heard :]:
            notice = self.next_of(self.arena.catalogue)
            while notice.feed not in self.kinds:  # left over by an earlier example
                notice = self.next_of(self.arena.catalogue)
            assert notice == expected
        self.catalogue_heard = len(notices)

    def next_of(self, subscription: Any) -> Notice:
        notice: Any = self.run(lambda: subscription.get(timeout=5))
        for field in ("item", "result"):
            if isinstance(getattr(notice, field, None), bytes):
                notice = attrs.evolve(notice, **{field: getattr(notice, field).decode()})
        return notice

    def compare_mirror(self, subscriber: Subscriber) -> None:
        model = self.model.feeds.get(subscriber.name)
        if subscriber.mirror is not None:
            assert subscriber.mirror.order == (model.ids() if model else [])
            assert subscriber.mirror.items == (model.items if model else {})

    @precondition(lambda self: len(self.subscribers) < len(KINDS) + 3)
    @rule(who=WHO, label=NUMBERS)
    def subscribe(self, who, label):
        label = of(self.labels, label)
        block = self.feeds[who][label].subscribe()
        subscription = self.arena.driver.enter(block)
        self.subscribers.append(self.subscriber(self.names[label], subscription))

    def teardown(self) -> None:
        try:
            if self.sound:
                self.end()
        finally:
            for subscriber in self.subscribers:
                self.run(subscriber.subscription.close)
            client = self.arena.clients[0]
            for name in self.names.values():
                if self.run(lambda name=name: client.feed_exists(name)):
                    self.run(lambda name=name: client.delete_feed(name))

    def end(self) -> None:
        """A last notice for each, before which there is none too many; and what remains."""
        for label in self.labels:
            name = self.names[label]
            self.open_feed(0, name, KINDS[label], {"title": "end"})
        for subscriber in self.subscribers:
            if subscriber.mirror is not None:
                feed = self.feeds[1][self.label_of(subscriber.name)]
                assert subscriber.mirror.order == self.run(feed.get_ids)
                assert subscriber.mirror.items == self.run(feed.get_all)

    # --- feeds ------------------------------------------------------------------------------

    @plays("plain", "bounded")
    @rule(who=WHO, label=st.sampled_from(["plain", "bounded"]), id=IDS | st.none(), text=TEXTS)
    def publish(self, who, label, id, text):
        self.publish_to(who, label, id, text)

    def publish_to(self, who, label, id, text):
        name, item = self.names[label], self.number() + text
        feed = self.feeds[who][label]

        def expected(answer):
            self.model[name].publish([(answer or id, item)])
            return answer if id is None else id

        self.step(name, lambda: feed.publish(item, id=id), expected)

    @plays("plain", "bounded")
    @rule(who=WHO, label=st.sampled_from(["plain", "bounded"]), id=IDS, text=TEXTS)
    def edit(self, who, label, id, text):
        name, item = self.names[label], self.number() + text
        feed = self.feeds[who][label]

        def expected(_):
            self.model[name].publish([(id, item)])
            return id

        self.step(name, lambda: feed.edit(id, item), expected)

    @plays("plain", "bounded")
    @rule(
        who=WHO,
        label=st.sampled_from(["plain", "bounded"]),
        ids=st.lists(IDS, min_size=1, max_size=4),
    )
    def publish_many(self, who, label, ids):
        name = self.names[label]
        items = [(id, self.number()) for id in ids]
        entries = tuple(Entry(id, item.encode()) for id, item in items)
        self.operation(
            who, FeedPublish(name, entries), lambda _: tuple(self.model[name].publish(items))
        )

    @plays("plain", "bounded")
    @rule(
        who=WHO,
        label=st.sampled_from(["plain", "bounded"]),
        ids=st.lists(IDS, min_size=1, max_size=3),
    )
    def retract(self, who, label, ids):
        name, feed = self.names[label], self.feeds[who][label]
        if len(ids) == 1:
            self.step(name, lambda: feed.retract(*ids), lambda _: self.model[name].retract(ids)[0])
            return
        operation = FeedRetract(name, tuple(ids))
        self.operation(who, operation, lambda _: tuple(self.model[name].retract(ids)))

    @plays("plain", "bounded", "sorted")
    @rule(
        who=WHO,
        label=st.sampled_from(["plain", "bounded", "sorted"]),
        ids=st.lists(IDS, min_size=1, max_size=4),
        number=NUMBERS,
        ago=AGO,
        again=st.booleans(),
    )
    def restore_items(self, who, label, ids, number, ago, again):
        """Items of another feed, some of which may be here as they are there."""
        if label not in self.labels:
            label = self.labels[0] if KINDS[self.labels[0]] == FEED else "sorted"
        name = self.names[label]
        if label == "sorted":
            # What is here, and numbers that may be given already, or are given next.
            ids = [self.sorted_id(number), *(str(number + 3 * n) for n in range(len(ids)))]
        model = self.model.feeds.get(name)
        items = model.items if model and again else {}
        saved = [Saved("item", id, items.get(id, self.number())) for id in ids]
        at = None if ago is None else self.clock.now() / 1000 + ago
        entries = tuple(
            Restored(RestoreAs.ITEM, each.id, each.item.encode(), at=at) for each in saved
        )
        operation = Restore(name, KINDS[label], entries)
        self.operation(who, operation, lambda _: tuple(self.model[name].restore(saved)))

    # --- the sorted feed --------------------------------------------------------------------

    def sorted_id(self, number: int) -> str:
        """An id that is there, or one that never was."""
        feed = self.model.feeds.get(self.names["sorted"])
        if feed is None or not feed.order or number == RARE:
            return "missing"
        return of(feed.order, number)

    @plays("sorted")
    @rule(who=WHO, form=POSITIONS, number=NUMBERS, text=TEXTS)
    def insert(self, who, form, number, text):
        self.insert_at(who, form, number, text)

    def insert_at(self, who, form, number, text):
        name, item, feed = self.names["sorted"], self.number() + text, self.feeds[who]["sorted"]
        position = form.format(self.sorted_id(number))
        calls = {
            "begin:": lambda: feed.prepend(item),
            ":end": lambda: feed.append(item) if number % 2 else feed.publish(item),
            ":{}": lambda: feed.publish_before(position[1:], item),
            "{}:": lambda: feed.publish_after(position[:-1], item),
        }
        self.step(name, calls[form], lambda _: self.model[name].insert(position, item))

    @plays("sorted")
    @rule(who=WHO, number=NUMBERS, text=TEXTS)
    def sorted_edit(self, who, number, text):
        name, item, feed = self.names["sorted"], self.number() + text, self.feeds[who]["sorted"]
        id = self.sorted_id(number)
        self.step(name, lambda: feed.edit(id, item), lambda _: self.model[name].edit(id, item))

    @plays("sorted")
    @rule(who=WHO, form=POSITIONS, number=NUMBERS, other=NUMBERS, by_name=st.booleans())
    def move(self, who, form, number, other, by_name):
        name, feed = self.names["sorted"], self.feeds[who]["sorted"]
        id, neighbour = self.sorted_id(number), self.sorted_id(other)
        position = form.format(neighbour)
        calls = {
            "begin:": lambda: feed.move_first(id),
            ":end": lambda: feed.move_last(id),
            ":{}": lambda: feed.move_before(neighbour, id),
            "{}:": lambda: feed.move_after(neighbour, id),
        }
        call = calls[form] if by_name else lambda: feed.move(position, id)
        self.step(name, call, lambda _: self.model[name].move(position, id))

    @plays("sorted")
    @rule(who=WHO, numbers=st.lists(NUMBERS, min_size=1, max_size=2))
    def sorted_retract(self, who, numbers):
        name, feed = self.names["sorted"], self.feeds[who]["sorted"]
        ids = tuple(map(self.sorted_id, numbers))
        if len(ids) == 1:
            self.step(name, lambda: feed.retract(*ids), lambda _: self.model[name].retract(ids)[0])
            return
        operation = SortedRetract(name, ids)
        self.operation(who, operation, lambda _: tuple(self.model[name].retract(ids)))

    # --- the queue ----------------------------------------------------------------------------

    @plays("queue", "job")
    @rule(who=WHO, label=st.sampled_from(["queue", "job"]), high=st.booleans(), text=TEXTS)
    def put(self, who, label, high, text):
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        self.put_to(who, label, high=high, text=text)

    def put_to(self, who, label, *, high, text):
        name, item, feed = self.names[label], self.number() + text, self.feeds[who][label]

        def expected(id):
            self.model[name].put([(id, item)], high=high)
            self.note_job(label, id)
            return id

        self.step(name, lambda: feed.put(item, priority=feed.HIGH if high else None), expected)

    @plays("queue", "job")
    @rule(
        who=WHO,
        label=st.sampled_from(["queue", "job"]),
        high=st.booleans(),
        texts=st.lists(TEXTS, min_size=1, max_size=3),
    )
    def put_many(self, who, label, high, texts):
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        name, entries = self.names[label], self.entries(texts)
        operation = (QueuePut if label == "queue" else JobPut)(name, entries, Priority(high))

        def expected(_):
            self.model[name].put([(e.id, e.item.decode()) for e in entries], high=high)
            for entry in entries:
                self.note_job(label, entry.id)

        self.operation(who, operation, expected)

    @plays("queue")
    @rule(who=WHO, blocking=st.booleans())
    def queue_get(self, who, blocking):
        name, feed = self.names["queue"], self.feeds[who]["queue"]
        self.tick()

        def expected(_):
            item = self.model[name].get()
            if item is None:
                raise Empty
            return item

        self.step(name, lambda: feed.get(timeout=0.01) if blocking else feed.get_nowait(), expected)

    @plays("queue", "job")
    @rule(
        who=WHO,
        label=st.sampled_from(["queue", "job"]),
        ids=OWN_IDS,
        high=st.booleans(),
        delay=DELAYS,
        way=WAYS,
        unique_for=DELAYS,
    )
    def add(self, who, label, ids, high, delay, way, unique_for):
        """Under ids that may be taken, and perhaps for later."""
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        name = self.names[label]
        entries = tuple(Entry(id, self.number().encode()) for id in ids)
        items = [(entry.id, entry.item.decode()) for entry in entries]
        priority = Priority.HIGH if high else Priority.NORMAL
        wishes: dict[str, Any] = {"high": high, "way": way.value, "unique_for": unique_for}
        if label == "queue":
            operation: Any = QueueAdd(name, entries, priority, way, unique_for)
        else:
            due = Due(delay=delay) if delay else None
            operation = JobAdd(name, entries, priority, due, way, unique_for)
            wishes["delay"] = delay
            self.jobs += ids
        self.operation(who, operation, lambda _: tuple(self.model[name].add(items, **wishes)))

    @plays("queue")
    @rule(
        who=WHO,
        entries=st.lists(
            st.tuples(st.sampled_from(["waiting", "taken"]), OWN_ID), min_size=1, max_size=3
        ),
        delay=DELAYS,
    )
    def restore_queue(self, who, entries, delay):
        saved = [(what, id, False, 0, "x") for what, id in entries]
        self.restore_to(who, "queue", saved, delay)

    def restore_to(self, who, label, entries, delay, *, schedule=None, step=0):
        """What of a queue or job feed is saved with a time has ``delay``, and later ones more."""
        name, kind = self.names[label], KINDS[label]
        self.tick()
        begin, now = self.clock.now(), self.model.now
        saved, restored = list[Saved](), list[Restored]()
        for index, (what, id, high, failures, result) in enumerate(entries):
            after = int((delay + 25 * index) * 1000)
            is_result, is_timed = what == "result", what in ("scheduled", "taken", "result")
            forever = not is_timed or (is_result and high)
            item = None if is_result and failures else self.number()
            each = Saved(
                what,
                id,
                None if what == "taken" else item,
                None if forever else now + after,
                high and not is_result,
                0 if is_result or what == "taken" else failures,
                result if is_result else None,
            )
            saved.append(each)
            restored.append(
                Restored(
                    RestoreAs(what),
                    id,
                    None if each.item is None else each.item.encode(),
                    at=None if forever else (begin + after) / 1000,
                    put=begin / 1000 - 100 if high and not is_result else None,
                    is_high=each.high,
                    failures=each.failures,
                    failure=Failure("why") if each.failures else None,
                    result=None if each.result is None else each.result.encode(),
                )
            )
        schedules: tuple[ScheduleStatus, ...] = ()
        delays = [int((delay + number * step) * 1000) for number in range(1, 4)]
        if schedule is not None:
            times = [(begin + each) / 1000 for each in delays]
            schedules = (ScheduleStatus(Schedule(schedule, b"r"), times[0], tuple(times[1:])),)
        if label == "job":
            self.jobs += [each.id for each in saved]

        def expected(_):
            outcomes = self.model[name].restore(saved)
            if schedule is not None:
                periodic = Periodic(
                    "r",
                    high=False,
                    skip=False,
                    times=[now + each for each in delays],
                    names=[begin + each for each in delays],
                )
                outcomes.append(self.model[name].restore_schedule(schedule, periodic))
            return tuple(outcomes)

        self.operation(who, Restore(name, kind, tuple(restored), schedules), expected)

    @plays("queue", "job")
    @rule(who=WHO, label=st.sampled_from(["queue", "job"]), ends=st.booleans())
    def pause_or_resume(self, who, label, ends):
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        name = self.names[label]
        operation = ResumeFeed(name) if ends else PauseFeed(name)
        what = "resume" if ends else "pause"
        self.operation(who, operation, lambda _: getattr(self.model[name], what)())

    @plays("queue")
    @rule(who=WHO)
    def clear_queue(self, who):
        name = self.names["queue"]
        self.operation(who, QueueClear(name), lambda _: Step(self.model[name].clear(), 0))

    def entries_of(self, feed: Any, ids: list[str]) -> tuple[Entry, ...]:
        return tuple(Entry(id, feed.items[id].encode()) for id in ids)

    @plays("queue")
    @rule(who=WHO, count=st.integers(1, 3), blocking=st.booleans())
    def take(self, who, count, blocking):
        """Take, and not yet say that it has arrived."""
        name, backend = self.names["queue"], self.arena.clients[who].backend
        take = Take(f"t{self.number()}", ())
        operation = QueueTake(name, take.token, count)
        self.tick()

        def expected(batch):
            feed = self.model[name]
            if blocking and self.arena.behind.takers_reserve:
                feed.reserve()
            take.entries = self.entries_of(feed, feed.take(take.token, count))
            return batch and [(e.id, e.item) for e in take.entries]

        def real():
            return backend.wait(operation, 0.01) if blocking else backend.execute(operation)

        self.take_step(name, real, expected)
        if take.entries:
            self.takes.append(take)

    def take_step(self, name: str, real: Callable[[], Any], expected: Callable[[Any], Any]) -> None:
        def predicted(batch):
            entries = expected(batch)
            assert [(e.id, e.item) for e in batch.entries] == entries
            return batch

        self.step(name, real, predicted)

    @plays("queue")
    @precondition(lambda self: self.takes)
    @rule(who=WHO, number=NUMBERS)
    def take_again(self, who, number):
        """The answer was lost, perhaps long ago."""
        name, take = self.names["queue"], of(self.takes, number)
        backend = self.arena.clients[who].backend
        self.tick()

        def expected(_):
            feed = self.model[name]
            entries = self.entries_of(feed, feed.take(take.token))
            if entries and {e.id for e in entries} != {e.id for e in take.entries}:
                # It took anew, once what it had taken was ended.
                self.takes.append(Take(take.token, entries))
            return [(e.id, e.item) for e in entries]

        operation = QueueTake(name, take.token)
        self.take_step(name, lambda: backend.execute(operation), expected)

    @plays("queue")
    @precondition(lambda self: self.takes)
    @rule(who=WHO, number=NUMBERS)
    def confirm(self, who, number):
        name, take = self.names["queue"], of(self.takes, number)
        ids = tuple(entry.id for entry in take.entries)
        operation = QueueConfirm(name, ids, take.token)
        answer = self.operation(who, operation, lambda _: self.model[name].confirm(ids, take.token))
        take.confirmed = take.confirmed or answer.error is None

    @plays("queue")
    @precondition(lambda self: self.takes)
    @rule(who=WHO, number=NUMBERS)
    def return_items(self, who, number):
        """The taker was interrupted, before or after the confirmation."""
        name, take = self.names["queue"], of(self.takes, number)
        feed = self.model.feeds.get(name)
        gone = feed and any(entry.id not in feed.items for entry in take.entries)
        if gone and not take.confirmed:
            return  # someone else had it: nobody gives back what is not theirs
        items = [(entry.id, entry.item.decode()) for entry in take.entries]
        operation = QueueReturn(name, take.entries, take.token)
        self.operation(who, operation, lambda _: self.model[name].put_back(items, take.token))
        self.takes.remove(take)

    @plays("queue", "job")
    @rule(
        label=st.sampled_from(["queue", "job"]),
        what=st.sampled_from(["waiter_dies", "peer_claims", "peer_dies", "maintenance"]),
    )
    def accident(self, label, what):
        """Something on a server that no client of ours does while it lives."""
        if not self.arena.behind.has_peers:
            what, label = "maintenance", "job"
            if label not in self.labels:
                return
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        if label == "job":
            getattr(self, what)(label)
        else:
            self.waiter_dies(label)

    def waiter_dies(self, label):
        """A blocked taker has reserved the next item, and that was all."""
        name = self.names[label]
        if name in self.model.feeds:
            self.arena.behind.reserve(name)
            self.model[name].reserve()
            self.compare(name)

    # --- jobs -----------------------------------------------------------------------------------

    def job_id(self, number: int) -> str:
        """An id, rather of a job that is there, and rather of one that is claimed."""
        model = self.model.feeds.get(self.names["job"])
        if model is None or not model.items or number == RARE:
            return of(self.jobs, number)
        return of([*model.items, *model.held_in_order()], number)

    def note_job(self, label: str, id: str) -> None:
        if label == "job":
            self.jobs.append(id)

    @plays("job")
    @rule(who=WHO, blocking=st.booleans())
    def claim(self, who, blocking):
        name, feed = self.names["job"], self.feeds[who]["job"]
        self.tick()

        def expected(claim):
            token = claim.token if claim else "nobody"
            claimed = self.model[name].claim(token)
            if not claimed:
                raise Empty
            return claimed[0]

        call = (lambda: feed.get(timeout=0.01)) if blocking else feed.get_nowait
        answer = self.step(name, call, expected)
        if answer.error is None:
            self.claims.append(answer.value)
            self.job_tokens.append(answer.value.token)

    @plays("job")
    @rule(
        who=WHO,
        count=st.integers(1, 3),
        blocking=st.booleans(),
        again=st.none() | NUMBERS,
        recover_expired=st.booleans(),
    )
    def claim_many(self, who, count, blocking, again, recover_expired):
        """Claim under a token, new or used before."""
        name, backend = self.names["job"], self.arena.clients[who].backend
        token = f"t{self.number()}"
        if again is not None and self.job_tokens:
            token = of(self.job_tokens, again)
        operation = JobClaim(name, token, count, recover_expired=recover_expired)
        self.tick()

        def expected(_):
            feed = self.model[name]
            if blocking and self.arena.behind.takers_reserve:
                feed.reserve()
            return feed.claim(token, count, recover_expired=recover_expired)

        def real():
            return backend.wait(operation, 0.01) if blocking else backend.execute(operation)

        def predicted(batch):
            claimed = expected(batch)
            assert [(e.id, e.item.decode(), e.cancelled) for e in batch.entries] == claimed
            return batch

        self.step(name, real, predicted)
        self.job_tokens.append(token)

    @plays("job")
    @precondition(lambda self: self.claims)
    @rule(
        number=NUMBERS,
        how=st.sampled_from(["finish", "cancel", "stall", "extend"]),
        completion=COMPLETIONS,
    )
    def end_claim(self, number, how, completion):
        """By its holder, who may not hold it any more."""
        name, claim = self.names["job"], of(self.claims, number)
        self.end_job(name, claim, how, completion, claim.id, claim.token)

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(
        who=WHO,
        number=NUMBERS,
        how=st.sampled_from(["finish", "cancel", "stall"]),
        completion=COMPLETIONS,
    )
    def end_job_by_id(self, who, number, how, completion):
        """As in 2011, by whoever knows the id."""
        name, feed, id = self.names["job"], self.feeds[who]["job"], self.job_id(number)
        self.end_job(name, feed, how, completion, id, "")

    def end_job(self, name, actor, how, completion, id, token):
        arguments = () if token else (id,)
        if how == "extend":
            self.tick()

        def real():
            if how != "finish":
                return getattr(actor, how)(*arguments)
            item, result, timeout = completion
            return actor.finish(*arguments, item, result=result, timeout=timeout)

        def expected(_):
            feed = self.model[name]
            if how != "finish":
                return getattr(feed, how)(id, token)
            item, result, timeout = completion
            return feed.finish([(id, token, result or item is not None, item, timeout)])

        self.step(name, real, expected)

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(who=WHO, numbers=st.lists(NUMBERS, min_size=1, max_size=3), with_token=NUMBERS)
    def finish_many(self, who, numbers, with_token):
        """All or none."""
        name = self.names["job"]
        token = of(["", *self.job_tokens], with_token)
        ids = [*dict.fromkeys(map(self.job_id, numbers))]
        model = self.model.feeds.get(name)
        if model and token in model.tokens and len(numbers) > 1:
            ids = model.tokens[token][:]
        completions = tuple(Completion(id, token, has_result=True, result=b"r") for id in ids)
        self.operation(
            who,
            JobFinish(name, completions),
            lambda _: self.model[name].finish([(id, token, True, "r", None) for id in ids]),
        )

    @plays("job")
    @rule(
        who=WHO,
        finished=st.lists(NUMBERS, max_size=2),
        cancelled=st.lists(NUMBERS, max_size=2),
        count=st.integers(0, 2),
        again=st.none() | NUMBERS,
    )
    def next_jobs(self, who, finished, cancelled, count, again):
        """End what can be ended, claim the next."""
        name = self.names["job"]
        token = f"t{self.number()}"
        if again is not None and self.job_tokens:
            token = of(self.job_tokens, again)
        held = [of(self.claims, n) for n in [*finished, *cancelled]] if self.claims else []
        held = [*{claim.id: claim for claim in held}.values()]
        done, failed = held[: len(finished)], held[len(finished) :]
        operation = JobNext(
            name,
            token,
            count,
            finished=tuple(Completion(c.id, c.token, has_result=True, result=b"n") for c in done),
            cancelled=tuple(ClaimRef(c.id, c.token) for c in failed),
        )
        self.tick()

        def expected(answer):
            feed = self.model[name]
            lost = feed.end_those_held(
                [(c.id, c.token, True, "n", None) for c in done], [(c.id, c.token) for c in failed]
            )
            claimed = feed.claim(token, count)
            assert [(e.id, e.item.decode(), e.cancelled) for e in answer.entries] == claimed
            assert answer.lost == tuple(lost)
            return answer

        backend = self.arena.clients[who].backend
        self.step(name, lambda: backend.execute(operation), expected)
        self.job_tokens.append(token)

    @plays("job")
    @precondition(lambda self: self.claims)
    @rule(who=WHO, number=NUMBERS, delay=DELAYS, stall=st.booleans())
    def fail(self, who, number, delay, stall):
        """With a reason, perhaps for later; the claim may not hold any more."""
        name, claim = self.names["job"], of(self.claims, number)
        due = Due(delay=delay) if delay else None
        operation = JobFail(name, claim.id, claim.token, due, stall, Failure("why"))
        self.operation(
            who,
            operation,
            lambda _: self.model[name].fail(claim.id, claim.token, delay=delay, stall=stall),
        )

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(who=WHO, number=NUMBERS, delay=DELAYS)
    def reschedule(self, who, number, delay):
        name = self.names["job"]
        model = self.model.feeds.get(name)
        id = self.job_id(number)
        if model and model.scheduled and number != RARE:
            id = of(model.scheduled_in_order(), number)
        operation = JobReschedule(name, id, Due(delay=delay))
        self.operation(who, operation, lambda _: self.model[name].reschedule(id, delay))

    @plays("job")
    @rule(
        who=WHO,
        schedule=SCHEDULES,
        text=st.sampled_from(["x", "a\0b"]),
        high=st.booleans(),
        skip=st.booleans(),
        first=st.sampled_from([3, 13]),
        step=st.sampled_from([10, 25]),
    )
    def schedule(self, who, schedule, text, high, skip, first, step):
        self.schedule_to(who, schedule, text, high=high, skip=skip, first=first, step=step)

    def schedule_to(self, who, schedule, text, *, high, skip, first, step):
        """Put a job at each of five times."""
        name = self.names["job"]
        begin = self.clock.now()
        delays = [(first + number * step) * 1000 for number in range(5)]
        names = [begin + delay for delay in delays]
        operation = JobSchedule(
            name,
            Schedule(
                schedule,
                text.encode(),
                if_missed=IfMissed.SKIP if skip else IfMissed.ONCE,
                priority=Priority.HIGH if high else Priority.NORMAL,
            ),
            tuple(number / 1000 for number in names),
        )

        def expected(_):
            times = [self.model.now + delay for delay in delays]
            return self.model[name].schedule(schedule, Periodic(text, high, skip, times, names))

        self.operation(who, operation, expected)

    @plays("job")
    @rule(
        who=WHO,
        entries=st.lists(
            st.tuples(
                st.sampled_from(["waiting", "scheduled", "stalled", "result", "taken"]),
                OWN_ID,
                st.booleans(),
                st.integers(0, 2),
                st.sampled_from(["", "r", "a\0b"]),
            ),
            min_size=1,
            max_size=4,
        ),
        delay=DELAYS,
        schedule=st.none() | SCHEDULES,
        step=st.sampled_from([10, 25]),
    )
    def restore_jobs(self, who, entries, delay, schedule, step):
        """In any state, with failures; results; and a schedule, unless there is one."""
        self.restore_to(who, "job", entries, delay, schedule=schedule, step=step)

    @plays("job")
    @rule(who=WHO, schedule=SCHEDULES)
    def unschedule(self, who, schedule):
        name = self.names["job"]
        operation = JobUnschedule(name, schedule)
        self.operation(who, operation, lambda _: self.model[name].unschedule(schedule))

    @plays("job")
    @precondition(lambda self: self.claims)
    @rule(who=WHO, number=NUMBERS, fraction=st.sampled_from([0.0, 0.25, 1.0]))
    def progress(self, who, number, fraction):
        """Of a claim that may not hold any more."""
        name, claim = self.names["job"], of(self.claims, number)
        operation = JobProgress(name, claim.id, claim.token, fraction, "text")
        self.operation(
            who, operation, lambda _: self.model[name].progress(claim.id, claim.token, fraction)
        )

    @plays("job")
    @precondition(lambda self: self.claims)
    @rule(who=WHO, number=NUMBERS)
    def look(self, who, number):
        """Which claims hold, and how far their jobs are."""
        name, feed = self.names["job"], self.feeds[who]["job"]
        claims = [of(self.claims, number + each) for each in range(3)]
        operation = JobHolds(name, tuple(ClaimRef(claim.id, claim.token) for claim in claims))

        def expected(_):
            model = self.model[name]
            return tuple(model.holds(claim.id, claim.token) for claim in claims)

        self.operation(who, operation, expected)
        model = self.model.feeds.get(name)
        for claim in claims if model else ():
            info = self.run(lambda id=claim.id: feed.get_info(id))
            assert (info and info.progress) == model.progressed.get(claim.id)

    @plays("job")
    @rule(who=WHO, state=st.sampled_from(["scheduled", "waiting", "claimed", "stalled"]))
    def clear_jobs(self, who, state):
        name = self.names["job"]
        operation = JobClear(name, JobState(state))
        self.operation(who, operation, lambda _: Step(self.model[name].clear(state), 0))

    @plays("queue")
    @rule(who=WHO, count=st.integers(1, 3))
    def get_many(self, who, count):
        name, feed = self.names["queue"], self.feeds[who]["queue"]
        self.tick()

        def expected(_):
            items = self.model[name].get_many(count)
            if not items:
                raise Empty
            return items

        self.step(name, lambda: feed.get_many(count, timeout=0.01), expected)

    @plays("queue", "job")
    @precondition(lambda self: self.job_tokens or self.takes)
    @rule(who=WHO, label=st.sampled_from(["queue", "job"]), number=NUMBERS)
    def release(self, who, label, number):
        if label not in self.labels:
            label = "job" if label == "queue" else "queue"
        tokens = self.job_tokens if label == "job" else [take.token for take in self.takes]
        if tokens:
            name, token = self.names[label], of(tokens, number)
            backend = self.arena.clients[who].backend

            def expected(released):
                # In which order the answer names them is nobody's promise.
                assert sorted(released or ()) == sorted(self.model[name].release(token))
                return released

            self.step(name, lambda: backend.execute(Release(name, token)), expected)

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(who=WHO, number=NUMBERS)
    def retry(self, who, number):
        name, feed = self.names["job"], self.feeds[who]["job"]
        model = self.model.feeds.get(name)
        id = self.job_id(number)
        if model and model.stalled and number % 2 == 0:
            id = of(sorted(model.stalled), number)
        self.step(name, lambda: feed.retry(id), lambda _: self.model[name].retry(id))

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(who=WHO, numbers=st.lists(NUMBERS, min_size=1, max_size=2))
    def job_retract(self, who, numbers):
        name, feed = self.names["job"], self.feeds[who]["job"]
        ids = tuple(map(self.job_id, numbers))
        if len(ids) == 1:
            self.step(name, lambda: feed.retract(*ids), lambda _: self.model[name].retract(ids)[0])
            return
        operation = JobRetract(name, ids)
        self.operation(who, operation, lambda _: tuple(self.model[name].retract(ids)))

    @plays("job")
    @precondition(lambda self: self.jobs)
    @rule(who=WHO, number=NUMBERS, blocking=st.booleans())
    def get_result(self, who, number, blocking):
        name, feed, id = self.names["job"], self.feeds[who]["job"], of(self.jobs, number)
        model = self.model.feeds.get(name)
        failures = model.failures.get(id, 0) if model else 0
        self.step(name, lambda: feed.get_failure_count(id), lambda _: failures)
        result = model.result(id) if model else None
        if result is None and not blocking:
            self.operation(who, ReadResult(name, id), lambda _: None)
            return

        def expected(_):
            if result is not None:
                return result
            if model is None:
                raise FeedDoesNotExist(name)
            if id in model.stalled:
                raise JobFailed(name, id)
            raise NoResult(name, id) if id not in model.items else Empty

        self.step(name, lambda: feed.get_result(id, timeout=5 if result else 0.01), expected)

    def maintenance(self, label):
        """What mends them."""
        name, feed = self.names["job"], self.feeds[1]["job"]

        def expected(report):
            expired, stalled, lost = self.model[name].maintain(report.recovered if report else ())
            assert report.expired == tuple(expired)
            assert report.stalled == tuple(stalled)
            assert sorted(report.recovered) == sorted(lost)
            assert report.discarded == ()
            return report

        self.step(name, feed.maintenance, expected)

    def peer_claims(self, label):
        """A peer that knows neither tokens nor reservations claims the next job."""
        name = self.names["job"]
        if name in self.model.feeds:
            self.tick()
            self.arena.behind.claim(name, self.clock.now())
            self.model[name].claim_by_peer()
            self.compare(name)

    def peer_dies(self, label):
        """A peer takes an id off the list, and does no more."""
        name = self.names["job"]
        if name in self.model.feeds:
            self.arena.behind.pop(name)
            self.model[name].lose()
            self.compare(name)

    # --- time and configuration -------------------------------------------------------------

    @plays("queue", "job")
    @rule(seconds=PASSING)
    def time_passes(self, seconds):
        set_back = self.clock.go_on(seconds, (self.names["queue"], self.names["job"]))
        self.model.now += seconds * 1000
        model = self.model.feeds.get(self.names["job"])
        for each in model.schedules.values() if model else ():
            each.names = [number - set_back for number in each.names]

    def configure(self, who: int, name: str, config: dict[str, Any]) -> None:
        client = self.arena.clients[who]
        self.step(
            name,
            lambda: client.set_config(name, config),
            lambda _: self.model.set_config(name, config),
        )

    @rule(who=WHO, label=NUMBERS, limit=LIMITS)
    def set_max_length(self, who, label, limit):
        label = of(self.labels, label)
        self.configure(who, self.names[label], {"max_length": limit})

    @plays("job")
    @rule(
        who=WHO,
        config=st.fixed_dictionaries({"claim_timeout": CLAIM_TIMEOUTS, "max_failures": FAILURES})
        | st.fixed_dictionaries({"result_timeout": RESULT_TIMEOUTS}),
    )
    def configure_jobs(self, who, config):
        self.configure(who, self.names["job"], config)

    def set_type(self, who, label, kind):
        """Which only goes where it is that type already."""
        self.configure(who, self.names[label], {"title": "t", "type": kind})

    # --- deleting, creating, mistaking ----------------------------------------------------------

    @rule(
        who=WHO,
        label=NUMBERS,
        what=st.sampled_from(["create", "open", "mistake", "set_type", "delete"]),
        kind=st.sampled_from([*KINDS.values()]),
    )
    def manage(self, who, label, what, kind):
        getattr(self, what)(who, of(self.labels, label), kind)

    def delete(self, who, label, _):
        name, client = self.names[label], self.arena.clients[who]
        self.step(name, lambda: client.delete_feed(name), lambda _: self.model.delete(name))

    def create(self, who, label, _):
        name, kind, client = self.names[label], KINDS[label], self.arena.clients[who]
        config = SETTINGS.get(label, {})
        self.step(
            name,
            lambda: client.create_feed(name, {"type": kind, **config}),
            lambda _: self.model.create(name, kind, config),
        )

    def open(self, who, label, kind):
        """With its configuration, or as another type: that does not go."""
        name, config = self.names[label], SETTINGS.get(label, {})
        if name not in self.model.feeds:
            kind = KINDS[label]

        self.open_feed(who, name, kind, config)

    def open_feed(self, who: int, name: str, kind: str, config: dict[str, Any]) -> None:
        def expected(feed: Any) -> Any:
            self.model.open(name, kind, config)
            return feed

        self.step(name, lambda: self.opener(who, kind)(name, config), expected)

    def mistake(self, who, label, kind):
        """An operation of another type changes nothing."""
        name, entries = self.names[label], self.entries(["mistaken"])
        operations = {
            FEED: FeedPublish(name, entries),
            SORTED_FEED: SortedInsert(name, (b"mistaken",), Position(Where.END)),
            QUEUE: QueuePut(name, entries),
            JOB: JobPut(name, entries),
        }
        if kind != KINDS[label]:
            self.operation(who, operations[kind], lambda _: self.model.check_kind(name, kind))
