"""The parts of ``top`` that decide what is shown, without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from thoonk import FeedStats
from thoonk.cli.ages import short_age
from thoonk.cli.board import Board
from thoonk.cli.columns import BY_NAME, COLUMNS, fitting, widths
from thoonk.cli.rounds import choose
from thoonk.cli.samples import Sample

LARGE = 123_456_789_012


def sample(feed: str, **stats: Any) -> Sample:
    return Sample(feed, FeedStats(**{"type": "job", "items": 0, "publishes": 0, **stats}), 0.0)


@pytest.mark.parametrize("room", [60, 80, 109, 110, 130])
def test_large_numbers_never_need_more_columns_than_the_terminal_has(room: int) -> None:
    counts = ("items", "waiting", "claimed", "stalled", "failing", "scheduled")
    needed = widths([sample("letters", **dict.fromkeys(counts, LARGE), paused=True, next_due=5)])
    columns = fitting(needed, room)
    assert columns[0].name == "feed"
    assert sum(needed[column.name] + 1 for column in columns) <= room


def test_a_wide_terminal_shows_all_columns_and_a_narrow_one_no_types() -> None:
    needed = widths([sample("letters", scheduled=1, next_due=5, paused=True)])
    assert fitting(needed, 110) == [*COLUMNS]
    assert BY_NAME["type"] not in fitting(needed, 109)


def test_widths_count_the_columns_of_wide_characters_and_separators() -> None:
    needed = widths([sample("手紙手紙手紙", items=1_000_000)])
    assert needed["feed"] == 12
    assert needed["items"] == len("1,000,000")


def test_feeds_without_a_number_come_last_in_both_orders() -> None:
    board = Board(names=["new"])
    for each in (sample("a", waiting=1), sample("b", waiting=None), sample("c", waiting=2)):
        board.add(each)
    board.sort_by(BY_NAME["waiting"])
    assert board.rows() == ["c", "a", "b", "new"]
    board.is_reversed = True
    assert board.rows() == ["a", "c", "b", "new"]


def test_brackets_in_a_filter_are_characters_as_others() -> None:
    board = Board(names=["a", "jobs[1]", "jobs[2]"], filter="S[1")
    assert board.rows() == ["jobs[1]"]


@pytest.mark.parametrize(
    ("age", "text"), [(-3600.0, "0s"), (-0.4, "0s"), (5.0, "5s"), (7200, "2h")]
)
def test_an_age_is_never_negative(age: float, text: str) -> None:
    assert short_age(age) == text


def test_a_clock_that_stands_still_gives_no_rates() -> None:
    board = Board()
    board.add(sample("a", publishes=1))
    board.add(sample("a", publishes=9))
    assert board.samples["a"].put_per_second is None


def test_a_round_has_no_feed_twice_and_leaves_none_out_for_long() -> None:
    names = [f"f{number}" for number in range(100)]
    sampled: dict[str, float] = {}
    for turn in range(50):
        chosen = choose(names, names[:30], sampled, 8)
        assert len(chosen) == len(set(chosen)) == 8
        sampled.update(dict.fromkeys(chosen, float(turn)))
    assert sampled.keys() == set(names)
