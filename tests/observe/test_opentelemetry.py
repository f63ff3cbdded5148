"""Spans of operations, and the context that travels with an item."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from conftest import World
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from thoonk import (
    JSON,
    TEXT,
    AsyncThoonk,
    BackendUnavailable,
    Empty,
    NotClaimed,
    SerializerError,
    Thoonk,
)
from thoonk import operations as ops
from thoonk.observe import AsyncObservedBackend, ObservedBackend
from thoonk.observe.opentelemetry import Traced, Tracing, received

KIND = trace.SpanKind


@attrs.frozen
class Traces:
    provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def tracer(self) -> trace.Tracer:
        return self.provider.get_tracer("test")

    def spans(self) -> list[ReadableSpan]:
        """Those that have ended since this was called last."""
        spans = [*self.exporter.get_finished_spans()]
        self.exporter.clear()
        return spans

    def one(self) -> ReadableSpan:
        (span,) = self.spans()
        return span


@pytest.fixture
def traces() -> Iterator[Traces]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Traces(provider, exporter)
    provider.shutdown()


@pytest.fixture
def thoonk(world: World, traces: Traces) -> Iterator[Thoonk]:
    with ObservedBackend(world.url, Tracing(traces.provider)) as backend:
        with Thoonk(backend=backend) as thoonk:
            yield thoonk


def test_sending_taking_and_settling_have_their_kinds(thoonk: Thoonk, traces: Traces) -> None:
    job = thoonk.job("job")
    assert [span.name for span in traces.spans()] == ["create_feed job", "register_feed job"]
    id = job.put("four")
    span = traces.one()
    assert (span.name, span.kind) == ("job_put job", KIND.PRODUCER)
    common = {"messaging.system": "thoonk", "messaging.destination.name": "job"}
    assert span.attributes == {
        **common,
        "messaging.operation.name": "job_put",
        "messaging.operation.type": "send",
        "messaging.message.id": id,
        "messaging.message.body.size": 4,
    }
    claim = job.get(timeout=5)
    span = traces.one()
    assert (span.name, span.kind, span.links) == ("job_claim job", KIND.CLIENT, ())
    assert span.attributes == {
        **common,
        "messaging.operation.name": "job_claim",
        "messaging.operation.type": "receive",
        "messaging.message.id": id,
        "messaging.message.body.size": 4,
    }
    claim.finish("done")
    span = traces.one()
    assert (span.name, span.kind) == ("job_finish job", KIND.CLIENT)
    assert span.attributes == {
        **common,
        "messaging.operation.name": "job_finish",
        "messaging.operation.type": "settle",
        "messaging.message.id": id,
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "thoonk"


def test_jobs_for_later_and_failures_are_of_these_kinds_too(thoonk: Thoonk, traces: Traces) -> None:
    job = thoonk.job("job")
    traces.spans()
    job.put("four", id="mine")
    span = traces.one()
    assert (span.name, span.kind) == ("job_add job", KIND.PRODUCER)
    assert span.attributes is not None
    assert span.attributes["messaging.operation.type"] == "send"
    assert span.attributes["messaging.message.id"] == "mine"
    claim = job.get(timeout=5)
    traces.spans()
    claim.cancel(reason="secret", delay=60)
    span = traces.one()
    assert (span.name, span.kind) == ("job_fail job", KIND.CLIENT)
    assert span.attributes is not None
    assert span.attributes["messaging.operation.type"] == "settle"
    assert span.attributes["messaging.message.id"] == "mine"
    assert "secret" not in str(span.attributes)


def test_reading_all_items_makes_a_span(thoonk: Thoonk, traces: Traces) -> None:
    thoonk.job("job").get_all()
    thoonk.queue("queue").get_all()
    names = [span.name for span in traces.spans()]
    assert names[2] == "read_jobs job"
    assert names[-1].endswith("queue")


def test_several_at_once_are_counted(thoonk: Thoonk, traces: Traces) -> None:
    thoonk.queue("queue")
    traces.spans()
    entries = (ops.Entry("a", b"1"), ops.Entry("b", b"22"))
    thoonk.backend.execute(ops.QueuePut("queue", entries))
    attributes = traces.one().attributes or {}
    assert attributes["messaging.batch.message_count"] == 2
    assert attributes["messaging.message.body.size"] == 3
    thoonk.backend.execute(ops.QueueTake("queue", "token", 5))
    attributes = traces.one().attributes or {}
    assert attributes["messaging.batch.message_count"] == 2
    assert "messaging.message.id" not in attributes


def test_who_waits_for_nothing_leaves_no_span(thoonk: Thoonk, traces: Traces) -> None:
    queue = thoonk.queue("queue")
    traces.spans()
    for timeout in (0.01, 0.1):
        with pytest.raises(Empty):
            queue.get(timeout=timeout)
    with pytest.raises(Empty):
        queue.get_nowait()
    assert traces.spans() == []


def test_spans_are_children_of_the_present_one(thoonk: Thoonk, traces: Traces) -> None:
    queue = thoonk.queue("queue")
    traces.spans()
    with traces.tracer.start_as_current_span("outer") as outer:
        queue.put("x")
        queue.get(timeout=5)
    spans = traces.spans()
    names = ["queue_put queue", "queue_take queue", "queue_confirm queue", "outer"]
    assert [span.name for span in spans] == names
    parents = [span.parent.span_id if span.parent else None for span in spans]
    assert parents == [outer.get_span_context().span_id] * 3 + [None]
    assert all(span.start_time <= span.end_time for span in spans)  # type: ignore[operator]


def test_an_error_is_the_spans_status(thoonk: Thoonk, traces: Traces) -> None:
    job = thoonk.job("job")
    traces.spans()
    with pytest.raises(NotClaimed):
        job.finish("nothing")
    span = traces.one()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "NotClaimed"
    assert [event.name for event in span.events] == ["exception"]


def test_a_take_that_fails_is_told(traces: Traces) -> None:
    backend = ObservedBackend("redis://127.0.0.1:1", Tracing(traces.provider))
    with pytest.raises(BackendUnavailable):
        backend.execute(ops.QueueTake("queue", "token"))
    span = traces.one()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "BackendUnavailable"
    assert [event.name for event in span.events] == ["exception"]
    backend.close()


# --- the context with the item ----------------------------------------------------------------


def span_of(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


def test_the_context_of_who_puts_reaches_who_gets(thoonk: Thoonk, traces: Traces) -> None:
    queue = thoonk.queue("queue", serializer=Traced(JSON))
    with traces.tracer.start_as_current_span("producer") as producer:
        queue.put({"n": 1})
    traces.spans()
    assert queue.get(timeout=5) == {"n": 1}
    origin = producer.get_span_context()
    assert span_of(received()).span_id == origin.span_id
    taken = traces.spans()[0]
    assert [link.context.span_id for link in taken.links] == [origin.span_id]
    with traces.tracer.start_as_current_span("work", context=received()):
        pass
    work = traces.one()
    assert work.parent is not None
    assert work.parent.span_id == origin.span_id
    assert work.context is not None
    assert work.context.trace_id == origin.trace_id


def test_a_schedule_is_the_same_in_whatever_span_it_is_made(thoonk: Thoonk, traces: Traces) -> None:
    job = thoonk.job("job", serializer=Traced(JSON))
    with traces.tracer.start_as_current_span("one"):
        assert job.schedule("s", {"n": 1}, every=0.1)
    with traces.tracer.start_as_current_span("two"):
        assert not job.schedule("s", {"n": 1}, every=0.1)
    claim = job.get(timeout=5)
    assert claim.item == {"n": 1}
    assert not span_of(received(claim)).is_valid


def test_a_put_into_a_queue_under_an_id_of_ones_own_sends(thoonk: Thoonk, traces: Traces) -> None:
    queue = thoonk.queue("queue")
    traces.spans()
    queue.put("x", id="mine")
    span = traces.one()
    assert (span.name, span.kind) == ("queue_add queue", KIND.PRODUCER)
    assert span.attributes is not None
    assert span.attributes["messaging.message.id"] == "mine"


def test_it_goes_with_results_and_notices_too(thoonk: Thoonk, traces: Traces) -> None:
    job = thoonk.job("job", serializer=Traced(TEXT))
    id = job.put("x")
    claim = job.get(timeout=5)
    assert not span_of(received()).is_valid
    with traces.tracer.start_as_current_span("worker") as worker:
        claim.finish("result")
    assert job.get_result(id, timeout=5) == ("x", "result")
    assert span_of(received()).span_id == worker.get_span_context().span_id
    feed = thoonk.feed("feed", serializer=Traced(TEXT))
    with feed.subscribe() as notices:
        with traces.tracer.start_as_current_span("publisher") as publisher:
            feed.publish("item")
        assert notices.get(timeout=5).item == "item"  # type: ignore[union-attr]
    assert span_of(received()).span_id == publisher.get_span_context().span_id


def test_where_several_are_taken_at_once_each_has_its_origin(
    world: World, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`received` knows the last one only; of what came long ago nothing is known."""
    tracing = Tracing(traces.provider)
    with ObservedBackend(world.url, tracing) as backend, Thoonk(backend=backend) as thoonk:
        job = thoonk.job("job", serializer=Traced(TEXT))
        origins = {}
        for name in "abc":
            with traces.tracer.start_as_current_span(name) as span:
                origins[job.put(name)] = span.get_span_context().span_id
        without = job.put("x")
        traces.spans()
        with job.claims(prefetch=5, timeout=0.1) as claims:
            for claim in claims:
                span = span_of(tracing.origin("job", claim.id))
                assert span.span_id == origins.get(claim.id, 0)
                assert span.is_valid == (claim.id != without)
        links = [link for span in traces.spans() for link in span.links]
        assert {link.context.span_id for link in links} == {*origins.values()}
        feed = thoonk.feed("feed", serializer=Traced(TEXT))
        monkeypatch.setattr("thoonk.observe.opentelemetry._REMEMBERED", 2)
        with feed.subscribe() as notices, traces.tracer.start_as_current_span("publisher") as span:
            for id in "abc":
                feed.publish("x", id=id)
                notices.get(timeout=5)
        origin = span.get_span_context().span_id
        known = [span_of(tracing.origin("feed", id)).span_id for id in "abc"]
        assert known == [0, origin, origin]


