"""What a run has found: reading it, and the numbers that tables and charts show."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs

Sample: TypeAlias = dict[str, float]

PUBLISHED = Path("benchmarks/results/published.json")
"""The run that `docs/performance.md` shows, below the checkout."""


@attrs.frozen
class Spread:
    """The middle of some rounds, and the least and the most of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Of one number per round."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))


def rate(sample: Sample) -> float:
    """Items a second."""
    return sample["count"] / sample["seconds"]


def cpu(sample: Sample) -> float:
    """Microseconds on the CPU per item, client and server together."""
    return 1e6 * (sample["client_cpu"] + sample["server_cpu"]) / sample["count"]


def spread(samples: Sequence[Sample], number: Callable[[Sample], float] = rate) -> Spread:
    """Of what is taken from each round's sample."""
    return Spread.of([number(sample) for sample in samples])


def ratio(
    samples: Sequence[Sample],
    reference: Sequence[Sample],
    number: Callable[[Sample], float] = rate,
) -> Spread:
    """Of each round's number by the reference's in the same round.

    What else the machine does has changed less between the two than over the whole run.
    """
    pairs = zip(samples, reference, strict=False)
    return Spread.of([number(sample) / number(other) for sample, other in pairs])


def read(path: Path) -> dict[str, Any]:
    """A run's results."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def write(results: dict[str, Any], path: Path) -> None:
    """Keep them, small and easy to compare."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(results), indent=1, sort_keys=True) + "\n", "utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
