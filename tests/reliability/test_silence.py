"""Connections on which nothing arrives, or half of something: who waits how long, and for what."""

from __future__ import annotations

import asyncio
import contextlib
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import processes
import pytest
from conftest import World

from thoonk import (
    AsyncThoonk,
    BackendUnavailable,
    Empty,
    Gap,
    OutcomeUnknown,
    Published,
    Thoonk,
)
from thoonk.backends.redis._async import pubsub
from thoonk.testing._sync.helpers import until
from thoonk.testing.proxy import between


def test_a_connection_that_a_balancer_forgot_costs_seconds_and_no_error(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy, Thoonk("127.0.0.1", proxy.port) as thoonk:
        queue = thoonk.queue("q")
        queue.put("a")
        for silent in (lambda: queue.put("b"), queue.get_ids, lambda: queue.get(timeout=30)):
            proxy.forget_connections()
            began = time.monotonic()
            silent()
            # Room for a loaded machine; ten seconds and an error were the rule before.
            assert time.monotonic() - began < 9
        assert thoonk.queue("q").count() == 1


async def test_an_async_connection_that_a_balancer_forgot_costs_seconds_and_no_error(
    real_world: World,
) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with AsyncThoonk("127.0.0.1", proxy.port) as thoonk:
            queue = await thoonk.queue("q")
            await queue.put("a")
            for silent in (
                lambda: queue.put("b"),
                queue.get_ids,
                lambda: queue.get(timeout=30),
            ):
                proxy.forget_connections()
                began = time.monotonic()
                await silent()
                assert time.monotonic() - began < 9
            assert await queue.count() == 1


@pytest.mark.parametrize("options", [{}, {"socket_timeout": 60}, {"retry_for": 0.01}])
def test_every_call_is_repeated_at_least_once(real_world: World, options: dict[str, Any]) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk("127.0.0.1", proxy.port, **options) as thoonk,
    ):
        queue = thoonk.queue("q")
        queue.put("a")
        proxy.forget_connections()
        queue.put("b")
        assert queue.count() == 2


def test_who_wants_no_repetition_waits_as_long_as_was_asked(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk("127.0.0.1", proxy.port, retry_for=0, socket_timeout=4) as thoonk,
    ):
        queue = thoonk.queue("q")
        proxy.forget_connections()
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            queue.put("b")
        assert time.monotonic() - began >= 4


def test_a_server_that_pauses_is_waited_for_and_each_call_has_one_effect(
    real_world: World,
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        queue, job = thoonk.queue("q"), thoonk.job("j")
        taken: list[str] = []
        taker = threading.Thread(target=lambda: taken.append(queue.get(timeout=40)))
        taker.start()
        real_world.raw.execute_command("CLIENT", "PAUSE", 4000)
        ids = job.put_many(["a", "b"])
        queue.put("x")
        taker.join(40)
        assert (taken, job.get_counts().waiting) == (["x"], 2)
        with job.get(timeout=5) as claim:
            real_world.raw.execute_command("CLIENT", "PAUSE", 3000)
            claim.finish("done", result=True)
        assert job.get_result(ids[0], timeout=5).result == "done"
        assert job.get_counts().finished == 1


def test_a_notice_that_arrives_in_part_holds_up_nobody_for_ever(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk("127.0.0.1", proxy.port) as thoonk,
        Thoonk(backend=real_world.url) as other,
    ):
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            proxy.halve = True
            other.feed("f").publish("x" * 1000, id="1")
            began = time.monotonic()
            with pytest.raises(Empty):
                notices.get(timeout=1)
            assert time.monotonic() - began < 10
            proxy.cut_all()
            told = [notices.get(timeout=20)]
            other.feed("f").publish("y", id="2")
            while not isinstance(told[-1], Published):
                told.append(notices.get(timeout=20))
            assert told[-1] == Published("f", "2", "y")


async def test_a_notice_that_arrives_in_part_holds_up_no_task_for_ever(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with (
            AsyncThoonk("127.0.0.1", proxy.port) as thoonk,
            AsyncThoonk(backend=real_world.url) as other,
        ):
            feed, elsewhere = await thoonk.feed("f"), await other.feed("f")
            async with feed.subscribe() as notices:
                proxy.halve = True
                await elsewhere.publish("x" * 1000, id="1")
                async with asyncio.timeout(10):
                    with pytest.raises(Empty):
                        await notices.get(timeout=1)


def test_a_reply_that_trickles_in_is_not_waited_for_for_ever(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk("127.0.0.1", proxy.port, retry_for=0, socket_timeout=4) as thoonk,
    ):
        feed = thoonk.feed("f")
        feed.publish("x" * 5000, id="1")
        proxy.trickle = 0.05  # 250 s for all of it, and never still for long
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match="nothing was changed"):
            feed.get_item("1")
        assert time.monotonic() - began < 20
        proxy.trickle = 0
        assert feed.get_item("1") == "x" * 5000


def test_a_notice_that_trickles_in_is_waited_for_as_long_as_was_asked(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk(backend=real_world.url) as publisher,
        Thoonk("127.0.0.1", proxy.port) as thoonk,
        thoonk.feed("f").subscribe() as notices,
    ):
        proxy.trickle = 0.02
        publisher.feed("f").publish("x" * 1000, id="1")
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Empty):
                notices.get(timeout=0.5)
            assert time.monotonic() - began < 8
        proxy.trickle = 0
        # What has come of it meanwhile is kept.
        notice = notices.get(timeout=20)
        assert isinstance(notice, Published)
        assert notice.item == "x" * 1000


