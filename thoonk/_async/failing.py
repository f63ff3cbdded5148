"""Ends claims for a reason, also where the backend keeps none."""

from __future__ import annotations

from thoonk.backends import AsyncBackend
from thoonk.exceptions import UnsupportedOperation
from thoonk.operations import JobCancel, JobFail, JobStall


async def fail(backend: AsyncBackend, operation: JobFail) -> None:
    """Execute it, or what comes nearest to it.

    Raises:
        NotClaimed: the claim has been lost.
    """
    try:
        await backend.execute(operation)
    except UnsupportedOperation:
        feed, id, token = operation.feed, operation.id, operation.token
        if operation.stall:
            await backend.execute(JobStall(feed, id, token))
        else:
            await backend.execute(JobCancel(feed, id, token))
