"""A machine that stops, and programs that end, at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import processes
import pytest

from thoonk import Thoonk

SOON = 60.0


def program(text: str, *arguments: object) -> list[str]:
    """A command that runs a Python program."""
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feeds.db"


def test_what_was_acknowledged_is_in_the_file_at_every_moment(path: Path, tmp_path: Path) -> None:
    """Each copy is what a machine would find that stopped at that moment: file and log."""
    producer = """
        import os, sys
        from thoonk import Thoonk
        with Thoonk(backend=f"sqlite:///{sys.argv[1]}?synchronous=full") as thoonk:
            queue, job, number = thoonk.queue("q"), thoonk.job("j"), 0
            while True:
                number += 1
                queue.put(str(number))
                job.put(str(number), id=str(number))
                with job.get(timeout=5) as claim:
                    pass
                # In one piece, so that it is there or not.
                os.write(1, b"%d\\n" % number)
    """
    acknowledged = tmp_path / "acknowledged"
    chance = random.Random(7)
    copies: list[tuple[Path, int]] = []
    with (
        acknowledged.open("wb") as output,
        processes.started(program(producer, path), stdout=output) as process,
    ):
        deadline = time.monotonic() + SOON
        while not acknowledged.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for number in range(15):
            time.sleep(chance.uniform(0.0, 0.15))
            process.send_signal(signal.SIGSTOP)
            while Path(f"/proc/{process.pid}/stat").read_text("ascii").split()[2] != "T":
                assert time.monotonic() < deadline
            copy = tmp_path / f"copy{number}.db"
            shutil.copy(path, copy)
            shutil.copy(f"{path}-wal", f"{copy}-wal")
            with Path(f"{copy}-wal").open("ab") as log:
                # What was being written just then.
                log.write(chance.randbytes(chance.choice([0, 100, 5000])))
            copies.append((copy, len(acknowledged.read_text("ascii").splitlines())))
            process.send_signal(signal.SIGCONT)
    for copy, count in copies:
        with Thoonk(backend=f"sqlite:///{copy}") as thoonk:
            put, counts = thoonk.queue("q").count(), thoonk.job("j").get_counts()
            assert count <= put <= count + 1
            assert count <= counts.finished <= count + 1
            assert counts.waiting + counts.claimed <= 1
            assert thoonk.backend.core.store.db.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_a_process_that_dies_before_it_commits_leaves_nothing(path: Path) -> None:
    half = """
        import sys, time
        from thoonk import Thoonk
        from thoonk.backends.embedded.sqlite import SqliteStore
        with Thoonk(backend=f"sqlite:///{sys.argv[1]}") as thoonk:
            queue = thoonk.queue("q")
            def commit(store):
                print("in the middle", flush=True)
                time.sleep(600)
            SqliteStore.commit = commit
            queue.put("half")
    """
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        queue = thoonk.queue("q")
        with processes.started(program(half, path), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "in the middle\n"
            killer = threading.Timer(0.3, process.kill)
            killer.start()
            # Waits for the lock, which ends with the process.
            queue.put("whole")
            killer.join()
        assert queue.get(timeout=0) == "whole"
        assert queue.count() == 0


@pytest.mark.parametrize("how", ["nothing", "listens", "subscribes", "waits", "sys.exit"])
def test_a_program_that_closes_nothing_ends(path: Path, how: str) -> None:
    careless = """
        import sys, threading
        from thoonk import Thoonk
        path, how = sys.argv[1:]
        thoonk = Thoonk(backend=f"sqlite:///{path}", listen=how == "listens")
        queue = thoonk.queue("q")
        if how == "subscribes":
            notices = thoonk.feed("f").subscribe().__enter__()
        if how == "waits":
            threading.Thread(target=lambda: thoonk.queue("other").get(), daemon=True).start()
        queue.put("x")
        if how == "sys.exit":
            sys.exit()
    """
    done = subprocess.run(
        program(careless, path, how), capture_output=True, text=True, timeout=SOON, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        assert thoonk.queue("q").count() == 1


@pytest.mark.parametrize("is_locked", [False, True], ids=["waiting", "locked"])
def test_ctrl_c_ends_a_wait_and_loses_nothing(path: Path, *, is_locked: bool) -> None:
    waiting = """
        import sys
        from thoonk import Thoonk
        with Thoonk(backend=f"sqlite:///{sys.argv[1]}", retry_for=600) as thoonk:
            queue = thoonk.queue("q")
            print("ready", flush=True)
            try:
                sys.stdin.readline()
                queue.put("x") if sys.argv[2] == "True" else queue.get()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            sys.stdin.readline()
            queue.put("y")
            print(queue.get(timeout=5))
    """
    with (
        Thoonk(backend=f"sqlite:///{path}") as thoonk,
        processes.started(
            program(waiting, path, is_locked),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        other = sqlite3.connect(path, isolation_level=None)
        if is_locked:
            other.execute("BEGIN IMMEDIATE")
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(0.3)  # most probably it waits by now; if not, it is interrupted before
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        other.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "y\n"
        assert thoonk.queue("q").count() == 0
        assert process.wait(SOON) == 0


POOLS = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from thoonk import Thoonk

    def work(url, number):
        with Thoonk(backend=url) as thoonk:
            with thoonk.job("j").get(timeout=60) as claim:
                thoonk.feed("f").publish(claim.item, id=claim.item)
            return number

    if __name__ == "__main__":
        url, way = sys.argv[1:]
        with Thoonk(backend=url) as thoonk, thoonk.feed("f").subscribe() as notices:
            job = thoonk.job("j")
            context = multiprocessing.get_context(way)
            with ProcessPoolExecutor(3, mp_context=context) as pool:
                futures = [pool.submit(work, url, number) for number in range(9)]
                for number in range(9):
                    job.put(str(number))
                assert sorted(future.result() for future in futures) == [*range(9)]
            heard = {notices.get(timeout=60).item for _ in range(9)}
            assert heard == {*map(str, range(9))}, heard
            print(job.get_counts().finished)
"""


@pytest.mark.parametrize("way", ["spawn", "forkserver", "fork"])
def test_pools_of_processes_share_a_file(path: Path, tmp_path: Path, way: str) -> None:
    script = tmp_path / "pools.py"
    script.write_text(textwrap.dedent(POOLS), "utf-8")
    # Python 3.12 and later warn of a fork where threads run, which is what is tried here.
    quiet = ("-W", "ignore:This process:DeprecationWarning")
    done = subprocess.run(
        [sys.executable, *quiet, script, f"sqlite:///{path}", way],
        capture_output=True,
        text=True,
        timeout=2 * SOON,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert (done.stdout, done.stderr) == ("9\n", "")
