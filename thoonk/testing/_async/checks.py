"""What tests of programs look for."""

from __future__ import annotations

from typing import Any, TypeVar

from thoonk import AsyncCollection, AsyncJob, AsyncQueue, Empty, Published
from thoonk.testing.wanted import Wanted

T = TypeVar("T")


async def drain(feed: AsyncQueue[T] | AsyncJob[T]) -> list[T]:
    """All that waits, in its order: taken, and finished if they are jobs."""
    items: list[T] = []
    while True:
        try:
            taken: Any = await feed.get_nowait()
        except Empty:
            return items
        if isinstance(feed, AsyncQueue):
            items.append(taken)
        else:
            items.append(taken.item)
            await taken.finish()


async def assert_published(feed: AsyncCollection[Any], wanted: Wanted) -> str:
    """The id of an item that is there, or comes in time; else an `AssertionError`."""
    __tracebackhide__ = True
    if not wanted.timeout:
        for id, item in (await feed.get_all()).items():
            if wanted.is_met_by(id, item):
                return id
    else:
        async with feed.subscribe(resync=True) as notices:
            while left := wanted.time_left():
                try:
                    notice = await notices.get(left)
                except Empty:
                    break
                if isinstance(notice, Published) and wanted.is_met_by(notice.id, notice.item):
                    return notice.id
    raise AssertionError(wanted.complaint(feed.name, await feed.get_all()))
