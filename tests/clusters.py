"""Clusters of Redis or Valkey for tests: servers to move slots of, to stop and to start again."""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from thoonk.testing.servers import Server

NODE_TIMEOUT = 2.0
"""Seconds of silence after which the others hold a node for dead, where a test lets one fail."""

CALM = 60.0
"""The same elsewhere: a node that stands still with the machine must not lose its slots."""

FAILOVER_WITHIN = 15.0
"""Seconds for a replica to take over on a loaded machine. It takes 3 to 4 on an idle one."""

_OPTIONS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": f"{NODE_TIMEOUT * 1000:.0f}",
    "cluster-replica-validity-factor": "0",
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
}


def becomes_true(condition: Callable[[], Any], timeout: float = 30.0) -> Any:
    """Poll until the condition is true, and return what it is. Errors of servers count as no."""
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(redis.RedisError, StopIteration):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {condition}")
        time.sleep(0.02)


class Node:
    """One server of a cluster.

    Attributes:
        server: the process.
        id: by which the others know it.
    """

    def __init__(self, binary: str, *more: str) -> None:
        options = [word for name, value in _OPTIONS.items() for word in (f"--{name}", value)]
        self.server = Server(binary, *options, *more)
        self.id = ""
        self._client: redis.Redis | None = None

    @property
    def port(self) -> int:
        return self.server.port

    def start(self) -> None:
        """Start it."""
        self.server.start()
        self.id = self.call("CLUSTER", "MYID").decode()

    def call(self, *words: Any) -> Any:
        """The reply to a command, from this node and no other."""
        if self._client is None:
            self._client = self.server.client(socket_timeout=10)
        # Not execute_command: redis-py parses replies of some.
        connection: Any = self._client.connection_pool.get_connection()
        try:
            connection.send_command(*words)
            return connection.read_response()
        finally:
            self._client.connection_pool.release(connection)

    def info(self, section: str) -> dict[str, str]:
        """A part of what INFO tells."""
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def is_master(self) -> bool:
        return self.info("replication")["role"] == "master"

    def cluster_info(self) -> dict[str, str]:
        lines = self.call("CLUSTER", "INFO").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def stop(self) -> None:
        if self._client is not None:
            self._client.close()
        self.server.stop()