async def test_tasks_do_not_see_each_others_contexts(world: World, traces: Traces) -> None:
    import asyncio

    async with AsyncObservedBackend(world.url, Tracing(traces.provider)) as backend:
        async with AsyncThoonk(backend=backend) as thoonk:
            origins = {}
            for name in "ab":
                queue = await thoonk.queue(name, serializer=Traced(TEXT))
                with traces.tracer.start_as_current_span(name) as span:
                    await queue.put("x")
                origins[name] = span.get_span_context().span_id
            barrier = asyncio.Barrier(2)

            async def take(name: str) -> int:
                queue = await thoonk.queue(name, serializer=Traced(TEXT))
                await queue.get(timeout=5)
                await barrier.wait()
                return span_of(received()).span_id

            taken = await asyncio.gather(take("a"), take("b"))
            assert taken == [origins["a"], origins["b"]]


def test_items_of_others_are_read_as_they_are(thoonk: Thoonk, traces: Traces) -> None:
    """Readers can be changed before writers; what is put without a context is as before."""
    plain = thoonk.queue("queue")
    traced = thoonk.queue("queue", serializer=Traced(TEXT))
    with traces.tracer.start_as_current_span("outer"):
        plain.put("plain")
        traced.put("traced")
    traced.put("without a context")
    assert traced.get(timeout=5) == "plain"
    assert not span_of(received()).is_valid
    assert traced.get(timeout=5) == "traced"
    assert span_of(received()).is_valid
    assert plain.get(timeout=5) == "without a context"


