"""thoonk doctor sqlite:///FILE: what may be wrong with a file, and with the feeds in it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from thoonk import InvalidValue, Thoonk
from thoonk import operations as ops
from thoonk.backends.embedded import checkup, mounts
from thoonk.doctor import Report, examine
from thoonk.doctor.command import doctor
from thoonk.exceptions import BackendUnavailable

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with some feeds."""
    path = tmp_path / "jobs.db"
    with Thoonk(backend=url_of(path)) as thoonk:
        thoonk.feed("news").publish("x" * 100)
        thoonk.queue("letters").put_many(["y" * 50] * 2000)
    return path


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def checks(report: Report) -> list[str]:
    return [finding.check.name for finding in report.findings]


def looked_at(path: Path) -> Report:
    return examine(url_of(path))


def command(*arguments: str, code: int) -> str:
    result = CliRunner().invoke(doctor, arguments)
    assert result.exit_code == code, result.output
    return result.output


def test_a_file_that_is_well(path: Path) -> None:
    report = looked_at(path)
    assert report.findings == ()
    assert report.is_healthy
    assert report.server.startswith("SQLite 3.")
    assert report.server.endswith(str(path))
    assert [(size.feed, size.items, size.bytes) for size in report.sizes] == [
        ("letters", 2000, 100_000),
        ("news", 1, 100),
    ]
    assert [*path.parent.iterdir()] == [path]
    assert "nothing needs attention" in command(url_of(path), code=0)


def test_it_is_examined_while_it_is_used(path: Path) -> None:
    with Thoonk(backend=url_of(path)) as thoonk:
        queue = thoonk.queue("letters")
        queue.put("z")
        assert looked_at(path).is_healthy
        assert queue.get(timeout=1)


def test_a_damaged_file_is_told_and_left_as_it_is(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // PAGE // 2 * PAGE
    data[middle : middle + 2 * PAGE] = os.urandom(2 * PAGE)
    path.write_bytes(data)
    report = looked_at(path)
    assert checks(report) == ["damaged"]
    assert not report.is_healthy
    told = command(url_of(path), "--repair", code=1)
    assert ".recover" in told
    assert "restore a backup" in told
    assert path.read_bytes() == bytes(data)


def test_a_file_of_which_the_end_is_missing_is_damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert checks(looked_at(path)) == ["damaged"]


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"Once upon a time there was a text." * 100)
    assert checks(looked_at(path)) == ["not-a-database"]


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE accounts (name)")
    db.commit()
    db.close()
    before = path.read_bytes()
    assert checks(looked_at(path)) == ["foreign"]
    assert path.read_bytes() == before


def test_a_file_of_a_later_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    (finding,) = looked_at(path).findings
    assert finding.check.name == "newer"
    assert "version 99" in finding.says


def test_a_file_that_lost_its_log(path: Path) -> None:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    db.close()
    assert checks(looked_at(path)) == ["journal"]


def test_a_log_that_a_reader_keeps_from_being_begun_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "LARGE_LOG", 2**20)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM rows").fetchone()
    with Thoonk(backend=url_of(path)) as thoonk:
        for _ in range(20):
            thoonk.queue("letters").put_many(["z" * 1000] * 100)
        (finding,) = looked_at(path).findings
    reader.close()
    assert finding.check.name == "wal"
    assert "fuser" in finding.line


def test_much_that_is_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "FREE_PAGES", 10)
    db = sqlite3.connect(path)
    db.execute("DELETE FROM rows WHERE id IS NOT NULL")
    db.commit()
    db.close()
    (finding,) = looked_at(path).findings
    assert finding.check.name == "free-pages"
    assert not finding.is_fault


def test_a_disk_that_is_nearly_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "LITTLE_ROOM", 2**60)
    assert checks(looked_at(path)) == ["disk"]


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that any user may enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root may be anyone")
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_file_of_another_user(shared_folder: Path, path: Path, mode: int) -> None:
    copy = shared_folder / "jobs.db"
    shutil.copy(path, copy)
    copy.chmod(mode)
    os.seteuid(65534)
    try:
        found = checks(looked_at(copy))
    finally:
        os.seteuid(0)
    assert found == ["read-only"] * 2 if mode == 0o644 else "unreadable" in found


