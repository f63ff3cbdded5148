"""What the doctor says of the server itself, and of notes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import servers

from thoonk import AccessDenied, BackendUnavailable, InvalidValue, Thoonk
from thoonk.doctor import Report, Severity, examination, examine
from thoonk.doctor.probe import Probe
from thoonk.doctor.server import ServerFacts, examine_server
from thoonk.testing._sync.helpers import until

NAMES = list(servers.binaries())
SAVES = ("--save", "900", "1")

Start = Callable[..., Any]


@pytest.fixture(params=NAMES)
def start(request: pytest.FixtureRequest, any_server: Start) -> Iterator[Start]:
    """Start a server of each kind, with options."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(any_server(*options, name=request.param))


def told(report: Report) -> dict[str, Severity]:
    return {finding.check.name: finding.check.severity for finding in report.findings}


def test_a_server_that_keeps_its_data_is_healthy(start: Start) -> None:
    assert told(examine(start(*SAVES).url)) == {}
    assert told(examine(start("--appendonly", "yes").url)) == {}


def test_a_server_without_persistence_is_told(start: Start) -> None:
    report = examine(start().url)
    assert told(report) == {"persistence": Severity.WARNING}
    assert not report.is_healthy


def test_a_server_that_evicts_is_told(start: Start) -> None:
    server = start(*SAVES, "--maxmemory-policy", "allkeys-lru")
    report = examine(server.url)
    assert told(report) == {"eviction": Severity.ERROR}
    assert "maxmemory is not set yet" in report.findings[0].line
    with server.client() as client:
        client.config_set("maxmemory", "100mb")
    assert "not set yet" not in examine(server.url).findings[0].line


def test_a_server_that_is_nearly_full_is_told(start: Start) -> None:
    server = start(*SAVES)
    with server.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.05))
        assert told(examine(server.url)) == {"maxmemory": Severity.WARNING}


def test_a_server_that_cannot_save_is_told(start: Start) -> None:
    server = start(*SAVES)
    (server.folder / "dump.rdb" / "in the way").mkdir(parents=True)
    with server.client() as client:
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert told(examine(server.url)) == {"saving": Severity.ERROR}


def test_a_replica_is_told(start: Start) -> None:
    master = start(*SAVES)
    replica = start(*SAVES, "--replicaof", "127.0.0.1", str(master.port))
    with replica.client() as client, master.client() as of_master:
        until(lambda: client.info("replication")["master_link_status"] == "up", 30)
        until(lambda: of_master.info("replication")["slave0"]["state"] == "online", 30)
        assert told(examine(replica.url)) == {"role": Severity.ERROR}
        assert told(examine(master.url)) == {}
        master.kill()
        until(lambda: client.info("replication")["master_link_status"] == "down", 30)
        assert set(told(examine(replica.url))) == {"role", "replication"}


def test_a_clock_that_is_not_ours_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server, real = start(*SAVES), time.time
    monkeypatch.setattr(examination.time, "time", lambda: real() + 100)
    report = examine(server.url)
    assert told(report) == {"clock": Severity.WARNING}
    assert "99.9 s behind" in report.findings[0].says or "100.0 s behind" in report.findings[0].says
    monkeypatch.setattr(examination.time, "time", lambda: real() - 100)
    assert "s ahead of ours" in examine(server.url).findings[0].says


def test_an_old_server_is_told() -> None:
    facts = ServerFacts({"redis_version": "5.0.14", "aof_enabled": 1}, "", 0.0)
    assert [finding.check.name for finding in examine_server(facts)] == ["version"]
    assert not list(examine_server(ServerFacts({**facts.info, "redis_version": "6.2.0"}, "", 0)))


def test_a_replica_that_is_not_in_step_is_told() -> None:
    replica = {"ip": "10.0.0.1", "port": 6379, "state": "wait_bgsave"}
    facts = ServerFacts({"aof_enabled": 1, "connected_slaves": 1, "slave0": replica}, "", 0.0)
    assert [finding.check.name for finding in examine_server(facts)] == ["replication"]


def words_of_the_rule() -> list[str]:
    """The words of the command in docs/doctor.md that makes such a user."""
    text = (Path(__file__).parents[2] / "docs/doctor.md").read_text("utf-8")
    block = re.search(r"```text\n(ACL SETUSER .*?)```", text, re.DOTALL)
    assert block is not None
    return block[1].replace("PASSWORD", "secret").split()


