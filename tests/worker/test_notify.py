"""systemd is notified: ready, alive as long as nothing hangs, stopping."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thoonk import Thoonk
from thoonk.worker.notify import Notifier

from .conftest import Commands, poll

PROGRAM = """
    import time
    from thoonk.worker import {kind}
    worker = {kind}({options})
    @worker.handles("j")
    {function} work(item):
        {work}
"""

KINDS = {
    "threads": ("Worker", "def", "time.sleep(float(item))"),
    "tasks": ("AsyncWorker", "async def", "time.sleep(float(item))"),  # it blocks the loop
}

WATCHDOG = 1.0


class Systemd:
    """A socket for notifications, and a service that notifies it."""

    def __init__(self, folder: Path, url: str) -> None:
        # The path of a socket may have about a hundred bytes, so an abstract one.
        self.address = f"thoonk-{os.getpid()}-{time.monotonic_ns()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{self.address}")
        self.folder, self.url = folder, url
        self.seen: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        # As systemd does: WATCHDOG_PID is that of the service.
        shell = 'WATCHDOG_PID=$$ exec "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "thoonk.worker", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "THOONK_URL": self.url,
                "NOTIFY_SOCKET": f"@{self.address}",
                "WATCHDOG_USEC": str(int(WATCHDOG * 1e6)),
            },
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        return self.process

    def next(self, seconds: float = 20) -> str | None:
        """The next notification; None when none comes in time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def until(self, text: str) -> list[str]:
        """Those up to one that has the text."""
        seen = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = self.next()
            assert message is not None, seen
            seen.append(message)
            if text in message:
                return seen
        raise AssertionError(seen)

    def falls_silent(self) -> None:
        """Wait until the watchdog would have restarted the service."""
        deadline = time.monotonic() + 40
        while self.next(WATCHDOG * 2) is not None:
            assert time.monotonic() < deadline

    def children(self) -> list[int]:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def close(self) -> None:
        self.socket.close()
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def systemd(commands: Commands) -> Iterator[Systemd]:
    systemd = Systemd(commands.folder, commands.url)
    try:
        yield systemd
    finally:
        systemd.close()


def write(commands: Commands, kind: str, options: str = "") -> None:
    worker, function, work = KINDS[kind]
    commands.write(PROGRAM.format(kind=worker, function=function, options=options, work=work))


@pytest.mark.parametrize("options", ["", "processes=2"], ids=["one", "processes"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_ready_then_alive_then_stopping(
    systemd: Systemd, commands: Commands, client: Thoonk, kind: str, options: str
) -> None:
    write(commands, kind, options)
    process = systemd.start("app")
    *before, ready = systemd.until("READY=1")
    assert set(before) <= {"WATCHDOG=1"}
    assert ready.startswith("READY=1\nSTATUS=Working on j")
    # The feed is open by then, and jobs are done.
    job = client.job("j")
    assert client.get_config("j").claim_timeout == 30
    job.put("0")
    for _ in range(3):
        systemd.until("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    *_, stopping = systemd.until("STOPPING=1")
    assert stopping == "STOPPING=1\nSTATUS=Stopping; jobs have 30 s"
    assert process.wait(30) == 0


def test_a_worker_that_is_stopped_is_silent(systemd: Systemd, commands: Commands) -> None:
    write(commands, "threads")
    process = systemd.start("app")
    systemd.until("READY=1")
    systemd.until("WATCHDOG=1")
    process.send_signal(signal.SIGSTOP)
    systemd.falls_silent()
    process.send_signal(signal.SIGCONT)
    systemd.until("WATCHDOG=1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_hangs_silences_its_supervisor(
    systemd: Systemd, commands: Commands, kind: str
) -> None:
    write(commands, kind, "processes=2")
    systemd.start("app")
    systemd.until("READY=1")
    systemd.until("WATCHDOG=1")
    hanging = systemd.children()[0]
    os.kill(hanging, signal.SIGSTOP)
    systemd.falls_silent()
    # One that dies is replaced, and that is all.
    os.kill(hanging, signal.SIGKILL)
    systemd.until("WATCHDOG=1")
    poll(lambda: len(systemd.children()) == 2 and hanging not in systemd.children())


def test_a_handler_that_blocks_the_event_loop_silences_the_worker(
    systemd: Systemd, commands: Commands, client: Thoonk
) -> None:
    write(commands, "tasks")
    systemd.start("app")
    systemd.until("READY=1")
    client.job("j").put("600")
    systemd.falls_silent()


def test_threads_that_are_busy_do_not(systemd: Systemd, commands: Commands, client: Thoonk) -> None:
    write(commands, "threads", "concurrency=1")
    systemd.start("app")
    systemd.until("READY=1")
    client.job("j").put("600")
    poll(lambda: client.job("j").get_counts().claimed)
    for _ in range(4):
        systemd.until("WATCHDOG=1")


# --- what the environment says -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "own"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "often"}, 0.0),
    ],
    ids=str,
)
def test_the_watchdog_is_that_of_this_process(environment: Any, watchdog: float) -> None:
    own = {name: str(os.getpid()) for name, text in environment.items() if text == "own"}
    environment = {**environment, **own}
    assert Notifier.from_environment(environment).watchdog == watchdog


def test_without_systemd_nothing_is_sent_and_a_socket_that_is_away_is_no_error(
    tmp_path: Path,
) -> None:
    for notifier in (Notifier(), Notifier(str(tmp_path / "gone"), 1.0), Notifier("@gone", 1.0)):
        notifier.ready("x")
        notifier.alive()
        notifier.stopping("x")


def test_a_socket_in_a_folder_is_sent_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("notify")
        Notifier("notify", 60.0).ready("Working on ü")
        assert listener.recv(100) == "READY=1\nSTATUS=Working on ü".encode()