def test_there_has_to_be_something_to_examine(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(BackendUnavailable, match="does not exist"):
        looked_at(missing)
    assert "does not exist" in command(url_of(missing), code=69)
    assert not missing.exists()
    for url in ("sqlite://", "embedded", "embedded://x", "memory", "memory://x"):
        with pytest.raises(InvalidValue, match="examine"):
            examine(url)


# --- feeds ----------------------------------------------------------------------------------


def test_jobs_that_are_stuck_are_told_with_their_worker(path: Path) -> None:
    with Thoonk(backend=url_of(path)) as thoonk:
        job = thoonk.job("videos", {"claim_timeout": 60})
        job.put("x", id="hangs")
        claim = job.get(timeout=1)
        running = ops.ReportedJob("videos", "hangs")
        report = ops.WorkerReport("w", "host", 7, "1", ("videos",), 1, busy=1, jobs=(running,))
        thoonk.backend.execute(ops.ReportWorker(report, 60))
        assert looked_at(path).is_healthy
        (finding,) = examine(url_of(path), stuck_after=0.001).findings
        assert (finding.check.name, finding.feed, finding.ids) == ("stuck", "videos", ("hangs",))
        assert "by worker host:7" in finding.says
        assert examine(url_of(path), stuck_after=0.001, ignore=["stuck"]).is_healthy
        claim.finish()


def test_settings_schedules_and_names_are_looked_at(path: Path) -> None:
    with Thoonk(backend=url_of(path)) as thoonk:
        execute = thoonk.backend.execute
        execute(ops.CreateFeed("own", {"type": "stack"}))
        execute(ops.RegisterFeed("own"))
        execute(ops.RegisterFeed("gone"))
        execute(ops.CreateFeed("wrong", {"type": "feed", "max_length": "many"}))
        execute(ops.RegisterFeed("wrong"))
        execute(ops.CreateFeed("j", {"type": "job"}))
        execute(ops.RegisterFeed("j"))
        execute(ops.JobSchedule("j", ops.Schedule("s", b"x", cron="c"), ()))
        thoonk.job("j").put("x")
        thoonk.job("j").get(timeout=1)
    told = json.loads(command(url_of(path), "--json", code=1))
    assert {(each["feed"], each["check"]) for each in told["findings"]} == {
        ("gone", "half-deleted"),
        ("own", "own-type"),
        ("wrong", "config-value"),
        ("j", "no-run"),
        ("j", "endless"),
    }


# --- network file systems -------------------------------------------------------------------

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/my\\040files rw,relatime shared:9 master:3 - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /mnt/my\\040files/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /home/ann/remote rw,nosuid - fuse.sshfs ann@host:/ rw
33 22 0:42 / /mnt/share rw - cifs //host/share rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/app/jobs.db", ""),
        ("/mnt/my files/jobs.db", "nfs4"),
        ("/mnt/my files/local/jobs.db", ""),
        ("/mnt/my filesystem/jobs.db", ""),
        ("/home/ann/remote/a/b.db", "fuse.sshfs"),
        ("/mnt/share", "cifs"),
    ],
)
def test_network_file_systems_are_known(tmp_path: Path, path: str, kind: str) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_text(MOUNTINFO)
    assert mounts.network_file_system_of(path, listed) == kind
    assert mounts.network_file_system_of(path, tmp_path / "none") == ""


def test_a_real_mount_is_found() -> None:
    if mounts.MOUNTS.exists():
        assert mounts.file_system_of("/proc/self/status") == "proc"


def test_a_file_on_a_network_file_system_is_warned_of(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # To mount one takes rights that a test does not have: the list of mounts says it is one.
    listed = path.parent / "mountinfo"
    listed.write_text(f"30 1 0:40 / {path.parent} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(mounts.network_file_system_of, "__defaults__", (listed,))
    with Thoonk(backend=url_of(path)) as thoonk:
        thoonk.queue("letters").put("x")
    (record,) = [each for each in caplog.records if getattr(each, "event", "") == "file_on_network"]
    assert "nfs4" in record.getMessage()
    (finding,) = looked_at(path).findings
    assert finding.check.name == "network"
