"""From put to a blocked taker: how long, with how many waiting, and what waiting costs."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import TAKERS
from benchmarks.child import Child, ContestantFailed

STAMPED = 500
"""Items per measurement."""

WAITING = (1, 10, 50, 200)
"""Blocked takers."""

IDLE_SECONDS = 30.0
"""For how long nothing happens, while the commands are counted."""

STEADY = 0.5
"""Seconds without a change, after which all are blocked that will be."""

SETTLING = 30.0
"""Most seconds until all are blocked, or all items have arrived."""


def measure(bench: Bench) -> dict[str, Any]:
    """By contestant and number of takers: latencies, cost per item, cost of being idle."""
    bench.pin(same_core=False)
    results: dict[str, Any] = {}
    for number in range(bench.rounds):
        say(f"waking, round {number + 1} of {bench.rounds}")
        for takers in WAITING[:1] if bench.quick else WAITING:
            for contestant in bench.taking_part(TAKERS):
                with bench.visit(contestant) as sender, bench.child(contestant) as taker:
                    sample = _wake(bench, sender, taker, takers)
                    by_takers = results.setdefault(contestant.name, {})
                    by_takers.setdefault(str(takers), []).append(sample)
    for contestant in bench.taking_part(TAKERS):
        say(f"{contestant.name}: idle")
        with bench.visit(contestant) as taker:
            results.setdefault(contestant.name, {})["idle"] = _idle(bench, taker)
    return results


def _wake(bench: Bench, sender: Child, taker: Child, takers: int) -> dict[str, float]:
    taker.call("block", count=takers)
    _until_blocked(bench)
    count = bench.count(STAMPED)
    bench.server.client.config_resetstat()
    sample: dict[str, float] = sender.call("send_stamped", count=count)
    ages: list[float] = []
    deadline = time.monotonic() + SETTLING
    while len(ages) < count:
        ages += taker.call("ages")
        if time.monotonic() > deadline:
            raise ContestantFailed(f"of {count} items {len(ages)} arrived")
        time.sleep(0.01)
    stats = bench.server.info("commandstats")
    scripts = sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))
    ages.sort()
    return {
        "p50": ages[len(ages) // 2],
        "p99": ages[len(ages) * 99 // 100],
        "scripts": scripts / count,
        "put_client_cpu": sample["client_cpu"] * 1e6 / count,
    }


def _idle(bench: Bench, taker: Child) -> dict[str, float]:
    takers = 10 if bench.quick else max(WAITING)
    seconds = 1.0 if bench.quick else IDLE_SECONDS
    taker.call("block", count=takers)
    _until_blocked(bench)
    bench.server.client.config_resetstat()
    before = bench.server.info("cpu")
    time.sleep(seconds)
    after = bench.server.info("cpu")
    stats = bench.server.info("commandstats")
    # Blocked commands count when they end; those inside scripts are not sent by anybody.
    sent = ("evalsha", "eval", "brpop", "brpoplpush", "blmove", "blpop")
    commands = sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in sent)
    busy = sum(after[k] - before[k] for k in ("used_cpu_sys", "used_cpu_user"))
    return {
        "takers": takers,
        "commands_per_minute": commands * 60 / seconds,
        "server_cpu_share": busy / seconds,
    }


def _until_blocked(bench: Bench) -> None:
    """Until somebody is blocked, and no more are for a while: consumers may share connections."""
    deadline = time.monotonic() + SETTLING
    before, since = 0, time.monotonic()
    while before == 0 or time.monotonic() - since < STEADY:
        if time.monotonic() > deadline:
            raise ContestantFailed(f"{before} are blocked, but not for long")
        time.sleep(0.01)
        blocked = bench.server.info("clients")["blocked_clients"]
        if blocked != before:
            before, since = blocked, time.monotonic()
