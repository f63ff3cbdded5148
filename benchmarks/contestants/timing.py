"""How a contestant measures a stretch of work: time that passed, and time on the CPU."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

SIZE = 256
"""Bytes of an item where nothing else is said."""

ITEM = "x" * SIZE


def server_cpu() -> float:
    """Seconds that the server has been on the CPU so far; 0 where there is no server."""
    address = urlsplit(os.environ.get("BENCHMARK_SERVER", ""))
    if not address.hostname:
        return 0.0
    with socket.create_connection((address.hostname, address.port or 6379)) as connection:
        connection.sendall(b"INFO cpu\r\n")
        text = b""
        while b"used_cpu_user_main_thread" not in text or not text.endswith(b"\r\n"):
            text += connection.recv(4096)
    lines = (line.split(b":") for line in text.split(b"\r\n") if b":" in line)
    fields = {name.decode(): float(value) for name, value in lines}
    return fields["used_cpu_sys"] + fields["used_cpu_user"]


@contextmanager
def timed(count: int) -> Iterator[SimpleNamespace]:
    """Measure the block; what is yielded has the numbers in ``result`` after it."""
    measured = SimpleNamespace(result=None)
    server = server_cpu()
    client = time.process_time()
    start = time.perf_counter()
    yield measured
    seconds = time.perf_counter() - start
    client = time.process_time() - client
    measured.result = {
        "count": count,
        "seconds": seconds,
        "client_cpu": client,
        "server_cpu": server_cpu() - server,
    }


def stamped() -> str:
    """An item that says when it was made, by a clock that all processes of a machine share."""
    return f"{time.monotonic_ns():020d}".ljust(SIZE, "x")


def age(item: str | bytes) -> float:
    """Microseconds since the item was made."""
    return (time.monotonic_ns() - int(item[:20])) / 1000


PACE = 0.001
"""Seconds between two stamped items, so that none waits for another."""
