"""The tables of a run, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from benchmarks.catalogue import ALL, AT_ONCE, FLOOR_OF, NOTICES, PEERS, TAKERS, Contestant
from benchmarks.results import Spread, cpu, rate, ratio, spread

NOTHING = "–"


@attrs.frozen
class Table:
    """A title, a sentence on how to read it, and cells of text; the first column is names."""

    name: str
    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_text(self) -> str:
        """For a terminal."""
        rows = (self.header, *self.rows)
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.header))]
        lines = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([self.title, f"({self.note})", *lines])

    def as_markdown(self) -> str:
        """For the documentation."""
        align = ("---", *("---:" for _ in self.header[1:]))
        lines = ("| " + " | ".join(row) + " |" for row in (self.header, align, *self.rows))
        return "\n".join([*lines, "", f"*{self.note}*"])


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """All tables for which there are numbers."""
    parts = results["parts"]
    if "rates" in parts:
        yield _ratios(parts["rates"])
        yield _rates(parts["rates"])
    if "rates" in parts or "drain" in parts:
        queues = {**parts.get("rates", {}), "drain": parts.get("drain", {})}
        yield _speed(queues)
        if peers := [c for c in PEERS if any(c.name in queues.get(m, {}) for m in SPEED)]:
            yield _factors(queues, peers)
    if "memory_put" in parts.get("rates", {}):
        yield _memory(parts["rates"]["memory_put"])
    if "at_once" in parts:
        yield from _at_once(parts["at_once"])
    if "trips" in parts or "space" in parts:
        yield _cost(parts)
    if "notices" in parts:
        yield _notices(parts["notices"])
    if "waking" in parts:
        yield _waking(parts["waking"])
        yield _idle(parts["waking"])
    yield from (
        make(parts[part])
        for part, make in (("pauses", _pauses), ("steps", _steps))
        if part in parts
    )
    if "growth" in parts:
        yield from _growth(parts["growth"])


# --- rates ------------------------------------------------------------------------------

OURS_AND_FLOOR = (
    ("publish", "publish", "thoonk.feed"),
    ("put, job", "put", "thoonk.job"),
    ("put, queue", "put", "thoonk.queue"),
    ("claim and finish, two calls", "claim", "thoonk.job"),
    ("get, queue", "claim", "thoonk.queue"),
    ("finish and claim in one trip", "loop", "thoonk.job"),
    ("publish, asyncio", "async_publish", "thoonk.async_feed"),
    ("put, asyncio, job", "async_put", "thoonk.async_job"),
    ("put, in memory, job", "memory_put", "thoonk.memory"),
    ("publish_many", "publish_many", "thoonk.feed"),
    ("put_many, job", "put_many", "thoonk.job"),
    ("put_many, queue", "put_many", "thoonk.queue"),
)
"""What is done, which method measures it, and who of ours does it."""


def _ratios(rates: dict[str, Any]) -> Table:
    rows = []
    for label, method, ours in OURS_AND_FLOOR:
        by = rates.get(method, {})
        floor, what = FLOOR_OF[method]
        if ours not in by or floor not in by:
            continue
        by_time = ratio(by[ours], by[floor])
        by_cpu = ratio(by[floor], by[ours], cpu)
        rows.append((label, what, _span(by_time), f"{by_cpu.median:.2f}"))
    return Table(
        "ratios",
        "Thoonk beside the least that it could be",
        "ratio: calls a second by those of the floor in the same round, median (least–most); "
        "1.00 is as fast as the bare commands. By CPU: the same of the time on the CPU, which "
        "other programs on the machine do not change much",
        ("", "floor", "ratio", "by CPU"),
        tuple(rows),
    )


def _rates(rates: dict[str, Any]) -> Table:
    rows = []
    for contestant in ALL:
        for method, by in rates.items():
            if contestant.name not in by:
                continue
            samples = by[contestant.name]
            per_second = spread(samples)
            client = spread(samples, lambda s: 1e6 * s["client_cpu"] / s["count"])
            server = spread(samples, lambda s: 1e6 * s["server_cpu"] / s["count"])
            rows.append(
                (
                    contestant.label,
                    method,
                    _number(per_second.median),
                    f"{_number(per_second.low)}–{_number(per_second.high)}",
                    f"{client.median:.1f}",
                    f"{server.median:.1f}",
                )
            )
    return Table(
        "rates",
        "Calls a second, client and server on one core",
        "per call: microseconds on the CPU, of the client and of the server",
        ("", "what", "per second", "least–most", "client µs", "server µs"),
        tuple(rows),
    )


SPEED = {
    "put": "put/s",
    "claim": "claim + ack/s",
    "loop": "one-trip loop/s",
    "prefetch": "prefetch 16/s",
    "drain": "worker, jobs/s",
    "put_many": "bulk put/s",
    "claim_many": "bulk claim + ack/s",
}
"""The columns of what a queue does."""


def _speed(found: dict[str, Any]) -> Table:
    rows = []
    for contestant in ALL:
        by_method = [found.get(method, {}).get(contestant.name) for method in SPEED]
        if any(by_method):
            workers = f" ({contestant.workers})" if contestant.workers else ""
            cells = (_number(spread(s).median) if s else NOTHING for s in by_method)
            rows.append((contestant.label + workers, *cells))
    return Table(
        "speed",
        "Queues side by side",
        "calls or items a second, median of the rounds. In brackets: what the worker has. "
        "All but the worker on one core together with the server",
        ("", *SPEED.values()),
        tuple(rows),
    )


AGAINST = (
    ("put", "put", ("put",)),
    ("claim and finish, two calls", "claim", ("claim", "drain")),
    ("finish and claim in one trip", "loop", ("claim", "drain")),
    ("with prefetch 16", "prefetch", ("prefetch", "claim", "drain")),
    ("worker", "drain", ("drain",)),
    ("put_many", "put_many", ("put_many", "put")),
    ("get_many and finish_many", "claim_many", ("claim", "drain")),
)
"""What Thoonk's job feed does, and what of a peer's it is compared with: the first there is."""


def _factors(found: dict[str, Any], peers: list[Contestant]) -> Table:
    rows = []
    for label, method, theirs in AGAINST:
        ours = found.get(method, {}).get("thoonk.job")
        if not ours:
            continue
        factors: dict[str, float] = {}
        for peer in peers:
            samples = (found.get(other, {}).get(peer.name) for other in theirs)
            if other := next((s for s in samples if s), None):
                factors[peer.name] = ratio(ours, other).median
        least = [factors[p.name] for p in peers if p.acknowledges and p.name in factors]
        cells = (f"{factors[p.name]:.1f}" if p.name in factors else NOTHING for p in peers)
        rows.append((label, f"{min(least):.1f}" if least else NOTHING, *cells))
    return Table(
        "factors",
        "How many times as fast as a peer a job feed is",
        "by round, median. A peer that cannot do the same in one call is compared with what "
        "it has: its worker, or one call per item. HotQueue and huey acknowledge nothing; the "
        "first column is the fastest of the others",
        ("", "fastest with ack", *(peer.label for peer in peers)),
        tuple(rows),
    )


def _at_once(found: dict[str, Any]) -> Iterator[Table]:
    reference = found.get("put_at_once", {}).get("bullmq.node", {})
    rows: list[tuple[str, ...]] = []
    levels = sorted({calls for c in AT_ONCE for calls in c.calls})
    for contestant in AT_ONCE:
        by_calls = found.get(contestant.visits[0][0], {}).get(contestant.name, {})
        if by_calls:
            cells = (_at_level(by_calls, reference, str(calls)) for calls in levels)
            rows.append((contestant.label, *cells))
    yield Table(
        "at-once",
        "Many calls at once",
        "calls a second with so many on their way at once, median of the rounds; after it, "
        "microseconds on the CPU per call, client and server together. In brackets: by BullMQ's "
        "add with as many at once",
        ("calls at once", *(f"{calls:,}" for calls in levels)),
        tuple(rows),
    )
    workers, bulk = found.get("drain", {}), found.get("put_many", {})
    yield Table(
        "hundred",
        "A worker with a hundred jobs at once, and bulk calls",
        "jobs a second, until all are finished on the server, and items a second of put_many, "
        "addBulk and saveAll; microseconds on the CPU per job or item, client and server "
        "together. In brackets: by BullMQ (Node)",
        ("", "jobs/s", "CPU µs", "bulk put/s", "CPU µs"),
        tuple(
            (
                contestant.workers or contestant.label,
                *_beside(workers.get(contestant.name), workers.get("bullmq.node")),
                *_beside(bulk.get(contestant.name), bulk.get("bullmq.node")),
            )
            for contestant in AT_ONCE
            if contestant.name in workers
        ),
    )


def _at_level(by_calls: dict[str, Any], reference: dict[str, Any], calls: str) -> str:
    if calls not in by_calls:
        return NOTHING
    samples = by_calls[calls]
    by = _with_ratio(samples, reference.get(calls), rate)
    return f"{by}, {spread(samples, cpu).median:.0f} µs"


def _beside(samples: Any, reference: Any) -> tuple[str, str]:
    if not samples:
        return NOTHING, NOTHING
    less = f"{spread(samples, cpu).median:.1f}"
    if reference:
        less += f" ({ratio(samples, reference, cpu).median:.2f})"
    return _with_ratio(samples, reference, rate), less


def _memory(found: dict[str, Any]) -> Table:
    reference = found.get("floor.memory")
    return Table(
        "memory",
        "In memory",
        "put/s in one process, without a server; in brackets: by the first line. The other "
        "libraries keep Python objects in a queue.Queue",
        ("", "put/s"),
        tuple((c.label, _with_ratio(found[c.name], reference, rate)) for c in _of(ALL, found)),
    )


def _cost(parts: dict[str, Any]) -> Table:
    trips, space = parts.get("trips", {}), parts.get("space", {})
    rows = []
    for contestant in ALL:
        name = contestant.name
        fills = ("put", "publish", "async_put", "async_publish")
        fill = next((m for m in fills if name in trips.get(m, {})), "put")
        # A peer's worker stands for the calls that it does not offer.
        ends = ("claim", "loop", "drain") if contestant in PEERS else ("claim", "loop")
        end = next((m for m in ends if name in trips.get(m, {})), "claim")
        cells = (
            _counted(trips, fill, name, "trips"),
            _counted(trips, end, name, "trips"),
            _counted(trips, fill, name, "commands"),
            _counted(trips, end, name, "commands"),
            _bytes(space, name, "queued"),
            _bytes(space, name, "left"),
        )
        if set(cells) != {NOTHING}:
            rows.append((contestant.label, *cells))
    return Table(
        "cost",
        "What one item costs the server",
        "round trips counted at the socket; commands with those inside scripts; bytes of "
        "used_memory per queued item of 256 bytes, and per item that is done. A library that "
        "keeps results has them left over",
        (
            "",
            "trips, put",
            "claim + ack",
            "commands, put",
            "claim + ack",
            "bytes queued",
            "bytes left",
        ),
        tuple(rows),
    )


# --- waiting ------------------------------------------------------------------------------


def _notices(notices: dict[str, Any]) -> Table:
    reference = notices.get("floor.listen")
    rows = []
    for contestant in _of(NOTICES, notices):
        samples = notices[contestant.name]
        rows.append(
            (
                contestant.label,
                _with_ratio(samples, reference, lambda s: s["p50"]),
                _with_ratio(samples, reference, lambda s: s["p99"]),
                _with_ratio(samples, reference, rate),
            )
        )
    return Table(
        "notices",
        "Notices",
        "µs from before an item is published in one process until it is in the hands of another; "
        "read/s: notices that wait already. In brackets: by the first line",
        ("", "p50 µs", "p99 µs", "read/s"),
        tuple(rows),
    )


def _waking(waking: dict[str, Any]) -> Table:
    rows = []
    reference = waking.get("floor.brpop", {})
    for contestant in _of(TAKERS, waking):
        by_consumers = waking[contestant.name]
        for consumers in sorted(by_consumers.keys() - {"idle"}, key=int):
            samples = by_consumers[consumers]
            rows.append(
                (
                    contestant.label,
                    consumers,
                    _with_ratio(samples, reference.get(consumers), lambda s: s["p50"]),
                    _with_ratio(samples, reference.get(consumers), lambda s: s["p99"]),
                    f"{spread(samples, lambda s: s['scripts']).median:.2f}",
                )
            )
    return Table(
        "waking",
        "From put to a blocked consumer",
        "µs from before the put in one process until the item is in the hands of another that "
        "was blocked. In brackets: by BRPOP with as many waiting. Scripts: calls of scripts per "
        "item, the put included",
        ("", "consumers", "p50 µs", "p99 µs", "scripts"),
        tuple(rows),
    )


def _idle(waking: dict[str, Any]) -> Table:
    rows = []
    for contestant in _of(TAKERS, waking):
        idle = waking[contestant.name].get("idle")
        if idle:
            rows.append(
                (
                    contestant.label,
                    str(idle["takers"]),
                    _number(idle["commands_per_minute"]),
                    f"{100 * idle['server_cpu_share']:.2f} %",
                )
            )
    return Table(
        "idle",
        "Blocked consumers with nothing to get",
        "commands that they send in a minute, all together; of the server's core",
        ("", "consumers", "commands a minute", "server"),
        tuple(rows),
    )


def _pauses(pauses: dict[str, Any]) -> Table:
    rows = []
    for contestant in _of(ALL, pauses):
        for method, samples in pauses[contestant.name].items():
            ping = spread(samples, lambda s: s["ping_ms"])
            script = spread(samples, lambda s: s["script_ms"])
            rows.append(
                (
                    contestant.label,
                    method,
                    f"{script.median:.1f}",
                    f"{script.high:.1f}",
                    f"{ping.median:.1f}",
                    f"{ping.high:.1f}",
                )
            )
    return Table(
        "pauses",
        "How long a bulk call keeps the server from others",
        "ms: the longest script in a call with 50,000 items, and the longest PING of another "
        "client meanwhile; median of the rounds, and the most",
        ("", "what", "script ms", "most", "PING ms", "most"),
        tuple(rows),
    )


def _steps(steps: dict[str, Any]) -> Table:
    first = next(iter(steps.values()))
    return Table(
        "steps",
        "The longest step with very many jobs",
        f"ms: the longest script of a call, seconds: the call itself; {first['jobs']:,} jobs wait, "
        f"and {first['many']:,} are retracted, claimed, or have expired. One round",
        ("", "longest script ms", "seconds", "load of the machine"),
        tuple(
            (name, f"{s['script_ms']:.1f}", f"{s['seconds']:.1f}", f"{s['load']:.1f}")
            for name, s in steps.items()
        ),
    )


# --- growth -------------------------------------------------------------------------------


def _growth(growth: dict[str, Any]) -> Iterator[Table]:
    for name, title, unit in (
        ("feed-size", "Cost of an operation by the number of items in the feed", "items"),
        ("item-bytes", "Cost of an operation by the size of the item", "bytes"),
        ("subscribers", "Cost of publishing by the number of subscribers", "subscribers"),
    ):
        if name in growth:
            yield _grown(name, title, unit, growth[name])


def _grown(name: str, title: str, unit: str, by_operation: dict[str, Any]) -> Table:
    sizes = sorted({int(size) for by_size in by_operation.values() for size in by_size})
    rows = []
    for operation, by_size in by_operation.items():
        costs = [
            (spread(samples, cpu).median, spread(samples, _script).median)
            for samples in (by_size[str(size)] for size in sizes)
        ]
        cells = (f"{both:,.0f} / {server:,.0f}" for both, server in costs)
        growth = f"{costs[-1][0] / costs[0][0]:,.2f}"
        rows.append((OPERATIONS.get(operation, operation.replace("_", " ")), *cells, growth))
    return Table(
        name,
        title,
        "µs per operation on the CPU, of client and server together / of that, in the server's "
        "commands. Growth: the last by the first",
        ("", *(f"{size:,} {unit}" for size in sizes), "growth"),
        tuple(rows),
    )


OPERATIONS = {"floor.script_listen": "bare script", "thoonk.feed": "publish"}
"""What the lines of the subscribers are called."""


def _script(sample: dict[str, float]) -> float:
    return sample["script_us"]


# --- cells --------------------------------------------------------------------------------


def _of(contestants: tuple[Contestant, ...], found: dict[str, Any]) -> Iterator[Contestant]:
    return (c for c in contestants if c.name in found)


def _number(number: float) -> str:
    return f"{number:,.0f}"


def _span(numbers: Spread) -> str:
    return f"{numbers.median:.2f} ({numbers.low:.2f}–{numbers.high:.2f})"


def _with_ratio(
    samples: list[dict[str, float]],
    reference: list[dict[str, float]] | None,
    number: Callable[[dict[str, float]], float],
) -> str:
    own = _number(spread(samples, number).median)
    if not reference:
        return own
    return f"{own} ({ratio(samples, reference, number).median:.2f})"


def _counted(trips: dict[str, Any], method: str, name: str, what: str) -> str:
    counted = trips.get(method, {}).get(name)
    return NOTHING if counted is None else f"{counted[what]:.1f}".removesuffix(".0")


def _bytes(space: dict[str, Any], name: str, when: str) -> str:
    counted = space.get(name, {}).get(when)
    return NOTHING if counted is None else _number(max(0, counted["used_memory"]))
