"""The calls that users of 2011 were shown, as they were shown, and what they bring about.

Only what stands for something of the user's (host, names, ids) is filled in.
"""

from __future__ import annotations

import functools
import json
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from conftest import World

import thoonk as package
from thoonk import FeedExists, ItemDoesNotExist, NotClaimed, NotStalled, Thoonk
from thoonk.testing._sync.helpers import until

SNIPPETS = {
    "initializing": """
        from thoonk import Thoonk
        pubsub = Thoonk(host, port, db, listen=True)
    """,
    "creating": """
        thoonk.create_feed(feed_name, {"max_length": 50})
    """,
    "opening": """
        test_feed = thoonk.feed(feed_name)
    """,
    "opening others": """
        test_queue = thoonk.queue('queue name')
        test_job = thoonk.job('job channel name')
        test_list = thoonk.list('list name')
    """,
    "configuring": """
        thoonk.set_config(feed_name, json_config)
    """,
    "create handler": """
        thoonk.register_handler("create_notice", create_handler_pointer)
    """,
    "delete handler": """
        thoonk.register_handler("delete_notice", delete_handler_pointer)
    """,
    "publish handler": """
        thoonk.register_handler("publish_notice", publish_handler_pointer)
    """,
    "retract handler": """
        thoonk.register_handler("retract_notice", retract_handler_pointer)
    """,
    "using a feed": """
        feed = thoonk.feed('test_feed')
    """,
    "publishing": """
        feed.publish('item contents', id='optional id')
    """,
    "retracting": """
        feed.retract('item id')
    """,
    "ids": """
        item_ids = feed.get_ids()
    """,
    "all items": """
        items = feed.get_all()
    """,
    "iterating": """
        items = feed.get_all()
        for id in feed.get_ids():
            do_stuff_with(items[id])
    """,
    "one item": """
        item = feed.get_item('item id')
    """,
    "using a sorted feed": """
        sorted_feed = thoonk.sorted_feed('sortedfeed_name')
    """,
    "prepending": """
        sorted_feed.prepend('new first item')
    """,
    "appending": """
        sorted_feed.append('new last item')
        sorted_feed.publish('another new last item')
    """,
    "inserting before": """
        sorted_feed.publish_before('existing id', 'new item')
    """,
    "inserting after": """
        sorted_feed.publish_after('existing id', 'new item')
    """,
    "moving to the beginning": """
        sorted_feed.move_first('item id')
    """,
    "moving to the end": """
        sorted_feed.move_last('item id')
    """,
    "moving before": """
        sorted_feed.move_before('existing id', 'item id')
    """,
    "moving after": """
        sorted_feed.move_after('existing id', 'item id')
    """,
    "moving": """
        sorted_feed.move(':42', 'item id')
        sorted_feed.move('42:', 'item id')
        sorted_feed.move('begin:', 'item id')
        sorted_feed.move(':end', 'item id')
    """,
    "using a queue": """
        queue = thoonk.queue('queue_feed')
    """,
    "putting": """
        queue.put('item')
        queue.put('priority item', priority=queue.HIGH)
    """,
    "popping": """
        item = queue.get()
        timed_item = queue.get(timeout=5)
    """,
    "using a job feed": """
        job = thoonk.job('job_feed')
    """,
    "putting jobs": """
        job.put('job contents')
        job.put('priority job', priority=job.HIGH)
    """,
    "claiming": """
        data = job.get()
        timed_data = job.get(timeout=5)
    """,
    "cancelling": """
        job.cancel('job id')
    """,
    "stalling": """
        job.stall('job id')
    """,
    "retrying": """
        job.retry('job id')
    """,
    "retracting a job": """
        job.retract('job id')
    """,
    "finishing": """
        job.finish('job id')
    """,
    "finishing with a result": """
        job.finish('job id', 'result contents', result=True)
    """,
    "finishing with a result for a while": """
        job.finish('job id', 'result contents', result=True, timeout=5)
    """,
    "the result": """
        query, result = job.get_result('job id', timeout=5)
    """,
}


