"""Names: without their prefix, and without a password."""

from __future__ import annotations

import re

from thoonk.exceptions import FeedError


def own_name(name: str, prefix: str) -> str | None:
    """The name without its prefix; None when it has another one and is somebody else's."""
    return name[len(prefix) :] if name.startswith(prefix) else None


def forget_prefix(error: FeedError, prefix: str) -> None:
    """Let the error speak of the feed by the name that its user knows."""
    error.feed = error.feed.removeprefix(prefix)
    error.args = tuple(str(argument).replace(prefix, "") for argument in error.args)


def without_password(world: str) -> str:
    """The name of a world, which may be a URL, as it may be shown."""
    before, separator, place = world.rpartition("@")
    place = place.partition("?")[0]
    # No parser: a password that is not percent-encoded has to go, too.
    scheme = re.match(r"[a-z+]+://", before)
    return (scheme[0] if scheme else "") + place if separator else place
