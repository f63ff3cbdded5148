"""Prove that each time of a schedule puts one job, whoever is killed and started meanwhile.

    python benchmarks/periodic.py --seconds 120 --workers 10

Starts a server of its own (append-only file, every write on disk before its answer) with a schedule
that puts a job each second. Workers, each of which makes that schedule again when it begins, are
killed (SIGKILL) and started at random; the server is restarted twice, once it is asked to end and
once it is killed. At the end the jobs that were claimed have to be those of all the times, none
may be left, and the server has to have finished as many.

Prints a JSON object, and ends with exit code 1 when something is not as it should be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis

from benchmarks.server import find_binary
from thoonk import Empty, NotClaimed, Thoonk, ThoonkError
from thoonk.operations import ReadSchedules
from thoonk.testing import servers

FORK = multiprocessing.get_context("fork")
CLAIM_TIMEOUT = 3.0
EVERY_MS = 1000
DOWN = 0.5
"""Seconds between the end of the server and its new start."""


def start(target: Callable[..., None], *arguments: object) -> Any:
    """A forked process: Python does not start anew."""
    process = FORK.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def work(url: str, journal: Path) -> None:
    """Make the schedule, claim and finish; write down what was claimed when, by the server."""
    with Thoonk(backend=url) as thoonk, journal.open("a", buffering=1) as file:
        raw: Any = redis.Redis.from_url(url)
        is_made = False
        while True:
            try:
                job = thoonk.job("ticks")
                if not is_made:
                    file.write(f"made {job.schedule('tick', 'x', every=EVERY_MS / 1000)} -\n")
                    is_made = True
                claim = job.get(timeout=2)
                (since,) = raw.execute_command("ZMSCORE", "feed.claimed:ticks", claim.id)
                file.write(f"claimed {claim.id} {float(since or 0):.0f}\n")
                claim.finish()
                file.write(f"finished {claim.id} -\n")
            except (Empty, NotClaimed):
                continue
            except (ThoonkError, redis.RedisError, OSError):
                time.sleep(0.05)  # the server is down


class Workers:
    """Those that run, and the files of all that ever ran."""

    def __init__(self, url: str, folder: str, count: int) -> None:
        self.url = url
        self.folder = folder
        self.journals: list[Path] = []
        self.running = [self._start() for _ in range(count)]
        self.journals_of_running = [*self.journals]
        self.killed = 0

    def _start(self) -> Any:
        self.journals.append(Path(self.folder, str(len(self.journals))))
        return start(work, self.url, self.journals[-1])

    def replace_one(self) -> None:
        """Kill one at random, and start another."""
        at = random.randrange(len(self.running))
        os.kill(self.running[at].pid, signal.SIGKILL)
        self.running[at].join()
        self.running[at] = self._start()
        self.journals_of_running[at] = self.journals[-1]
        self.killed += 1

    def wait_until_all_have_begun(self) -> None:
        """Whoever begins after the end of the schedule would make it anew."""
        deadline = time.monotonic() + 20
        for journal in self.journals_of_running:
            while not (journal.exists() and "made" in journal.read_text("utf-8")):
                if time.monotonic() > deadline:
                    raise SystemExit(f"the worker of {journal} does not begin")
                time.sleep(0.02)

    def end(self) -> None:
        """Kill them all."""
        for worker in self.running:
            worker.kill()
            worker.join()


def restart(server: servers.Server, how: signal.Signals) -> None:
    """End the server, and start it again a moment later."""
    server.kill(how)
    time.sleep(DOWN)
    server.start()


def eventually(call: Callable[[], Any]) -> Any:
    """What the call returns, asked again while connections to the old server break."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return call()
        except ThoonkError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run it, and count."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    with (
        servers.running(options.server or find_binary(), *durable) as server,
        tempfile.TemporaryDirectory() as folder,
        Thoonk(backend=server.url) as thoonk,
    ):
        job = thoonk.job("ticks", {"claim_timeout": CLAIM_TIMEOUT})
        job.schedule("tick", "x", every=EVERY_MS / 1000)
        first = next_ms(thoonk)
        workers = Workers(server.url, folder, options.workers)
        begin = time.monotonic()
        restarts = [
            (begin + options.seconds / 3, signal.SIGTERM),
            (begin + options.seconds * 2 / 3, signal.SIGKILL),
        ]
        restarted = 0
        while time.monotonic() < begin + options.seconds:
            time.sleep(random.uniform(0.05, 2 * options.kill_every))
            if restarts and time.monotonic() > restarts[0][0]:
                restart(server, restarts.pop(0)[1])
                restarted += 1
            workers.replace_one()
        workers.wait_until_all_have_begun()
        until = eventually(lambda: next_ms(thoonk))
        eventually(lambda: job.unschedule("tick"))
        deadline = time.monotonic() + 30
        while eventually(job.count) and time.monotonic() < deadline:
            time.sleep(0.1)
        counts = job.get_counts()
        workers.end()
        report = counted(workers.journals, first, until)
    left = counts.waiting + counts.claimed + counts.stalled + counts.scheduled
    as_many = report["times"] == report["claimed"] == counts.finished
    nothing_else = not (
        left or report["missing"] or report["not_asked_for"] or report["finished_twice"]
    )
    return {
        "seconds": options.seconds,
        "workers": options.workers,
        "killed": workers.killed,
        "server_restarts": restarted,
        **report,
        "finished": counts.finished,
        "left": left,
        "ok": as_many and nothing_else and restarted == 2 and not report["made_anew"],  # noqa: PLR2004
    }


def next_ms(thoonk: Thoonk) -> int:
    """When the schedule is due next."""
    (status,) = thoonk.backend.execute(ReadSchedules("ticks"))
    assert status.next is not None
    return round(status.next * 1000)


def counted(journals: list[Path], first: int, until: int) -> dict[str, Any]:
    """What the workers have written down, beside the times from the first to the last."""
    lateness, finished, claims, made_anew = dict[str, int](), Counter[str](), Counter[str](), 0
    for journal in journals:
        with contextlib.suppress(FileNotFoundError):  # killed before it began
            for line in journal.read_text("utf-8").splitlines():
                match line.split(" "):
                    case ["claimed", id, since]:
                        claims[id] += 1
                        if since != "0":
                            after = int(since) - int(id.partition("@")[2])
                            lateness[id] = min(after, lateness.get(id, after))
                    case ["finished", id, "-"]:
                        finished[id] += 1
                    case ["made", "True", "-"]:
                        made_anew += 1
    # One more may have come between the look at the next time and the end of the schedule.
    last = max((int(id.partition("@")[2]) for id in claims), default=first)
    times = {f"tick@{at}" for at in range(first, max(last + 1, until), EVERY_MS)}
    late = sorted(lateness.values())
    return {
        "times": len(times),
        "claimed": len(claims),
        "claimed_again_after_a_death": sum(1 for count in claims.values() if count > 1),
        "missing": sorted(times - {*claims}),
        "not_asked_for": sorted({*claims} - times),
        "finished_twice": sorted(id for id, count in finished.items() if count > 1),
        "made_anew": made_anew,
        "early": sum(1 for each in late if each < 0),
        "late_ms_p50": late[len(late) // 2],
        "late_ms_p99": late[len(late) * 99 // 100],
        "late_ms_max": late[-1],
    }


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--kill-every", type=float, default=0.5, help="seconds, on average")
    parser.add_argument("--server", help="the program; default: the one that is there")
    report = run(parser.parse_args())
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
