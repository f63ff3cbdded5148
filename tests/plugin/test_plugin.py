"""The pytest plugin, as its users meet it: in runs of pytest of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent

import pytest
import servers

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

ON_BOTH = pytest.mark.parametrize("world", ["memory", "embedded", "server"])

QUICK = ("-pno:cacheprovider", "-pno:hypothesispytest")
"""Hypothesis takes longer to import than most of these tests take."""

IMPORTS = """
import asyncio
import threading
import time

import pytest

from thoonk import *
from thoonk.exceptions import InvalidValue
from thoonk.testing import assert_published, drain
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a file of tests in a process of its own; warnings are errors there, too."""

    def run(text: str, *arguments: str) -> pytest.RunResult:
        pytester.makeini(
            "[pytest]\nfilterwarnings =\n  error\n"
            # pytest-asyncio wants to be told what we have nothing to say about.
            "  ignore:.*asyncio_default_fixture_loop_scope\n"
        )
        pytester.path.joinpath("test_it.py").write_text(IMPORTS + dedent(text))
        return pytester.runpytest_subprocess("-q", *QUICK, *arguments)

    return run


# --- worlds ---------------------------------------------------------------------------------


@ON_BOTH
def test_each_test_has_an_empty_world_that_its_clients_share(run: Run, world: str) -> None:
    text = """
        @pytest.mark.parametrize("n", [1, 2])
        def test_fresh(thoonk, thoonk_world, n):
            assert thoonk.get_feed_names() == set()
            other = thoonk_world.client()
            thoonk.queue("q").put("x")
            assert other.queue("q").get(timeout=5) == "x"
            with Thoonk(backend=thoonk_world.url) as by_url:
                assert by_url.get_feed_names() == {"q"}

        def test_handlers(thoonk, thoonk_world):
            calls = []
            listening = thoonk_world.client(listen=True)
            listening.register_handler("publish", lambda *arguments: calls.append(arguments))
            thoonk.feed("f").publish("x", id="1")
            while not calls:
                time.sleep(0.01)
            assert calls == [("f", "x", "1")]

        kept = []

        def test_closed_1(thoonk):
            kept.append(thoonk.feed("f"))

        def test_closed_2():
            with pytest.raises(Closed):
                kept[0].publish("x")
    """
    run(text, f"--thoonk-url={world}").assert_outcomes(passed=5)


WITH_MARK = """
    @pytest.mark.{plugin}
    async def test_it(async_thoonk, thoonk):
        async with async_thoonk as client:
            await (await client.feed("f")).publish("x", id="1")
            assert await assert_published(await client.feed("f"), "x", timeout=5) == "1"
            job = await client.job("j")
            await job.put("a")
            assert await drain(job) == ["a"]
            with pytest.raises(AssertionError, match="'y' was not published in 'f'"):
                await assert_published(await client.feed("f"), "y")
        assert thoonk.get_feed_names() == {{"f", "j"}}

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""
WITHOUT_PLUGIN = """
    def test_it(async_thoonk, thoonk):
        async def main():
            async with async_thoonk as client:
                await (await client.feed("f")).publish("x", id="1")

        asyncio.run(main())
        assert assert_published(thoonk.feed("f")) == "1"
"""


@pytest.mark.parametrize("plugin", ["asyncio", "anyio", None])
@ON_BOTH
def test_clients_for_asyncio_work_beside_any_plugin_and_none(
    run: Run, world: str, plugin: str | None
) -> None:
    if plugin == "anyio":
        pytest.importorskip("anyio")
    text = WITH_MARK.format(plugin=plugin) if plugin else WITHOUT_PLUGIN
    # pytest-asyncio is in strict mode here, for nothing says otherwise.
    off = [f"-pno:{name}" for name in ("asyncio", "anyio") if name != plugin]
    run(text, f"--thoonk-url={world}", *off).assert_outcomes(passed=1)


