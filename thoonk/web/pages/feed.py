"""A feed: its items, in its order, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from starlette.requests import Request

from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED, FeedConfig
from thoonk.exceptions import FeedDoesNotExist
from thoonk.operations import GetConfig, Position, ReadPage, Where
from thoonk.serializers import BINARY, JSON, TEXT
from thoonk.web.items import ShownItem, show
from thoonk.web.live import site_of
from thoonk.web.pages.jobs import jobs
from thoonk.web.site import Site, View
from thoonk.web.urls import name_in, query_of

PAGE = 25
"""How many items a page shows."""

MOST_BYTES = 8 * 1024 * 1024
"""How much is read for a page: where items are large, it shows fewer."""

KNOWN_SERIALIZERS = (TEXT.name, JSON.name, BINARY.name)


@attrs.frozen
class Row:
    """An item in the table.

    Attributes:
        id: its id.
        item: how it looks.
        up: the position to which it goes up by one, as the page has it; empty: it is the first.
        down: as ``up``, by one down.
    """

    id: str
    item: ShownItem
    up: str = ""
    down: str = ""


async def config_of(site: Site, name: str) -> FeedConfig:
    """A feed's configuration; raises `FeedDoesNotExist`."""
    fields = await site.source.read(GetConfig(name))
    if not fields:
        raise FeedDoesNotExist(name)
    return FeedConfig.from_fields(fields, name)


async def feed(request: Request) -> View:
    """A feed of any type; of one with items, a page of them."""
    site = site_of(request)
    query = query_of(request)
    name = name_in(query)
    config = await config_of(site, name)
    await site.sampler.look([name])
    sample = site.sampler.samples.get(name)
    common = {
        "title": name,
        "name": name,
        "config": config,
        "kind": config.kind,
        "sample": sample,
        "stats": sample.stats if sample else None,
        "knows_serializer": (config.serializer or TEXT.name) in KNOWN_SERIALIZERS,
        "kinds": {"feed": FEED, "sorted_feed": SORTED_FEED, "queue": QUEUE, "job": JOB},
    }
    if config.kind == JOB:
        return await jobs(request, name, config, common)
    if config.kind is None:
        return View("feed.html", {**common, **_no_items()})
    # The newest of a feed is what people look for.
    is_feed = config.kind == FEED
    reverse = query.get("order", "newest" if is_feed else "") in ("newest", "last")
    start = _start(query.get("start", ""))
    ids, found, has_more = await _read(site, name, config.kind, start, reverse=reverse)
    before = ""
    if config.kind == SORTED_FEED and start > 0:
        page = await site.source.read(
            ReadPage(name, config.kind, start=start - 1, count=1, reverse=reverse)
        )
        before = page.ids[0] if page.ids else ""
    rows = _rows(ids, found, config, before, reverse=reverse)
    return View(
        "feed.html",
        {
            **common,
            "rows": rows,
            "start": start,
            "first": start + 1 if rows else 0,
            "last": start + len(rows),
            "reverse": reverse,
            "has_more": has_more,
            "page_size": PAGE,
            "following": start + len(rows),
            "preceding": max(0, start - PAGE),
        },
    )


def _no_items() -> dict[str, Any]:
    return {
        "rows": [],
        "start": 0,
        "first": 0,
        "last": 0,
        "reverse": False,
        "has_more": False,
        "page_size": PAGE,
        "following": 0,
        "preceding": 0,
    }


def _start(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0  # noqa: PLR2004


async def _read(
    site: Site, name: str, kind: str, start: int, *, reverse: bool
) -> tuple[list[str], list[bytes], bool]:
    """Ids, items, and whether more follow. One id more than is shown is read, for moves."""
    ids: list[str] = []
    items: list[bytes] = []
    cursor = ""
    size = 0
    while True:
        page = await site.source.read(
            ReadPage(
                name,
                kind,
                start=start if not cursor else 0,
                count=PAGE + 1 - len(ids),
                reverse=reverse,
                with_items=True,
                cursor=cursor,
            )
        )
        ids += page.ids
        items += page.items
        size += sum(map(len, page.items))
        cursor = page.cursor
        if not cursor or len(ids) > PAGE or (size > MOST_BYTES and ids):
            return ids, items, bool(cursor) or len(ids) > PAGE


def _rows(
    ids: Sequence[str],
    items: Sequence[bytes],
    config: FeedConfig,
    before: str,
    *,
    reverse: bool,
) -> list[Row]:
    rows = []
    for index, (id, data) in enumerate(zip(ids[:PAGE], items, strict=False)):
        above = ids[index - 1] if index else before
        below = ids[index + 1] if index + 1 < len(ids) else ""
        up, down = _place(above, above=not reverse), _place(below, above=reverse)
        rows.append(Row(id, show(data, config.serializer), up=up, down=down))
    return rows


def _place(neighbour: str, *, above: bool) -> str:
    if not neighbour:
        return ""
    return str(Position(Where.BEFORE if above else Where.AFTER, neighbour))