def test_a_large_reply_may_take_longer_while_it_arrives(real_world: World) -> None:
    assert real_world.server is not None
    options = {"retry_for": 0, "socket_timeout": 3, "socket_read_size": 4096}
    with between(real_world.server) as proxy, Thoonk("127.0.0.1", proxy.port, **options) as thoonk:
        feed = thoonk.feed("f")
        feed.publish("x" * 400_000, id="1")
        proxy.pace = 100_000
        began = time.monotonic()
        assert len(feed.get_item("1")) == 400_000
        assert time.monotonic() - began > 3


def test_a_subscriber_is_not_held_up_by_a_server_that_accepts_and_is_silent(
    real_world: World,
) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk("127.0.0.1", proxy.port) as thoonk,
        thoonk.feed("f").subscribe() as notices,
    ):
        proxy.hold_replies()
        proxy.cut_all()
        began = time.monotonic()
        with pytest.raises(Empty):
            while True:
                notices.get(timeout=1)
        assert time.monotonic() - began < 25
        proxy.thaw()
        assert notices.get(timeout=30) == Gap("f")


def test_a_reply_that_arrives_in_part_is_asked_for_again(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy, Thoonk("127.0.0.1", proxy.port) as thoonk:
        queue = thoonk.queue("q")
        queue.put_many(["x" * 1000] * 3)
        proxy.halve = True
        assert len(queue.get_ids()) == 3
        proxy.halve = True
        queue.put("y")
        assert queue.count() == 4


# --- interrupts -----------------------------------------------------------------------------

INTERRUPTED = """
    import signal
    import sys
    import time
    from thoonk import Empty, Thoonk
    from thoonk.backends.redis._sync import backend, blocking

    # Longer than there are interrupts.
    backend.REPLY_MARGIN = blocking.REPLY_MARGIN = 2.0
    count = 0

    def interrupt(*_):
        global count
        count += 1
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    options = {"retry_for": 1, "socket_connect_timeout": 2.5}
    with Thoonk("127.0.0.1", int(sys.argv[1]), **options) as thoonk:
        feed = getattr(thoonk, sys.argv[2])("f")
        ranking = thoonk.sorted_feed("s")
        expected = 0
        try:
            feed.get(timeout=0.01)
        except Empty:
            pass
        print("ready", flush=True)
        while (line := sys.stdin.readline().strip()) != "end":
            count = 0
            print("getting", flush=True)
            for _ in range(3):
                try:
                    if count == 0:
                        feed.get(timeout=40)
                    end = time.monotonic() + 8  # two in the same moment count as one
                    while count < 2 and time.monotonic() < end:
                        time.sleep(0.01)
                    break
                except KeyboardInterrupt:
                    continue
            print("out", flush=True)
            sys.stdin.readline()
            for _ in range(3):
                expected += 1
                id = ranking.append(f"x{expected}")
                assert id == str(expected), (id, expected)
                assert ranking.get_item(id) == f"x{expected}"
                assert feed.stats().type == feed.type
            print("fine", flush=True)
"""


@pytest.mark.parametrize("kind", ["queue", "job"])
def test_interrupts_in_a_row_mix_up_no_replies_and_leave_no_connections(
    real_world: World, kind: str
) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        processes.started(
            [sys.executable, "-c", textwrap.dedent(INTERRUPTED), f"{proxy.port}", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as script,
    ):
        assert script.stdin is not None
        assert script.stdout is not None

        def say(line: str) -> None:
            script.stdin.write(line + "\n")
            script.stdin.flush()

        assert script.stdout.readline() == "ready\n"
        for delay in (0.01, 0.2, 0.5):
            proxy.hold_replies()
            say("go")
            assert script.stdout.readline() == "getting\n"
            # Any moment will do: in the first look, in reading, in reading what is late.
            for _ in range(2):
                time.sleep(delay)
                script.send_signal(signal.SIGINT)
            until(lambda: has_line(script), timeout=30)
            proxy.thaw()
            assert script.stdout.readline() == "out\n"
            say("on")
            assert script.stdout.readline() == "fine\n", script.poll()
        # Those of a test before this one may not be quite gone.
        until(lambda: len(real_world.raw.client_list()) <= 6)
        say("end")
        assert script.wait(30) == 0


def has_line(script: Any) -> bool:
    return bool(select.select([script.stdout], [], [], 0.05)[0])


def in_short_waits(notices: Any) -> Any:
    """The next notice, for which none of the waits is long."""
    for _ in range(100):
        with contextlib.suppress(Empty):
            return notices.get(timeout=0.2)
    raise AssertionError("no notice")


def test_a_notice_long_after_the_last_one_is_no_lost_connection(
    real_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            for id in ("1", "2"):
                feed.publish("x", id=id)
                # Its time for the reply is over when the next one comes.
                assert in_short_waits(notices) == Published("f", id, "x")
                with pytest.raises(Empty):
                    notices.get(timeout=0.3)
    assert "lost" not in caplog.text


async def test_an_event_loop_that_stands_still_does_not_take_its_connection_for_dead(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "PING_AFTER", 0.3)
    monkeypatch.setattr(pubsub, "PING_DEADLINE", 3.0)
    send_ping, pings = pubsub.AsyncPubSub._ping, asyncio.Event()

    async def ping(self: pubsub.AsyncPubSub) -> bool:
        sent = await send_ping(self)
        if not pings.is_set():
            # Once the answer is waited for, and before it is read.
            asyncio.get_running_loop().call_soon(time.sleep, 3.5)
        pings.set()
        return sent

    monkeypatch.setattr(pubsub.AsyncPubSub, "_ping", ping)
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            await pings.wait()
            with pytest.raises(Empty):
                await notices.get(timeout=2)
            await feed.publish("x", id="1")
            assert await notices.get(timeout=20) == Published("f", "1", "x")
