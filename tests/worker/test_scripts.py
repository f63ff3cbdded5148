"""A worker in the program itself: however that is started, its jobs fail as they should."""

from __future__ import annotations

import json

import pytest

from thoonk import Thoonk

from .conftest import Commands, states

PROGRAM = """
    import json, logging, time
    from thoonk.worker import {kind}

    logging.basicConfig(format="%(levelname)s %(message)s")
    worker = {kind}({options})

    class Odd(Exception):
        def __repr__(self):
            raise ValueError("no repr")

    @worker.handles("j", retries=2, backoff=0.6)
    {function} handler(item):
        with open("attempts", "a") as file:
            file.write(json.dumps(time.time()) + chr(10))
        raise Odd("out of paper") if item == "odd" else OSError("out of paper")

    if __name__ in ("__main__", "builtins"):
        worker.run(burst=True)
"""

WAYS = {
    "script": ["app.py"],
    "script without a folder": ["-P", "app.py"],
    "module": ["-m", "app"],
    "module in a package": ["-m", "package.app"],
    "command": ["-m", "thoonk.worker", "app:worker", "--burst"],
    "stdin": ["-"],
    "exec": ["-c", "exec(compile(open('app.py').read(), '<cell 1>', 'exec'), {})"],
    "exec with names of its own": [
        "-c",
        "exec(open('app.py').read(), {'__name__': '__main__', '__package__': None})",
    ],
    "runpy": ["-c", "import runpy; runpy.run_path('app.py', run_name='__main__')"],
}

KINDS = {
    "threads": {"kind": "Worker", "options": "", "function": "def"},
    "tasks": {"kind": "AsyncWorker", "options": "", "function": "async def"},
    "processes": {"kind": "Worker", "options": "processes=1", "function": "def"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_failed_jobs_wait_for_their_next_attempt_however_the_program_is_started(
    commands: Commands, client: Thoonk, way: str, kind: str
) -> None:
    program = PROGRAM.format(**KINDS[kind])
    commands.write(program)
    (commands.folder / "package").mkdir()
    commands.write(program, "package/__init__")
    commands.write(program, "package/app")
    jobs = client.job("j")
    jobs.put("x" if kind != "tasks" else "odd")
    command = commands.start_python(*WAYS[way], stdin=commands.folder / "app.py")
    assert command.ends() == 0, command.log
    assert states(jobs) == (0, 0, 1, 0)
    times = [json.loads(line) for line in (commands.folder / "attempts").read_text().splitlines()]
    assert len(times) == 3, command.log
    # Up to a half of the delay is taken off.
    assert times[1] - times[0] > 0.29
    assert times[2] - times[1] > 0.59
    assert command.log.count("out of paper\n") >= 3, command.log
    assert "tries again" not in command.log
    assert "thoonk/worker/" not in command.log
    assert "thoonk/concurrency/" not in command.log
