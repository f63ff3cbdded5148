"""What an examination of a backend reports: checks, and what they found.

A backend that can be examined without being opened, such as a file that may be damaged, has an
opener that is a `Checkable`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

SHOWN = 5
"""How many ids a line names."""


class Severity(enum.IntEnum):
    """How bad a finding is. A note is no fault: it does not count for the exit code."""

    NOTE = 0
    WARNING = 1
    ERROR = 2


@attrs.frozen
class Check:
    """One thing that is looked for.

    Attributes:
        name: by which it is reported, and left out with ``ignore``.
        severity: of what it finds.
        means: what follows from it.
        advice: what to do about it.
        repair: what a repair does; empty: it is only reported.
    """

    name: str
    severity: Severity
    means: str
    advice: str
    repair: str = ""


@attrs.frozen
class Finding:
    """What one check found, of one feed or of the server.

    Attributes:
        check: which.
        says: what it is, in a few words.
        feed: the feed's name; empty: it is about the server.
        ids: the first of the ids concerned.
        count: how many there are.
        repaired: how many of them a repair has repaired.
        repairable: how many of them a repair can repair.
    """

    check: Check
    says: str
    feed: str = ""
    ids: tuple[str, ...] = ()
    count: int = 1
    repaired: int = 0
    repairable: int = 0

    @property
    def is_fault(self) -> bool:
        """Whether something is left to be done about it."""
        return self.check.severity > Severity.NOTE and self.repaired < self.count

    @property
    def line(self) -> str:
        """All of it in one line."""
        where = f"feed {self.feed!r}: " if self.feed else ""
        ids = ""
        if self.ids:
            shown = ", ".join(repr(id) for id in self.ids[:SHOWN])
            more = self.count - min(SHOWN, len(self.ids))
            ids = f" ({shown}{f' and {more} more' if more > 0 else ''})"
        return f"{where}{self.says}{ids}; {self.check.means}. {self._remedy}"

    @property
    def _remedy(self) -> str:
        if self.repaired:
            part = "" if self.repaired == self.count else f" {self.repaired} of {self.count}"
            return f"Repaired{part}: {self.check.repair}."
        if self.repairable:
            return f"With --repair: {self.check.repair}."
        return f"{self.check.advice}."

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "check": self.check.name,
            "severity": self.check.severity.name.lower(),
            "feed": self.feed or None,
            "says": self.says,
            "means": self.check.means,
            "advice": self.check.advice,
            "repair": self.check.repair or None,
            "ids": list(self.ids),
            "count": self.count,
            "repairable": self.repairable,
            "repaired": self.repaired,
        }


@attrs.frozen
class Checkup:
    """What a backend found out about what it stores in.

    Attributes:
        name: what was examined, with its version.
        findings: what is wrong with it.
        sizes: how many bytes each feed takes, about.
        can_be_opened: whether the feeds themselves can be examined, by operations.
    """

    name: str
    findings: tuple[Finding, ...]
    sizes: Mapping[str, int] = attrs.field(factory=dict, hash=False)
    can_be_opened: bool = True


@runtime_checkable
class Checkable(Protocol):
    """An optional part of an `Opener`: it examines what a URL leads to, and changes nothing.

    Attributes:
        checks: all checks that it may report.
    """

    checks: tuple[Check, ...]

    def check_up(self, url: str) -> Checkup:
        """Examine it.

        Raises:
            InvalidValue: there is nothing to examine.
            BackendUnavailable: it is not there.
        """