def test_the_world_is_chosen_by_option_configuration_and_marker(
    run: Run, pytester: pytest.Pytester
) -> None:
    text = """
        def test_asked(thoonk, thoonk_world):
            print("in", thoonk_world.name)

        @pytest.mark.thoonk("memory", "server")
        def test_marked(thoonk, thoonk_world):
            print("marked", thoonk_world.name)
    """
    done = run(text, "-v", "-s")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*in memory", "*marked memory", "*marked server"])
    done = run(text, "-vv", "-s", "--thoonk-url=server", "--thoonk-url=memory", "-k", "asked")
    done.stdout.fnmatch_lines(["*::test_asked?server?*in server", "*::test_asked?memory?*"])
    pytester.makeini("[pytest]\nthoonk_url =\n  server\n")
    pytester.runpytest_subprocess("-q", *QUICK, "-s", "-k", "asked").stdout.fnmatch_lines(
        ["in server*"]
    )


def test_what_is_not_there_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = run("def test_it(thoonk): pass", "--thoonk-url=valkey-server")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*not found on this machine: valkey-server*"])
    done = run("def test_it(thoonk): pass", "--thoonk-url=nonsense")
    done.stdout.fnmatch_lines(["*a world for tests is the URL*not 'nonsense'*"])


def test_on_a_server_that_is_not_its_own_it_leaves_everything_as_it_was(
    run: Run, any_server: Callable[..., contextlib.AbstractContextManager[servers.Server]]
) -> None:
    text = """
        def test_apart(thoonk, thoonk_world):
            assert thoonk.get_feed_names() == set()
            feed = thoonk.feed("theirs", {"max_length": 1})
            listening = thoonk_world.client(listen=True)
            calls = []
            listening.register_handler("publish", lambda *arguments: calls.append(arguments))
            with feed.subscribe() as notices:
                with Thoonk(backend=thoonk_world.url) as somebody:
                    somebody.feed("theirs").publish("not ours")
                feed.publish("ours", id="1")
                assert notices.get(timeout=5) == Published("theirs", "1", "ours")
            while not calls:
                time.sleep(0.01)
            assert calls == [("theirs", "ours", "1")]
            assert feed.get_all() == {"1": "ours"}
            assert thoonk_world.client().get_feed_names() == {"theirs"}

        def test_errors(thoonk):
            feed = thoonk.feed("f")
            thoonk.delete_feed("f")
            with pytest.raises(FeedDoesNotExist, match="^feed 'f' does not exist$") as caught:
                feed.publish("x")
            assert caught.value.feed == "f"
            queue = thoonk.queue("q")
            with pytest.raises(Empty):
                queue.get(timeout=0.01)
            thoonk.delete_feed("q")
            with pytest.raises(FeedDoesNotExist, match="'q'"):
                queue.get(timeout=0.01)

        def test_time(thoonk, thoonk_world):
            job = thoonk.job("j", {"claim_timeout": 60})
            job.put("x")
            thoonk_world.expire(job, job.get())
            assert job.get(timeout=5).cancelled == 1
            thoonk_world.advance(61)
            assert job.get(timeout=5).cancelled == 2
    """
    with any_server() as server:
        url = server.url.replace("//", "//:secret@")
        with server.client() as raw:
            raw.config_set("requirepass", "secret")
            raw.auth("secret")
            raw.hset("feed.config:theirs", "type", "feed")
            raw.sadd("feeds", "theirs")
            raw.set("something", "else")
            done = run(text, "-vv", f"--thoonk-url={url}")
            done.assert_outcomes(passed=3)
            done.stdout.no_fnmatch_line("*secret*")
            keys = {b"feed.config:theirs", b"feeds", b"something", b"feed.ids:theirs"}
            keys |= {b"feed.items:theirs", b"feed.publishes:theirs", b"feed.answers:theirs"}
            assert set(raw.keys()) <= keys
            assert raw.smembers("feeds") == {b"theirs"}
            assert raw.zcard("feed.ids:theirs") == 1


def test_a_fixture_of_the_users_own_wins(run: Run) -> None:
    text = """
        @pytest.fixture
        def thoonk():
            return "mine"

        @pytest.mark.parametrize("n", [1])
        def test_it(thoonk, n):
            assert thoonk == "mine"
    """
    run(text, "--thoonk-url=server").assert_outcomes(passed=1)


