"""Traces: a span for each operation, and the context of who put an item with the item.

Needs the extra ``opentelemetry``. The attributes are those of OpenTelemetry's semantic
conventions for messaging, as far as they fit.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any, Generic, Protocol, TypeVar

from thoonk.exceptions import BackendNotInstalled
from thoonk.extras import how_to_install
from thoonk.notices import Edited, Notice, Published
from thoonk.observe.parts import feed_of, ids_of, items_of, name_of
from thoonk.operations import (
    Batch,
    FeedPublish,
    FeedRetract,
    JobAdd,
    JobCancel,
    JobExtend,
    JobFail,
    JobFinish,
    JobPut,
    JobRetract,
    JobRetry,
    JobStall,
    Operation,
    QueueAdd,
    QueueConfirm,
    QueuePut,
    QueueReturn,
    Release,
    SortedEdit,
    SortedInsert,
    SortedRetract,
    TakeOperation,
)
from thoonk.serializers import Serializer

try:
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context, attach, detach
except ImportError as error:
    raise BackendNotInstalled(
        f"traces need a package that is missing ({error}): {how_to_install('opentelemetry')}"
    ) from error

__all__ = ["Traced", "Tracing", "received"]

T = TypeVar("T")

_SENDS = (FeedPublish, SortedInsert, SortedEdit, QueuePut, QueueAdd, JobPut, JobAdd)
_SETTLES = (
    *(QueueConfirm, QueueReturn, Release, FeedRetract, SortedRetract),
    *(JobFinish, JobExtend, JobCancel, JobFail, JobStall, JobRetry, JobRetract),
)

_REMEMBERED = 10_000
"""How many contexts are kept for `Tracing.origin`."""


class Tracing:
    """An observer that makes a span of each operation. For threads and for asyncio.

    A take that finds nothing makes none: idle consumers would fill the traces.
    """

    def __init__(self, tracer_provider: trace.TracerProvider | None = None) -> None:
        """``tracer_provider``: where spans go; None: to the global one."""
        self._tracer = trace.get_tracer("thoonk", version("thoonk"), tracer_provider)
        self._origins: OrderedDict[tuple[str, str], Context] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def call(
        self, operation: Operation[Any], *, waiting: bool
    ) -> Iterator[Callable[[Any], object]]:
        """See `thoonk.observe.Observer`."""
        del waiting
        if isinstance(operation, TakeOperation):
            yield from self._take(operation)
            return
        kind = trace.SpanKind.PRODUCER if isinstance(operation, _SENDS) else trace.SpanKind.CLIENT
        with self._tracer.start_as_current_span(
            _span_name(operation), kind=kind, attributes=_attributes_of(operation)
        ) as span:
            try:
                yield lambda _: None
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    @contextmanager
    def work(self, feed: str, id: str, attempt: int) -> Iterator[None]:
        """A span for what a worker's handler does; a child of the put's where that is known."""
        attributes: dict[str, str | int] = {
            "messaging.system": "thoonk",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": feed,
            "messaging.message.id": id,
            "thoonk.job.attempt": attempt,
        }
        with self._tracer.start_as_current_span(
            f"process {feed}", kind=trace.SpanKind.CONSUMER, attributes=attributes
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    def notice(self, notice: Notice) -> None:
        """See `thoonk.observe.Observer`. A notice makes no span."""
        if isinstance(notice, Published | Edited):
            self._remember(notice.feed, notice.id, notice.item)

    def origin(self, feed: str, id: str) -> Context:
        """The context that came with an item which was taken here, or was in a notice.

        Of the last 10,000 that came with one; of others an empty context.
        """
        with self._lock:
            return self._origins.get((feed, id), Context())

    def _remember(self, feed: str, id: str, item: bytes) -> trace.SpanContext:
        context = _context_of(item)
        if context:
            with self._lock:
                self._origins[feed, id] = context
                self._origins.move_to_end((feed, id))
                while len(self._origins) > _REMEMBERED:
                    self._origins.popitem(last=False)
        return trace.get_current_span(context).get_span_context()

    def _take(self, operation: TakeOperation) -> Iterator[Callable[[Any], object]]:
        start = time.time_ns()
        try:
            yield lambda batch: self._taken(operation, batch, start)
        except Exception as error:
            span = self._tracer.start_span(
                _span_name(operation),
                kind=trace.SpanKind.CLIENT,
                attributes={**_attributes_of(operation), "error.type": type(error).__qualname__},
                start_time=start,
            )
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR, str(error))
            span.end()
            raise

    def _taken(self, operation: TakeOperation, batch: Batch, start: int) -> None:
        entries = batch.entries
        if not entries and not ids_of(operation):
            return
        feed = operation.feed
        origins = [self._remember(feed, entry.id, entry.item) for entry in entries]
        self._tracer.start_span(
            _span_name(operation),
            kind=trace.SpanKind.CLIENT,
            attributes={
                **_attributes_of(operation),
                **_of_messages([e.id for e in entries], [e.item for e in entries]),
            },
            links=[trace.Link(origin) for origin in origins if origin.is_valid],
            start_time=start,
        ).end()


def _span_name(operation: Operation[Any]) -> str:
    return f"{name_of(operation)} {feed_of(operation)}".rstrip()


def _attributes_of(operation: Operation[Any]) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "messaging.system": "thoonk",
        "messaging.operation.name": name_of(operation),
    }
    if feed := feed_of(operation):
        attributes["messaging.destination.name"] = feed
    if kind := _type_of(operation):
        attributes["messaging.operation.type"] = kind
    ids, items = ids_of(operation), items_of(operation)
    return {**attributes, **_of_messages(ids, items)}


def _type_of(operation: Operation[Any]) -> str:
    if isinstance(operation, _SENDS):
        return "send"
    if isinstance(operation, TakeOperation):
        return "receive"
    return "settle" if isinstance(operation, _SETTLES) else ""


def _of_messages(ids: Sequence[str], items: Sequence[bytes]) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    if len(ids) == 1:
        attributes["messaging.message.id"] = ids[0]
    elif count := max(len(ids), len(items)):
        attributes["messaging.batch.message_count"] = count
    if items:
        attributes["messaging.message.body.size"] = sum(map(len, items))
    return attributes


# --- the context that goes with an item -----------------------------------------------------

_MARK = b"\0trace\0"
"""What an envelope begins with; then the context as a JSON object, a NUL, and the item."""


class HasOrigin(Protocol):
    """A claim: `thoonk.Claim` or `thoonk.AsyncClaim`."""

    @property
    def origin(self) -> Any:
        """What came with the item."""


_received: ContextVar[Context] = ContextVar("thoonk_received")


class Traced(Generic[T]):
    """A serializer that writes the present trace context along with the item.

    Bytes that another serializer wrote are read as they are, so readers can be changed
    first and writers afterward.
    """

    def __init__(self, serializer: Serializer[T]) -> None:
        """``serializer``: what makes bytes of the items themselves."""
        self.name = f"traced-{serializer.name}"
        self._serializer = serializer

    def encode(self, item: T, /) -> bytes:
        """The item's bytes, in an envelope if there is a context."""
        context: dict[str, str] = {}
        propagate.inject(context)
        return _enclosed(self._serializer.encode(item), context)

    def decode(self, data: bytes, /) -> T:
        """The item; from now on `received` gives its context."""
        carrier, rest = _open(data)
        _received.set(propagate.extract(carrier, context=Context()))
        return self._serializer.decode(rest)

    @property
    def alone(self) -> Serializer[T]:
        """The same without the present context, for items that are made for later and often."""
        return _Alone(self, self._serializer)

    def kept(self) -> Context:
        """The context that came with the item decoded last, to be kept with the item."""
        return _received.get(Context())

    def restore(self, context: Context) -> None:
        """From now on `received` gives a context that was kept."""
        _received.set(context)

    @contextmanager
    def working_on(self, context: Context) -> Iterator[None]:
        """A block in which a context that was kept is the current one, and `received`."""
        _received.set(context)
        token = attach(context)
        try:
            yield
        finally:
            detach(token)


