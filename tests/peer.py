"""A peer of version 1: what contract.txt says, with plain Redis commands and MULTI.

Nothing of Thoonk is imported here, and none of the keys that came with version 2 is
known. Names, ids and items are bytes or text as the caller likes; answers are bytes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import redis

Text = str | bytes


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text


class Refused(Exception):
    """What must be so is not so; nothing was written."""


class Notices:
    """What is said on the server's channels, as it was said."""

    END = b"test.end"

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pubsub = client.pubsub()
        self._pubsub.psubscribe(b"*")
        message = self._pubsub.get_message(timeout=10)
        assert message is not None, "no answer to PSUBSCRIBE"
        assert message["type"] == "psubscribe"

    def next(self, timeout: float = 10) -> tuple[bytes, bytes]:
        """Channel and payload of the next one."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            message = self._pubsub.get_message(timeout=left)
            # fakeredis tells of every change to every key, as a server can be asked to do.
            if message is not None and not message["channel"].startswith(b"__key"):
                return message["channel"], message["data"]
        raise TimeoutError("no notice")

    def so_far(self) -> list[tuple[bytes, bytes]]:
        """All that were not read and were published before this call."""
        mark = uuid.uuid4().bytes
        self._client.publish(self.END, mark)
        seen = []
        while (notice := self.next()) != (self.END, mark):
            seen.append(notice)
        return seen

    def close(self) -> None:
        self._pubsub.close()


class Peer:
    """A client in another language, so to speak.

    Args:
        client: a redis-py client that does not decode.
        seconds: scores and claim times in seconds with decimals (Thoonk.py 1.0, txThoonk).
        edits_as_publishes: a sorted edit is announced on feed.publish (Thoonk.py, thoonk.clj).
        leaves_items: retracting a job leaves its item behind (Thoonk.js).
        wrong_end: puts queue items at the other end (Thoonk.js).
        stores_results: stores a job's result beside announcing it.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        seconds: bool = False,
        edits_as_publishes: bool = False,
        leaves_items: bool = False,
        wrong_end: bool = False,
        stores_results: bool = True,
    ) -> None:
        self.client = client
        self.seconds = seconds
        self.edits_as_publishes = edits_as_publishes
        self.leaves_items = leaves_items
        self.wrong_end = wrong_end
        self.stores_results = stores_results
        self.instance = str(uuid.uuid4()).encode()

    def _now(self) -> float:
        seconds, micro = self.client.time()
        exact = seconds + micro / 1_000_000
        return exact if self.seconds else int(exact * 1000)

    def _step(self, work: Callable[[Any], Any], *watched: bytes) -> Any:
        """One atomic step: ``work`` looks, says ``multi()`` and writes."""
        return self.client.transaction(work, *watched, value_from_callable=True)

    @staticmethod
    def key(word: str, feed: Text) -> bytes:
        return b"feed.%b:%b" % (word.encode(), _bytes(feed))

    # --- feeds --------------------------------------------------------------------------

    def announcement(self, feed: Text) -> bytes:
        return _bytes(feed) + b"\0" + self.instance

    def create(self, feed: Text, config: Mapping[str, Text]) -> None:
        def work(pipe: Any) -> None:
            if pipe.sismember(b"feeds", feed):
                raise Refused(feed)
            pipe.multi()
            pipe.sadd(b"feeds", feed)
            pipe.hset(self.key("config", feed), mapping={"type": "feed", **config})
            pipe.publish(b"newfeed", self.announcement(feed))
            pipe.publish(b"conffeed", self.announcement(feed))

        self._step(work, b"feeds")

    def set_config(self, feed: Text, config: Mapping[str, Text]) -> None:
        with self.client.pipeline() as pipe:
            pipe.hset(self.key("config", feed), mapping=dict(config))
            pipe.publish(b"conffeed", self.announcement(feed))
            pipe.execute()

    def get_config(self, feed: Text) -> dict[bytes, bytes]:
        return self.client.hgetall(self.key("config", feed))

    def delete(self, feed: Text) -> None:
        words = "config ids items publishes idincr published claimed stalled cancelled finishes"

        def work(pipe: Any) -> None:
            if not pipe.sismember(b"feeds", feed):
                raise Refused(feed)
            pipe.multi()
            pipe.srem(b"feeds", feed)
            pipe.delete(*(self.key(word, feed) for word in words.split()))
            pipe.publish(b"delfeed", self.announcement(feed))

        self._step(work, b"feeds")

    def names(self) -> set[bytes]:
        return self.client.smembers(b"feeds")

    # --- reading ----------------------------------------------------------------------

    def get_ids(self, feed: Text, kind: str) -> list[bytes]:
        match kind:
            case "feed":
                return self.client.zrange(self.key("ids", feed), 0, -1)
            case "job":
                return self.client.hkeys(self.key("items", feed))
            case "queue":
                return self.client.lrange(self.key("ids", feed), 0, -1)[::-1]
            case _:
                return self.client.lrange(self.key("ids", feed), 0, -1)

    def get_item(self, feed: Text, id: Text) -> bytes | None:
        return self.client.hget(self.key("items", feed), id)

    def get_all(self, feed: Text) -> dict[bytes, bytes]:
        return self.client.hgetall(self.key("items", feed))

    # --- feed ---------------------------------------------------------------------------

    def publish(self, feed: Text, item: Text, id: Text | None = None) -> bytes:
        id = _bytes(id or uuid.uuid4().hex)
        item = _bytes(item)
        ids, items, config = (self.key(word, feed) for word in ("ids", "items", "config"))

        def work(pipe: Any) -> None:
            limit = int(pipe.hget(config, "max_length") or 0)
            is_new = pipe.zscore(ids, id) is None
            excess = pipe.zcard(ids) + 1 - limit if limit and is_new else 0
            old = pipe.zrange(ids, 0, excess - 1) if excess > 0 else []
            now = self._now()
            pipe.multi()
            for pushed_out in old:
                pipe.zrem(ids, pushed_out)
                pipe.hdel(items, pushed_out)
                pipe.publish(self.key("retract", feed), pushed_out)
            pipe.zadd(ids, {id: now})
            pipe.incr(self.key("publishes", feed))
            pipe.hset(items, id, item)
            pipe.publish(self.key("publish" if is_new else "edit", feed), id + b"\0" + item)

        self._step(work, ids, config)
        return id

    def retract(self, feed: Text, id: Text) -> None:
        ids = self.key("ids", feed)

        def work(pipe: Any) -> None:
            known = pipe.zscore(ids, id) is not None
            pipe.multi()
            if known:
                pipe.zrem(ids, id)
                pipe.hdel(self.key("items", feed), id)
                pipe.publish(self.key("retract", feed), id)

        self._step(work, ids)

    # --- sorted feed ----------------------------------------------------------------------

    def _place(self, pipe: Any, feed: Text, id: bytes, position: bytes) -> None:
        ids = self.key("ids", feed)
        if position == b"begin:":
            pipe.lpush(ids, id)
        elif position == b":end":
            pipe.rpush(ids, id)
        elif position.startswith(b":"):
            pipe.linsert(ids, "BEFORE", position[1:], id)
        else:
            pipe.linsert(ids, "AFTER", position[:-1], id)

    def _check_neighbour(self, pipe: Any, feed: Text, position: bytes) -> None:
        if position in (b"begin:", b":end"):
            return
        if position.strip(b":") not in pipe.lrange(self.key("ids", feed), 0, -1):
            raise Refused(position)

    def insert(self, feed: Text, item: Text, position: Text = b":end") -> bytes:
        item, position = _bytes(item), _bytes(position)
        ids, idincr = self.key("ids", feed), self.key("idincr", feed)

        def work(pipe: Any) -> bytes:
            self._check_neighbour(pipe, feed, position)
            id = str(int(pipe.get(idincr) or 0) + 1).encode()
            pipe.multi()
            pipe.incr(idincr)
            self._place(pipe, feed, id, position)
            pipe.hset(self.key("items", feed), id, item)
            pipe.incr(self.key("publishes", feed))
            pipe.publish(self.key("publish", feed), id + b"\0" + item)
            pipe.publish(self.key("position", feed), id + b"\0" + position)
            return id

        return self._step(work, ids, idincr)

    def edit(self, feed: Text, id: Text, item: Text) -> None:
        id, item = _bytes(id), _bytes(item)
        items = self.key("items", feed)
        channel = self.key("publish" if self.edits_as_publishes else "edit", feed)

        def work(pipe: Any) -> None:
            if not pipe.hexists(items, id):
                raise Refused(id)
            pipe.multi()
            pipe.hset(items, id, item)
            pipe.incr(self.key("publishes", feed))
            pipe.publish(channel, id + b"\0" + item)

        self._step(work, items)

    def move(self, feed: Text, position: Text, id: Text) -> None:
        id, position = _bytes(id), _bytes(position)
        ids = self.key("ids", feed)

        def work(pipe: Any) -> None:
            if id not in pipe.lrange(ids, 0, -1):
                raise Refused(id)
            self._check_neighbour(pipe, feed, position)
            pipe.multi()
            if position.strip(b":") == id:
                return
            pipe.lrem(ids, 1, id)
            self._place(pipe, feed, id, position)
            pipe.publish(self.key("position", feed), id + b"\0" + position)

        self._step(work, ids)

    def sorted_retract(self, feed: Text, id: Text) -> None:
        id = _bytes(id)
        ids = self.key("ids", feed)

        def work(pipe: Any) -> None:
            known = id in pipe.lrange(ids, 0, -1)
            pipe.multi()
            if known:
                pipe.lrem(ids, 1, id)
                pipe.hdel(self.key("items", feed), id)
                pipe.publish(self.key("retract", feed), id)

        self._step(work, ids)

    # --- queue ------------------------------------------------------------------------------

    def _push(self, pipe: Any, feed: Text, id: bytes, *, high: bool) -> None:
        push = pipe.rpush if high else pipe.lpush
        push(self.key("ids", feed), id)

    def queue_put(self, feed: Text, item: Text, *, high: bool = False) -> bytes:
        id = uuid.uuid4().hex.encode()
        with self.client.pipeline() as pipe:
            self._push(pipe, feed, id, high=high != self.wrong_end)
            pipe.hset(self.key("items", feed), id, _bytes(item))
            pipe.incr(self.key("publishes", feed))
            pipe.execute()
        return id

    def queue_get(self, feed: Text, timeout: float = 10) -> bytes | None:
        popped = self.client.brpop([self.key("ids", feed)], timeout)
        if popped is None:
            return None
        with self.client.pipeline() as pipe:
            pipe.hget(self.key("items", feed), popped[1])
            pipe.hdel(self.key("items", feed), popped[1])
            return pipe.execute()[0]

    # --- job --------------------------------------------------------------------------------

    def job_put(self, feed: Text, item: Text, *, high: bool = False) -> bytes:
        id = uuid.uuid4().hex.encode()
        now = self._now()
        with self.client.pipeline() as pipe:
            self._push(pipe, feed, id, high=high)
            pipe.hset(self.key("items", feed), id, _bytes(item))
            pipe.incr(self.key("publishes", feed))
            pipe.zadd(self.key("published", feed), {id: now})
            pipe.execute()
        return id

    def job_get(self, feed: Text, timeout: float = 10) -> tuple[bytes, bytes | None, int] | None:
        """Id, item, and how often it was cancelled."""
        popped = self.client.brpop([self.key("ids", feed)], timeout)
        if popped is None:
            return None
        id = popped[1]
        now = self._now()
        with self.client.pipeline() as pipe:
            pipe.zadd(self.key("claimed", feed), {id: now})
            pipe.hget(self.key("items", feed), id)
            pipe.hget(self.key("cancelled", feed), id)
            _, item, cancelled = pipe.execute()
        return id, item, int(cancelled or 0)

    def _of_claimed(self, feed: Text, id: Text, write: Callable[[Any], None]) -> None:
        claimed = self.key("claimed", feed)

        def work(pipe: Any) -> None:
            if pipe.zscore(claimed, id) is None:
                raise Refused(id)
            pipe.multi()
            pipe.zrem(claimed, id)
            write(pipe)

        self._step(work, claimed)

    def job_finish(self, feed: Text, id: Text, result: Text | None = None) -> None:
        id = _bytes(id)

        def write(pipe: Any) -> None:
            pipe.hdel(self.key("cancelled", feed), id)
            pipe.zrem(self.key("published", feed), id)
            pipe.incr(self.key("finishes", feed))
            if result is not None:
                if self.stores_results:
                    pipe.lpush(self.key("jobfinished", feed) + b"\0" + id, _bytes(result))
                pipe.publish(b"job.finish:" + _bytes(feed), id + b"\0" + _bytes(result))
            pipe.hdel(self.key("items", feed), id)

        self._of_claimed(feed, id, write)

    def job_take_result(self, feed: Text, id: Text, timeout: float = 10) -> bytes | None:
        """As the older revision of the contract had it: the result is consumed."""
        popped = self.client.brpop([self.key("jobfinished", feed) + b"\0" + _bytes(id)], timeout)
        return None if popped is None else popped[1]

    def job_cancel(self, feed: Text, id: Text) -> None:
        def write(pipe: Any) -> None:
            pipe.hincrby(self.key("cancelled", feed), id, 1)
            pipe.lpush(self.key("ids", feed), id)

        self._of_claimed(feed, id, write)

    def job_stall(self, feed: Text, id: Text) -> None:
        def write(pipe: Any) -> None:
            pipe.hdel(self.key("cancelled", feed), id)
            pipe.sadd(self.key("stalled", feed), id)
            pipe.zrem(self.key("published", feed), id)

        self._of_claimed(feed, id, write)

    def job_retry(self, feed: Text, id: Text) -> None:
        stalled = self.key("stalled", feed)

        def work(pipe: Any) -> None:
            if not pipe.sismember(stalled, id):
                raise Refused(id)
            now = self._now()
            pipe.multi()
            pipe.srem(stalled, id)
            pipe.lpush(self.key("ids", feed), id)
            pipe.zadd(self.key("published", feed), {id: now})

        self._step(work, stalled)

    def job_retract(self, feed: Text, id: Text) -> None:
        with self.client.pipeline() as pipe:
            if not self.leaves_items:
                pipe.hdel(self.key("items", feed), id)
            pipe.hdel(self.key("cancelled", feed), id)
            pipe.zrem(self.key("published", feed), id)
            pipe.srem(self.key("stalled", feed), id)
            pipe.zrem(self.key("claimed", feed), id)
            pipe.lrem(self.key("ids", feed), 1, id)
            pipe.execute()

    def job_maintenance(self, feed: Text) -> None:
        """Make available what is in no state."""
        words = ("items", "ids", "claimed", "stalled")
        items, ids, claimed, stalled = (self.key(word, feed) for word in words)

        def work(pipe: Any) -> None:
            known = {*pipe.lrange(ids, 0, -1), *pipe.zrange(claimed, 0, -1)}
            known |= pipe.smembers(stalled)
            lost = [id for id in pipe.hkeys(items) if id not in known]
            pipe.multi()
            for id in lost:
                pipe.lpush(ids, id)

        self._step(work, items, ids, claimed, stalled)
