"""Servers come and go, refuse and fill up: each is ridden out or told by one clear error."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import servers
from conftest import World, _binary
from either import entered, settle

from thoonk import (
    AsyncThoonk,
    Claim,
    Empty,
    Job,
    NotClaimed,
    Thoonk,
    ThoonkError,
)
from thoonk.backends.redis._async import backend as async_backend
from thoonk.backends.redis._async import blocking as async_blocking
from thoonk.backends.redis._async import pubsub as async_pubsub
from thoonk.backends.redis._sync import backend as sync_backend
from thoonk.backends.redis._sync import blocking as sync_blocking
from thoonk.backends.redis._sync import pubsub as sync_pubsub
from thoonk.exceptions import AccessDenied, BackendFull, BackendUnavailable, OutcomeUnknown
from thoonk.notices import Gap, Published
from thoonk.operations import Entry, QueuePut
from thoonk.testing.proxy import between

NAMES = ["redis-6.2", "valkey-8.1"]
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    """A server of the test's own that forgets nothing it has acknowledged."""
    with servers.running(_binary(request.param), *DURABLE) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Opens a client of either kind; `settle` takes the answers of both."""
    return {"sync": Thoonk, "async": AsyncThoonk}[request.param]


SLACK = 8.0
"""Seconds by which a call may end too late, because the machine is busy."""


def poll(condition: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.005)
    return value


@contextlib.contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[threading.Thread]:
    """Do it in a thread; what it raises is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    if failures:
        raise failures[0]


def restart(server: servers.Server) -> None:
    server.kill(signal.SIGKILL)
    time.sleep(0.1)
    server.start()


def blocked(server: servers.Server) -> bool:
    with contextlib.closing(server.client()) as raw, contextlib.suppress(redis.RedisError):
        return int(raw.info("clients")["blocked_clients"]) > 0  # type: ignore[index]
    return False


# --- what goes on without an error --------------------------------------------------------


@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_a_blocked_get_survives_a_restart_and_takes_the_next_item(
    server: servers.Server, client: Callable[..., Any], kind: str
) -> None:
    def trouble() -> None:
        poll(lambda: blocked(server))
        restart(server)
        poll(lambda: blocked(server))
        with Thoonk(backend=server.url) as other:
            getattr(other, kind)("f").put("next")

    async with entered(client(backend=server.url)) as thoonk:
        feed = await settle(getattr(thoonk, kind)("f"))
        with meanwhile(trouble):
            got = await settle(feed.get(timeout=20))
        assert (got if kind == "queue" else got.item) == "next"
        with pytest.raises(Empty):
            await settle(feed.get_nowait())


def kill_clients(server: servers.Server) -> None:
    with contextlib.closing(server.client()) as raw:
        raw.client_kill_filter(_type="normal")


def flush_scripts(server: servers.Server) -> None:
    with contextlib.closing(server.client()) as raw:
        raw.script_flush()


@pytest.mark.parametrize(
    ("trouble", "times"), [(restart, 3), (kill_clients, 60), (flush_scripts, 60)]
)
async def test_each_call_has_its_one_effect_whatever_the_server_goes_through(
    server: servers.Server,
    client: Callable[..., Any],
    trouble: Callable[[servers.Server], None],
    times: int,
) -> None:
    over = threading.Event()

    def troubles() -> None:
        try:
            for _ in range(times):
                time.sleep(0.6 / times)
                trouble(server)
        finally:
            over.set()

    async with entered(client(backend=server.url)) as thoonk:
        f, s = await settle(thoonk.feed("f")), await settle(thoonk.sorted_feed("s"))
        q, j = await settle(thoonk.queue("q")), await settle(thoonk.job("j"))
        rounds = 0
        ids, taken = [], []
        with meanwhile(troubles):
            while not over.is_set():
                rounds += 1
                ids.append(await settle(f.publish(str(rounds))))
                assert await settle(s.append("x")) == str(rounds)
                await settle(q.put(str(rounds)))
                taken.append(await settle(q.get(timeout=10)))
                await settle(j.put(str(rounds)))
                claim = await settle(j.get(timeout=10))
                assert (claim.item, claim.cancelled) == (str(rounds), 0)
                await settle(claim.finish())
        assert await settle(f.get_ids()) == ids
        assert await settle(s.get_ids()) == taken == [str(n + 1) for n in range(rounds)]
    with contextlib.closing(server.client()) as raw:
        assert {int(raw.get(f"feed.publishes:{name}")) for name in "fsqj"} == {rounds}
        assert int(raw.get("feed.finishes:j")) == rounds
        words = ("items", "ids", "reserved", "claimed", "holders", "tokens")
        assert not raw.exists(*(f"feed.{word}:{name}" for word in words for name in "qj"))


