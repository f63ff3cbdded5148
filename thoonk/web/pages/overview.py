"""All feeds: how full and how busy they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from starlette.requests import Request

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.exceptions import BackendUnavailable, OutcomeUnknown
from thoonk.web.live import site_of
from thoonk.web.sampler import SPAN, Sample, Sampler
from thoonk.web.site import View
from thoonk.web.urls import query_of

PAGE = 50
"""How many feeds a page shows."""

BARS = 30
"""How many points a sparkline has."""

TABS = (
    ("", "All"),
    (JOB, "Jobs"),
    (QUEUE, "Queues"),
    (FEED, "Feeds"),
    (SORTED_FEED, "Sorted"),
    ("attention", "Needs attention"),
)

_NONE = float("-inf")


def _stat(name: str) -> Callable[[Sample], Any]:
    def key(sample: Sample) -> Any:
        number = getattr(sample.stats, name, None)
        return _NONE if number is None else number

    return key


SORTS: dict[str, tuple[str, Callable[[Sample], Any]]] = {
    "name": ("Feed", lambda sample: sample.feed),
    "type": ("Type", lambda sample: sample.stats.type if sample.stats else ""),
    "items": ("Items", _stat("items")),
    "waiting": ("Waiting", _stat("waiting")),
    "scheduled": ("Scheduled", _stat("scheduled")),
    "claimed": ("Claimed", _stat("claimed")),
    "stalled": ("Stalled", _stat("stalled")),
    "failing": ("Failing", _stat("failing")),
    "oldest": ("Oldest", lambda sample: _NONE if sample.oldest is None else sample.oldest),
    "in": ("In/s", lambda sample: sample.put_per_second or 0.0),
    "out": ("Out/s", lambda sample: sample.done_per_second or 0.0),
}
"""Columns by the name that the address has for them: heading, and what they are sorted by."""


@attrs.frozen
class Row:
    """A feed in the table.

    Attributes:
        sample: its numbers.
        put: its rates of the last minutes, for a sparkline.
        done: as ``put``, of what was taken or finished.
    """

    sample: Sample
    put: list[float]
    done: list[float]


@attrs.frozen
class Column:
    """A heading of the table."""

    key: str
    title: str
    is_sorted: bool
    descending: bool
    next_descending: bool


async def overview(request: Request) -> View:
    """The table of feeds, as the address wants it searched, sorted and cut into pages."""
    site = site_of(request)
    query = query_of(request)
    sampler = site.sampler
    stale_since = None
    sampler.want_all()
    try:
        await sampler.refresh_names()
    except (BackendUnavailable, OutcomeUnknown):
        if sampler.seen_at is None:
            raise
        stale_since = sampler.seen_at
    search, tab = query.get("q", "").strip(), query.get("show", "")
    sort = query.get("sort", "name")
    if sort not in SORTS:
        sort = "name"
    descending = query.get("desc") == "1"
    found = _found(sampler, search, tab)
    found.sort(key=SORTS[sort][1], reverse=descending)
    pages = max(1, -(-len(found) // PAGE))
    number = min(max(1, _number(query.get("page", ""))), pages)
    shown = found[(number - 1) * PAGE : number * PAGE]
    if stale_since is None:
        try:
            await sampler.look(sample.feed for sample in shown)
        except (BackendUnavailable, OutcomeUnknown):
            stale_since = sampler.seen_at
    now = time.monotonic()
    return View(
        "overview.html",
        {
            "title": "Feeds",
            "rows": [_row(sample, now) for sample in shown],
            "columns": [
                Column(key, title, key == sort, descending, _next(key, sort, descending))
                for key, (title, _) in SORTS.items()
            ],
            "totals": sampler.totals(),
            "tabs": TABS,
            "search": search,
            "tab": tab,
            "sort": sort,
            "descending": descending,
            "page": number,
            "pages": pages,
            "found": len(found),
            "first": (number - 1) * PAGE + 1 if found else 0,
            "last": min(number * PAGE, len(found)),
        },
        stale_since=stale_since,
    )


def _next(key: str, sort: str, descending: bool) -> bool:
    """Whether another click sorts the greatest first: names do not, numbers do at first."""
    if key == sort:
        return not descending
    return key not in ("name", "type")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1  # noqa: PLR2004


def _found(sampler: Sampler, search: str, tab: str) -> list[Sample]:
    samples: Iterable[Sample] = sampler.samples.values()
    if search:
        wanted = search.casefold()
        samples = (sample for sample in samples if wanted in sample.feed.casefold())
    if tab == "attention":
        samples = (sample for sample in samples if sample.needs_attention)
    elif tab:
        samples = (sample for sample in samples if sample.kind == tab)
    return [*samples]


def _row(sample: Sample, now: float) -> Row:
    """A feed with its rates at equal distances in time, the last of which is now."""
    return Row(sample, _spread(sample, now, "put"), _spread(sample, now, "done"))


def _spread(sample: Sample, now: float, name: str) -> list[float]:
    points = sample.points
    if len(points) < 2:  # noqa: PLR2004
        return []
    step = SPAN / BARS
    sums = [0.0] * BARS
    counts = [0] * BARS
    for point in points:
        place = BARS - 1 - int((now - point.at) / step)
        rate = getattr(point, name)
        if 0 <= place < BARS and rate is not None:
            sums[place] += rate
            counts[place] += 1
    spread, last = [], 0.0
    for total, count in zip(sums, counts, strict=True):
        # Where no sample was taken the rate was what the next one says, or about the last one.
        last = total / count if count else last
        spread.append(last)
    return spread if any(spread) else []
