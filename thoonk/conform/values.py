"""What represents, in a vector, bytes, times, and texts that the peer chooses.

A template is JSON. Concrete ones can be prepared and sent; the others can only be matched
with what was found. docs/conformance.md lists them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import attrs

Template = Any
"""Parsed JSON of a vector."""

Check = Callable[[bytes], bool]

LONGEST_SHOWN = 300
"""Characters of a value in a report."""


@attrs.frozen
class Content:
    """What a key holds.

    Attributes:
        kind: set, hash, list, zset or string.
        value: a set of bytes, a dict of bytes to bytes (hash) or float (zset), a list of
            bytes, or bytes.
        expires: the server's time in ms at which the key goes; None: it stays.
    """

    kind: str
    value: Any = attrs.field(hash=False)
    expires: float | None = None


@attrs.define
class MatchContext:
    """What templates are matched against. All times are the server's, in ms.

    Attributes:
        prepared_at: when the keys were prepared.
        asked_at: just before the request.
        answered_at: just after the answer.
        bound: the ids and tokens that the peer chose, by their names in the vector.
        keys: the keys as they are after the answer.
    """

    prepared_at: int
    asked_at: float = 0
    answered_at: float = 0
    bound: dict[str, bytes] = attrs.Factory(dict)
    keys: Mapping[bytes, Content] = attrs.Factory(dict)


# --- bytes in JSON ------------------------------------------------------------------------


def encode(data: bytes) -> Template:
    """Bytes as JSON: a text where they are UTF-8, else ``{"base64": …}``."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def is_bytes(value: object) -> TypeGuard[str | dict[str, str]]:
    """Whether `decode` takes it."""
    return isinstance(value, str) or (
        isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str)
    )


def decode(value: str | dict[str, str]) -> bytes:
    """Bytes from their JSON.

    Raises:
        ValueError: not base64.
    """
    if isinstance(value, str):
        # A lone surrogate has no bytes: "?" stands for it, and differs.
        return value.encode(errors="replace")
    try:
        return base64.b64decode(value["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {value['base64']!r:.80}") from error


# --- numbers ----------------------------------------------------------------------------------


def is_time(template: Template) -> bool:
    """Whether it stands for a time."""
    return isinstance(template, dict) and bool(template.keys() & {"ago", "seconds ago", "now"})


def number(template: Template, context: MatchContext) -> float:
    """The number that a concrete template stands for."""
    match template:
        case "+inf":
            return math.inf
        case {"ago": int(ago)}:
            value: float = context.prepared_at - ago
        case {"seconds ago": int(ago)}:
            # The half shows whether decimals are kept; a float holds it exactly.
            value = context.prepared_at // 1000 - ago + 0.5
        case int() | float():
            value = template
        case _:
            raise ValueError(f"not a number that can be known beforehand: {template}")
    if isinstance(template, dict):
        value = value * template.get("times", 1) + template.get("plus", 0)
    return value


def matches_number(
    template: Template, actual: float, context: MatchContext, scores: Mapping[bytes, float]
) -> bool:
    """Whether a number is what the template says; ``scores`` are those of its sorted set."""
    if isinstance(template, dict) and "above" in template:
        lower = scores.get(text(template["above"], context), math.inf)
        if not actual > lower:
            return False
    match template:
        case {"now": int(after)}:
            earliest = math.floor(context.asked_at) + after
            # Times that are set in one step differ by parts of a ms.
            latest = math.ceil(context.answered_at) + after + 1
            return earliest <= actual <= latest
        case _:
            return actual == number(template, context)


# --- texts ------------------------------------------------------------------------------------


def text(template: Template, context: MatchContext) -> bytes:
    """The bytes that a concrete template stands for.

    Raises:
        ValueError: they cannot be known beforehand.
    """
    if isinstance(template, dict) and "unordered" in template:
        return b"\0".join(text(part, context) for part in template["unordered"])
    pattern: list[bytes | Check] = []
    _collect(template, context, pattern)
    if not all(isinstance(part, bytes) for part in pattern):
        raise ValueError(f"not a text that can be known beforehand: {json.dumps(template)}")
    return b"".join(part for part in pattern if isinstance(part, bytes))


def matches_text(template: Template, actual: bytes, context: MatchContext) -> bool:
    """Whether bytes are what the template says. Binds what the peer has chosen."""
    if isinstance(template, dict) and "unordered" in template:
        left = actual.split(b"\0")
        for part in template["unordered"]:
            found = next((piece for piece in left if matches_text(part, piece, context)), None)
            if found is None:
                return False
            left.remove(found)
        return not left
    parts: list[bytes | Check] = []
    _collect(template, context, parts)
    pattern = b"".join(re.escape(p) if isinstance(p, bytes) else b"(.*)" for p in parts)
    match = re.fullmatch(pattern, actual, re.DOTALL)
    if match is None:
        return False
    checks = [part for part in parts if not isinstance(part, bytes)]
    return all(check(group) for check, group in zip(checks, match.groups(), strict=True))


def _collect(template: Template, context: MatchContext, parts: list[bytes | Check]) -> None:
    """Add the parts of a template: bytes, and checks for bytes that only the peer knows."""
    match template:
        case {"join": list(inner)}:
            for part in inner:
                _collect(part, context, parts)
        case {"fresh id": str(name)} | {"fresh token": str(name)}:
            forbidden = b"\0" if "fresh id" in template else b"\0 "
            parts.append(context.bound.get(name) or _fresh(name, context, forbidden))
        case {"any": "text"}:
            parts.append(lambda _: True)
        case {"now": int()}:
            parts.append(lambda group: _is_time(template, group, context))
        case {"now in seconds": 0}:
            parts.append(lambda group: _is_now_in_seconds(group, context))
        case {"score": [key, member]}:
            content = context.keys.get(text(key, context))
            score = content.value.get(text(member, context)) if content else None
            parts.append(b"%.17g" % score if score is not None else b"(no score)")
        case _ if is_bytes(template):
            parts.append(decode(template))
        case _ if is_time(template):
            parts.append(b"%.17g" % number(template, context))
        case _:
            raise ValueError(f"not a text: {json.dumps(template)}")


def _fresh(name: str, context: MatchContext, forbidden: bytes) -> Check:
    def check(group: bytes) -> bool:
        try:
            group.decode()
        except UnicodeDecodeError:
            return False
        if not group or set(group) & set(forbidden) or group in context.bound.values():
            return False
        context.bound[name] = group
        return True

    return check


def _is_time(template: Template, group: bytes, context: MatchContext) -> bool:
    return group.isdigit() and matches_number(template, int(group), context, {})


def _is_now_in_seconds(group: bytes, context: MatchContext) -> bool:
    earliest, latest = context.asked_at // 1000, context.answered_at // 1000
    return group.isdigit() and earliest <= int(group) <= latest


# --- for reports --------------------------------------------------------------------------------


def show(value: Template) -> str:
    """A template, bytes or a number on one line, for people."""
    if isinstance(value, bytes):
        value = encode(value)
    elif isinstance(value, float):
        return "+inf" if value == math.inf else f"{value:.17g}"
    line = json.dumps(value, ensure_ascii=False, default=repr)
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"
