"""`thoonk metrics` as a process, scraped over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import processes
from conftest import World

from thoonk import Thoonk


@contextlib.contextmanager
def exporter(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Where it listens, and the process."""
    command = [sys.executable, "-m", "thoonk.cli", "metrics", "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with processes.started(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", line), line
        yield line, process


def scrape(address: str) -> dict[str, float]:
    with urllib.request.urlopen(address, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }


def test_feeds_are_exported_until_it_is_told_to_end(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        thoonk.job("mail").put_many(["a", "b"])
        thoonk.feed("news").publish("x")
        with exporter("--backend", real_world.url) as (address, process):
            found = scrape(address)
            assert found["thoonk_up"] == 1
            assert found['thoonk_feed_waiting{feed="mail",type="job"}'] == 2
            assert found['thoonk_feed_items{feed="news",type="feed"}'] == 1
            thoonk.job("mail").get(timeout=5).finish()
            assert scrape(address)['thoonk_feed_waiting{feed="mail",type="job"}'] == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_feeds_can_be_named(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        for name in ("mail", "films"):
            thoonk.job(name).put("a")
    with exporter("--backend", real_world.url, "mail") as (address, process):
        text = str(scrape(address))
        assert "mail" in text
        assert "films" not in text
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_server_that_is_away_is_told_of() -> None:
    with exporter("--backend", "redis://127.0.0.1:1/0") as (address, _):
        assert scrape(address) == {"thoonk_up": 0}
