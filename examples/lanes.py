"""Lanes with their own rates: bulk work cannot hold up what is urgent, nor be starved.

    python examples/lanes.py [--backend URL] [--workers 3]

Two queues are two lanes. Each has a limit that counts for all processes together: at most
so many in any second, by the server's clock. The limit is a job feed with as many jobs
("permits") as are allowed in a second, and a claim_timeout of that second. To get a permit
is to claim one. Nobody finishes it: the claim runs out, and the permit is there again a
second after it was claimed. Whoever waits for a permit is woken for it.

Forty letters are put into the bulk lane, and eight urgent ones after them. The urgent ones
are through first.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from side_by_side import Processes, main, names_of_our_own, parser

from thoonk import AsyncThoonk, Published, Thoonk

PERIOD = 1.0
RATES = {"urgent": 10, "bulk": 10}
"""How many may pass in each period."""

LETTERS = {"bulk": 40, "urgent": 8}
TIMEOUT = 60.0
END = "the end"


def set_up(thoonk: Thoonk, prefix: str) -> None:
    """Make the lanes and fill their permits in. Once, by whoever installs the whole."""
    for lane, rate in RATES.items():
        thoonk.create_feed(prefix + lane, {"type": "queue"})
        permits = thoonk.job(f"{prefix}{lane}-permits", {"claim_timeout": PERIOD})
        permits.put_many([""] * rate)


async def serve(thoonk: AsyncThoonk, prefix: str, lane: str) -> None:
    """Carry letters of one lane, no faster than is allowed."""
    letters = await thoonk.queue(prefix + lane)
    permits = await thoonk.job(f"{prefix}{lane}-permits")
    out = await thoonk.feed(prefix + "out")
    while (letter := await letters.get(timeout=TIMEOUT)) != END:
        await permits.get(timeout=TIMEOUT)
        await out.publish(letter)
    await letters.put(END)  # for the next worker


async def work(backend: str, prefix: str) -> None:
    """One task for each lane, so that none waits for another."""
    async with AsyncThoonk(backend=backend) as thoonk, asyncio.TaskGroup() as lanes:
        for lane in RATES:
            lanes.create_task(serve(thoonk, prefix, lane))


def start(backend: str, prefix: str) -> None:
    """What each process does."""
    asyncio.run(work(backend, prefix))


def run(arguments: argparse.Namespace) -> bool:
    """Returns whether the limits were kept and the urgent letters came first."""
    with (
        Thoonk(backend=arguments.backend) as thoonk,
        names_of_our_own(thoonk) as prefix,
        Processes(arguments.backend) as processes,
        thoonk.feed(prefix + "out").subscribe(resync=True) as notices,
    ):
        set_up(thoonk, prefix)
        for lane, number in LETTERS.items():
            thoonk.queue(prefix + lane).put_many([lane] * number)
        for _ in range(arguments.workers):
            processes.start(start, prefix)

        times: dict[str, list[float]] = {lane: [] for lane in LETTERS}
        while sum(map(len, times.values())) < sum(LETTERS.values()):
            match notices.get(timeout=TIMEOUT):
                case Published(item=lane):
                    times[lane].append(time.monotonic())
        for lane in LETTERS:
            thoonk.queue(prefix + lane).put(END)

    began = min(min(each) for each in times.values())
    for lane, each in times.items():
        print(f"{lane:<7} {len(each):>3} letters, the last after {max(each) - began:.1f} s")
    # Forty letters at ten in a second: the last ten may go three seconds after the first.
    slow = max(times["bulk"]) - began > (LETTERS["bulk"] / RATES["bulk"] - 1) * PERIOD - 0.2
    first = max(times["urgent"]) < max(times["bulk"]) - PERIOD
    fine = slow and first
    print("The limits were kept, and what was urgent came first." if fine else "It went wrong.")
    return fine


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--workers", type=int, default=3, metavar="N")
    main(run, options.parse_args())