@pytest.mark.parametrize("item", ["", "\0", "\0trace\0", "\0trace\0{}\0x", "ä\0b"])
@pytest.mark.parametrize("inside", [True, False])
def test_any_item_survives_the_envelope(traces: Traces, item: str, inside: bool) -> None:
    serializer = Traced(TEXT)
    if inside:
        with traces.tracer.start_as_current_span("outer"):
            data = serializer.encode(item)
    else:
        data = serializer.encode(item)
    assert serializer.decode(data) == item
    assert span_of(received()).is_valid == inside


@pytest.mark.parametrize("data", [b"\0trace\0", b"\0trace\0{}", b"\0trace\0[]\0x", b"\0trace\0?\0"])
def test_an_envelope_that_is_none_is_a_serializers_error(
    thoonk: Thoonk, traces: Traces, data: bytes
) -> None:
    thoonk.queue("queue", serializer="binary").put(data)
    traces.spans()
    with pytest.raises(SerializerError):
        thoonk.queue("queue", serializer=Traced(TEXT)).get(timeout=5)
    assert "queue_take queue" in [span.name for span in traces.spans()]


def test_a_feed_of_envelopes_says_so_in_its_configuration(world: World) -> None:
    """Who does not know of them is told, instead of being given envelopes."""
    with Thoonk(backend=world.url) as thoonk, Thoonk(backend=world.url) as other:
        thoonk.queue("queue", serializer=Traced(JSON))
        with pytest.raises(SerializerError):
            other.queue("queue")
        other.register_serializer(Traced(JSON))
        other.queue("queue").put([1])
        assert thoonk.queue("queue", serializer=Traced(JSON)).get(timeout=5) == [1]


@pytest.mark.parametrize(
    ("module", "package"), [("opentelemetry", "opentelemetry"), ("prometheus", "prometheus_client")]
)
def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, module: str, package: str
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError('missing')")
    program = f"""
import thoonk
try:
    import thoonk.observe.{module}
except thoonk.BackendNotInstalled as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert f"pip install '.[{module}]'" in done.stdout
