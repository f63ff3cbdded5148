"""Shows outcomes: as lines for people, as JSON for programs."""

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
    peer = {"name": declared.name, "level": declared.level, "without": sorted(declared.without)}
    return {"contract": CONTRACT, "peer": peer, "vectors": [*map(_outcome_as_json, outcomes)]}


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    fields: dict[str, Any] = {"section": outcome.vector.section, "name": outcome.vector.name}
    if outcome.skipped:
        return {**fields, "outcome": "skipped", "reason": outcome.skipped}
    if outcome.failed:
        differences = [attrs.asdict(difference) for difference in outcome.differences]
        return {**fields, "outcome": "failed", "step": outcome.step, "differences": differences}
    return {**fields, "outcome": "passed"}