# --- subscribers ------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [restart, "kill"])
async def test_a_subscriber_is_told_of_the_gap_a_lost_connection_makes(
    server: servers.Server, client: Callable[..., Any], trouble: Any
) -> None:
    async with entered(client(backend=server.url)) as thoonk:
        feed = await settle(thoonk.feed("f"))
        async with entered(feed.subscribe()) as notices:
            await settle(feed.publish("x", id="before"))
            assert (await settle(notices.get(timeout=5))).id == "before"
            if trouble == "kill":
                with contextlib.closing(server.client()) as raw:
                    raw.client_kill_filter(_type="pubsub")
            else:
                trouble(server)
            await settle(feed.publish("x", id="between"))
            assert await settle(notices.get(timeout=10)) == Gap("f")
            await settle(feed.publish("x", id="after"))
            heard = [(await settle(notices.get(timeout=5))).id]
            if heard == ["between"]:  # published when it was subscribed again
                heard = [(await settle(notices.get(timeout=5))).id]
            assert heard == ["after"]


def test_handlers_are_told_of_the_gap_a_restart_makes(server: servers.Server) -> None:
    heard: list[str] = []
    with Thoonk(backend=server.url, listen=True) as thoonk:
        thoonk.register_handler("gap", lambda feed: heard.append("gap"))
        thoonk.register_handler("publish", lambda *words: heard.append(words[2]))
        feed = thoonk.feed("f")
        restart(server)
        poll(lambda: heard)
        feed.publish("x", id="after")
        poll(lambda: "after" in heard)
    assert heard == ["gap", "after"]


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch) -> float:
    """Dead connections are noticed after this many seconds."""
    for module in (sync_pubsub, async_pubsub):
        monkeypatch.setattr(module, "PING_AFTER", 0.3)
        monkeypatch.setattr(module, "PING_DEADLINE", 0.4)
    return 0.7


def test_a_dead_connection_is_noticed_within_fifteen_seconds_by_default() -> None:
    for module in (sync_pubsub, async_pubsub):
        assert module.PING_AFTER + module.PING_DEADLINE == 15.0


