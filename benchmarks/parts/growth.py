"""What single operations cost as feeds, items and the number of subscribers grow."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.catalogue import GROWTH, SUBSCRIBERS
from benchmarks.child import Child

SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""Items in the feed."""

OPERATIONS = {
    "feed": ("publish", "edit", "get_item", "publish_and_retract"),
    "queue": ("queue_put_and_get",),
    "job": ("job_put_and_finish",),
    "sorted": ("sorted_append", "sorted_insert_and_retract"),
}
"""What is measured, by the feed that has to grow for it."""

ITEM_BYTES = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)

OF_ITEMS = ("publish", "get_item", "queue_put_and_get", "job_put_and_finish")

MOST_BYTES = 100_000_000
"""Bytes of items that one measurement writes, about."""

LISTENING = (1, 3, 10, 30, 100)
"""Subscribers."""

COUNT = 300
"""Operations per measurement."""


def measure(bench: Bench) -> dict[str, Any]:
    """By what grows, operation and size: samples with µs per script."""
    bench.pin(same_core=True)
    results: dict[str, Any] = {}
    with bench.visit(GROWTH) as child:
        results["feed-size"] = _feed_sizes(bench, child)
    with bench.visit(GROWTH) as child:
        results["item-bytes"] = _item_sizes(bench, child)
    results["subscribers"] = _subscribers(bench)
    return results


def _feed_sizes(bench: Bench, child: Child) -> dict[str, Any]:
    samples: dict[str, Any] = {}
    for size in (20, 40) if bench.quick else SIZES:
        say(f"feeds of {size:,} items")
        for kind, operations in OPERATIONS.items():
            child.call("grow", kind=kind, size=size)
            for operation in operations:
                for _ in range(bench.rounds):
                    sample = _operate(bench, child, operation=operation, count=bench.count(COUNT))
                    by_size = samples.setdefault(operation, {})
                    by_size.setdefault(str(size), []).append(sample)
    return samples


def _item_sizes(bench: Bench, child: Child) -> dict[str, Any]:
    samples: dict[str, Any] = {}
    for size in ITEM_BYTES[:2] if bench.quick else ITEM_BYTES:
        say(f"items of {size:,} bytes")
        count = bench.count(min(COUNT, max(10, MOST_BYTES // size)))
        for operation in OF_ITEMS:
            for _ in range(bench.rounds):
                sample = _operate(bench, child, operation=operation, count=count, size=size)
                by_size = samples.setdefault(operation, {})
                by_size.setdefault(str(size), []).append(sample)
    return samples


def _operate(bench: Bench, child: Child, **arguments: Any) -> dict[str, float]:
    bench.server.client.config_resetstat()
    sample: dict[str, float] = child.call("operate", **arguments)
    stats = bench.server.info("commandstats")
    sent = stats.get("cmdstat_evalsha", {}).get("usec", 0)
    if not sent:
        own = ("cmdstat_info", "cmdstat_config|resetstat")
        sent = sum(fields["usec"] for name, fields in stats.items() if name not in own)
    return {**sample, "script_us": sent / arguments["count"]}


def _subscribers(bench: Bench) -> dict[str, Any]:
    samples: dict[str, Any] = {}
    for number in range(bench.rounds):
        say(f"subscribers, round {number + 1} of {bench.rounds}")
        for subscribers in LISTENING[:1] if bench.quick else LISTENING:
            for contestant in bench.taking_part(SUBSCRIBERS):
                with bench.visit(contestant) as sender, bench.child(contestant) as listener:
                    listener.call("subscribe", count=subscribers)
                    sender.call("send_many", count=10)
                    bench.server.client.config_resetstat()
                    count = bench.count(COUNT)
                    sample = sender.call("send_many", count=count)
                    stats = bench.server.info("commandstats")["cmdstat_evalsha"]
                    sample["script_us"] = stats["usec"] / stats["calls"]
                    by_number = samples.setdefault(contestant.name, {})
                    by_number.setdefault(str(subscribers), []).append(sample)
    return samples
