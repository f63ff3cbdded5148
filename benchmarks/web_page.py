"""What an open page of `thoonk web` costs, and whether it stays live under load.

    python benchmarks/web_page.py --jobs 1000000

Starts a redis-server, fills it (5,000 feeds, one job feed with all the jobs), publishes
1,000 notices a second, and opens each page in turn as a plain client of server-sent events,
each on a `thoonk web` process of its own. Prints

- the processor time of redis-server and of `thoonk web` while the page is open, as a share of
  a core, without what both take when no page is open;
- how long after a publish the page shows it;
- what a page says while the server is restarted, and how soon it is live again after that.

The exit code is 1 when a page costs more of the server than the target, or does not heal.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from thoonk import Thoonk
from thoonk.operations import JobState, ReadJobPage, ReportedJob, ReportWorker, WorkerReport
from thoonk.testing.servers import Server, running

TARGET = 0.02
"""Share of a core of the server that an open page may take."""

PAGE = 25
"""Jobs on a page of `thoonk web`."""

TICK = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """What a process has taken of a processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def fill(url: str, feeds: int, jobs: int) -> None:
    """The feeds, and jobs in all states, most of which wait."""
    with Thoonk(backend=url) as thoonk:
        for number in range(feeds):
            thoonk.feed(f"feed-{number:05}").publish("x", id="1")
        big = thoonk.job("big", {"claim_timeout": 86_400, "max_failures": 1})
        step = 1000
        for start in range(0, jobs, step):
            ids = {f"{number:07}": "thumbnail" for number in range(start, start + step)}
            big.put_many(ids, delay=86_400 if start % (5 * step) == 0 else None)
        for _ in range(jobs // 20 // step):
            big.get_many(step, timeout=10)
        for claim in big.get_many(step, timeout=10):
            claim.stall(reason="it failed")
        for number in range(20):
            at = tuple(ReportedJob("big", f"{job:07}", running_for=1) for job in range(8))
            report = WorkerReport(f"{number}", "host", number, "2", ("big",), 8, busy=8, jobs=at)
            thoonk.backend.execute(ReportWorker(report, keep=3600))


def cursor_of(url: str, state: JobState, page: int) -> str:
    """Where a page of a tab begins."""
    cursor = ""
    with Thoonk(backend=url) as thoonk:
        for _ in range(page - 1):
            cursor = thoonk.backend.execute(ReadJobPage("big", state, PAGE, cursor)).cursor
            if not cursor:
                break
    return cursor


class Publisher:
    """Publishes at a rate, and something that can be recognised every half second.

    Attributes:
        probes: when each probe was published, by its number.
    """

    def __init__(self, url: str, rate: int) -> None:
        self.url, self.rate = url, rate
        self.probes: dict[int, float] = {}
        self.published = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with Thoonk(backend=self.url) as thoonk:
            # Two hundred each twentieth second would come in lumps; fifty each are near enough.
            busy = [thoonk.feed(f"feed-{number:05}") for number in range(50)]
            probe = thoonk.feed("probe", {"max_length": 10})
            began, next_probe = time.monotonic(), 0.0
            while not self._stop.is_set():
                now = time.monotonic() - began
                try:
                    if now >= next_probe:
                        next_probe = now + 0.5
                        number = len(self.probes)
                        probe.publish(f"probe-{number}-")
                        self.probes[number] = time.monotonic()
                    due = int(now * self.rate)
                    for number in range(self.published, due):
                        busy[number % len(busy)].publish("x", id="1")
                        self.published += 1
                except Exception:  # noqa: BLE001 - the server is being restarted
                    self.published = int((time.monotonic() - began) * self.rate)
                self._stop.wait(0.01)

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()


class Watcher:
    """A client of a page's events.

    Attributes:
        seen: when each text of a region came.
        states: what the page was told of its state, and when.
    """

    def __init__(self, address: str, path: str) -> None:
        self.seen: list[tuple[float, str]] = []
        self.states: list[tuple[float, dict[str, str | None]]] = []
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._connection.request("GET", path, headers={"Accept": "text/event-stream"})
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        event = ""
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self._answer.readline().decode():
                if line.startswith("event: "):
                    event = line[7:].strip()
                elif line.startswith("data: "):
                    now, data = time.monotonic(), json.loads(line[6:])
                    if event == "state":
                        self.states.append((now, data))
                    else:
                        self.seen.append((now, " ".join(data.values())))

    def close(self) -> None:
        """Close the page."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()


@contextlib.contextmanager
def web(url: str) -> Iterator[tuple[str, int]]:
    """The address and the process id of a `thoonk web`."""
    command = [sys.executable, "-m", "thoonk.cli", "web", "--port", "0", "--backend", url]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0].rstrip("/"), process.pid
    finally:
        process.terminate()
        process.wait(30)


def shares(pids: list[int], seconds: float) -> list[float]:
    """Which share of a core each process takes, for a while."""
    before, began = [processor_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return [(processor_seconds(pid) - had) / passed for pid, had in zip(pids, before, strict=True)]


def delays(publisher: Publisher, watcher: Watcher, since: float) -> list[float]:
    """Seconds from each publish of a probe until the page showed it."""
    found = []
    for number, at in [*publisher.probes.items()]:
        if at >= since:
            shown = (when for when, text in [*watcher.seen] if f"probe-{number}-" in text)
            if (when := next(shown, None)) is not None:
                found.append(when - at)
    return found


def until(condition: Callable[[], bool], within: float = 120.0) -> float | None:
    """Seconds until it holds; None: it did not."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if condition():
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def restart(server: Server, address: str) -> bool:
    """Restart the server under an open page; print what the page says."""
    watcher = Watcher(address, "/feed?name=probe")
    until(lambda: bool(watcher.seen))
    with server.client(socket_timeout=600) as client:
        client.save()
    server.kill()
    said = until(lambda: bool(watcher.states and watcher.states[-1][1]["stale"]))
    server.start()
    started = time.monotonic()
    healed = until(
        lambda: bool(
            watcher.states
            and watcher.states[-1][1]["stale"] is None
            and any(at > started and "probe-" in text for at, text in [*watcher.seen])
        )
    )
    watcher.close()
    print(
        f"restart: the page says so after {said:.1f} s" if said else "restart: it does not say so",
        f"and is live {healed:.1f} s after the server answers" if healed else "and does not heal",
        flush=True,
    )
    return said is not None and healed is not None


def addresses(url: str) -> dict[str, str]:
    """The pages that are measured, by name."""
    pages = {
        "overview": "/",
        "overview, by items": "/?sort=items&desc=1",
        "feed": "/feed?name=probe",
    }
    for state in JobState.WAITING, JobState.SCHEDULED, JobState.CLAIMED, JobState.STALLED:
        path = f"/feed?name=big&state={state.value}"
        pages[f"jobs, {state.value}"] = path
        cursor = cursor_of(url, state, 500)
        if cursor:
            pages[f"jobs, {state.value}, page 500"] = f"{path}&cursor={quote(cursor, safe='')}"
    pages |= {
        "a job": "/job?name=big&id=0000001",
        "log": "/log",
        "log, filtered": "/log?q=probe",
        "workers": "/workers",
    }
    return pages


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--feeds", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=1000, help="notices a second")
    parser.add_argument("--seconds", type=float, default=8, help="how long a page is measured")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    options = parser.parse_args()
    binary = shutil.which("redis-server")
    if binary is None:
        parser.error("there is no redis-server")
    bad = False
    with running(binary) as server:
        assert server.process is not None
        began = time.monotonic()
        fill(server.url, options.feeds, options.jobs)
        print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
        pages = {name: path for name, path in addresses(server.url).items() if options.only in name}
        publisher = Publisher(server.url, options.rate)
        try:
            with web(server.url) as (_, pid):
                time.sleep(2)
                base, idle = shares([server.process.pid, pid], options.seconds)
            print(f"no page: server {base:.1%}, thoonk web {idle:.1%}", flush=True)
            print(f"{'page':28} {'server':>8} {'web':>8} {'p50':>8} {'p95':>8}")
            for name, path in pages.items():
                with web(server.url) as (address, pid):
                    watcher = Watcher(address, path)
                    # The first look at all feeds costs more, once.
                    time.sleep(12 if name.startswith("overview") else 3)
                    since = time.monotonic()
                    of_server, of_web = shares([server.process.pid, pid], options.seconds)
                    time.sleep(2)
                    found = sorted(delays(publisher, watcher, since))
                    watcher.close()
                of_server -= base
                bad = bad or of_server > TARGET or not watcher.seen
                text = f"{name:28} {of_server:8.1%} {of_web - idle:8.1%}"
                if len(found) > 2:  # noqa: PLR2004
                    p95 = statistics.quantiles(found, n=20)[-1]
                    text += f" {statistics.median(found):6.2f} s {p95:6.2f} s"
                print(text, "" if watcher.seen else "(not shown)", flush=True)
            with web(server.url) as (address, _):
                bad = not restart(server, address) or bad
        finally:
            publisher.stop()
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
