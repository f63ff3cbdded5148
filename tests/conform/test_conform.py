"""`thoonk conform`: who keeps to the contract passes, and who does not is told where."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import servers
from click.testing import CliRunner, Result
from conftest import World

from thoonk.conform import sandbox
from thoonk.conform.cli import conform
from thoonk.conform.vector import load

HERE = Path(__file__).parent
OURS = (sys.executable, "-m", "thoonk.conform.adapter")
OLD = (sys.executable, str(HERE / "old_peer.py"))
TOY = (sys.executable, str(HERE / "toy_peer.py"))

Run = Callable[..., Result]


def run(*words: str) -> Result:
    return CliRunner().invoke(conform, words)


def failed(*words: str) -> set[str]:
    """The titles of the vectors that fail."""
    done = run("--json", "-", *words)
    report = json.loads(done.stdout)
    titles = {
        f"{vector['section']}: {vector['name']}"
        for vector in report["vectors"]
        if vector["outcome"] == "failed"
    }
    assert done.exit_code == bool(titles), done.output
    return titles


@pytest.fixture
def url(real_world: World) -> str:
    """Of each server, as a user who may do all: the runner looks at everything."""
    assert real_world.server is not None
    return real_world.server.url


@pytest.fixture
def one_url(running_server: Callable[[str], servers.Server]) -> str:
    """Of one server, for what is no server's affair."""
    server = running_server("redis-6.2")
    with server.client() as raw:
        raw.flushall()
    return server.url


@pytest.fixture(autouse=True)
def _tests_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))


# --- who passes -------------------------------------------------------------------------------


def test_this_library_keeps_to_it(url: str) -> None:
    done = run("--url", url, "--", *OURS)
    assert done.exit_code == 0, done.output
    modern = sum(2 in vector.levels for vector in load())
    others = len(load()) - modern
    assert done.output == (
        f"thoonk for Python, level 2: {modern} passed, 0 failed, "
        f"{others} skipped ({others} not of level 2)\n"
    )


def test_a_peer_of_version_1_keeps_to_its_own(url: str) -> None:
    done = run("--url", url, "-v", "--", *OLD)
    assert done.exit_code == 0, done.output
    passed = {line[8:] for line in done.output.splitlines() if line.startswith("passed  ")}
    old = [vector for vector in load() if 1 in vector.levels]
    lacks = {"job counts", "job maintenance", "listen", "names", "several"}
    assert passed == {vector.title for vector in old if not vector.needs & lacks}
    assert len(passed) > 80
    assert "not of level 1" in done.output.splitlines()[-1]


def test_the_db_is_left_empty(real_world: World, url: str) -> None:
    run("--url", url, "--only", "sorted", "--", *OURS)
    assert real_world.raw.dbsize() == 0


# --- who does not -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("habit", "sections"),
    [
        ("edits_as_publishes", {"sorted edit"}),
        ("leaves_items", {"job retract"}),
        ("wrong_end", {"queue put", "Names"}),
        ("seconds", {"feed publish", "job put", "job get", "job retry", "Blocking takes", "Names"}),
    ],
)
def test_the_habits_of_old_peers_are_found(one_url: str, habit: str, sections: set[str]) -> None:
    titles = failed("--url", one_url, "--", *OLD, habit)
    found = {title.partition(":")[0] for title in titles}
    assert found <= {*sections, "Configuration"}
    assert found >= sections - {"Names"}


def test_a_peer_of_version_1_does_not_pass_for_one_of_version_2(one_url: str) -> None:
    sections = ("--only", "job get", "--only", "set config", "--only", "sorted move")
    titles = failed("--url", one_url, "--level", "2", *sections, "--", *OLD)
    assert "job get since 2: a claim is dated and held under its token" in titles
    trims = "a lower max_length removes the oldest at once, before it is announced"
    assert f"set config since 2: {trims}" in titles
    # What is the same in both it still does.
    assert not [title for title in titles if title.startswith("sorted move: to the")]


MISSING = "get_item: an item that is not there"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("dies", ["the peer ended with exit code 7; its stderr:", "what a day"]),
        ("hangs", ["the peer did not answer within 1 seconds"]),
        ("raves", ["the peer sent a line that is not JSON: b'hello there\\n'"]),
        ("says two things", ["a response must have either answer or error"]),
        ("answers another", ["the peer answered request 4711, not "]),
        ("does not know", ['expected  {"item": null}', "refused: unsupported"]),
        (
            "writes",
            ['key "feed.items:F"', 'expected  as before: hash {"a": ""', '"x": "mine"'],
        ),
        ("talks", ["notice 1", "expected  nothing", 'got       "feed.edit:F" "x\\u0000mine"']),
    ],
)
def test_what_a_peer_does_wrong_is_told_and_the_rest_goes_on(
    one_url: str, fault: str, told: list[str]
) -> None:
    # What hangs is waited for; the others may take long to start.
    seconds = "1" if fault == "hangs" else "20"
    words = ("--url", one_url, "--timeout", seconds, "--only", "get_item", "--", *TOY, fault)
    done = run(*words)
    assert done.exit_code == 1
    assert f'FAILED  {MISSING}\n        get_item {{"feed": "F", "id": "x"}}\n' in done.output
    for words_of_it in told:
        assert words_of_it in done.output
    assert done.output.endswith("toy, level 2: 4 passed, 1 failed, 0 skipped\n")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("dies at once", "the peer ended with exit code 1; its stderr:\nno, thank you"),
        ("refuses", "the peer did not answer hello with an object"),
        ("lacks what there is not", "not ['magic']"),
        ("is of level 3", "the peer's level must be one of (1, 2), not 3"),
    ],
)
def test_a_peer_that_does_not_come_to_it_is_one_error(one_url: str, fault: str, told: str) -> None:
    done = run("--url", one_url, "--", *TOY, fault)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert told in done.output


