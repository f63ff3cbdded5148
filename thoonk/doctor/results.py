"""Rules about stored results and their index, ``feed.results``."""

from __future__ import annotations

from collections.abc import Sequence

from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import Fault, Feed, text_of_time
from thoonk.doctor.probe import Reply, words
from thoonk.names import decode_name

TARDINESS = 1000.0
"""Ms by which an entry may outlive its result, or be of another age."""

CONSUMED = 2
"""Of three elements these are left when a peer has taken the result."""

GONE = Check(
    "result-gone",
    Severity.WARNING,
    "a peer of version 1 has consumed the result, or the server has evicted it",
    "Check the eviction policy, or repair",
    "what is left is removed",
)
UNLISTED_RESULT = Check(
    "result-unlisted",
    Severity.WARNING,
    "a peer stored them without an entry in feed.results: deleting the feed would leave them",
    "Repair",
    "the entries are added",
)


def result_rule(feed: Feed, id: bytes, replies: Sequence[Reply]) -> Fault | None:
    """An entry without a result, or a result without an entry.

    The replies: the entry in ``feed.results``, which says when the result goes (ms); how many
    elements the result has; in how many ms it expires (-1: never, -2: there is none).
    """
    score, elements, left = replies
    key = feed.keys.result(decode_name(id))
    forget = (words("DEL", key), words("ZREM", feed.keys.results, id))
    if elements == CONSUMED and left == -1:
        return Fault(GONE, "consumed results that are kept forever", forget)
    if score is not None:
        if elements or float(score) < feed.now + TARDINESS:
            return None  # entries past their time go with the next job that is finished
        return Fault(GONE, "entries in feed.results without a result", forget)
    if not elements:
        return None
    expiry = "+inf" if left == -1 else text_of_time(feed.now + left)
    write = words("ZADD", feed.keys.results, "NX", expiry, id)
    return Fault(UNLISTED_RESULT, "results without an entry in feed.results", (write,))
