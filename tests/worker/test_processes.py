"""Worker processes are killed, stopped and replaced: no job is lost, and none finished twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from thoonk import Finished, Thoonk

from .conftest import Command, Commands, becomes, poll, states

COUNTING = """
    import os
    from pathlib import Path
    from thoonk.worker import {kind}

    worker = {kind}({options})

    @worker.handles("j", claim_timeout={claim_timeout}, retries=50, backoff=0)
    {function} count(item):
        # One write: also of a process that is killed it is there or not.
        with open("began", "ab", buffering=0) as file:
            file.write(f"{{item}}\\n".encode())
        {work}
        return f"did {{item}}"
"""

KINDS = {
    "threads": ("Worker", "def", "import time; time.sleep({})"),
    "tasks": ("AsyncWorker", "async def", "import asyncio; await asyncio.sleep({})"),
}


def counting(
    kind: str, options: str = "", takes: float = 0.0, claim_timeout: float = 1.0, work: str = ""
) -> str:
    """``work``: instead of waiting for so many seconds."""
    worker, function, sleep = KINDS[kind]
    return COUNTING.format(
        kind=worker,
        options=options,
        function=function,
        work=sleep.format(takes) if takes else work,
        claim_timeout=claim_timeout,
    )


class Ends:
    """Counts what is announced about finished jobs."""

    def __init__(self, client: Thoonk, feed: str) -> None:
        self.seen: Counter[str] = Counter()
        self._subscription = client.job(feed).subscribe()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._subscription.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(60)
        self._subscription.__exit__(None, None, None)

    def _listen(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(Exception):
                notice: Any = self._subscription.get(timeout=0.1)
                if isinstance(notice, Finished):
                    self.seen[notice.id] += 1


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def check_each_once(client: Thoonk, ids: list[str], items: list[str], ends: Ends) -> None:
    """Every job is finished, was announced once, and has its own result."""
    jobs = client.job("j")
    assert states(jobs) == (0, 0, 0, len(ids))
    poll(lambda: len(ends.seen) == len(ids))
    assert set(ends.seen) == set(ids)
    assert set(ends.seen.values()) == {1}
    for id, item in zip(ids, items, strict=True):
        assert jobs.get_result(id, timeout=5) == (item, f"did {item}")


@pytest.mark.timeout(180)
def test_half_of_the_workers_are_killed_and_every_job_is_finished_once(
    commands: Commands, client: Thoonk
) -> None:
    """``THOONK_WORKER_JOBS=20000`` for the long run."""
    number = int(os.environ.get("THOONK_WORKER_JOBS", "2000"))
    commands.write(counting("threads", "processes=8", takes=0.001))
    jobs = client.job("j", {"claim_timeout": 1})
    items = [str(n) for n in range(number)]
    chance = random.Random(7)
    with Ends(client, "j") as ends:
        # A tenth more after each round: however long this process is held up, work is left.
        tenth = number // 10
        ids = jobs.put_many(items[: 2 * tenth])
        command = commands.start("app:worker")
        poll(lambda: len(command.children()) == 8)
        rounds = killed = 0
        deadline = time.monotonic() + 170
        while jobs.get_counts().finished < number:
            assert time.monotonic() < deadline, (states(jobs), command.log)
            # At any moment of the work, as long as there is some, half of those there are.
            if len(ids) < number and jobs.get_counts().finished > rounds * tenth + tenth // 2:
                rounds += 1
                children = command.children()
                for pid in chance.sample(children, min(4, len(children))):
                    time.sleep(chance.random() / 50)
                    kill(pid)
                    killed += 1
                more = items[len(ids) : len(ids) + tenth]
                ids += jobs.put_many(more if rounds < 8 else items[len(ids) :])
            time.sleep(0.02)
        assert rounds == 8
        assert killed >= 8, killed
        command.signal(signal.SIGTERM)
        assert command.ends() == 0
        check_each_once(client, ids, items, ends)
    began = Counter((commands.folder / "began").read_text().split())
    assert set(began) == set(items)
    print(f"{number} jobs, {killed} processes killed, {sum(began.values()) - number} done again")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["threads", "tasks", "processes"])
def test_sigterm_at_any_moment_loses_and_doubles_nothing(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    options = "processes=2" if kind == "processes" else "concurrency=4"
    commands.write(counting("tasks" if kind == "tasks" else "threads", options, takes=0.002))
    jobs = client.job("j", {"claim_timeout": 30})
    chance = random.Random(3)
    items = [str(n) for n in range(1500)]
    with Ends(client, "j") as ends:
        ids = jobs.put_many(items[:750])
        rounds = 0
        while states(jobs)[0] or len(ids) < len(items):
            before = jobs.get_counts().finished
            command = commands.start("app:worker")
            poll(lambda: jobs.get_counts().finished > before)  # noqa: B023
            time.sleep(chance.random() / 4)
            command.signal(signal.SIGTERM)
            assert command.ends() == 0, command.log
            assert states(jobs)[1:3] == (0, 0), command.log
            rounds += 1
            if rounds == 1:  # so that there are more, however long this process is held up
                ids += jobs.put_many(items[750:])
        assert rounds > 1
        check_each_once(client, ids, items, ends)
    # Not even begun twice.
    assert Counter((commands.folder / "began").read_text().split()) == dict.fromkeys(items, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["threads", "tasks", "processes"])
def test_the_second_signal_gives_back_at_once(
    commands: Commands, client: Thoonk, kind: str, number: int
) -> None:
    options = "processes=2" if kind == "processes" else "concurrency=2"
    commands.write(counting("tasks" if kind == "tasks" else "threads", options, takes=600))
    jobs = client.job("j")
    jobs.put_many(["a", "b", "c"])
    command = commands.start("app:worker", "--grace", "600")
    becomes(jobs, 1, 2, 0, 0)
    began_file = commands.folder / "began"
    poll(lambda: began_file.exists() and len(began_file.read_text().split()) == 2)
    # To the group, as a terminal does.
    os.killpg(command.process.pid, number)
    command.takes(number)
    time.sleep(0.5)
    assert command.process.poll() is None
    assert states(jobs) == (1, 2, 0, 0)
    began = time.monotonic()
    os.killpg(command.process.pid, number)
    assert command.ends() == 128 + number, command.log
    assert time.monotonic() - began < 60
    assert states(jobs) == (3, 0, 0, 0)
    assert {claim.cancelled for claim in jobs.get_many(3)} == {0}
    assert command.log.count("given back unfinished") == 2
    assert "Traceback" not in command.log


@pytest.mark.parametrize("kind", ["threads", "tasks", "processes"])
def test_what_is_not_done_within_the_grace_is_given_back(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    options = "processes=2" if kind == "processes" else "concurrency=2"
    commands.write(counting("tasks" if kind == "tasks" else "threads", options, takes=600))
    jobs = client.job("j")
    jobs.put_many(["a", "b", "c"])
    command = commands.start("app:worker", "--grace", "0.5")
    becomes(jobs, 1, 2, 0, 0)
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert states(jobs) == (3, 0, 0, 0)


def test_a_process_that_is_over_its_time_limit_is_replaced(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        import os, time
        from thoonk.worker import Worker

        worker = Worker(processes=1, concurrency=2)

        @worker.handles("j", time_limit=2, retries=1)
        def handler(item):
            while item == "hangs":
                here_it_is = 1
            time.sleep(0.1)
            return str(os.getpid())
    """)
    jobs = client.job("j")
    hangs, *_ = jobs.put_many(["hangs", "a", "b"])
    command = commands.start("app:worker")
    becomes(jobs, 0, 0, 1, 2)
    info = jobs.get_info(hangs)
    assert info is not None
    assert info.failures == 2
    assert info.failure is not None
    assert info.failure.error == "TimeLimitExceeded"
    assert info.failure.message == "not done within the time limit of 2 s"
    assert 'app.py", line' in info.failure.traceback
    assert "executor.py" not in info.failure.traceback
    id = jobs.put("c")
    pid = jobs.get_result(id, timeout=60).result
    assert [int(pid)] == command.children()
    assert "here_it_is = 1" in command.log or "while item" in command.log
    assert command.log.count("not done within the time limit of 2 s; it is here") == 2
    command.signal(signal.SIGTERM)
    assert command.ends() == 0


