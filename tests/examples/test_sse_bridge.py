"""The bridge to the browser: what pages hear, whatever happens to connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers

from thoonk import Thoonk

BRIDGE = Path(__file__).resolve().parent.parent.parent / "examples/sse_bridge.py"
JSON = {"Content-Type": "application/json"}
ITEM = 9000


class Bridge:
    """A bridge in a process of its own."""

    def __init__(self, backend: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", BRIDGE, "--port", "0", "--backend", backend],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = int(re.findall(r"http://127\.0\.0\.1:(\d+)/", line)[0])

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()

    def publish(self, text: str) -> str:
        status, _, id = self.request("POST", "/items", json.dumps(text).encode(), **JSON)
        assert status == 201
        return id.decode()

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; its exit code and what it wrote to stderr."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


class Browser:
    """Reads events, and applies them as the page does."""

    def __init__(self, bridge: Bridge) -> None:
        self.socket = socket.create_connection(("127.0.0.1", bridge.port), timeout=20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        self.socket.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        self.lines = self.socket.makefile("rb")
        while self.lines.readline() != b"\r\n":
            pass
        self.rows: dict[str, str] = {}
        self.resets = 0

    def event(self) -> tuple[str, Any] | None:
        """The next one, applied; None when the bridge has hung up."""
        name = ""
        while line := self.lines.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
                if name == "reset":
                    self.rows.clear()
                    self.resets += 1
                elif name == "put":
                    self.rows.pop(data["id"], None)
                    self.rows[data["id"]] = data["item"]
                else:
                    self.rows.pop(data["id"], None)
                return name, data
        return None

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self.event() is not None, "hung up on"

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def bridge(stack: contextlib.ExitStack) -> Callable[..., Bridge]:
    """Starts bridges; killed in the end if need be."""

    def start(backend: str = "memory") -> Bridge:
        made = Bridge(backend)
        stack.callback(made.process.communicate)
        stack.callback(made.process.kill)
        return made

    return start


@pytest.fixture
def browser(stack: contextlib.ExitStack) -> Callable[[Bridge], Browser]:
    def open_(bridge: Bridge) -> Browser:
        made = Browser(bridge)
        stack.callback(made.close)
        return made

    return open_


def test_browsers_get_what_is_there_and_then_what_happens(
    bridge: Callable[..., Bridge], browser: Callable[[Bridge], Browser]
) -> None:
    one = bridge()
    first = browser(one)
    assert first.event() == ("reset", {})
    id = one.publish("line one\nline two")
    assert first.event() == ("put", {"id": id, "item": "line one\nline two"})
    second = browser(one)
    assert [second.event(), second.event()] == [
        ("reset", {}),
        ("put", {"id": id, "item": "line one\nline two"}),
    ]
    assert one.request("DELETE", f"/items/{id}")[0] == 204
    assert first.event() == second.event() == ("gone", {"id": id})
    assert one.request("DELETE", f"/items/{id}")[0] == 404
    # Ctrl-C while browsers are connected ends it, without a word.
    assert one.stop() == (130, "")
    assert first.event() is None


def test_nonsense_is_refused(bridge: Callable[..., Bridge]) -> None:
    one = bridge()
    status, kind, page = one.request("GET", "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert b"EventSource" in page
    for status, method, path, body, headers in [
        (404, "GET", "/other", None, {}),
        (404, "POST", "/items", b'"x"', {"Content-Type": "text/plain"}),
        (400, "POST", "/items", b'"x', JSON),
        (400, "POST", "/items", b"[1]", JSON),
        (413, "POST", "/items", b'"' + b"x" * 20_000 + b'"', JSON),
        (400, "DELETE", "/items/", None, {}),
    ]:
        answer = one.request(method, path, body, **headers)
        assert answer[:2] == (status, "text/plain; charset=utf-8"), (method, path, body, answer)
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100) == b""
    assert one.stop() == (130, "")


def test_two_bridges_show_the_same_also_when_their_connections_are_cut(
    bridge: Callable[..., Bridge],
    browser: Callable[[Bridge], Browser],
    running_server: Callable[[str], servers.Server],
) -> None:
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw, Thoonk(backend=server.url) as thoonk:
        raw.flushall()
        bridges = [bridge(server.url), bridge(server.url)]
        browsers = [browser(each) for each in bridges]
        for number in range(20):
            bridges[number % 2].publish(f"text {number}")
            if number % 5 == 0:
                deadline = time.monotonic() + 20
                while not raw.client_kill_filter(_type="pubsub"):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
        id = bridges[0].publish("the end")
        feed = thoonk.feed("messages")
        for each in browsers:
            each.until(lambda each=each: id in each.rows)
            assert list(each.rows.items()) == list(feed.items())
            assert each.resets == 1
        for each in bridges:
            code, errors = each.stop()
            assert code == 130
            assert all("notices" in line for line in errors.splitlines())


def test_a_browser_that_does_not_read_is_hung_up_on_and_holds_up_nobody(
    bridge: Callable[..., Bridge],
    browser: Callable[[Bridge], Browser],
    running_server: Callable[[str], servers.Server],
) -> None:
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw, Thoonk(backend=server.url) as thoonk:
        raw.flushall()
        one = bridge(server.url)
        slow, quick = browser(one), browser(one)
        feed = thoonk.feed("messages")
        total = 0
        for _ in range(15):
            ids = feed.publish_many(["x" * ITEM] * 100)
            total += len(ids)
            quick.until(lambda ids=ids: ids[-1] in quick.rows)
        seen = 0
        while slow.event() is not None:
            seen += 1
        assert 0 < seen < total
        again = browser(one)
        again.until(lambda: len(again.rows) == 100)
        assert again.rows == quick.rows
        assert one.stop() == (130, "")


def test_a_port_that_is_taken_is_told_in_one_line(bridge: Callable[..., Bridge]) -> None:
    one = bridge()
    done = subprocess.run(
        [sys.executable, BRIDGE, "--port", str(one.port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
