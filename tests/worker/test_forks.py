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

    @worker.handles("j", retries=0)
    {function} handler(item):
        pid = os.fork()
        if pid == 0:
            print(f"child {{os.getpid()}} of {{item}}", end="")
            {children}
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
    "yields": ("await asyncio.sleep(0)", 1, "must not continue in the event loop"),
}


def program(kind: str, children: dict[str, str]) -> str:
    """A handler whose child does what the job's item, up to a colon, is told to stand for."""
    worker, options, function = KINDS[kind]
    text = [f"if item.partition(':')[0] == {item!r}: {child}" for item, child in children.items()]
    joined = f"\n{12 * ' '}".join(text)
    return PROGRAM.format(kind=worker, options=options, function=function, children=joined)


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
def test_a_child_that_a_handler_forks_ends_when_it_comes_back(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    # Only coroutines await.
    ends = ENDS | AWAITS if kind == "tasks" else ENDS
    commands.write(program(kind, {end: child for end, (child, _, _) in ends.items()}))
    jobs = client.job("j")
    command = commands.start("app:worker")
    done = 0
    for end, (_, code, says) in ends.items():
        # Its parent goes on.
        ids = jobs.put_many([f"{end}:{name}" for name in "abc"])
        done += len(ids)
        becomes(jobs, 0, 0, 0, done)
        assert {jobs.get_result(id, timeout=5).result for id in ids} == {str(code)}, end
        # What it has printed is there, once.
        found = rf"child \d+ of {re.escape(end)}:[abc]"
        poll(lambda found=found: len(re.findall(found, command.log)) == 3)
        assert says in command.log
        assert processes(command) == {command.process.pid, *command.children()}
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert processes(command) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_that_a_handler_forks_can_be_ended_by_a_signal(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(program(kind, {"a": "print(' sleeps', flush=True); time.sleep(600)"}))
    jobs = client.job("j")
    command = commands.start("app:worker")
    for done, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), 1):
        id = jobs.put("a")
        # Before that it may still be in a hook for forks, where Python drops a KeyboardInterrupt.
        poll(lambda done=done: command.log.count("of a sleeps") == done)
        workers = {command.process.pid, *command.children()}
        (child,) = processes(command) - workers or command.children()
        os.kill(child, number)
        expected = "130" if number == signal.SIGINT else str(-number)
        assert jobs.get_result(id, timeout=60).result == expected
        assert states(jobs) == (0, 0, 0, done)


LISTENING = """
    import asyncio, os, sys, time
    from thoonk import AsyncThoonk, Thoonk

    def on_publish(feed, item, id):
        print(f"parent {os.getpid()} got {item}", flush=True)
        if item.startswith("fork") and os.fork() == 0:
            print("child", end="")
            if item == "fork, return":
                return
            sys.exit(3)

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
def test_a_child_that_a_handler_of_notices_forks_does_not_listen(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    commands.write(LISTENING)
    feed = client.feed("f")
    command = commands.start_python("app.py", kind)
    command.told("listens")
    for count, child in enumerate(("return", "sys.exit(3)"), 1):
        feed.publish(f"fork, {child}")
        command.told(f"got fork, {child}")
        poll(lambda count=count: command.log.count("child") >= count)
        feed.publish("more")
        poll(lambda count=count: command.log.count("got more") == count)
        poll(lambda: processes(command) == {command.process.pid})
        assert command.log.count("child") == count
    assert len(set(re.findall(r"parent (\d+)", command.log))) == 1
