"""What only synchronous clients do: operators, threads, signals, forks, exits."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any, Self

import pytest
from conftest import World

from contract.peek import blocked
from thoonk import BackendUnavailable, Pubsub, Thoonk
from thoonk.operations import Operation, QueueConfirm, QueueReturn
from thoonk.testing._sync.helpers import Background, until
from thoonk.testing.proxy import between


class Script:
    """A Python program of its own; what it prints is read line by line."""

    def __init__(self, text: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str, str]:
        """Exit code, the rest of the output, errors."""
        output, errors = self.process.communicate(timeout=30)
        return self.process.returncode, output, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def thoonk_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "thoonk" in thread.name]


def test_pubsub_is_another_name_of_thoonk() -> None:
    assert Pubsub is Thoonk


def test_close_ends_every_thread(world: World) -> None:
    before = threading.active_count()
    thoonk = Thoonk(backend=world.url, listen=True)
    thoonk.register_handler("publish", print)
    # One reads the connection for all subscriptions, one calls handlers.
    assert sorted(thoonk_threads()) == ["thoonk-listener", "thoonk-notices"]
    thoonk.close()
    assert thoonk_threads() == []
    assert threading.active_count() == before


def test_closing_from_another_thread_wakes_everyone(world: World) -> None:
    thoonk = Thoonk(backend=world.url, listen=True)
    queue, job = thoonk.queue("q"), thoonk.job("j")
    waiting = [Background(call) for call in (queue.get, queue.get, job.get)]
    other = thoonk.job("other")
    waiting.append(Background(other.get_result, other.put("x")))
    # On a server, the two of the queue share a connection.
    until(lambda: blocked(world) == (3 if world.server is None else 2))
    thoonk.close()
    for call in waiting:
        with pytest.raises(Exception, match="closed"):
            call.result()


@pytest.mark.parametrize("error", [AttributeError, ValueError])
def test_closing_takes_a_connection_apart_that_is_being_opened(
    real_world: World, error: type[Exception]
) -> None:
    def greet(connection: Any) -> None:
        connection.disconnect()  # as another thread does that closes the pool
        raise error("of what is not there any more")

    with Thoonk(backend=real_world.url, retry_for=0) as thoonk:
        thoonk.backend._pool.connection_kwargs["redis_connect_func"] = greet
        with pytest.raises(BackendUnavailable, match="closed by another thread"):
            thoonk.get_feed_names()


# --- interrupts -------------------------------------------------------------------------

INTERRUPTED = """
    import signal
    import sys
    from thoonk import Thoonk

    def interrupt(number, frame):
        print("interrupted", flush=True)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    with Thoonk("127.0.0.1", int(sys.argv[1])) as thoonk:
        feed = getattr(thoonk, sys.argv[2])("f")
        while True:
            print("ready", flush=True)
            if sys.stdin.readline() != "get\\n":
                break
            try:
                feed.get()
                print("taken", flush=True)
            except KeyboardInterrupt:
                print("put back", flush=True)