async def test_a_half_open_connection_is_noticed_in_time_and_told_as_a_gap(
    server: servers.Server,
    client: Callable[..., Any],
    quick_pings: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with between(server) as proxy, Thoonk(backend=server.url) as direct:
        noticed: list[float] = []

        def freeze() -> None:
            time.sleep(0.1)
            proxy.freeze()
            direct.feed("f").publish("x", id="missed")
            since = time.monotonic()
            try:
                poll(lambda: "is dead" in caplog.text)
                noticed.append(time.monotonic() - since)
            finally:
                proxy.thaw()

        async with entered(client(backend=proxy.url)) as thoonk:
            feed = await settle(thoonk.feed("f"))
            async with entered(feed.subscribe()) as notices:
                with caplog.at_level(logging.WARNING, "thoonk.notices"), meanwhile(freeze):
                    assert await settle(notices.get(timeout=10)) == Gap("f")
                assert noticed[0] < quick_pings + SLACK  # fifteen by default
                direct.feed("f").publish("x", id="after")
                assert (await settle(notices.get(timeout=5))).id == "after"


async def test_a_silent_but_living_connection_makes_no_gap(
    server: servers.Server, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sync_pubsub, async_pubsub):
        monkeypatch.setattr(module, "PING_AFTER", 0.3)
        # What is slow is not dead.
        monkeypatch.setattr(module, "PING_DEADLINE", 2.5)
    async with entered(client(backend=server.url)) as thoonk:
        feed = await settle(thoonk.feed("f"))
        async with entered(feed.subscribe()) as notices:
            with pytest.raises(Empty):
                await settle(notices.get(timeout=3.5))
            await settle(feed.publish("x", id="a"))
            assert await settle(notices.get(timeout=5)) == Published("f", "a", "x")


# --- a server that is not there -------------------------------------------------------------


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the backends try."""
    counts = {"attempt": 0, "wait": 0, "subscribe": 0}

    def count(cls: type, method: str, name: str) -> None:
        original = getattr(cls, method)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(cls, method, counting)

    for backend in (sync_backend.RedisBackend, async_backend.AsyncRedisBackend):
        count(backend, "_attempt", "attempt")
        count(backend, "wait", "wait")
    for pubsub in (
        sync_pubsub.PubSub,
        async_pubsub.AsyncPubSub,
    ):
        count(pubsub, "_connect", "subscribe")
    return counts


async def _error_of(call: Callable[[], Any]) -> tuple[ThoonkError, float]:
    since = time.monotonic()
    with pytest.raises(ThoonkError) as caught:
        await settle(call())
    return caught.value, time.monotonic() - since


@pytest.mark.parametrize("state", ["stopped", "gone"])
async def test_a_server_that_is_away_is_a_clear_error_in_bounded_time(
    server: servers.Server, client: Callable[..., Any], attempts: dict[str, int], state: str
) -> None:
    options = {"retry_for": 1.0, "socket_timeout": 0.4, "socket_connect_timeout": 0.4}
    async with entered(client(backend=server.url, **options)) as thoonk:
        feed, queue = await settle(thoonk.feed("f")), await settle(thoonk.queue("q"))
        await settle(queue.put("first"))
        server.kill(signal.SIGSTOP if state == "stopped" else signal.SIGKILL)
        try:
            attempts.clear()
            attempts.update(attempt=0, wait=0, subscribe=0)
            error, seconds = await _error_of(lambda: queue.put("second"))
            # Of a stopped server nobody knows whether it will do it when it goes on.
            expected = (
                (OutcomeUnknown,)
                if state == "stopped"
                else (
                    BackendUnavailable,
                    OutcomeUnknown,
                )
            )
            assert isinstance(error, expected)
            assert seconds < 1.0 + 0.4 + SLACK
            error, seconds = await _error_of(feed.get_ids)
            assert isinstance(error, BackendUnavailable)
            assert seconds < 1.0 + 0.4 + SLACK
            assert 2 <= attempts["attempt"] < 30
        finally:
            if state == "stopped":
                server.kill(signal.SIGCONT)
            else:
                server.start()
        got = [await settle(queue.get(timeout=5))]
        with contextlib.suppress(Empty):
            got.append(await settle(queue.get_nowait()))
        assert got in (["first"], ["first", "second"])


@pytest.mark.parametrize("state", ["stopped", "gone"])
async def test_a_blocked_get_does_not_hammer_at_a_server_that_is_away(
    server: servers.Server,
    client: Callable[..., Any],
    attempts: dict[str, int],
    state: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for backend in (sync_blocking, async_blocking):
        monkeypatch.setattr(backend, "REPLY_MARGIN", 1.0)

    def leave() -> None:
        poll(lambda: blocked(server))
        server.kill(signal.SIGSTOP if state == "stopped" else signal.SIGKILL)

    options = {"retry_for": 0.5, "socket_timeout": 0.4, "socket_connect_timeout": 0.4}
    try:
        async with entered(client(backend=server.url, **options)) as thoonk:
            queue = await settle(thoonk.queue("q"))
            with meanwhile(leave):
                busy = time.process_time()
                error, seconds = await _error_of(lambda: queue.get(timeout=3))
                busy = time.process_time() - busy
            assert isinstance(error, (BackendUnavailable, OutcomeUnknown))
            # A reply may be late by as much as REPLY_MARGIN before its connection is given up.
            assert 3 <= seconds < 3 + sync_blocking.REPLY_MARGIN + SLACK
            assert attempts["attempt"] + attempts["wait"] < 60
            assert busy < 1.5
    finally:
        if state == "stopped":
            server.kill(signal.SIGCONT)


async def test_a_subscriber_does_not_hammer_at_a_server_that_is_away(
    server: servers.Server, client: Callable[..., Any], attempts: dict[str, int]
) -> None:
    async with entered(client(backend=server.url, retry_for=0.5)) as thoonk:
        feed = await settle(thoonk.feed("f"))
        async with entered(feed.subscribe()) as notices:
            server.kill(signal.SIGKILL)
            with pytest.raises(Empty):
                await settle(notices.get(timeout=3))
            assert attempts["subscribe"] < 15
            while attempts["subscribe"] < 3:
                with pytest.raises(Empty):
                    await settle(notices.get(timeout=0.2))
            server.start()
            assert await settle(notices.get(timeout=20)) == Gap("f")


# --- a server that refuses ----------------------------------------------------------------------


async def test_a_wrong_password_is_refused_at_once_and_never_shown(
    any_server: Callable[..., Any], client: Callable[..., Any], attempts: dict[str, int]
) -> None:
    with servers.running(_binary("redis-6.2")) as server:
        with contextlib.closing(server.client()) as raw:
            raw.config_set("requirepass", "right")
        for url in (f"redis://:wr0ng-Secret@127.0.0.1:{server.port}/0", server.url):
            attempts.update(attempt=0)
            thoonk = client(backend=url)
            error, seconds = await _error_of(lambda thoonk=thoonk: thoonk.feed("f"))
            assert isinstance(error, AccessDenied)
            assert seconds < 2
            assert attempts["attempt"] == 1
            assert "wr0ng-Secret" not in f"{error!r} {error.__cause__!r} {thoonk!r}"
            await settle(thoonk.close())
        async with entered(client(backend=f"redis://:right@127.0.0.1:{server.port}/0")) as thoonk:
            await settle(thoonk.feed("f"))
        # The password is changed while a client is at work: told, not tried for ever.
        with contextlib.closing(server.client(password="right")) as raw:
            async with entered(client(backend=f"redis://:right@127.0.0.1:{server.port}/0")) as t:
                feed = await settle(t.feed("f"))
                raw.config_set("requirepass", "other")
                raw.client_kill_filter(_type="normal", skipme=True)
                error, seconds = await _error_of(lambda: feed.publish("x"))
                assert isinstance(error, AccessDenied)
                assert seconds < 2


def _certificates(folder: Path) -> None:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    for ca in ("ca", "other"):
        files = ("-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        openssl("req", "-x509", *new_key, *files, "-days", "2", "-subj", f"/CN={ca}")
    openssl("req", *new_key, "-keyout", "s.key", "-out", "s.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=DNS:localhost")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
    openssl("x509", "-req", "-in", "s.csr", *signing, "-out", "s.pem", "-days", "2")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server that speaks TLS, and the folder of the certificates."""
    folder = tmp_path_factory.mktemp("tls")
    try:
        _certificates(folder)
    except FileNotFoundError:
        pytest.skip("no openssl")
    with servers.HeldPort() as port:
        options = ["--tls-port", str(port.number), "--tls-auth-clients", "no"]
        options += ["--tls-cert-file", str(folder / "s.pem")]
        options += ["--tls-key-file", str(folder / "s.key")]
        options += ["--tls-ca-cert-file", str(folder / "ca.pem")]
        for binary in filter(None, servers.binaries().values()):
            try:
                with servers.running(binary, *options):
                    yield port.number, folder
                    return
            except RuntimeError:
                continue  # it was built without TLS
        pytest.skip("no server with TLS")


async def test_tls_with_the_right_certificate_works(
    tls: tuple[int, Path], client: Callable[..., Any]
) -> None:
    port, folder = tls
    url = f"rediss://localhost:{port}/0"
    async with entered(client(backend=url, ssl_ca_certs=str(folder / "ca.pem"))) as thoonk:
        queue = await settle(thoonk.queue("q"))
        await settle(queue.put("x"))
        assert await settle(queue.get(timeout=5)) == "x"
        with pytest.raises(Empty):
            await settle(queue.get(timeout=0.05))


@pytest.mark.parametrize(
    ("host", "ca"), [("localhost", "other.pem"), ("localhost", None), ("127.0.0.1", "ca.pem")]
)
async def test_tls_with_a_wrong_certificate_is_refused_at_once(
    tls: tuple[int, Path],
    client: Callable[..., Any],
    attempts: dict[str, int],
    host: str,
    ca: str | None,
) -> None:
    port, folder = tls
    options = {"ssl_ca_certs": str(folder / ca)} if ca else {}
    thoonk = client(backend=f"rediss://{host}:{port}/0", **options, ssl_check_hostname=True)
    error, seconds = await _error_of(lambda: thoonk.feed("f"))
    assert isinstance(error, BackendUnavailable)
    assert "certificate" in str(error).lower()
    assert seconds < SLACK
    assert attempts["attempt"] == 1
    await settle(thoonk.close())


# --- a full server ----------------------------------------------------------------------------


def everything(raw: redis.Redis) -> dict[bytes, object]:
    """Every key and what it holds, as the server would save it."""
    return {key: raw.dump(key) for key in sorted(raw.keys())}  # type: ignore[type-var,union-attr]


FULL = "refused"
DONE = "done"

CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "create_feed": (lambda h: h.t.create_feed("new"), FULL),
    "set_config": (lambda h: h.t.set_config("f", {"title": "x"}), FULL),
    "set_config that trims": (lambda h: h.t.set_config("f", {"max_length": 1}), FULL),
    "publish": (lambda h: h.f.publish("x"), FULL),
    "publish to a full feed": (lambda h: h.full.publish("x"), DONE),
    "edit": (lambda h: h.f.edit("a", "y"), FULL),
    "retract": (lambda h: h.f.retract("a"), DONE),
    "append": (lambda h: h.s.append("x"), FULL),
    "publish_before": (lambda h: h.s.publish_before("1", "x"), FULL),
    "sorted edit": (lambda h: h.s.edit("1", "x"), FULL),
    "move": (lambda h: h.s.move_first("2"), DONE),
    "sorted retract": (lambda h: h.s.retract("1"), DONE),
    "queue put": (lambda h: h.q.put("x"), FULL),
    "queue get": (lambda h: h.q.get(timeout=1), DONE),
    "job put": (lambda h: h.j.put("x"), FULL),
    "job get": (lambda h: h.j.get(timeout=1), DONE),
    "finish": (lambda h: h.claim.finish(), DONE),
    "finish with a result": (lambda h: h.claim.finish("r"), DONE),
    "cancel": (lambda h: h.claim.cancel(), DONE),
    "stall": (lambda h: h.claim.stall(), DONE),
    "extend": (lambda h: h.claim.extend(), DONE),
    "extend after the claim is lost": (lambda h: extend_lost(h.lost), DONE),
    "get beside a claim in seconds": (lambda h: get_none(h.peers), DONE),
    "retry": (lambda h: h.j.retry(h.stalled), DONE),
    "job retract": (lambda h: h.j.retract(h.claim.id), DONE),
    "maintenance": (lambda h: h.j.maintenance(), DONE),
    "delete_feed": (lambda h: h.t.delete_feed("f"), DONE),
    "blocked queue get": (lambda h: h.empty.get(timeout=1), FULL),
    "blocked job get": (lambda h: h.idle.get(timeout=1), FULL),
}
"""Each call, and whether a full server does it: what frees memory is done, to its end."""


