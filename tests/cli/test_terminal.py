"""What people see: the command line on a terminal, which a pty plays."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from cli.conftest import Process
from cli.terminals import Terminal
from thoonk import Thoonk
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport


@pytest.fixture
def thoonk(one_server: World) -> Iterator[Thoonk]:
    with Thoonk(backend=one_server.url) as client:
        yield client


@pytest.fixture
def terminal(process: Process) -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Terminal:
            started = Terminal(process, *arguments, **options)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture
def shown(terminal: Callable[..., Terminal]) -> Callable[..., str]:
    """Run a command to its end and return what was seen."""

    def run(*arguments: str, fails: int = 0, **options: Any) -> str:
        started = terminal(*arguments, **options)
        assert started.end() == fails, started.seen
        return started.seen

    return run


def test_feeds_items_and_stats_are_tables(thoonk: Thoonk, shown: Callable[..., str]) -> None:
    assert "There are no feeds" in shown("feeds")
    feed = thoonk.feed("news", {"title": "The news", "max_length": 9})
    assert "There are no items" in shown("items", "news")
    feed.publish("hello", id="1")
    assert re.search(r"news +feed +The news +max_length=9", shown("feeds"))
    assert re.search(r"(?m)^ 1 +hello", shown("items", "news"))
    assert re.search(r"news +feed +1 +\d+s", shown("stats"))
    narrow = shown("stats", columns=80)
    assert "type" not in narrow
    assert re.search(r"news +1", narrow)


def test_workers_are_a_table(thoonk: Thoonk, shown: Callable[..., str]) -> None:
    assert "There are no live workers" in shown("workers")
    job = ReportedJob("mail\x1b[31m", "7\x1b[2J", 2, 60.0)
    report = WorkerReport("x", "web-1", 17, "2.0", (job.feed,), 8, busy=1, jobs=(job,))
    thoonk.backend.execute(ReportWorker(report, 600))
    table = shown("workers")
    assert re.search(r"host +pid +feeds +busy +of +up +seen +state +jobs", table)
    assert re.search(r"web-1 +17 +mail\\x1b\[31m +1 +8 +\ds +\ds +working +7\\x1b", table)


def test_where_there_is_no_room_numbers_go_and_names_stay(
    thoonk: Thoonk, shown: Callable[..., str]
) -> None:
    thoonk.queue("letters").put_many(["letter"] * 1234)
    narrow = shown("stats", columns=40)
    assert re.search(r"feed +items +waiting\b", narrow)
    assert re.search(r"letters +1,234 +1,234\b", narrow)
    assert "…" not in narrow


def test_what_is_in_an_item_does_nothing_to_the_terminal(
    thoonk: Thoonk, terminal: Callable[..., Terminal]
) -> None:
    feed = thoonk.feed("a\x1b[31mb", serializer="binary")
    feed.publish(b"\x1b]0;title\x07 \x1b[2J", id="\x1b[7mid")
    feed.publish(b"\x9b31m\xff\0", id="2")
    names = [["feeds"], ["stats"], ["items", feed.name], ["item", feed.name, "2"]]
    for command in (*names, ["item", feed.name, "\x1b[7mid"], ["config", "get", feed.name]):
        started = terminal(*command)
        assert started.end() == 0
        for evil in ("\x1b[31m", "\x1b]0", "\x1b[2J", "\x1b[7m", "\x9b"):
            assert evil not in started.raw, command
    assert "<6 bytes: 9b 33 31 6d ff 00>" in started.seen or "serializer" in started.seen


def test_an_item_is_shown_as_its_serializer_says(thoonk: Thoonk, shown: Callable[..., str]) -> None:
    thoonk.feed("t").publish("two\nlines", id="1")
    thoonk.feed("j", serializer="json").publish({"a": ["ä"]}, id="1")
    thoonk.queue("p", serializer="binary").put(b"\xff\xfe")
    assert shown("item", "t", "1") == "two\nlines\n"
    assert shown("item", "j", "1") == '{\n  "a": [\n    "ä"\n  ]\n}\n'
    assert shown("get", "p") == "<2 bytes: ff fe>\n"


def test_a_pickle_is_not_loaded(thoonk: Thoonk, shown: Callable[..., str], tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "was here"),))

    thoonk.pyqueue("q").put(Evil())
    assert "bytes: 80 05" in shown("items", "q")
    assert "bytes: 80 05" in shown("get", "q")
    assert not (tmp_path / "was here").exists()


def test_deleting_asks_first(thoonk: Thoonk, terminal: Callable[..., Terminal]) -> None:
    thoonk.feed("f").publish("x")
    for answer, code, is_left in (("n\n", 0, True), ("\x03", 130, True), ("y\n", 0, False)):
        asked = terminal("delete", "f")
        asked.until("Delete 'f' with 1 items? [y/N]: ")
        if answer == "\x03":
            assert asked.interrupt() == code
        else:
            asked.type(answer)
            assert asked.end() == code
        assert thoonk.feed_exists("f") is is_left
    thoonk.feed("g")
    assert terminal("delete", "g", "--yes").end() == 0
    assert not thoonk.feed_exists("g")


def test_a_get_that_waits_says_so_and_ends_with_ctrl_c(
    thoonk: Thoonk, terminal: Callable[..., Terminal]
) -> None:
    queue, job = thoonk.queue("q"), thoonk.job("j", {"claim_timeout": 60})
    waiting = terminal("get", "q")
    waiting.until("Waiting for an item in 'q'. Press Ctrl-C to stop.")
    queue.put("here")
    waiting.until("here\n")
    assert waiting.end() == 0
    waiting = terminal("job", "get", "j")
    waiting.until("Waiting for a job in 'j'")
    waiting.type("\x03")
    assert waiting.end() == 130
    assert "Traceback" not in waiting.seen
    assert "Aborted" not in waiting.seen
    id = job.put("work")
    claimed = terminal("job", "get", "j")
    claimed.until("work\n")
    assert f"{id}  claimed for 60 s\n" in claimed.seen


def test_notices_are_watched(thoonk: Thoonk, terminal: Callable[..., Terminal]) -> None:
    feed = thoonk.feed("news", serializer="json")
    watching = terminal("watch")
    watching.until("Watching all feeds. Press Ctrl-C to stop.")
    published = 0
    while "publish" not in watching.seen:  # it says so just before it has subscribed
        feed.publish({"n": published}, id=f"{published}")
        published += 1
        watching.read(0.1)
    line = r'\d\d:\d\d:\d\d publish +news \d+ \{"n":\d+\}'
    watching.shows(line)
    assert re.search(line, watching.seen)
    watching.type("\x03")
    assert watching.end() == 130


def test_progress_is_shown_beside_the_file(
    thoonk: Thoonk, shown: Callable[..., str], process: Process, tmp_path: Path
) -> None:
    feed = thoonk.feed("f")
    for _ in range(2000):
        feed.publish("x")
    file = str(tmp_path / "export")
    assert "export f" in shown("export", "f", file)
    assert "import g" in shown("import", file, "--as", "g")
    # Nobody looks: no bar.
    assert process("export", "f", file).err == ""
    assert process("import", file, "--as", "h").err == "2000 items imported\n"


def test_a_dead_server_is_one_line(terminal: Callable[..., Terminal]) -> None:
    for command in (["feeds"], ["top"], ["watch"], ["get", "q"]):
        started = terminal(*command, "--backend", "redis://127.0.0.1:1")
        assert started.end() == 69
        assert started.seen.startswith("Error: Redis cannot be reached")
        assert started.seen.count("\n") == 1


def test_without_what_draws_tables_it_says_what_to_install(
    shown: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('not here')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    seen = shown("feeds", fails=1)
    assert (
        seen
        == "Error: packages are missing (not here): pip install '.[cli]' in a checkout of Thoonk\n"
    )
