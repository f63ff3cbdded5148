"""The least that Redis commands through redis-py cost: what a library cannot go below."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import redis
import redis.asyncio

from benchmarks.contestants.timing import ITEM, timed

PUT = """
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return 1
"""

PUT_MANY = """
for i = 2, #ARGV, 2 do
    redis.call('LPUSH', KEYS[1], ARGV[i])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    redis.call('INCR', KEYS[3])
    redis.call('ZADD', KEYS[4], ARGV[1], ARGV[i])
end
return 1
"""

PUBLISH = """
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
redis.call('PUBLISH', KEYS[4], ARGV[1] .. '\\0' .. ARGV[2])
return 1
"""

PUBLISH_MANY = """
for i = 2, #ARGV, 2 do
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    redis.call('INCR', KEYS[3])
    redis.call('PUBLISH', KEYS[4], ARGV[i] .. '\\0' .. ARGV[i + 1])
end
return 1
"""

CLAIM = """
local id = redis.call('RPOP', KEYS[1])
if not id then return false end
redis.call('ZADD', KEYS[5], ARGV[1], id)
return {id, redis.call('HGET', KEYS[2], id)}
"""

ACK = """
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('INCR', KEYS[6])
return 1
"""

ACK_AND_CLAIM = """
if ARGV[2] ~= '' then
    redis.call('ZREM', KEYS[5], ARGV[2])
    redis.call('HDEL', KEYS[2], ARGV[2])
    redis.call('ZREM', KEYS[4], ARGV[2])
    redis.call('INCR', KEYS[6])
end
local id = redis.call('RPOP', KEYS[1])
if not id then return false end
redis.call('ZADD', KEYS[5], ARGV[1], id)
return {id, redis.call('HGET', KEYS[2], id)}
"""

KEYS = ("floor:ids", "floor:items", "floor:puts", "floor:times", "floor:claimed", "floor:done")
FEED_KEYS = ("floor:times", "floor:items", "floor:puts", "floor:channel")

CHUNK = 1000
"""Items per pipeline or script in the bulk floors."""

_numbers = itertools.count()


def new_id() -> str:
    """As long as a real one, and cheaper."""
    return f"{next(_numbers):020d}"


class Lists:
    """LPUSH and RPOP: no id, no acknowledgement."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def put(self, count: int) -> Any:
        """One LPUSH per item."""
        push = self._client.lpush
        push("floor:list", ITEM)
        self._client.delete("floor:list")
        with timed(count) as measured:
            for _ in range(count):
                push("floor:list", ITEM)
        return measured.result

    def claim(self, count: int) -> Any:
        """One RPOP per item."""
        pop = self._client.rpop
        with timed(count) as measured:
            for _ in range(count):
                assert pop("floor:list") is not None
        return measured.result

    def put_many(self, count: int) -> Any:
        """Pipelines of LPUSH."""
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                pipeline = self._client.pipeline(transaction=False)
                for _ in range(CHUNK):
                    pipeline.lpush("floor:list", ITEM)
                pipeline.execute()
        return measured.result


class Scripts:
    """One script per step, as small as the job allows."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._put = self._client.script_load(PUT)
        self._publish = self._client.script_load(PUBLISH)
        self._claim = self._client.script_load(CLAIM)
        self._ack = self._client.script_load(ACK)

    def put(self, count: int) -> Any:
        """Four writes in a script."""
        return self._rate(count, self._put, KEYS[:4])

    def publish(self, count: int) -> Any:
        """Three writes and a PUBLISH in a script."""
        return self._rate(count, self._publish, FEED_KEYS)

    def _rate(self, count: int, sha: str, keys: tuple[str, ...]) -> Any:
        call = self._client.evalsha
        call(sha, 4, *keys, new_id(), ITEM, time.time())
        self._client.flushdb()
        with timed(count) as measured:
            for _ in range(count):
                call(sha, 4, *keys, new_id(), ITEM, time.time())
        return measured.result

    def claim(self, count: int) -> Any:
        """A script that claims, and one that acknowledges."""
        call = self._client.evalsha
        with timed(count) as measured:
            for _ in range(count):
                id, _ = call(self._claim, 6, *KEYS, time.time())
                call(self._ack, 6, *KEYS, id)
        return measured.result

    def put_many(self, count: int) -> Any:
        """Pipelines of the script with four writes."""
        return self._pipelines(count, self._put, KEYS[:4])

    def publish_many(self, count: int) -> Any:
        """Pipelines of the script that publishes."""
        return self._pipelines(count, self._publish, FEED_KEYS)

    def _pipelines(self, count: int, sha: str, keys: tuple[str, ...]) -> Any:
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                pipeline = self._client.pipeline(transaction=False)
                for _ in range(CHUNK):
                    pipeline.evalsha(sha, 4, *keys, new_id(), ITEM, time.time())
                pipeline.execute()
        return measured.result


class FewerTrips(Scripts):
    """Acknowledging the last and claiming the next in one script; one script for 1,000 items."""

    fill = Scripts.put

    def loop(self, count: int) -> Any:
        """One script per job."""
        sha = self._client.script_load(ACK_AND_CLAIM)
        call = self._client.evalsha
        last = b""
        with timed(count) as measured:
            for _ in range(count):
                last, _ = call(sha, 6, *KEYS, time.time(), last)
            call(sha, 6, *KEYS, time.time(), last)
        return measured.result

    def put_many(self, count: int) -> Any:
        """One script per thousand items."""
        return self._in_chunks(count, PUT_MANY, KEYS[:4])

    def publish_many(self, count: int) -> Any:
        """One script per thousand items."""
        return self._in_chunks(count, PUBLISH_MANY, FEED_KEYS)

    def _in_chunks(self, count: int, script: str, keys: tuple[str, ...]) -> Any:
        sha = self._client.script_load(script)
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                arguments: list[object] = []
                for _ in range(CHUNK):
                    arguments += (new_id(), ITEM)
                self._client.evalsha(sha, 4, *keys, time.time(), *arguments)
        return measured.result


class AsyncScripts:
    """The same with redis.asyncio, one call after the other."""

    def __init__(self, url: str) -> None:
        self._url = url

    def async_put(self, count: int) -> Any:
        """Four writes in a script."""
        return asyncio.run(self._rate(count, PUT, KEYS[:4]))

    def async_publish(self, count: int) -> Any:
        """Three writes and a PUBLISH in a script."""
        return asyncio.run(self._rate(count, PUBLISH, FEED_KEYS))

    async def _rate(self, count: int, script: str, keys: tuple[str, ...]) -> Any:
        async with redis.asyncio.Redis.from_url(self._url) as client:
            sha = await client.script_load(script)
            await client.evalsha(sha, 4, *keys, new_id(), ITEM, time.time())
            await client.flushdb()
            with timed(count) as measured:
                for _ in range(count):
                    await client.evalsha(sha, 4, *keys, new_id(), ITEM, time.time())
        return measured.result


class Memory:
    """The script with four writes on a bare fakeredis."""

    def __init__(self, url: str) -> None:
        from fakeredis import FakeRedis

        self._client = FakeRedis()

    def memory_put(self, count: int) -> Any:
        """Four writes in a script."""
        sha = self._client.script_load(PUT)
        call = self._client.evalsha
        call(sha, 4, *KEYS[:4], new_id(), ITEM, time.time())
        with timed(count) as measured:
            for _ in range(count):
                call(sha, 4, *KEYS[:4], new_id(), ITEM, time.time())
        return measured.result
