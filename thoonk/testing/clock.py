"""Time that passes without waiting."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from thoonk.backends.redis.wire import WORKERS

if TYPE_CHECKING:
    from redis import Redis


def rewind(server: Redis, feed: str, seconds: float, claim: str = "") -> int:
    """Set the times that the server has recorded of a feed back, in one step.

    Claims, unconfirmed takes and stored results are so much older then, scheduled jobs and
    schedules are due so much sooner, and ids that stay taken are free so much sooner. To the
    server this is the same as a clock that has advanced: ours is not touched. The ids of
    periodic jobs contain times that are earlier by that much.

    Args:
        server: a redis-py client that does not decode replies, or a fakeredis one.
        feed: the feed's name.
        seconds: how much time has passed.
        claim: the id of the only claim that is meant; empty: all, and all else.

    Returns:
        How many claims, and takes of a queue, are older now.
    """
    script = files("thoonk.testing").joinpath("rewind.lua").read_text("utf-8")
    names = (
        *("claimed", "holders", "published", "results"),
        *("scheduled", "unique", "info", "runs", "runtimes", "running"),
    )
    keys = [f"feed.{name}:{feed}".encode() for name in names]
    stored = f"feed.jobfinished:{feed}\0".encode()
    ids: Any = server.zrange(keys[3], 0, -1)
    keys += [stored + id for id in ids]
    changed: Any = server.eval(script, len(keys), *keys, round(seconds * 1000), claim)
    return int(changed)


def rewind_workers(server: Redis, seconds: float, prefix: str = "") -> None:
    """Set the times of workers' records back, so that they are so much older.

    Args:
        server: as of `rewind`.
        seconds: how much time has passed.
        prefix: only of workers one of whose feeds has a name that begins with it.
    """
    script = files("thoonk.testing").joinpath("rewind_workers.lua").read_text("utf-8")
    server.eval(script, 1, WORKERS, round(seconds * 1000), prefix)
