"""Checks of stored results and their index."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import Fault, Feed, text_of_time
from thoonk.doctor.probe import Reply, words

TARDINESS = 1000.0
"""Ms by which an entry may outlive its result, or be of another age."""

CONSUMED = 2
"""Of three elements these are left when a peer has taken the result."""

GONE = Check(
    "result-gone",
    Severity.WARNING,
    "a peer of version 1 has consumed the result, or the server has thrown it away",
    "Look at the eviction policy, or repair",
    "what is left is removed",
)
UNLISTED_RESULT = Check(
    "result-unlisted",
    Severity.WARNING,
    "a peer stored them without an entry in feed.results: deleting the feed would leave them",
    "Repair",
    "they are entered",
)


@attrs.frozen
class Result:
    """The result of one job, as it is stored.

    Attributes:
        score: its entry in ``feed.results``: when it goes, ms.
        elements: how many there are under its key.
        left: ms until its key expires; -1: never; -2: there is none.
    """

    id: bytes
    key: bytes
    score: float | None
    elements: int
    left: int


def judge_result(feed: Feed, result: Result) -> Fault | None:
    """An entry without a result, or a result without an entry."""
    forget = (words("DEL", result.key), words("ZREM", feed.keys.results, result.id))
    if result.elements == CONSUMED and result.left == -1:
        return Fault(GONE, "consumed results that are kept for ever", forget)
    if result.score is not None:
        if result.elements or result.score < feed.now + TARDINESS:
            return None  # entries past their time go with the next job that is finished
        return Fault(GONE, "entries in feed.results without a result", forget)
    if not result.elements:
        return None
    expiry = "+inf" if result.left == -1 else text_of_time(feed.now + result.left)
    write = words("ZADD", feed.keys.results, "NX", expiry, result.id)
    return Fault(UNLISTED_RESULT, "results without an entry in feed.results", (write,))


def result_of(id: bytes, key: bytes, replies: Sequence[Reply]) -> Result:
    """The replies about one job's result."""
    score, elements, left = replies
    return Result(id, key, None if score is None else float(score), elements, left)
