"""Garbage that a peer may leave in the keys of the feed f, which have the right types."""

from __future__ import annotations

import redis

from thoonk import Thoonk
from thoonk.backends.redis.wire import keys_of

NUMBERS = (b"garbage", b"nan", b"inf", b"1.5", b"-7", b"9" * 30, b"", b"\xff", b"0x10", b"1e400")
SCORES = (float("inf"), float("-inf"), 0, -5, 1e300, 3, 1e8, 1e12, 5e-324, 1.7e308)
IDS = (b"", b"\xff", b"a b", b"1 2 3", b" ", b"\n", b"nan", b"9" * 5000, b"\0", b"a\0b")
RESULTS: tuple[tuple[bytes, ...], ...] = (
    *((), (b"",), (b"\xff",), (b"some", b"q"), (b"maybe", b"q", b"r"), (b"some", b"\xff", b"\xff")),
    *((b"", b"", b""), (b"none", b"q", b"r"), (b"some", b"q", b"r", b"more"), (b"9",) * 50),
)
VARIANTS = range(len(NUMBERS))

SETTINGS = ("max_length", "max_item_size", "claim_timeout", "max_failures", "result_timeout")
KINDS = ("feed", "sorted_feed", "queue", "job")


def opened_with_an_item(thoonk: Thoonk, kind: str) -> object:
    """The feed f of that kind, with an item in it."""
    feed = getattr(thoonk, kind)("f")
    if kind == "feed":
        feed.publish("x", id="a")
    elif kind == "sorted_feed":
        feed.append("x")
    else:
        feed.put("x")
    return feed


def spoil(raw: redis.Redis, variant: int) -> None:
    """Put garbage wherever the type of the key allows it."""
    number, score, id = NUMBERS[variant], SCORES[variant], IDS[variant]
    keys, known = keys_of("f"), list(raw.hkeys("feed.items:f")) or [b"a"]
    raw.sadd("feeds", id)
    raw.hset(keys.config, mapping=dict.fromkeys(SETTINGS, number))
    raw.hset(keys.config, mapping={b"title": id, id: number})
    for counter in (keys.publishes, keys.finishes, keys.idincr):
        raw.set(counter, number)
    for found in (*known, id):
        raw.hset(keys.cancelled, found, number)
        raw.zadd(keys.published, {found: score})
        raw.zadd(keys.results, {found: score})
        if RESULTS[variant]:
            raw.delete(b"feed.jobfinished:f\0" + found)
            raw.rpush(b"feed.jobfinished:f\0" + found, *RESULTS[variant])
    if raw.type(keys.ids) == b"zset":
        raw.zadd(keys.ids, {id: score, known[0]: SCORES[-variant]})
    else:
        raw.lpush(keys.ids, id, id)
    raw.hset(keys.items, id, b"\xff\xfe")
    raw.rpush(keys.reserved, id)
    raw.sadd(keys.stalled, id)
    for claimed in (id, *raw.zrange(keys.claimed, 0, 0)):
        raw.zadd(keys.claimed, {claimed: score})
        raw.hset(keys.holders, claimed, number)
    raw.hset(keys.tokens, mapping={b"T": number, b"U": id, b"": b"\0\0"})
    raw.hset(keys.answers, mapping={f"S{n}": number for n in range(20)})
