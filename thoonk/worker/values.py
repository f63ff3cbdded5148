"""Checks of what users pass in."""

from __future__ import annotations

from thoonk import config
from thoonk.exceptions import InvalidType


def check_seconds(name: str, value: object) -> float:
    """Return a duration in seconds; 0 stands for none.

    Raises:
        InvalidType: not a number. (Text is one only in a configuration.)
        InvalidValue: negative, under a millisecond, or more than 1e11.
    """
    if isinstance(value, str):
        raise InvalidType(f"{name} must be a number of seconds, not {value!r:.80}")
    return config.check_seconds(name, value)
