"""top on a terminal: its screen, its keys, and servers that are away or hang."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import World

from cli.conftest import Process
from cli.terminals import Terminal
from thoonk import Thoonk

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_UP, PAGE_DOWN, HOME, END = "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F"
ESCAPE = "\x1b"
WHEEL = "\x1b[<65;5;9M"
"""One notch down, which is two rows."""
OFTEN = ("--interval", "0.1")
READY = "q quit"


@pytest.fixture
def thoonk(one_server: World) -> Iterator[Thoonk]:
    with Thoonk(backend=one_server.url) as client:
        yield client


@pytest.fixture
def top(process: Process) -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(
            *arguments: str, size: tuple[int, int] = (80, 24), url: str = "", **options: Any
        ) -> Terminal:
            columns, lines = size
            where = Process(url) if url else process
            terminal = Terminal(where, "top", *arguments, columns=columns, lines=lines, **options)
            stack.callback(terminal.close)
            return terminal

        yield start


def names_on(screen: list[str]) -> list[str]:
    """The feeds in the rows of the table."""
    return [found[0] for line in screen[3:-1] if (found := re.match(r"f\d+", line))]


def many(thoonk: Thoonk, count: int) -> None:
    for number in range(count):
        thoonk.queue(f"f{number:03}").put_many(["x"] * (number % 7))


@pytest.mark.parametrize(("size", "rows"), [((80, 24), 20), ((200, 50), 46)])
def test_head_rows_and_status_have_their_places(
    thoonk: Thoonk, top: Callable[..., Terminal], size: tuple[int, int], rows: int
) -> None:
    many(thoonk, 60)
    thoonk.queue("f000").put_many(["x"] * 1234)
    terminal = top(*OFTEN, size=size)
    terminal.shows(r"^f000 .*\b1,234\b")
    terminal.shows("^waiting 1,408 ")  # all have been sampled
    terminal.becomes(lambda lines: len(names_on(lines)) == rows and "every 0.1 s" in lines[-1])
    screen = terminal.screen
    assert re.match(r"thoonk top  127\.0\.0\.1:\d+/0  \d\d:\d\d:\d\d  60 feeds$", screen[0])
    assert re.match(r"waiting 1,408  claimed 0  stalled 0  failing 0  in ", screen[1])
    assert screen[2].startswith("feed▲")
    assert ("type" in screen[2]) is (size[0] > 100)
    assert names_on(screen) == [f"f{number:03}" for number in range(rows)]
    assert screen[-1].startswith(f"feeds 1–{rows} of 60  sort: feed  every 0.1 s")
    assert not any("…" in line for line in screen)


def test_keys_and_wheel_scroll(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    many(thoonk, 60)
    terminal = top(*OFTEN)
    terminal.shows("feeds 1–20 of 60")
    for keys, first in (
        (END, 41), (HOME, 1), (PAGE_DOWN, 1), (PAGE_DOWN, 20), (DOWN * 2, 22), (PAGE_UP, 22),
        (UP, 21), (HOME, 1), (WHEEL, 3),
    ):  # fmt: skip
        terminal.type(keys)
        screen = terminal.shows(rf"^feeds {first}–{first + 19} of 60\b")
        terminal.becomes(lambda lines, first=first: names_on(lines)[:1] == [f"f{first - 1:03}"])
        assert len(screen) == 24


def test_rows_are_sorted_by_the_column_that_is_chosen(
    thoonk: Thoonk, top: Callable[..., Terminal]
) -> None:
    for name, count in (("f0", 3), ("f1", 5), ("f2", 1)):
        thoonk.queue(name).put_many(["x"] * count)
    thoonk.feed("f3")
    terminal = top(*OFTEN)
    terminal.shows("sort: feed")

    def order(*names: str) -> None:
        terminal.becomes(lambda lines: names_on(lines) == [*names])

    order("f0", "f1", "f2", "f3")
    terminal.type("s" + RIGHT)
    terminal.shows("waiting▼")
    order("f1", "f0", "f2", "f3")  # what has no such number is last
    thoonk.queue("f2").put_many(["x"] * 9)
    order("f2", "f1", "f0", "f3")
    terminal.type("r")
    terminal.shows("waiting▲")
    order("f0", "f1", "f2", "f3")
    terminal.type("S" + LEFT)
    terminal.shows("feed▲")
    terminal.type("r")
    order("f3", "f2", "f1", "f0")
    where = terminal.screen[2].index("items") + 2
    terminal.type(f"\x1b[<0;{where};3M\x1b[<0;{where};3m")
    terminal.shows("items▼")
    order("f2", "f1", "f0", "f3")


def test_a_filter_is_typed_kept_and_cleared(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    many(thoonk, 30)
    terminal = top(*OFTEN)
    terminal.shows("feeds 1–20 of 30")
    terminal.type("/")
    terminal.shows("part of a name")
    terminal.type("F01")
    terminal.shows("feeds 1–10 of 10  filter: F01")
    terminal.type("q")  # a letter while one types
    terminal.shows("0 feeds  filter: F01q")
    terminal.type("\x7f\r")
    terminal.becomes(lambda lines: "feeds 1–10 of 10  filter: F01 " in lines[-1])
    terminal.type("s")
    terminal.shows("filter: F01  sort: items")
    terminal.type(ESCAPE)
    terminal.shows("feeds 1–20 of 30  sort: items")
    terminal.type("q")
    assert terminal.end() == 0


def test_a_pause_stops_the_calls_and_says_so(
    thoonk: Thoonk, top: Callable[..., Terminal], one_server: World
) -> None:
    queue = thoonk.queue("f0")
    queue.put("x")
    terminal = top(*OFTEN)
    terminal.shows(r"^f0 +1 ")
    terminal.type("p")
    terminal.shows("^PAUSED")

    def calls() -> int:
        stats: Any = one_server.raw.info("commandstats")
        return int(stats["cmdstat_smembers"]["calls"])

    def one_tick() -> None:
        clock = terminal.screen[0]
        terminal.becomes(lambda lines: lines[0] != clock)

    one_tick()  # what was on its way has arrived
    before = calls()
    queue.put("x")
    one_tick()
    one_tick()
    assert calls() == before
    terminal.shows(r"^f0 +1 ")
    terminal.type(" ")
    terminal.shows(r"^f0 +2 ")
    terminal.becomes(lambda lines: "PAUSED" not in lines[-1])


def test_what_needs_attention_has_a_colour(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    job = thoonk.job("j", {"claim_timeout": 0.5})
    thoonk.queue("f0").pause()
    for _ in range(22):
        job.put("x")
    for _ in range(2):
        job.get().cancel()
    claimed = job.get()
    job.stall(job.get().id)
    assert claimed.id
    terminal = top(*OFTEN, size=(120, 24))
    terminal.becomes(lambda _: terminal.style_of("stalled 1") == ("red", True))
    terminal.becomes(lambda _: terminal.style_of("yes") == ("brown", True))  # pyte's yellow
    terminal.becomes(lambda _: terminal.style_of("waiting 2") == ("default", False))
    plain = top(*OFTEN, size=(120, 24), environment={"NO_COLOR": "1"})
    plain.becomes(lambda _: plain.style_of("stalled 1") == ("default", True))
    assert not re.search(r"\x1b\[[0-9;]*\b(3[1-7]|38;[25];[0-9;]+)m", plain.raw)


def test_it_follows_the_size_of_the_terminal(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    many(thoonk, 60)
    terminal = top(*OFTEN)
    terminal.shows("feeds 1–20 of 60")
    terminal.type(END)
    terminal.shows("feeds 41–60 of 60")
    terminal.resize(50, 10)
    terminal.shows("^feeds 55–60 of 60")
    terminal.becomes(lambda lines: "out/s" not in lines[2] and lines[-1].startswith("feeds"))
    terminal.resize(200, 50)
    terminal.shows("feeds 15–60 of 60")
    terminal.becomes(lambda lines: "type" in lines[2] and len(names_on(lines)) == 46)


def test_help_and_details_are_pages(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    thoonk.job("f0", {"claim_timeout": 600}).put("x")
    thoonk.job("f0").get()
    thoonk.job("f1").put_many(["x"] * 1234)
    terminal = top(*OFTEN)
    terminal.shows(r"^f1 +1,234")
    terminal.type("?")
    for line in ("q, Ctrl-C +quit", "p, Space +pause", r"\+ - +update", "Esc +clear"):
        terminal.shows(line)
    terminal.type(ESCAPE)  # what followed at once would make another key of it
    terminal.becomes(lambda lines: not any("filter by name" in line for line in lines))
    terminal.type("\r")
    terminal.shows("claim_timeout +600s")
    terminal.type("\r")
    terminal.becomes(lambda lines: not any("claim_timeout" in line for line in lines))
    terminal.type(DOWN + "\r")
    terminal.shows("waiting +1,234 +│")
    terminal.type("q")
    assert terminal.end() == 0


def test_plus_and_minus_change_the_interval(thoonk: Thoonk, top: Callable[..., Terminal]) -> None:
    thoonk.feed("f0")
    terminal = top()
    terminal.shows("every 2 s")
    terminal.type("-")
    terminal.shows("every 5 s")
    terminal.type("++=")
    terminal.shows("every 0.5 s")


@pytest.mark.parametrize("by", ["q", "^C", "SIGTERM"])
def test_it_ends_and_leaves_the_terminal_as_it_was(
    thoonk: Thoonk, top: Callable[..., Terminal], by: str
) -> None:
    thoonk.feed("f0")
    terminal = top(*OFTEN)
    terminal.shows("^f0")
    if by == "q":
        terminal.type("q")
        assert terminal.end() == 0
    elif by == "^C":
        assert terminal.interrupt() == 130
    else:
        terminal.running.send_signal(signal.SIGTERM)
        assert terminal.end() == 143
    assert "Traceback" not in terminal.seen
    assert terminal.raw.rfind("\x1b[?1049l") > terminal.raw.rfind("\x1b[?1049h")  # the screen
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l")  # the cursor
    assert terminal.raw.rfind("\x1b[?1000l") > terminal.raw.rfind("\x1b[?1000h")  # the mouse


def test_it_shows_that_the_server_is_away_and_continues(
    any_server: Callable[..., Any], top: Callable[..., Terminal]
) -> None:
    with any_server("--appendonly", "yes") as server, Thoonk(backend=server.url) as thoonk:
        many(thoonk, 40)
        terminal = top(*OFTEN, url=server.url)
        terminal.shows("feeds 1–20 of 40")
        server.kill()
        terminal.shows(r"^These numbers are \d+ s old: Redis cannot be reached")
        terminal.becomes(lambda _: terminal.style_of("These numbers are") == ("red", True))
        terminal.becomes(lambda lines: "sort: feed" in lines[-1] and names_on(lines) != [])
        server.start()
        terminal.becomes(lambda lines: not any("old: " in line for line in lines))
        thoonk.queue("f999").put("x")
        # The head has a new feed before the table does.
        terminal.shows("  41 feeds")
        terminal.shows("feeds 1–20 of 41")
        terminal.type(END)
        terminal.shows("^f999 +1 ")


def test_q_ends_it_while_the_server_hangs(
    any_server: Callable[..., Any], top: Callable[..., Terminal]
) -> None:
    with any_server() as server, Thoonk(backend=server.url) as thoonk:
        thoonk.queue("f0")
        before = top(*OFTEN, url=server.url)
        before.shows("^f0")
        server.kill(signal.SIGSTOP)
        try:
            before.shows(r"^These numbers are \d+ s old: the server has not answered")
            # Keys are read, too.
            before.type("?")
            before.shows("pause, continue")
            began = time.monotonic()
            before.type("q")
            assert before.end() == 0
            # A reply is waited for ten seconds.
            assert time.monotonic() - began < 9
            assert "Traceback" not in before.seen
            after = top(*OFTEN, url=server.url)
            assert after.end() == 69
            assert after.seen.startswith("Error: Redis cannot be reached")
        finally:
            server.kill(signal.SIGCONT)


def test_feeds_come_and_go_and_one_that_was_named_has_to_be_there(
    thoonk: Thoonk, top: Callable[..., Terminal]
) -> None:
    thoonk.queue("f0")
    thoonk.queue("f1")
    terminal = top(*OFTEN)
    terminal.shows("feeds 1–2 of 2")
    thoonk.delete_feed("f0")
    terminal.shows("feeds 1–1 of 1")
    thoonk.queue("f2")
    terminal.becomes(lambda lines: names_on(lines) == ["f1", "f2"])
    terminal.type("q")
    assert terminal.end() == 0
    missing = top("f1", "f0")
    assert missing.end() == 4
    assert missing.seen == "Error: feed 'f0' does not exist\n"
    named = top(*OFTEN, "f2", "f1")
    named.shows("feeds 1–2 of 2")
    thoonk.delete_feed("f1")
    named.shows("feeds 1–1 of 1")
    thoonk.queue("f1")
    named.becomes(lambda lines: names_on(lines) == ["f1", "f2"])


def test_a_dumb_terminal_gets_one_table_after_the_other(
    thoonk: Thoonk, top: Callable[..., Terminal]
) -> None:
    thoonk.queue("f0").put_many(["x"] * 1234)
    terminal = top(*OFTEN, environment={"TERM": "dumb"})
    while terminal.seen.count("1,234") < 6:
        assert terminal.read(30)
    assert "\x1b[?1049h" not in terminal.raw
    assert terminal.interrupt() == 130


def test_names_do_nothing_to_the_terminal_and_addresses_have_no_password(
    thoonk: Thoonk, top: Callable[..., Terminal], one_server: World
) -> None:
    thoonk.queue("f\x1b[31m\x1b]0;title\x07")
    thoonk.queue("漢字" * 30)
    rights = ["on", ">s%cret", "~*", "&*", "+@all"]
    one_server.raw.execute_command("ACL", "SETUSER", "seer", *rights)
    url = one_server.url.replace("//", "//seer:s%25cret@")
    try:
        terminal = top(*OFTEN, url=url)
        terminal.shows("^漢 ?字.*…")
        terminal.becomes(lambda lines: any(line.startswith(r"f\x1b[31m\x1b]0;") for line in lines))
    finally:
        one_server.raw.execute_command("ACL", "DELUSER", "seer")
    assert "cret" not in terminal.raw
    assert "\x1b]0;title" not in terminal.raw


def test_5000_feeds_cost_the_server_little(
    thoonk: Thoonk, top: Callable[..., Terminal], one_server: World
) -> None:
    raw = one_server.raw
    pipe = raw.pipeline()
    thoonk.queue("f0000")
    for number in range(1, 5000):
        pipe.sadd("feeds", f"f{number:04}")
        pipe.hset(f"feed.config:f{number:04}", "type", "queue")
    pipe.execute()
    terminal = top("--interval", "1")
    terminal.shows(r"^feeds 1–20 of 5,000 .* every 1 s, all in \d+ s")

    def scripts() -> int:
        stats: Any = raw.info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"])

    began, before = time.monotonic(), scripts()
    terminal.type(END)
    terminal.becomes(lambda lines: re.match(r"f4999 +0 ", lines[-2]) is not None)
    terminal.type(HOME)
    terminal.shows("^feeds 1–20 of 5,000")
    while time.monotonic() - began < 3:
        terminal.read(0.1)
    # The time last: it goes by between the two.
    called = scripts() - before
    assert called < 300 * (time.monotonic() - began + 1)


def test_without_textual_it_says_what_to_install(
    thoonk: Thoonk, top: Callable[..., Terminal], tmp_path: Any
) -> None:
    thoonk.queue("f0")
    (tmp_path / "textual.py").write_text("raise ImportError('not here')", "utf-8")
    terminal = top(environment={"PYTHONPATH": str(tmp_path)})
    assert terminal.end() == 1
    assert terminal.seen.startswith("Error: ")
    assert "not here" in terminal.seen
    assert "Traceback" not in terminal.seen
    again = top("--once", environment={"PYTHONPATH": os.fspath(tmp_path)})
    assert again.end() == 0
    assert re.search(r"(?m)^ f0 ", again.seen)
