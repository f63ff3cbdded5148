"""export and import."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from cli.conftest import Cli, Done
from thoonk import Job, JobCounts, Outcome, Thoonk

EVERY_BYTE = bytes(range(256))
ITEMS = [b"text", EVERY_BYTE, b"", 'ä\n"'.encode()]


def exported(type: str, *lines: Any, config: Any = None, items: int | None = None) -> bytes:
    """An export by hand."""
    header = {"thoonk": 1, "feed": "f", "type": type, "config": config or {}}
    rows = [header, *lines, {"items": len(lines) if items is None else items}]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_an_export_can_be_read_by_others(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f", {"max_length": 9, "own": "x"}, serializer="binary")
    for id, item in (("b", b"text"), ("a", b"\xff\0")):
        feed.publish(item, id=id)
    header, first, second, last = cli("export", "f").records
    for record in (first, second):
        published = dt.datetime.fromisoformat(record.pop("published"))
        assert abs(published - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert [header, first, second, last] == [
        {
            "thoonk": 1,
            "feed": "f",
            "type": "feed",
            "config": {"max_length": 9, "serializer": "binary", "own": "x"},
        },
        {"id": "b", "item": "text"},
        {"id": "a", "base64": "/wA="},
        {"items": 2},
    ]


@pytest.mark.parametrize("type", ["feed", "sorted_feed", "queue", "job"])
def test_a_feed_of_each_type_comes_back_as_it_was(
    cli: Cli, thoonk: Thoonk, tmp_path: Path, type: str
) -> None:
    config = {"title": "T", "serializer": "binary", "claim_timeout": 1.5}
    feed = getattr(thoonk, type)("f", config, serializer="binary")
    for item in ITEMS * 60:
        (feed.put if type in ("queue", "job") else feed.publish)(item)
    file = str(tmp_path / "export")
    assert cli("export", "f", file).out == b""
    cli("import", file, "--as", "g")
    copy = getattr(thoonk, type)("g", serializer="binary")
    assert dict(thoonk.get_config("g")) == dict(thoonk.get_config("f"))
    assert copy.get_all() == feed.get_all()
    assert sorted(copy.get_ids()) == sorted(feed.get_ids())
    if type == "queue":
        assert [copy.get_nowait() for _ in range(240)] == ITEMS * 60
    elif type == "job":
        taken = [copy.get_nowait() for _ in range(240)]
        assert [claim.item for claim in taken] == ITEMS * 60
    else:
        assert copy.get_ids() == feed.get_ids()


def test_an_export_takes_nothing(cli: Cli, thoonk: Thoonk) -> None:
    job, queue = thoonk.job("j"), thoonk.queue("q")
    queue.put("x")
    ids = [job.put(item) for item in ("claimed", "stalled", "waiting")]
    job.get()
    job.get().stall()
    exported_jobs = cli("export", "j").records[1:-1]
    assert {record["item"] for record in exported_jobs} == {"claimed", "stalled", "waiting"}
    assert [record["item"] for record in cli("export", "q").records[1:-1]] == ["x"]
    assert job.get_counts() == JobCounts(1, 1, 1, 0)
    assert queue.count() == 1
    cli("delete", "j")
    cli("import", "-", input=exported("job", *({"id": id, "item": "x"} for id in ids)))
    assert thoonk.job("f").get_counts() == JobCounts(3, 0, 0, 0)


def test_an_import_is_added_to_a_feed_that_is_there(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.feed("f", {"title": "kept"})
    feed.publish("old", id="a")
    feed.publish("other", id="b")
    lines = [{"id": "a", "item": "new"}, {"id": "c", "item": "x"}]
    done = cli("import", input=exported("feed", *lines, config={"title": "T"}))
    assert done.err == "2 items imported\n"
    assert feed.get_ids() == ["b", "a", "c"]
    assert feed.get_item("a") == "new"
    assert thoonk.get_config("f").title == "kept"


@pytest.mark.parametrize("type", ["queue", "job"])
def test_an_import_that_is_done_again_puts_nothing_twice(
    cli: Cli, thoonk: Thoonk, type: str
) -> None:
    export = exported(type, *({"id": f"{n}", "item": f"item {n}"} for n in range(150)))
    feed = getattr(thoonk, type)("f")
    broken = export[: len(export) // 2]
    cli("import", input=broken, fails=2)
    sent = feed.count()
    assert 0 < sent < 150
    done = cli("import", "--json", input=export)
    assert done.records == [{"imported": 150 - sent, "skipped": sent}]
    assert feed.stats().waiting == feed.count() == 150


def test_a_sorted_feed_that_is_there_gives_new_ids(cli: Cli, thoonk: Thoonk) -> None:
    feed = thoonk.sorted_feed("f")
    feed.append("x")
    lines = [{"id": "7", "item": "a"}, {"id": "1", "item": "b"}]
    cli("import", input=exported("sorted_feed", *lines))
    assert [(id, feed.get_item(id)) for id in feed] == [("1", "x"), ("2", "a"), ("3", "b")]


def test_a_feed_of_another_type_is_left_alone(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.queue("f")
    done = cli("import", input=exported("job", {"id": "1", "item": "x"}), fails=5)
    assert "'queue'" in done.err
    assert thoonk.queue("f").count() == 0


def refused(cli: Cli, export: bytes) -> Done:
    return cli("import", input=export, fails=2)


def test_what_is_no_export_is_refused_before_anything_is_sent(cli: Cli, thoonk: Thoonk) -> None:
    for text in (
        b"",
        b"nonsense\n",
        b"[1]\n",
        b"{}\n",
        b'{"thoonk": 2, "feed": "f", "type": "feed", "config": {}}\n',
        b'{"thoonk": 1, "feed": "f", "type": "stack", "config": {}}\n',
        b'{"thoonk": 1, "feed": "f", "type": "feed", "config": {"max_length": "x"}}\n',
        b'{"thoonk": 1, "feed": "", "type": "feed", "config": {}}\n',
        b'{"thoonk": 1, "feed": "f", "type": "feed"}\n',
    ):
        refused(cli, text)
    assert thoonk.get_feed_names() == set()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"id": "1"}, "line 2: neither item nor base64"),
        ({"id": "1", "item": 5}, "line 2: neither item nor base64"),
        ({"id": "1", "base64": "?"}, "line 2"),
        ({"id": "", "item": "x"}, "line 2: item id must not be empty"),
        ({"id": 1, "item": "x"}, "line 2: item id must be a str"),
        ({"id": "1", "item": "x", "published": 5}, "line 2: a time must be text, not 5"),
        ({"id": "1", "item": "x", "published": "2030-01-01"}, "has no time zone"),
        ({"schedule": "s", "item": "x", "every": 5}, "line 2: a feed has no schedules"),
        ("text", "line 2 is not an object"),
        ({"id": "1", "base64": "/w=="}, "holds text"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(
    cli: Cli, thoonk: Thoonk, line: Any, says: str
) -> None:
    done = refused(cli, exported("feed", line))
    assert says in done.err
    assert "0 items imported" in done.err
    assert thoonk.feed("f").count() == 0


@pytest.mark.parametrize("cut", ["no last line", "another number"])
def test_a_file_that_was_cut_short_is_known_for_one(cli: Cli, thoonk: Thoonk, cut: str) -> None:
    lines = [{"id": f"{n}", "item": "x"} for n in range(3)]
    export = exported("feed", *lines, items=7)
    if cut == "no last line":
        export = export[: export.rindex(b'{"items"')]
    done = cli("import", input=export, fails=1)
    assert "is incomplete" in done.err
    assert "3 items imported" in done.err
    assert thoonk.feed("f").count() == 3


def test_large_items_go_by_themselves(real_world: World) -> None:
    cli = Cli(real_world.url)
    large = "x" * 700_000
    export = exported("feed", *({"id": f"{n}", "item": large} for n in range(5)))
    cli("import", input=export)
    with Thoonk(backend=real_world.url) as thoonk:
        assert set(thoonk.feed("f").get_all().values()) == {large}
        assert thoonk.feed("f").count() == 5


def test_scheduled_jobs_are_scheduled_again(cli: Cli, thoonk: Thoonk, tmp_path: Path) -> None:
    job = thoonk.job("j")
    job.put("now", id="a")
    job.put("later", id="b", delay=600)
    due = job.get_info("b")
    file = str(tmp_path / "j.jsonl")
    cli("export", "j", file)
    cli("import", file, "--as", "k")
    copy = thoonk.job("k")
    assert copy.get_counts().scheduled == 1
    assert copy.get_nowait().id == "a"
    info = copy.get_info("b")
    assert info is not None
    assert due is not None
    assert info.due == due.due
    assert ", 2 existed" in cli("import", file, "--as", "k").err
    assert copy.get_counts().scheduled == 1


def test_a_paused_feed_is_paused_after_an_import(cli: Cli, thoonk: Thoonk, tmp_path: Path) -> None:
    queue = thoonk.queue("q")
    queue.put("x")
    queue.pause()
    file = str(tmp_path / "q.jsonl")
    cli("export", "q", file)
    cli("import", file, "--as", "copy")
    assert thoonk.queue("copy").stats().paused is True
    thoonk.queue("copy").resume()
    assert thoonk.queue("copy").get_nowait() == "x"


def test_jobs_come_back_in_their_states(cli: Cli, thoonk: Thoonk, tmp_path: Path) -> None:
    job = thoonk.job("j", {"max_failures": 1})
    fill(job)
    before = {id: job.get_info(id) for id in ("stalled", "later", "waiting")}
    file = str(tmp_path / "j.jsonl")
    cli("export", "j", file)
    cli("import", file, "--as", "k")
    copy = thoonk.job("k")
    assert {id: copy.get_info(id) for id in before} == before
    assert copy.get_result("done", timeout=1) == ("x", "result")
    assert copy.put("x", id="taken").outcome is Outcome.KEPT
    (schedule,) = copy.schedules()
    assert schedule == job.schedules()[0]
    assert cli("import", "--json", file, "--as", "k").records[0]["imported"] == 0
    states = [{"id": "a", "item": "x", "state": state} for state in ("finished", "lost")]
    done = cli("import", input=exported("job", *states), fails=2)
    assert "line 3: its state must be waiting, scheduled, stalled, finished, taken" in done.err


def fill(job: Job[str]) -> None:
    """Put jobs in all states, and a schedule."""
    job.put("x", id="done")
    job.get_nowait().finish("result")
    job.put("x", id="taken", unique_for=600)
    job.get_nowait().finish()
    job.put("x", id="stalled")
    with pytest.raises(OSError, match="no disk"), job.get_nowait():
        raise OSError("no disk")
    job.put("x", id="later", delay=600, priority=job.HIGH)
    job.put("x", id="waiting")
    job.schedule("tick", "x", every=600)