def test_workers_of_xdist_have_servers_of_their_own(run: Run) -> None:
    pytest.importorskip("xdist")
    text = """
        @pytest.mark.parametrize("n", range(10))
        def test_it(thoonk, n):
            assert thoonk.get_feed_names() == set()
            feed = thoonk.feed("f")
            for _ in range(20):
                feed.publish("x")
            assert feed.count() == 20
    """
    run(text, "-n2", "--thoonk-url=server", "--thoonk-url=memory").assert_outcomes(passed=20)


def test_a_world_in_memory_is_gone_with_its_test(run: Run) -> None:
    text = """
        import gc
        import weakref
        from thoonk.backends.memory import World

        worlds = []

        @pytest.mark.parametrize("n", range(20))
        def test_it(thoonk, thoonk_world, n):
            thoonk.queue("q").put("x")
            worlds.append(weakref.ref(thoonk.backend.world))

        def test_nothing_is_left():
            gc.collect()
            assert len(worlds) == 20
            # Of the last one pytest may still know something.
            assert sum(world() is not None for world in worlds) <= 1
            assert not World._named
    """
    run(text).assert_outcomes(passed=21)


# --- what is looked for ---------------------------------------------------------------------


@ON_BOTH
def test_what_was_published_is_found_and_what_waits_is_drained(run: Run, world: str) -> None:
    text = """
        def test_published(thoonk):
            feed = thoonk.feed("f")
            id = feed.publish("x")
            assert assert_published(feed, "x") == id
            assert assert_published(feed, id=id) == id

        def test_published_later(thoonk, thoonk_world):
            feed = thoonk.sorted_feed("s")
            other = thoonk_world.client().sorted_feed("s")
            later = threading.Timer(0.1, other.append, ["x"])
            later.start()
            assert assert_published(feed, "x", timeout=5) == "1"
            later.join()

        def test_drained(thoonk):
            queue, job = thoonk.queue("q"), thoonk.job("j")
            for item in "ab":
                queue.put(item)
                job.put(item, priority=job.HIGH)
            assert drain(queue) == ["a", "b"]
            assert drain(job) == ["b", "a"]
            assert job.get_counts().finished == 2
            assert drain(queue) == []

        def test_missing(thoonk):
            feed = thoonk.feed("f")
            feed.publish("there", id="1")
            assert_published(feed, "missing", timeout=0.05)

        def test_wrong_id(thoonk):
            feed = thoonk.feed("f")
            feed.publish("x", id="1")
            assert_published(feed, "x", id="2")
    """
    done = run(text, f"--thoonk-url={world}")
    done.assert_outcomes(passed=3, failed=2)
    done.stdout.fnmatch_lines(
        [
            "*'missing' was not published in 'f' within 0.05 seconds. There is*",
            "*1: 'there'*",
            "*'x' was not published in 'f' under the id '2'. There is*",
        ]
    )
    # The failure is shown where the test called, not inside of the helper.
    done.stdout.no_fnmatch_line("*wanted.complaint*")


# --- faults ---------------------------------------------------------------------------------


