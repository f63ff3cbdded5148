"""Processes are killed and stopped at any instant: what they had is available again."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import World

from thoonk import AsyncThoonk, Empty, Thoonk, operations

CONFIRM_WITHIN = 1.0
"""Here, so that the sweep does not take long; the library's own is 10 seconds."""

CLAIM_TIMEOUT = 0.7

SLACK = 8.0
"""Seconds that may be added to these on a machine that is busy."""

# Forks a process for each line it is given, so that one costs milliseconds and not the start
# of an interpreter. Nothing is connected before the fork.
NURSERY = """
import os, signal, sys, time
from pathlib import Path
from thoonk import NotClaimed, Thoonk, operations
from thoonk.backends import open_backend

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
operations.CONFIRM_WITHIN = float(sys.argv[1])

class Watched:
    def __init__(self, backend, tell):
        self.backend, self.tell = backend, tell
        self.wait, self.listen, self.close = backend.wait, backend.listen, backend.close
    def execute(self, operation):
        if isinstance(operation, (operations.QueueConfirm, operations.JobFinish)):
            self.tell("ending")
        return self.backend.execute(operation)

def child(role, url, feed, journal):
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    tell = lambda text: os.write(file, (text + "\\n").encode())
    thoonk = Thoonk(backend=Watched(open_backend(url)[0], tell))
    if role == "take":
        thoonk.queue(feed).get()
        tell("took")
    else:
        claim = thoonk.job(feed).get()
        tell("got")
        while role == "hold" and not Path(journal + ".go").exists():
            time.sleep(0.01)
        try:
            claim.finish()
        except NotClaimed:
            tell("refused")
        else:
            tell("finished")
    time.sleep(60)

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            child(*line.rstrip("\\n").split("\\t"))
        finally:
            os._exit(0)
    print(pid, flush=True)
"""


def poll(condition, seconds: float = 10):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.002)
    return value


class Victim:
    """A process that takes, and what it has written."""

    def __init__(self, pid: int, journal: Path) -> None:
        self.pid = pid
        self.journal = journal

    def told(self, word: str) -> bool:
        return self.journal.exists() and word in self.journal.read_text().split()

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)


class Nursery:
    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._victims: list[Victim] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY, str(CONFIRM_WITHIN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, role: str, feed: str) -> Victim:
        journal = self._folder / f"{len(self._victims)}"
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\t".join([role, self._url, feed, str(journal)]) + "\n")
        self._process.stdin.flush()
        victim = Victim(int(self._process.stdout.readline()), journal)
        self._victims.append(victim)
        return victim

    def close(self) -> None:
        # Its children are this test's own: killed one by one, while their pids are theirs.
        for victim in self._victims:
            victim.kill()
        self._process.communicate(timeout=10)


