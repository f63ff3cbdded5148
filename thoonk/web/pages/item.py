"""One item: its page, its bytes to download, and its image."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from thoonk.config import FEED, SORTED_FEED
from thoonk.exceptions import ItemDoesNotExist, ThoonkError
from thoonk.operations import ReadItem
from thoonk.web.items import image_type, show
from thoonk.web.live import site_of
from thoonk.web.pages.feed import config_of
from thoonk.web.site import View
from thoonk.web.urls import id_in, name_in, query_of

SANDBOX = "default-src 'none'; img-src 'self'; frame-ancestors 'none'; sandbox"


async def item(request: Request) -> View:
    """An item, up to where it is cut."""
    site = site_of(request)
    query = query_of(request)
    name, id = name_in(query), id_in(query)
    config = await config_of(site, name)
    data = await _read(request)
    return View(
        "item.html",
        {
            "title": id,
            "name": name,
            "id": id,
            "config": config,
            "item": show(data, config.serializer),
            "can_edit": config.kind in (FEED, SORTED_FEED),
        },
    )


async def _read(request: Request) -> bytes:
    query = query_of(request)
    name, id = name_in(query), id_in(query)
    data = await site_of(request).source.read(ReadItem(name, id))
    if data is None:
        raise ItemDoesNotExist(name, id)
    return data


async def download(request: Request) -> Response:
    """The bytes of an item, as a file that no browser opens."""
    try:
        data = await _read(request)
    except ItemDoesNotExist as error:
        return PlainTextResponse(repr(str(error)), status_code=404)
    except ThoonkError as error:
        return PlainTextResponse(repr(str(error)), status_code=400)
    file = re.sub(r"[^A-Za-z0-9._-]+", "_", id_in(query_of(request))).strip("._")[:100] or "item"
    return Response(
        data,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            "Content-Security-Policy": SANDBOX,
        },
    )


async def image(request: Request) -> Response:
    """The bytes of an item that is an image of a kind that cannot run anything."""
    try:
        data = await _read(request)
    except ThoonkError as error:
        return PlainTextResponse(repr(str(error)), status_code=404)
    media_type = image_type(data)
    if media_type is None:
        return PlainTextResponse("This item is no PNG, JPEG, GIF or WebP.", status_code=404)
    return Response(data, media_type=media_type, headers={"Content-Security-Policy": SANDBOX})
