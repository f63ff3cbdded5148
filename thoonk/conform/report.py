"""What came of it: lines for people, and JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from thoonk.conform.runner import CONTRACT, Declaration, Outcome
from thoonk.conform.values import show


def lines(outcome: Outcome) -> Iterator[str]:
    """A vector that failed, with what was asked and each difference."""
    vector, step = outcome.vector, outcome.vector.steps[outcome.step - 1]
    yield f"FAILED  {vector.title}"
    if len(vector.steps) > 1:
        yield f"        in step {outcome.step} of {len(vector.steps)}"
    yield f"        {step.operation} {show(dict(step.arguments))}"
    for difference in outcome.differences:
        yield f"    {difference.where}"
        first, *more = difference.got.splitlines() or [""]
        yield f"        expected  {difference.expected}"
        yield f"        got       {first}"
        yield from (f"                  {line}" for line in more)


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many passed, failed and were skipped, and why."""
    skipped = Counter(outcome.skipped for outcome in outcomes if outcome.skipped)
    failed = sum(outcome.failed for outcome in outcomes)
    passed = len(outcomes) - failed - skipped.total()
    line = f"{passed} passed, {failed} failed, {skipped.total()} skipped"
    if skipped:
        line += f" ({', '.join(f'{count} {why}' for why, count in skipped.items())})"
    return line


def as_json(declared: Declaration, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "contract": CONTRACT,
        "peer": {
            "name": declared.name,
            "level": declared.level,
            "without": sorted(declared.without),
        },
        "vectors": [
            {
                "section": outcome.vector.section,
                "name": outcome.vector.name,
                "outcome": "skipped"
                if outcome.skipped
                else "failed"
                if outcome.failed
                else "passed",
                **({"reason": outcome.skipped} if outcome.skipped else {}),
                **(
                    {
                        "step": outcome.step,
                        "differences": [attrs.asdict(d) for d in outcome.differences],
                    }
                    if outcome.failed
                    else {}
                ),
            }
            for outcome in outcomes
        ],
    }
