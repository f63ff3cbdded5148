"""When cron expressions are due, also where summer time begins and ends."""

from __future__ import annotations

import datetime as dt

import pytest

from thoonk import InvalidValue
from thoonk.operations import Schedule
from thoonk.schedules import TOLD, next_times

pytest.importorskip("cronsim")


def times(cron: str, tz: str, after: str, count: int) -> list[str]:
    """The next times in UTC, after one in UTC."""
    found = next_times(
        Schedule("s", b"x", cron=cron, tz=tz), dt.datetime.fromisoformat(f"{after}+00:00"), count
    )
    return [f"{dt.datetime.fromtimestamp(each, dt.UTC):%d %H:%M}" for each in found]


@pytest.mark.parametrize(
    ("cron", "after", "found"),
    [
        # Before, on and after the day on which 2:00 to 3:00 is left out.
        ("0 4 * * *", "2027-03-26T12:00", ["27 03:00", "28 02:00", "29 02:00"]),
        ("30 2 * * *", "2027-03-26T12:00", ["27 01:30", "28 01:00", "29 00:30"]),
        ("0 * * * *", "2027-03-27T23:30", ["28 00:00", "28 01:00", "28 02:00"]),
        # And that on which 2:00 to 3:00 comes twice.
        ("0 4 * * *", "2027-10-29T12:00", ["30 02:00", "31 03:00", "01 03:00"]),
        ("30 2 * * *", "2027-10-29T12:00", ["30 00:30", "31 00:30", "01 01:30"]),
        ("0 * * * *", "2027-10-30T22:30", ["30 23:00", "31 00:00", "31 01:00"]),
    ],
)
def test_summer_time_in_berlin(cron: str, after: str, found: list[str]) -> None:
    assert times(cron, "Europe/Berlin", after, 3) == found


def test_a_time_counts_when_it_is_later_than_what_was_given() -> None:
    assert times("0 3 * * *", "UTC", "2027-01-01T03:00", 1) == ["02 03:00"]
    assert len(times("* * * * *", "UTC", "2027-01-01T03:00", TOLD)) == TOLD


@pytest.mark.parametrize(
    ("cron", "tz"), [("not cron", "UTC"), ("0 3 * * *", "Not/There"), ("", "")]
)
def test_what_means_nothing_is_refused(cron: str, tz: str) -> None:
    with pytest.raises(InvalidValue):
        times(cron, tz, "2027-01-01T03:00", 1)
