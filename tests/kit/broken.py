"""Ways in which a backend can be wrong: each variant of the one in dicts breaks one thing.

``fails`` names the contract classes that have to notice. All others pass.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import attrs
from dict_backend import DictBackend, DictSubscription, Stored, World

from thoonk import Configured, Created, Moved, Published, Retracted
from thoonk import operations as ops
from thoonk.config import QUEUE, SORTED_FEED
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


class Broken(World):
    """One way. ``tries`` names the contract classes that are tried; None: all older ones.

    ``may_fail`` names those that notice most times.
    """

    fails: ClassVar[set[str]]
    may_fail: ClassVar[set[str]] = set()
    tries: ClassVar[set[str] | None] = None
    backend: ClassVar[type[DictBackend]] = DictBackend

    def stored(self, op: Any) -> Stored:
        return self._find(op.feed)


# --- feeds --------------------------------------------------------------------------------


class AnEditKeepsItsPlace(Broken):
    fails: ClassVar = {"Bulk", "Feed", "Thread"}

    def _do(self, op: Any) -> Any:
        if not isinstance(op, ops.FeedPublish) or op.feed not in self._feeds:
            return super()._do(op)
        before = [*self.stored(op).ids]
        answer = super()._do(op)
        after = self.stored(op).ids
        self.stored(op).ids = [id for id in before if id in after]
        self.stored(op).ids += [id for id in after if id not in before]
        return answer


class MaxLengthIsOffByOne(Broken):
    # Configuring is right, publishing is not; and a type of one's own is published to as well.
    fails: ClassVar = {"Bulk", "Config", "Feed", "Stats"}

    def _do(self, op: Any) -> Any:
        if not isinstance(op, ops.FeedPublish) or op.feed not in self._feeds:
            return super()._do(op)
        config = self.stored(op).config
        limit = config.get("max_length")
        if limit not in (None, "0"):
            config["max_length"] = str(int(limit) + 1)
        try:
            return super()._do(op)
        finally:
            self.stored(op).config = {**config, **({"max_length": limit} if limit else {})}


class AnEditDropsAnother(Broken):
    fails: ClassVar = {"Feed"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.FeedPublish) and op.feed in self._feeds:
            stored = self.stored(op)
            limit = stored.settings.max_length or 0
            others = [id for id in stored.ids if id != op.entries[0].id]
            if limit and len(others) == limit - 1 and op.entries[0].id in stored.items and others:
                stored.forget(others[0])
                self._tell(Retracted(op.feed, others[0]))
        return super()._do(op)


class WhatIsPushedOutIsNotTold(Broken):
    fails: ClassVar = {"Bulk", "Feed"}
    quiet = False

    def _do(self, op: Any) -> Any:
        self.quiet = isinstance(op, ops.FeedPublish)
        return super()._do(op)

    def _tell(self, notice: Notice) -> None:
        if not (self.quiet and isinstance(notice, Retracted)):
            super()._tell(notice)


class ARetractionIsNotTold(Broken):
    fails: ClassVar = {"Feed", "SortedFeed", "Notice", "Handler"}
    quiet = False

    def _do(self, op: Any) -> Any:
        self.quiet = isinstance(op, ops.FeedRetract | ops.SortedRetract)
        return super()._do(op)

    def _tell(self, notice: Notice) -> None:
        if not self.quiet:
            super()._tell(notice)


class APublishOfSeveralTurnsThemRound(Broken):
    fails: ClassVar = {"Bulk", "Feed", "Page"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.FeedPublish):
            op = attrs.evolve(op, entries=op.entries[::-1])
        return super()._do(op)


# --- sorted feeds ---------------------------------------------------------------------------


class AMissingNeighbourUsesUpAnId(Broken):
    fails: ClassVar = {"SortedFeed"}

    def _do(self, op: Any) -> Any:
        try:
            return super()._do(op)
        except ItemDoesNotExist:
            if isinstance(op, ops.SortedInsert) and op.feed in self._feeds:
                self.stored(op).last_id += 1
            raise


class AMoveWithoutNeighbourLosesTheItem(Broken):
    fails: ClassVar = {"SortedFeed"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.SortedMove) and op.feed in self._feeds:
            stored = self.stored(op)
            if op.position.neighbour not in ("", *stored.ids) and op.id in stored.ids:
                stored.ids.remove(op.id)
        return super()._do(op)


class ThePlaceIsToldBeforeTheItem(Broken):
    fails: ClassVar = {"Bulk", "Handler", "SortedFeed"}
    held: Notice | None = None

    def _tell(self, notice: Notice) -> None:
        if isinstance(notice, Published) and self._find(notice.feed).config["type"] == SORTED_FEED:
            self.held = notice
            return
        super()._tell(notice)
        if self.held is not None and isinstance(notice, Moved):
            held, self.held = self.held, None
            super()._tell(held)


# --- queues ---------------------------------------------------------------------------------


class TheHighPriorityOfAQueueIsIgnored(Broken):
    fails: ClassVar = {"Bulk", "Queue"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.QueuePut):
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super()._do(op)


class ATakeForgetsAtOnce(Broken):
    fails: ClassVar = {"Bulk", "Queue"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.QueueConfirm):
            return None
        answer = super()._do(op)
        if isinstance(op, ops.QueueTake):
            for entry in answer.entries:
                self.stored(op).forget(entry.id)
        return answer


class TheSameTokenTakesMore(Broken):
    fails: ClassVar = {"Queue", "Job"}

    def _take(self, stored: Stored, op: ops.TakeOperation, time_left: float) -> ops.Batch:
        for id in stored.held(op.token):
            stored.claims[id].token += " "
        answer = super()._take(stored, op, time_left)
        for id in stored.held(op.token + " "):
            stored.claims[id].token = op.token
        return answer


class WhatIsReleasedGoesToTheEnd(Broken):
    fails: ClassVar = {"Claims", "Job", "Queue"}

    def _do(self, op: Any) -> Any:
        if not isinstance(op, ops.Release):
            return super()._do(op)
        stored = self.stored(op)
        waiting = [*stored.ids]
        released: tuple[str, ...] = super()._do(op)
        stored.ids = [*waiting, *released]
        return released


class AllIsReleased(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.Release):
            op = attrs.evolve(op, ids=())
        return super()._do(op)


class APutWakesNobody(Broken):
    fails: ClassVar = {"Job", "Queue"}
    # Each has one test of it, and a taker that is just going to wait may still see the put.
    may_fail: ClassVar = {"Bulk", "Claims"}

    def execute(self, operation: Any) -> Any:
        if isinstance(operation, ops.QueuePut | ops.JobPut):
            wakers, self.wakers = self.wakers, []
            try:
                return super().execute(operation)
            finally:
                self.wakers += wakers
        return super().execute(operation)


class WhatIsNotConfirmedNeverComesBack(Broken):
    fails: ClassVar = {"Queue"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.QueueTake) and op.feed in self._feeds:
            for claim in self.stored(op).claims.values():
                claim.extended = self.clock()
        return super()._do(op)


# --- jobs -----------------------------------------------------------------------------------


class AClaimIsGivenTwice(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobClaim) and not answer.entries:
            stored = self.stored(op)
            for id in list(stored.claims)[:1]:
                return ops.Batch((ops.Delivery(id, stored.items[id]),))
        return answer


class AnyTokenEndsAClaim(Broken):
    fails: ClassVar = {"Bulk", "Claims", "Job"}

    def _is_held(self, stored: Stored, id: str, token: str) -> bool:
        return super()._is_held(stored, id, "")


class ACancelledJobIsLost(Broken):
    fails: ClassVar = {"Bulk", "Claims", "Job", "Stats"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobCancel) and op.id in self.stored(op).ids:
            self.stored(op).forget(op.id)
        return answer


class TheHighPriorityOfAJobIsIgnored(Broken):
    fails: ClassVar = {"Job"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobPut):
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super()._do(op)


class AClaimNeverRunsOut(Broken):
    fails: ClassVar = {"Claims", "Job"}

    def _expire(self, stored: Stored) -> ops.MaintenanceReport:
        return ops.MaintenanceReport()


class AFailureTooManyIsAllowed(Broken):
    fails: ClassVar = {"Bulk", "Job"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobCancel | ops.JobFail | ops.JobClaim) and op.feed in self._feeds:
            config = self.stored(op).config
            limit = config.get("max_failures")
            if limit:
                config["max_failures"] = str(int(limit) + 1)
            try:
                return super()._do(op)
            finally:
                if limit:
                    config["max_failures"] = limit
        return super()._do(op)


class SomeAreFinishedThoughNotAll(Broken):
    fails: ClassVar = {"Bulk", "Job"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobFinish):
            for completion in op.completions:
                super()._do(ops.JobFinish(op.feed, (completion,)))
            return None
        return super()._do(op)


class AResultIsReadOnce(Broken):
    fails: ClassVar = {"Claims", "Job"}  # a loop asks what became of a job that it lost

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.ReadResult) and answer is not None:
            del self.stored(op).results[op.id]
        return answer


# --- jobs for later, and ids that may be taken ------------------------------------------------


class BrokenSince21(Broken):
    """In what came with 2.1. The other contract classes are not tried: that would take long."""

    tries: ClassVar = SINCE_2_1


class AScheduledJobRunsEarly(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "Pause", "States"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        stored.bring_due(math.inf)
        return super()._claim(stored, op)


class NobodyIsToldWhenAJobIsDue(BrokenSince21):
    fails: ClassVar = {"Delay", "Pause"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        taken = super()._claim(stored, op)
        has_timeout = bool(stored.settings.claim_timeout)
        return taken if has_timeout else attrs.evolve(taken, retry_after=None)


class WhoIsBlockedIsNotToldOfAJobForLater(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds"}

    def execute(self, operation: Any) -> Any:
        if isinstance(operation, ops.JobAdd | ops.JobReschedule | ops.JobFail):
            wakers, self.wakers = self.wakers, []
            try:
                return super().execute(operation)
            finally:
                self.wakers += wakers
        return super().execute(operation)


class DueJobsComeInTheOrderOfTheirPuts(BrokenSince21):
    fails: ClassVar = {"Delay", "States"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        now = self.clock()
        due = {id: (0.0, which) for id, (at, which) in stored.later.items() if at <= now}
        stored.later |= due
        return super()._claim(stored, op)


class TheHighPriorityOfADueJobIsForgotten(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobAdd) and op.due:
            op = attrs.evolve(op, priority=ops.Priority.NORMAL)
        return super()._do(op)


class AScheduledJobIsNotCounted(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "Pause"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        return attrs.evolve(answer, scheduled=0) if isinstance(op, ops.CountJobs) else answer


class AScheduledJobIsNotListed(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds", "States"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.ReadJobs) and op.feed in self._feeds:
            return {id: answer[id] for id in answer if id not in self.stored(op).later}
        return answer


class AnyJobCanBeRescheduled(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobReschedule) and op.feed in self._feeds:
            stored = self.stored(op)
            if op.id in stored.ids:
                stored.ids.remove(op.id)
                stored.later[op.id] = 0.0, ops.Priority.NORMAL
        return super()._do(op)


class AFailureForLaterIsNotCounted(BrokenSince21):
    fails: ClassVar = {"Delay", "States"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobFail) and answer is ops.Failed.SCHEDULED:
            self.stored(op).failures.pop(op.id)
        return answer


class AJobThatFailsForLaterIsNeverStalled(BrokenSince21):
    fails: ClassVar = {"Delay"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobFail) and op.due and not op.stall and op.feed in self._feeds:
            config = self.stored(op).config
            limit = config.pop("max_failures", None)
            try:
                return super()._do(op)
            finally:
                if limit is not None:
                    config["max_failures"] = limit
        return super()._do(op)


class AReasonIsForgotten(BrokenSince21):
    fails: ClassVar = {"States"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobFail):
            op = attrs.evolve(op, failure=None)
        return super()._do(op)


class AnOldReasonStays(BrokenSince21):
    fails: ClassVar = {"OwnIds", "States"}

    def _do(self, op: Any) -> Any:
        notes = {**self.stored(op).notes} if getattr(op, "feed", None) in self._feeds else {}
        answer = super()._do(op)
        if isinstance(op, ops.JobAdd | ops.JobRetract):
            for id, note in notes.items():
                self.stored(op).notes.setdefault(id, note)
        return answer


class AnIdThatIsTakenIsOverwritten(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _outcome(self, stored: Stored, id: str, op: Any) -> ops.Outcome:
        if op.if_exists is ops.IfExists.KEEP:
            op = attrs.evolve(op, if_exists=ops.IfExists.REPLACE)
        return super()._outcome(stored, id, op)


class AJobIsReplacedThoughItIsClaimed(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _outcome(self, stored: Stored, id: str, op: Any) -> ops.Outcome:
        claims, stored.claims = stored.claims, {}
        try:
            return super()._outcome(stored, id, op)
        finally:
            stored.claims = claims


class WhatIsReplacedLosesItsPlace(BrokenSince21):
    fails: ClassVar = {"OwnIds", "Pause"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            for entry, outcome in zip(op.entries, answer, strict=True):
                if outcome is ops.Outcome.REPLACED and entry.id in self.stored(op).ids:
                    self.stored(op).ids.remove(entry.id)
                    self.stored(op).ids.append(entry.id)
        return answer


class APartOfWhatIsRefusedIsPut(BrokenSince21):
    fails: ClassVar = {"Delay", "OwnIds"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            return tuple(
                super(BrokenSince21, self)._do(attrs.evolve(op, entries=(entry,)))[0]
                for entry in op.entries
            )
        return super()._do(op)


class AnIdDoesNotStayTaken(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobAdd | ops.QueueAdd):
            op = attrs.evolve(op, unique_for=0.0)
        return super()._do(op)


class AnIdStaysTakenForEver(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _outcome(self, stored: Stored, id: str, op: Any) -> ops.Outcome:
        if id in stored.taken:
            stored.taken[id] = math.inf
        return super()._outcome(stored, id, op)


class ARetractedIdStaysTaken(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _do(self, op: Any) -> Any:
        taken = {**self.stored(op).taken} if getattr(op, "feed", None) in self._feeds else {}
        answer = super()._do(op)
        if isinstance(op, ops.JobRetract | ops.JobClear | ops.QueueClear):
            self.stored(op).taken = taken
        return answer


class AnOldResultStays(BrokenSince21):
    fails: ClassVar = {"OwnIds"}

    def _do(self, op: Any) -> Any:
        results = {**self.stored(op).results} if isinstance(op, ops.JobAdd) else {}
        answer = super()._do(op)
        if isinstance(op, ops.JobAdd):
            self.stored(op).results = results
        return answer


class OnlySomeAreCleared(BrokenSince21):
    fails: ClassVar = {"OwnIds", "Pause", "States"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobClear | ops.QueueClear):
            return ops.Step(0, 0)
        return super()._do(op)


# --- pauses -----------------------------------------------------------------------------------


class APausePausesNothing(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def _take(self, stored: Stored, op: ops.TakeOperation, time_left: float) -> ops.Batch:
        paused = stored.config.pop("paused", None)
        try:
            return super()._take(stored, op, time_left)
        finally:
            if paused is not None:
                stored.config["paused"] = paused


class TheEndOfAPauseWakesNobody(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def execute(self, operation: Any) -> Any:
        if isinstance(operation, ops.ResumeFeed):
            wakers, self.wakers = self.wakers, []
            try:
                return super().execute(operation)
            finally:
                self.wakers += wakers
        return super().execute(operation)


class WhatIsPutInAPauseIsLost(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.QueuePut | ops.JobPut) and self._find(op.feed).is_paused:
            return None
        return super()._do(op)


class APauseIsNotTold(BrokenSince21):
    fails: ClassVar = {"Pause"}
    quiet = False

    def _do(self, op: Any) -> Any:
        self.quiet = isinstance(op, ops.PauseFeed | ops.ResumeFeed)
        return super()._do(op)

    def _tell(self, notice: Notice) -> None:
        if not self.quiet:
            super()._tell(notice)


class APauseForgetsWhatIsTaken(BrokenSince21):
    fails: ClassVar = {"Pause"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.TakeOperation) and self._find(op.feed).is_paused:
            return ops.Batch(())
        return super()._do(op)


# --- notices, configuration, serializers, the backend itself --------------------------------


class AMarkerReachesEverybody(Broken):
    fails: ClassVar = {"Notice"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.ReadSnapshotPage):
            for listener in self.listeners:
                if listener.marker != op.marker:
                    listener.hear(Marker(op.feed, op.marker, answer.mark))
        return answer


class EachMarkerOfAPageIsTheSame(Broken):
    fails: ClassVar = {"Notice"}

    def _do(self, op: Any) -> Any:
        self._marks = itertools.count()
        return super()._do(op)


class APageOfASnapshotHasNotWhatIsWanted(Broken):
    fails: ClassVar = {"Notice"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.ReadSnapshotPage):
            op = attrs.evolve(op, wanted=())
        return super()._do(op)


class APageBeginsOneTooLate(Broken):
    fails: ClassVar = {"Page"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.ReadPage) and op.cursor:
            page = super()._do(op)
            return attrs.evolve(page, ids=page.ids[1:], items=page.items[1:])
        return super()._do(op)


class OpeningAnnouncesAgain(Broken):
    fails: ClassVar = {"Feed", "Handler"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.RegisterFeed) and not answer:
            self._tell(Created(op.feed))
        return answer


class AnItemIsStoredAsText(Broken):
    fails: ClassVar = {"Serializer", "Handler", "Queue", "Job"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.FeedPublish | ops.QueuePut | ops.JobPut):
            entries = [
                ops.Entry(e.id, e.item.decode("utf-8", "replace").encode()) for e in op.entries
            ]
            op = attrs.evolve(op, entries=tuple(entries))
        return super()._do(op)


class AFeedMayChangeItsType(Broken):
    fails: ClassVar = {"Config"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.SetConfig) and op.feed in self._feeds and op.config.get("type"):
            stored = self.stored(op)
            stored.config.update({k: v for k, v in op.config.items() if v is not None})
            self._tell(Configured(op.feed))
            return ()
        return super()._do(op)


class AnyTypeWillDo(Broken):
    fails: ClassVar = {"Config", "Stats"}

    def _find(self, name: str, kind: str | None = None) -> Stored:
        return super()._find(name)


class ALargeItemIsTaken(Broken):
    fails: ClassVar = {"Bulk", "Config"}

    def _find_for(self, name: str, kind: str, items: Any) -> Stored:
        return self._find(name, kind)


class ADeletedFeedKeepsItsItems(Broken):
    fails: ClassVar = {"Config"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.DeleteFeed) and op.feed in self._feeds:
            self._graves = {**getattr(self, "_graves", {}), op.feed: self._feeds[op.feed]}
        answer = super()._do(op)
        graves = getattr(self, "_graves", {})
        if isinstance(op, ops.CreateFeed) and answer.created and op.feed in graves:
            old = graves.pop(op.feed)
            self._feeds[op.feed] = attrs.evolve(old, config=dict(op.config))
        return answer


class WhatItDoesNotKnowIsNothing(Broken):
    fails: ClassVar = {"Backend"}

    def _do(self, op: Any) -> Any:
        try:
            return super()._do(op)
        except UnsupportedOperation:
            return None


class Sleepy(DictBackend):
    def close(self) -> None:
        waiters, self._waiters = self._waiters, {}
        super().close()
        self._waiters = waiters


class ClosingWakesNobody(Broken):
    fails: ClassVar = {"Backend"}
    backend = Sleepy


class Everywhere(DictBackend):
    def listen(self, feed: str | None = None) -> DictSubscription:
        return super().listen(None)


class NoticesOfOtherFeedsLeakIn(Broken):
    fails: ClassVar = {"Notice", "Handler"}
    backend = Everywhere


class ItemsCountWhileTheyAreTaken(Broken):
    fails: ClassVar = {"Queue"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.ReadIds) and op.kind == QUEUE and op.feed in self._feeds:
            return tuple(self.stored(op).items)
        return super()._do(op)


# --- periodic jobs, progress and events -----------------------------------------------------


class BrokenSchedule(Broken):
    """In periodic jobs, or in what is told of jobs."""

    tries: ClassVar = AGAIN_AND_TOLD


class ATimePutsAJobForEachWhoLooks(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        before = {name: [*times] for name, times in stored.runs.items()}
        answer = super()._claim(stored, op)
        stored.runs = before
        return answer


class TheSameScheduleBeginsAnew(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobSchedule) and op.feed in self._feeds:
            self.stored(op).schedules.pop(op.schedule.name, None)
        return super()._do(op)


class AScheduleThatIsChangedKeepsItsTime(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _do(self, op: Any) -> Any:
        if not isinstance(op, ops.JobSchedule) or op.feed not in self._feeds:
            return super()._do(op)
        times = self.stored(op).runs.get(op.schedule.name)
        answer = super()._do(op)
        if times:
            self.stored(op).runs[op.schedule.name] = times
        return answer


class AScheduleTakesItsJobsAlong(BrokenSchedule):
    fails: ClassVar = {"Events", "Schedules"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobUnschedule):
            stored = self.stored(op)
            for id in [id for id in stored.items if id.startswith(f"{op.name}@")]:
                stored.forget(id)
        return answer


class WhatWasMissedIsPut(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        known = stored.schedules
        stored.schedules = {
            name: attrs.evolve(schedule, if_missed=ops.IfMissed.ONCE)
            for name, schedule in known.items()
        }
        try:
            return super()._claim(stored, op)
        finally:
            stored.schedules = known


class ThePriorityOfAScheduleIsIgnored(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        known = stored.schedules
        stored.schedules = {
            name: attrs.evolve(schedule, priority=ops.Priority.NORMAL)
            for name, schedule in known.items()
        }
        try:
            return super()._claim(stored, op)
        finally:
            stored.schedules = known


class AScheduleWakesNobody(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def execute(self, operation: Any) -> Any:
        if not isinstance(operation, ops.JobSchedule):
            return super().execute(operation)
        wakers, self.wakers = self.wakers, []
        try:
            return super().execute(operation)
        finally:
            self.wakers += wakers


class TimesAreToldToAnyScheduleOfTheName(BrokenSchedule):
    fails: ClassVar = {"Schedules"}

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.JobSetRuns) and op.feed in self._feeds:
            known = self.stored(op).schedules.get(op.schedule.name, op.schedule)
            op = attrs.evolve(op, schedule=known)
        return super()._do(op)


class ProgressOutlivesItsJob(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def _do(self, op: Any) -> Any:
        notes = {}
        if getattr(op, "feed", None) in self._feeds:
            notes = dict(self.stored(op).notes)
        answer = super()._do(op)
        if isinstance(op, ops.JobAdd | ops.JobFinish | ops.JobRetract):
            for id, note in notes.items():
                kept = self.stored(op).note(id)
                kept.progress, kept.doing = note.progress, note.doing
        return answer


class AnybodyTellsProgress(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def _do(self, op: Any) -> Any:
        return super()._do(attrs.evolve(op, token="") if isinstance(op, ops.JobProgress) else op)


class AnExtendedClaimIsYoung(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobExtend):
            for claim in self.stored(op).claims.values():
                claim.since = claim.extended
        return answer


class AskingExtendsAClaim(BrokenSchedule):
    fails: ClassVar = {"Progress"}

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.JobHolds):
            super()._do(ops.JobExtend(op.feed, op.claims))
        return answer


class EventsAreAlwaysTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def _tell_events(self, name: str) -> None:
        if name not in self._feeds:
            return
        stored = self._feeds[name]
        config = stored.config
        stored.config = {**config, "events": "1"}
        super()._tell_events(name)
        stored.config = config


class EventsAreToldTwice(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def _tell_events(self, name: str) -> None:
        if name in self._feeds:
            self._feeds[name].events *= 2
        super()._tell_events(name)


class AFailureTooManyIsToldAsAnyOther(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def _tell(self, notice: Notice) -> None:
        super()._tell(Cancelled(notice.feed, notice.id) if isinstance(notice, Stalled) else notice)


class ARetractionOfAJobIsNotTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def _tell(self, notice: Notice) -> None:
        if not isinstance(notice, Retracted):
            super()._tell(notice)


class APeriodicJobIsNotTold(BrokenSchedule):
    fails: ClassVar = {"Events"}

    def _tell(self, notice: Notice) -> None:
        if not (isinstance(notice, Put) and "@" in notice.id):
            super()._tell(notice)


# --- workers --------------------------------------------------------------------------------


class BrokenWorkers(Broken):
    """In what is known of workers."""

    tries: ClassVar = OF_WORKERS


class AWorkerIsListedForEver(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def _do(self, op: Any) -> Any:
        return super()._do(attrs.evolve(op, keep=3600) if isinstance(op, ops.ReportWorker) else op)


class TheFirstReportOfAWorkerStays(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def _do(self, op: Any) -> Any:
        if isinstance(op, ops.ReportWorker) and op.worker.id in self._workers:
            return None
        return super()._do(op)


class OneThatEndsTakesAllAlong(BrokenWorkers):
    fails: ClassVar = OF_WORKERS

    def _do(self, op: Any) -> Any:
        answer = super()._do(op)
        if isinstance(op, ops.RemoveWorker):
            self._workers.clear()
        return answer


# --- copies ---------------------------------------------------------------------------------


class BrokenCopy(Broken):
    """In reading and storing a feed as it is."""

    fails: ClassVar = OF_COPIES
    tries: ClassVar = OF_COPIES


class WhatIsRestoredAgainComesTwice(BrokenCopy):
    def _restore_job(self, stored: Stored, entry: ops.Restored) -> ops.Outcome:
        if entry.id in stored.ids:
            stored.ids.append(entry.id)
        return super()._restore_job(stored, entry)


class ARestoredJobForgetsItsFailures(BrokenCopy):
    def _restore_job(self, stored: Stored, entry: ops.Restored) -> ops.Outcome:
        return super()._restore_job(stored, attrs.evolve(entry, failures=0))


class ARestoredItemIsOfToday(BrokenCopy):
    def _restore_item(self, stored: Stored, op: ops.Restore, entry: ops.Restored) -> ops.Outcome:
        return super()._restore_item(stored, op, attrs.evolve(entry, at=None))


class AResultIsKeptForEver(BrokenCopy):
    def _restore_result(self, stored: Stored, op: ops.Restore, entry: ops.Restored) -> ops.Outcome:
        return super()._restore_result(stored, op, attrs.evolve(entry, at=None))


BASES = (Broken, BrokenSince21, BrokenSchedule, BrokenWorkers, BrokenCopy)
VARIANTS = {
    cls.__name__: cls for base in BASES for cls in base.__subclasses__() if cls not in BASES
}
