"""copy: between servers, files and memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
import servers
from conftest import _world

from cli.conftest import PROGRAM, Cli
from cli.test_transfer import fill
from thoonk import JobState, Outcome, Thoonk, UnsupportedOperation
from thoonk import operations as ops
from thoonk.cli import copying
from thoonk.cli.copying import COPYING
from thoonk.cli.records import Reader, Writer
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.operations import Failure, Operation
from thoonk.testing._sync.helpers import Background, until

MANY = 20_000


@pytest.fixture(params=["redis", "file", "memory"])
def urls(
    request: pytest.FixtureRequest, running_server: Callable[[str], servers.Server], tmp_path: Path
) -> Iterator[tuple[str, str]]:
    """A source and a target of different kinds."""
    file = f"sqlite:///{tmp_path}/file.db"
    memory = f"embedded://{tmp_path}"
    if request.param == "memory":
        yield memory, file
        return
    for world in _world("redis-6.2", running_server):
        yield (world.url, memory) if request.param == "redis" else (file, world.url)


@pytest.fixture
def source(urls: tuple[str, str]) -> Iterator[Thoonk]:
    with Thoonk(backend=urls[0]) as client:
        yield client


@pytest.fixture
def target(urls: tuple[str, str]) -> Iterator[Thoonk]:
    with Thoonk(backend=urls[1]) as client:
        yield client


def contents(client: Thoonk, name: str) -> dict[str, Any]:
    """All that is stored in a feed, but for counters."""
    execute = client.backend.execute
    config = dict(execute(ops.GetConfig(name)))
    reader = Reader(client.backend, name, config["type"])
    entries = [(e.what.value, e.id, e.item, e.result) for e in reader.entries()]
    times = {(e.what, e.id): e.at for e in reader.entries()}
    return {
        "config": config,
        "entries": entries,
        "times": {key: pytest.approx(at, abs=0.002) for key, at in times.items()},
        "schedules": sorted(reader.schedules(), key=lambda each: each.schedule.name),
    }


def fill_all(client: Thoonk) -> None:
    """A feed of each type, with all that a feed can have."""
    feed = client.feed("news", {"max_length": 50, "title": "News"})
    for id in ("b", "a", "c"):
        feed.publish(f"item {id}", id=id)
    feed.publish("edited", id="b")
    todo = client.sorted_feed("todo")
    todo.append("second")
    todo.prepend("first")
    todo.retract(todo.append("gone"))
    queue = client.queue("letters", serializer="binary")
    for item in (b"\xff\0", b"x", b""):
        queue.put(item)
    queue.put(b"first", priority=queue.HIGH)
    queue.put(b"x", id="mine", unique_for=600)
    fill(client.job("thumbnails", {"max_failures": 1, "claim_timeout": 60}))
    client.job("thumbnails").put("again", id="failed")


def test_feeds_of_all_types_are_copied_whole(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    fill_all(source)
    before = {name: contents(source, name) for name in source.get_feed_names()}
    done = Cli("none://")("copy", *urls)
    assert done.lines == [
        "letters: 6 added",
        "news: 3 added",
        "thumbnails: 7 added",
        "todo: 2 added",
    ]
    assert {name: contents(target, name) for name in target.get_feed_names()} == before
    assert {name: contents(source, name) for name in source.get_feed_names()} == before
    assert COPYING not in target.get_config("thumbnails").extra
    again, info = (client.job("thumbnails").get_info("stalled") for client in (target, source))
    assert again is not None
    assert info is not None
    assert isinstance(again.failure, Failure)
    assert (again.failure, again.failures, again.state) == (info.failure, 1, JobState.STALLED)
    assert "Traceback" in again.failure.traceback
    # They are feeds like any other now.
    assert target.sorted_feed("todo").append("next") == "3"
    assert target.job("thumbnails").get(timeout=1).id == "waiting"
    assert target.job("thumbnails").put("x", id="taken").outcome is Outcome.KEPT
    assert target.queue("letters").get(timeout=1) == b"first"


def test_feeds_are_moved(urls: tuple[str, str], source: Thoonk, target: Thoonk) -> None:
    fill_all(source)
    before = {name: contents(source, name) for name in source.get_feed_names()}
    Cli("none://")("copy", *urls, "--move", "--json", "--batch", "2")
    assert {name: contents(target, name) for name in target.get_feed_names()} == before
    assert source.get_feed_names() == set()
    assert target.job("thumbnails").get(timeout=1).id == "waiting"


def test_a_pause_is_copied_and_one_that_is_asked_for_ends(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    for name in ("paused", "running"):
        source.job(name).put("x")
    source.job("paused").pause()
    Cli("none://")("copy", *urls, "--pause")
    for client in (source, target):
        assert client.job("paused").stats().paused is True
        assert client.job("running").stats().paused is False


def test_a_claimed_job_is_copied_as_one_that_waits(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    job = source.job("j")
    job.put("x", id="a")
    claim = job.get(timeout=1)
    Cli("none://")("copy", *urls)
    assert target.job("j").get(timeout=1).id == "a"
    claim.finish()


def test_a_move_waits_for_claimed_jobs(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    job = source.job("j")
    job.put("x", id="a")
    job.put("y", id="b")
    claim = job.get(timeout=1)
    done = Cli("none://")("copy", *urls, "--move", "--wait", "0", fails=1)
    assert "1 claimed jobs have not ended" in done.err
    assert source.job("j").stats().paused is True
    assert target.job("j").stats().paused is True
    moving = Background(lambda: Cli("none://")("copy", *urls, "--move"))
    assert not moving.is_done()
    claim.finish("done")
    moving.result(60)
    assert not source.feed_exists("j")
    assert target.job("j").get_result("a", timeout=1) == ("x", "done")
    assert target.job("j").get(timeout=1).id == "b"


def test_a_move_may_include_claimed_jobs(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    source.job("j").put("x", id="a")
    source.job("j").get(timeout=1)
    Cli("none://")("copy", *urls, "--move", "--include-claimed")
    assert target.job("j").get(timeout=1).id == "a"


def test_a_dry_run_changes_nothing(urls: tuple[str, str], source: Thoonk, target: Thoonk) -> None:
    fill_all(source)
    done = Cli("none://")("copy", *urls, "--dry-run", "--move")
    assert done.lines == [
        "letters\tletters\tqueue\tnew\t5\t0\t-\t-",
        "news\tnews\tfeed\tnew\t3\t-\t-\t-",
        "thumbnails\tthumbnails\tjob\tnew\t3\t0\t1\t1",
        "todo\ttodo\tsorted_feed\tnew\t2\t-\t-\t-",
    ]
    assert target.get_feed_names() == set()
    assert len(source.get_feed_names()) == 4
    assert Cli("none://")("copy", *urls, "news", "--dry-run", "--json").records[0]["items"] == 3


def test_what_cannot_be_copied_is_refused_before_anything_is(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    cli = Cli("none://")
    for name in ("a", "z"):
        source.queue(name).put("x")
    target.job("z")
    assert "is of type 'job', not 'queue'" in cli("copy", *urls, fails=5).err
    assert "'none' does not exist" in cli("copy", *urls, "a", "none", fails=4).err
    target.delete_feed("z")
    target.queue("z").put("own", id="own")
    done = cli("copy", *urls, fails=5)
    assert "'z' is not empty in TARGET: delete it" in done.err
    assert target.get_feed_names() == {"z"}
    assert target.queue("z").count() == 1
    assert cli("copy", *urls, "--merge").lines == ["a: 1 added", "z: 1 added"]
    assert target.queue("z").count() == 2
    for words in (
        (urls[0], urls[0]),
        (*urls, "--as", "b"),
        (*urls, "a", "z", "--as", "b"),
        (*urls, "--include-claimed"),
        (urls[0], "gopher://x"),
    ):
        cli("copy", *words, fails=2)
    source.sorted_feed("s").append("x")
    target.sorted_feed("s").append("y")
    assert "'s' is not empty in TARGET" in cli("copy", *urls, "s", "--merge", fails=5).err


def test_a_file_that_does_not_exist_or_is_damaged_is_no_source(tmp_path: Path) -> None:
    cli, path, target = Cli("none://"), tmp_path / "one.db", f"sqlite:///{tmp_path}/two.db"
    assert "does not exist" in cli("copy", f"sqlite:///{path}", target, fails=69).err
    assert [*tmp_path.iterdir()] == []
    with Thoonk(backend=f"sqlite:///{path}") as client:
        client.queue("q").put_many(["x" * 100] * 1000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "damaged" in cli("copy", f"sqlite:///{path}", target, fails=1).err
    path.unlink()
    Thoonk(backend=f"sqlite:///{path}").close()
    assert "no feeds in SOURCE" in cli("copy", f"sqlite:///{path}", target).err


def test_an_empty_feed_in_the_target_is_filled_and_keeps_its_configuration(
    urls: tuple[str, str], source: Thoonk, target: Thoonk
) -> None:
    source.job("j", {"title": "old"}).put("x")
    target.job("j", {"title": "new"})
    Cli("none://")("copy", *urls)
    assert target.get_config("j").title == "new"
    assert target.job("j").count() == 1


def test_a_feed_is_copied_beside_itself(urls: tuple[str, str], source: Thoonk) -> None:
    fill_all(source)
    Cli("none://")("copy", urls[0], urls[0], "thumbnails", "--as", "copy")
    assert contents(source, "copy") == contents(source, "thumbnails")


def test_a_server_under_another_name_is_known_for_the_same(
    running_server: Callable[[str], servers.Server],
) -> None:
    for world in _world("redis-6.2", running_server):
        with Thoonk(backend=world.url) as client:
            client.queue("q").put("x")
            other = world.url.replace("127.0.0.1", "localhost")
            words = ("copy", world.url, other, "--merge", "--move", "--yes")
            done = Cli("none://")(*words, fails=2)
            assert "cannot be copied to itself" in done.err
            assert client.queue("q").get(timeout=1) == "x"


def test_what_is_removed_at_the_source_before_the_next_run_is_removed(
    urls: tuple[str, str], source: Thoonk, target: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_all(source)
    stop_before_the_end(monkeypatch)
    for name in ("letters", "news", "thumbnails", "todo"):
        with pytest.raises(Stopped):
            Cli("none://")("copy", *urls, name)
    assert target.job("thumbnails").stats().paused is True
    monkeypatch.undo()
    source.feed("news").retract("a")
    source.sorted_feed("todo").retract("1")
    source.queue("letters").get(timeout=1)
    source.job("thumbnails").retract("waiting")
    source.feed("news").publish("changed", id="c")
    Cli("none://")("copy", *urls)
    for name in source.get_feed_names():
        assert contents(target, name) == contents(source, name)
    assert target.job("thumbnails").stats().paused is False


class Stopped(Exception):
    """A run was stopped."""


def stop_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(self: Any) -> None:
        raise Stopped

    monkeypatch.setattr(copying.FeedCopy, "_finish", finish)


def test_a_move_that_was_stopped_after_the_source_was_deleted_is_finished(
    urls: tuple[str, str], source: Thoonk, target: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.job("j").put("x", id="a")
    stop_before_the_end(monkeypatch)
    with pytest.raises(Stopped):
        Cli("none://")("copy", *urls, "--move")
    monkeypatch.undo()
    assert not source.feed_exists("j")
    assert Cli("none://")("copy", *urls, "--move", "--dry-run").lines[0].split("\t")[3] == "finish"
    Cli("none://")("copy", *urls, "--move")
    assert target.job("j").get(timeout=1).id == "a"


def test_a_feed_that_another_copy_has_begun_is_left_alone(
    urls: tuple[str, str], source: Thoonk, target: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        source.queue(name).put("x")
    stop_before_the_end(monkeypatch)
    with pytest.raises(Stopped):
        Cli("none://")("copy", *urls, "one", "--as", "copy")
    done = Cli("none://")("copy", *urls, "two", "--as", "copy", "--merge", fails=5)
    assert "'copy' is the target of a copy that was interrupted, from feed 'one'" in done.err


def test_what_changes_meanwhile_is_copied_in_another_pass(
    urls: tuple[str, str], source: Thoonk, target: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = source.feed("f")
    feed.publish("old", id="a")
    feed.publish("gone", id="b")
    written = Writer.write
    changes = [lambda: feed.publish("new", id="a"), lambda: feed.retract("b")]

    def write(self: Writer, entries: Any) -> None:
        written(self, entries)
        if changes:
            changes.pop()()

    monkeypatch.setattr(Writer, "write", write)
    Cli("none://")("copy", *urls, "--move")
    assert target.feed("f").get_all() == {"a": "new"}


def test_a_backend_that_lacks_the_operations_gets_what_it_can_store(tmp_path: Path) -> None:
    with Thoonk(backend="embedded") as old, Thoonk(backend="embedded") as new:
        fill_all(old)
        execute = new.backend.execute

        def without(operation: Operation[Any]) -> Any:
            if isinstance(operation, ops.Restore | ops.ReadTimes):
                raise UnsupportedOperation("no")
            return execute(operation)

        backend = Backend(without)
        for name, kind in (
            ("news", FEED),
            ("todo", SORTED_FEED),
            ("letters", QUEUE),
            ("thumbnails", JOB),
        ):
            new.create_feed(name, {"type": kind})
            reader = Reader(old.backend, name, kind)
            writer = Writer(backend, name, kind)
            writer.write(reader.entries())
            writer.write_schedules(reader.schedules())
            assert writer.is_plain
            again = Reader(backend, name, kind)
            lost = ("result", "taken")
            expected = sorted(e.item or b"" for e in reader.entries() if e.what.value not in lost)
            assert sorted(e.item or b"" for e in again.entries()) == expected
        assert new.job("thumbnails").get_counts().scheduled == 1
        assert len(new.job("thumbnails").schedules()) == 1


class Backend:
    """One that is asked through a function."""

    def __init__(self, execute: Callable[[Operation[Any]], Any]) -> None:
        self.execute = execute


# --- processes that are killed ------------------------------------------------------------


def test_a_copy_that_is_killed_goes_on_and_nothing_is_lost_or_doubled(
    running_server: Callable[[str], servers.Server], tmp_path: Path
) -> None:
    file = f"sqlite:///{tmp_path}/jobs.db"
    for world in _world("redis-6.2", running_server):
        with Thoonk(backend=file) as source, Thoonk(backend=world.url) as target:
            job = source.job("j")
            ids = [job.put_many([f"{n}" for n in range(k, k + 1000)]) for k in range(0, MANY, 1000)]
            job.schedule("s", "x", every=600)
            words = [*PROGRAM, "copy", file, world.url, "--move"]
            slowly = [*words, "--batch", "50"]
            process = subprocess.Popen(slowly, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                until(lambda: copied(target) >= MANY // 3, 60)
                process.send_signal(signal.SIGKILL)
                process.communicate(timeout=30)
            finally:
                processes.kill(process)
            assert copied(target) < MANY
            # Nobody gets anything before all is there.
            assert target.job("j").stats().paused is True
            memory = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({LIMIT},) * 2)"
            run = f"{memory}; from thoonk.cli.app import app; app()"
            done = subprocess.run(
                [sys.executable, "-c", run, *words[3:]],
                capture_output=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert b"existed" in done.stdout
            assert source.get_feed_names() == set()
            copy = target.job("j")
            assert copy.count() == MANY
            assert copy.stats().paused is False
            first = [claim.id for claim in copy.get_many(500)]
            assert first == [id for some in ids for id in some][:500]
            assert len(copy.schedules()) == 1


LIMIT = 600 * 2**20
"""Bytes of address space: an interpreter has a part of it, all items at once would not fit."""


def copied(target: Thoonk) -> int:
    return target.backend.execute(ops.CountItems("j"))


def test_memory_is_bounded(tmp_path: Path) -> None:
    one, two = (f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two"))
    with Thoonk(backend=one) as source:
        for _ in range(3):
            source.queue("q").put_many(["x" * 1_000_000] * 20)
    code = (
        "import resource, sys; from thoonk.cli.app import app\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: app()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "copy", one, two], capture_output=True, timeout=120, check=True
    )
    assert done.stdout.startswith(b"q: 60 added\n")
    if sys.platform == "linux":
        assert int(done.stdout.split()[-1]) < 45_000  # kB, of 60 MB of items
