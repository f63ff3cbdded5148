"""Addresses within the page. Names of feeds and ids are in the query, where anything may be."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from starlette.requests import Request

from thoonk.names import check_name

MOST_FIELDS = 100
"""How many fields a query may have."""


def link(request: Request, path: str, **query: object) -> str:
    """The address of a page, from the root of the host: right under any mount point.

    What is None or empty in ``query`` is left out.
    """
    root = request.scope.get("root_path", "").rstrip("/")
    return f"{root}{path}{query_text(query)}"


def query_text(query: Mapping[str, object]) -> str:
    """A query with its question mark; empty without one."""
    pairs = [f"{name}={_quote(value)}" for name, value in query.items() if value not in (None, "")]
    return "?" + "&".join(pairs) if pairs else ""


def _quote(value: object) -> str:
    return quote(str(value), safe="", errors="surrogateescape")


def query_of(request: Request) -> dict[str, str]:
    """The query of a request. Bytes that are not UTF-8 survive, as in names."""
    text = request.scope.get("query_string", b"").decode("latin-1")
    pairs = parse_qsl(
        text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_FIELDS
    )
    return dict(pairs)


def name_in(query: Mapping[str, str]) -> str:
    """The feed that a query names; raises `InvalidValue` when it names none."""
    return check_name(query.get("name", ""))


def id_in(query: Mapping[str, str]) -> str:
    """The id in a query; raises `InvalidValue` when there is none."""
    return check_name(query.get("id", ""), "item id")


def local_path(text: str, default: str) -> str:
    """An address to go back to, if it is one of this host."""
    is_local = text.startswith("/") and not text.startswith("//") and text.isprintable()
    return text if is_local and "\\" not in text else default
