"""Compares what was found with what a vector says, and yields each difference."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import attrs

from thoonk.conform.values import (
    Content,
    MatchContext,
    Template,
    decode,
    encode,
    is_bytes,
    is_time,
    matches_number,
    matches_text,
    number,
    show,
    text,
)

NOTHING = "nothing"
AS_BEFORE = {"as before": True}

_ANSWERS = b"feed.answers:"
_REMEMBERED = re.compile(rb"\d+ \d+ [A-Za-z].*", re.DOTALL)

_DRIFT = 3.0
"""Milliseconds by which an expiry may be off: servers round."""


@attrs.frozen
class Difference:
    """One thing that is not as it has to be; ``where`` says which."""

    where: str
    expected: str
    got: str


# --- keys -------------------------------------------------------------------------------------


def keys(
    expected: Mapping[str, Template], before: Mapping[bytes, Content], context: MatchContext
) -> Iterator[Difference]:
    """How the keys differ from what is expected; those not named have to be as before.

    Unless it is named, only the form of feed.answers:F is checked: whether a peer remembers
    its answers is its own choice.
    """
    named = {text(name, context): template for name, template in expected.items()}
    for key in sorted({*named, *before, *context.keys}):
        found = context.keys.get(key)
        where = f"key {show(key)}"
        if key in named:
            yield from _key(where, named[key], before.get(key), found, context)
        elif key.startswith(_ANSWERS):
            yield from _remembered(where, found)
        elif not _is_same(before.get(key), found):
            yield Difference(where, f"as before: {_show(before.get(key))}", _show(found))


def _is_same(before: Content | None, found: Content | None) -> bool:
    if before is None or found is None or before.expires is None or found.expires is None:
        return before == found
    same = attrs.evolve(found, expires=before.expires) == before
    return same and abs(found.expires - before.expires) <= _DRIFT


def _remembered(where: str, found: Content | None) -> Iterator[Difference]:
    if found is not None and found.kind != "hash":
        yield Difference(where, "hash", _show(found))
    elif found is not None:
        for session, entry in found.value.items():
            if not _REMEMBERED.fullmatch(entry):
                yield Difference(f"{where}, of {show(session)}", "TIME CALL ANSWER", show(entry))


def _key(
    where: str,
    template: Template,
    before: Content | None,
    found: Content | None,
    context: MatchContext,
) -> Iterator[Difference]:
    match template:
        case None:
            if found is not None:
                yield Difference(where, NOTHING, _show(found))
        case {"any of": list(options)}:
            if all([*_key(where, option, before, found, context)] for option in options):
                yield Difference(where, f"one of {show(options)}", _show(found))
        case {"size": list(sizes)}:
            if found is None or len(found.value) not in sizes:
                yield Difference(where, f"so many entries: {show(sizes)}", _show(found))
        case _:
            ((kind, value),) = ((k, v) for k, v in template.items() if k != "ttl")
            if found is None or found.kind != kind:
                yield Difference(where, f"{kind} {show(value)}", _show(found))
            else:
                yield from _content(where, value, before, found, context)
                yield from _expiry(where, template.get("ttl"), found, context)


def _content(
    where: str, value: Template, before: Content | None, found: Content, context: MatchContext
) -> Iterator[Difference]:
    match found.kind:
        case "set":
            yield from _members(where, value, list(found.value), context)
        case "hash" | "zset":
            yield from _pairs(where, value, before.value if before else {}, found.value, context)
        case "list":
            yield from _sequence(where, value, found.value, context)
        case _:
            if not matches_text(value, found.value, context):
                yield Difference(where, show(value), show(found.value))


def _expiry(
    where: str, ttl: int | Template | None, found: Content, context: MatchContext
) -> Iterator[Difference]:
    where = f"{where}, its expiry"
    if isinstance(ttl, dict):
        time, expires = number(ttl, context), found.expires
        if expires is None or abs(expires - time) > _DRIFT:
            yield Difference(where, f"{time:.0f}", "none" if expires is None else f"{expires:.0f}")
        return
    if ttl is None or found.expires is None:
        if ttl is not None or found.expires is not None:
            expected = "none" if ttl is None else f"{ttl} ms from now"
            yield Difference(where, expected, "none" if found.expires is None else "there is one")
    elif not context.asked_at + ttl - _DRIFT <= found.expires <= context.answered_at + ttl + _DRIFT:
        yield Difference(
            where, f"{ttl} ms from now", f"{found.expires - context.answered_at:.0f} ms from now"
        )


def _members(
    where: str, expected: Sequence[Template], found: list[bytes], context: MatchContext
) -> Iterator[Difference]:
    for template in expected:
        member = _pick(template, found, context)
        if member is None:
            yield Difference(f"{where}, a member", show(template), NOTHING)
        else:
            found.remove(member)
    for member in found:
        yield Difference(f"{where}, a member", NOTHING, show(member))


def _pairs(
    where: str,
    expected: Sequence[Template],
    before: Mapping[bytes, Any],
    found: Mapping[bytes, Any],
    context: MatchContext,
) -> Iterator[Difference]:
    left = dict(found)
    for name, template in expected:
        field = _pick(name, left, context)
        if field is None:
            yield Difference(f"{where}, of {show(name)}", show(template), NOTHING)
            continue
        value = left.pop(field)
        if template == AS_BEFORE:
            matches = value == before.get(field)
        elif isinstance(value, float):
            matches = matches_number(template, value, context, found)
        else:
            matches = matches_text(template, value, context)
        if not matches:
            yield Difference(f"{where}, of {show(name)}", show(template), show(value))
    for field, value in left.items():
        yield Difference(f"{where}, of {show(field)}", NOTHING, show(value))


def _pick(template: Template, found: Any, context: MatchContext) -> bytes | None:
    return next((entry for entry in found if matches_text(template, entry, context)), None)


def _sequence(
    where: str, expected: Sequence[Template], found: Sequence[bytes], context: MatchContext
) -> Iterator[Difference]:
    same = len(expected) == len(found) and all(
        matches_text(template, element, context)
        for template, element in zip(expected, found, strict=True)
    )
    if not same:
        yield Difference(where, show(expected), show([*map(encode, found)]))


def _show(content: Content | None) -> str:
    if content is None:
        return NOTHING
    match content.value:
        case bytes():
            value = show(content.value)
        case dict() as pairs:
            shown = (f"{show(name)}: {show(value)}" for name, value in pairs.items())
            value = "{" + ", ".join(shown) + "}"
        case elements:
            value = "[" + ", ".join(map(show, elements)) + "]"
    return f"{content.kind} {value}" + (" (expires)" if content.expires is not None else "")


# --- answers --------------------------------------------------------------------------------


def answer(expected: Template, found: Any, context: MatchContext) -> Iterator[Difference]:
    """How an answer differs. Fields that the vector does not name may be anything."""
    if not _answer_matches(expected, found, context):
        yield Difference("answer", show(expected), show(found))


def _answer_matches(expected: Template, found: Any, context: MatchContext) -> bool:
    match expected:
        case {"until": when}:
            left = (number(when, context) - context.answered_at) / 1000
            took = (context.answered_at - context.asked_at) / 1000
            return _is_number(found) and left - 0.002 <= found <= left + took + 0.002
        case dict() if is_time(expected):
            return _is_number(found) and matches_number(expected, found, context, {})
        case {"age": since}:
            age = (context.answered_at - number(since, context)) / 1000
            took = (context.answered_at - context.asked_at) / 1000
            return _is_number(found) and age - took - 0.002 <= found <= age + 0.002
        case {"unordered": list(elements)}:
            return isinstance(found, list) and _same_elements(elements, found, context)
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(expected)
                and all(
                    _answer_matches(e, f, context) for e, f in zip(expected, found, strict=True)
                )
            )
        case bool() | None:
            return found is expected
        case int() | float():
            return _is_number(found) and math.isclose(found, expected)
        case dict() if not _is_text_template(expected):
            return isinstance(found, dict) and all(
                name in found and _answer_matches(template, found[name], context)
                for name, template in expected.items()
            )
        case _:
            return _is_text_of(expected, found, context)


def _is_number(found: object) -> TypeGuard[float]:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _is_text_template(template: dict[str, Template]) -> bool:
    return len(template) == 1 and bool(
        template.keys() & {"base64", "join", "fresh id", "fresh token", "any"}
    )


def _is_text_of(expected: Template, found: Any, context: MatchContext) -> bool:
    try:
        return is_bytes(found) and matches_text(expected, decode(found), context)
    except ValueError:
        return False


def _same_elements(expected: list[Template], found: list[Any], context: MatchContext) -> bool:
    left = [*found]
    for template in expected:
        matching = [element for element in left if _answer_matches(template, element, context)]
        if not matching:
            return False
        left.remove(matching[0])
    return not left


# --- notices --------------------------------------------------------------------------------------


def published(
    expected: Sequence[Template], found: Sequence[tuple[bytes, bytes]], context: MatchContext
) -> Iterator[Difference]:
    """How what was published differs, in its order."""
    for index in range(max(len(expected), len(found))):
        wanted = expected[index] if index < len(expected) else None
        heard = found[index] if index < len(found) else None
        if wanted is not None and heard is not None:
            channel, payload = wanted
            if matches_text(channel, heard[0], context) and matches_text(
                payload, heard[1], context
            ):
                continue
        yield Difference(
            f"notice {index + 1}",
            NOTHING if wanted is None else " ".join(map(show, wanted)),
            NOTHING if heard is None else " ".join(map(show, heard)),
        )
