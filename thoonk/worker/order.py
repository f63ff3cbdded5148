"""In which order a free slot of a pool asks the feeds for a job."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from thoonk.worker.handlers import Handler

T = TypeVar("T")


def weights_of(handlers: Sequence[Handler]) -> list[int] | None:
    """The weights of feeds, 1 where there is none; None when no feed has one."""
    weights = [handler.weight for handler in handlers]
    return None if weights == [None] * len(weights) else [weight or 1 for weight in weights]


class Order:
    """The order of the feeds: always the same, or drawn by their weights each time."""

    def __init__(
        self,
        weights: Sequence[int] | None,
        draw: Callable[[float], float] = random.expovariate,
    ) -> None:
        """``weights``: None, where the order is always the same."""
        self._weights = weights
        self._draw = draw

    def of(self, feeds: Sequence[T]) -> Sequence[T]:
        """The feeds in the order in which they are to be asked now."""
        if self._weights is None:
            return feeds
        # Who is first is as in a draw by weight, and who is second as in one among the rest.
        times = [self._draw(weight) for weight in self._weights]
        return [feeds[place] for place in sorted(range(len(feeds)), key=times.__getitem__)]