def extend_lost(claim: Claim[str]) -> None:
    with pytest.raises(NotClaimed):
        claim.extend()


def get_none(job: Job[str]) -> None:
    with pytest.raises(Empty):
        job.get_nowait()


class Handles:
    def __init__(self, thoonk: Thoonk, raw: redis.Redis) -> None:
        self.t = thoonk
        self.f = thoonk.feed("f")
        self.full = thoonk.feed("full", {"max_length": 1})
        for feed in (self.f, self.full):
            for id in "ab":
                feed.publish("x", id=id)
        self.s = thoonk.sorted_feed("s")
        self.s.append("x")
        self.s.append("x")
        self.q, self.empty = thoonk.queue("q"), thoonk.queue("empty")
        self.q.put("x")
        self.j, self.idle = thoonk.job("j"), thoonk.job("idle")
        for _ in range(3):
            self.j.put("x")
        self.claim = self.j.get(timeout=1)
        stalled = self.j.get(timeout=1)
        stalled.stall()
        self.stalled = stalled.id
        self.peers = thoonk.job("peers", {"claim_timeout": 3600})
        for _ in range(2):
            self.peers.put("x")
        self.lost = self.peers.get(timeout=1)
        self.peers.cancel(self.lost.id)
        for id in self.peers.get_many(2):
            raw.zadd("feed.claimed:peers", {id.id: time.time()})


