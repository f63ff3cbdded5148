"""What watching a backend costs: microseconds that each operation takes longer.

    python benchmarks/observing.py

The backend does nothing, so all of the time is that of the watching. Without it there is
none: a client then calls the backend's own method.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from thoonk import JSON, Thoonk
from thoonk.observe import ObservedBackend
from thoonk.observe.opentelemetry import Traced, Tracing
from thoonk.observe.prometheus import Metrics
from thoonk.operations import CreateFeed, CreateResult

CALLS = 20_000
RUNS = 7


class Nothing:
    """A backend that does nothing, at once."""

    def execute(self, operation: Any) -> Any:
        """No answer, but that every feed is there."""
        if isinstance(operation, CreateFeed):
            return CreateResult(created=True, config=operation.config)
        return None

    def wait(self, operation: Any, timeout: float) -> Any:
        """Never called."""

    def listen(self, feed: str | None = None) -> Any:
        """Never called."""

    def close(self) -> None:
        """Nothing to close."""


def microseconds(call: Callable[[], object]) -> float:
    """Per call, the median of some runs."""
    runs = []
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        runs.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(runs)


def main() -> None:
    """Measure and print."""
    nothing = Nothing()
    backends: dict[str, Any] = {
        "not watched": nothing,
        "watched by nobody": ObservedBackend(nothing),
        "metrics": ObservedBackend(nothing, Metrics(CollectorRegistry())),
        "traces, no SDK": ObservedBackend(nothing, Tracing()),
        "traces": ObservedBackend(nothing, Tracing(TracerProvider())),
    }
    base = None
    for name, backend in backends.items():
        queue = Thoonk(backend=backend).queue("queue")
        taken = microseconds(lambda queue=queue: queue.put("x"))  # type: ignore[misc]
        base = taken if base is None else base
        print(f"{name:24} {taken:7.1f} µs  +{taken - base:5.1f} µs")
    for name, serializer in {"json": JSON, "traced json": Traced(JSON)}.items():
        tracer = TracerProvider().get_tracer("benchmark")
        with tracer.start_as_current_span("outer"):
            taken = microseconds(lambda s=serializer: s.decode(s.encode(["x"])))  # type: ignore[misc]
        print(f"{name:24} {taken:7.1f} µs for writing and reading an item")


if __name__ == "__main__":
    main()