@pytest.mark.parametrize("name", NAMES)
def test_the_rights_that_the_page_names_are_enough(any_server: Start, name: str) -> None:
    """And without INFO and CONFIG it says what it did not see; without the rest it says no."""
    with any_server(*SAVES, name=name) as server, server.client() as client:
        url = server.url.replace("//", "//watch:secret@")
        with Thoonk(backend=server.url) as thoonk:
            thoonk.job("job").put("x")
        client.execute_command(*words_of_the_rule())
        report = examine(url)
        assert told(report) == {}
        assert report.sizes[0].bytes > 0
        client.hset("feed.items:job", "x", "y")
        assert told(examine(url, patience=0)) == {"retracted": Severity.WARNING}
        client.execute_command("ACL", "SETUSER", "watch", "-info", "-config", "-memory")
        report = examine(url, patience=0, ignore=["retracted"])
        assert told(report) == {"unseen": Severity.NOTE}
        assert report.is_healthy
        client.execute_command("ACL", "SETUSER", "watch", "-scan")
        with pytest.raises(AccessDenied):
            examine(url)
        with pytest.raises(AccessDenied):
            examine(url.replace("secret", "wrong"))


@pytest.mark.parametrize("what", ["of another type", "not allowed"])
def test_a_repair_that_cannot_be_done_whole_writes_nothing(start: Start, what: str) -> None:
    writes = [(b"SADD", b"a", b"x"), (b"HSET", b"b", b"x", b"y")]
    with start().client() as client:
        if what == "of another type":
            client.set("b", "a text")
            assert Probe(client).repair([], [], writes) is False
        elif client.info("server")["redis_version"].startswith("6"):
            return  # it cannot be asked
        else:
            client.acl_setuser("default", commands=["-hset"])
            with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)no permission"):
                Probe(client).repair([], [], writes)
        assert client.exists("a") == 0


def test_notes_are_told_and_do_not_count(start: Start) -> None:
    server = start(*SAVES)
    with Thoonk(backend=server.url) as thoonk, server.client() as client:
        job = thoonk.job("job")
        job.put("x")
        claim = job.get(timeout=5)
        client.sadd("feeds", "mine")
        client.hset("feed.config:mine", mapping={"type": "graph", "colour": "blue"})
        client.rpush("feed.ids:mine", "whatever")
        client.set("feed.future:job", "x")
        report = examine(server.url)
        notes = {"endless", "own-type", "unknown-key"}
        assert told(report) == dict.fromkeys(notes, Severity.NOTE)
        assert report.is_healthy
        assert told(examine(server.url, ignore=notes)) == {}
        claim.finish()
        assert "endless" not in told(examine(server.url))


def test_more_candidates_than_are_looked_at_closely_are_repaired_in_rounds(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(*SAVES)
    monkeypatch.setattr(examination, "CLOSELY", 10)
    with Thoonk(backend=server.url) as thoonk, server.client() as client:
        job = thoonk.job("job")
        ids = {job.put("x") for _ in range(35)}
        client.delete("feed.ids:job")
        report = examine(server.url, patience=0)
        assert told(report) == {"lost": Severity.ERROR, "more": Severity.NOTE}
        assert report.findings[0].count == 10
        report = examine(server.url, patience=0, repair=True)
        assert told(report) == {"lost": Severity.ERROR}
        assert report.findings[0].repaired == 35
        assert {job.get(timeout=5).id for _ in ids} == ids


def test_secrets_are_not_told(start: Start) -> None:
    """A token entitles to end the claim, and a URL may hold a password."""
    server = start(*SAVES)
    with server.client() as client, Thoonk(backend=server.url) as thoonk:
        thoonk.job("job")
        client.hset("feed.tokens:job", "secret", "x")
        report = examine(server.url, patience=0)
        assert told(report) == {"token": Severity.WARNING}
        assert "secret" not in str(report.as_dict())
    with pytest.raises(BackendUnavailable) as failed:
        examine("redis://user:secret@127.0.0.1:1/0")
    assert "secret" not in str(failed.value)
    with pytest.raises(InvalidValue) as refused:
        examine("http://user:secret@localhost")
    assert "secret" not in str(refused.value)


def test_arguments_that_make_no_sense_are_refused() -> None:
    for url in ("sqlite://", "embedded", "memory://m"):
        with pytest.raises(InvalidValue, match=r"examined|nothing to examine"):
            examine(url)
    with pytest.raises(InvalidValue, match="patience"):
        examine("redis://localhost", patience=-1)
    with pytest.raises(InvalidValue, match=r"unknown check sniffles; known: .*eviction"):
        examine("redis://localhost", ignore=["sniffles"])
