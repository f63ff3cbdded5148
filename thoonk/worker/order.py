"""In which order a free slot of a pool asks the feeds for a job."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from thoonk.worker.handlers import Handler

T = TypeVar("T")


class Order:
    """The order of the feeds: as listed, or drawn by their weights each time.

    Partitions of one feed have no order among themselves.
    """

    def __init__(
        self,
        weights: Sequence[float] | None,
        draw: Callable[[float], float] = random.expovariate,
        ranks: Sequence[int] | None = None,
    ) -> None:
        """Neither weights nor ranks: the order is always the same.

        Args:
            weights: how often each is asked first. None: that depends on the ranks.
            draw: draws a time.
            ranks: for each its rank. Those of one rank are asked in any order.
        """
        self._weights = weights
        self._ranks = ranks
        self._draw = draw

    @classmethod
    def by(cls, handlers: Sequence[Handler]) -> Order:
        """The order that handlers ask for. Partitions share the weight of their feed."""
        if any(handler.weight for handler in handlers):
            return cls([(handler.weight or 1) / (handler.partitions or 1) for handler in handlers])
        families = [handler.family or handler.feed for handler in handlers]
        ranks = [families.index(family) for family in families]
        return cls(None, ranks=ranks if len({*ranks}) < len(ranks) else None)

    def of(self, feeds: Sequence[T]) -> Sequence[T]:
        """The feeds in the order in which they are to be asked now."""
        if self._weights is not None:
            # Who is first is as in a draw by weight, and who is second as in one among the rest.
            times = [self._draw(weight) for weight in self._weights]
            return [feeds[place] for place in sorted(range(len(feeds)), key=times.__getitem__)]
        if self._ranks is not None:
            places = [(rank, self._draw(1), place) for place, rank in enumerate(self._ranks)]
            return [feeds[place] for _, _, place in sorted(places)]
        return feeds
