"""How many jobs are claimed at once: more while they are quick, one when they are not."""

from __future__ import annotations

import pytest

from thoonk.worker.adaptive_prefetch import LEVELS, STREAK, AdaptivePrefetch


def after(tuner: AdaptivePrefetch, seconds: float, times: int) -> list[int]:
    """The numbers that it came to."""
    return [tuner.prefetch for _ in range(times) if tuner.after(seconds)]


def test_it_grows_while_jobs_are_quick_and_says_so_once() -> None:
    tuner = AdaptivePrefetch(None)
    assert tuner.prefetch == 1
    assert after(tuner, 0.001, STREAK - 1) == []
    assert after(tuner, 0.001, 1) == [LEVELS[1]]
    assert after(tuner, 0.001, 10 * STREAK) == [LEVELS[2]]


def test_one_slow_job_ends_it_at_once() -> None:
    tuner = AdaptivePrefetch(None)
    after(tuner, 0.0, 10 * STREAK)
    assert tuner.after(0.2)
    assert tuner.prefetch == 1
    assert after(tuner, 0.0, STREAK - 1) == []


def test_jobs_that_are_not_quick_on_average_do_not_count() -> None:
    tuner = AdaptivePrefetch(None)
    assert after(tuner, 0.02, 10 * STREAK) == []
    after(tuner, 0.0, STREAK)
    assert after(tuner, 0.02, STREAK) == [1]


@pytest.mark.parametrize("number", [1, 7])
def test_a_number_stays_what_it_is(number: int) -> None:
    tuner = AdaptivePrefetch(number)
    assert after(tuner, 0.0, 100) == []
    assert after(tuner, 1.0, 1) == []
    assert tuner.prefetch == number
