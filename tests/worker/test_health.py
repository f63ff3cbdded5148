"""``thoonk work --check``: a probe that asks whether a worker of this host is alive."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from conftest import World

from thoonk import Thoonk, WorkerInfo
from thoonk.worker.check import Mode, check, judge
from thoonk.worker.cli import work

from .conftest import Commands, poll

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HERE = WorkerInfo("1", "here", 17, "2.0", ("a", "b"), 8, 0, "", NOW, NOW, age=3.0)

READY, LIVE = Mode.READY, Mode.LIVE


@pytest.mark.parametrize(
    ("changes", "feeds", "modes"),
    [
        ({}, (), [READY, LIVE]),
        ({}, ("a",), [READY, LIVE]),
        ({}, ("b", "a"), [READY, LIVE]),
        ({}, ("a", "c"), []),
        ({"feeds": ("{a:0}", "{a:1}")}, ("a",), [READY, LIVE]),
        ({"feeds": ("{a:0}", "{a:1}")}, ("b",), []),
        ({"host": "there"}, (), []),
        ({"host": "there"}, ("a",), []),
        ({"age": 20.5}, (), []),
        ({"age": 19.5}, (), [READY, LIVE]),
        ({"is_stopping": True}, ("a",), [LIVE]),
    ],
    ids=str,
)
def test_what_is_listed_decides(
    changes: dict[str, Any], feeds: tuple[str, ...], modes: list[Mode]
) -> None:
    workers = [attrs.evolve(HERE, **changes)]
    assert [m for m in Mode if judge(workers, "here", feeds, m, 20).is_good] == modes


def test_several_workers_may_share_the_feeds() -> None:
    workers = [attrs.evolve(HERE, feeds=("a",)), attrs.evolve(HERE, id="2", pid=18, feeds=("b",))]
    health = judge(workers, "here", ("a", "b"), READY, 20)
    assert health.is_good
    assert health.message == "worker here:17 on a reported 3.0 s ago"
    assert judge(workers, "here", ("a", "x"), READY, 5).message == (
        "no worker of here for the feed 'x' has reported within 5 s"
    )


PROGRAM = """
    from thoonk.worker import Worker
    worker = Worker({options})
    @worker.handles("images")
    def work(item):
        pass
"""


def probe(commands: Commands, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thoonk.cli", "work", "--timeout", "20", "--check", *arguments],
        cwd=commands.folder,
        env={**os.environ, "THOONK_URL": commands.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("options", ["", "processes=2"])
def test_the_command_says_which_worker_is_alive(
    commands: Commands, client: Thoonk, options: str
) -> None:
    before = probe(commands)
    assert (before.returncode, before.stdout) == (1, "")
    assert f"no worker of {socket.gethostname()} for any feed" in before.stderr
    commands.write(PROGRAM.format(options=options))
    # The probe does not import what works.
    command = commands.start("app")
    poll(client.get_workers)
    commands.write("raise SystemExit('imported')")
    for arguments in ((), ("ready", "--feed", "images"), ("live", "--within", "15")):
        done = probe(commands, *arguments)
        assert done.returncode == 0, done.stderr
        assert "on images reported" in done.stdout
        pid = int(done.stdout.split(":")[1].split()[0])
        assert pid in {command.process.pid, *command.children()}
    wrong = probe(commands, "--feed", "mails", "--json")
    assert wrong.returncode == 1
    answer = json.loads(wrong.stdout)
    assert answer["healthy"] is False
    assert "'mails'" in answer["message"]
    command.signal(signal.SIGTERM)
    assert command.ends() == 0
    assert probe(commands, "live").returncode == 1


def test_a_server_that_hangs_or_is_away_does_not_hold_the_probe_up(
    own_server: Any, commands: Commands
) -> None:
    for _ in range(2):
        for mode in Mode:
            began = time.monotonic()
            health = check(own_server.url, (), mode, within=20, timeout=0.5)
            # With much room: what it must not take are the ten seconds of other calls.
            assert time.monotonic() - began < 9
            assert health.is_good is (mode is LIVE)
            assert "cannot ask the server" in health.message
        own_server.kill()


@pytest.fixture
def own_server() -> Any:
    """A socket that is connected to and says nothing; killed, nothing is there."""

    class Silent:
        def __init__(self) -> None:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.url = f"redis://127.0.0.1:{self.socket.getsockname()[1]}"

        def kill(self) -> None:
            self.socket.close()

    silent = Silent()
    yield silent
    silent.kill()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("app:worker", "--check"), "--check takes no MODULE:WORKER"),
        (("--check", "app:worker"), "'app:worker' is not one of 'ready', 'live'"),
        ((), "Missing argument 'MODULE:WORKER'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    one_server: World, commands: Commands, arguments: tuple[str, ...], error: str
) -> None:
    command = commands.start(*arguments)
    assert command.ends() == 2
    assert error in command.log


def test_the_probes_of_the_page_are_commands() -> None:
    page = (Path(__file__).parents[2] / "docs/deploy/kubernetes.md").read_text("utf-8")
    probes = re.findall(r"command: \[thoonk, work, (--check.*)\]", page)
    modes = [work.make_context("work", probe.split(", ")).params["mode"] for probe in probes]
    assert modes == ["ready", "live"]
