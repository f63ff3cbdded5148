"""Signals mean the same for threads, tasks and processes, and for what jobs start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from thoonk import Thoonk

from .conftest import Command, Commands, becomes, poll, states

KINDS = {
    "threads": ("Worker", "concurrency=2", "def", ""),
    "tasks": ("AsyncWorker", "concurrency=2", "async def", "await"),
    "processes": ("Worker", "processes=2", "def", ""),
    "processes with tasks": ("AsyncWorker", "processes=2, concurrency=1", "async def", "await"),
}

WAITING = """
    import asyncio, pathlib, time
    from thoonk.worker import {kind}

    worker = {kind}({options})

    {function} sleep(seconds):
        {sleeps}

    @worker.handles("j", claim_timeout=600, retries=0)
    {function} handler(item):
        print("began", flush=True)
        while not pathlib.Path("go").exists():
            {awaits} sleep(0.01)
        return "done"
"""


def waiting(kind: str) -> str:
    worker, options, function, awaits = KINDS[kind]
    sleeps = "await asyncio.sleep(seconds)" if awaits else "time.sleep(seconds)"
    return WAITING.format(
        kind=worker, options=options, function=function, awaits=awaits, sleeps=sleeps
    )


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_lets_the_running_job_end(
    commands: Commands, client: Thoonk, kind: str, number: int, whole_group: bool
) -> None:
    commands.write(waiting(kind))
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker")
    command.told("began")
    (os.killpg if whole_group else os.kill)(command.process.pid, number)
    jobs.put("y")  # nobody takes it any more
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(0.5)
    (commands.folder / "go").touch()
    assert command.ends() == 0, command.log
    assert states(jobs) in {(1, 0, 0, 1), (0, 0, 0, 2)}
    assert "Traceback" not in command.log


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_terminal_gives_back_at_once_when_it_comes_again(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(waiting(kind))
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker")
    command.told("began")
    # The terminal and its shell both tell of it: that counts once.
    command.signal(signal.SIGHUP)
    command.signal(signal.SIGHUP)
    command.takes(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(1)
    assert states(jobs) == (0, 1, 0, 0)
    command.signal(signal.SIGHUP)
    assert command.ends() == 128 + signal.SIGHUP, command.log
    assert states(jobs) == (1, 0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_nohup_or_a_shell_ignores_does_not_end_it(
    commands: Commands, client: Thoonk, kind: str, number: int
) -> None:
    commands.write(waiting(kind))
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker", ignored=number)
    command.told("began")
    os.killpg(command.process.pid, number)
    os.killpg(command.process.pid, number)
    (commands.folder / "go").touch()
    becomes(jobs, 0, 0, 0, 1)
    jobs.put("y")
    becomes(jobs, 0, 0, 0, 2)
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log


PARENT = """
    import asyncio, os, pathlib, signal, subprocess, sys
    from thoonk.worker import {kind}

    worker = {kind}({options})

    @worker.handles("j", claim_timeout=600, retries=1, backoff=0)
    {function} handler(item, claim):
        if claim.cancelled:
            return f"attempt {{claim.cancelled + 1}}"
        {body}
"""

REPORT = (
    "import signal; print(*("
    "str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)), "
    "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
)


def parent(kind: str, body: str) -> str:
    worker, options, function, _ = KINDS[kind]
    return PARENT.format(kind=worker, options=options, function=function, body=body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_a_job_starts_has_the_default_signals(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(
        parent(
            kind, f"return subprocess.check_output([sys.executable, '-c', {REPORT!r}], text=True)"
        )
    )
    jobs = client.job("j")
    id = jobs.put("x")
    commands.start("app:worker")
    plain = subprocess.check_output([sys.executable, "-c", REPORT], text=True)
    assert jobs.get_result(id, timeout=60).result == plain
    assert "default_int_handler" in plain
    assert plain.count(" 0") + plain.count("SIG_DFL") == 2
    assert plain.endswith("[]\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_of_multiprocessing_that_a_job_starts_can_be_terminated(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    body = (
        "import multiprocessing, time; "
        "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,)); "
        "child.start(); child.terminate(); child.join(); return str(child.exitcode)"
    )
    commands.write(parent(kind, body))
    jobs = client.job("j")
    id = jobs.put("x")
    commands.start("app:worker")
    assert jobs.get_result(id, timeout=60).result == "-15"


CHILD = (
    "print('child', flush=True); import pathlib, time\n"
    "while not pathlib.Path('go').exists(): time.sleep(0.01)"
)


def ctrl_c(command: Command) -> None:
    """What a terminal does: it tells all of the foreground group."""
    os.killpg(command.process.pid, signal.SIGINT)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_ends_what_a_job_has_started_and_the_job_fails_if_it_looks(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(parent(kind, f"subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"))
    jobs = client.job("j")
    id = jobs.put("x")
    command = commands.start("app:worker")
    command.told("child")
    ctrl_c(command)
    assert command.ends() == 0, command.log
    assert "CalledProcessError" in command.log
    # Another process may have been quick enough to take it before it was told.
    assert states(jobs) in {(1, 0, 0, 0), (0, 0, 0, 1)}
    commands.start("app:worker", "--burst").ends()
    assert jobs.get_result(id, timeout=5).result == "attempt 2"


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_does_not_reach_what_a_job_has_started_in_a_session_of_its_own(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(
        parent(
            kind,
            f"subprocess.run([sys.executable, '-c', {CHILD!r}], start_new_session=True)",
        )
    )
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker")
    command.told("child")
    ctrl_c(command)
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(0.5)
    (commands.folder / "go").touch()
    assert command.ends() == 0, command.log
    poll(lambda: states(jobs) == (0, 0, 0, 1))


ODD_OBSERVER = """
    import contextlib, pathlib
    from thoonk import {client}
    from thoonk.observe import {backend}
    from thoonk.operations import GetConfig
    from thoonk.worker import {kind}

    class OddError(BaseException):
        pass

    class Observer:
        is_odd = False

        @contextlib.contextmanager
        def call(self, operation, *, waiting):
            # That of the heartbeat, which reads it again and again while there is a job.
            if self.is_odd and isinstance(operation, GetConfig):
                raise OddError
            yield lambda answer: None

        def notice(self, notice):
            pass

    observer = Observer()
    worker = {kind}({client}(backend={backend}({url!r}, observer)))

    {sleep}

    @worker.handles("j", claim_timeout=600)
    {function} handler(item):
        observer.is_odd = True
        while not pathlib.Path("go").exists():
            {awaits} sleep(0.01)
"""


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_the_worker_ends_with_its_heartbeat(commands: Commands, client: Thoonk, kind: str) -> None:
    worker, _, function, awaits = KINDS[kind]
    prefix = "Async" if awaits else ""
    commands.write(
        ODD_OBSERVER.format(
            client=f"{prefix}Thoonk",
            backend=f"{prefix}ObservedBackend",
            kind=worker,
            url=commands.url,
            sleep=f"from {'asyncio' if awaits else 'time'} import sleep",
            function=function,
            awaits=awaits,
        )
    )
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker")
    # A task's error is logged once the task is gone, a thread's at once.
    becomes(jobs, 0, 1, 0, 0)
    (commands.folder / "go").touch()
    assert command.ends() == 0, command.log
    assert "OddError" in command.log
    assert states(jobs) == (0, 0, 0, 1)
