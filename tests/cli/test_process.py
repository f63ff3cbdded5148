"""The command line as a process: pipes, signals, servers that are away, notices."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from contract.peek import blocked

from cli.conftest import PROGRAM, Process
from thoonk import JobCounts, Thoonk, notices
from thoonk.cli import watch as watch_command
from thoonk.testing._sync.helpers import until


@pytest.fixture
def thoonk(one_server: World) -> Iterator[Thoonk]:
    with Thoonk(backend=one_server.url) as client:
        yield client


def shell(process: Process, script: str) -> subprocess.CompletedProcess[bytes]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    return subprocess.run(
        [bash, "-c", script],
        env=process.environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )


# --- pipes ------------------------------------------------------------------------------------


def test_bytes_go_through_a_pipe_untouched(process: Process, thoonk: Thoonk) -> None:
    queue = thoonk.queue("q", serializer="binary")
    data = bytes(range(256)) * 2000 + b"\n"
    process("put", "q", "-", input=data)
    assert queue.get_nowait() == data
    queue.put(data)
    assert process("get", "q").out == data


def test_whoever_reads_only_the_beginning_is_not_told_of_it(
    process: Process, thoonk: Thoonk
) -> None:
    feed = thoonk.feed("f")
    for _ in range(3000):
        feed.publish("x" * 100)
    for command in ("items f", "ids f", "export f", "items f --json"):
        done = shell(process, f"thoonk {command} | head -n 1; echo ${{PIPESTATUS[0]}}")
        assert done.stdout.splitlines()[-1] == b"141", command
        assert done.stderr == b""


def test_an_item_that_nobody_reads_is_put_back(process: Process, thoonk: Thoonk) -> None:
    queue, job = thoonk.queue("q"), thoonk.job("j")
    queue.put("first")
    queue.put("second")
    job.put("x")
    done = shell(process, "exec 3> >(exec true); wait $!; thoonk get q >&3; echo $?")
    assert (done.stdout, done.stderr) == (b"141\n", b"")
    done = shell(process, "exec 3> >(exec true); wait $!; thoonk job get j >&3; echo $?")
    assert (done.stdout, done.stderr) == (b"141\n", b"")
    assert [queue.get_nowait() for _ in range(2)] == ["first", "second"]
    assert job.get_counts() == JobCounts(1, 0, 0, 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_line_and_loses_nothing(process: Process, thoonk: Thoonk) -> None:
    queue = thoonk.queue("q")
    queue.put("x")
    with Path("/dev/full").open("wb") as full:
        failed = process.start("get", "q", stdout=full)
        _, errors = failed.communicate(timeout=60)
    assert failed.returncode == 1
    assert errors == b"Error: [Errno 28] No space left on device\n"
    assert queue.get_nowait() == "x"


def test_with_standard_output_closed_nothing_is_lost(process: Process, thoonk: Thoonk) -> None:
    queue = thoonk.queue("q")
    queue.put("x")
    done = shell(process, "thoonk get q >&-")
    assert done.returncode == 1
    assert done.stderr == b"Error: [Errno 9] standard output is closed\n"
    assert queue.get_nowait() == "x"


# --- servers that are away ------------------------------------------------------------------


def test_a_wrong_address_is_one_line_at_once() -> None:
    for command in (["feeds"], ["get", "q"], ["watch"], ["top"], ["import"], ["publish", "f", "x"]):
        words = [*PROGRAM, "--backend", "redis://127.0.0.1:1", *command]
        began = time.monotonic()
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            input='{"thoonk": 1, "feed": "f", "type": "feed", "config": {}}\n',
        )
        assert done.returncode == 69, command
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("Error: Redis cannot be reached, nothing was done")
        assert time.monotonic() - began < 9  # calls are repeated for ten seconds


def test_something_else_than_redis_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        done = subprocess.run(
            [*PROGRAM, "feeds", "--backend", url], capture_output=True, text=True, check=False
        )
    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_password_has_a_code_of_its_own(any_server: Callable[..., Any]) -> None:
    with any_server() as server:
        with server.client() as raw:
            raw.config_set("requirepass", "secret")
        done = subprocess.run(
            [*PROGRAM, "feeds", "--backend", server.url], capture_output=True, check=False
        )
    assert done.returncode == 77


# --- signals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "command", [["get", "x"], ["job", "get", "x"], ["job", "result", "x", "1"]]
)
def test_a_wait_that_is_ended_takes_nothing(
    one_server: World, process: Process, thoonk: Thoonk, command: list[str], how: signal.Signals
) -> None:
    feed: Any = thoonk.queue("x") if command[0] == "get" else thoonk.job("x")
    if command[1] == "result":
        feed.put("later", id="1", delay=600)
    waiting = process.start(*command)
    if command[1] == "result":
        until(lambda: one_server.raw.pubsub_numsub("job.finish:x")[0][1] == 1, timeout=60)
    else:
        until(lambda: blocked(one_server) == 1, timeout=60)
    waiting.send_signal(how)
    out, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[how]
    assert out == b""
    assert errors.strip() == b""
    until(lambda: blocked(one_server) == 0)
    feed.put("x")
    stats = feed.stats()
    assert (stats.waiting, stats.claimed) == (1, 0)


def test_whenever_it_is_interrupted_no_item_is_lost(process: Process, thoonk: Thoonk) -> None:
    queue, job = thoonk.queue("q"), thoonk.job("j")
    seen = []
    for number in range(12):
        waiting = process.start("get", "q"), process.start("job", "get", "j")
        time.sleep(random.uniform(0, 0.4))  # any moment will do
        queue.put(f"{number}")
        job.put(f"{number}")
        for each in waiting:
            each.send_signal(signal.SIGINT)
        out, _ = waiting[0].communicate(timeout=60)
        if out:
            seen.append(out.decode())
        out, _ = waiting[1].communicate(timeout=60)
        for line in out.splitlines()[:1]:
            job.finish(line.decode())
    while queue.stats().items:
        seen.append(queue.get(timeout=60))
    assert sorted(seen, key=int) == [f"{number}" for number in range(12)]
    counts = job.get_counts()
    assert (counts.waiting + counts.finished, counts.claimed) == (12, 0)


def test_an_interrupt_while_it_starts_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


# --- notices ----------------------------------------------------------------------------------


class Output:
    """The lines that a process prints, as they come."""

    def __init__(self, running: subprocess.Popen[bytes]) -> None:
        assert running.stdout is not None
        self._pipe = running.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._rest = b""

    def next(self, timeout: float = 60) -> str:
        end = time.monotonic() + timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._pipe], [], [], max(0, end - time.monotonic()))
            assert ready, f"nothing in time, only {self._rest!r}"
            data = self._pipe.read()
            assert data, "it has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


@contextlib.contextmanager
def watching(
    world: World, process: Process, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], Output]]:
    """A process that watches, once it has subscribed."""
    running = process.start("watch", *arguments)
    try:
        until(lambda: world.raw.pubsub_numsub("newfeed")[0][1] == 1, timeout=60)
        yield running, Output(running)
    finally:
        running.kill()
        running.communicate()


def test_notices_of_all_feeds_are_watched(
    one_server: World, process: Process, thoonk: Thoonk
) -> None:
    with watching(one_server, process, "--json") as (_, lines):
        feed = thoonk.feed("f", serializer="binary")
        feed.publish(b"a", id="1")
        feed.publish(b"\xff", id="1")
        feed.retract("1")
        ranking = thoonk.sorted_feed("s")
        ranking.append("x")
        job = thoonk.job("j")
        id = job.put("query")
        job.get().finish("answer")
        thoonk.delete_feed("j")
        records = [json.loads(lines.next()) for _ in range(13)]
    times = [record.pop("time") for record in records]
    assert all(time.endswith("+00:00") for time in times)
    assert records == [
        {"event": "create", "feed": "f"},
        {"event": "config", "feed": "f"},
        {"event": "publish", "feed": "f", "id": "1", "item": "a"},
        {"event": "edit", "feed": "f", "id": "1", "base64": "/w=="},
        {"event": "retract", "feed": "f", "id": "1"},
        {"event": "create", "feed": "s"},
        {"event": "config", "feed": "s"},
        {"event": "publish", "feed": "s", "id": "1", "item": "x"},
        {"event": "position", "feed": "s", "id": "1", "position": ":end"},
        {"event": "create", "feed": "j"},
        {"event": "config", "feed": "j"},
        {"event": "finish", "feed": "j", "id": id, "result": "answer"},
        {"event": "delete", "feed": "j"},
    ]


def test_events_of_jobs_are_watched(one_server: World, process: Process, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    process("config", "set", "j", "events=true")
    assert process("config", "get", "j", "events").lines == ["true"]
    with watching(one_server, process, "j", "--json") as (_, lines):
        job.put("later", id="a", delay=3600)
        job.run_now("a")
        with job.get() as claim:
            claim.progress(0.25, "resizing")
        records = [json.loads(lines.next()) for _ in range(5)]
    assert [record["event"] for record in records] == [
        "schedule",
        "put",
        "claim",
        "progress",
        "end",
    ]
    assert {record["id"] for record in records} == {"a"}
    assert records[0]["due"].endswith("+00:00")
    assert (records[3]["progress"], records[3]["doing"]) == (0.25, "resizing")


def test_what_a_line_tells_of_an_event_of_a_job(capsys: pytest.CaptureFixture[str]) -> None:
    for notice in (
        notices.Put("j", "a"),
        notices.Scheduled("j", "a", 1.5),
        notices.Progressed("j", "a", 0.25, "resizing"),
        notices.Progressed("j", "a", 1.0, ""),
    ):
        watch_command._as_line(notice, lambda _: None)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1:] for line in lines] == [
        ["put", "j", "a"],
        ["schedule", "j", "a", "1970-01-01T00:00:01.500+00:00"],
        ["progress", "j", "a", "25% resizing"],
        ["progress", "j", "a", "100%"],
    ]


@pytest.mark.parametrize("names", [["f"], ["f", "g"]])
def test_only_the_feeds_that_are_named_are_watched(
    one_server: World, process: Process, thoonk: Thoonk, names: list[str]
) -> None:
    with watching(one_server, process, *names) as (_, lines):
        thoonk.feed("other").publish("x", id="1")
        thoonk.feed("f").publish("two\nlines \x1b[31m", id="2")
        told = [lines.next().split("\t")[1:] for _ in range(3)]
    assert told == [["create", "f"], ["config", "f"], ["publish", "f", "2", r"two\nlines \x1b[31m"]]


def test_a_watch_ends_when_it_was_told_to(process: Process, thoonk: Thoonk) -> None:
    assert process("watch", "f", "--timeout", "0.1", fails=3).err == (
        "Error: no notice within the timeout\n"
    )
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.02):
            thoonk.feed("f").publish("x")

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        assert len(process("watch", "f", "--count", "3").lines) == 3
    finally:
        stop.set()
        publisher.join()


def test_a_watch_says_when_it_may_have_missed_something(any_server: Callable[..., Any]) -> None:
    with any_server() as server, Thoonk(backend=server.url) as thoonk:
        world = World("redis-6.2", server.url, server.client(), server)
        with watching(world, Process(server.url), "--json") as (running, lines):
            thoonk.feed("f")
            assert [json.loads(lines.next())["event"] for _ in range(2)] == ["create", "config"]
            world.raw.client_kill_filter(_type="pubsub")
            gap = json.loads(lines.next())
            assert (gap["event"], gap["feed"]) == ("gap", None)
            thoonk.feed("f").publish("x", id="1")
            assert json.loads(lines.next())["event"] == "publish"
            running.send_signal(signal.SIGINT)
            running.wait(60)
            assert running.returncode == 130
        world.raw.close()