@pytest.mark.parametrize("name", CALLS)
def test_a_full_server_does_a_call_to_its_end_or_not_at_all(
    real_world: World, name: str, attempts: dict[str, int]
) -> None:
    call, expected = CALLS[name]
    raw = real_world.raw
    with Thoonk(backend=real_world.url) as thoonk:
        handles = Handles(thoonk, raw)
        before = everything(raw)
        attempts.update(attempt=0, wait=0)
        raw.config_set("maxmemory", 1)
        try:
            try:
                call(handles)
                outcome = DONE
            except BackendFull:
                outcome = FULL
        finally:
            raw.config_set("maxmemory", 0)
        after = everything(raw)
        assert outcome == expected
        assert (before == after) == (outcome == FULL or name == "maintenance")
        assert attempts["attempt"] + attempts["wait"] < 10
        # It is no worse afterwards: the same client goes on.
        handles.q.put("y")
        handles.j.put("y")


# --- replicas ------------------------------------------------------------------------------------


@contextlib.contextmanager
def replica_of(master: servers.Server) -> Iterator[servers.Server]:
    with servers.running(master.binary, "--replicaof", "127.0.0.1", str(master.port)) as replica:
        with contextlib.closing(replica.client()) as raw:
            poll(lambda: raw.info("replication")["master_link_status"] == "up", 20)  # type: ignore[index]
        yield replica


