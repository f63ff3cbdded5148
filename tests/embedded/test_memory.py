"""The order of rows in memory."""

from __future__ import annotations

import random

from thoonk.backends.embedded.memory import CHUNK, Ordered
from thoonk.backends.embedded.store import Row, State


def test_a_part_of_a_long_order_is_found_from_both_ends_and_from_any_place() -> None:
    chance = random.Random(1)
    rows = [Row(str(n), State.STORED, n // 3, 0, key=n) for n in range(4 * CHUNK)]
    ordered = Ordered()
    for row in chance.sample(rows, len(rows)):
        ordered.add(row)
    for row in (removed := chance.sample(rows, CHUNK)):
        ordered.remove(row, row.place)
    left = [row for row in rows if row not in removed]
    for skip in (0, 1, CHUNK - 1, CHUNK, len(left) - 1, len(left), len(left) + 1):
        assert [*ordered.after(None, skip)] == left[skip:]
        assert [*ordered.before(None, skip)] == left[::-1][skip:]
        at = chance.randrange(len(left))
        place = left[at].place, left[at].key
        assert [*ordered.after(place, skip)] == left[at + 1 :][skip:]
        assert [*ordered.before(place, skip)] == left[:at][::-1][skip:]
