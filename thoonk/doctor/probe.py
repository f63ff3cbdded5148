"""Reads a server in small steps, and repairs what has not changed since it was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import redis

T = TypeVar("T")

STEP = 1000
"""How many elements of a collection one command asks for."""

WINDOW = 10_000
"""How many elements of a list one command asks for."""

BATCH = 500
"""How many commands one pipeline has at most."""

COMPARISONS = 500_000
"""How many list elements one transaction compares at most; but a longer list is walked through
once, which takes as long as the removal of an item."""

BYTES = 1_000_000
"""Of items, that one step through a hash of items may touch, about."""

Words: TypeAlias = tuple[bytes, ...]
Reply: TypeAlias = Any


def words(*parts: bytes | str | int) -> Words:
    """A command."""
    return tuple(part if isinstance(part, bytes) else str(part).encode() for part in parts)


def text_of_reply(reply: Reply) -> bytes:
    """A reply as text that can be compared, as in ``repair.lua``. Of a list only how many."""
    match reply:
        case bytes():
            return b"=" + reply
        case int():
            return b"%d" % reply
        case list():
            return b"#%d" % len(reply)
        case _:
            return b"-"


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things, some at a time."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch


class Probe:
    """A connection to the server that is examined."""

    def __init__(self, client: redis.Redis) -> None:
        # Replies as they come: redis-py would make numbers of scores.
        self._client: Any = redis.Redis(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()
        folder = resources.files(__package__) / "scripts"
        self._fields, self._repair_script = (
            client.register_script((folder / f"{name}.lua").read_text("utf-8"))
            for name in ("fields", "repair")
        )
        self.commands = 0

    def ask(self, *parts: bytes | str | int) -> Reply:
        """The reply to one command."""
        self.commands += 1
        return self._client.execute_command(*parts)

    def now(self) -> float:
        """The server's time, in ms."""
        seconds, micro = self.ask("TIME")
        return float(int(seconds) * 1000 + int(micro) // 1000)

    def ask_each(self, commands: Iterable[Words]) -> Iterator[Reply]:
        """The replies to many commands, in their order; an error stands for itself."""
        for batch in batches(commands, BATCH):
            with self._client.pipeline(transaction=False) as pipeline:
                for command in batch:
                    pipeline.execute_command(*command)
                self.commands += len(batch)
                yield from pipeline.execute(raise_on_error=False)

    def look(
        self, reads: Sequence[Sequence[Words]], comparisons: int = 0
    ) -> Iterator[tuple[Reply, ...]]:
        """For each thing the replies to its reads, which are done at one instant.

        Among them is the error where a key is of another type.

        ``comparisons``: about how many list elements the reads of one thing compare.
        """
        size = max(1, min(BATCH // 10, COMPARISONS // (comparisons + 1)))
        for batch in batches(reads, size):
            with self._client.pipeline(transaction=True) as pipeline:
                for command in (command for each in batch for command in each):
                    pipeline.execute_command(*command)
                self.commands += 2 + sum(map(len, batch))
                replies = map(_allowed, pipeline.execute(raise_on_error=False))
            for each in batch:
                yield tuple(islice(replies, len(each)))

    def repair(
        self, reads: Sequence[Words], replies: Sequence[Reply], writes: Sequence[Words]
    ) -> bool:
        """Do the writes if the reads are still answered alike; whether they were."""
        arguments: list[bytes] = [b"%d" % len(reads)]
        for read, reply in zip(reads, replies, strict=True):
            arguments += [text_of_reply(reply), b"%d" % len(read), *read]
        for write in writes:
            arguments += [b"%d" % len(write), *write]
        keys = {command[1] for command in (*reads, *writes) if command[0] != b"PUBLISH"}
        self.commands += 1
        return bool(self._repair_script(keys=sorted(keys), args=arguments, client=self._client))

    # --- through whole collections --------------------------------------------------------

    def keys(self, pattern: bytes) -> Iterator[list[bytes]]:
        """The names of keys, step by step; some may come twice."""
        return self._scan(lambda cursor: self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", STEP))

    def members(self, key: bytes) -> Iterator[bytes]:
        """The members of a set."""
        for step in self._scan(lambda cursor: self.ask("SSCAN", key, cursor, "COUNT", STEP)):
            yield from step

    def pairs(self, command: str, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The pairs of a hash (``HSCAN``) or of a sorted set (``ZSCAN``)."""
        for step in self._scan(lambda cursor: self.ask(command, key, cursor, "COUNT", STEP)):
            yield from zip(step[::2], step[1::2], strict=True)

    def fields(self, key: bytes) -> Iterator[bytes]:
        """The fields of a hash whose values may be large."""
        count, size = self.ask("HLEN", key), self.size_of(key)
        step = max(1, min(STEP, BYTES * count // max(1, size)))

        def scan(cursor: bytes) -> list[Any]:
            self.commands += 1
            found: list[Any] = self._fields(keys=[key], args=[cursor, step], client=self._client)
            return found

        for found in self._scan(scan):
            yield from found

    def elements(self, key: bytes) -> Iterator[bytes]:
        """The elements of a list, first to last. Those of a list that moves may be missed."""
        for first in range(0, self.ask("LLEN", key), WINDOW):
            yield from self.ask("LRANGE", key, first, first + WINDOW - 1)

    def size_of(self, key: bytes) -> int:
        """Bytes of memory that a key takes, about; 0 where that is not to be known."""
        return _size(next(self.ask_each([_size_question(key)])))

    def sizes_of(self, keys: Sequence[bytes]) -> Iterator[int]:
        """`size_of` for many."""
        return map(_size, self.ask_each(_size_question(key) for key in keys))

    def _scan(self, step: Callable[[bytes], list[Any]]) -> Iterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, found = step(cursor)
            yield found
            if cursor == b"0":
                return


def _allowed(reply: Reply) -> Reply:
    if isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE"):
        raise reply
    return reply


def _size_question(key: bytes) -> Words:
    return words("MEMORY", "USAGE", key, "SAMPLES", 5)


def _size(reply: Reply) -> int:
    return reply if isinstance(reply, int) else 0
