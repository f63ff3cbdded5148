"""What may be wrong with a file, and what users are told then."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from thoonk import Thoonk
from thoonk.backends.embedded import changes
from thoonk.exceptions import (
    BackendError,
    BackendFull,
    BackendUnavailable,
    Closed,
    InvalidValue,
    ThoonkError,
)
from thoonk.operations import GetConfig, QueueTake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feeds.db"


@pytest.fixture
def thoonk(path: Path) -> Iterator[Thoonk]:
    with Thoonk(backend=f"sqlite:///{path}", retry_for=0.2) as client:
        yield client


def opened(path: Path, **options: Any) -> None:
    Thoonk(backend=f"sqlite:///{path}", **options).close()


def test_what_was_stored_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        thoonk.job("j").put("x", id="one")
        thoonk.feed("news").publish("y", id="two")
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        assert thoonk.get_feed_names() == {"j", "news"}
        assert thoonk.job("j").get_all() == {"one": "x"}
        assert thoonk.feed("news").get_all() == {"two": "y"}
    assert [*path.parent.iterdir()] == [path]


def test_a_file_that_is_none_of_ours_is_refused(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"Once upon a time there was a text." * 100)
    with pytest.raises(BackendError, match="not an SQLite database"):
        opened(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE accounts (name)")
    db.close()
    with pytest.raises(BackendError, match="another program"):
        opened(other)
    with pytest.raises(BackendUnavailable, match="cannot be opened"):
        opened(tmp_path / "no such folder" / "feeds.db")
    with pytest.raises(BackendUnavailable, match="cannot be opened"):
        opened(tmp_path)


def test_a_file_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    opened(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(BackendError, match=r"later version.*99"):
        opened(path)
    assert path.read_bytes() == before


def test_a_file_that_stays_locked_is_an_error_that_says_so(thoonk: Thoonk, path: Path) -> None:
    queue = thoonk.queue("q")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(BackendUnavailable, match="stayed locked"):
        queue.put("x")
    # Reading goes on meanwhile.
    assert queue.count() == 0
    db.execute("ROLLBACK")
    db.close()
    queue.put("y")
    assert queue.get(timeout=0) == "y"


def test_a_full_disk_leaves_nothing_half_written(thoonk: Thoonk) -> None:
    feed = thoonk.feed("f", serializer="binary")
    db = thoonk.backend.core.store.db
    most = db.execute("PRAGMA max_page_count").fetchone()[0]
    used = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {used + 60}")
    published = 0
    with pytest.raises(BackendFull, match="no room"):
        while True:
            feed.publish(bytes(10_000), id=str(published))
            published += 1
    assert 0 < published == feed.count()
    feed.retract("0")
    db.execute(f"PRAGMA max_page_count = {most}")
    feed.publish(b"again", id="again")
    assert feed.get_ids() == [*map(str, range(1, published)), "again"]
    assert thoonk.backend.core.store.db.execute("PRAGMA quick_check").fetchone() == ("ok",)


@pytest.mark.parametrize("by", ["removing", "replacing"])
def test_a_file_that_goes_away_is_noticed(thoonk: Thoonk, path: Path, by: str) -> None:
    queue = thoonk.queue("q")
    queue.put("x")
    path.unlink()
    if by == "replacing":
        path.write_bytes(b"")
    thoonk.backend.core.store._look_at = 0.0
    with pytest.raises(BackendUnavailable, match="removed or replaced"):
        queue.put("y")


def test_a_log_that_goes_away_is_noticed(thoonk: Thoonk, path: Path) -> None:
    """What is written to it from then on nobody else would see, and a crash would lose."""
    queue = thoonk.queue("q")
    queue.put("x")
    path.with_name("feeds.db-wal").unlink()
    thoonk.backend.core.store._look_at = 0.0
    with pytest.raises(BackendUnavailable, match=r"wal was removed"):
        queue.put("y")
    thoonk.close()
    with Thoonk(backend=f"sqlite:///{path}") as other:
        assert other.queue("q").count() == 1


def test_a_file_that_went_away_is_not_made_again(path: Path) -> None:
    with Thoonk(backend=f"sqlite:///{path}", retry_for=0.2) as thoonk:
        queue = thoonk.queue("q")
        queue.put("x")
        store = thoonk.backend.core.store
        # As at a fork.
        store.before_fork()
        path.unlink()
        store.after_fork(in_child=False)
        with pytest.raises(BackendUnavailable, match="removed or replaced"):
            queue.put("y")
        assert not path.exists()


def test_by_a_link_it_is_the_same_file(thoonk: Thoonk, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    taken: list[str] = []
    with Thoonk(backend=f"sqlite:///{link}") as other:
        taker = threading.Thread(target=lambda: taken.append(other.queue("q").get(timeout=60)))
        taker.start()
        watched = other.backend.core.watch()
        assert isinstance(watched._changes, changes.Notified) or sys.platform != "linux"
        thoonk.queue("q").put("x")
        taker.join()
    assert taken == ["x"]
    assert not link.with_name("link.db-wal").exists()


def test_closing_does_not_wait_for_a_file_that_is_locked(path: Path) -> None:
    with Thoonk(backend=f"sqlite:///{path}", retry_for=60) as thoonk:
        with thoonk.feed("f").subscribe():
            db = sqlite3.connect(path, isolation_level=None)
            db.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            thoonk.close()
            assert time.monotonic() - began < 30
            db.close()


@pytest.mark.parametrize("step", ["execute", "watch", "add_listener"])
def test_closing_overtakes_a_call_of_another_thread(
    thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    thoonk.queue("q")
    backend = thoonk.backend
    calls: dict[str, Callable[[], object]] = {
        "execute": lambda: backend.execute(GetConfig("q")),
        "watch": lambda: backend.wait(QueueTake("q", "1-1"), 30),
        "add_listener": lambda: backend.listen("q"),
    }
    has_begun, is_closed = threading.Event(), threading.Event()
    real_step = getattr(backend.core, step)

    def late(*args: object) -> object:
        has_begun.set()
        assert is_closed.wait(60)
        return real_step(*args)

    monkeypatch.setattr(backend.core, step, late)
    raised: list[BaseException] = []

    def call() -> None:
        with pytest.raises(ThoonkError) as caught:
            calls[step]()
        raised.append(caught.value)

    caller = threading.Thread(target=call)
    caller.start()
    assert has_begun.wait(60)
    thoonk.close()
    is_closed.set()
    caller.join()
    assert [type(error) for error in raised] == [Closed]
    assert "thoonk-sqlite" not in [thread.name for thread in threading.enumerate()]


def test_a_signal_handler_closes_in_the_middle_of_a_call(
    thoonk: Thoonk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = thoonk.queue("q")
    store = thoonk.backend.core.store
    real_add = store.add

    def add(*args: Any) -> None:
        thoonk.close()
        real_add(*args)

    monkeypatch.setattr(store, "add", add)
    with pytest.raises(Closed):
        queue.put("x")
    with Thoonk(backend=f"sqlite:///{path}") as again:
        assert len(again.queue("q")) == 0


@pytest.mark.parametrize("when", ["begins", "has begun", "rolls back"])
def test_ctrl_c_leaves_no_lock(
    thoonk: Thoonk, path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    queue = thoonk.queue("q")
    store = thoonk.backend.core.store
    real_begin, real_add = store.begin, store.add

    def begin(statement: str) -> None:
        if when == "has begun":
            real_begin(statement)
        raise KeyboardInterrupt

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if when == "rolls back":
            patch.setattr(store, "add", interrupt)
            patch.setattr(store, "roll_back", interrupt)
        else:
            patch.setattr(store, "begin", begin)
        with pytest.raises(KeyboardInterrupt):
            queue.put("x")
    if when != "rolls back":
        with Thoonk(backend=f"sqlite:///{path}", retry_for=0.2) as other:
            other.queue("q").put("y")
            assert other.queue("q").get(timeout=0) == "y"
    queue.put("z")
    assert queue.get(timeout=0) == "z"
    assert queue.count() == 0
    with Thoonk(backend=f"sqlite:///{path}", retry_for=0.2) as other:
        other.queue("q").put("y")
    assert real_add == store.add


def test_many_clients_of_one_process_take_turns(path: Path) -> None:
    opened(path)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Thoonk(backend=f"sqlite:///{path}") as thoonk:
                queue = thoonk.queue("q")
                for number in range(5):
                    queue.put(str(number))
                for _ in range(5):
                    queue.get(timeout=60)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        assert thoonk.queue("q").count() == 0


def test_a_damaged_file_is_an_error_of_this_library(path: Path) -> None:
    with Thoonk(backend=f"sqlite:///{path}") as thoonk:
        thoonk.feed("f").publish_many([str(number) * 50 for number in range(2000)])
    data = bytearray(path.read_bytes())
    data[4096:-4096] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with (
        pytest.raises(ThoonkError, match=r"damaged|not an SQLite"),
        Thoonk(backend=f"sqlite:///{path}") as thoonk,
    ):
        thoonk.feed("f").get_all()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x.db?synchronous=off", "normal or full"),
        ("sqlite:///x.db?mode=ro", "mode"),
        ("embedded://x?synchronous=full", "no options"),
    ],
)
def test_options_that_make_no_sense_are_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(said)):
        Thoonk(backend=url)


def test_names_and_ids_may_be_any_text(thoonk: Thoonk) -> None:
    for name in ("a b:c\n", "ü\U0001f600", "\udcff"):
        feed = thoonk.feed(name)
        feed.publish("x", id=name)
        assert feed.get_ids() == [name]
        thoonk.queue(name + "q").put("x")
        take = QueueTake(name + "q", token=name)
        assert [entry.item for entry in thoonk.backend.execute(take).entries] == [b"x"]
        assert len(thoonk.backend.execute(take).entries) == 1
    assert thoonk.get_feed_names() > {"a b:c\n", "ü\U0001f600", "\udcff"}


def test_a_long_feed_is_deleted_at_once_and_its_room_is_used_again(thoonk: Thoonk) -> None:
    queue = thoonk.queue("q")
    queue.put_many(["x" * 100] * 5000)
    thoonk.delete_feed("q")
    store = thoonk.backend.core.store
    other = thoonk.feed("f")
    assert other.count() == 0
    for _ in range(10 * 256):
        other.publish("y", id="one")
        if store.number("SELECT count(*) FROM feeds") == 1:
            break
    assert store.number("SELECT count(id) FROM rows") == 1


def test_a_file_gives_back_the_room_that_it_does_not_need(thoonk: Thoonk, path: Path) -> None:
    feed = thoonk.feed("f", serializer="binary")
    feed.publish_many({str(number): bytes(10_000) for number in range(1500)})
    db = thoonk.backend.core.store.db
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    long = path.stat().st_size
    feed.retract_many(feed.get_ids())
    queue = thoonk.queue("q")
    for _ in range(20 * 256):
        queue.put("x")
        queue.get(timeout=1)
        if db.execute("PRAGMA freelist_count").fetchone()[0] <= 1000:
            break
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < long / 2


@pytest.mark.parametrize("backend", ["embedded", "sqlite://"])
def test_nothing_but_the_standard_library_and_attrs_is_imported(backend: str) -> None:
    program = f"""
import sys
from thoonk import Thoonk
with Thoonk(backend={backend!r}) as thoonk:
    thoonk.queue("q").put("x")
bad = {{"redis", "fakeredis", "hiredis", "lupa"}} & {{*sys.modules}}
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_processes_that_open_and_close_one_file_at_once_do_not_lock_each_other_out(
    tmp_path: Path,
) -> None:
    # The last to close removes the log, and the next to open makes it again.
    script = """
        import sys
        from thoonk import Thoonk
        for _ in range(40):
            with Thoonk(backend=sys.argv[1]) as thoonk:
                thoonk.queue("q").put("x")
    """
    url = f"sqlite:///{tmp_path / 'feeds.db'}"
    command = [sys.executable, "-c", textwrap.dedent(script), url]
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        assert [program.communicate(timeout=60)[1] for program in programs] == [""] * 4
    finally:
        for program in programs:
            program.kill()
    with Thoonk(backend=url) as thoonk:
        assert len(thoonk.queue("q")) == 160
