"""Claims one after another: ending the last and taking the next in one round trip."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.lost import WHY, reason_of
from thoonk._async.taking import OUTAGE_PAUSE, wait_for
from thoonk.backends import AsyncBackend, AsyncInterruptible
from thoonk.codec import Codec
from thoonk.concurrency._async import Background, Event, Lock, shielded, sleep, wait_event
from thoonk.config import FeedConfig
from thoonk.exceptions import (
    BackendError,
    BackendUnavailable,
    Empty,
    ItemTooLarge,
    NotClaimed,
    OutcomeUnknown,
    SerializerError,
    ThoonkError,
    is_refusal,
)
from thoonk.names import check_timeout, new_token, shown
from thoonk.operations import (
    MOST,
    Batch,
    ClaimRef,
    Completion,
    GetConfig,
    JobCancel,
    JobClaim,
    JobExtend,
    JobNext,
    JobStall,
    Release,
    check_count,
)
from thoonk.waiting import Deadline, Throttle

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")

TELL_AFTER = 0.1
"""Seconds after which the backend is told how a job ended, where that may wait for others."""

SHARE_AFTER = 1.0
"""Seconds that jobs in hand wait behind another, until they are given back for others to do."""

LOOK_EVERY = 1.0
"""Seconds after which it is looked again how long claims hold."""

PER_TIMEOUT = 3
"""How often the claims in hand are extended within the ``claim_timeout``."""


class AsyncClaims(Generic[T]):
    """Made by `AsyncJob.claims`: iterate over it, in a ``with`` block or without one.

    When a ``with`` block raises, the job in hand is cancelled, which counts as a failure;
    else a job that is left in the middle is only given back. Where the block or the loop
    ends, the backend is told at once what it does not know yet. For asyncio the block is
    the only sure way: a plain loop that is left is tidied up a little later.
    """

    def __init__(
        self, backend: AsyncBackend, codec: Codec[T], timeout: float | None, prefetch: int
    ) -> None:
        self._backend = backend
        self._codec = codec
        self._timeout = check_timeout(timeout)
        self._prefetch = check_count("prefetch", prefetch)
        self._pid = os.getpid()
        self._in_block = False
        self._hand: deque[AsyncClaim[T]] = deque()
        self._current: AsyncClaim[T] | None = None
        self._handed_at = 0.0
        self._token = ""
        self._noted: deque[Completion | ClaimRef] = deque()
        self._noted_at = 0.0
        self._telling = Lock()
        self._recovery = Throttle()
        self._waiting: JobClaim | None = None
        self._is_stopped = False
        self._closed = Event()
        self._keeper: Background | None = None
        self._interrupted: Event | None = None

    # --- for the loop -----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._in_block = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.close()
            return
        if self._current is not None:
            self._current.settle(failed=True)
        await self._close_quietly()

    async def __aiter__(self) -> AsyncIterator[AsyncClaim[T]]:
        try:
            while (claim := await self._next()) is not None:
                yield claim
        finally:
            # A loop that is left, by whatever way, has nobody to tell of an error.
            if not self._in_block:
                await self._close_quietly()

    def stop(self) -> None:
        """End the loop after the job in hand; one that waits for a job ends at once.

        To be called by others than the loop itself, also from a signal handler.
        """
        self._is_stopped = True
        if self._waiting is not None and self._interrupted is None:
            self._interrupted = Event()
            Background(self._interrupt, f"thoonk-stop-{self._codec.feed}")

    async def close(self) -> None:
        """Tell the backend how jobs ended, and give back those that did not.

        In a process that was forked meanwhile it does nothing: the claims are the parent's.
        """
        if os.getpid() != self._pid:
            return
        self._closed.set()
        if self._keeper is not None:
            await self._keeper.join(5.0)
            self._keeper = None
        if self._interrupted is not None:
            # Whoever wakes uses the backend, which may be closed after this.
            await wait_event(self._interrupted, 5.0)
        await self._tell()
        # Not the whole of the token: a worker may keep some of it for another attempt.
        left = [claim for claim in self._hand if not claim.ended]
        current = self._current
        if current is not None and current.later is self and not current.ended:
            left.append(current)
        self._dismiss()
        self._hand.clear()
        if left:
            ids = tuple(claim.id for claim in left)
            await self._backend.execute(Release(self._codec.feed, left[0].token, ids))

    async def _close_quietly(self) -> None:
        try:
            await shielded(self.close)
        except ThoonkError as failure:
            extra = {"event": "claims_not_released", "feed": self._codec.feed}
            logger.warning("Claims of %r not released: %s", self._codec.feed, failure, extra=extra)

    # --- the next one -----------------------------------------------------------------

    def note(self, completion: Completion, *, failed: bool) -> None:
        """Remember how a job ended, to be told with the next take."""
        if not self._noted:
            self._noted_at = time.monotonic()
        self._noted.append(ClaimRef(completion.id, completion.token) if failed else completion)

    def _dismiss(self) -> None:
        """The job in hand is no longer the loop's affair."""
        if self._current is not None:
            self._current.later = None
            self._current = None

    async def _next(self) -> AsyncClaim[T] | None:
        if self._current is not None:
            self._current.settle(failed=False)
            self._dismiss()
        while not self._is_stopped:
            if self._hand:
                if self._is_due():
                    await self._tell()
                try:
                    claim = self._hand.popleft()
                except IndexError:  # in the background the last one was let go of
                    continue
                claim.later = self
                self._codec.hand_over(claim.origin)
                self._handed_at = time.monotonic()
                self._current = claim
                return claim
            if not await self._take():
                break
        return None

    async def _take(self) -> bool:
        """Fill the hand, which is empty, and tell what was noted; False when time is over."""
        feed, token = self._codec.feed, new_token()
        taken = await self._exchanged(token)
        self._token = token
        if not taken.entries:
            self._waiting = taking = JobClaim(feed, token, self._prefetch)
            try:
                taken = await wait_for(
                    self._backend,
                    taking,
                    Deadline(self._timeout),
                    taken,
                    lambda: self._is_stopped,
                )
            except Empty:
                return False
            finally:
                self._waiting = None
        for entry in taken.entries:
            try:
                item = self._codec.decode(entry.item)
            except SerializerError as error:
                becomes = "stalled"
                try:
                    await self._backend.execute(JobStall(feed, entry.id, token))
                except NotClaimed:
                    becomes = "lost before it could be stalled"
                logger.error(  # noqa: TRY400
                    "Job %s unreadable and %s: %s",
                    shown(entry.id),
                    becomes,
                    error,
                    extra={"event": "job_unreadable", "feed": feed, "id": entry.id},
                )
            else:
                claim = AsyncClaim(self._backend, self._codec, entry, item, token)
                self._hand.append(claim)
        if self._prefetch > 1 and self._keeper is None:
            self._closed.clear()  # where the loop is begun again
            self._keeper = Background(self._keep, f"thoonk-claims-{feed}")
        return True

    async def _exchanged(self, token: str) -> Batch:
        """Tell what was noted, and take. Once it runs, a loop rides out an outage."""
        deadline: Deadline | None = None
        while True:
            try:
                return await self._told(token, self._prefetch)
            except (BackendUnavailable, OutcomeUnknown) as error:
                if not self._token or self._is_stopped:
                    raise
                deadline = deadline or Deadline(self._timeout)
                try:
                    deadline.remaining()
                except Empty:
                    raise error from None
                feed = self._codec.feed
                extra = {"event": "taker_waits_for_backend", "feed": feed}
                logger.warning("Claims of %r wait for the backend: %s", feed, error, extra=extra)
            await sleep(OUTAGE_PAUSE)

    async def _tell(self) -> None:
        """Tell the backend what was noted, and take nothing."""
        while self._noted:
            await self._told(new_token(), 0)

    async def _told(self, token: str, count: int) -> Batch:
        async with self._telling:
            noted = [self._noted.popleft() for _ in range(min(len(self._noted), MOST))]
            recover_expired = self._recovery.is_due()
            try:
                answer = await self._backend.execute(
                    self._next_operation(token, count, noted, recover_expired=recover_expired)
                )
            except (ItemTooLarge, BackendError) as error:
                if not noted or not is_refusal(error):
                    self._noted.extendleft(reversed(noted))
                    raise
                # One that is refused must not keep the others from being told.
                await self._tell_one_by_one(noted)
                operation = self._next_operation(token, count, (), recover_expired=recover_expired)
                answer = await self._backend.execute(operation)
            except BaseException:
                # If it was done all the same, they count as lost the next time.
                self._noted.extendleft(reversed(noted))
                raise
        await self._log_lost(answer.lost, "End of job %s was not wanted: %s")
        return answer

    def _next_operation(
        self,
        token: str,
        count: int,
        noted: Sequence[Completion | ClaimRef],
        *,
        recover_expired: bool = False,
    ) -> JobNext:
        return JobNext(
            self._codec.feed,
            token,
            count,
            recover_expired=recover_expired,
            finished=tuple(
                completion for completion in noted if isinstance(completion, Completion)
            ),
            cancelled=tuple(held for held in noted if isinstance(held, ClaimRef)),
        )

    async def _log_lost(self, ids: Iterable[str], text: str) -> None:
        feed = self._codec.feed
        for id in ids:
            reason = await reason_of(self._backend, feed, id)
            extra = {"event": "job_lost", "feed": feed, "id": id, "reason": reason}
            logger.warning(text, shown(id), WHY[reason], extra=extra)

    async def _tell_one_by_one(self, noted: Sequence[Completion | ClaimRef]) -> None:
        left = deque(noted)
        while left:
            one = left.popleft()
            try:
                operation = self._next_operation(new_token(), 0, (one,))
                answer = await self._backend.execute(operation)
                await self._log_lost(answer.lost, "End of job %s was not wanted: %s")
            except (ItemTooLarge, BackendError) as error:
                if not is_refusal(error):
                    self._noted.extendleft((*reversed(left), one))
                    raise
                await self._refused(one, error)
            except BaseException:
                self._noted.extendleft((*reversed(left), one))
                raise

    async def _refused(self, one: Completion | ClaimRef, error: ThoonkError) -> None:
        """The backend does not accept how a job ended; to do it again would come to the same."""
        feed, id = self._codec.feed, one.id
        if isinstance(error, ItemTooLarge):
            operation: JobStall | JobCancel = JobStall(feed, id, one.token)
            becomes = "it is stalled"
        else:
            operation = JobCancel(feed, id, one.token)
            becomes = "that counts as a failed attempt"
        try:
            await self._backend.execute(operation)
        except NotClaimed:
            becomes = "it was lost before"
        except ThoonkError as failure:
            becomes = f"it stays claimed, for that was refused, too: {failure}"
        logger.error(
            "Result of job %s refused; %s: %s",
            shown(id),
            becomes,
            error,
            extra={"event": "job_result_refused", "feed": feed, "id": id},
        )

    def _is_due(self) -> bool:
        return bool(self._noted) and time.monotonic() - self._noted_at > TELL_AFTER

    # --- in the background ------------------------------------------------------------

    async def _keep(self) -> None:
        """Extend the claims in hand, and tell what was noted while a job takes its time."""
        every = 0.0
        last = time.monotonic()
        looked = -LOOK_EVERY
        while not await wait_event(self._closed, min(TELL_AFTER, every or TELL_AFTER)):
            try:
                if time.monotonic() - looked >= LOOK_EVERY and (self._hand or self._current):
                    # Somebody may have changed it.
                    fields = await self._backend.execute(GetConfig(self._codec.feed))
                    config = FeedConfig.from_fields(fields, self._codec.feed)
                    every = (config.claim_timeout or 0.0) / PER_TIMEOUT
                    looked = time.monotonic()
                if self._is_due():
                    await self._tell()
                if self._hand and time.monotonic() - self._handed_at > SHARE_AFTER:
                    await self._share()
                if every and time.monotonic() - last >= every:
                    last = time.monotonic()
                    await self._extend()
            except ThoonkError as error:
                # The next time may still be soon enough.
                extra = {"event": "claims_not_extended", "feed": self._codec.feed}
                logger.warning(
                    "Claims of %r not extended: %s", self._codec.feed, error, extra=extra
                )

    async def _share(self) -> None:
        """Give back what waits in hand while a job takes its time: others may be idle."""
        waiting: deque[AsyncClaim[T]] = deque()
        with contextlib.suppress(IndexError):  # the loop may come for one, too
            while True:
                waiting.appendleft(self._hand.pop())
        if not waiting:
            return
        ids = tuple(claim.id for claim in waiting)
        try:
            await self._backend.execute(Release(self._codec.feed, waiting[0].token, ids))
        except ThoonkError:
            self._hand.extendleft(reversed(waiting))
            raise

    async def _extend(self) -> None:
        claims = [claim for claim in (self._current, *self._hand) if claim is not None]
        if not claims:
            return
        held = tuple(ClaimRef(claim.id, claim.token) for claim in claims)
        answers = await self._backend.execute(JobExtend(self._codec.feed, held[:MOST]))
        lost = []
        for claim, is_owner in zip(claims, answers, strict=False):
            if not is_owner:
                # Another has it: it must not be begun here as well.
                with contextlib.suppress(ValueError):
                    self._hand.remove(claim)
                    lost.append(claim.id)
        await self._log_lost(lost, "Job %s was lost before it was begun: %s")

    async def _interrupt(self) -> None:
        """End the waiting, which may not have begun when it is asked to end."""
        backend = self._backend
        try:
            while (
                isinstance(backend, AsyncInterruptible) and (waiting := self._waiting) is not None
            ):
                try:
                    await backend.interrupt(waiting)
                except ThoonkError as error:
                    extra = {"event": "taker_not_interrupted", "feed": self._codec.feed}
                    logger.debug("Waiting loop not woken: %s", error, extra=extra)
                await wait_event(self._closed, 0.05)
        finally:
            if self._interrupted is not None:
                self._interrupted.set()
