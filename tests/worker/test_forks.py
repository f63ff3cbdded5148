"""Handlers that fork: a child never does the work of its parent."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from thoonk import Thoonk

from .conftest import Command, Commands, becomes, poll, states

PROGRAM = """
    import asyncio, os, sys, time
    from thoonk.worker import {kind}

    worker = {kind}({options})

    @worker.handles("j", retries=0, claim_timeout=2)
    {function} handler(item):
        pid = os.fork()
        if pid == 0:
            print(f"child {{os.getpid()}} of {{item}}", end="")
            {child}
        _, status = os.waitpid(pid, 0)
        return str(os.waitstatus_to_exitcode(status))
"""

KINDS = {
    "threads": ("Worker", "concurrency=2", "def"),
    "tasks": ("AsyncWorker", "concurrency=2", "async def"),
    "processes": ("Worker", "processes=1", "def"),
}

ENDS = {
    "returns": ("return 'the child'", 0, ""),
    "sys.exit()": ("sys.exit()", 0, ""),
    "sys.exit(7)": ("sys.exit(7)", 7, ""),
    "sys.exit('text')": ("sys.exit('a text')", 1, "a text"),
    "raises": ("raise OSError('in the child')", 1, "OSError: in the child"),
    "interrupts": ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
}

AWAITS = {
    "sleeps": ("await asyncio.sleep(0.1)", 1, "no running event loop"),
    "yields": ("await asyncio.sleep(0)", 1, "must not go on in the event loop"),
}


def program(kind: str, child: str) -> str:
    worker, options, function = KINDS[kind]
    return PROGRAM.format(kind=worker, options=options, function=function, child=child)


def processes(command: Command) -> set[int]:
    """Those of the command's session that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == command.process.pid and state != "Z":
            found.add(int(path.parent.name))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS | AWAITS)
def test_a_child_that_a_handler_forks_ends_when_it_comes_back(
    commands: Commands, client: Thoonk, kind: str, end: str
) -> None:
    if end in AWAITS and kind != "tasks":
        pytest.skip("only coroutines await")
    child, code, says = (ENDS | AWAITS)[end]
    commands.write(program(kind, child))
    jobs = client.job("j")
    ids = jobs.put_many(["a", "b", "c"])
    command = commands.start("app:worker")
    becomes(jobs, 0, 0, 0, 3)
    assert {jobs.get_result(id, timeout=5).result for id in ids} == {str(code)}
    # What it has printed is there, once.
    poll(lambda: len(re.findall(r"child \d+ of [abc]", command.log)) == 3)
    assert says in command.log
    assert processes(command) == {command.process.pid, *command.children()}
    # Its parent goes on, and ends when it is told.
    jobs.put("d")
    becomes(jobs, 0, 0, 0, 4)
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert processes(command) == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kind", KINDS)
def test_a_child_that_a_handler_forks_can_be_ended_by_a_signal(
    commands: Commands, client: Thoonk, kind: str, number: signal.Signals
) -> None:
    commands.write(program(kind, "print(' sleeps', flush=True); time.sleep(600)"))
    jobs = client.job("j")
    id = jobs.put("a")
    command = commands.start("app:worker")
    # Before that it may still be in a hook for forks, where Python drops a KeyboardInterrupt.
    command.told("sleeps")
    (child,) = processes(command) - {command.process.pid, *command.children()} or command.children()
    os.kill(child, number)
    expected = "130" if number == signal.SIGINT else str(-number)
    assert jobs.get_result(id, timeout=20).result == expected
    assert states(jobs) == (0, 0, 0, 1)


LISTENING = """
    import asyncio, os, sys, time
    from thoonk import AsyncThoonk, Thoonk

    def fork():
        if os.fork() == 0:
            print("child", end="")
            {child}

    def on_publish(feed, item, id):
        print(f"parent {{os.getpid()}} got {{item}}", flush=True)
        if item == "fork":
            fork()

    async def on_publish_async(feed, item, id):
        on_publish(feed, item, id)

    if sys.argv[1] == "sync":
        with Thoonk(backend=os.environ["THOONK_URL"], listen=True) as thoonk:
            thoonk.register_handler("publish", on_publish)
            print("listens", flush=True)
            time.sleep(600)

    async def main():
        async with AsyncThoonk(backend=os.environ["THOONK_URL"], listen=True) as thoonk:
            await thoonk.register_handler(
                "publish", on_publish if sys.argv[1] == "async" else on_publish_async
            )
            print("listens", flush=True)
            await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sync", "async", "coroutine"])
@pytest.mark.parametrize("child", ["return", "sys.exit(3)"])
def test_a_child_that_a_handler_of_notices_forks_does_not_listen(
    commands: Commands, client: Thoonk, kind: str, child: str
) -> None:
    commands.write(LISTENING.format(child=child))
    feed = client.feed("f")
    command = commands.start_python("app.py", kind)
    command.told("listens")
    feed.publish("fork")
    command.told("got fork", "child")
    feed.publish("more")
    poll(lambda: command.log.count("got more") == 1)
    poll(lambda: processes(command) == {command.process.pid})
    assert command.log.count("child") == 1
    assert len(set(re.findall(r"parent (\d+)", command.log))) == 1