def test_a_process_that_cannot_even_notice_is_killed(commands: Commands, client: Thoonk) -> None:
    commands.write("""
        import re
        from thoonk.worker import Worker

        worker = Worker(processes=1, grace=0)

        @worker.handles("j", time_limit=2, retries=0, claim_timeout=600)
        def handler(item):
            re.match(r"(a+)+b", item)  # for ever, and no other thread runs meanwhile
    """)
    jobs = client.job("j")
    id = jobs.put("a" * 60)
    command = commands.start("app:worker")
    becomes(jobs, 0, 0, 1, 0)
    info = jobs.get_info(id)
    assert info is not None
    assert info.failure is not None
    assert info.failure.error == "TimeLimitExceeded"
    assert info.failure.message.startswith("not done within its time limit; process ")
    jobs.put("b")
    becomes(jobs, 0, 0, 1, 1)
    assert "hangs; killing it" in command.log


def test_a_task_that_cannot_be_cancelled_keeps_nobody_from_ending(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        import asyncio
        from thoonk.worker import AsyncWorker

        worker = AsyncWorker(grace=0)

        @worker.handles("j")
        async def handler(item):
            print("began", flush=True)
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    pass
    """)
    jobs = client.job("j")
    jobs.put("x")
    command = commands.start("app:worker")
    command.told("began")
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert states(jobs) == (1, 0, 0, 0)


def test_a_killed_supervisor_leaves_no_processes(commands: Commands, client: Thoonk) -> None:
    commands.write(counting("threads", "processes=3"))
    command = commands.start("app:worker")
    poll(lambda: len(command.children()) == 3)
    children = command.children()
    command.process.kill()
    for pid in children:
        poll(lambda: not is_running(pid))  # noqa: B023


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_one_process_may_be_ended_and_is_replaced(commands: Commands, client: Thoonk) -> None:
    wait = "import time\n        while not Path('go').exists(): time.sleep(0.01)"
    commands.write(counting("threads", "processes=2", work=wait, claim_timeout=60))
    jobs = client.job("j")
    jobs.put_many(["a", "b", "c", "d"])
    command = commands.start("app:worker")
    becomes(jobs, 2, 2, 0, 0)
    first = command.children()[0]
    os.kill(first, signal.SIGTERM)
    (commands.folder / "go").touch()
    becomes(jobs, 0, 0, 0, 4)
    poll(lambda: len(left := command.children()) == 2 and first not in left)
    # What it was doing it has done.
    assert len((commands.folder / "began").read_text().split()) == 4


def test_processes_are_replaced_after_so_many_jobs(commands: Commands, client: Thoonk) -> None:
    commands.write("""
        import os
        from thoonk.worker import Worker

        worker = Worker(processes=1)

        @worker.handles("j", prefetch=1)
        def handler(item):
            return str(os.getpid())
    """)
    jobs = client.job("j")
    ids = jobs.put_many([*"abcdef"])
    command = commands.start("app:worker", "--burst", "--max-jobs", "2")
    assert command.ends() == 0
    pids = Counter(jobs.get_result(id, timeout=5).result for id in ids)
    # Each does one job at a time.
    assert sorted(pids.values()) == [2, 2, 2]
    assert states(jobs) == (0, 0, 0, 6)


@pytest.mark.parametrize("options", ["concurrency=4", "processes=2"])
def test_the_server_goes_away_and_comes_back(
    any_server: Callable[..., Any], tmp_path: Path, options: str
) -> None:
    with any_server("--appendonly", "yes", "--appendfsync", "always") as server:
        commands = Commands(tmp_path, server.url)
        commands.write(counting("threads", options, takes=0.01))
        with Thoonk(backend=server.url) as client:
            jobs = client.job("j", {"claim_timeout": 2})
            items = [str(n) for n in range(400)]
            ids = jobs.put_many(items)
            command = commands.start("app:worker")
            try:
                poll(lambda: jobs.get_counts().finished > 50)
                server.kill()
                time.sleep(1)
                server.start()
                becomes(jobs, 0, 0, 0, 400)
                # Also who only waited has not stopped to do so.
                server.kill()
                time.sleep(1)
                server.start()
                ids.append(jobs.put("late"))
                assert jobs.get_result(ids[-1], timeout=60).result == "did late"
                command.signal(signal.SIGTERM)
                assert command.ends() == 0, command.log
            finally:
                command.close()


def test_processes_may_share_a_client_that_was_used_before(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        import os
        from thoonk import Thoonk
        from thoonk.worker import Worker

        thoonk = Thoonk(backend=os.environ["THOONK_URL"])
        thoonk.job("j").put_many(map(str, range(200)))
        worker = Worker(thoonk, processes=3, concurrency=2)

        @worker.handles("j")
        def handler(item):
            thoonk.feed("done").publish(item, id=item)
    """)
    command = commands.start("app:worker", "--burst")
    assert command.ends() == 0, command.log
    assert states(client.job("j")) == (0, 0, 0, 200)
    assert len(client.feed("done")) == 200
    assert "Traceback" not in command.log


