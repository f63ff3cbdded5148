"""Who takes part, and in what."""

from __future__ import annotations

import attrs

OURS = "thoonk"
"""The environment in which Thoonk and the floors run, with the same redis-py."""


@attrs.frozen
class Contestant:
    """One way to do the work.

    Attributes:
        name: its key in the results.
        label: what tables and charts call it.
        target: ``MODULE:CLASS`` below ``benchmarks.contestants``.
        environment: where its library is installed.
        visits: each is a row of methods, called on an empty server one after the other.
        acknowledges: whether a job survives the death of who claimed it.
        workers: whether it has a worker to drain a queue with.
    """

    name: str
    label: str
    target: str
    environment: str = OURS
    visits: tuple[tuple[str, ...], ...] = ()
    acknowledges: bool = True
    workers: bool = False


FLOORS = (
    Contestant(
        "floor.lists",
        "floor: LPUSH / RPOP",
        "floors:Lists",
        visits=(("put", "claim"), ("put_many",)),
        acknowledges=False,
    ),
    Contestant(
        "floor.scripts",
        "floor: script of 4 writes / 2 scripts",
        "floors:Scripts",
        visits=(("put", "claim"), ("publish",), ("put_many",), ("publish_many",)),
    ),
    Contestant(
        "floor.fewer",
        "floor: 1 script / script for 1,000",
        "floors:FewerTrips",
        visits=(("fill", "loop"), ("put_many",), ("publish_many",)),
    ),
    Contestant(
        "floor.async",
        "floor: redis.asyncio script",
        "floors:AsyncScripts",
        visits=(("async_put",), ("async_publish",)),
    ),
    Contestant(
        "floor.memory",
        "floor: fakeredis script",
        "floors:Memory",
        visits=(("memory_put",),),
    ),
)

THOONK = (
    Contestant(
        "thoonk.job",
        "thoonk job",
        "thoonk_sync:Job",
        visits=(("put", "claim"), ("fill", "loop"), ("put_many", "claim_many")),
        workers=True,
    ),
    Contestant(
        "thoonk.queue",
        "thoonk queue",
        "thoonk_sync:Queue",
        visits=(("put", "claim"), ("put_many", "claim_many")),
    ),
    Contestant(
        "thoonk.feed",
        "thoonk feed",
        "thoonk_sync:Feed",
        visits=(("publish",), ("publish_many",)),
    ),
    Contestant(
        "thoonk.async_job",
        "thoonk job, asyncio",
        "thoonk_async:Job",
        visits=(("async_put",),),
    ),
    Contestant(
        "thoonk.async_feed",
        "thoonk feed, asyncio",
        "thoonk_async:Feed",
        visits=(("async_publish",),),
    ),
    Contestant(
        "thoonk.memory",
        "thoonk job, in memory",
        "thoonk_sync:Memory",
        visits=(("memory_put",),),
    ),
)

NOTICES = (
    Contestant("floor.listen", "redis-py PUBLISH / listen()", "floors:Listener"),
    Contestant("floor.script_listen", "redis-py script / listen()", "floors:ScriptListener"),
    Contestant("thoonk.notices", "thoonk feed", "thoonk_sync:Notices"),
)

ALL = (*FLOORS, *THOONK)

BY_NAME = {contestant.name: contestant for contestant in ALL}

FLOOR_OF = {
    "put": "floor.scripts",
    "publish": "floor.scripts",
    "claim": "floor.scripts",
    "loop": "floor.fewer",
    "put_many": "floor.fewer",
    "publish_many": "floor.fewer",
    "async_put": "floor.async",
    "async_publish": "floor.async",
    "memory_put": "floor.memory",
}
"""What a column's ratios are taken of."""
