"""The tour in examples/ does its job on real folders, in memory and on real servers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
import processes
import pytest
from conftest import World

from thoonk import Thoonk

ROOT = Path(__file__).resolve().parent.parent
TOUR = ROOT / "examples/tour.py"


@attrs.frozen
class Run:
    """How a tour went."""

    code: int
    out: str
    err: str

    def value(self, name: str) -> str:
        """What stands behind a name in the summary."""
        match = re.search(rf"^{name}  +(.*)$", self.out, re.MULTILINE)
        assert match, self
        return match[1]

    def rows(self, title: str) -> list[list[str]]:
        """The indented lines below a title of the summary."""
        match = re.search(rf"^{title}\n((?: .*\n)+)", self.out, re.MULTILINE)
        assert match, self
        return [line.split(maxsplit=1) for line in match[1].splitlines()]


def tour(*arguments: str | Path, script: Path = TOUR, **environment: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-W", "error", script, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty files of 10, 20, … 200 bytes, one line per ten bytes, in two folders."""
    folder = tmp_path / "files"
    for number in range(1, 21):
        file = folder / ("even" if number % 2 == 0 else "odd") / f"{number:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"123456789\n" * number)
    return folder


def check_summary(run: Run, workers: int) -> None:
    """What every tour of `folder` says."""
    assert (run.code, run.err) == (0, ""), run
    assert run.value("files") == "20"
    assert run.value("bytes") == "2,100"
    assert run.value("lines") == "210"
    dead, alive = re.findall(r"worker-\d+", run.value("jobs recovered"))
    assert run.value("jobs recovered").startswith("1 ")
    assert (dead, alive == dead) == ("worker-1", False)
    # The dead worker gave nothing back: its claim had to run out.
    assert float(run.value("seconds")) >= 2
    jobs = {worker: int(count) for count, worker in run.rows("jobs per worker")}
    assert sum(jobs.values()) == 20
    assert jobs["worker-1"] == 2
    assert set(jobs) <= {f"worker-{n}" for n in range(1, workers + 2)}
    counts = [int(count) for count, _ in run.rows("jobs per worker")]
    assert counts == sorted(counts, reverse=True)
    largest = [f"{'even' if n % 2 == 0 else 'odd'}/{n}.txt" for n in (20, 19, 18, 17, 16)]
    assert [name for _, name in run.rows("largest files")] == largest
    assert [int(size) for size, _ in run.rows("largest files")] == [200, 190, 180, 170, 160]
    latest = [row[0] for row in run.rows("latest files")]
    assert len(set(latest)) == 5
    # Twenty publishes, and fifteen retractions of what fell off a feed of five.
    assert run.value("notices heard") == "35"
    assert "\n     20 of 20  " in run.out
    assert run.out.endswith("Every file was finished once, and every result is right.\n")


def test_in_memory_every_file_is_finished_once(folder: Path) -> None:
    check_summary(tour(folder), workers=3)


@pytest.mark.parametrize("backend", ["embedded", "sqlite://"])
def test_without_a_server_every_file_is_finished_once(folder: Path, backend: str) -> None:
    check_summary(tour(folder, "--backend", backend), workers=3)


