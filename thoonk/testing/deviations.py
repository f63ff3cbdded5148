"""Tests of the contract that a backend does not pass on purpose."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from thoonk.exceptions import InvalidValue


def check_deviations(suite: type, deviations: Mapping[str, str]) -> None:
    """Refuse names that are not tests, and deviations without a reason.

    Raises:
        InvalidValue: there is one.
    """
    for name, reason in deviations.items():
        if not hasattr(suite, name):
            raise InvalidValue(f"{suite.__name__} deviates from {name!r}, which is not a test")
        if not reason:
            raise InvalidValue(f"{suite.__name__} gives no reason to deviate from {name!r}")


def skip_deviation(request: pytest.FixtureRequest, deviations: Mapping[str, str]) -> None:
    """Skip the test if it is one of the deviations."""
    # The fixture is one of a test that is a method, which is a function.
    name: str = request.function.__name__
    if name in deviations:
        pytest.skip(f"deviation: {deviations[name]}")
