"""What people see: the command line on a terminal, which a pty plays."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from cli.conftest import PROGRAM, Process
from thoonk import Thoonk
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, process: Process, *arguments: str, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = process.environment()
        environment.pop("COLUMNS")
        self.running = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # So that ^C on it is a signal to the process.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(slave)
        self.raw = ""

    @property
    def seen(self) -> str:
        """All that was written so far, without what moves and colours."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def read(self, timeout: float) -> bool:
        """Read what there is; False when the process has ended."""
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.raw += data.decode()
        return bool(data)

    def until(self, text: str, timeout: float = 60) -> str:
        """Wait for a text; return all that was seen."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            assert self.read(0.1) or text in self.seen, f"no {text!r} in {self.seen!r}"
        return self.seen

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self, timeout: float = 60) -> int:
        """Wait for the end; return the exit code."""
        end = time.monotonic() + timeout
        while self.read(0.1):
            assert time.monotonic() < end, self.seen
        return self.running.wait(timeout)

    def interrupt(self) -> int:
        """Press ^C, and again after a while (the first may come while Python begins to read)."""
        for _ in range(4):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                return self.end(timeout=5)
        raise AssertionError(self.seen)

    def close(self) -> None:
        self.running.kill()
        self.running.wait()
        os.close(self._master)


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
    assert "No worker is alive" in shown("workers")
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
    waiting.until("Waiting for an item in 'q'. Ctrl-C ends it.")
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
    watching.until("Watching all feeds. Ctrl-C ends it.")
    published = 0
    while "publish" not in watching.seen:  # it says so just before it has subscribed
        feed.publish({"n": published}, id=f"{published}")
        published += 1
        watching.read(0.1)
    seen = watching.until("\n", 5)
    assert re.search(r'\d\d:\d\d:\d\d publish +news \d+ \{"n":\d+\}', seen)
    watching.type("\x03")
    assert watching.end() == 130


def test_top_is_redrawn_until_ctrl_c(thoonk: Thoonk, terminal: Callable[..., Terminal]) -> None:
    queue = thoonk.queue("letters")
    live = terminal("top", "--interval", "0.1")
    live.until("Ctrl-C ends it.")
    queue.put("x")
    live.until("letters  queue      1")
    queue.put("x")
    live.until("letters  queue      2")
    live.type("\x03")
    assert live.end() == 130
    assert "Traceback" not in live.seen
    assert live.raw.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in live.raw[-60:]  # the cursor


def test_top_shows_that_the_server_is_away_and_goes_on(any_server: Callable[..., Any]) -> None:
    with any_server("--appendonly", "yes") as server, Thoonk(backend=server.url) as thoonk:
        thoonk.feed("news")
        live = Terminal(Process(server.url), "top", "--interval", "0.1")
        try:
            live.until("Ctrl-C ends it.")
            server.kill()
            live.until("These numbers are old: Redis")
            server.start()
            live.raw = ""
            live.until("Ctrl-C ends it.")
            thoonk.feed("later")
            live.until("later")
        finally:
            live.close()


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
