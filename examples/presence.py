"""A presence list: who is here, known to everybody, kept by nobody in particular.

    python examples/presence.py [--backend URL]

Each member publishes an entry under its own name and renews it every beat. Everybody
follows the feed and so knows who is here. Who leaves retracts the entry. Who dies goes on
standing there, until somebody has not heard of it for some beats and retracts it: the
first does it, for the others there is nothing left to retract.

No clock of one machine is compared with that of another: each member goes by when it has
heard of the others itself. A member that does not even hear itself is the one that is cut
off, and judges nobody. One that was retracted wrongly hears of it and comes back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from side_by_side import Processes, main, names_of_our_own, parser, vanish

from thoonk import JSON, Edited, Empty, Feed, FeedSubscription, Published, Retracted, Thoonk

BEAT = 0.2
"""Seconds between two signs of life."""

LEASE = 10 * BEAT
"""So long unheard of, a member counts as gone."""

NAMES = ("Ann", "Bob", "Cleo")


class Member:
    """One name in the list, and what it knows of the others."""

    def __init__(self, feed: Feed[dict[str, int]], name: str) -> None:
        """``feed`` is the list, ``name`` unlike all others."""
        self._feed = feed
        self.name = name
        self.heard: dict[str, float] = {}
        self.met: set[str] = set()
        self._beats = 0

    def live(self, goes_on: Callable[[], bool]) -> None:
        """Be present, and keep the list, as long as ``goes_on()`` is true."""
        with self._feed.subscribe(resync=True) as notices:
            while goes_on():
                # To listen comes first: who is seen by others has seen them.
                self._listen(notices)
                self._look_for_the_dead()
                self._beats += 1
                self._feed.publish({"beats": self._beats}, id=self.name)

    def _listen(self, notices: FeedSubscription[dict[str, int]]) -> None:
        """For the length of a beat."""
        end = time.monotonic() + BEAT
        while (left := end - time.monotonic()) > 0:
            try:
                notice = notices.get(timeout=left)
            except Empty:
                return
            match notice:
                case Published(id=id) | Edited(id=id):
                    self.heard[id] = time.monotonic()
                    self.met.add(id)
                case Retracted(id=id):
                    self.heard.pop(id, None)

    def _look_for_the_dead(self) -> None:
        now = time.monotonic()
        if now - self.heard.get(self.name, 0.0) > 2 * BEAT:
            return  # we do not even hear ourselves
        for name, heard in list(self.heard.items()):
            if now - heard > LEASE and self._feed.retract(name):
                print(f"{self.name}: {name} has died", flush=True)

    def leave(self) -> None:
        """Say goodbye."""
        self._feed.retract(self.name)


def visit(backend: str, prefix: str, name: str, dies: bool) -> None:
    """Stay until all three have met; then leave, or die."""
    with Thoonk(backend=backend) as thoonk:
        member = Member(thoonk.feed(prefix + "present", serializer=JSON), name)
        member.live(lambda: len(member.met) < len(NAMES))
        if dies:
            vanish()
        member.leave()


def stay(backend: str, prefix: str, name: str) -> None:
    """Stay until the others have gone."""
    with Thoonk(backend=backend) as thoonk:
        member = Member(thoonk.feed(prefix + "present", serializer=JSON), name)
        member.live(lambda: len(member.met) < len(NAMES) or len(member.heard) > 1)
        member.leave()


def run(arguments: argparse.Namespace) -> bool:
    """Three come; one leaves, one dies. Returns whether the list told all of it."""
    with (
        Thoonk(backend=arguments.backend) as thoonk,
        names_of_our_own(thoonk) as prefix,
        Processes(arguments.backend) as processes,
    ):
        present = thoonk.feed(prefix + "present", serializer=JSON)
        came: list[str] = []
        went: list[str] = []
        with present.subscribe(resync=True) as notices:
            processes.start(stay, prefix, "Ann")
            processes.start(visit, prefix, "Bob", False)
            processes.start(visit, prefix, "Cleo", True)
            while "Ann" not in went:
                match notices.get(timeout=30):
                    case Published(id=name):
                        came.append(name)
                        print(f"+ {name}", flush=True)
                    case Retracted(id=name):
                        went.append(name)
                        print(f"- {name}; here: {', '.join(sorted(present)) or 'nobody'}")
        # Ann was the last to leave, and it was she who saw that Cleo had died.
        fine = {*came} == {*went} == {*NAMES}
    print("Everybody's coming and going was seen." if fine else f"came {came}, went {went}")
    return fine


if __name__ == "__main__":
    main(run, parser(__doc__).parse_args())
