"""The programs in examples/ do what their docstrings say, in memory and on a server."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import servers

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"

LAST_LINES = {
    "live_cache.py": "All copies agree.",
    "pipeline.py": "Each text came out once, and rightly.",
    "presence.py": "Everybody's coming and going was seen.",
    "shards.py": "Each customer's orders were done in their order.",
    "lanes.py": "The limits were kept, and what was urgent came first.",
}
LONGEST = 110.0
"""Seconds for one example, on a loaded machine."""

TESTED_ELSEWHERE = {"sse_bridge.py", "side_by_side.py", "tour.py", "lmdb_store.py"}


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]


def example(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    with subprocess.Popen(
        command(script, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        start_new_session=True,
    ) as process:
        try:
            output, log = process.communicate(timeout=LONGEST)
        except BaseException:
            # With its children, which would go on cutting connections of the tests to come.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, log)


@pytest.fixture
def server(running_server: Callable[[str], servers.Server]) -> servers.Server:
    """An empty server."""
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
    return server


def keys(server: servers.Server) -> list[bytes]:
    with contextlib.closing(server.client()) as raw:
        return list(raw.keys("*"))


def check(script: str, done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.splitlines()[-1] == LAST_LINES[script]


@pytest.mark.parametrize("script", LAST_LINES)
def test_in_memory_it_does_what_it_says(script: str) -> None:
    check(script, example(script))


@pytest.mark.slow  # in memory they do the same
@pytest.mark.parametrize("script", LAST_LINES)
def test_with_processes_on_a_server_too_and_leaves_nothing(
    script: str, server: servers.Server
) -> None:
    check(script, example(script, "--backend", server.url))
    assert keys(server) == []


def test_no_example_is_forgotten() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} >= {*LAST_LINES}
    assert {path.name for path in EXAMPLES.glob("*.py")} <= {*LAST_LINES} | TESTED_ELSEWHERE


@pytest.mark.parametrize("script", [*LAST_LINES, "sse_bridge.py"])
def test_its_docstring_has_the_command_that_runs_it(script: str) -> None:
    text = ast.get_docstring(ast.parse((EXAMPLES / script).read_text("utf-8")))
    assert text is not None
    (line,) = re.findall(r"^    python (examples/\S+)", text, re.MULTILINE)
    assert line == f"examples/{script}"
    options = re.findall(r"--\w+", text.split("\n\n")[1])
    shown = example(script, "--help")
    assert shown.returncode == 0
    assert options
    assert all(option in shown.stdout for option in options)


@pytest.mark.parametrize("script", [*LAST_LINES, "sse_bridge.py"])
@pytest.mark.parametrize(
    ("url", "code"),
    [("bogus://x", 2), ("redis://127.0.0.1:1/0", 1)],
)
def test_what_cannot_work_is_told_in_one_line(script: str, url: str, code: int) -> None:
    done = example(script, "--backend", url)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1


def test_copies_agree_although_their_connections_are_cut(server: servers.Server) -> None:
    """Notices are lost, and made up for."""
    over = threading.Event()
    cut = 0

    def cut_connections() -> None:
        nonlocal cut
        with contextlib.closing(server.client()) as raw:
            # Not before all follow: a subscription that is cut while it begins is an error.
            while len(raw.client_list(_type="pubsub")) < 4 and not over.wait(0.05):
                pass
            while not over.wait(0.1):
                with contextlib.suppress(redis.ResponseError):
                    cut += raw.client_kill_filter(_type="pubsub")

    cutter = threading.Thread(target=cut_connections)
    cutter.start()
    try:
        done = example("live_cache.py", "--backend", server.url, "--changes", "2000")
    finally:
        over.set()
        cutter.join()
    assert done.returncode == 0, done
    assert done.stdout.endswith("All copies agree.\n")
    assert cut > 4


def test_a_copy_that_misses_something_is_found_out(tmp_path: Path) -> None:
    """The comparison itself: without retractions the copies differ."""
    for name in ("live_cache.py", "side_by_side.py"):
        text = (EXAMPLES / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("self._items.pop(id, None)", "pass"), "utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "live_cache.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.endswith("The copies differ.\n")
