"""The outbox of a loop over claims: how jobs ended, until the backend knows."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence

from thoonk._async.failing import fail
from thoonk._async.lost import WHY, reason_of
from thoonk.backends import AsyncBackend
from thoonk.concurrency._async import Lock
from thoonk.exceptions import BackendError, ItemTooLarge, NotClaimed, ThoonkError, is_refusal
from thoonk.failures import failure_of
from thoonk.names import new_token, shown
from thoonk.operations import MOST, Batch, ClaimRef, Completion, JobFail, JobNext
from thoonk.waiting import Throttle

logger = logging.getLogger("thoonk.job")

FLUSH_AFTER = 0.1
"""Seconds after which the outbox is flushed without a claim, while a job takes its time."""


class AsyncOutbox:
    """The outbox of one loop over claims. For asyncio. The twin in ``_sync`` is generated."""

    def __init__(self, backend: AsyncBackend, feed: str) -> None:
        self._backend = backend
        self._feed = feed
        self._ended: deque[Completion | ClaimRef] = deque()
        self._since = 0.0
        self._flushing = Lock()
        self._recovery = Throttle()

    def add(self, completion: Completion, *, failed: bool) -> None:
        """A job has ended: it is to be finished, or cancelled when it has failed."""
        if not self._ended:
            self._since = time.monotonic()
        self._ended.append(ClaimRef(completion.id, completion.token) if failed else completion)

    @property
    def is_empty(self) -> bool:
        """Whether all has been reported to the backend."""
        return not self._ended

    @property
    def is_due(self) -> bool:
        """Whether what is in it has waited long enough."""
        return bool(self._ended) and time.monotonic() - self._since > FLUSH_AFTER

    async def flush(self) -> None:
        """Tell the backend, and claim nothing."""
        while self._ended:
            await self.flush_and_claim(new_token(), 0)

    async def flush_and_claim(self, token: str, count: int) -> Batch:
        """Tell the backend how jobs ended, and claim the next ones, in one operation.

        What could not be reported to the backend stays in the outbox. What it refuses does not:
        it is logged, and the job is stalled or cancelled.
        """
        async with self._flushing:
            ended = [self._ended.popleft() for _ in range(min(len(self._ended), MOST))]
            recover_expired = self._recovery.is_due()
            try:
                answer = await self._backend.execute(
                    self._operation(token, count, ended, recover_expired=recover_expired)
                )
            except (ItemTooLarge, BackendError) as error:
                if not ended or not is_refusal(error):
                    self._ended.extendleft(reversed(ended))
                    raise
                # One refused end must not keep the others from being reported.
                await self._flush_one_by_one(ended)
                operation = self._operation(token, count, (), recover_expired=recover_expired)
                answer = await self._backend.execute(operation)
            except BaseException:
                # If the operation took effect anyway, these count as lost the next time.
                self._ended.extendleft(reversed(ended))
                raise
        await self.log_lost(answer.lost, "End of job %s was not wanted: %s")
        return answer

    async def log_lost(self, ids: Iterable[str], text: str) -> None:
        """Log for each why its claim does not hold any more."""
        for id in ids:
            reason = await reason_of(self._backend, self._feed, id)
            extra = {"event": "job_lost", "feed": self._feed, "id": id, "reason": reason}
            logger.warning(text, shown(id), WHY[reason], extra=extra)

    def _operation(
        self,
        token: str,
        count: int,
        ended: Sequence[Completion | ClaimRef],
        *,
        recover_expired: bool = False,
    ) -> JobNext:
        return JobNext(
            self._feed,
            token,
            count,
            recover_expired=recover_expired,
            finished=tuple([end for end in ended if isinstance(end, Completion)]),
            cancelled=tuple([end for end in ended if isinstance(end, ClaimRef)]),
        )

    async def _flush_one_by_one(self, ended: Sequence[Completion | ClaimRef]) -> None:
        left = deque(ended)
        while left:
            end = left.popleft()
            try:
                answer = await self._backend.execute(self._operation(new_token(), 0, (end,)))
                await self.log_lost(answer.lost, "End of job %s was not wanted: %s")
            except (ItemTooLarge, BackendError) as error:
                if not is_refusal(error):
                    self._ended.extendleft((*reversed(left), end))
                    raise
                await self._refused(end, error)
            except BaseException:
                self._ended.extendleft((*reversed(left), end))
                raise

    async def _refused(self, end: Completion | ClaimRef, error: ThoonkError) -> None:
        """The backend refuses how a job ended; to report it again would have the same effect."""
        is_final = isinstance(error, ItemTooLarge)
        becomes = "it is stalled" if is_final else "that counts as a failed attempt"
        failure = failure_of(f"its result cannot be stored: {error}")
        operation = JobFail(self._feed, end.id, end.token, stall=is_final, failure=failure)
        try:
            await fail(self._backend, operation)
        except NotClaimed:
            becomes = "it was lost before"
        except ThoonkError as failure:
            becomes = f"it stays claimed, for that was refused, too: {failure}"
        logger.error(
            "Result of job %s refused; %s: %s",
            shown(end.id),
            becomes,
            error,
            extra={"event": "job_result_refused", "feed": self._feed, "id": end.id},
        )
