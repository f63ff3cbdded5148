"""The columns of the tables of ``stats`` and ``top``: their values, as text, and which fit."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs
from rich.cells import cell_len

from thoonk.cli.ages import short_age
from thoonk.cli.samples import Sample
from thoonk.raw_items import printable

Value: TypeAlias = str | float | bool | None


def _text(value: Value, *, grouped: bool) -> str:  # noqa: ARG001 - as the others
    return printable(str(value))


def _number(value: Value, *, grouped: bool) -> str:
    return f"{value:,}" if grouped else str(value)


def _rate(value: Value, *, grouped: bool) -> str:
    return f"{value:,.1f}" if grouped else f"{value:.1f}"


def _age(value: Value, *, grouped: bool) -> str:  # noqa: ARG001 - as the others
    return short_age(float(value or 0))


def _flag(value: Value, *, grouped: bool) -> str:  # noqa: ARG001 - as the others
    return "yes" if value else ""


@attrs.frozen
class Column:
    """A column.

    Attributes:
        name: its heading.
        value: what it shows of a sample; None: the feed's type has no such thing.
        show: the value as text; ``grouped``: with thousands separators, for people.
        is_rare: a terminal has it only where a feed has something to show in it.
    """

    name: str
    value: Callable[[Sample], Value]
    show: Callable[..., str]
    is_rare: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is words, at the left, and not numbers."""
        return self.show is _text

    def text(self, sample: Sample, *, grouped: bool) -> str:
        """The cell of a sample."""
        value = self.value(sample)
        return "" if value is None else self.show(value, grouped=grouped)

    def width(self, samples: Iterable[Sample]) -> int:
        """The room that the cells of numbers need, thousands separators included."""
        values = [value for value in map(self.value, samples) if value is not None]
        if not values:
            return 0
        # No other number is longer than the greatest, but "59m" is longer than "1h".
        longest = len(self.show(max(values), grouped=True))
        return max(longest, 3) if self.show is _age else longest


COLUMNS = (
    Column("feed", lambda sample: sample.feed, _text),
    Column("type", lambda sample: sample.stats.type, _text),
    Column("items", lambda sample: sample.stats.items, _number),
    Column("waiting", lambda sample: sample.stats.waiting, _number),
    Column("claimed", lambda sample: sample.stats.claimed, _number),
    Column("stalled", lambda sample: sample.stats.stalled, _number),
    Column("failing", lambda sample: sample.stats.failing, _number),
    Column("in/s", lambda sample: sample.put_per_second, _rate),
    Column("out/s", lambda sample: sample.done_per_second, _rate),
    Column("oldest", lambda sample: sample.stats.oldest, _age),
    Column("claim", lambda sample: sample.stats.oldest_claimed, _age),
    Column("scheduled", lambda sample: sample.stats.scheduled, _number, is_rare=True),
    Column("due", lambda sample: sample.stats.next_due, _age, is_rare=True),
    Column("paused", lambda sample: sample.stats.paused, _flag, is_rare=True),
)
BY_NAME: Mapping[str, Column] = {column.name: column for column in COLUMNS}

ROOM_FOR_ALL = 110
"""Columns that a terminal needs for the whole table; without them the types are left out."""
ROOM_FOR_NAME = 12
"""Columns kept for the name of a feed, if it is that long; numbers make room for it."""
DISPENSABLE = (
    *("in/s", "out/s", "failing", "claim", "due", "claimed", "oldest", "stalled"),
    *("scheduled", "paused"),
)
"""What is left out, in this order, until all others fit: a number that is cut short misleads."""


def widths(samples: Sequence[Sample]) -> dict[str, int]:
    """The room that each column needs; 0 for one that is rare and has nothing to show."""
    found = {}
    for column in COLUMNS:
        if column.is_text:
            longest = max(
                (cell_len(column.text(each, grouped=True)) for each in samples), default=0
            )
        else:
            longest = column.width(samples)
        if column.is_rare and not any(map(column.value, samples)):
            found[column.name] = 0
        else:
            found[column.name] = max(longest, len(column.name))
    return found


def fitting(
    needed: Mapping[str, int], room: int, *, gap: int = 1, keep: Iterable[str] = ()
) -> list[Column]:
    """The columns for a terminal of ``room`` columns.

    Args:
        needed: what `widths` says.
        room: how wide it is.
        gap: columns between two columns of the table, where it is narrow.
        keep: names of columns that stay.
    """
    chosen = [column for column in COLUMNS if needed[column.name]]
    # Names and numbers need the room.
    for name in ("type", *DISPENSABLE):
        used = sum(needed[column.name] + gap for column in chosen if column.name != "feed")
        has_types = room >= ROOM_FOR_ALL or name != "type"
        if has_types and used + min(needed["feed"], ROOM_FOR_NAME) + 2 <= room:
            break
        if name not in keep:
            chosen = [column for column in chosen if column.name != name]
    return chosen


class Attention(enum.Enum):
    """How much a number needs it."""

    NONE = enum.auto()
    SOME = enum.auto()
    MUCH = enum.auto()


LONG_WAIT = 300.0
"""Seconds after which a job has waited for long."""
VERY_LONG_WAIT = 3600.0
"""Seconds after which it has waited for very long."""


def attention(column: Column, sample: Sample, claim_timeout: float | None = None) -> Attention:
    """Whether a cell is one that an operator should look at.

    Args:
        column: whose cell it is.
        sample: the feed's.
        claim_timeout: of a job feed, as configured. A claim that is older belongs to a job
            whose worker extends it, which may take long or hang.
    """
    stats = sample.stats
    waited = stats.oldest_waiting or 0.0
    match column.name:
        case "stalled" if stats.stalled:
            return Attention.MUCH
        case "failing" if stats.failing:
            return Attention.SOME
        case "paused" if stats.paused:
            return Attention.SOME
        case "oldest" if waited > LONG_WAIT:
            return Attention.MUCH if waited > VERY_LONG_WAIT else Attention.SOME
        case "claim" if claim_timeout and (stats.oldest_claimed or 0.0) > claim_timeout:
            return Attention.SOME
    return Attention.NONE
