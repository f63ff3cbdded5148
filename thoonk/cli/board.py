"""What ``top`` shows: the feeds there are, in the order and with the filter that were chosen."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import attrs

from thoonk.cli.columns import BY_NAME, COLUMNS, Column
from thoonk.cli.samples import Sample
from thoonk.raw_items import printable


@attrs.frozen
class Totals:
    """Sums over all feeds that have been sampled."""

    waiting: int
    claimed: int
    stalled: int
    failing: int
    put_per_second: float
    done_per_second: float


@attrs.define
class Board:
    """Feeds by name, with the newest sample of each.

    Attributes:
        names: those there are, by name.
        samples: the newest of each; a feed may have none yet.
        claim_timeouts: of job feeds, where one is configured and known.
        sort: the column by which the rows are sorted.
        is_reversed: whether they are in the opposite order.
        filter: what a name must have in it, in any case.
    """

    names: list[str] = attrs.field(factory=list)
    samples: dict[str, Sample] = attrs.field(factory=dict)
    claim_timeouts: dict[str, float | None] = attrs.field(factory=dict)
    sort: Column = BY_NAME["feed"]
    is_reversed: bool = False
    filter: str = ""

    def keep_only(self, names: Iterable[str]) -> None:
        """Take these for the feeds there are; forget the others."""
        there = set(names)
        for name in self.samples.keys() - there:
            self.remove(name)
        self.names = sorted(there)

    def remove(self, name: str) -> None:
        """Forget a feed, which has been deleted."""
        if name in self.names:
            self.names.remove(name)
        self.samples.pop(name, None)
        self.claim_timeouts.pop(name, None)

    def add(self, sample: Sample) -> None:
        """Take a sample, with the rates since the one before."""
        before = self.samples.get(sample.feed)
        if before is None and sample.feed not in self.names:
            bisect.insort(self.names, sample.feed)
        self.samples[sample.feed] = sample if before is None else sample.after(before)

    def sort_by(self, column: Column) -> None:
        """Sort by that column: text from a to z, numbers from the largest down."""
        self.sort, self.is_reversed = column, False

    def sort_by_next(self, step: int, shown: Iterable[Column]) -> None:
        """Sort by the column that is ``step`` to the right among those that are shown."""
        columns = [column for column in COLUMNS if column in {*shown, self.sort}]
        self.sort_by(columns[(columns.index(self.sort) + step) % len(columns)])

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.is_text is self.is_reversed

    def rows(self) -> list[str]:
        """The names that the filter lets through, in order. Feeds without the number come last."""
        wanted = self.filter.casefold()
        names = [name for name in self.names if wanted in printable(name).casefold()]
        if self.sort.name == "feed":
            return names[::-1] if self.is_reversed else names
        values = {}
        for name in names:
            sample = self.samples.get(name)
            value = None if sample is None else self.sort.value(sample)
            if value is not None:
                values[name] = value
        having = sorted(values, key=values.__getitem__, reverse=self.is_descending)
        return having + [name for name in names if name not in values]

    def totals(self) -> Totals:
        """The sums."""
        waiting = claimed = stalled = failing = 0
        put = done = 0.0
        for sample in self.samples.values():
            waiting += sample.stats.waiting or 0
            claimed += sample.stats.claimed or 0
            stalled += sample.stats.stalled or 0
            failing += sample.stats.failing or 0
            put += sample.put_per_second or 0.0
            done += sample.done_per_second or 0.0
        return Totals(waiting, claimed, stalled, failing, put, done)
