"""Operations on whole feeds: creating, configuring, deleting."""

from __future__ import annotations

from collections.abc import Mapping

from thoonk import operations as ops
from thoonk.backends.embedded.step import Step, does
from thoonk.backends.embedded.store import Feed, Record, Shelf, State
from thoonk.config import FEED, JOB, KIND_OF_TYPE, PAUSED, QUEUE
from thoonk.exceptions import WrongFeedType
from thoonk.notices import Configured, Created, Deleted, Retracted


@does(ops.CreateFeed)
def create(step: Step, op: ops.CreateFeed) -> ops.CreateResult:
    """Store a configuration."""
    known = step.store.find(op.feed)
    if known is not None:
        return ops.CreateResult(created=False, config=dict(known.config))
    step.store.create(op.feed, dict(op.config))
    return ops.CreateResult(created=True, config=dict(op.config))


@does(ops.RegisterFeed)
def register(step: Step, op: ops.RegisterFeed) -> bool:
    """List a name."""
    if step.store.record(None, Shelf.NAME, op.feed):
        return False
    step.store.put_record(None, Shelf.NAME, Record(op.feed))
    step.notices += [Created(op.feed), Configured(op.feed)]
    return True


@does(ops.DeleteFeed)
def delete(step: Step, op: ops.DeleteFeed) -> tuple[str, ...]:
    """Remove a feed with all that it has."""
    step.store.drop(step.feed(op.feed))
    return ()


@does(ops.UnregisterFeed)
def unregister(step: Step, op: ops.UnregisterFeed) -> bool:
    """Take a name off the list."""
    if not step.store.remove_record(None, Shelf.NAME, op.feed):
        return False
    step.notices.append(Deleted(op.feed))
    return True


@does(ops.FeedNames, writes=False)
def feed_names(step: Step, _: ops.FeedNames) -> frozenset[str]:
    """The names that are listed."""
    return frozenset(record.id for record in step.store.records(None, Shelf.NAME))


@does(ops.FeedIsRegistered, writes=False)
def is_registered(step: Step, op: ops.FeedIsRegistered) -> bool:
    """Whether a name is listed."""
    return step.store.record(None, Shelf.NAME, op.feed) is not None


@does(ops.GetConfig, writes=False)
def get_config(step: Step, op: ops.GetConfig) -> Mapping[str, str]:
    """The configuration as text."""
    feed = step.store.find(op.feed)
    return {} if feed is None else dict(feed.config)


@does(ops.SetConfig)
def set_config(step: Step, op: ops.SetConfig) -> tuple[str, ...]:
    """Change the configuration; trim a feed that is too long for it."""
    feed = step.feed(op.feed)
    actual = feed.config["type"]
    wanted = op.config.get("type", actual)
    if wanted != actual:
        raise WrongFeedType(op.feed, expected=str(wanted), actual=actual)
    merged = {**feed.config, **op.config}
    feed.configure({key: value for key, value in merged.items() if value is not None})
    step.store.save_config(feed)
    trimmed: list[str] = []
    if feed.kind == FEED and (most := feed.settings.max_length):
        while (excess := feed.counts[State.STORED] - most) > 0:
            trimmed += trim(step, feed, excess)
    step.notices.append(Configured(op.feed))
    return tuple(trimmed)


def trim(step: Step, feed: Feed, excess: int) -> list[str]:
    """Drop the oldest items of a feed; their ids. A thousand at once, at most."""
    rows = step.store.rows(feed, State.STORED, limit=min(excess, ops.MOST))
    step.remove(feed, rows)
    step.notices += [Retracted(feed.name, row.id) for row in rows]
    return [row.id for row in rows]


@does(ops.FeedTrim)
def feed_trim(step: Step, op: ops.FeedTrim) -> tuple[str, ...]:
    """Drop the oldest items, a thousand at most."""
    feed = step.feed(op.feed, FEED)
    excess = feed.counts[State.STORED] - op.length
    return tuple(trim(step, feed, excess)) if excess > 0 else ()


def _takeable(step: Step, name: str) -> Feed:
    actual = KIND_OF_TYPE.get(step.feed(name).config["type"])
    return step.feed(name, JOB if actual == JOB else QUEUE)


@does(ops.PauseFeed, ops.ResumeFeed)
def pause_or_resume(step: Step, op: ops.PauseFeed | ops.ResumeFeed) -> bool:
    """Begin or end a pause."""
    feed, pauses = _takeable(step, op.feed), isinstance(op, ops.PauseFeed)
    if feed.is_paused == pauses:
        return False
    others = {name: value for name, value in feed.config.items() if name != PAUSED}
    feed.configure({**others, PAUSED: "1"} if pauses else others)
    step.store.save_config(feed)
    step.notices.append(Configured(op.feed))
    return True