def test_a_program_that_is_not_there(one_url: str) -> None:
    done = run("--url", one_url, "--", "no-such-program")
    assert done.exit_code == 1
    assert done.output == ("Error: no-such-program cannot be started: No such file or directory\n")


def test_what_a_peer_lacks_is_skipped(one_url: str) -> None:
    done = run("--url", one_url, "--only", "get_", "--only", "next call", "--", *TOY, "lacks it")
    assert done.exit_code == 0, done.output
    assert "5 without get_item" in done.output.splitlines()[-1]
    assert "1 without sessions" in done.output.splitlines()[-1]


def test_who_lacks_everything_has_proved_nothing(one_url: str) -> None:
    done = run("--url", one_url, "--only", "get_item", "--", *TOY, "lacks it")
    assert done.exit_code == 1
    assert "Error: no vector was run" in done.output


# --- the command ------------------------------------------------------------------------------


def test_the_report_has_every_vector(one_url: str, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    words = ("--url", one_url, "--only", "get_", "--without", "bytes", "--json", str(target))
    done = run(*words, "--", *TOY, "writes")
    assert done.exit_code == 1
    report = json.loads(target.read_text("utf-8"))
    assert report["contract"] == "2.1"
    assert report["peer"] == {"name": "toy", "level": 2, "without": ["bytes"]}
    outcomes = {v["name"]: v for v in report["vectors"]}
    assert len(outcomes) == sum("get_" in vector.title for vector in load())
    assert outcomes["an item that is not there"]["differences"][0]["where"] == 'key "feed.items:F"'
    assert outcomes["a result, which may be consumed"]["reason"] == "not of level 2"
    assert outcomes["an item with NULs"] == {
        "section": "get_item",
        "name": "an item with NULs",
        "outcome": "passed",
    }


def test_it_stops_at_the_first(one_url: str) -> None:
    done = run("--url", one_url, "--first", "--only", "get_item", "--", *TOY, "writes")
    assert done.exit_code == 1
    assert done.output.count("FAILED") == 1
    assert "1 failed" in done.output


def test_the_vectors_are_listed() -> None:
    done = run("--list", "--only", "sorted move")
    assert done.exit_code == 0
    assert "sorted move: next to itself: nothing happens\n" in done.output
    assert "job" not in done.output


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "Missing argument 'COMMAND'"),
        (("--only", "no such thing", "--", "x"), 2, "no vector contains 'no such thing'"),
        (("--without", "magic", "--url", "URL", "--", "x"), 1, "not ['magic']"),
        (("--url", "http://localhost", "--", "x"), 1, "Error: a Redis URL is"),
        (("--url", "redis://127.0.0.1:1/0", "--", "x"), 1, "Error: the server cannot be used"),
        (("--server", "no-such-server", "--", "x"), 1, "Error: no-such-server not found"),
        (("--server", sys.executable, "--", "x"), 1, "Error: the server did not start"),
        (("--level", "3", "--", "x"), 2, "'3' is not one of '1', '2'"),
    ],
)
def test_what_makes_no_sense_is_one_error(
    one_url: str, words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(*(one_url if word == "URL" else word for word in words))
    assert done.exit_code == code, done.output
    assert told in done.output
    assert "Traceback" not in done.output


def test_a_db_with_something_in_it_is_not_touched(
    one_url: str, running_server: Callable[[str], servers.Server]
) -> None:
    with running_server("redis-6.2").client() as raw:
        raw.set("precious", "1")
        done = run("--url", one_url, "--", *OURS)
        assert done.exit_code == 1
        assert "Error: the db has 1 keys" in done.output
        assert raw.get("precious") == b"1"


def test_a_server_of_its_own_is_started_and_stopped(
    running_server: Callable[[str], servers.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = running_server("redis-6.2").binary
    started: list[Any] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, words: Any, **options: Any) -> None:
            super().__init__(words, **options)
            started.append(self)

    monkeypatch.setattr(sandbox.subprocess, "Popen", Popen)
    done = run("--server", binary, "--only", "sorted edit", "--", *OURS)
    assert done.exit_code == 0, done.output
    server = next(process for process in started if process.args[0] == binary)
    assert server.poll() is not None


def test_it_is_a_program(one_url: str) -> None:
    words = [sys.executable, "-m", "thoonk.conform", "--url", one_url, "--only", "sorted edit"]
    done = subprocess.run(
        [*words, "-v", "--json", "-", "--", *OURS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {v["outcome"] for v in json.loads(done.stdout)["vectors"]} == {"passed"}
    assert done.stderr.startswith("passed  sorted edit: ")
    assert "0 failed" in done.stderr
