"""What a world holds, as far as the public operations show it."""

from __future__ import annotations

from typing import Any

from thoonk import AsyncThoonk
from thoonk.config import JOB, KIND_OF_TYPE
from thoonk.operations import CountJobs, GetConfig, JobFailures, ReadIds, ReadItems


async def read_all(client: AsyncThoonk) -> dict[str, Any]:
    """By name of feed: its configuration, its ids, its items; of jobs also states and failures.

    How many jobs have been finished so far is left out.
    """
    backend = client.backend
    found: dict[str, Any] = {}
    for name in await client.get_feed_names():
        config = await backend.execute(GetConfig(name))
        items = await backend.execute(ReadItems(name))
        kind = KIND_OF_TYPE.get(config.get("type", ""))
        feed: dict[str, Any] = {"config": dict(config), "items": items}
        if kind is not None:
            ids = await backend.execute(ReadIds(name, kind))
            feed["ids"] = sorted(ids) if kind == JOB else [*ids]
        if kind == JOB:
            counts = await backend.execute(CountJobs(name))
            feed["counts"] = (counts.waiting, counts.claimed, counts.stalled)
            feed["failures"] = {id: await backend.execute(JobFailures(name, id)) for id in items}
        found[name] = feed
    return found
