"""What a browser sends with a form."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from thoonk.exceptions import InvalidValue

LARGEST = 64 * 1024 * 1024
"""Bytes that a form may have; more is refused."""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name.

    Raises:
        InvalidValue: it is larger than allowed, or of another type.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise InvalidValue(
            f"a form must be application/x-www-form-urlencoded, not {media_type or 'nothing'!r}"
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise InvalidValue(f"a form may have {LARGEST} bytes at most")
    pairs = parse_qsl(
        body.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=100
    )
    return dict(pairs)
