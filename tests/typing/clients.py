"""What type checkers say about the synchronous client. Checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

import thoonk.backends
from thoonk import (
    BINARY,
    JSON,
    AnyNotice,
    Claim,
    Configured,
    Created,
    Deleted,
    Edited,
    Feed,
    FeedConfig,
    FeedStats,
    FeedSubscription,
    Finished,
    Gap,
    Job,
    JobCounts,
    JobResult,
    MaintenanceReport,
    Moved,
    Priority,
    Published,
    Pubsub,
    PutResult,
    Queue,
    Retracted,
    Serializer,
    SortedFeed,
    Thoonk,
    WorkerInfo,
)


class Point:
    """What a program of one's own may put into a feed."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y


class PointSerializer:
    """A serializer of one's own; it need not inherit from anything."""

    name = "point"

    def encode(self, item: Point, /) -> bytes:
        return f"{item.x} {item.y}".encode()

    def decode(self, data: bytes, /) -> Point:
        x, y = map(int, data.split())
        return Point(x, y)


POINT: Serializer[Point] = PointSerializer()


def clients() -> None:
    assert_type(Thoonk(), Thoonk)
    assert_type(Thoonk("localhost", 6379, 0, listen=True), Thoonk)
    assert_type(Thoonk("localhost", 6379, 0, True), Thoonk)
    assert_type(Thoonk("localhost", password="p", ssl=True), Thoonk)
    assert_type(Thoonk(backend="memory"), Thoonk)
    assert_type(Pubsub("localhost"), Thoonk)
    with Thoonk(backend="memory") as thoonk:
        assert_type(thoonk, Thoonk)
        assert_type(thoonk.listening, bool)
        assert_type(thoonk.backend, thoonk_backend)


thoonk_backend = thoonk.backends.Backend