@pytest.fixture
def nursery(real_world: World, tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(real_world.url, tmp_path)
    try:
        yield nursery
    finally:
        nursery.close()


def blocked(world: World) -> int:
    return int(world.raw.info("clients")["blocked_clients"])  # type: ignore[index]


def kill_around_a_put(feed, victim: Victim, delay: float) -> None:
    """Put an item and kill the victim ``delay`` seconds after (or before) that was sent."""
    go = threading.Event()

    def kill() -> None:
        go.wait()
        until = time.perf_counter() + delay
        while time.perf_counter() < until:
            pass
        victim.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    go.set()
    if delay < 0:
        killer.join()
    feed.put(feed.name)
    killer.join()


DELAYS = [
    -1.0,
    *(step * 0.0001 for step in range(26)),
    *(0.003, 0.004, 0.006, 0.01, 0.03, 0.1, 0.5),
]
"""From before the put, through taking and confirming, to after it, on a loaded machine, too."""


@pytest.mark.parametrize("role", ["take", "claim"])
def test_nothing_is_lost_whenever_a_taker_is_killed(
    real_world: World, nursery: Nursery, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CONFIRM_WITHIN", CONFIRM_WITHIN)
    limit = (CONFIRM_WITHIN if role == "take" else CLAIM_TIMEOUT) + SLACK
    outcomes: Counter[str] = Counter()
    with Thoonk(backend=real_world.url) as thoonk:
        rounds = []
        for number, delay in enumerate(DELAYS):
            name = f"f{number}"
            if role == "take":
                feed = thoonk.queue(name)
            else:
                feed = thoonk.job(name, {"claim_timeout": CLAIM_TIMEOUT})
            poll(lambda: blocked(real_world) == 0)
            victim = nursery.start(role, name)
            poll(lambda: blocked(real_world) == 1)
            kill_around_a_put(feed, victim, delay)
            rounds.append((feed, victim, time.monotonic()))
        for feed, victim, killed in rounds:
            # What was under way when the process died has come to its end by now.
            if not real_world.raw.hexists(f"feed.items:{feed.name}", feed.name) and (
                real_world.raw.hlen(f"feed.items:{feed.name}") == 0
            ):
                # Gone: only because the victim said that it had it, and only once.
                assert victim.told("ending"), feed.name
                outcomes["ended"] += 1
                with pytest.raises(Empty):
                    feed.get_nowait()
                continue
            patience = max(0.05, killed + limit - time.monotonic())
            got = feed.get(timeout=patience)
            outcomes["ending" if victim.told("ending") else "came back"] += 1
            if role == "take":
                assert got == feed.name
            else:
                assert got.item == feed.name
                got.finish()
            with pytest.raises(Empty):
                feed.get_nowait()
            assert not real_world.raw.exists(
                *(f"feed.{word}:{feed.name}" for word in ("items", "ids", "reserved", "claimed"))
            )
            if role == "claim":
                assert feed.get_counts().finished == 1
    # The sweep went over the whole of it.
    assert outcomes["ended"] > 0, outcomes
    assert outcomes["came back"] > 0, outcomes


def test_a_worker_that_slept_too_long_cannot_finish_anothers_job(
    real_world: World, nursery: Nursery
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        jobs = thoonk.job("j", {"claim_timeout": CLAIM_TIMEOUT})
        jobs.put("work")
        sleeper = nursery.start("hold", "j")
        poll(lambda: sleeper.told("got"))
        sleeper.signal(signal.SIGSTOP)
        Path(f"{sleeper.journal}.go").touch()
        claim = jobs.get(timeout=CLAIM_TIMEOUT + SLACK)
        sleeper.signal(signal.SIGCONT)
        poll(lambda: sleeper.told("refused") or sleeper.told("finished"))
        assert sleeper.told("refused")
        assert claim.cancelled == 1
        assert jobs.get_counts().claimed == 1
        claim.finish()
        assert jobs.get_counts().finished == 1


def test_a_worker_that_slept_through_anothers_finish_is_refused_as_well(
    real_world: World, nursery: Nursery
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        jobs = thoonk.job("j", {"claim_timeout": CLAIM_TIMEOUT})
        jobs.put("work")
        sleeper = nursery.start("hold", "j")
        poll(lambda: sleeper.told("got"))
        sleeper.signal(signal.SIGSTOP)
        Path(f"{sleeper.journal}.go").touch()
        jobs.get(timeout=CLAIM_TIMEOUT + SLACK).finish()
        sleeper.signal(signal.SIGCONT)
        poll(lambda: sleeper.told("refused") or sleeper.told("finished"))
        assert sleeper.told("refused")
        assert jobs.get_counts().finished == 1


def claimed_at(world: World, id: str) -> float:
    """The server's time of the claim, in seconds."""
    return float(world.raw.zscore("feed.claimed:j", id)) / 1000  # type: ignore[arg-type]


@pytest.mark.parametrize("waiting", ["sync", "async"])
def test_a_killed_workers_job_runs_elsewhere_within_a_second_of_its_timeout(
    real_world: World, nursery: Nursery, waiting: str
) -> None:
    rounds, took = 2, list[float]()
    with Thoonk(backend=real_world.url) as thoonk:
        jobs = thoonk.job("j", {"claim_timeout": CLAIM_TIMEOUT})
        for _ in range(rounds):
            id = jobs.put("work")
            worker = nursery.start("hold", "j")
            poll(functools.partial(worker.told, "got"))
            before = claimed_at(real_world, id)
            worker.kill()
            if waiting == "sync":
                claim = jobs.get(timeout=10)
                after = claimed_at(real_world, claim.id)
                claim.finish()
            else:
                after = asyncio.run(_get_and_finish(real_world))
            took.append(after - before)
            assert CLAIM_TIMEOUT <= took[-1] <= CLAIM_TIMEOUT + SLACK
    # The best one counts: the machine may be busy with something else.
    assert min(took) <= CLAIM_TIMEOUT + 1


async def _get_and_finish(world: World) -> float:
    async with AsyncThoonk(backend=world.url) as thoonk:
        claim = await (await thoonk.job("j")).get(timeout=10)
        after = claimed_at(world, claim.id)
        await claim.finish()
        return after


# A child that has an end of its own, without `os._exit`: it unwinds the loop that it was forked in.
FORKING = """
import os, sys
from thoonk import Thoonk

with Thoonk(backend=sys.argv[1]) as thoonk:
    done = []
    for claim in thoonk.job("j").claims(timeout=0.1, prefetch=int(sys.argv[2])):
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        done.append(claim.item)
        if len(done) > 3:
            break
print(*done)
"""


@pytest.mark.parametrize("prefetch", [1, 3])
def test_a_child_of_a_loop_takes_nothing_from_its_parent(real_world: World, prefetch: int) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        job = thoonk.job("j")
        job.put_many(["a", "b", "c"])
        program = [sys.executable, "-c", FORKING, real_world.url, str(prefetch)]
        done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=30)
        assert (done.stdout.split(), done.stderr) == (["a", "b", "c"], "")
        assert job.get_counts().finished == 3
