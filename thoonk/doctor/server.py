"""Rules about the server itself: its version, settings, clock, memory and replicas."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import redis

from thoonk.doctor.findings import Check, Finding, Severity
from thoonk.doctor.probe import Probe

OLDEST = (6, 2)
CLOCK_TOLERANCE = 1.0
"""Seconds."""
NEARLY_FULL = 0.9

VERSION = Check(
    "version",
    Severity.ERROR,
    "the library needs commands of Redis 6.2",
    "Use Redis or Valkey 6.2 or newer",
)
EVICTION = Check(
    "eviction",
    Severity.ERROR,
    "a full server evicts feeds, or parts of them, without notice",
    "Set maxmemory-policy noeviction",
)
PERSISTENCE = Check(
    "persistence",
    Severity.WARNING,
    "all data is lost when the server stops",
    "Set appendonly yes, unless the feeds may be lost",
)
SAVING = Check(
    "saving",
    Severity.ERROR,
    "recent writes may be lost when the server stops",
    "Check the server's log and its disk",
)
CLOCK = Check(
    "clock",
    Severity.WARNING,
    "claims use the server's clock: times that programs compare with their own are wrong",
    "Synchronize both with a time server (NTP)",
)
MEMORY = Check(
    "maxmemory",
    Severity.WARNING,
    "a full server refuses writes (BackendFull), or evicts data",
    "Raise maxmemory, or reduce the largest feeds",
)
ROLE = Check(
    "role",
    Severity.ERROR,
    "a replica refuses writes and may be behind",
    "Connect to the master, or through Sentinel (redis+sentinel://)",
)
REPLICATION = Check(
    "replication",
    Severity.WARNING,
    "writes that were not replicated are lost in a failover",
    "Check the link between master and replica",
)
UNSEEN = Check(
    "unseen",
    Severity.NOTE,
    "access denied",
    "Grant the user +info and +config|get, or check these yourself",
)


@attrs.frozen
class ServerFacts:
    """What is known of a server.

    Attributes:
        info: as INFO tells it, by name; empty when it is not allowed.
        save: when it saves snapshots; None when it is not known.
        clock: how many seconds its clock is ahead of ours, at least (negative: behind).
    """

    info: Mapping[str, Any]
    save: str | None
    clock: float

    @classmethod
    def read(cls, client: redis.Redis, probe: Probe) -> ServerFacts:
        """Ask the server. What is refused is left out."""
        info: dict[str, Any] = {}
        save = None
        with contextlib.suppress(redis.exceptions.ResponseError):
            info = client.info()
        with contextlib.suppress(redis.exceptions.ResponseError):
            save = client.config_get("save").get("save")
        ahead = []
        for _ in range(3):
            before = time.time()
            now = probe.now() / 1000
            after = time.time()
            ahead.append(max(0.0, now - after) - max(0.0, before - now))
        return cls(info, save, min(ahead, key=abs))

    @property
    def name(self) -> str:
        """Which server it is."""
        if "valkey_version" in self.info:
            return f"Valkey {self.info['valkey_version']}"
        return f"Redis {self.info.get('redis_version', 'of unknown version')}"

    @property
    def used(self) -> float | None:
        """Which part of its memory is used; None: there is no limit."""
        limit = self.info.get("maxmemory")
        return self.info["used_memory"] / limit if limit else None


Found: TypeAlias = Iterator[Finding]


def version(facts: ServerFacts) -> Found:
    """A server that is too old."""
    text = str(facts.info.get("redis_version", "6.2"))
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST:
        yield Finding(VERSION, f"the server is {facts.name}")


def eviction(facts: ServerFacts) -> Found:
    """A policy that throws data away."""
    policy = facts.info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        without = "" if facts.info.get("maxmemory") else " (maxmemory is not set yet)"
        yield Finding(EVICTION, f"maxmemory-policy is {policy}{without}")


def persistence(facts: ServerFacts) -> Found:
    """A server that keeps nothing."""
    if facts.info.get("aof_enabled", 1):
        return
    if facts.save is None:
        yield Finding(UNSEEN, "appendonly is off, and whether snapshots are saved is not known")
    elif not facts.save:
        yield Finding(PERSISTENCE, "appendonly is off and no snapshots are saved")


def saving(facts: ServerFacts) -> Found:
    """Persistence that fails."""
    what = {
        "rdb_last_bgsave_status": "the last snapshot failed",
        "aof_last_write_status": "the last write to the append-only file failed",
        "aof_last_bgrewrite_status": "the last rewriting of the append-only file failed",
    }
    for name, says in what.items():
        if facts.info.get(name, "ok") != "ok":
            yield Finding(SAVING, says)


def clock(facts: ServerFacts) -> Found:
    """A clock that is not ours."""
    if abs(facts.clock) > CLOCK_TOLERANCE:
        where = "ahead of" if facts.clock > 0 else "behind"
        yield Finding(CLOCK, f"the server's clock is {abs(facts.clock):.1f} s {where} ours")


def memory(facts: ServerFacts) -> Found:
    """A server that is nearly full."""
    used = facts.used
    if used is not None and used > NEARLY_FULL:
        yield Finding(MEMORY, f"{used:.0%} of maxmemory are used")


def role(facts: ServerFacts) -> Found:
    """A replica."""
    if facts.info.get("role") == "slave":
        master = f"{facts.info.get('master_host')}:{facts.info.get('master_port')}"
        yield Finding(ROLE, f"the server is a replica of {master}")


def replication(facts: ServerFacts) -> Found:
    """Replicas that are not in step."""
    if facts.info.get("master_link_status", "up") != "up":
        yield Finding(REPLICATION, "the link to its master is down")
    for number in range(int(facts.info.get("connected_slaves", 0))):
        replica = facts.info.get(f"slave{number}")
        if isinstance(replica, Mapping) and replica.get("state") != "online":
            where = f"{replica.get('ip')}:{replica.get('port')}"
            yield Finding(REPLICATION, f"its replica {where} is in state {replica.get('state')}")


def unseen(facts: ServerFacts) -> Found:
    """What could not be looked at."""
    if not facts.info:
        yield Finding(UNSEEN, "INFO is refused: memory, persistence and replication are not known")


RULES = (version, eviction, persistence, saving, clock, memory, role, replication, unseen)


def examine_server(facts: ServerFacts) -> Iterator[Finding]:
    """All that is wrong with the server."""
    for rule in RULES:
        yield from rule(facts)
