"""The report of an examination: findings, and the sizes of feeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from thoonk.backends.checkups import Check, Finding, Severity

__all__ = ["Check", "Finding", "Report", "Severity", "Size", "in_order"]


@attrs.frozen
class Size:
    """Memory of one feed, about, in bytes: with its stored results."""

    feed: str
    bytes: int
    items: int


@attrs.frozen
class Report:
    """The outcome of an examination.

    Attributes:
        server: which server it is.
        findings: the worst first.
        sizes: the feeds, the largest first.
        commands: how many commands were sent.
    """

    server: str
    findings: tuple[Finding, ...]
    sizes: tuple[Size, ...]
    commands: int

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is left to be done; notes do not count."""
        return not any(finding.is_fault for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "server": self.server,
            "healthy": self.is_healthy,
            "commands": self.commands,
            "findings": [finding.as_dict() for finding in self.findings],
            "memory": [attrs.asdict(size) for size in self.sizes],
        }


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, those of the server before those of feeds."""
    return tuple(sorted(findings, key=lambda f: (-f.check.severity, f.feed, f.check.name)))