async def test_a_replica_is_refused_with_a_clear_error(
    real_world: World, client: Callable[..., Any], attempts: dict[str, int]
) -> None:
    assert real_world.server
    with replica_of(real_world.server) as replica:
        async with entered(client(backend=replica.url, retry_for=1.0)) as thoonk:
            error, seconds = await _error_of(lambda: thoonk.feed("f"))
            assert isinstance(error, BackendUnavailable)
            assert "nothing was done" in str(error)
            assert seconds < 1.0 + SLACK
            assert attempts["attempt"] < 20


async def test_a_call_waits_for_a_replica_that_is_promoted(
    real_world: World, client: Callable[..., Any]
) -> None:
    assert real_world.server
    with replica_of(real_world.server) as replica, contextlib.closing(replica.client()) as raw:
        with Thoonk(backend=real_world.url) as direct:
            direct.queue("q")
        poll(lambda: raw.exists("feed.config:q"))
        raw.replicaof("NO", "ONE")
        async with entered(client(backend=replica.url)) as thoonk:
            queue = await settle(thoonk.queue("q"))
            # A client that works, whose server becomes a replica for a while.
            raw.replicaof("127.0.0.1", real_world.server.port)  # type: ignore[arg-type]

            def promote() -> None:
                time.sleep(0.4)
                raw.replicaof("NO", "ONE")

            with meanwhile(promote):
                await settle(queue.put("x"))
            assert await settle(queue.get(timeout=5)) == "x"


