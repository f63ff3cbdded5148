"""Prove that jobs for later are on time, each done once, whoever dies.

    python benchmarks/scheduled.py storm --jobs 100000 --workers 20
    python benchmarks/scheduled.py same-id --processes 50
    python benchmarks/scheduled.py heir --times 5
    python benchmarks/scheduled.py million

``storm``: jobs of random due times, and workers of which half are killed (SIGKILL) on the way. No
job may be claimed before its time by the server's clock, be lost, or be finished twice.
``same-id``: processes that put the same id at once; one may succeed.
``heir``: of two takers that wait, the one that has been woken to look when the next job is due is
killed; how late does the other take it?
``million``: what a put and a get cost the server beside a million scheduled jobs.

Each starts a server of its own, prints a JSON object, and ends with exit code 1 when something is
not as it should be.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis

from benchmarks.server import Server, running
from thoonk import Empty, Job, NotClaimed, Thoonk

FORK = multiprocessing.get_context("fork")
CLAIM_TIMEOUT = 3.0
AT_ONCE = 10
"""Jobs that a worker claims at once."""

MILLION = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start(target: Callable[..., None], *arguments: object) -> Any:
    """A forked process: Python does not start anew."""
    process = FORK.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def server_ms(server: Server) -> int:
    """The server's time."""
    seconds, micro = server.client.time()
    return int(seconds) * 1000 + int(micro) // 1000


# --- storm --------------------------------------------------------------------------------


def put_jobs(url: str, numbers: range, begin: int, within: float) -> None:
    """Put jobs, each for a time of its own; the item is that time in ms."""
    dice = random.Random(numbers.start)
    with Thoonk(backend=url) as thoonk:
        job = thoonk.job("storm")
        for _ in numbers:
            due = begin + dice.randrange(int(within * 1000))
            job.put(str(due), at=EPOCH + timedelta(milliseconds=due))


def work(url: str, journal: str) -> None:
    """Claim and finish, and write down what was claimed when, by the server's clock."""
    with Thoonk(backend=url) as thoonk, Path(journal).open("a", buffering=1) as file:
        job = thoonk.job("storm")
        raw: Any = redis.Redis.from_url(url)
        while True:
            try:
                claims = job.get_many(AT_ONCE, timeout=5)
            except Empty:
                continue
            times = raw.execute_command("ZMSCORE", "feed.claimed:storm", *[c.id for c in claims])
            file.writelines(
                f"claimed {claim.id} {claim.item} {float(since or 0):.0f}\n"
                for claim, since in zip(claims, times, strict=True)
            )
            for claim in claims:
                try:
                    claim.finish()
                except NotClaimed:
                    continue  # it has run out on a machine that is too slow
                file.write(f"finished {claim.id}\n")


