"""Lengths of time, in a few characters."""

from __future__ import annotations

UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def short_age(seconds: float | None) -> str:
    """Such as ``5s`` or ``2h``; empty for None. Less than 0 is 0s: a clock stepped."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    for unit, length in UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"
