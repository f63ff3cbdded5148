"""Break everything while it works, then count: was anything lost, doubled or kept quiet?

    python benchmarks/torture.py --seconds 60
    python benchmarks/torture.py --seconds 60 --backend sqlite
    python benchmarks/torture.py --seconds 120 --cluster

Starts processes that put, publish, work, take and listen: on a server of its own (append-only
file, every write on disk before its answer), on a cluster of six, or on an SQLite file. While they
run, processes are killed, stopped and resumed, and their backend has troubles of its own
(`torture_places`). Each process writes down what it is about to do and what it was told
(`torture_roles`); at the end all that still waits is drained, and what was written down is
compared with what is there.

The exit code is 1 when something that was acknowledged was lost or doubled, when an error
was untrue, or when a notice was missed without a gap; on a file, also when there was a gap.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent)]

from torture_places import Numbers, Place, Trouble, enter_own_mounts, place_for
from torture_roles import FEED, JOBS, QUEUE, THE_END

from thoonk import Thoonk

STARTING = 15.0
"""Seconds for a process to come up, most of which is Python's own start."""

DRAINING = 40.0
"""Most seconds for what still waits at the end."""


def say(text: str) -> None:
    """One line about what goes on, away from the report."""
    print(text, file=sys.stderr, flush=True)


# --- the processes ------------------------------------------------------------------------