class Cluster:
    """Three masters with a replica each.

    Attributes:
        nodes: all of them, at first the masters first.
    """

    def __init__(self, binary: str, *options: str, masters: int = 3) -> None:
        self._masters = masters
        self._timeout = NODE_TIMEOUT
        self.nodes = [Node(binary, *options) for _ in range(2 * masters)]

    def start(self) -> None:
        """Start it, and wait until all agree."""
        for node in self.nodes:
            node.start()
        first, masters = self.nodes[0], self.nodes[: self._masters]
        for number, node in enumerate(masters):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            share = range(number, REDIS_CLUSTER_HASH_SLOTS, self._masters)
            node.call("CLUSTER", "ADDSLOTS", *share)
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", first.port)
        count = str(len(self.nodes))
        becomes_true(
            lambda: all(n.cluster_info()["cluster_known_nodes"] == count for n in self.nodes)
        )
        for master, replica in zip(masters, self.nodes[self._masters :], strict=True):
            becomes_true(lambda m=master, r=replica: r.call("CLUSTER", "REPLICATE", m.id))
        self.settle()

    def settle(self) -> None:
        """Wait until all are up and agree on who has which slots, and replicas are complete.

        From then on, nodes may be silent for long.
        """
        if self._timeout != CALM:
            # Nodes hear of each other the more often, the shorter it is.
            becomes_true(self._is_settled, 60)
            self._expect(CALM)
        elif not self._was_settled():
            self.expect_failures()
            self.settle()

    def _was_settled(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return self._is_settled()
        return False

    def calm(self) -> None:
        """Settle, if a test has let nodes fail and has not waited for the end of it."""
        if self._timeout != CALM:
            self.settle()

    def expect_failures(self) -> None:
        """A node that is silent is soon dead to the others, until they have settled."""
        if self._timeout != NODE_TIMEOUT:
            self._expect(NODE_TIMEOUT)

    def _expect(self, timeout: float) -> None:
        for node in self.nodes:
            if self._runs(node):
                node.call("CONFIG", "SET", "cluster-node-timeout", f"{timeout * 1000:.0f}")
        self._timeout = timeout

    def _is_settled(self) -> bool:
        tables = set()
        for node in self.nodes:
            if node.cluster_info()["cluster_state"] != "ok":
                return False
            facts = node.info("replication")
            if facts["role"] != "master" and facts["master_link_status"] != "up":
                return False
            if facts["role"] == "master" and facts["connected_slaves"] == "0":
                return False
            lines = [line.split() for line in node.call("CLUSTER", "NODES").decode().splitlines()]
            if any("fail" in line[2] or "handshake" in line[2] for line in lines):
                return False
            roles = {(line[0], "master" in line[2], line[3]) for line in lines}
            owners = {(start, end, port) for start, end, _, port in self._slots(node)}
            tables.add((frozenset(roles), frozenset(owners)))
        return len(tables) == 1

    def _slots(self, node: Node) -> Iterator[tuple[int, int, str, int]]:
        for start, end, (host, port, *_), *_ in node.call("CLUSTER", "SLOTS"):
            yield start, end, host, port

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://{places}"

    def masters(self) -> list[Node]:
        """Those that have slots, by the word of any that runs."""
        return [node for node in self.nodes if self._runs(node) and node.is_master()]

    def _runs(self, node: Node) -> bool:
        return node.server.process is not None and node.server.process.poll() is None

    def owner(self, key: str | bytes) -> Node:
        """The master of a key, or of the feed of that name, by the word of its own."""
        slot = slot_of(key)
        for node in self.masters():
            for start, end, _, port in self._slots(node):
                if start <= slot <= end and port == node.port:
                    return node
        raise LookupError(f"no node has slot {slot}")

    def replica_of(self, master: Node) -> Node:
        lines = master.call("CLUSTER", "REPLICAS", master.id)
        ids = {line.split()[0].decode() for line in lines}
        return next(node for node in self.nodes if node.id in ids)

    def replicate(self, master: Node) -> None:
        """Wait until its replica has all that it has."""
        replica = self.replica_of(master)

        def is_level() -> bool:
            facts = replica.info("replication")
            level: bool = (
                facts["master_link_status"] == "up"
                and facts["slave_repl_offset"] == master.info("replication")["master_repl_offset"]
            )
            return level

        becomes_true(is_level)

    def other_master(self, node: Node) -> Node:
        return next(other for other in self.masters() if other is not node)

    def client(self) -> redis.RedisCluster:
        """A plain redis-py client of the cluster."""
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, protocol=2)

    @functools.cached_property
    def raw(self) -> Any:
        """One that is kept until the end: connecting takes it a while."""
        return self.client()

    def empty(self) -> None:
        """Remove all that tests have left."""
        for node in self.masters():
            node.call("FLUSHALL")
            node.call("SCRIPT", "FLUSH")

    # --- what happens to clusters -----------------------------------------------------------

    def begin_to_move(self, slot: int, target: Node) -> Node:
        """Mark a slot as on its way, and move no key yet. Returns the node that has it."""
        source = next(n for n in self.masters() for s, e, _, p in self._slots(n)
                      if s <= slot <= e and p == n.port)  # fmt: skip
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        return source

    def move_keys(self, slot: int, source: Node, target: Node, count: int = 0) -> None:
        """Move the keys of a slot that is on its way, or as many as said, one by one."""
        left = count
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            left -= 1
            if not left:
                return

    def end_move(self, slot: int, source: Node, target: Node) -> None:
        """Give the slot to the target."""
        for node in (target, source, *(n for n in self.masters() if n not in (target, source))):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move(self, slot: int, target: Node) -> None:
        """Move a slot and its keys."""
        source = self.begin_to_move(slot, target)
        self.move_keys(slot, source, target)
        self.end_move(slot, source, target)

    def fail_over(self, master: Node) -> Node:
        """Let the replica take over in good order. Returns it."""
        replica = self.replica_of(master)
        self.expect_failures()
        for _ in range(3):
            replica.call("CLUSTER", "FAILOVER")
            # Servers give up after five seconds, and redis-server 6.2 does for no good reason.
            with contextlib.suppress(TimeoutError):
                becomes_true(replica.is_master, 6)
                break
        becomes_true(replica.is_master, FAILOVER_WITHIN)
        return replica

    def kill(self, node: Node, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, or stop it with SIGSTOP."""
        self.expect_failures()
        node.server.kill(how)

    def crashed(self) -> list[str]:
        """The logs of servers that are gone by a fault of theirs, or of ours."""
        gone = [node for node in self.nodes if not self._runs(node)]
        logs = [(node.server.folder / "server.log").read_text() for node in gone]
        return [log for log in logs if "BUG REPORT START" in log]

    def restart(self, node: Node) -> None:
        """Start one that was killed, with what it knows of the cluster."""
        node.server.start()

    def stop(self) -> None:
        if "raw" in vars(self):
            self.raw.close()
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.stop()


def slot_of(key: str | bytes) -> int:
    """The slot of a key, or of a feed's name in braces."""
    return key_slot(key.encode() if isinstance(key, str) else key)


@contextlib.contextmanager
def running_cluster(binary: str, *options: str) -> Iterator[Cluster]:
    """Run a cluster while a block runs. ``options`` are those of its servers."""
    cluster = Cluster(binary, *options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
