"""Sharding without a leader: work in order for each customer, by as many as there are.

    python examples/shards.py [--backend URL] [--shards 6] [--orders 120]

Orders of one customer have to be done one after another; those of different customers
need not. So customers are spread over shards by a hash of their name, and each shard is a feed
of its own. On a cluster, they are on all of its nodes, by the part of their names in braces.

Who may work on a shard? There is a job feed with one job for each shard, and whoever has
claimed it holds a lease. It works off the feed from its beginning, retracting each order
that is done, and gives the lease back. A worker that dies loses its lease after a second,
and the next goes on with the very order that was left. Nobody is in charge, and workers
come and go as they like. Here one dies in the middle of an order.
"""

from __future__ import annotations

import argparse
import random
import time
import zlib

from side_by_side import Processes, main, names_of_our_own, parser, vanish

from thoonk import JSON, Empty, Feed, Job, Thoonk

LEASE = 1.0
"""Seconds after which the lease of a worker that died is free again."""

IDLE = 0.1
"""Seconds for which nobody looks at a shard that had no orders."""

TURN = 20
"""How many orders are done before the lease goes to whoever is next in line."""

TIMEOUT = 60.0


def shard_of(customer: str, shards: int) -> int:
    """The same for everybody: Python's own hash() differs from process to process."""
    return zlib.crc32(customer.encode()) % shards


def orders_of(thoonk: Thoonk, prefix: str, shard: int) -> Feed[dict[str, int | str]]:
    """The orders of a shard, the oldest first."""
    return thoonk.feed(f"{prefix}orders-{{{shard}}}", serializer=JSON)


def leases_of(thoonk: Thoonk, prefix: str) -> Job[int]:
    """One job for each shard."""
    return thoonk.job(prefix + "{leases}", {"claim_timeout": LEASE}, serializer=JSON)


def done_of(thoonk: Thoonk, prefix: str) -> Feed[dict[str, int | str]]:
    """The orders that are done, in that order."""
    return thoonk.feed(prefix + "{done}", serializer=JSON)


def work(backend: str, prefix: str, name: str, unlucky: bool) -> None:
    """Take a lease, have a turn, give it back, and so on until the work is over."""
    with Thoonk(backend=backend) as thoonk:
        leases = leases_of(thoonk, prefix)
        done = done_of(thoonk, prefix)
        while not thoonk.feed(prefix + "{over}").count():
            try:
                lease = leases.get(timeout=0.5)
            except Empty:
                continue
            orders = orders_of(thoonk, prefix, lease.item)
            if not orders.count():
                lease.cancel(delay=IDLE)
                continue
            with lease.heartbeat() as heartbeat:
                for id, order in orders.items(stop=TURN):
                    if heartbeat.lost:
                        break  # we were too slow: the shard is somebody else's by now
                    # The order's own id, so that to do it twice changes nothing.
                    done.publish({**order, "by": name}, id=id)
                    if unlucky:
                        vanish()
                    orders.retract(id)
            if not heartbeat.lost:
                lease.cancel()


def wait_for(done: Feed[dict[str, int | str]], count: int) -> None:
    """Wait until so many orders are done. A cluster has no notices that could say so."""
    deadline = time.monotonic() + TIMEOUT
    while done.count() < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} orders are not done within {TIMEOUT:g} seconds")
        time.sleep(IDLE)


def run(arguments: argparse.Namespace) -> bool:
    """Returns whether each order was done, and those of each customer in their order."""
    customers = ["Ann", "Bob", "Cleo", "Dora", "Emil", "Fritz", "Gina", "Hugo"]
    with (
        Thoonk(backend=arguments.backend) as thoonk,
        names_of_our_own(thoonk) as prefix,
        Processes(arguments.backend) as processes,
    ):
        done = done_of(thoonk, prefix)
        leases_of(thoonk, prefix).put_many(range(arguments.shards))
        for number in range(arguments.orders):
            customer = random.choice(customers)
            orders = orders_of(thoonk, prefix, shard_of(customer, arguments.shards))
            orders.publish({"customer": customer, "number": number})
        processes.start(work, prefix, "worker-1", True)
        wait_for(done, 1)  # by the unlucky one, which is dead by now
        for other in range(2, 5):
            processes.start(work, prefix, f"worker-{other}", False)
        wait_for(done, arguments.orders)
        seen = [order for _, order in done.items()]
        thoonk.feed(prefix + "{over}").publish("that was all")
    fine = True
    for customer in customers:
        numbers = [int(order["number"]) for order in seen if order["customer"] == customer]
        fine = fine and numbers == sorted(numbers)
    for worker in sorted({str(order["by"]) for order in seen}):
        print(f"{worker}  {sum(order['by'] == worker for order in seen)} orders")
    print("Each customer's orders were done in their order." if fine else "The order is wrong.")
    return fine


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--shards", type=int, default=6, metavar="N")
    options.add_argument("--orders", type=int, default=120, metavar="N")
    main(run, options.parse_args())
