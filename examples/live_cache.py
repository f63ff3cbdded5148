"""A live cache: many processes read from their own memory what one feed holds.

    python examples/live_cache.py [--backend URL] [--processes 4] [--changes 1000]

Prices change all the time and are read far more often than they change. So each process
keeps a copy of the feed and reads it without a round trip; notices keep the copy up to
date. `subscribe(resync=True)` begins with what is there, and makes up for what was missed
when a connection was lost: the copies cannot go stale unnoticed.

In the end each process says what its copy holds. All have to agree with the feed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import threading
from collections.abc import Iterator, Mapping
from typing import Generic, Self, TypeVar

from side_by_side import Processes, main, names_of_our_own, parser

from thoonk import JSON, Deleted, Edited, Feed, Published, Retracted, Thoonk

T = TypeVar("T")

TICKERS = [f"item-{number}" for number in range(50)]
CHANGES = ["publish"] * 9 + ["retract"]
END = "the-end"
TIMEOUT = 60.0


class LiveCache(Mapping[str, T], Generic[T]):
    """A read-only dict of what is in a feed, kept up to date by a thread."""

    def __init__(self, feed: Feed[T]) -> None:
        """Begins to follow ``feed`` when the block is entered."""
        self._notices = feed.subscribe(resync=True)
        self._items: dict[str, T] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._notices.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._notices.close()
        self._thread.join()

    def _follow(self) -> None:
        for notice in self._notices:
            with self._changed:
                match notice:
                    case Published(id=id, item=item) | Edited(id=id, item=item):
                        self._items[id] = item
                    case Retracted(id=id):
                        self._items.pop(id, None)
                    case Deleted():
                        self._items.clear()
                self._changed.notify_all()

    def __getitem__(self, id: str) -> T:
        return self._items[id]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def wait_for(self, id: str, timeout: float) -> bool:
        """Wait until there is an item of that id.

        Notices come in order. So whoever sees an item has seen all that was before it:
        this is also how to read what one has just written.
        """
        with self._changed:
            return self._changed.wait_for(lambda: id in self._items, timeout)


def digest(prices: Mapping[str, int]) -> str:
    """A short text that is the same for the same prices."""
    return hashlib.sha256(json.dumps(sorted(prices.items())).encode()).hexdigest()[:12]


def follow(backend: str, prefix: str, name: str) -> None:
    """What each process does: hold a copy until the end, then say what is in it."""
    with Thoonk(backend=backend) as thoonk:
        reports = thoonk.queue(prefix + "reports")
        with LiveCache(thoonk.feed(prefix + "prices", serializer=JSON)) as prices:
            reports.put(f"{name} follows")
            complete = prices.wait_for(END, TIMEOUT)
            reports.put(f"{name} {digest(prices) if complete else 'never heard of the end'}")


def run(arguments: argparse.Namespace) -> bool:
    """Change prices while processes follow; returns whether all copies agree."""
    with (
        Thoonk(backend=arguments.backend) as thoonk,
        names_of_our_own(thoonk) as prefix,
        Processes(arguments.backend) as processes,
    ):
        prices = thoonk.feed(prefix + "prices", serializer=JSON)
        reports = thoonk.queue(prefix + "reports")
        for number in range(arguments.processes):
            processes.start(follow, prefix, f"process-{number}")
        for _ in range(arguments.processes):
            print(reports.get(timeout=TIMEOUT))

        for _ in range(arguments.changes):
            ticker = random.choice(TICKERS)
            if random.choice(CHANGES) == "retract":
                prices.retract(ticker)
            else:
                prices.publish(random.randrange(1000), id=ticker)
        prices.publish(0, id=END)

        truth = digest(prices.get_all())
        print(f"feed      {truth} after {arguments.changes} changes")
        agreed = True
        for _ in range(arguments.processes):
            report = reports.get(timeout=TIMEOUT)
            print(report)
            agreed = agreed and report.endswith(f" {truth}")
        print("All copies agree." if agreed else "The copies differ.")
    return agreed


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--processes", type=int, default=4, metavar="N")
    options.add_argument("--changes", type=int, default=1000, metavar="N")
    main(run, options.parse_args())
