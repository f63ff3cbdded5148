"""Which feeds ``top`` samples in each round: what it costs the server is bounded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

MOST_PER_SECOND = 300
"""Feeds that are sampled in a second. A server spends about 40 µs on each, 1.2 % of a core."""
FEWEST = 8
"""Feeds that are sampled in a round, however slow the server is."""
SHARE_OF_TIME = 0.2
"""How much of the time may be spent waiting for samples, by a server that is slow or far away."""
SHARE_IN_SIGHT = 0.75
"""How much of a round the feeds in sight may take from the others."""
WEIGHT_OF_NEWEST = 0.3
"""How much the newest round counts in the average of what a sample costs."""
NAMES_PER_SECOND = 2500
"""Names that are listed in a second: a server sends millions."""


@attrs.define
class Pace:
    """How many feeds a round may have, by what the rounds before took.

    Attributes:
        seconds_each: how long a sample has taken recently.
    """

    seconds_each: float = 0.0

    def took(self, seconds: float, samples: int) -> None:
        """Count a round."""
        if samples:
            newest = seconds / samples
            weight = WEIGHT_OF_NEWEST if self.seconds_each else 1.0
            self.seconds_each += weight * (newest - self.seconds_each)

    def budget(self, interval: float) -> int:
        """How many feeds the next round may have."""
        per_second = float(MOST_PER_SECOND)
        if self.seconds_each:
            per_second = min(per_second, SHARE_OF_TIME / self.seconds_each)
        return max(FEWEST, int(per_second * interval))


def choose(
    names: Sequence[str],
    in_sight: Collection[str],
    sampled_at: Mapping[str, float],
    budget: int,
) -> list[str]:
    """The feeds of the next round: all, or those in sight and a slice of the others.

    Args:
        names: all there are.
        in_sight: those that the screen shows.
        sampled_at: when each was sampled last, if it was.
        budget: how many there may be.
    """
    if len(names) <= budget:
        return [*names]
    oldest_first = sorted(names, key=lambda name: sampled_at.get(name, float("-inf")))
    visible = set(in_sight)
    seen = [name for name in oldest_first if name in visible]
    others = [name for name in oldest_first if name not in visible]
    room = max(int(budget * SHARE_IN_SIGHT), budget - len(others))
    chosen = seen[:room]
    return chosen + others[: budget - len(chosen)]