"""


@pytest.mark.parametrize("kind", ["queue", "job"])
def test_an_interrupted_get_takes_nothing_later(real_world: World, kind: str) -> None:
    assert real_world.server is not None
    port = f"{real_world.server.port}"
    with Thoonk(backend=real_world.url) as thoonk, Script(INTERRUPTED, port, kind) as script:
        feed: Any = getattr(thoonk, kind)("f")
        for _ in range(5):
            assert script.line() == "ready"
            script.say("get")
            until(lambda: blocked(real_world) == 1)
            script.process.send_signal(signal.SIGINT)
            assert [script.line(), script.line()] == ["interrupted", "put back"]
            id = feed.put("x")
            assert feed.get_ids() == [id]
            taken = feed.get(timeout=5)
            if kind == "job":
                assert taken.cancelled == 0
                taken.finish()
        assert script.line() == "ready"
        script.say("end")
        assert script.end() == (0, "", "")


def test_a_second_interrupt_does_not_keep_an_item_from_going_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Thoonk(backend=world.url) as thoonk:
        real_execute = thoonk.backend.execute

        def execute(operation: Operation[Any]) -> Any:
            if isinstance(operation, QueueReturn):
                signal.raise_signal(signal.SIGINT)
            answer = real_execute(operation)
            if isinstance(operation, QueueConfirm):
                signal.raise_signal(signal.SIGINT)
            return answer

        monkeypatch.setattr(thoonk.backend, "execute", execute)
        queue = thoonk.queue("q")
        queue.put("x", id="one")
        with pytest.raises(KeyboardInterrupt):
            queue.get(timeout=10)
        until(lambda: queue.get_ids() == ["one"])


@pytest.mark.parametrize("kind", ["queue", "job"])
def test_an_item_whose_reply_is_under_way_goes_back(real_world: World, kind: str) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk(backend=real_world.url) as thoonk,
        Script(INTERRUPTED, f"{proxy.port}", kind) as script,
    ):
        feed: Any = getattr(thoonk, kind)("f")
        assert script.line() == "ready"
        for is_waiting in (True, False):
            if not is_waiting:
                feed.put("x")
                proxy.hold_replies()
            script.say("get")
            if is_waiting:
                until(lambda: blocked(real_world) == 1)
                proxy.hold_replies()
                feed.put("x")
            # The server has handed it out, and nobody has received it.
            until(lambda: not real_world.raw.exists("feed.ids:f", "feed.reserved:f"))
            script.process.send_signal(signal.SIGINT)
            assert script.line() == "interrupted"
            proxy.thaw()
            assert script.line() == "put back"
            assert len(feed) == 1
            taken = feed.get(timeout=5)
            if kind == "job":
                assert taken.cancelled == 0
                taken.finish()
            assert len(feed) == 0
            assert script.line() == "ready"
        script.say("end")
        assert script.end() == (0, "", "")


def test_an_interrupted_get_in_memory_takes_nothing_later() -> None:
    script = """
        import os
        import signal
        import threading
        import time
        from thoonk import Thoonk

        with Thoonk(backend="memory") as thoonk:
            for kind in ("queue", "job"):
                feed = getattr(thoonk, kind)(kind)

                def interrupt():
                    while not thoonk.backend.world._waiting:
                        time.sleep(0.001)
                    os.kill(os.getpid(), signal.SIGINT)

                for _ in range(3):
                    threading.Thread(target=interrupt).start()
                    try:
                        feed.get()
                    except KeyboardInterrupt:
                        feed.put("x")
                    print(len(feed), feed.get(timeout=5)[-1] if kind == "queue" else
                          feed.get(timeout=5).item)
    """
    with Script(script) as running:
        assert running.end() == (0, "1 x\n1 x\n1 x\n1 x\n2 x\n3 x\n", "")


# --- the end of the interpreter, and forks ------------------------------------------------


@pytest.mark.parametrize("url", ["memory", None])
def test_a_client_that_nobody_closed_does_not_outlive_the_program(
    real_world: World, url: str | None
) -> None:
    script = """
        import sys
        import threading
        from thoonk import Thoonk

        thoonk = Thoonk(backend=sys.argv[1], listen=True)
        thoonk.register_handler("publish", print)
        feed = thoonk.feed("f")
        threading.Thread(target=thoonk.queue("q").get, daemon=True).start()
        notices = feed.subscribe()
        notices.__enter__()
        print("end")
    """
    with Script(script, url or real_world.url) as running:
        assert running.end() == (0, "end\n", "")


def test_a_client_works_on_both_sides_of_a_fork(real_world: World) -> None:
    script = """
        import os
        import sys
        from thoonk import Empty, Thoonk

        thoonk = Thoonk(backend=sys.argv[1])
        feed, queue = thoonk.feed("f"), thoonk.queue("q")
        feed.publish("x", id="before")
        try:
            queue.get(timeout=0.01)
        except Empty:
            pass
        child = os.fork()
        name = "parent" if child else "child"
        for number in range(50):
            assert feed.publish(name, id=f"{name} {number}")
            assert feed.get_item(f"{name} {number}") == name
            queue.put(name)
            queue.get(timeout=5)
        thoonk.close()
        if child:
            _, status = os.waitpid(child, 0)
            sys.exit(status)
    """
    with Script(script, real_world.url) as running:
        assert running.end() == (0, "", "")
    with Thoonk(backend=real_world.url) as thoonk:
        assert thoonk.feed("f").count() == 101
        assert thoonk.queue("q").count() == 0