class _Alone(Generic[T]):
    """A `Traced` that writes no context."""

    def __init__(self, traced: Traced[T], serializer: Serializer[T]) -> None:
        self.name = traced.name
        self.decode = traced.decode
        self._serializer = serializer

    def encode(self, item: T, /) -> bytes:
        return _enclosed(self._serializer.encode(item), {})


def _enclosed(data: bytes, context: dict[str, str]) -> bytes:
    """The item's bytes, in an envelope if there is a context, or they look like one."""
    if not context and not data.startswith(_MARK):
        return data
    return b"%b%b\0%b" % (_MARK, json.dumps(context).encode(), data)


def received(claim: HasOrigin | None = None) -> Context:
    """The context that came with an item; empty: none.

    Args:
        claim: the job that is meant; None: the item that this thread or task has been given
            last. In a loop over ``job.claims`` and in a worker's handler that is the job in
            hand, however many are claimed at once.
    """
    if claim is not None:
        context = claim.origin
        return context if isinstance(context, Context) else Context()
    return _received.get(Context())


def _open(data: bytes) -> tuple[Mapping[str, str], bytes]:
    """Take an envelope apart; what has none has no context."""
    if not data.startswith(_MARK):
        return {}, data
    context, separator, rest = data[len(_MARK) :].partition(b"\0")
    carrier = json.loads(context)
    if not separator or not isinstance(carrier, dict):
        raise ValueError("it starts like an envelope with a trace context, but is not one")
    return {str(name): str(value) for name, value in carrier.items()}, rest


def _context_of(data: bytes) -> Context:
    """The context in an item's envelope; empty: it has none."""
    try:
        carrier, _ = _open(data)
    except ValueError:
        return Context()
    return propagate.extract(carrier, context=Context())
