"""``thoonk work``: how it finds a worker, its options, and what it prints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from thoonk import Thoonk

from .conftest import Commands, becomes, poll, states

PROGRAM = """
    import os
    from thoonk.worker import Worker

    worker = Worker()

    @worker.handles("a")
    def first(item):
        return f"{os.getpid()} {item}"

    @worker.handles("b", retries=0)
    def second(item):
        raise OSError("disk full")
"""


@pytest.mark.parametrize("target", ["app:worker", "app", "app:again.worker"])
def test_it_finds_the_worker(commands: Commands, client: Thoonk, target: str) -> None:
    # The module stands in the current folder; with a path to it.
    commands.write(PROGRAM + "\n    import types\n    again = types.SimpleNamespace(worker=worker)")
    jobs = client.job("a")
    id = jobs.put("x")
    command = commands.start(target, "--burst")
    assert command.ends() == 0, command.log
    assert jobs.get_result(id, timeout=5).result == f"{command.process.pid} x"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("int('many')", "ValueError: invalid literal"),
        ("len(3)", "TypeError: object of type 'int' has no len()"),
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("import not_there.either", "ModuleNotFoundError: No module named 'not_there'"),
        ("from os import nothing_like_it", "ImportError: cannot import name"),
        ("raise ImportError('a message')", "ImportError: a message"),
        ("worker.handle('x', len, bogus=1)", "InvalidValue: unknown option bogus"),
        ("1 +", "SyntaxError: invalid syntax"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_module_raises_is_shown_with_its_file_and_line(
    commands: Commands, line: str, error: str, nested: bool
) -> None:
    commands.write(f"from thoonk.worker import Worker\nworker = Worker()\n{line}\n", "broken")
    commands.write("import broken\n")
    command = commands.start("app:worker" if nested else "broken:worker")
    assert command.ends() == 1
    assert error in command.log
    assert 'broken.py", line 3' in command.log
    assert "Usage" not in command.log
    assert "importlib" not in command.log
    assert command.log.count("worker/cli.py") == 0


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nothing:worker", "there is no module 'nothing': No module named 'nothing'"),
        ("app:nothing", "'app:nothing' is not a Worker or AsyncWorker"),
        ("app:os.path", "'app:os.path' is not a Worker or AsyncWorker"),
        ("app:first", "'app:first' is not a Worker or AsyncWorker"),
        ("two", "module 'two' has 2 workers: name one, as in two:worker"),
        ("none", "module 'none' has 0 workers"),
        ("app.nothing:worker", "there is no module 'app.nothing'"),
        (".app", "'.app' is not the name of a module"),
        (":worker", "'' is not the name of a module"),
        ("app:worker --feed c", "no handler for 'c'"),
        ("app:worker --concurrency 0", "0 is not in the range"),
        ("app:worker --backend nonsense://", "there is no backend 'nonsense'"),
        ("own:worker --backend memory", "the worker has its own client"),
        ("app:worker --processes 2 --backend memory", "memory cannot be shared"),
    ],
)
def test_what_it_cannot_work_with_is_told_in_a_line(
    commands: Commands, target: str, says: str
) -> None:
    commands.write(PROGRAM)
    commands.write("from thoonk.worker import Worker\na, b = Worker(), Worker()\n", "two")
    commands.write("", "none")
    commands.write(
        "from thoonk import Thoonk\nfrom thoonk.worker import Worker\n"
        "worker = Worker(Thoonk(backend='memory'))\nworker.handle('a', str)\n",
        "own",
    )
    command = commands.start(*target.split())
    assert command.ends() == 2, command.log
    assert says in command.log
    assert "Traceback" not in command.log


def test_it_works_only_on_the_feeds_that_are_named(commands: Commands, client: Thoonk) -> None:
    commands.write(PROGRAM)
    for name in "ab":
        client.job(name).put("x")
    assert commands.start("app:worker", "--burst", "--feed", "a").ends() == 0
    assert states(client.job("a")) == (0, 0, 0, 1)
    assert states(client.job("b")) == (1, 0, 0, 0)


def test_so_many_processes_and_threads(commands: Commands, client: Thoonk) -> None:
    commands.write("""
        import os, time
        from thoonk.worker import Worker

        worker = Worker()

        @worker.handles("a")
        def wait(item):
            time.sleep(600)
    """)
    jobs = client.job("a")
    jobs.put_many(["x"] * 10)
    command = commands.start("app:worker", "-p", "2", "-c", "3", "--grace", "0")
    becomes(jobs, 4, 6, 0, 0)
    assert len(command.children()) == 2
    command.signal(signal.SIGTERM)
    assert command.ends() == 0
    assert states(jobs) == (10, 0, 0, 0)


def test_its_log_names_feed_and_job(commands: Commands, client: Thoonk) -> None:
    commands.write(PROGRAM)
    id = client.job("b").put("x")
    command = commands.start("app:worker", "--burst", "--json")
    assert command.ends() == 0
    lines = [json.loads(line) for line in command.log.splitlines()]
    assert [line["event"] for line in lines if line["level"] != "DEBUG"].count("job_stalled") == 1
    assert all("event" in line for line in lines)
    (failure,) = [line for line in lines if "traceback" in line]
    assert failure["level"] == "ERROR"
    assert failure["event"] == "job_stalled"
    assert (failure["feed"], failure["id"], failure["attempt"]) == ("b", id, 1)
    assert failure["traceback"].endswith("OSError: disk full")
    client.job("b").retry(id)
    command = commands.start("app:worker", "--burst")
    assert command.ends() == 0
    told = f"Job {id} of 'b' failed on attempt 1; it is stalled: OSError('disk full')\nTraceback"
    assert told in command.log


def test_a_url_in_the_program_counts_and_the_option_overrides_it(
    commands: Commands, client: Thoonk
) -> None:
    commands.write(PROGRAM.replace("Worker()", "Worker('nonsense://')"))
    jobs = client.job("a")
    jobs.put("x")
    command = commands.start("app:worker", "--burst", "--backend", commands.url)
    assert command.ends() == 0, command.log
    assert states(jobs) == (0, 0, 0, 1)
    # The environment, which names the right one, does not.
    assert commands.start("app:worker", "--burst").ends() == 2


def test_ctrl_c_while_it_waits(commands: Commands, client: Thoonk) -> None:
    commands.write(PROGRAM)
    command = commands.start("app:worker")
    poll(lambda: client.feed_exists("b"))
    client.job("a").put("x")
    becomes(client.job("a"), 0, 0, 0, 1)
    command.signal(signal.SIGINT)
    assert command.ends(10) == 0
    assert "Traceback" not in command.log


def test_it_is_a_command_among_others_and_costs_them_nothing(tmp_path: Path) -> None:
    program = "import sys, thoonk.cli.app; print('thoonk.worker' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    done = subprocess.run(
        [sys.executable, "-m", "thoonk.cli", "work", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "MODULE:WORKER" in done.stdout


def test_a_library_that_works_needs_no_command_line(tmp_path: Path) -> None:
    program = "import sys, thoonk.worker; print({'click', 'rich', 'redis'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
