"""What a forked child does with the clients that it has a copy of is no affair of its parent's."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import servers
from conftest import World

FORKING = """
    import asyncio, os, sys, threading, time
    from thoonk import AsyncThoonk, Empty, Gap, Published, Thoonk

    url, way = sys.argv[1:3]

    def until(condition, within=20):
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, "in vain"
            time.sleep(0.01)

    def ended(child):
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.fixture(params=[*servers.binaries(), "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of each server, and of a file."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'feeds.db'}"
    running_server = request.getfixturevalue("running_server")
    server: servers.Server = running_server(request.param)
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
    return server.url


def run(script: str, world: World | str, way: str = "") -> str:
    program = textwrap.dedent(FORKING) + textwrap.dedent(script)
    url = world if isinstance(world, str) else world.url
    # Python 3.12 and later warn of a fork where threads run, which is what is tried here.
    quiet = ("-W", "ignore:This process:DeprecationWarning")
    arguments = [sys.executable, *quiet, "-c", program, url, way]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_child_that_closes_a_subscription_that_its_parent_reads_does_not_end_it(
    url: str,
) -> None:
    script = """
        with Thoonk(backend=url) as thoonk:
            feed = thoonk.feed("f")
            with feed.subscribe() as notices:
                got = []
                reader = threading.Thread(target=lambda: got.extend(n.item for n in notices))
                reader.start()
                feed.publish("before", id="0")
                until(lambda: got)
                child = os.fork()
                if child == 0:
                    sys.exit(7)
                ended(child)
                feed.publish("after", id="1")
                until(lambda: len(got) == 2)
            reader.join(20)
            print(*got)
    """
    assert run(script, url) == "before after\n"


@pytest.mark.parametrize("way", ["leaves its block", "closes it", "closes the client", "reads"])
def test_a_child_that_closes_its_copy_of_a_subscription_leaves_that_of_its_parent(
    url: str, way: str
) -> None:
    script = """
        thoonk = Thoonk(backend=url)
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            feed.publish("before", id="0")
            child = os.fork()
            if child == 0:
                if way == "closes it":
                    notices.close()
                elif way == "closes the client":
                    thoonk.close()
                elif way == "reads":
                    print(notices.get(timeout=10), flush=True)
                if way != "leaves its block":
                    os._exit(7)
                sys.exit(7)
            ended(child)
            feed.publish("after", id="1")
            print(*(notices.get(timeout=10).item for _ in range(2)))
    """
    gap = "Gap(feed='f')\n" if way == "reads" else ""
    assert run(script, url, way) == f"{gap}before after\n"


def test_a_child_that_closes_its_copy_of_a_client_leaves_the_handlers_of_its_parent(
    url: str,
) -> None:
    script = """
        with Thoonk(backend=url, listen=True) as thoonk:
            calls = []
            for event in ("create", "publish", "gap"):
                thoonk.register_handler(event, lambda *args: calls.append(args))
            feed = thoonk.feed("f")
            until(lambda: calls == [("f",)])
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    sys.exit(7)
                ended(child)
            feed.publish("x", id="1")
            thoonk.feed("g")
            until(lambda: len(calls) == 3)
            print(calls)
    """
    assert run(script, url) == "[('f',), ('f', 'x', '1'), ('g',)]\n"


@pytest.mark.parametrize("way", ["sys.exit", "os._exit"])
def test_a_child_of_an_event_loop_leaves_the_notices_of_its_parent(url: str, way: str) -> None:
    if url.startswith("sqlite") and way == "sys.exit":
        # The child's `asyncio.run` closes its loop, and with that takes off the shared epoll what
        # wakes its parent's loop from threads. So nothing of asyncio's works there afterwards.
        way = "os._exit"
    script = """
        async def main():
            calls = []
            async with AsyncThoonk(backend=url, listen=True) as thoonk:
                await thoonk.register_handler("publish", lambda *args: calls.append(args))
                await thoonk.register_handler("gap", lambda feed: calls.append("gap"))
                feed = await thoonk.feed("f")
                async with feed.subscribe() as notices:
                    child = os.fork()
                    if child == 0:
                        await notices.close()
                        await thoonk.close()
                        if way == "os._exit":
                            os._exit(7)
                        sys.exit(7)
                    ended(child)
                    await feed.publish("x", id="1")
                    print((await notices.get(timeout=10)).item)
                    end = time.monotonic() + 20
                    while not calls and time.monotonic() < end:
                        await asyncio.sleep(0.01)
                    print(calls)

        asyncio.run(main())
    """
    assert run(script, url, way) == "x\n[('f', 'x', '1')]\n"


def test_a_handler_that_a_child_registers_is_called_there_and_those_of_its_parent_are_not(
    url: str,
) -> None:
    script = """
        with Thoonk(backend=url, listen=True) as thoonk:
            calls = []
            thoonk.register_handler("publish", lambda feed, item, id: calls.append(f"parent {id}"))
            feed = thoonk.feed("f")
            child = os.fork()
            if child == 0:
                note = lambda feed, item, id: calls.append(f"child {id}")
                thoonk.register_handler("publish", note)
                feed.publish("x", id="1")
                until(lambda: calls)
                print(*calls, flush=True)
                thoonk.remove_handler("publish", note)
                sys.exit(7)
            ended(child)
            feed.publish("x", id="2")
            until(lambda: len(calls) == 2)
            print(*calls)
    """
    assert run(script, url) == "child 1\nparent 1 parent 2\n"


def test_a_child_that_closes_its_copy_of_a_client_wakes_no_taker_of_its_parent(
    real_world: World,
) -> None:
    script = """
        thoonk = Thoonk(backend=url)
        queue = thoonk.queue("q")
        got = []
        taker = threading.Thread(target=lambda: got.append(queue.get(timeout=30)))
        taker.start()
        until(lambda: [each.unread for each in thoonk.backend._blocking._blocked.values()] == [2])
        child = os.fork()
        if child == 0:
            thoonk.close()
            os._exit(7)
        ended(child)
        queue.put("x")
        taker.join(20)
        thoonk.close()
        print(*got)
    """
    raw: Any = real_world.raw
    raw.config_resetstat()
    assert run(script, real_world) == "x\n"
    assert "cmdstat_client|unblock" not in raw.info("commandstats")


@pytest.mark.parametrize("way", ["0", "7"])
def test_a_child_that_leaves_the_block_of_a_claim_does_not_end_the_job(url: str, way: str) -> None:
    script = """
        with Thoonk(backend=url) as thoonk:
            job = thoonk.job("j")
            id = job.put("x")
            with job.get(timeout=5):
                child = os.fork()
                if child == 0:
                    if way == "7":
                        sys.exit(7)
                else:
                    ended(child) if way == "7" else os.waitpid(child, 0)
                    print(job.get_counts().claimed)
            if child == 0:
                os._exit(0)
            print(job.get_counts().finished)
    """
    assert run(script, url, way) == "1\n1\n"


@pytest.mark.parametrize("backend", ["embedded", "sqlite"])
def test_threads_that_fork_while_others_work_do_not_stop_each_other(
    backend: str, tmp_path: Path
) -> None:
    script = """
        thoonk = Thoonk(backend=url)
        queue, feed = thoonk.queue("q"), thoonk.feed("f")
        over = threading.Event()

        def work():
            while not over.is_set():
                queue.put("x")
                queue.get(timeout=30)
                feed.publish("y", id="1")

        def fork():
            for _ in range(4):
                child = os.fork()
                if child == 0:
                    try:
                        queue.put("z")
                        queue.get(timeout=30)
                        with feed.subscribe() as notices:
                            feed.publish("z", id="1")
                            notices.get(timeout=30)
                        os._exit(7)
                    finally:
                        os._exit(8)
                ended(child)

        with feed.subscribe() as notices:
            workers = [threading.Thread(target=work) for _ in range(2)]
            forkers = [threading.Thread(target=fork) for _ in range(2)]
            for thread in workers + forkers:
                thread.start()
            for thread in forkers:
                thread.join()
            over.set()
            for thread in workers:
                thread.join()
        thoonk.close()
    """
    url = f"sqlite:///{tmp_path / 'feeds.db'}" if backend == "sqlite" else backend
    assert run(script, url) == ""


@pytest.mark.parametrize("way", ["threads", "asyncio"])
def test_a_child_has_all_files_of_its_parent_whatever_is_in_memory(way: str) -> None:
    """fakeredis numbers its sockets from 1; files have these numbers, too."""
    script = """
        files = [open("/dev/zero", "rb", buffering=0) for _ in range(60)]
        feeds = []

        def look():
            child = os.fork()
            if child == 0:
                os._exit(7 if all(file.read(1) == b"\\0" for file in files) else 8)
            ended(child)

        def open_some():
            for n in range(40):
                thoonk = Thoonk(backend=url)
                feed = thoonk.feed(f"f{n}")
                feeds.append((thoonk, feed, feed.subscribe().__enter__()))
                feed.publish("x")

        async def open_some_async():
            for n in range(40):
                thoonk = AsyncThoonk(backend=url)
                feed = await thoonk.feed(f"f{n}")
                feeds.append((thoonk, feed, await feed.subscribe().__aenter__()))
                await feed.publish("x")
            look()
            for thoonk, _, notices in feeds:
                await thoonk.close()

        if way == "asyncio":
            asyncio.run(open_some_async())
        else:
            open_some()
            look()
            for thoonk, _, notices in feeds:
                thoonk.close()
        for file in files:
            file.close()
    """
    assert run(script, "memory", way) == ""


def test_a_connection_that_cannot_be_cut_off_does_not_keep_the_others() -> None:
    script = """
        import socket
        from thoonk.backends.redis.forks import cut_off_in_children

        class Odd:
            @property
            def _sock(self):
                raise RuntimeError("of a driver that is not known")

        class Usual:
            def __init__(self, sock):
                self._sock = sock

        odd = [Odd() for _ in range(20)]
        pairs = [socket.socketpair() for _ in range(20)]
        usual = [Usual(ours) for ours, _ in pairs]
        for connection in (*odd, *usual):
            cut_off_in_children(connection)
        child = os.fork()
        if child == 0:
            for ours, _ in pairs:
                os.write(ours.fileno(), b"from the child")
            os._exit(7)
        ended(child)
        for ours, theirs in pairs:
            ours.send(b"from the parent")
            assert theirs.recv(100) == b"from the parent"
            ours.close()
            theirs.close()
    """
    assert run(script, "memory") == ""
