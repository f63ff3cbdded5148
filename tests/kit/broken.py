"""Ways in which a backend can be wrong: each variant of the embedded engine breaks one thing.

``fails`` names the contract classes that have to notice. All others pass.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import attrs

from thoonk import Configured, Created, Retracted
from thoonk import operations as ops
from thoonk.backends._sync.taking import BlockedTakes
from thoonk.backends.embedded import (
    Core,
    EmbeddedBackend,
    Feed,
    MemoryStore,
    Record,
    Row,
    Shelf,
    State,
)
from thoonk.backends.embedded._sync.subscription import EmbeddedSubscription
from thoonk.backends.embedded.step import HANDLERS, NEVER, Step
from thoonk.backends.waiters import Waiters
from thoonk.config import QUEUE
from thoonk.exceptions import ItemDoesNotExist, UnsupportedOperation
from thoonk.notices import Cancelled, Marker, Notice, Put, Stalled

SINCE_2_1 = {"Delay", "OwnIds", "Pause", "States"}
"""The contract classes about what came with version 2.1, but for these:"""

AGAIN_AND_TOLD = {"Schedules", "Progress", "Events"}
"""Those about periodic jobs, and about what is told of jobs."""

OF_WORKERS = {"Workers"}
"""That about workers."""

OF_COPIES = {"Copies"}
"""That about feeds that are read and stored again."""

OF_PARTITIONS = {"Partitions"}
"""That about several feeds that serve as one."""


class Deaf(Waiters):
    """Takers that are not woken by some operations."""

    def __init__(self, unheard: tuple[type[ops.Operation[Any]], ...]) -> None:
        super().__init__()
        self._unheard = unheard

    def call_for(self, operation: ops.Operation[Any]) -> None:
        if not isinstance(operation, self._unheard):
            super().call_for(operation)


class Broken(Core):
    """One way. ``tries`` names the contract classes that are tried; None: all older ones.

    ``may_fail`` names those that notice most times. ``unheard`` are operations that wake nobody.
    """

    fails: ClassVar[set[str]]
    may_fail: ClassVar[set[str]] = set()
    tries: ClassVar[set[str] | None] = None
    backend: ClassVar[type[EmbeddedBackend]] = EmbeddedBackend
    store_type: ClassVar[type[MemoryStore]] = MemoryStore
    unheard: ClassVar[tuple[type[ops.Operation[Any]], ...]] = ()

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(self.store_type(), clock)
        self.handlers = dict.fromkeys(HANDLERS, self._handle)
        self.waiters = Deaf(self.unheard)

    def _handle(self, step: Step, op: Any) -> Any:
        has_feed = isinstance(op, ops.FeedOperation)
        return self.do(step, op, step.store.find(op.feed) if has_feed else None)

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        """Do an operation on a feed, if it is there."""
        return HANDLERS[type(op)](step, op)


@contextlib.contextmanager
def configured(feed: Feed, **values: str | None) -> Iterator[None]:
    """Give a feed another configuration for a while."""
    config = feed.config
    changed = {**config, **values}
    feed.configure({key: value for key, value in changed.items() if value is not None})
    try:
        yield
    finally:
        feed.configure(config)


def rows_of(step: Step, feed: Feed | None, state: State) -> list[Row]:
    return step.store.rows(feed, state, limit=10_000) if feed else []


class NoUndo(MemoryStore):
    """What is refused midway stays half done."""

    def roll_back(self, error: BaseException | None) -> None:
        self.commit()


# --- feeds --------------------------------------------------------------------------------


class AnEditKeepsItsPlace(Broken):
    fails: ClassVar = {"Bulk", "Feed", "Thread"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if not isinstance(op, ops.FeedPublish) or feed is None:
            return super().do(step, op, feed)
        before = {row.id: row.place for row in rows_of(step, feed, State.STORED)}
        answer = super().do(step, op, feed)
        for row in step.store.get(feed, before).values():
            row.place = before[row.id]
            step.store.save(feed, [row])
        return answer


class MaxLengthIsOffByOne(Broken):
    # Configuring is right, publishing is not; and a type of one's own is published to as well.
    fails: ClassVar = {"Bulk", "Config", "Feed", "Stats"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        limit = feed.config.get("max_length") if feed else None
        if isinstance(op, ops.FeedPublish) and feed and limit not in (None, "0"):
            with configured(feed, max_length=str(int(limit) + 1)):
                return super().do(step, op, feed)
        return super().do(step, op, feed)


class AnEditDropsAnother(Broken):
    fails: ClassVar = {"Feed"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.FeedPublish) and feed:
            rows = rows_of(step, feed, State.STORED)
            others = [row for row in rows if row.id != op.entries[0].id]
            limit = feed.settings.max_length or 0
            if limit and others and limit - 1 == len(others) < len(rows):
                step.remove(feed, others[:1])
                step.notices.append(Retracted(op.feed, others[0].id))
        return super().do(step, op, feed)


class WhatIsPushedOutIsNotTold(Broken):
    fails: ClassVar = {"Bulk", "Feed"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.FeedPublish):
            step.notices = [each for each in step.notices if not isinstance(each, Retracted)]
        return answer


class ARetractionIsNotTold(Broken):
    fails: ClassVar = {"Feed", "SortedFeed", "Notice", "Handler"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.FeedRetract | ops.SortedRetract):
            step.notices = []
        return answer


class APublishOfSeveralTurnsThemRound(Broken):
    fails: ClassVar = {"Bulk", "Feed", "Page"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.FeedPublish):
            op = attrs.evolve(op, entries=op.entries[::-1])
        return super().do(step, op, feed)


# --- sorted feeds ---------------------------------------------------------------------------


class AMissingNeighbourUsesUpAnId(Broken):
    fails: ClassVar = {"SortedFeed"}
    store_type: ClassVar = NoUndo

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        try:
            return super().do(step, op, feed)
        except ItemDoesNotExist:
            if isinstance(op, ops.SortedInsert) and feed:
                feed.given += 1
            raise


class AMoveWithoutNeighbourLosesTheItem(Broken):
    fails: ClassVar = {"SortedFeed"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.SortedMove) and feed and op.position.neighbour:
            found = step.store.get(feed, (op.id, op.position.neighbour))
            if op.position.neighbour not in found and op.id in found:
                step.remove(feed, [found[op.id]])
        return super().do(step, op, feed)


class ThePlaceIsToldBeforeTheItem(Broken):
    fails: ClassVar = {"Bulk", "Handler", "SortedFeed"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.SortedInsert):
            pairs = zip(step.notices[::2], step.notices[1::2], strict=True)
            step.notices = [each for item, place in pairs for each in (place, item)]
        return answer


# --- queues ---------------------------------------------------------------------------------


class TheHighPriorityOfAQueueIsIgnored(Broken):
    fails: ClassVar = {"Bulk", "Queue"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.QueuePut):
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super().do(step, op, feed)


class ATakeForgetsAtOnce(Broken):
    fails: ClassVar = {"Bulk", "Queue"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.QueueConfirm):
            return None
        answer = super().do(step, op, feed)
        if isinstance(op, ops.QueueTake) and feed:
            ids = [entry.id for entry in answer.entries]
            step.remove(feed, [*step.store.get(feed, ids).values()])
        return answer


class Forgetful(MemoryStore):
    """It does not find what a token has taken."""

    is_asked_by_a_take = False

    def held(self, feed: Feed, token: str) -> list[Row]:
        return [] if self.is_asked_by_a_take else super().held(feed, token)


class TheSameTokenTakesMore(Broken):
    fails: ClassVar = {"Queue", "Job"}
    store_type: ClassVar = Forgetful

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        self.store.is_asked_by_a_take = isinstance(op, ops.TakeOperation)
        return super().do(step, op, feed)


class WhatIsReleasedGoesToTheEnd(Broken):
    fails: ClassVar = {"Claims", "Job", "Queue"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.Release) and feed:
            for row in step.store.get(feed, answer).values():
                row.place = step.end_place(feed)
                step.store.save(feed, [row])
        return answer


class AllIsReleased(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.Release):
            op = attrs.evolve(op, ids=())
        return super().do(step, op, feed)


class APutWakesNobody(Broken):
    fails: ClassVar = {"Job", "Queue"}
    # Each has one test of it, and a taker that is just going to wait may still see the put.
    may_fail: ClassVar = {"Bulk", "Claims"}
    unheard: ClassVar = (ops.QueuePut, ops.JobPut)


class WhatIsNotConfirmedNeverComesBack(Broken):
    fails: ClassVar = {"Queue"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.QueueTake) and feed:
            renew(step, feed)
        return super().do(step, op, feed)


def renew(step: Step, feed: Feed) -> None:
    """Extend all claims."""
    for row in rows_of(step, feed, State.CLAIMED):
        row.place = step.now
        step.store.save(feed, [row])


# --- jobs -----------------------------------------------------------------------------------


class AClaimIsGivenTwice(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobClaim) and feed and not answer.entries:
            for row in rows_of(step, feed, State.CLAIMED)[:1]:
                return ops.Batch((ops.Delivery(row.id, step.store.items(feed, [row])[0]),))
        return answer


class AnyTokenEndsAClaim(Broken):
    fails: ClassVar = {"Bulk", "Claims", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        step.holds = lambda row, token: Step.holds(step, row, "")
        return super().do(step, op, feed)


class ACancelledJobIsLost(Broken):
    fails: ClassVar = {"Bulk", "Claims", "Job", "Stats"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobCancel) and not answer:
            step.remove(feed, [*step.store.get(feed, (op.id,)).values()])
        return answer


class TheHighPriorityOfAJobIsIgnored(Broken):
    fails: ClassVar = {"Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobPut):
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super().do(step, op, feed)


class AClaimNeverRunsOut(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobClaim | ops.JobNext | ops.JobMaintain | ops.JobMend) and feed:
            renew(step, feed)
        return super().do(step, op, feed)


class AFailureTooManyIsAllowed(Broken):
    fails: ClassVar = {"Bulk", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        limit = feed.config.get("max_failures") if feed else None
        if isinstance(op, ops.JobCancel | ops.JobFail | ops.JobClaim) and limit:
            with configured(feed, max_failures=str(int(limit) + 1)):
                return super().do(step, op, feed)
        return super().do(step, op, feed)


class SomeAreFinishedThoughNotAll(Broken):
    fails: ClassVar = {"Bulk", "Job"}
    store_type: ClassVar = NoUndo

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobFinish):
            for completion in op.completions:
                super().do(step, ops.JobFinish(op.feed, (completion,)), feed)
            return None
        return super().do(step, op, feed)


class AResultIsReadOnce(Broken):
    fails: ClassVar = {"Claims", "Job"}  # a loop asks what became of a job that it lost

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.ReadResult) and feed:
            step.store.remove_record(feed, Shelf.RESULT, op.id)
        return answer


# --- jobs for later, and ids that may be taken ------------------------------------------------


class BrokenSince21(Broken):
    """In what came with 2.1. The other contract classes are not tried: that would take long."""

    tries: ClassVar = SINCE_2_1


class AScheduledJobRunsEarly(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "Pause", "States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobClaim | ops.JobNext) and feed:
            for row in rows_of(step, feed, State.SCHEDULED):
                row.place = min(row.place, step.now)
                step.store.save(feed, [row])
        return super().do(step, op, feed)


class NobodyIsToldWhenAJobIsDue(BrokenSince21):
    fails: ClassVar = {"Delay", "Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        taken = super().do(step, op, feed)
        if isinstance(op, ops.JobClaim | ops.JobNext) and not feed.settings.claim_timeout:
            return attrs.evolve(taken, retry_after=None)
        return taken


class WhoIsBlockedIsNotToldOfAJobForLater(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds"}
    unheard: ClassVar = (ops.JobAdd, ops.JobReschedule, ops.JobFail)


class DueJobsComeInTheOrderOfTheirPuts(BrokenSince21):
    fails: ClassVar = {"Delay", "States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobClaim | ops.JobNext):
            for row in rows_of(step, feed, State.SCHEDULED):
                if row.place <= step.now:
                    row.place = 0
                    step.store.save(feed, [row])
        return super().do(step, op, feed)


class TheHighPriorityOfADueJobIsForgotten(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobAdd) and op.due:
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super().do(step, op, feed)


class AScheduledJobIsNotCounted(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        return attrs.evolve(answer, scheduled=0) if isinstance(op, ops.CountJobs) else answer


class AScheduledJobIsNotListed(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.ReadJobs):
            later = {row.id for row in rows_of(step, feed, State.SCHEDULED)}
            return {id: answer[id] for id in answer if id not in later}
        return answer


class AnyJobCanBeRescheduled(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobReschedule):
            for row in rows_of(step, feed, State.WAITING):
                if row.id == op.id:
                    step.shift(feed, row, State.SCHEDULED, 0)
                    step.store.save(feed, [row])
        return super().do(step, op, feed)


class AFailureForLaterIsNotCounted(BrokenSince21):
    fails: ClassVar = {"Delay", "States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobFail) and answer is ops.Failed.SCHEDULED:
            row = step.store.get(feed, (op.id,))[op.id]
            row.failures = 0
            step.store.save(feed, [row])
        return answer


class AJobThatFailsForLaterIsNeverStalled(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobFail) and op.due and not op.stall and feed:
            with configured(feed, max_failures=None):
                return super().do(step, op, feed)
        return super().do(step, op, feed)


class AReasonIsForgotten(BrokenSince21):
    fails: ClassVar = {"States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobFail):
            op = attrs.evolve(op, failure=None)
        return super().do(step, op, feed)


class OldNotesStay(Broken):
    """What is known of a job stays for the next one of that id."""

    stay: ClassVar[tuple[str, ...]]

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        before = {}
        if isinstance(op, ops.JobAdd | ops.JobFinish | ops.JobRetract):
            rows = step.store.all_rows(feed, limit=10_000) if feed else []
            before = {row.id: row.note for row in rows}
        self._notes = {**getattr(self, "_notes", {}), **before}
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobAdd):
            for row in step.store.get(feed, [entry.id for entry in op.entries]).values():
                known = self._notes.get(row.id, {})
                row.note = {key: known[key] for key in self.stay if key in known} | row.note
                step.store.save(feed, [row])
        return answer


class AnOldReasonStays(OldNotesStay, BrokenSince21):
    fails: ClassVar = {"OwnIds", "States"}
    stay: ClassVar = ("failed", "failure")


class AnIdThatIsTakenIsOverwritten(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobAdd | ops.QueueAdd) and op.if_exists is ops.IfExists.KEEP:
            op = attrs.evolve(op, if_exists=ops.IfExists.REPLACE)
        return super().do(step, op, feed)


class AJobIsReplacedThoughItIsClaimed(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobAdd) and op.if_exists is ops.IfExists.REPLACE:
            ids = [entry.id for entry in op.entries]
            step.put_back(feed, [r for r in rows_of(step, feed, State.CLAIMED) if r.id in ids])
        return super().do(step, op, feed)


class WhatIsReplacedLosesItsPlace(BrokenSince21):
    fails: ClassVar = {"OwnIds", "Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            waiting = {row.id: row for row in rows_of(step, feed, State.WAITING)}
            for entry, outcome in zip(op.entries, answer, strict=True):
                if outcome is ops.Outcome.REPLACED and entry.id in waiting:
                    waiting[entry.id].place = step.end_place(feed)
                    step.store.save(feed, [waiting[entry.id]])
        return answer


class APartOfWhatIsRefusedIsPut(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds"}
    store_type: ClassVar = NoUndo

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            each = [attrs.evolve(op, entries=(entry,)) for entry in op.entries]
            return tuple(super(BrokenSince21, self).do(step, one, feed)[0] for one in each)
        return super().do(step, op, feed)


class AnIdDoesNotStayTaken(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            op = attrs.evolve(op, unique_for=0.0)
        return super().do(step, op, feed)


class AnIdStaysTakenForEver(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobAdd | ops.QueueAdd) and op.unique_for:
            for entry in op.entries:
                step.store.put_record(feed, Shelf.TAKEN, Record(entry.id, at=NEVER))
        return answer


class ARetractedIdStaysTaken(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        taken = step.store.records(feed, Shelf.TAKEN) if feed else []
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobRetract | ops.JobClear | ops.QueueClear):
            for record in taken:
                step.store.put_record(feed, Shelf.TAKEN, record)
        return answer


class AnOldResultStays(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        results = step.store.records(feed, Shelf.RESULT) if feed else []
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobAdd):
            for record in results:
                step.store.put_record(feed, Shelf.RESULT, record)
        return answer


class OnlySomeAreCleared(BrokenSince21):
    fails: ClassVar = {"OwnIds", "Pause", "States"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobClear | ops.QueueClear):
            return ops.Step(0, 0)
        return super().do(step, op, feed)


# --- pauses -----------------------------------------------------------------------------------


class APausePausesNothing(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.TakeOperation) and feed:
            with configured(feed, paused=None):
                return super().do(step, op, feed)
        return super().do(step, op, feed)


class TheEndOfAPauseWakesNobody(BrokenSince21):
    fails: ClassVar = {"Pause"}
    unheard: ClassVar = (ops.ResumeFeed,)


class WhatIsPutInAPauseIsLost(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.QueuePut | ops.JobPut) and feed.is_paused:
            return None
        return super().do(step, op, feed)


class APauseIsNotTold(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.PauseFeed | ops.ResumeFeed):
            step.notices = []
        return answer


class APauseForgetsWhatIsTaken(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.TakeOperation) and feed.is_paused:
            return ops.Batch(())
        return super().do(step, op, feed)


# --- notices, configuration, serializers, the backend itself --------------------------------


class AMarkerReachesEverybody(Broken):
    fails: ClassVar = {"Notice"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.ReadSnapshotPage):
            others = [each.marker for each in self._listeners if each.marker != op.marker]
            step.notices += [Marker(op.feed, marker, answer.mark) for marker in others]
        return answer


class EachMarkerOfAPageIsTheSame(Broken):
    fails: ClassVar = {"Notice"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        step.new_mark = lambda: 0
        return super().do(step, op, feed)


class APageOfASnapshotHasNotWhatIsWanted(Broken):
    fails: ClassVar = {"Notice"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.ReadSnapshotPage):
            op = attrs.evolve(op, wanted=())
        return super().do(step, op, feed)


class APageBeginsOneTooLate(Broken):
    fails: ClassVar = {"Page"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        page = super().do(step, op, feed)
        if isinstance(op, ops.ReadPage) and op.cursor:
            return attrs.evolve(page, ids=page.ids[1:], items=page.items[1:])
        return page


class OpeningAnnouncesAgain(Broken):
    fails: ClassVar = {"Feed", "Handler"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.RegisterFeed) and not answer:
            step.notices.append(Created(op.feed))
        return answer


class AnItemIsStoredAsText(Broken):
    fails: ClassVar = {"Serializer", "Handler", "Queue", "Job"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.FeedPublish | ops.QueuePut | ops.JobPut):
            entries = [
                ops.Entry(e.id, e.item.decode("utf-8", "replace").encode()) for e in op.entries
            ]
            op = attrs.evolve(op, entries=tuple(entries))
        return super().do(step, op, feed)


class AFeedMayChangeItsType(Broken):
    fails: ClassVar = {"Config"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.SetConfig) and feed and op.config.get("type"):
            feed.configure({**feed.config, **{k: v for k, v in op.config.items() if v}})
            step.notices.append(Configured(op.feed))
            return ()
        return super().do(step, op, feed)


class AnyTypeWillDo(Broken):
    fails: ClassVar = {"Config", "Stats"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        step.feed = lambda name, kind=None: Step.feed(step, name)
        return super().do(step, op, feed)


class ALargeItemIsTaken(Broken):
    fails: ClassVar = {"Bulk", "Config"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        step.feed_for = lambda name, kind, items: step.feed(name, kind)
        return super().do(step, op, feed)


class Grave(MemoryStore):
    """What was in a feed that is deleted is in the next one of its name."""

    def drop(self, feed: Feed) -> None:
        self.graves = {feed.name: (feed, self._contents[feed.key])}
        super().drop(feed)

    def create(self, name: str, config: dict[str, str]) -> Feed:
        feed = super().create(name, config)
        if name in getattr(self, "graves", ()):
            old, self._contents[feed.key] = self.graves.pop(name)
            feed.counts, feed.last = old.counts, old.last
        return feed


class ADeletedFeedKeepsItsItems(Broken):
    fails: ClassVar = {"Config"}
    store_type: ClassVar = Grave


class WhatItDoesNotKnowIsNothing(Broken):
    fails: ClassVar = {"Backend"}

    def execute(self, operation: Any) -> Any:
        try:
            return super().execute(operation)
        except UnsupportedOperation:
            return None


class Sleepy(EmbeddedBackend):
    def close(self) -> None:
        self._takes = BlockedTakes(self.core.waiters, self.execute)
        super().close()


class ClosingWakesNobody(Broken):
    fails: ClassVar = {"Backend"}
    backend = Sleepy


class Everywhere(EmbeddedBackend):
    def listen(self, feed: str | None = None) -> EmbeddedSubscription:
        return super().listen(None)


class NoticesOfOtherFeedsLeakIn(Broken):
    fails: ClassVar = {"Notice", "Handler"}
    backend = Everywhere


class ItemsCountWhileTheyAreTaken(Broken):
    fails: ClassVar = {"Queue"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.ReadIds) and op.kind == QUEUE and feed:
            return tuple(row.id for row in step.store.all_rows(feed, limit=10_000))
        return super().do(step, op, feed)


# --- periodic jobs, progress and events -----------------------------------------------------


class BrokenSchedule(Broken):
    """In periodic jobs, or in what is told of jobs."""

    tries: ClassVar = AGAIN_AND_TOLD


class ATimePutsAJobForEachWhoLooks(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        schedules = step.store.records(feed, Shelf.SCHEDULE) if feed else []
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobClaim | ops.JobNext):
            for record in schedules:
                step.store.put_record(feed, Shelf.SCHEDULE, record)
        return answer


class TheSameScheduleBeginsAnew(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobSchedule) and feed:
            step.store.remove_record(feed, Shelf.SCHEDULE, op.schedule.name)
        return super().do(step, op, feed)


class AScheduleThatIsChangedKeepsItsTime(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if not isinstance(op, ops.JobSchedule) or feed is None:
            return super().do(step, op, feed)
        before = step.store.record(feed, Shelf.SCHEDULE, op.schedule.name)
        answer = super().do(step, op, feed)
        if before:
            changed = step.store.record(feed, Shelf.SCHEDULE, op.schedule.name)
            kept = attrs.evolve(changed, at=before.at)
            step.store.put_record(feed, Shelf.SCHEDULE, kept)
        return answer


class AScheduleTakesItsJobsAlong(BrokenSchedule):
    fails: ClassVar = {"Events", "Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobUnschedule):
            rows = step.store.all_rows(feed, limit=10_000)
            step.remove(feed, [row for row in rows if row.id.startswith(f"{op.name}@")])
        return answer


class WhatWasMissedIsPut(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if not isinstance(op, ops.JobClaim | ops.JobNext) or feed is None:
            return super().do(step, op, feed)
        known = step.store.records(feed, Shelf.SCHEDULE)
        for record in known:
            self._write(step, feed, record, ops.IfMissed.ONCE.value)
        try:
            return super().do(step, op, feed)
        finally:
            for before in known:
                record = step.store.record(feed, Shelf.SCHEDULE, before.id)
                self._write(step, feed, record, json.loads(before.text)["if_missed"])

    @staticmethod
    def _write(step: Step, feed: Feed, record: Record, if_missed: str) -> None:
        text = json.dumps(json.loads(record.text) | {"if_missed": if_missed})
        step.store.put_record(feed, Shelf.SCHEDULE, attrs.evolve(record, text=text))


class ThePriorityOfAScheduleIsIgnored(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobClaim | ops.JobNext):
            step.end_place = lambda feed, priority=None: Step.end_place(step, feed)
        return super().do(step, op, feed)


class AScheduleWakesNobody(BrokenSchedule):
    fails: ClassVar = {"Schedules"}
    unheard: ClassVar = (ops.JobSchedule,)


class TimesAreToldToAnyScheduleOfTheName(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.JobSetRuns) and feed:
            known = super().do(step, ops.ReadSchedules(op.feed, (op.schedule.name,)), feed)
            op = attrs.evolve(op, schedule=known[0].schedule) if known else op
        return super().do(step, op, feed)


class ProgressOutlivesItsJob(OldNotesStay, BrokenSchedule):
    fails: ClassVar = {"Progress"}
    stay: ClassVar = ("progress", "doing", "progressed")


class AnybodyTellsProgress(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        op = attrs.evolve(op, token="") if isinstance(op, ops.JobProgress) else op
        return super().do(step, op, feed)


class AnExtendedClaimIsYoung(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobExtend):
            for row in rows_of(step, feed, State.CLAIMED):
                row.since = row.place
        return answer


class AskingExtendsAClaim(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.JobHolds):
            super().do(step, ops.JobExtend(op.feed, op.claims), feed)
        return answer


class EventsAreAlwaysTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        def event(feed: Feed, kind: Any, id: str, *more: Any) -> None:
            with configured(feed, events="1"):
                Step.event(step, feed, kind, id, *more)

        step.event = event
        return super().do(step, op, feed)


class EventsAreToldTwice(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        def event(*what: Any) -> None:
            Step.event(step, *what)
            Step.event(step, *what)

        step.event = event
        return super().do(step, op, feed)


class AFailureTooManyIsToldAsAnyOther(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def deliver(self, notices: list[Notice]) -> None:
        super().deliver([Cancelled(n.feed, n.id) if isinstance(n, Stalled) else n for n in notices])


class ARetractionOfAJobIsNotTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def deliver(self, notices: list[Notice]) -> None:
        super().deliver([n for n in notices if not isinstance(n, Retracted)])


class APeriodicJobIsNotTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def deliver(self, notices: list[Notice]) -> None:
        super().deliver([n for n in notices if not (isinstance(n, Put) and "@" in n.id)])


# --- workers --------------------------------------------------------------------------------


class BrokenWorkers(Broken):
    """In what is known of workers."""

    tries: ClassVar = OF_WORKERS


class AWorkerIsListedForEver(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        op = attrs.evolve(op, keep=3600) if isinstance(op, ops.ReportWorker) else op
        return super().do(step, op, feed)


class TheFirstReportOfAWorkerStays(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        is_report = isinstance(op, ops.ReportWorker)
        if is_report and step.store.record(None, Shelf.WORKER, op.worker.id):
            return None
        return super().do(step, op, feed)


class OneThatEndsTakesAllAlong(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        answer = super().do(step, op, feed)
        if isinstance(op, ops.RemoveWorker):
            for record in step.store.records(None, Shelf.WORKER):
                step.store.remove_record(None, Shelf.WORKER, record.id)
        return answer


# --- copies ---------------------------------------------------------------------------------


class BrokenCopy(Broken):
    """In storing a feed as it was read."""

    fails: ClassVar = OF_COPIES
    tries: ClassVar = OF_COPIES

    def do(self, step: Step, op: Any, feed: Feed | None) -> Any:
        if isinstance(op, ops.Restore) and feed:
            changed = tuple(self.changed(step, feed, entry) for entry in op.entries)
            op = attrs.evolve(op, entries=changed)
        return super().do(step, op, feed)

    def changed(self, step: Step, feed: Feed, entry: ops.Restored) -> ops.Restored:
        """What is stored in its place."""
        raise NotImplementedError


class WhatIsRestoredAgainComesTwice(BrokenCopy):
    def changed(self, step: Step, feed: Feed, entry: ops.Restored) -> ops.Restored:
        is_there = bool(step.store.get(feed, (entry.id,))) and entry.what is not ops.RestoreAs.ITEM
        return attrs.evolve(entry, id=f"{entry.id} again") if is_there else entry


class ARestoredJobForgetsItsFailures(BrokenCopy):
    def changed(self, step: Step, feed: Feed, entry: ops.Restored) -> ops.Restored:
        return attrs.evolve(entry, failures=0)


class ARestoredItemIsOfToday(BrokenCopy):
    def changed(self, step: Step, feed: Feed, entry: ops.Restored) -> ops.Restored:
        return attrs.evolve(entry, at=None) if entry.what is ops.RestoreAs.ITEM else entry


class AResultIsKeptForEver(BrokenCopy):
    def changed(self, step: Step, feed: Feed, entry: ops.Restored) -> ops.Restored:
        return attrs.evolve(entry, at=None) if entry.what is ops.RestoreAs.RESULT else entry


# --- partitions -----------------------------------------------------------------------------


class PartitionsAreOneFeed(Broken):
    fails: ClassVar = OF_PARTITIONS
    tries: ClassVar = OF_PARTITIONS

    def _handle(self, step: Step, op: Any) -> Any:
        if isinstance(op, ops.FeedOperation):
            op = attrs.evolve(op, feed=op.feed.partition(":")[0])
        return super()._handle(step, op)


BASES = (Broken, BrokenSince21, BrokenSchedule, BrokenWorkers, BrokenCopy, OldNotesStay)
VARIANTS = {
    cls.__name__: cls for base in BASES for cls in base.__subclasses__() if cls not in BASES
}
