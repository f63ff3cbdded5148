"""Coroutines that do not behave: they cost their own job, and nobody else's."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from thoonk import Thoonk

from .conftest import Command, Commands, becomes, poll, states

PROGRAM = """
    import asyncio, gc, os, sys, time
    from thoonk.worker import AsyncWorker

    worker = AsyncWorker({options})

    async def body(item):
        {body}

    @worker.handles("j", {handling})
    async def handler(item):
        if item == "good":
            return "done"
        print("began", flush=True)
        {calls}

    async def serve():
        asyncio.get_running_loop().add_signal_handler({signal}, worker.stop)
        await worker.serve()

    if __name__ == "__main__":
        asyncio.run(serve())
"""


def program(body: str, options: str = "", handling: str = "retries=0", calls: str = "") -> str:
    return PROGRAM.format(
        body=body,
        options=options,
        handling=handling,
        calls=calls or "return await body(item)",
        signal=int(signal.SIGTERM),
    )


CALLS = {
    "itself": "return await body(item)",
    "in a task": "return await asyncio.create_task(body(item))",
    "among others": "await asyncio.gather(body(item), asyncio.sleep(600))",
}


ERRORS = ("GeneratorExit", "asyncio.CancelledError", "KeyboardInterrupt", "SystemExit(3)")


@pytest.mark.parametrize("way", ["command", "serve", "processes"])
@pytest.mark.parametrize("calls", CALLS)
def test_whatever_a_coroutine_raises_fails_its_job_and_the_worker_goes_on(
    commands: Commands, client: Thoonk, calls: str, way: str
) -> None:
    # In a task the last two end the loop, which in `serve` is the program's own.
    errors = ERRORS[:2] if way == "serve" and calls != "itself" else ERRORS
    commands.write(
        program("raise eval(item)", "processes=1" if way == "processes" else "", calls=CALLS[calls])
    )
    jobs = client.job("j")
    command = commands.start_python("app.py") if way == "serve" else commands.start("app:worker")
    for count, error in enumerate(errors, 1):
        jobs.put(error)
        becomes(jobs, 0, 0, count, count - 1)
        jobs.put("good")
        becomes(jobs, 0, 0, count, count)
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log


SWALLOWS = """
        while True:
            try:
                await asyncio.sleep(600)  # here it hangs
            except asyncio.CancelledError:
                pass
"""


def records(command: Command) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command.log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("processes", [0, 1])
def test_a_coroutine_that_does_not_let_itself_be_cancelled_is_given_up(
    commands: Commands, client: Thoonk, processes: int
) -> None:
    handling = "retries=1, backoff=0.1, time_limit=0.5, claim_timeout=600"
    commands.write(program(SWALLOWS.strip(), f"concurrency=1, processes={processes}", handling))
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker", "--json", "--grace", "1")
    becomes(jobs, 0, 0, 1, 0)
    assert command.log.count("began\n") == 2
    # The only slot is free again.
    jobs.put("good")
    becomes(jobs, 0, 0, 1, 1)
    overdue = [line for line in records(command) if "time limit of 0.5 s" in line["message"]]
    assert len([line for line in overdue if "here it hangs" in line["message"]]) == 2
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert states(jobs) == (0, 0, 1, 1)


@pytest.mark.parametrize("calls", CALLS)
def test_the_log_says_who_has_blocked_the_event_loop(
    commands: Commands, client: Thoonk, calls: str
) -> None:
    commands.write(program("time.sleep(1.8)", calls=CALLS[calls].replace("600", "0")))
    id = client.job("j").put("x")
    command = commands.start("app:worker", "--json")
    becomes(client.job("j"), 0, 0, 0, 1)
    poll(lambda: re.search(f"Event loop blocked .*{id}", command.log))
    # On a busy machine it may have stood still before, too.
    told = [line for line in records(command) if "Event loop blocked" in line["message"]]
    (record,) = [line for line in told if id in line["message"]]
    assert record["level"] == "WARNING"


def test_the_log_says_that_the_loop_stood_still_though_no_job_did_it(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        import asyncio, time
        from thoonk.worker import AsyncWorker

        worker = AsyncWorker()

        @worker.handles("j")
        async def handler(item):
            asyncio.get_running_loop().call_later(0.2, time.sleep, 1.8)
            await asyncio.sleep(0.5)
    """)
    id = client.job("j").put("x")
    command = commands.start("app:worker")
    becomes(client.job("j"), 0, 0, 0, 1)
    blocked = poll(
        lambda: re.search(f"Event loop blocked for ([0-9.]+) s; jobs under way: {id}", command.log)
    )
    assert 1 < float(blocked[1]) < 60
