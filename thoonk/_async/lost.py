"""Finds out why a claim was lost, for the log."""

from __future__ import annotations

from thoonk.backends import AsyncBackend
from thoonk.exceptions import ThoonkError, UnsupportedOperation
from thoonk.operations import GetConfig, HasItem, ReadJobs, ReadResult

WHY = {
    "feed_deleted": "its feed was deleted",
    "retracted": "it was retracted, or finished elsewhere without a result",
    "finished": "it was finished elsewhere",
    "claim_lost": "it was stopped, or its claim expired and it may run elsewhere",
    "": "its claim does not hold any more",
}
"""What is logged, by the field ``reason`` of the record."""


async def reason_of(backend: AsyncBackend, feed: str, id: str) -> str:
    """A key of `WHY`, as far as the backend can tell now."""
    try:
        if await _is_there(backend, feed, id):
            return "claim_lost"
        if await backend.execute(ReadResult(feed, id)) is not None:
            return "finished"
        return "retracted" if await backend.execute(GetConfig(feed)) else "feed_deleted"
    except ThoonkError:
        return ""


async def _is_there(backend: AsyncBackend, feed: str, id: str) -> bool:
    """Whether there is the job, perhaps scheduled for later by now."""
    try:
        return bool(await backend.execute(ReadJobs(feed, (id,))))
    except UnsupportedOperation:
        return await backend.execute(HasItem(feed, id))