def feed(thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    assert_type(feed, Feed[str])
    assert_type(thoonk.feed("f", {"max_length": 50}), Feed[str])
    assert_type(thoonk.feed("f", '{"max_length": 50}'), Feed[str])
    assert_type(feed.publish("item"), str)
    assert_type(feed.publish("item", id="i"), str)
    assert_type(feed.edit("i", "item"), str)
    assert_type(feed.retract("i"), bool)
    assert_type(feed.get_item("i"), str | None)
    assert_type(feed.get_all(), dict[str, str])
    assert_type(feed.get_ids(), list[str])
    assert_type(feed.has_id("i"), bool)
    assert_type("i" in feed, bool)
    assert_type(len(feed), int)
    assert_type(feed.name, str)
    for id in feed:
        assert_type(id, str)


def serializers(thoonk: Thoonk, either: str | None) -> None:
    assert_type(thoonk.feed("f", serializer=BINARY), Feed[bytes])
    assert_type(thoonk.feed("f", serializer="binary"), Feed[bytes])
    assert_type(thoonk.feed("f", serializer="text"), Feed[str])
    assert_type(thoonk.feed("f", serializer=JSON), Feed[Any])
    assert_type(thoonk.feed("f", serializer="json"), Feed[Any])
    assert_type(thoonk.feed("f", serializer=either), Feed[Any])
    assert_type(thoonk.feed("f", serializer=POINT), Feed[Point])
    assert_type(thoonk.feed("f", serializer=PointSerializer()), Feed[Point])
    assert_type(thoonk.sorted_feed("s", serializer=POINT), SortedFeed[Point])
    assert_type(thoonk.queue("q", serializer=POINT), Queue[Point])
    assert_type(thoonk.job("j", serializer=POINT), Job[Point])
    assert_type(thoonk.feed("f", serializer=POINT).get_item("i"), Point | None)
    thoonk.register_serializer(POINT)
    thoonk.register_serializer(PointSerializer(), "p")


def sorted_feed(thoonk: Thoonk) -> None:
    assert_type(thoonk.list("s"), SortedFeed[str])
    feed = thoonk.sorted_feed("s")
    assert_type(feed, SortedFeed[str])
    assert_type(feed.append("item"), str)
    assert_type(feed.prepend("item"), str)
    assert_type(feed.publish("item"), str)
    assert_type(feed.publish_before("1", "item"), str)
    assert_type(feed.publish_after("1", "item"), str)
    assert_type(feed.retract("1"), bool)
    assert_type(feed.get_items(), dict[str, str])
    feed.edit("1", "item")
    feed.move(":42", "1")
    feed.move_first("1")
    feed.move_last("1")
    feed.move_before("1", "2")
    feed.move_after("1", "2")


def queue(thoonk: Thoonk, either: str | None) -> None:
    queue = thoonk.queue("q")
    assert_type(queue, Queue[str])
    assert_type(queue.put("item"), str)
    assert_type(queue.put("item", priority=queue.HIGH), str)
    assert_type(queue.put("item", id=None), str)
    assert_type(queue.put("item", id="i"), PutResult)
    assert_type(queue.put("item", id="i", if_exists="replace", unique_for=60), PutResult)
    assert_type(queue.put("item", id=either), PutResult | str)
    assert_type(queue.HIGH, Priority)
    assert_type(queue.get(), str)
    assert_type(queue.get(timeout=5), str)
    assert_type(queue.get_nowait(), str)
    assert_type(thoonk.pyqueue("q"), Queue[Any])


def job(thoonk: Thoonk, either: str | None) -> None:
    job = thoonk.job("j", {"claim_timeout": 2.5})
    assert_type(job, Job[str])
    assert_type(job.put("job", priority=job.HIGH), str)
    assert_type(job.put("job", id=None), str)
    assert_type(job.put("job", id="i"), PutResult)
    assert_type(job.put("job", id="i", if_exists="replace", unique_for=60, delay=5), PutResult)
    assert_type(job.put("job", id=either), PutResult | str)
    assert_type(job.get(), Claim[str])
    assert_type(job.get(timeout=5), Claim[str])
    assert_type(job.get_nowait(), Claim[str])
    id, item, cancelled = job.get()
    assert_type(id, str)
    assert_type(item, str)
    assert_type(cancelled, int)
    with job.get() as claim:
        assert_type(claim, Claim[str])
        assert_type(claim.id, str)
        assert_type(claim.item, str)
        assert_type(claim.cancelled, int)
        claim.extend()
        claim.finish("result", result=True, timeout=5)
    job.finish("i")
    job.finish("i", "result")
    job.finish("i", None, result=True)
    job.cancel("i")
    job.stall("i")
    assert_type(job.stop("i", reason="why"), bool)
    job.retry("i")
    assert_type(job.retract("i"), bool)
    assert_type(job.get_failure_count("i"), int)
    assert_type(job.get_counts(), JobCounts)
    assert_type(job.stats(), FeedStats)
    assert_type(job.stats().oldest_waiting, float | None)
    assert_type(job.get_counts().waiting, int)
    assert_type(job.maintenance(), MaintenanceReport)
    assert_type(job.maintenance().expired, tuple[str, ...])


def job_of_points(thoonk: Thoonk) -> None:
    job = thoonk.job("j", serializer=POINT)
    claim = job.get()
    assert_type(claim.item, Point)
    assert_type(claim[1], Point)
    answer = job.get_result("i", timeout=5)
    assert_type(answer, JobResult[Point])
    assert_type(answer.query, Point | None)
    assert_type(answer.result, Point | None)
    query, result = answer
    assert_type(query, Point | None)
    assert_type(result, Point | None)


def config(thoonk: Thoonk) -> None:
    thoonk.create_feed("f")
    thoonk.create_feed("f", {"max_length": 50, "title": "t"})
    thoonk.set_config("f", '{"max_length": 50}')
    thoonk.set_config("f", {"max_length": None})
    config = thoonk.get_config("f")
    assert_type(config, FeedConfig)
    assert_type(config.type, str)
    assert_type(config.max_length, int | None)
    assert_type(config.claim_timeout, float | None)
    assert_type(config.max_failures, int | None)
    assert_type(config.serializer, str | None)
    assert_type(thoonk.feed_exists("f"), bool)
    assert_type(thoonk.get_feed_names(), set[str])
    assert_type(thoonk.get_workers(), list[WorkerInfo])
    thoonk.delete_feed("f")


def handlers(thoonk: Thoonk) -> None:
    def published(feed: str, item: str, id: str) -> None: ...
    def retracted(feed: str, id: str) -> None: ...

    thoonk.register_handler("publish_notice", published)
    thoonk.register_handler("retract", retracted)
    thoonk.register_handler("gap", print)
    thoonk.remove_handler("retract", retracted)


def notices(feed: Feed[str]) -> None:
    assert_type(feed.subscribe(), FeedSubscription[str])
    with feed.subscribe() as notices:
        assert_type(notices, FeedSubscription[str])
        assert_type(notices.get(timeout=5), AnyNotice[str])
        for notice in notices:
            assert_type(notice, AnyNotice[str])
            assert_type(notice.feed, str)
            if isinstance(notice, Published):
                assert_type(notice, Published[str])
                assert_type(notice.item, str)
            elif isinstance(notice, Retracted | Edited | Moved):
                assert_type(notice.id, str)


def notices_by_match(notice: AnyNotice[Point]) -> str:
    match notice:
        case Published(feed, id, item):
            assert_type(feed, str)
            assert_type(id, str)
            assert_type(item, Point)
        case Edited(id=id, item=item):
            assert_type(item, Point)
        case Retracted(id=id):
            assert_type(id, str)
        case Moved(id=id, position=position):
            assert_type(position, str)
        case Finished(result=result):
            assert_type(result, Point)
        case Created() | Deleted() | Configured() | Gap():
            return notice.feed
    # Nothing is left: with a kind missing above, this would be an error.
    return id if not isinstance(notice, Finished) else notice.id
