"""Waits until a queue or a job feed has something to take, and puts back what is not wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import attrs

from thoonk.backends import AsyncBackend
from thoonk.concurrency._async import sleep
from thoonk.exceptions import BackendUnavailable, Empty, OutcomeUnknown, ThoonkError
from thoonk.operations import Batch, Release, TakeOperation
from thoonk.waiting import Deadline

logger = logging.getLogger("thoonk.taking")

OUTAGE_PAUSE = 0.5
"""Seconds between attempts of a blocked consumer while the backend is away."""


async def take(backend: AsyncBackend, operation: TakeOperation, deadline: Deadline) -> Batch:
    """Take, waiting until there is something; raises as `wait_for`."""
    batch = await backend.execute(operation)
    return batch if batch.entries else await wait_for(backend, operation, deadline, batch)


async def wait_for(
    backend: AsyncBackend,
    operation: TakeOperation,
    deadline: Deadline,
    batch: Batch,
    is_over: Callable[[], bool] = lambda: False,
) -> Batch:
    """Wait until there is something to take, and take it.

    Once it waits, it survives an outage of the backend: the token of
    the operation makes asking again safe.

    Args:
        operation: has been executed, and answered by ``batch``, which is empty.
        is_over: whether to stop waiting; then the answer may be empty.

    Raises:
        Empty: nothing came in time.
        BackendUnavailable, OutcomeUnknown: the backend is away when the time is over.
    """
    # An id that a wait has reserved for this consumer is found only with recover_expired.
    operation = attrs.evolve(operation, recover_expired=True)
    failure: BackendUnavailable | OutcomeUnknown | None = None
    while not batch.entries and not is_over():
        try:
            batch = await backend.wait(operation, deadline.next_wait(batch))
        except (BackendUnavailable, OutcomeUnknown) as error:
            if failure is None:
                extra = {"event": "consumer_waits_for_backend", "feed": operation.feed}
                logger.warning(
                    "Consumer of %r waits for the backend: %s", operation.feed, error, extra=extra
                )
            failure = error
            await sleep(OUTAGE_PAUSE)
        except Empty:
            if failure is not None:
                raise failure from None
            raise
        else:
            failure = None
    return batch


async def give_back(
    execute: Callable[[Release], Coroutine[Any, Any, object]], feed: str, token: str
) -> None:
    """Put back what was taken under a token. If that fails, it is available again later."""
    try:
        await execute(Release(feed, token))
    except ThoonkError as error:
        extra = {"event": "items_not_returned", "feed": feed}
        logger.warning(
            "Items of %r not returned; they are available again later: %s", feed, error, extra=extra
        )
