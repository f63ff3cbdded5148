"""Publish, edit, retract and move items of feeds and sorted feeds."""

from __future__ import annotations

from starlette.requests import Request

from thoonk.config import FEED, SORTED_FEED, FeedConfig
from thoonk.exceptions import InvalidValue, ItemDoesNotExist, SerializerError, WrongFeedType
from thoonk.names import check_id, new_id
from thoonk.operations import (
    Entry,
    FeedPublish,
    FeedRetract,
    HasItem,
    Position,
    ReadItem,
    SortedEdit,
    SortedInsert,
    SortedMove,
    SortedRetract,
    Where,
)
from thoonk.raw_items import check_item, printable
from thoonk.serializers import TEXT
from thoonk.web.changes import Change, Question
from thoonk.web.items import CUT_AT
from thoonk.web.live import site_of
from thoonk.web.pages.feed import KNOWN_SERIALIZERS, config_of
from thoonk.web.site import Site, View
from thoonk.web.urls import id_in, link, name_in, query_of


async def editor(request: Request) -> View:
    """The form for a new item, or for one that is there."""
    site = site_of(request)
    query = query_of(request)
    name, id = name_in(query), query.get("id", "")
    config = await _config(site, name)
    text, is_hex = "", False
    if id:
        data = await site.source.read(ReadItem(name, id))
        if data is None:
            raise ItemDoesNotExist(name, id)
        if len(data) > CUT_AT:
            raise InvalidValue(f"item {id!r} has {len(data)} bytes, too many to edit here")
        text, is_hex = _as_text(data)
    return _form(request, name, id, config, text=text, is_hex=is_hex)


def _form(
    request: Request,
    name: str,
    id: str,
    config: FeedConfig,
    *,
    text: str,
    is_hex: bool,
    error: str = "",
) -> View:
    return View(
        "edit.html",
        {
            "title": f"Edit {id}" if id else "Publish",
            "name": name,
            "id": id,
            "config": config,
            "text": text,
            "is_hex": is_hex,
            "error": error,
            "knows_serializer": (config.serializer or TEXT.name) in KNOWN_SERIALIZERS,
            "back": link(request, "/feed", name=name),
        },
        status=422 if error else 200,
    )


def _as_text(data: bytes) -> tuple[str, bool]:
    """Bytes as a form shows them, and whether that is hex."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.hex(" "), True
    # A form ends each line with CR and LF, and a NUL does not survive it.
    is_plain = "\0" not in text and "\r" not in text
    return (text, False) if is_plain else (data.hex(" "), True)


async def _config(site: Site, name: str) -> FeedConfig:
    """The configuration of a feed whose items are published; raises `WrongFeedType`."""
    config = await config_of(site, name)
    if config.kind not in (FEED, SORTED_FEED):
        raise WrongFeedType(name, expected="feed or sorted feed", actual=config.type)
    return config


def bytes_in(change: Change, config: FeedConfig, name: str) -> bytes:
    """The item in a form.

    Raises:
        InvalidValue: it is not hex, where it should be.
        SerializerError: not UTF-8, or not JSON, in a feed of such.
    """
    text = change.form.get("item", "").replace("\r\n", "\n")
    if change.form.get("hex") == "yes":
        try:
            data = bytes.fromhex(text)
        except ValueError as error:
            raise InvalidValue(f"the bytes must be in hex: {error}") from None
    else:
        data = text.encode("utf-8", "surrogateescape")
    check_item(data, config, name)
    return data


async def save(change: Change) -> str | View:
    """Publish a new item, or replace one."""
    name, id = name_in(change.query), change.query.get("id", "")
    site = change.site
    config = await _config(site, name)
    try:
        data = bytes_in(change, config, name)
        if config.kind == SORTED_FEED:
            return await _save_sorted(change, name, id, data)
        if id and not await site.source.read(HasItem(name, id)):
            raise ItemDoesNotExist(name, id)
        new = id or change.form.get("id", "").strip() or new_id()
        (is_new,) = await site.source.change(FeedPublish(name, (Entry(check_id(new), data),)))
    except (SerializerError, InvalidValue) as error:
        return _form(
            change.request,
            name,
            id,
            config,
            text=change.form.get("item", ""),
            is_hex=change.form.get("hex") == "yes",
            error=printable(str(error)),
        )
    return f"Published {printable(new)}." if is_new else f"Edited {printable(new)}."


async def _save_sorted(change: Change, name: str, id: str, data: bytes) -> str:
    if id:
        await change.site.source.change(SortedEdit(name, Entry(id, data)))
        return f"Edited {printable(id)}."
    where = Where.BEGIN if change.form.get("where") == "begin" else Where.END
    (new,) = await change.site.source.change(SortedInsert(name, (data,), Position(where)))
    return f"Published {new}."


async def retract(change: Change) -> str:
    """Remove an item."""
    name, id = name_in(change.query), id_in(change.query)
    config = await _config(change.site, name)
    operation = SortedRetract if config.kind == SORTED_FEED else FeedRetract
    (was_there,) = await change.site.source.change(operation(name, (id,)))
    if not was_there:
        raise ItemDoesNotExist(name, id)
    return f"Retracted {printable(id)}."


def ask_retract(change: Change) -> Question:
    """Ask before an item is removed."""
    id, name = printable(id_in(change.query)), printable(name_in(change.query))
    return Question(
        f"Retract item {id}?",
        f"It is removed from {name} for all programs. This cannot be undone.",
        "Retract",
    )


async def move(change: Change) -> str:
    """Move an item of a sorted feed."""
    name, id = name_in(change.query), id_in(change.query)
    position = Position.parse(change.form.get("position", ""))
    await change.site.source.change(SortedMove(name, id, position))
    return f"Moved {printable(id)}."