@ON_BOTH
def test_faults_happen_when_they_are_asked_for(run: Run, world: str) -> None:
    text = """
        def test_a_lost_reply(thoonk, thoonk_faults):
            feed = thoonk.feed("f")
            thoonk_faults.lose_reply()
            with pytest.raises(OutcomeUnknown):
                feed.publish("x", id="1")
            assert feed.get_all() == {"1": "x"}

        def test_several_lost_replies(thoonk_faults, thoonk):
            queue = thoonk.queue("q")
            thoonk_faults.lose_reply(2)
            for _ in range(2):
                with pytest.raises(OutcomeUnknown):
                    queue.put("x")
            assert queue.count() == 2

        def test_refused(thoonk, thoonk_faults):
            feed = thoonk.feed("f")
            with thoonk_faults.refuse():
                with pytest.raises(BackendUnavailable):
                    feed.publish("x")
            assert feed.get_all() == {}

        def test_a_blocked_get_rides_it_out(thoonk, thoonk_world, thoonk_faults):
            queue = thoonk.queue("q")
            taken = []
            taker = threading.Thread(target=lambda: taken.append(queue.get(timeout=60)))
            taker.start()
            time.sleep(0.1)
            with thoonk_faults.refuse():
                with Thoonk(backend=thoonk_world.url) as elsewhere:
                    elsewhere.queue("q").put("x")
                time.sleep(0.3)
                assert taken == []
            taker.join()
            assert taken == ["x"]

        def test_a_gap(thoonk, thoonk_world, thoonk_faults):
            feed = thoonk.feed("f")
            with feed.subscribe() as notices:
                feed.publish("read", id="1")
                assert notices.get(timeout=5) == Published("f", "1", "read")
                thoonk_faults.cut()
                assert notices.get(timeout=5) == Gap("f")
                feed.publish("y", id="3")
                assert notices.get(timeout=5) == Published("f", "3", "y")
                with thoonk_faults.refuse():
                    with pytest.raises(Empty):
                        notices.get(timeout=0.1)
                assert notices.get(timeout=5) == Gap("f")

        def test_a_gap_is_made_up_for(thoonk, thoonk_faults):
            feed = thoonk.feed("f")
            with feed.subscribe(resync=True) as notices:
                with pytest.raises(Empty):
                    notices.get(timeout=0.05)
                feed.publish("missed", id="1")
                thoonk_faults.cut()
                assert notices.get(timeout=5) == Published("f", "1", "missed")

        def test_handlers_are_told(thoonk_world, thoonk_faults):
            calls = []
            listening = thoonk_world.client(listen=True)
            listening.register_handler("gap", calls.append)
            thoonk_faults.cut()
            while not calls:
                time.sleep(0.01)
            assert calls == [None]

        @pytest.mark.asyncio
        async def test_with_asyncio(async_thoonk, thoonk_faults):
            async with async_thoonk as client:
                feed = await client.feed("f")
                async with feed.subscribe() as notices:
                    waiting = asyncio.create_task(notices.get(timeout=5))
                    await asyncio.sleep(0.05)
                    thoonk_faults.lose_reply()
                    with pytest.raises(OutcomeUnknown):
                        await feed.publish("x", id="1")
                    assert await waiting == Published("f", "1", "x")
                    thoonk_faults.cut()
                    assert await notices.get(timeout=5) == Gap("f")
                with thoonk_faults.refuse(), pytest.raises(BackendUnavailable):
                    await feed.get_ids()

        def test_nothing_lies_between_without_it(thoonk):
            assert "faults" not in repr(thoonk)
    """
    run(text, f"--thoonk-url={world}").assert_outcomes(passed=9)


# --- time -----------------------------------------------------------------------------------


