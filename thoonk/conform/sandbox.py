"""The server that a peer is tried on: its keys, its channels, its clock."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import redis

from thoonk.backends.redis import open_client
from thoonk.conform.values import Content, MatchContext, Template, number, text
from thoonk.exceptions import BackendUnavailable, InvalidValue

PROGRAMS = ("redis-server", "valkey-server")
STARTS_WITHIN = 20.0
"""Seconds that a server of our own has until it answers."""

_END = b"thoonk.conform"
"""Channel of our marks: when a mark arrives, so has all that was published before it."""

_WAITS_WITHIN = 3.0
"""Seconds after which a peer is taken to wait even if it is neither blocked nor subscribed."""


@contextlib.contextmanager
def private_server(program: str | None = None) -> Iterator[str]:
    """The URL of a server of our own, for the length of a block.

    Args:
        program: redis-server or valkey-server, by name or path; None: what is there.

    Raises:
        InvalidValue: there is none.
        BackendUnavailable: it did not start.
    """
    found = next(filter(None, map(shutil.which, [program] if program else PROGRAMS)), None)
    if found is None:
        raise InvalidValue(
            f"{program or ' or '.join(PROGRAMS)} not found on this machine: use --url"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="thoonk-conform-") as folder:
        log = Path(folder) / "log"
        words = [found, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        words += ["--save", "", "--appendonly", "no", "--logfile", str(log)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as server:
            try:
                _wait_for(server, port, log)
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                server.kill()


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    with contextlib.closing(redis.Redis(port=port, socket_timeout=5)) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    output = log.read_text(errors="replace") if log.exists() else ""
                    raise BackendUnavailable(f"the server did not start:\n{output}") from error
                time.sleep(0.02)
            else:
                return


class Sandbox:
    """An empty db, which is filled before each vector and read after each request."""

    def __init__(self, url: str) -> None:
        """Connect, and listen to all channels.

        Raises:
            BackendUnavailable: no server there, or it does not let us in.
            InvalidValue: not a URL of Redis, or the db is not empty.
        """
        self.url = url
        try:
            # Any: the driver's hints do not tell its asyncio half from the other one.
            self._client = cast("Any", open_client(url, socket_timeout=30))
            self._pubsub = self._client.pubsub()
            size = self._client.dbsize()
            if size:
                raise InvalidValue(
                    f"the db has {size} keys; it must be empty, because the tests clear it"
                )
            self._pubsub.psubscribe("*")
            self._pubsub.get_message(timeout=10)
        except redis.RedisError as error:
            raise BackendUnavailable(f"the server cannot be used: {error}") from error

    def close(self) -> None:
        """Leave the db empty."""
        # A peer may still keep the server busy, so that it does not answer.
        with contextlib.suppress(redis.RedisError):
            self.clear()
        self._pubsub.close()
        self._client.close()

    def now(self) -> float:
        """The server's time in ms."""
        seconds, micro = self._client.time()
        return float(seconds * 1000 + micro / 1000)

    def clear(self) -> None:
        """Remove all keys."""
        for key in self._client.scan_iter(count=1000):
            self._client.delete(key)

    def prepare(self, keys: Mapping[str, Template]) -> MatchContext:
        """Write the keys of a vector into the empty db, and forget what was published."""
        self.clear()
        context = MatchContext(prepared_at=int(self.now()))
        for name, content in keys.items():
            key = name.encode()
            match content:
                case {"set": members}:
                    self._client.sadd(key, *(text(member, context) for member in members))
                case {"hash": pairs}:
                    fields = {text(field, context): text(value, context) for field, value in pairs}
                    self._client.hset(key, mapping=fields)
                case {"list": elements}:
                    self._client.rpush(key, *(text(element, context) for element in elements))
                case {"zset": pairs}:
                    scores = {
                        text(member, context): number(score, context) for member, score in pairs
                    }
                    self._client.zadd(key, scores)
                case {"string": value}:
                    self._client.set(key, text(value, context))
                case None:
                    continue
                case _:
                    raise InvalidValue(f"a key cannot be prepared as {content}")
            if "ttl" in content:
                self._client.pexpire(key, content["ttl"])
        self.heard()
        return context

    def run(self, commands: Iterable[Template], context: MatchContext) -> None:
        """Run Redis commands."""
        for words in commands:
            self._client.execute_command(*(text(word, context) for word in words))

    def keys(self) -> dict[bytes, Content]:
        """All keys with what they hold."""
        return {key: self._content(key) for key in self._client.scan_iter(count=1000)}

    def _content(self, key: bytes) -> Content:
        client = self._client
        kind = client.type(key).decode()
        match kind:
            case "set":
                value: Any = client.smembers(key)
            case "hash":
                value = client.hgetall(key)
            case "list":
                value = client.lrange(key, 0, -1)
            case "zset":
                value = dict(client.zrange(key, 0, -1, withscores=True))
            case _:
                value = client.get(key)
        # In one step, so that the time left belongs to the time of the clock.
        left, (seconds, micro) = client.pipeline().pttl(key).time().execute()
        expires = None if left < 0 else seconds * 1000 + micro / 1000 + left
        return Content(kind, value, expires)

    def heard(self) -> list[tuple[bytes, bytes]]:
        """Channel and payload of all that was published since the last call, in order."""
        mark = uuid.uuid4().bytes
        self._client.publish(_END, mark)
        seen: list[tuple[bytes, bytes]] = []
        while True:
            message = self._pubsub.get_message(timeout=30)
            if message is None:
                raise BackendUnavailable("the server does not deliver what is published")
            channel, payload = message["channel"], message["data"]
            if (channel, payload) == (_END, mark):
                return seen
            # A server can be configured to publish every change to every key.
            if message["type"] == "pmessage" and not channel.startswith(b"__key"):
                seen.append((channel, payload))

    def waiting(self) -> tuple[int, int]:
        """How many clients are blocked, and how many channels and patterns are subscribed to."""
        clients = self._client.client_list()
        blocked = sum("b" in client["flags"] for client in clients)
        return blocked, sum(int(client["sub"]) + int(client["psub"]) for client in clients)

    def wait_for_peer(self, before: tuple[int, int]) -> None:
        """Return when the peer blocks, or has subscribed to something, since ``before``."""
        deadline = time.monotonic() + _WAITS_WITHIN
        while time.monotonic() < deadline:
            blocked, subscribed = self.waiting()
            if blocked > before[0] or subscribed > before[1]:
                return
            time.sleep(0.005)