@attrs.define(eq=False)
class Child:
    """One process, with the file in which it writes."""

    role: str
    style: str
    name: str
    process: subprocess.Popen[bytes]
    journal: Path
    killed: bool = False
    resume_at: float | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Processes:
    """All processes there are or have been."""

    def __init__(self, folder: Path, options: argparse.Namespace, place: Place) -> None:
        self.folder = folder
        self.options = options
        self.place = place
        self.all: list[Child] = []

    def start(self, role: str, style: str) -> Child:
        url = self.place.url(len(self.all))
        name = f"{role}{len(self.all)}"
        journal = self.folder / f"{name}.journal"
        words = [role, style, name, url, self.folder, self.options.confirm_within]
        process = subprocess.Popen(
            [sys.executable, str(HERE / "torture_roles.py"), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{name}.err").open("wb"),
            env={**os.environ, **self.place.environment},
        )
        child = Child(role, style, name, process, journal)
        self.all.append(child)
        return child

    def living(self, *roles: str) -> list[Child]:
        return [c for c in self.all if c.process.poll() is None and (not roles or c.role in roles)]

    def stop_role(self, role: str, seconds: float) -> None:
        """Ask the processes of a role to end, and see that they do."""
        (self.folder / f"stop-{role}").touch()
        deadline = time.monotonic() + seconds
        for child in self.living(role):
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                say(f"{child.name} does not end by itself")
                child.killed = True
                child.process.kill()
                child.process.wait(5)

    def end(self) -> None:
        for child in self.all:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait(5)


# --- what is done to them -----------------------------------------------------------------


class Chaos:
    """One trouble after the other, each soon over."""

    def __init__(self, processes: Processes, place: Place, seed: int) -> None:
        self.processes = processes
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self._troubles: list[tuple[int, Trouble]] = [
            (12, self.kill_a_process),
            (8, self.stop_a_process),
            *place.troubles(self.random),
        ]
        # Whatever chance says, no run is without these.
        self._certain = [*place.certain_troubles(), self.stop_a_process]

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        weights = [weight for weight, _ in self._troubles]
        while time.monotonic() < end or self._certain:
            self.resume()
            is_late = time.monotonic() >= end
            if self._certain and (is_late or self.random.random() < 0.2):
                trouble = self._certain.pop()
            else:
                _, trouble = self.random.choices(self._troubles, weights)[0]
            trouble()
            self.done[trouble.__name__] += 1
            time.sleep(self.random.uniform(0.02, 0.4))
        self.resume(all=True)

    def resume(self, *, all: bool = False) -> None:
        for child in self.processes.all:
            if child.resume_at and (all or time.monotonic() >= child.resume_at):
                child.resume_at = None
                child.signal(signal.SIGCONT)

    def kill_a_process(self) -> None:
        if living := self.processes.living():
            child = self.random.choice(living)
            child.killed = True
            child.process.kill()
            child.process.wait(5)
            self.processes.start(child.role, child.style)

    def stop_a_process(self) -> None:
        if running := [c for c in self.processes.living() if c.resume_at is None]:
            child = self.random.choice(running)
            longest = 2 * self.processes.options.claim_timeout
            child.resume_at = time.monotonic() + self.random.uniform(0.1, longest)
            child.signal(signal.SIGSTOP)


class ClaimWatch:
    """Looks at the claims all the time: how long after one ran out is the next one made?"""

    def __init__(self, place: Place) -> None:
        self.changes: list[tuple[str, float, float]] = []
        self._place = place
        self._stop = threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ClaimWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(0.008):
            for id, token, since in self._place.claims():
                before = self._seen.get(id)
                if before and before[0] != token:
                    self.changes.append((id, before[1], since))
                self._seen[id] = (token, since)

    def recoveries(self, timeout: float, down: list[tuple[float, float]]) -> list[float]:
        """Seconds from when a claim could be ended until the next one."""
        beyond = []
        for _, before, after in self.changes:
            due = before + timeout
            # Nothing is brought back while there is no server.
            for since, until in sorted(down):
                if since <= due <= until:
                    due = until
            if after >= before + timeout - 0.002:
                beyond.append(max(0.0, after - due))
        return sorted(beyond)


# --- what has been written down ---------------------------------------------------------------


@attrs.frozen
class JournalLine:
    """One line of a journal."""

    time: float
    kind: str
    words: tuple[str, ...]


def read_journal(child: Child) -> Iterator[JournalLine]:
    """Its lines; there may be none."""
    with contextlib.suppress(FileNotFoundError):
        for line in child.journal.read_text("utf-8").splitlines():
            moment, kind, *words = line.split("\t")
            yield JournalLine(float(moment), kind, tuple(words))


@attrs.define
class Put:
    """What became of one put or publish."""

    id: str | None = None
    fate: str = "died"


class Account:
    """Adds up the journals."""

    def __init__(self, processes: Processes) -> None:
        self.puts: dict[str, dict[str, Put]] = {JOBS: {}, QUEUE: {}, FEED: {}}
        self.asked_at: dict[str, float] = {}
        self.finished: Counter[str] = Counter()
        self.finishing: set[str] = set()
        self.done_items: set[str] = set()
        self.taken: Counter[str] = Counter()
        self.confirming: set[str] = set()
        self.errors: Counter[str] = Counter()
        self.fenced = 0
        self.zombies = 0
        self._got: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._finishes: list[tuple[str, float, int]] = []
        self.heard: dict[Child, list[JournalLine]] = {}
        for child in processes.all:
            self._read(child)
        for id, asked, number in self._finishes:
            # A later claim had been made before this one asked, and still it was told yes.
            self.zombies += any(moment < asked and n > number for moment, n in self._got[id])

    def _read(self, child: Child) -> None:
        begun: dict[str, float] = {}
        for line in read_journal(child):
            words = line.words
            match line.kind:
                case "put?":
                    self.puts[words[0]][words[1]] = Put()
                    self.asked_at[words[1]] = line.time
                case "put":
                    self.puts[words[0]][words[1]] = Put(words[2], "acknowledged")
                case "unknown" | "refused":
                    self.puts[words[0]][words[1]].fate = line.kind
                case "got":
                    self._got[words[0]].append((line.time, int(words[1])))
                case "finish?":
                    begun[words[0]] = line.time
                case "finish":
                    asked = begun.pop(words[0], line.time)
                    self._finishes.append((words[0], asked, int(words[2])))
                    self.finished[words[0]] += 1
                    self.done_items.add(words[1])
                case "fenced":
                    begun.pop(words[0], None)
                    self.fenced += 1
                case "confirm?":
                    self.confirming.update(words)
                case "took":
                    self.taken[words[0]] += 1
                case "error":
                    self.errors[words[0]] += 1
                case "subscribed" | "gap" | "notice":
                    self.heard.setdefault(child, []).append(line)
        # What is left here was begun and never answered.
        self.finishing.update(begun)

    def of(self, feed: str, fate: str) -> dict[str, Put]:
        return {item: put for item, put in self.puts[feed].items() if put.fate == fate}


def judge_jobs(account: Account, numbers: Numbers) -> dict[str, object]:
    """Every acknowledged job is finished once."""
    acknowledged = account.of(JOBS, "acknowledged")
    unfinished = {
        put.id: item for item, put in acknowledged.items() if item not in account.done_items
    }
    unrecorded = {id for id in unfinished if id in account.finishing}
    refused = account.of(JOBS, "refused")
    return {
        "put": len(acknowledged),
        "put_unknown": len(account.of(JOBS, "died")) + len(account.of(JOBS, "unknown")),
        "finished": sum(account.finished.values()),
        "finished_unrecorded": len(unrecorded),
        "lost": len(unfinished) - len(unrecorded),
        "finished_twice": sum(count - 1 for count in account.finished.values()),
        "fenced": account.fenced,
        "finished_by_who_had_lost_it": account.zombies,
        "left": numbers.jobs_left,
        "server_publishes": numbers.publishes,
        "server_finishes": numbers.finishes,
        # The server's own counters agree, also about what nobody lived to write down.
        "server_disagrees": abs(numbers.publishes - numbers.jobs_left - numbers.finishes),
        "untrue_errors": sum(item in account.done_items for item in refused),
    }


def judge_queue(account: Account, numbers: Numbers) -> dict[str, object]:
    """Every acknowledged item is taken once."""
    acknowledged = account.of(QUEUE, "acknowledged")
    missing = [put.id for item, put in acknowledged.items() if item not in account.taken]
    with_consumer = [id for id in missing if id in account.confirming]
    refused = account.of(QUEUE, "refused")
    return {
        "put": len(acknowledged),
        "put_unknown": len(account.of(QUEUE, "died")) + len(account.of(QUEUE, "unknown")),
        "taken": sum(account.taken.values()),
        # The consumer had reported that it has the item, and was killed before it wrote that down.
        "taken_by_a_killed_consumer": len(with_consumer),
        "lost": len(missing) - len(with_consumer),
        "taken_twice": sum(count - 1 for count in account.taken.values()),
        "left": numbers.items_left,
        "untrue_errors": sum(item in account.taken for item in refused),
    }


def judge_notices(
    account: Account, order: list[str], *, repeats_allowed: bool
) -> dict[str, object]:
    """What each subscriber heard between two gaps is an unbroken part of the feed."""
    position = {id: number for number, id in enumerate(order)}
    item_of = {put.id: item for item, put in account.puts[FEED].items() if put.id}
    asked = [account.asked_at.get(item_of.get(id, ""), -math.inf) for id in order]
    missed = strange = heard = repeated = reached_end = 0
    gaps: dict[str, int] = {}
    for child, lines in account.heard.items():
        gaps[child.name] = 0
        at: int | None = None
        last = -1
        # Everything that was begun after this moment must be heard.
        since = math.inf
        for line in lines:
            if line.kind != "notice":
                gaps[child.name] += line.kind == "gap"
                at, since = None, line.time
                continue
            heard += 1
            place = position.get(line.words[0])
            if place is None:
                strange += 1
                continue
            if repeats_allowed and place <= last:
                repeated += 1  # also after a gap, where it says nothing about what follows
                continue
            if at is None:
                missed += sum(moment > since for moment in asked[:place])
            elif place <= at:
                repeated += 1
                strange += 1
            else:
                missed += place - at - 1
            at = place
            last = max(last, place)
        if not child.killed:
            if at == len(order) - 1:
                reached_end += 1
            elif at is None:
                missed += sum(moment > since for moment in asked)
            else:
                missed += len(order) - 1 - at
    published = account.of(FEED, "acknowledged")
    return {
        "published": len(published),
        "lost": sum(put.id not in position for put in published.values()),
        "heard": heard,
        "missed_without_gap": missed,
        "strange": strange,
        "repeated": repeated,
        "gaps": sum(gaps.values()),
        "gaps_per_subscriber": gaps,
        "subscribers_to_the_end": reached_end,
    }


def percentile(values: list[float], share: float) -> float | None:
    """A value of a sorted list."""
    if not values:
        return None
    return round(values[min(len(values) - 1, math.ceil(share * len(values)) - 1)], 3)


# --- the run -----------------------------------------------------------------------------------


def drain(place: Place) -> bool:
    """Wait until workers and takers have done all there is."""
    deadline = time.monotonic() + DRAINING
    while time.monotonic() < deadline:
        numbers = place.numbers()
        if not numbers.jobs_left and not numbers.items_left:
            return True
        time.sleep(0.05)
    return False


def wait_for_journals(
    processes: Processes, kind: str, children: list[Child], seconds: float
) -> None:
    """Until each living one of the children has written a line of that kind."""
    deadline = time.monotonic() + seconds
    for child in children:
        while time.monotonic() < deadline and child in processes.living():
            text = child.journal.read_text("utf-8") if child.journal.exists() else ""
            if f"\t{kind}" in text:
                break
            time.sleep(0.05)


def run(options: argparse.Namespace) -> dict[str, object]:
    """The whole of it; returns the report."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thoonk-torture-")))
        place = stack.enter_context(place_for(options.backend, options.server, folder))
        processes = Processes(folder, options, place)
        stack.callback(processes.end)
        with Thoonk(backend=place.calm_url) as thoonk:
            thoonk.job(JOBS, {"claim_timeout": options.claim_timeout})
            thoonk.queue(QUEUE)
            thoonk.feed(FEED)
        numbers = {
            "worker": options.workers,
            "taker": options.takers,
            "subscriber": options.subscribers,
            "producer": options.producers,
        }
        styles = {"subscriber": ("sync", "async", "handler")}
        for role, number in numbers.items():
            for index in range(number):
                style = styles.get(role, ("sync", "async"))
                processes.start(role, style[index % len(style)])
        wait_for_journals(processes, "ready", list(processes.all), STARTING)
        chaos = Chaos(processes, place, options.seed)
        with ClaimWatch(place) as watch:
            chaos.run(options.seconds)
            place.calm_down()
            say(f"draining after {sum(chaos.done.values())} troubles")
            processes.stop_role("producer", 20)
            drained = drain(place)
        wait_for_journals(processes, "subscribed", processes.living("subscriber"), STARTING)
        with Thoonk(backend=place.calm_url) as thoonk:
            feed = thoonk.feed(FEED)
            feed.publish(THE_END, id=THE_END)
            wait_for_journals(processes, f"notice\t{THE_END}", processes.living("subscriber"), 25)
            order = feed.get_ids()
        for role in ("worker", "taker", "subscriber"):
            processes.stop_role(role, 15)
        account = Account(processes)
        left = place.numbers()
        jobs, queue = judge_jobs(account, left), judge_queue(account, left)
        notices = judge_notices(account, order, repeats_allowed=place.repeats_allowed)
        beyond = watch.recoveries(options.claim_timeout, place.down)
        broken = [
            (child.name, (folder / f"{child.name}.err").read_text("utf-8", "replace")[-2000:])
            for child in processes.all
            if not child.killed and child.process.returncode
        ]
        report: dict[str, object] = {
            "server": str(place),
            "seconds": options.seconds,
            "seed": options.seed,
            "processes": len(processes.all),
            "killed": sum(child.killed for child in processes.all),
            "troubles": dict(chaos.done),
            "errors_told": dict(account.errors),
            "jobs": jobs,
            "queue": queue,
            "notices": notices,
            "gaps_allowed": place.gaps_allowed,
            "damage": place.damage(),
            "recovery": {
                "claim_timeout": options.claim_timeout,
                "count": len(beyond),
                "p50": percentile(beyond, 0.5),
                "p99": percentile(beyond, 0.99),
                "max": percentile(beyond, 1),
            },
            "drained": drained,
            "broken_processes": broken,
        }
        report["ok"] = not faults(report)
        return report


FAULTS = {
    "jobs": (
        "lost",
        "finished_twice",
        "finished_by_who_had_lost_it",
        "server_disagrees",
        "left",
        "untrue_errors",
    ),
    "queue": ("lost", "taken_twice", "left", "untrue_errors"),
    "notices": ("lost", "missed_without_gap", "strange"),
}
"""What must be zero."""


def faults(report: dict[str, object]) -> list[str]:
    """What is wrong, in words; nothing when all is well."""
    found = [
        f"{part}: {name} is {report[part][name]}"  # type: ignore[index]
        for part, names in FAULTS.items()
        for name in names
        if report[part][name]  # type: ignore[index]
    ]
    if report["broken_processes"]:
        found.append("processes ended with an error")
    if report["damage"]:
        found.append(f"damage: {report['damage']}")
    if not report["gaps_allowed"] and report["notices"]["gaps"]:  # type: ignore[index]
        found.append("there were gaps")
    return found


def show(report: dict[str, object]) -> None:
    """The report for people."""
    print(f"{report['server']}: {report['seconds']} s, seed {report['seed']}")
    print(f"  {report['processes']} processes, {report['killed']} of them killed")
    print("  troubles   " + ", ".join(f"{n} {k}" for k, n in report["troubles"].items()))  # type: ignore[attr-defined]
    for part in ("jobs", "queue", "notices", "recovery"):
        figures: dict[str, object] = report[part]  # type: ignore[assignment]
        print(f"  {part}")
        for name, value in figures.items():
            if name == "gaps_per_subscriber":
                continue
            print(f"    {name.replace('_', ' '):28} {value}")
    print(f"  damage                         {report['damage'] or 'none'}")
    print(f"  errors told to processes       {report['errors_told'] or 'none'}")
    for name, text in report["broken_processes"]:  # type: ignore[attr-defined]
        print(f"  {name} ended with an error:\n{text}")
    print("  all is well" if report["ok"] else "  FAULTS: " + "; ".join(faults(report)))


def parse_arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=float, default=60.0, help="how long there is trouble")
    parser.add_argument("--server", help="a program, or one of redis-6.2, valkey-8.1, redis-path")
    parser.add_argument(
        "--backend",
        default="redis",
        help="redis: a server; sqlite: a file on a disk of its own, which can be filled where this "
        "user may mount one; or sqlite:///PATH",
    )
    parser.add_argument(
        "--cluster", dest="backend", action="store_const", const="cluster", help="on a cluster"
    )
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--takers", type=int, default=3)
    parser.add_argument("--subscribers", type=int, default=3)
    parser.add_argument("--claim-timeout", type=float, default=2.0)
    parser.add_argument(
        "--confirm-within",
        type=float,
        default=2.0,
        help="seconds for a taker to confirm; the library's 10 would be met less often",
    )
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", type=Path, help="write the report here as well")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def main() -> int:
    """Run, print, and return the exit code."""
    options = parse_arguments()
    if options.backend == "sqlite":
        enter_own_mounts()
    report = run(options)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