@contextlib.contextmanager
def watched_by_sentinel(master: servers.Server, folder: Path) -> Iterator[int]:
    """The port of a Sentinel that watches over the master; it alone decides."""
    with servers.HeldPort() as port:
        config = folder / "sentinel.conf"
        lines = [
            f"port {port.number}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1",
            "sentinel down-after-milliseconds mymaster 60000",
            "sentinel failover-timeout mymaster 3000",
        ]
        config.write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [master.binary, str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )
        try:
            with contextlib.closing(redis.Redis(port=port.number, protocol=2)) as raw:

                def knows_the_replica() -> bool:
                    with contextlib.suppress(redis.RedisError):
                        return bool(raw.sentinel_slaves("mymaster"))
                    return False

                poll(knows_the_replica, 25)
            yield port.number
        finally:
            process.kill()
            process.wait(10)


def let_it_fail(sentinel: int) -> None:
    """From now on, a master that is silent is soon replaced: before, it may just be slow."""
    with contextlib.closing(redis.Redis(port=sentinel, protocol=2)) as raw:
        raw.sentinel_set("mymaster", "down-after-milliseconds", 500)


@pytest.mark.parametrize("name", NAMES)
async def test_a_failover_under_load_is_ridden_out(
    name: str, client: Callable[..., Any], tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(servers.running(_binary(name)))
        replica = stack.enter_context(replica_of(master))
        port = stack.enter_context(watched_by_sentinel(master, tmp_path))
        url = f"redis+sentinel://127.0.0.1:{port}/mymaster/0"
        taken: list[str] = []

        def take() -> None:
            with Thoonk(backend=url, retry_for=30.0) as thoonk:
                queue = thoonk.queue("q")
                while (item := queue.get(timeout=40)) != "end":
                    taken.append(item)

        async with entered(client(backend=url, retry_for=30.0)) as thoonk:
            queue = await settle(thoonk.queue("q"))
            with meanwhile(take):
                put: list[str] = []
                certain = 0
                with contextlib.closing(replica.client()) as raw:
                    until = time.monotonic() + 1.0
                    killed = False
                    while time.monotonic() < until:
                        put.append(str(len(put)))
                        await settle(queue.put(put[-1]))
                        await asyncio.sleep(0.01)
                        if not killed and len(put) == 20:
                            poll(lambda: raw.get("feed.publishes:q") == b"20")
                            certain = len(put)
                            let_it_fail(port)
                            master.kill(signal.SIGKILL)
                            killed = True
                            until = time.monotonic() + 30
                        if killed and len(put) == 60:
                            break
                await settle(queue.put("end"))
        assert len(put) == 60
        assert len(taken) == len(set(taken))
        # What the replica had, and what the new master acknowledged.
        assert set(put[:certain]) | set(put[certain + 1 :]) <= set(taken)


def test_a_master_that_has_lost_its_replicas_is_waited_for(real_world: World) -> None:
    raw = real_world.raw
    if real_world.name == "redis-6.2":
        pytest.skip("it does not look at its replicas before a script writes")
    with (
        Thoonk(backend=real_world.url, retry_for=0.2) as hasty,
        Thoonk(backend=real_world.url, retry_for=20) as patient,
    ):
        queue = hasty.queue("q")
        assert patient.feed_exists("q")  # who has never been answered does not wait
        raw.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(BackendUnavailable, match="nothing was done"):
                queue.put("x")
            assert queue.count() == 0
            back = threading.Timer(0.3, raw.config_set, ["min-replicas-to-write", 0])
            back.start()
            patient.backend.execute(QueuePut("q", (Entry("a", b"x"),)))
            back.join()
        finally:
            raw.config_set("min-replicas-to-write", 0)
        assert queue.get_ids() == ["a"]
