"""Traces of the jobs that a worker does."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import World
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from thoonk import JSON, AsyncThoonk, Thoonk
from thoonk.observe import AsyncObservedBackend, ObservedBackend
from thoonk.observe.opentelemetry import Traced, Tracing, received
from thoonk.worker import AsyncWorker, Worker

from .conftest import Workers, becomes


def trace_of(context: Any) -> int:
    return trace.get_current_span(context).get_span_context().trace_id


def put_each_in_a_trace_of_its_own(jobs: Any, count: int) -> None:
    tracer = TracerProvider().get_tracer("test")
    for _ in range(count):
        with tracer.start_as_current_span("order") as span:
            jobs.put(span.get_span_context().trace_id)


@pytest.mark.parametrize("prefetch", [None, 1, 16])
def test_a_handler_is_in_the_trace_of_its_own_job(
    workers: Workers, thoonk: Thoonk, prefetch: int | None
) -> None:
    worker = workers(concurrency=2)
    seen: list[tuple[int, int, int]] = []

    def plain(item: int) -> None:
        time.sleep(0)
        seen.append((item, trace_of(received()), trace_of(None)))

    async def coroutine(item: int) -> None:
        await asyncio.sleep(0)
        seen.append((item, trace_of(received()), trace_of(None)))

    function = plain if workers.kind == "threads" else coroutine
    workers.handle(worker, "j", function, serializer=Traced(JSON), prefetch=prefetch)
    jobs = thoonk.job("j", serializer=Traced(JSON))
    put_each_in_a_trace_of_its_own(jobs, 300)
    worker.run(burst=True)
    assert len(seen) == 300
    assert [each for each in seen if len({*each}) > 1] == []
    assert trace_of(None) == 0


def test_claims_that_are_taken_together_keep_their_traces(thoonk: Thoonk) -> None:
    jobs = thoonk.job("j", serializer=Traced(JSON))
    put_each_in_a_trace_of_its_own(jobs, 20)
    for claim in jobs.get_many(10, timeout=5):
        assert trace_of(received(claim)) == claim.item
        claim.finish()
    seen = 0
    for claim in jobs.claims(timeout=0.1, prefetch=8):
        assert trace_of(received()) == trace_of(received(claim)) == claim.item
        seen += 1
    assert seen == 10
    becomes(jobs, 0, 0, 0, 20)


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_a_worker_that_is_watched_opens_a_span_for_each_attempt(
    one_server: World, kind: str
) -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    tries: list[int] = []

    def work(item: str, claim: Any) -> None:
        tries.append(claim.cancelled)
        with tracer.start_as_current_span("in the handler"):
            if claim.cancelled == 0:
                raise OSError("the first time")

    with Thoonk(backend=one_server.url) as thoonk:
        jobs = thoonk.job("j", serializer=Traced(JSON))
        with tracer.start_as_current_span("order") as order:
            id = jobs.put("x")
        if kind == "threads":
            with (
                ObservedBackend(one_server.url, Tracing(provider)) as backend,
                Thoonk(backend=backend) as client,
            ):
                worker = Worker(client)
                worker.handle("j", work, serializer=Traced(JSON), backoff=0.05)
                worker.run(burst=True)
        else:

            async def coroutine(item: str, claim: Any) -> None:
                work(item, claim)

            async def run() -> None:
                async with (
                    AsyncObservedBackend(one_server.url, Tracing(provider)) as backend,
                    AsyncThoonk(backend=backend) as client,
                ):
                    watched = AsyncWorker(client)
                    watched.handle("j", coroutine, serializer=Traced(JSON), backoff=0.05)
                    await watched.serve(burst=True)

            asyncio.run(run())
        becomes(jobs, 0, 0, 0, 1)
    assert tries == [0, 1]
    spans = exporter.get_finished_spans()
    first, second = [span for span in spans if span.name == "process j"]
    for span, attempt in ((first, 1), (second, 2)):
        assert span.kind is trace.SpanKind.CONSUMER
        assert span.attributes is not None
        assert span.attributes["messaging.message.id"] == id
        assert span.attributes["thoonk.job.attempt"] == attempt
        assert span.parent is not None
        assert span.parent.span_id == order.get_span_context().span_id
    assert first.status.status_code is trace.StatusCode.ERROR
    assert second.status.status_code is trace.StatusCode.UNSET
    inside = [span for span in spans if span.name == "in the handler"]
    assert [span.parent and span.parent.span_id for span in inside] == [
        first.context.span_id,
        second.context.span_id,
    ]
