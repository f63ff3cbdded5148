"""Ends claims of jobs that have failed, also where the backend keeps no reasons."""

from __future__ import annotations

from thoonk.backends import AsyncBackend
from thoonk.exceptions import UnsupportedOperation
from thoonk.operations import Failed, JobCancel, JobFail, JobStall


async def end_failed(backend: AsyncBackend, operation: JobFail) -> Failed:
    """What became of the job. Without delay and reason the older operations do.

    Raises:
        NotClaimed: the claim has been lost.
        UnsupportedOperation: the backend knows neither delays nor reasons.
    """
    if operation.due is not None or operation.failure is not None:
        return await backend.execute(operation)
    if operation.stall:
        await backend.execute(JobStall(operation.feed, operation.id, operation.token))
        return Failed.STALLED
    cancel = JobCancel(operation.feed, operation.id, operation.token)
    return Failed.STALLED if await backend.execute(cancel) else Failed.WAITING


async def fail(backend: AsyncBackend, operation: JobFail) -> Failed:
    """As `end_failed`, but without delay and reason where the backend knows none."""
    try:
        return await end_failed(backend, operation)
    except UnsupportedOperation:
        plain = JobFail(operation.feed, operation.id, operation.token, stall=operation.stall)
        return await end_failed(backend, plain)