@ON_BOTH
def test_time_goes_by_at_once(run: Run, world: str) -> None:
    text = """
        @pytest.fixture(autouse=True)
        def at_once():
            began = time.monotonic()
            yield
            assert time.monotonic() - began < 30

        def test_a_claim_runs_out(thoonk, thoonk_world):
            job = thoonk.job("j", {"claim_timeout": 3600})
            id = job.put("x")
            claim = job.get()
            thoonk_world.advance(3570)
            with pytest.raises(Empty):
                job.get_nowait()
            thoonk_world.advance(31)
            again = job.get_nowait()
            assert (again.id, again.cancelled) == (id, 1)
            with pytest.raises(NotClaimed):
                claim.finish()
            again.finish()

        def test_extending_goes_by_the_same_clock(thoonk, thoonk_world):
            job = thoonk.job("j", {"claim_timeout": 60})
            job.put("x")
            claim = job.get()
            for _ in range(3):
                thoonk_world.advance(50)
                claim.extend()
            claim.finish()

        def test_a_blocked_get_wakes(thoonk, thoonk_world):
            job = thoonk.job("j", {"claim_timeout": 3600})
            other = thoonk_world.client().job("j")
            job.put("x")
            job.get()
            taken = []
            taker = threading.Thread(target=lambda: taken.append(other.get(timeout=60)))
            taker.start()
            time.sleep(0.2)
            assert not taken
            thoonk_world.advance(3601)
            taker.join(60)
            assert taken[0].cancelled == 1
            assert job.get_counts() == JobCounts(0, 1, 0, 0)

        def test_a_result_is_forgotten(thoonk, thoonk_world):
            job = thoonk.job("j")
            id, kept = job.put("a"), job.put("b")
            job.get().finish("result", timeout=60)
            job.get().finish("result", timeout=0)
            thoonk_world.advance(30)
            assert job.get_result(id, timeout=1).result == "result"
            thoonk_world.advance(31)
            with pytest.raises(NoResult):
                job.get_result(id, timeout=0.01)
            assert job.get_result(kept, timeout=1).result == "result"

        def test_a_job_is_due(thoonk, thoonk_world):
            job = thoonk.job("j")
            high = job.put("high", job.HIGH, delay=3600)
            job.put("low", id="low", delay=3000, unique_for=4000)
            other = thoonk_world.client().job("j")
            taken = []
            taker = threading.Thread(target=lambda: taken.append(other.get(timeout=60)))
            taker.start()
            time.sleep(0.2)
            thoonk_world.advance(2970)
            with pytest.raises(Empty):
                job.get(timeout=0.05)
            assert not taken
            assert 0 < job.stats().next_due <= 30
            thoonk_world.advance(631)
            taker.join(60)
            claims = [taken[0], job.get(timeout=5)]
            assert [claim.item for claim in claims] == ["high", "low"]
            info = job.get_info(high)
            assert (info.claimed - info.due).total_seconds() < 60
            job.finish_many(claims)
            assert job.put("x", id="low").outcome.name == "KEPT"
            thoonk_world.advance(400)
            assert job.put("x", id="low").outcome.name == "ADDED"

        def test_an_unconfirmed_take_comes_back(thoonk, thoonk_world):
            from thoonk.operations import QueueTake
            queue = thoonk.queue("q")
            queue.put("x")
            thoonk.backend.execute(QueueTake("q", "token"))
            with pytest.raises(Empty):
                queue.get_nowait()
            thoonk_world.advance(11)
            assert queue.get_nowait() == "x"

        def test_one_claim_is_frozen(thoonk, thoonk_world):
            job = thoonk.job("j", {"claim_timeout": 60})
            frozen, fine = job.put("a"), job.put("b")
            first, second = job.get(), job.get()
            thoonk_world.expire(job, first)
            assert job.get(timeout=5).id == frozen
            with pytest.raises(Empty):
                job.get_nowait()
            second.finish()
            with pytest.raises(NotClaimed):
                thoonk_world.expire(job, second)
            with pytest.raises(NotClaimed):
                first.finish()

        def test_what_never_runs_out_is_not_frozen(thoonk, thoonk_world):
            job = thoonk.job("j")
            job.put("a")
            with pytest.raises(InvalidValue, match="no claim_timeout"):
                thoonk_world.expire(job, job.get())

        def test_feeds_are_left_alone(thoonk, thoonk_world):
            feed, sorted_feed = thoonk.feed("f"), thoonk.sorted_feed("s")
            ids = [feed.publish("x") for _ in range(3)]
            sorted_feed.append("x")
            thoonk_world.advance(3600)
            ids.append(feed.publish("x"))
            assert feed.get_ids() == ids
            assert sorted_feed.get_ids() == ["1"]

        @pytest.mark.asyncio
        async def test_with_asyncio(async_thoonk, thoonk_world):
            async with async_thoonk as client:
                job = await client.job("j", {"claim_timeout": 60})
                await job.put("x")
                claim = await job.get()
                waiting = asyncio.create_task(job.get(timeout=20))
                await asyncio.sleep(0.1)
                thoonk_world.expire(job, claim)
                assert (await waiting).cancelled == 1
    """
    run(text, f"--thoonk-url={world}").assert_outcomes(passed=10)


# --- those who do not use it ----------------------------------------------------------------


def test_loading_it_imports_no_driver_and_no_contract(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("thoonk")
            heavy = {"redis", "fakeredis", "lupa", "hiredis"} & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("thoonk.testing.")}
            assert (heavy, ours) == (set(), {"thoonk.testing.plugin"})
        """
    )
    pytester.runpytest_subprocess("-q", *QUICK).assert_outcomes(passed=1)


def test_it_can_be_switched_off(run: Run) -> None:
    run("def test_it(thoonk): pass", "-p", "no:thoonk").assert_outcomes(errors=1)


def test_nothing_else_imports_pytest() -> None:
    program = "import sys, thoonk, thoonk.backends.memory; print('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