def test_on_a_file_a_second_terminal_watches_while_a_process_is_killed(
    folder: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'tour.db'}"
    command = [sys.executable, "-m", "thoonk.cli", "watch", "--json", "--backend", url]
    with (
        Thoonk(backend=url),
        processes.started(command, stdout=subprocess.PIPE, text=True) as watching,
    ):
        until(lambda: is_listened_to(tmp_path / "tour.db"))
        check_summary(tour(folder, "--backend", url, "--workers", "2"), workers=2)
        seen: Counter[tuple[str, str]] = Counter()
        assert watching.stdout is not None
        # The four feeds of the tour are deleted at its end.
        while sum(count for (event, _), count in seen.items() if event == "delete") < 4:
            notice = json.loads(watching.stdout.readline())
            seen[notice["event"], notice["feed"].rpartition("-")[2]] += 1
        assert seen["publish", "latest"] == 20
        assert seen["retract", "latest"] == 15
        assert not any(event == "gap" for event, _ in seen)
        watching.send_signal(signal.SIGINT)
        watching.wait(30)
    with Thoonk(backend=url) as thoonk:
        assert thoonk.get_feed_names() == set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_listened_to(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as db:
        found: int = db.execute("SELECT count(*) FROM listeners").fetchone()[0]
    return found > 0


def test_on_a_server_a_killed_process_is_survived_and_nothing_is_left(
    folder: Path, real_world: World
) -> None:
    run = tour(folder, "--backend", real_world.url, "--workers", "2")
    check_summary(run, workers=2)
    assert real_world.raw.keys("*") == []


def test_other_feeds_on_the_server_are_left_alone(folder: Path, real_world: World) -> None:
    real_world.raw.sadd("feeds", "tour-of-mine")
    real_world.raw.hset("feed.config:tour-of-mine", "type", "feed")
    assert tour(folder, "--backend", real_world.url).code == 0
    assert sorted(real_world.raw.keys("*")) == [b"feed.config:tour-of-mine", b"feeds"]


def test_without_arguments_it_reads_the_checkout_it_stands_in(tmp_path: Path) -> None:
    # A copy, for nobody changes a file of it meanwhile.
    for name in ("examples", "thoonk"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    wanted = sum(1 for path in tmp_path.rglob("*") if path.is_file())
    for by_product in (".git", ".tox", ".venv", "build", ".mypy_cache", "thoonk/__pycache__"):
        (tmp_path / by_product).mkdir()
        (tmp_path / by_product / "file").touch()
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment/pyvenv.cfg").touch()
    run = tour(script=tmp_path / "examples/tour.py")
    assert run.code == 0, run
    assert wanted > 50
    assert run.value("files") == str(wanted)
    left_out = ".git, .mypy_cache, .tox, .venv, __pycache__, build, environment"
    assert f"left out: {left_out}\n" in run.out


def test_a_single_empty_file_and_a_single_worker_are_enough(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    run = tour(tmp_path, "--workers", "1")
    assert run.code == 0, run
    assert run.value("jobs recovered") == "1 (worker-1 died, worker-2 did it)"
    assert run.rows("largest files") == [["0", "empty"]]


def test_file_names_that_are_no_text_are_no_trouble(tmp_path: Path) -> None:
    names = [b"caf\xc3\xa9", b"not utf-8 \xff", b"[red]markup", b"two\nlines", b"100%", b" "]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    run = tour(tmp_path, PYTHONIOENCODING="ascii")
    assert (run.code, run.value("files")) == (0, "6"), run


def test_what_cannot_be_read_is_named_and_the_rest_is_done(folder: Path) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("no file here that refuses to be read, whoever one is")
    (folder / "bad").symlink_to("/proc/self/mem")
    run = tour(folder)
    assert (run.code, run.err) == (1, "tour: bad: Input/output error\n")
    assert run.value("files") == "21"
    assert run.value("bytes") == "2,100"
    assert "every result is right" not in run.out


def test_on_a_terminal_there_is_a_progress_bar_with_the_latest_files(folder: Path) -> None:
    pytest.importorskip("rich")
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [sys.executable, TOUR, folder],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break  # the other side has gone
            if not data:
                break
            seen += data
        os.close(ours)
        assert process.stderr is not None
        assert (process.wait(20), process.stderr.read()) == (0, b"")
    text = seen.decode()
    assert "20/20" in text
    assert "━━━━" in text
    assert " of 20  " not in text
    assert re.search(r"(even|odd)/\d\d\.txt\x1b", text)


NOBODY = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "tour: no files in "),
        (("--backend", "bogus://x"), 2, "tour: there is no backend 'bogus'"),
        (("--backend", ""), 2, "tour: a backend's URL must start with"),
        (("--backend", "redis://127.0.0.1:port/0"), 2, "tour: a Redis URL is redis://"),
        (("--backend", NOBODY), 1, "tour: Redis cannot be reached, nothing was done"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    if arguments:
        (tmp_path / "file").touch()
    run = tour(tmp_path, *arguments)
    assert run.code == code, run
    assert run.err.startswith(message)
    assert run.err.count("\n") == 1


def test_a_folder_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert tour(missing) == Run(2, "", f"tour: not a folder: {missing}\n")


@pytest.mark.parametrize("workers", ["0", "-1", "101", "x", "1.5", "", "²"])
def test_numbers_of_workers_that_make_no_sense_are_refused(workers: str, tmp_path: Path) -> None:
    run = tour(tmp_path, f"--workers={workers}")
    assert (run.code, run.out) == (2, "")
    assert "argument --workers: must be 1 to 100" in run.err


def test_a_password_is_not_shown(folder: Path) -> None:
    run = tour(folder, "--backend", NOBODY.replace("//", "//:hush@"))
    assert run.code == 1
    assert "hush" not in run.out + run.err
