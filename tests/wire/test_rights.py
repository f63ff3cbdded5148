"""What a user of the server may not do is refused before anything is written."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import conftest
import pytest
import redis
import servers
from calls import CALLS, Call

from thoonk import AccessDenied, Job, Thoonk
from thoonk.backends.redis import scripts

ASKED = ("redis-path", "valkey-8.1")
"""Servers that scripts can ask what their user may do."""

# Servers before 7.2 do not know the name.
FULL = [word for word in conftest.smallest_rule() if word != "+client|setinfo"]


@attrs.frozen
class Restricted:
    """A server and a user of it whose rights the test changes."""

    raw: redis.Redis
    url: str

    def give(self, *changes: str) -> None:
        """The smallest rule of the docs, and these changes to it."""
        self.raw.execute_command(*FULL, *changes)

    def without_channel(self, channel: str) -> None:
        """All rights but that to one channel (as the docs name it)."""
        words = [word for word in FULL if word != f"&{channel}"]
        assert words != FULL
        self.raw.execute_command(*words)

    def state(self) -> dict[bytes, bytes | None]:
        """Every key and what is in it."""
        return {key: self.raw.dump(key) for key in sorted(self.raw.keys())}


@pytest.fixture(params=ASKED)
def restricted(
    request: pytest.FixtureRequest, running_server: Callable[[str], servers.Server]
) -> Iterator[Restricted]:
    server = running_server(request.param)
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
        user = Restricted(raw, server.url.replace("//", "//thoonk:PASSWORD@"))
        user.give()
        yield user


@pytest.fixture
def thoonk(restricted: Restricted) -> Iterator[Thoonk]:
    with Thoonk(backend=restricted.url) as client:
        yield client


def prepared(call: Call, thoonk: Thoonk) -> tuple[Any, ...]:
    made = call.prepare(thoonk)
    return made if type(made) is tuple else (made,)


def name_of(call: Call) -> str:
    return f"{call.method}-{'+'.join(call.sends)}"


def scripts_of(call: Call) -> list[scripts.Script]:
    return [scripts.load(name) for name in call.sends if name in scripts.names()]


# A get takes in one step and confirms in another: what was taken in between comes back.
IN_ONE_STEP = [
    call
    for call in CALLS
    if scripts_of(call) and (len(set(call.sends)) == 1 or call.method.endswith("e_feed"))
]
CHANNELS = [word[1:] for word in FULL if word.startswith("&") and "marker" not in word]


def check(call: Call, restricted: Restricted, thoonk: Thoonk, take: Callable[[], None]) -> bool:
    """Whether the call was refused: then it has done nothing."""
    restricted.raw.flushall()
    restricted.give()
    arguments = prepared(call, thoonk)
    before = restricted.state()
    with restricted.raw.pubsub() as notices:
        notices.psubscribe("feed.*", "job.*", "*feed")
        for _ in range(3):
            assert notices.get_message(timeout=5)
        take()
        try:
            call.call(*arguments)
        except AccessDenied:
            assert restricted.state() == before
            assert notices.get_message(timeout=0.001) is None
            return True
        finally:
            restricted.give()
    return False


@pytest.mark.parametrize("call", IN_ONE_STEP, ids=name_of)
def test_who_lacks_a_command_is_refused_before_anything_is_written(
    call: Call, restricted: Restricted, thoonk: Thoonk
) -> None:
    commands = {
        word for script in scripts_of(call) for word in scripts.commands_of(script.text.decode())
    }
    for command in sorted(commands):
        check(call, restricted, thoonk, lambda c=command: restricted.give(f"-{c}"))  # type: ignore[misc]


@pytest.mark.parametrize("call", IN_ONE_STEP, ids=name_of)
def test_who_lacks_a_channel_is_refused_before_anything_is_written(
    call: Call, restricted: Restricted, thoonk: Thoonk
) -> None:
    for channel in CHANNELS:
        check(call, restricted, thoonk, lambda c=channel: restricted.without_channel(c))  # type: ignore[misc]


@pytest.mark.parametrize("command", ["hdel", "hlen", "hrandfield"])
def test_what_only_a_callers_first_call_needs_is_asked_for_then(
    restricted: Restricted, thoonk: Thoonk, command: str
) -> None:
    queue = thoonk.queue("f")
    queue.put("x")
    restricted.give(f"-{command}")
    before = restricted.state()
    with Thoonk(backend=restricted.url) as another:
        with pytest.raises(AccessDenied, match=f"command {command.upper()}"):
            another.queue("f").put("y")
    assert restricted.state() == before
    queue.put("z")
    restricted.give()
    assert queue.count() == 2


def test_a_user_without_channels_keeps_the_items_of_a_full_feed(
    restricted: Restricted, thoonk: Thoonk
) -> None:
    feed = thoonk.feed("f", {"max_length": 3})
    for id in "abc":
        feed.publish("x", id=id)
    restricted.give("resetchannels")
    with pytest.raises(AccessDenied, match=r"nothing was done.*channel feed.publish:f"):
        feed.publish("y", id="d")
    assert feed.get_ids() == ["a", "b", "c"]


def test_the_refusal_names_the_command_that_is_missing(
    restricted: Restricted, thoonk: Thoonk
) -> None:
    job = thoonk.job("f")
    restricted.give("-zadd")
    with pytest.raises(AccessDenied, match=r"nothing was done.*command ZADD"):
        job.put("x")
    assert len(job) == 0


def test_a_job_without_a_result_needs_no_channel(restricted: Restricted, thoonk: Thoonk) -> None:
    job: Job[str] = thoonk.job("f")
    job.put_many(["x", "y"])
    restricted.give("resetchannels")
    with job.get_nowait() as claim:
        pass
    with pytest.raises(AccessDenied, match=r"channel job.finish:f"):
        job.finish(job.get_nowait().id, "result")
    assert claim.id not in job.get_ids()
    assert len(job) == 1


def test_a_feed_that_is_there_is_opened_without_the_right_to_announce_it(
    restricted: Restricted, thoonk: Thoonk
) -> None:
    thoonk.feed("f")
    restricted.give("resetchannels", "&feed.*")
    with Thoonk(backend=restricted.url) as another:
        assert another.feed("f").publish("x")
        with pytest.raises(AccessDenied, match=r"channel newfeed"):
            another.feed("g")
        with pytest.raises(AccessDenied, match=r"channel delfeed"):
            another.delete_feed("f")
    assert thoonk.get_feed_names() == {"f"}
    assert len(thoonk.feed("f")) == 1


def test_a_get_that_waits_needs_to_know_its_connections_number(
    restricted: Restricted, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("f")
    restricted.give("-client|id")
    with pytest.raises(AccessDenied, match=r"client\|id"):
        queue.get(timeout=5)
    queue.put("x")
    assert queue.get(timeout=5) == "x"


@pytest.mark.parametrize("changes", [("resetchannels",), ("-zadd",)])
def test_a_server_that_cannot_be_asked_denies_access_all_the_same(
    changes: tuple[str, ...], running_server: Callable[[str], servers.Server]
) -> None:
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
        raw.execute_command("ACL", "SETUSER", "thoonk", "reset", "on", ">PASSWORD", "~*", "+@all")
        url = server.url.replace("//", "//thoonk:PASSWORD@")
        with Thoonk(backend=url) as thoonk:
            feed = thoonk.feed("f")
            assert feed.publish("x")  # a new user has all channels there
            raw.execute_command("ACL", "SETUSER", "thoonk", *changes)
            with pytest.raises(AccessDenied, match="a part of it may be done"):
                feed.publish("y")


@pytest.mark.parametrize("name", ASKED)
def test_a_user_with_a_prefix_has_its_own_feeds_and_no_others(
    name: str, running_server: Callable[[str], servers.Server]
) -> None:
    """The rule for a tenant in docs/security.md, with the commands of the first one."""
    server = running_server(name)
    (rule,) = (r for r in conftest.rules_of_the_page() if "acme" in r)
    commands = [word for word in FULL if word.startswith("+")]
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
        raw.execute_command(*rule, "nocommands", *commands)
        url = server.url.replace("//", "//acme:PASSWORD@")
        with Thoonk(backend=server.url) as operator, Thoonk(backend=url) as acme:
            letters = operator.queue("globex.letters")
            for wrong in ("globex.letters", "acme", "acmes.letters"):
                with pytest.raises(AccessDenied):
                    acme.queue(wrong).put("x")
            assert letters.count() == 0
            with acme.sorted_feed("acme.rooms").subscribe() as notices:
                room = acme.sorted_feed("acme.rooms").append("lobby")
                assert notices.get(timeout=10).id == room
                acme.delete_feed("acme.rooms")
            acme.feed("acme.news").publish("x")
            acme.queue("acme.letters").put("x")
            assert acme.queue("acme.letters").get(timeout=10) == "x"
            job = acme.job("acme.films", {"events": True, "claim_timeout": 60})
            id = job.put("x", delay=0.01)
            job.get(timeout=10).finish("y", result=True)
            assert job.get_result(id, timeout=10).result == "y"
            job.put("x", id="x", unique_for=60)
            job.pause()
            job.resume()
            job.purge()
            with pytest.raises(AccessDenied), acme.feed("acme.news").subscribe():
                with acme.backend.listen("globex.letters"):
                    pass
        raw.execute_command("ACL", "DELUSER", "acme")


def test_a_script_that_publishes_has_asked_before_it_writes() -> None:
    writes = re.compile(rf"\bcall\('({'|'.join(scripts._WRITES)})'")
    asks = re.compile(r"\b(?:muted|finish)\(")
    for name in scripts.names():
        own = (scripts.resources.files("thoonk.backends.redis") / f"scripts/{name}.lua").read_text()
        if "PUBLISH" in own and (written := writes.search(own)):
            asked = asks.search(own)
            assert asked, f"{name} publishes and does not ask"
            assert asked.start() < written.start(), f"{name} writes before it asks"
