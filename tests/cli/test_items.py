"""publish, edit, retract, move, item, items, ids."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cli.conftest import Cli
from thoonk import Thoonk

EVERY_BYTE = bytes(range(256))


def test_publishing_prints_the_ids(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    published = cli("publish", "f", "one", "two").lines
    assert feed.get_ids() == published
    assert cli("publish", "f", "three", "--id", "3").lines == ["3"]
    assert cli("publish", "f", "four", "--id", "4", "--json").records == [{"id": "4"}]
    assert [feed.get_item(id) for id in feed] == ["one", "two", "three", "four"]


def test_an_item_comes_from_a_file_or_standard_input_byte_for_byte(
    cli: Cli, thoonk: Thoonk, tmp_path: Path
) -> None:
    feed = thoonk.feed("f", serializer="binary")
    (tmp_path / "item").write_bytes(EVERY_BYTE)
    cli("publish", "f", f"@{tmp_path / 'item'}", "--id", "file")
    cli("publish", "f", "-", "--id", "input", input=EVERY_BYTE + b"\n")
    cli("publish", "f", "@@home", "--id", "at")
    cli("publish", "f", "-", "--id", "nothing", input=b"")
    cli("publish", "f", "", "--id", "empty")
    assert feed.get_all() == {
        "file": EVERY_BYTE,
        "input": EVERY_BYTE + b"\n",
        "at": b"@home",
        "nothing": b"",
        "empty": b"",
    }
    for id, item in feed.get_all().items():
        assert cli("item", "f", id).out == item


def test_each_line_can_be_an_item(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    cli("publish", "f", "--lines", "-", input=b"one\n\n three\r\nlast")
    assert [feed.get_item(id) for id in feed] == ["one", "", " three\r", "last"]
    assert cli("publish", "f", "--lines", "-", input=b"").out == b""
    thoonk.sorted_feed("s")
    assert cli("publish", "s", "--lines", "-", input=b"").out == b""
    assert cli("publish", "s", "--lines", "-", input=b"a\nb").lines == ["1", "2"]


def test_an_item_that_cannot_be_read_is_a_usage_error(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.feed("f")
    assert "'/no/such' cannot be read" in cli("publish", "f", "@/no/such", fails=2).err
    assert "once" in cli("publish", "f", "-", "-", input=b"x", fails=2).err
    cli("publish", "f", fails=2)
    cli("publish", "f", "a", "b", "--id", "x", fails=2)
    cli("publish", "f", "a", "--at", ":end", fails=2)
    assert thoonk.feed("f").count() == 0


@pytest.mark.parametrize(
    ("serializer", "good", "bad"),
    [
        ("text", ["ä".encode(), b""], [b"\xff"]),
        ("json", [b'{"a": [1, null]}', b" 1 ", '"ä"'.encode()], [b"", b"{", b"NaN", b'"\xff"']),
        ("binary", [b"\xff", b"{"], []),
        ("pickle", [b"\xff"], []),
    ],
)
def test_only_what_readers_of_the_feed_can_decode_is_sent(
    cli: Cli, thoonk: Thoonk, serializer: str, good: list[bytes], bad: list[bytes]
) -> None:
    for type in ("feed", "sorted_feed", "queue", "job"):
        thoonk.create_feed(type, {"type": type, "serializer": serializer})
    feed = thoonk.feed("feed", serializer="binary")
    for item in good:
        for word in (["publish", "feed"], ["publish", "sorted_feed"], ["put", "queue"]):
            cli(*word, "-", input=item)
        cli("job", "put", "job", "-", input=item)
    assert [feed.get_item(id) for id in feed] == good
    for item in bad:
        for word in (["publish", "feed"], ["publish", "sorted_feed"], ["put", "queue"]):
            done = cli(*word, "-", input=item, fails=2)
            assert serializer in done.err
        cli("job", "put", "job", "-", input=item, fails=2)
        cli("edit", "sorted_feed", "1", "-", input=item, fails=2)
        # Of several none is sent when one is refused.
        cli("publish", "feed", "--lines", "-", input=good[0] + b"\n" + item + b"\n1", fails=2)
    for type in ("feed", "sorted_feed", "queue", "job"):
        assert cli("stats", type, "--json").records[0]["publishes"] == len(good)


def test_an_item_that_is_too_large_is_refused(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.feed("f", {"max_item_size": 3})
    assert "at most 3 bytes" in cli("publish", "f", "four", fails=2).err


def test_nothing_is_created_by_the_way(cli: Cli, thoonk: Thoonk) -> None:
    for command in (
        ["publish", "x", "item"],
        ["edit", "x", "1", "item"],
        ["retract", "x", "1"],
        ["move", "x", "1", ":end"],
        ["item", "x", "1"],
        ["items", "x"],
        ["ids", "x"],
        ["put", "x", "item"],
        ["get", "x"],
        ["job", "put", "x", "item"],
        ["job", "get", "x"],
        ["job", "finish", "x", "1"],
        ["stats", "x"],
        ["maintenance", "x"],
        ["export", "x"],
    ):
        assert cli(*command, fails=4).err == "Error: feed 'x' does not exist\n"
    assert thoonk.get_feed_names() == set()


def test_commands_for_another_type_are_refused(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.queue("q").put("x")
    thoonk.job("j").put("x")
    thoonk.feed("f").publish("x", id="1")
    for command in (
        ["publish", "q", "x"],
        ["edit", "j", "1", "x"],
        ["retract", "q", "1"],
        ["move", "f", "1", ":end"],
        ["put", "j", "x"],
        ["get", "j"],
        ["job", "put", "q", "x"],
        ["job", "get", "q"],
        ["maintenance", "q"],
    ):
        assert "is of type" in cli(*command, fails=5).err
    assert [cli("stats", name, "--json").records[0]["items"] for name in "qjf"] == [1, 1, 1]


def test_a_sorted_feed_is_published_to_at_a_position(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.sorted_feed("s")
    assert cli("publish", "s", "a", "b").lines == ["1", "2"]
    assert cli("publish", "s", "c", "d", "--at", "begin:").lines == ["3", "4"]
    assert cli("publish", "s", "e", "f", "--at", ":2").lines == ["5", "6"]
    assert cli("publish", "s", "g", "h", "--at", "1:").lines == ["7", "8"]
    assert [feed.get_item(id) for id in feed] == ["c", "d", "a", "g", "h", "e", "f", "b"]
    many = "\n".join(f"{number}" for number in range(250)).encode()
    cli("publish", "s", "--lines", "-", "--at", ":8", input=many)
    items = [feed.get_item(id) for id in feed]
    assert items == ["c", "d", "a", "g", *map(str, range(250)), "h", "e", "f", "b"]
    cli("publish", "s", "x", "--at", ":999", fails=4)
    cli("publish", "s", "x", "--at", "999", fails=2)
    cli("publish", "s", "x", "--id", "99", fails=2)
    assert feed.count() == 258


def test_items_of_a_sorted_feed_are_moved(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.sorted_feed("s")
    cli("publish", "s", "a", "b", "c")
    cli("move", "s", "3", "begin:")
    cli("move", "s", "1", ":end")
    assert cli("ids", "s").lines == ["3", "2", "1"]
    cli("move", "s", "1", ":3")
    cli("move", "s", "3", "2:")
    assert cli("ids", "s").lines == ["1", "2", "3"]
    cli("move", "s", "1", "somewhere", fails=2)
    cli("move", "s", "9", ":end", fails=4)


def test_items_are_edited(cli: Cli, thoonk: Thoonk) -> None:
    feed, ranking = thoonk.feed("f"), thoonk.sorted_feed("s")
    feed.publish("x", id="1")
    feed.publish("y", id="2")
    ranking.append("x")
    cli("edit", "f", "1", "new")
    cli("edit", "s", "1", "new")
    assert (feed.get_ids(), feed.get_item("1"), ranking.get_item("1")) == (["2", "1"], "new", "new")
    assert "no item '9'" in cli("edit", "f", "9", "new", fails=4).err
    cli("edit", "s", "9", "new", fails=4)
    assert feed.count() == 2


def test_items_are_retracted(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f")
    for id in "123":
        feed.publish("x", id=id)
    cli("retract", "f", "1")
    assert "no item '9'" in cli("retract", "f", "2", "9", "3", fails=4).err
    assert feed.get_ids() == []


def test_items_are_read(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f", serializer="binary")
    for id, item in (("a", b"text"), ("b", EVERY_BYTE), ("c", b"two\nlines")):
        feed.publish(item, id=id)
    assert cli("items", "f").out == b"a\ttext\nb\t" + EVERY_BYTE + b"\nc\ttwo\nlines\n"
    assert cli("items", "f", "--limit", "1").out == b"a\ttext\n"
    assert cli("items", "f", "--limit", "1", "--reverse").out == b"c\ttwo\nlines\n"
    assert cli("items", "f", "--json").records == [
        {"id": "a", "item": "text"},
        {"id": "b", "base64": base64.b64encode(EVERY_BYTE).decode()},
        {"id": "c", "item": "two\nlines"},
    ]
    assert cli("ids", "f").lines == ["a", "b", "c"]
    assert cli("ids", "f", "--reverse", "--limit", "2", "--json").records == [
        {"id": "c"},
        {"id": "b"},
    ]
    assert cli("item", "f", "b", "--json").records == [cli("items", "f", "--json").records[1]]
    assert "no item 'z'" in cli("item", "f", "z", fails=4).err


def test_jobs_are_in_no_order_but_can_be_limited(cli: Cli, thoonk: Thoonk) -> None:
    ids = thoonk.job("j").put_many(["x"] * 5)
    assert sorted(cli("ids", "j").lines) == sorted(ids)
    assert set(cli("ids", "j", "--limit", "2").lines) < set(ids)
    assert len(cli("items", "j", "--limit", "2").lines) == 2
    assert "unordered" in cli("ids", "j", "--reverse", fails=2).err


@pytest.mark.parametrize("type", ["queue", "job"])
def test_items_that_are_read_are_not_taken(cli: Cli, thoonk: Thoonk, type: str) -> None:
    feed = getattr(thoonk, type)("x")
    id = feed.put("item")
    assert cli("items", "x").out == f"{id}\titem\n".encode()
    assert cli("item", "x", id).out == b"item"
    assert feed.get_ids() == [id]
