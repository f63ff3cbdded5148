"""How often a worker reports that it is alive, and as part of which group of processes."""

from __future__ import annotations

import attrs


@attrs.frozen
class Reporting:
    """How often a worker reports, and how long a report holds; both in seconds."""

    every: float = 5.0
    keep: float = 20.0


@attrs.frozen
class Group:
    """The processes that one worker has started.

    Attributes:
        name: the ``host:pid`` of the process that has started them; empty: there are none.
        processes: how many there are.
    """

    name: str = ""
    processes: int = 0