def storm(options: argparse.Namespace) -> dict[str, Any]:
    """Run it, and count."""
    with running() as server, tempfile.TemporaryDirectory() as folder:
        with Thoonk(backend=server.url) as thoonk:
            job = thoonk.job("storm", {"claim_timeout": CLAIM_TIMEOUT})
            # Half a millisecond for a put is much, with two processes that put.
            begin = server_ms(server) + int(options.jobs * options.put_ms) + 2000
            half = options.jobs // 2
            parts = (range(half), range(half, options.jobs))
            putters = [start(put_jobs, server.url, p, begin, options.within) for p in parts]
            for putter in putters:
                putter.join()
            spare = begin - server_ms(server)
            journals = [f"{folder}/{number}" for number in range(options.workers)]
            workers = [start(work, server.url, journal) for journal in journals]
            doomed = workers[: options.workers // 2]
            first = begin / 1000
            moments = sorted(random.uniform(0.1, 0.9) * options.within for _ in doomed)
            for worker, moment in zip(doomed, moments, strict=True):
                time.sleep(max(0.0, first + moment - server_ms(server) / 1000))
                os.kill(worker.pid, signal.SIGKILL)
                worker.join()
            deadline = time.monotonic() + options.within + 60
            while job.count() and time.monotonic() < deadline:
                time.sleep(0.1)
            counts = job.get_counts()
            for worker in workers:
                worker.kill()
                worker.join()
        early, lateness, seen = 0, dict[str, int](), Counter[str]()
        for journal in journals:
            for line in Path(journal).read_text().splitlines():
                match line.split(" "):
                    case ["claimed", id, due, since] if since != "0":
                        after = int(since) - int(due)
                        early += after < 0
                        lateness[id] = min(after, lateness.get(id, after))
                    case ["finished", id]:
                        seen[id] += 1
        late = sorted(lateness.values())
        return {
            "jobs": options.jobs,
            "ms_between_puts_and_first_due": spare,
            "killed": len(doomed),
            "finished": counts.finished,
            "left": counts.waiting + counts.claimed + counts.stalled + counts.scheduled,
            "claimed": len(lateness),
            "early": early,
            "finished_twice": sum(1 for times in seen.values() if times > 1),
            "late_ms_p50": late[len(late) // 2],
            "late_ms_p99": late[len(late) * 99 // 100],
            "late_ms_max": late[-1],
            "ok": counts.finished == options.jobs
            and not (early or job_left(counts) or max(seen.values()) > 1),
        }


def job_left(counts: Any) -> bool:
    """Whether a job is in any state."""
    return bool(counts.waiting or counts.claimed or counts.stalled or counts.scheduled)


# --- same id --------------------------------------------------------------------------------


def put_at(url: str, moment: float, answers: Any) -> None:
    """Put the one id at that moment."""
    with Thoonk(backend=url) as thoonk:
        job = thoonk.job("same")
        time.sleep(max(0.0, moment - time.time()))
        answers.put(job.put("x", id="the one", delay=random.choice([None, 60])).outcome.name)


def same_id(options: argparse.Namespace) -> dict[str, Any]:
    """Let all put it at once, again and again."""
    rounds = []
    with running() as server, Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("same")
        for _ in range(options.times):
            answers = FORK.SimpleQueue()
            moment = time.time() + options.processes * 0.02 + 0.3
            putters = [start(put_at, server.url, moment, answers) for _ in range(options.processes)]
            outcomes = Counter(answers.get() for _ in putters)
            for putter in putters:
                putter.join()
            rounds.append(dict(outcomes))
            assert job.count() == 1
            job.retract("the one")
    one = {"ADDED": 1, "KEPT": options.processes - 1}
    return {"rounds": rounds, "ok": all(outcomes == one for outcomes in rounds)}


# --- heir --------------------------------------------------------------------------------


def take_one(url: str, name: str, answers: Any) -> None:
    """Wait for a job, and say when it came."""
    with Thoonk(backend=url, client_name=name) as thoonk:
        job = thoonk.job("heir")
        claim = job.get()
        answers.put((name, time.time()))
        claim.finish()


def heir(options: argparse.Namespace) -> dict[str, Any]:
    """Kill the taker that was woken, and see when the other one comes."""
    late = []
    with running() as server, Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("heir", {"claim_timeout": 60})
        for _ in range(options.times):
            answers = FORK.SimpleQueue()
            takers = {name: start(take_one, server.url, name, answers) for name in "ab"}
            # Both have done nothing for a while; who looks has done something just now.
            until(lambda: idle(server) == [True, True])
            id = job.put("x", delay=3)
            info = job.get_info(id)
            assert info is not None
            assert info.due is not None
            until(lambda: idle(server) == [False, True])
            woken = next(client["name"] for client in blocked(server) if client["idle"] == "0")
            takers[woken].kill()
            takers[woken].join()
            name, when = answers.get()
            assert name != woken
            late.append(when - info.due.timestamp())
            takers[name].join()
    seconds = [round(each, 3) for each in late]
    return {"late_s": seconds, "max": max(seconds), "ok": max(late) < 11}  # noqa: PLR2004


def blocked(server: Server) -> list[Any]:
    """The clients that wait for something."""
    return [c for c in server.client.client_list() if "b" in c["flags"]]


def idle(server: Server) -> list[bool]:
    """Of each that waits whether it has done so for a second."""
    return sorted(int(client["idle"]) > 0 for client in blocked(server))


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it did not happen")
        time.sleep(0.005)


# --- million --------------------------------------------------------------------------------


def calls_on(job: Job[str]) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    return {
        "put": lambda: job.put("x" * 100),
        "get": lambda: job.get_nowait().finish(),
        "put for later": lambda: job.put("x", delay=10**7),
    }


def million(options: argparse.Namespace) -> dict[str, Any]:
    """Put and get in turn in a feed with many scheduled jobs, and in one with none."""
    with running() as server, Thoonk(backend=server.url) as thoonk:
        far = server_ms(server) + 10**9
        jobs = {name: thoonk.job(name) for name in ("some", "none")}
        for first in range(0, options.jobs, 10_000):
            ids = [f"later {number}" for number in range(first, first + 10_000)]
            with server.client.pipeline(transaction=False) as pipeline:
                dues = {id: far + random.randrange(10**9) for id in ids}
                pipeline.zadd("feed.scheduled:some", dues)
                pipeline.hset("feed.scheduleditems:some", mapping=dict.fromkeys(ids, "x" * 50))
                pipeline.execute()
        spent: dict[tuple[str, str], list[float]] = {}
        for number in range(options.times):
            for name in jobs if number % 2 else reversed(jobs):
                doing = calls_on(jobs[name])
                for what, call in doing.items():
                    begin = server.processor_time()
                    for _ in range(200):
                        call()
                    spent.setdefault((what, name), []).append(server.processor_time() - begin)
        quick = {key: statistics.quantiles(times)[0] for key, times in spent.items()}
        ratios = {
            what: round(quick[what, "none"] / quick[what, "some"], 3)
            for what in ("put", "get", "put for later")
        }
        return {"scheduled": options.jobs, "ratios": ratios, "ok": min(ratios.values()) > 0.8}  # noqa: PLR2004


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("storm")
    one.set_defaults(run=storm)
    one.add_argument("--jobs", type=int, default=100_000)
    one.add_argument("--workers", type=int, default=20)
    one.add_argument("--within", type=float, default=60.0, metavar="SECONDS")
    one.add_argument("--put-ms", type=float, default=0.5, help="time for a put")
    one = commands.add_parser("same-id")
    one.set_defaults(run=same_id)
    one.add_argument("--processes", type=int, default=50)
    one.add_argument("--times", type=int, default=5)
    one = commands.add_parser("heir")
    one.set_defaults(run=heir)
    one.add_argument("--times", type=int, default=5)
    one = commands.add_parser("million")
    one.set_defaults(run=million)
    one.add_argument("--jobs", type=int, default=MILLION)
    one.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    report = options.run(options)
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