def test_without_a_server_it_ends_with_one_line(tmp_path: Path) -> None:
    commands = Commands(tmp_path, "")
    commands.write("""
        from thoonk import Thoonk
        from thoonk.worker import Worker

        worker = Worker(Thoonk("127.0.0.1", 1, retry_for=0.2), processes=2)
        worker.handle("j", str)
    """)
    command = Command(tmp_path, commands.url, "app:worker")
    try:
        assert command.ends() == 69, command.log
        assert "Traceback" not in command.log
        assert "Error: " in command.log
    finally:
        command.close()


@pytest.mark.parametrize("has_threads", [True, False])
def test_a_worker_that_forks_beside_other_threads_says_so(
    commands: Commands, client: Thoonk, has_threads: bool
) -> None:
    commands.write(f"""
        import threading, time
        from thoonk.worker import Worker

        if {has_threads}:
            threading.Thread(target=time.sleep, args=(600,), name="busy-one", daemon=True).start()
        worker = Worker(processes=2)
        worker.handle("j", str.upper)
    """)
    client.job("j").put("x")
    command = commands.start("app:worker", "--burst")
    assert command.ends() == 0, command.log
    assert command.log.count("Forking while other threads run: busy-one;") == has_threads
    assert command.log.count("Forking while other threads run") == has_threads
    assert states(client.job("j")) == (0, 0, 0, 1)


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_the_job_of_a_process_that_dies_is_tried_again_after_its_delay_and_says_why(
    commands: Commands, client: Thoonk, kind: str
) -> None:
    is_async = kind == "tasks"
    commands.write(f"""
        import os, signal
        from thoonk.worker import {"AsyncWorker" if is_async else "Worker"} as Kind

        worker = Kind(processes=1, concurrency=1)

        @worker.handles("j", backoff=1, retries=1, claim_timeout=600)
        {"async " * is_async}def handler(item):
            if item == "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "exits":
                os._exit(7)
            return item
    """)
    jobs = client.job("j")
    ids = jobs.put_many(["kills", "exits", "good"])
    command = commands.start("app:worker")
    becomes(jobs, 0, 0, 2, 1)
    for id, how in zip(ids, ["signal 9", "exit code 7"], strict=False):
        info = jobs.get_info(id)
        assert info is not None
        assert info.failures == 2
        assert info.failure is not None
        *_, pid = info.failure.worker.split(":")
        assert info.failure.message == f"its process {pid} died ({how})"
        assert info.failure.error == info.failure.traceback == ""
    assert f"Job {ids[0]} of 'j' failed on attempt 1; retrying in " in command.log
    assert f"Job {ids[0]} of 'j' failed on attempt 2; it is stalled: its process" in command.log
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log


def test_a_burst_waits_for_what_a_process_has_scheduled_that_was_replaced(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        from thoonk.worker import Worker

        worker = Worker(processes=1)

        @worker.handles("j", prefetch=1, backoff=3, max_backoff=3)
        def handler(item, claim):
            if not claim.cancelled:
                raise OSError
    """)
    jobs = client.job("j")
    jobs.put_many(["a", "b"])
    command = commands.start("app:worker", "--burst", "--max-jobs", "2")
    assert command.ends() == 0, command.log
    assert states(jobs) == (0, 0, 0, 2)
    assert "replaced" in command.log


def test_a_burst_waits_for_the_retry_of_a_job_that_took_too_long(
    commands: Commands, client: Thoonk
) -> None:
    commands.write("""
        import time

        from thoonk.worker import Worker

        worker = Worker(processes=2)

        @worker.handles("j", retries=2, backoff=2, max_backoff=2, time_limit=0.5)
        def handler(item, claim):
            if not claim.cancelled:
                time.sleep(600)
    """)
    jobs = client.job("j")
    jobs.put("a")
    command = commands.start("app:worker", "--burst")
    assert command.ends() == 0, command.log
    assert states(jobs) == (0, 0, 0, 1), command.log