class Reader:
    """Someone who types in what is shown, one after the other."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.left = list(SNIPPETS)

    def types(self, title: str, **placeholders: str) -> None:
        """Run a snippet; ``item_id="3"`` fills in for ``item id``."""
        if title in self.left:
            assert title == self.left.pop(0), "out of order"
        text = textwrap.dedent(SNIPPETS[title])
        for placeholder, value in placeholders.items():
            shown = placeholder.replace("_", " ").strip()
            assert shown in text
            text = text.replace(shown, value)
        exec(text, self.names)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture
def reader(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    reader = Reader()
    if world.server is None:
        # Memory has no host: these are None, and the class knows its backend.
        monkeypatch.setattr(package, "Thoonk", functools.partial(Thoonk, backend=world.url))
        reader.names.update(host=None, port=None, db=None)
    else:
        reader.names.update(host="127.0.0.1", port=world.server.port, db=0)
    yield reader
    reader["pubsub"].close()


def test_what_was_shown_in_2011_works(world: World, reader: Reader) -> None:
    reader.types("initializing")
    thoonk = reader["pubsub"]
    assert isinstance(thoonk, Thoonk)
    reader.names["thoonk"] = thoonk
    assert thoonk.listening
    feeds(world, reader)
    handlers(reader)
    a_feed(reader)
    a_sorted_feed(reader)
    a_queue(reader)
    a_job_feed(world, reader)
    assert reader.left == []


def feeds(world: World, reader: Reader) -> None:
    thoonk = reader["thoonk"]
    reader.names["feed_name"] = "news"
    reader.types("creating")
    assert thoonk.feed_exists("news")
    assert thoonk.get_config("news").max_length == 50
    with pytest.raises(FeedExists):
        reader.types("creating")

    reader.types("opening")
    assert reader["test_feed"].get_ids() == []
    assert thoonk.get_config("news").max_length == 50
    reader.names["feed_name"] = "made by opening"
    reader.types("opening")
    assert thoonk.feed_exists("made by opening")

    reader.types("opening others")
    assert {
        name: thoonk.get_config(name).type
        for name in ("queue name", "job channel name", "list name")
    } == {"queue name": "queue", "job channel name": "job", "list name": "sorted_feed"}

    reader.names.update(feed_name="news", json_config=json.dumps({"max_length": 2}))
    reader.types("configuring")
    assert world.raw.hgetall("feed.config:news") == {b"type": b"feed", b"max_length": b"2"}


def handlers(reader: Reader) -> None:
    called: list[tuple[Any, ...]] = []
    for event in ("create", "delete", "publish", "retract"):
        handler: Callable[..., None] = lambda *arguments, event=event: called.append(  # noqa: E731
            (event, *arguments)
        )
        reader.names[f"{event}_handler_pointer"] = handler
        reader.types(f"{event} handler")
    thoonk = reader["thoonk"]
    thoonk.feed("heard").publish("item", id="1")
    thoonk.feed("heard").retract("1")
    thoonk.delete_feed("heard")

    def heard() -> list[tuple[Any, ...]]:
        # What happened before the handlers were registered may still arrive.
        return [call for call in called if call[1] == "heard"]

    until(lambda: len(heard()) == 4)
    assert heard() == [
        ("create", "heard"),
        ("publish", "heard", "item", "1"),
        ("retract", "heard", "1"),
        ("delete", "heard"),
    ]


def a_feed(reader: Reader) -> None:
    reader.types("using a feed")
    feed = reader["feed"]
    reader.types("publishing")
    assert feed.get_all() == {"optional id": "item contents"}
    feed.publish("kept", id="kept")
    reader.types("publishing")
    assert feed.get_ids() == ["kept", "optional id"]  # edited, so at the end

    feed.publish("x", id="item id")
    reader.types("retracting")
    reader.types("ids")
    assert reader["item_ids"] == ["kept", "optional id"]
    reader.types("all items")
    assert reader["items"] == {"kept": "kept", "optional id": "item contents"}
    done: list[str] = []
    reader.names["do_stuff_with"] = done.append
    reader.types("iterating")
    assert done == ["kept", "item contents"]
    feed.publish("found", id="item id")
    reader.types("one item")
    assert reader["item"] == "found"


def a_sorted_feed(reader: Reader) -> None:
    reader.types("using a sorted feed")
    feed = reader["sorted_feed"]

    def items() -> list[str]:
        return [feed.get_item(id) for id in feed.get_ids()]

    reader.types("prepending")
    assert items() == ["new first item"]
    reader.types("appending")
    assert items() == ["new first item", "new last item", "another new last item"]
    assert feed.get_ids() == ["1", "2", "3"]
    reader.types("inserting before", existing_id="1")
    reader.types("inserting after", existing_id="2")
    assert feed.get_ids() == ["4", "1", "2", "5", "3"]
    assert feed.get_item("4") == feed.get_item("5") == "new item"
    with pytest.raises(ItemDoesNotExist):
        reader.types("inserting after")

    reader.types("moving to the beginning", item_id="2")
    assert feed.get_ids() == ["2", "4", "1", "5", "3"]
    reader.types("moving to the end", item_id="4")
    assert feed.get_ids() == ["2", "1", "5", "3", "4"]
    reader.types("moving before", existing_id="1", item_id="3")
    assert feed.get_ids() == ["2", "3", "1", "5", "4"]
    reader.types("moving after", existing_id="5", item_id="2")
    assert feed.get_ids() == ["3", "1", "5", "2", "4"]

    for _ in range(42 - 5):
        feed.append("more")
    heard = []
    with feed.subscribe() as notices:
        reader.types("moving", item_id="3")
        heard = [notices.get(timeout=5).position for _ in range(4)]
    assert heard == [":42", "42:", "begin:", ":end"]
    assert feed.get_ids()[-2:] == ["42", "3"]


def a_queue(reader: Reader) -> None:
    reader.types("using a queue")
    reader.types("putting")
    reader.types("popping")
    assert reader["item"] == "priority item"
    assert reader["timed_item"] == "item"
    assert len(reader["queue"]) == 0


def a_job_feed(world: World, reader: Reader) -> None:
    reader.types("using a job feed")
    job = reader["job"]
    reader.types("putting jobs")
    reader.types("claiming")
    urgent, item, cancelled = reader["data"]
    assert (item, cancelled) == ("priority job", 0)
    normal, item, _ = reader["timed_data"]
    assert item == "job contents"

    reader.types("cancelling", job_id=urgent)
    assert tuple(job.get(timeout=5)) == (urgent, "priority job", 1)
    with pytest.raises(NotClaimed):
        reader.types("cancelling")
    reader.types("stalling", job_id=urgent)
    assert job.get_counts().stalled == 1
    reader.types("retrying", job_id=urgent)
    assert tuple(job.get(timeout=5)) == (urgent, "priority job", 0)
    with pytest.raises(NotStalled):
        reader.types("retrying", job_id=urgent)
    reader.types("retracting a job", job_id=urgent)
    assert job.get_ids() == [normal]

    reader.types("finishing", job_id=normal)
    assert job.get_ids() == []
    with pytest.raises(NotClaimed):
        reader.types("finishing", job_id=normal)

    reader.types("putting jobs")
    urgent, normal = job.get().id, job.get().id
    reader.types("finishing with a result", job_id=urgent)
    reader.types("finishing with a result for a while", job_id=normal)
    left = world.raw.pttl(b"feed.jobfinished:job_feed\0" + normal.encode())
    assert 0 < left <= 5000
    reader.types("the result", job_id=urgent)
    assert (reader["query"], reader["result"]) == ("priority job", "result contents")
    reader.types("the result", job_id=normal)
    assert (reader["query"], reader["result"]) == ("job contents", "result contents")
