"""Make the pictures in docs/pictures: real commands and real pages, on a server of their own.

    python tools/pictures.py [terminal] [web]

It needs the extras `cli`, `testing` and `web`, redis-server, and for the pages Playwright
(the group `browser`) and chromium. Made once more, a picture differs in times and rates only.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from thoonk import Thoonk
from thoonk.testing.servers import running
from thoonk.worker import Worker

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
WIDTH, HEIGHT = 104, 24

WIDTH_OF_PAGE = 1120
SHARPNESS = 1.5
QUALITY = 82
LARGEST = 120_000
"""Bytes that a picture may have: people load it with the page."""

WATCHED = 40
"""Seconds for which the overview is open before its picture is taken: rates need time."""

PAGES = {
    "web-overview": ("/", "light", 520),
    "web-jobs": ("/feed?name=mail&state=stalled", "light", 720),
    "web-job": ("/job?name=mail&id=welcome-17", "light", 620),
    "web-overview-dark": ("/", "dark", 520),
}
"""Pages by the name of their picture: address, colour scheme, height."""

RETOUCH = """root => {
    document.querySelector('td details')?.setAttribute('open', '');
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        const fixed = text.data.replaceAll(root + '/tools/pictures.py', '/srv/mail/tasks.py')
            .replace(/127\\.0\\.0\\.1:\\d+/, 'redis:6379')
            .replace(/\\bby \\S+:\\d+/, 'by web-1:4711');
        if (fixed !== text.data) text.data = fixed;
    }
}"""
"""Opens the first traceback, and replaces what differs on each machine."""


def fill(url: str) -> None:
    """Feeds as a small web application has them."""
    with Thoonk(backend=url) as thoonk:
        thumbnails = thoonk.job("thumbnails", {"claim_timeout": 60, "max_failures": 1})
        thumbnails.put_many([f"photo-{number}.jpg" for number in range(40)])
        thumbnails.put("later.jpg", delay=600)
        worker = Worker(thoonk, concurrency=1)

        @worker.handles("mail", retries=0)
        def send(letter: str) -> None:
            if letter == "nobody@":
                raise ValueError("no such address: nobody@")

        mail = thoonk.job("mail", {"events": True})
        mail.put("nobody@", id="welcome-17")
        mail.put("ann@example.com")
        worker.run(burst=True)
        for _ in range(3):
            thumbnails.get(timeout=5)
        thoonk.queue("letters").put_many(["dear Ann", "dear Bob"])
        news = thoonk.feed("news", {"max_length": 100})
        for number, headline in enumerate(("one", "two", "three"), 1):
            news.publish(headline, id=str(number))
        ranking = thoonk.sorted_feed("ranking")
        ranking.append("Ann")
        ranking.append("Bob")


def shown(*words: str, url: str) -> str:
    """What a command prints on a terminal."""
    main, terminal = pty.openpty()
    program = Path(sys.executable).parent / "thoonk"
    environment = {**os.environ, "THOONK_URL": url, "TERM": "xterm-256color"}
    environment |= {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT)}
    process = subprocess.Popen(
        [program, *words], env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    output = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:  # the program has ended
            break
        if not read:
            break
        output += read
    os.close(main)
    process.wait()
    return output.decode().replace("\r\n", "\n")


def picture(url: str) -> str:
    """The SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for words in (["stats"], ["job", "list", "mail"], ["items", "news"]):
        console.print(Text.assemble(("$ ", "bold green"), (" ".join(["thoonk", *words]), "bold")))
        console.print(Text.from_ansi(shown(*words, url=url).rstrip("\n")))
    svg = console.export_svg(title="thoonk", unique_id="thoonk")
    # No fonts from elsewhere: a page should not ask other servers for anything.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).rstrip() + "\n"


def traffic(url: str, stop: threading.Event) -> None:
    """What makes the rates of the overview: the same each time, as far as clocks allow."""
    chance = random.Random(1)
    with Thoonk(backend=url) as thoonk:
        thumbnails, letters = thoonk.job("thumbnails"), thoonk.queue("letters")
        news = thoonk.feed("news")
        number = 0
        while not stop.wait(chance.uniform(0.02, 0.3)):
            number += 1
            thumbnails.put(f"photo-{number + 40}.jpg")
            if chance.random() < 0.9:  # noqa: PLR2004
                thumbnails.get(timeout=5).finish()
            if not number % 4:
                letters.put("dear Eve")
                letters.get(timeout=5)
            if not number % 9:
                news.publish(f"headline {number}")


def fail_and_wait(url: str) -> None:
    """More for the pages: jobs that have failed, and one that is being processed."""
    with Thoonk(backend=url) as thoonk:
        worker = Worker(thoonk, concurrency=1)

        @worker.handles("mail", retries=0)
        def send(letter: str) -> None:
            raise ConnectionError(f"mail.example.com refused {letter}: 451 try again later")

        mail = thoonk.job("mail")
        for number, name in enumerate(("ben", "cleo", "dora"), 18):
            mail.put(f"{name}@example.com", id=f"welcome-{number}")
        worker.run(burst=True)
        for number in range(21, 26):
            mail.put("fred@example.com", id=f"welcome-{number}")
        mail.get(timeout=5).progress(0.4, "attaching pictures")
        mail.put("gina@example.com", delay=3600)
        mail.schedule("digest", "all", cron="0 7 * * *", tz="UTC")
        thoonk.job("invoices").put_many([f"2026-{number:04}" for number in range(12)])
        thoonk.sorted_feed("playlist").append("Blue in Green")


@contextlib.contextmanager
def web_page(url: str) -> Iterator[str]:
    """The address of a `thoonk web`."""
    program = Path(sys.executable).parent / "thoonk"
    process = subprocess.Popen(
        [program, "web", "--port", "0", "--backend", url],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0].rstrip("/")
    finally:
        process.terminate()
        process.wait()


def photograph(browser: Any, address: str, scheme: str, height: int, watched: float) -> bytes:
    """A page as WebP, after some seconds."""
    window = {"width": WIDTH_OF_PAGE, "height": height}
    context = browser.new_context(viewport=window, color_scheme=scheme, locale="en-GB")
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_function("document.documentElement.classList.contains('scripted')")
    tab.wait_for_timeout(watched * 1000)
    session = context.new_cdp_session(tab)
    tab.evaluate(RETOUCH, str(ROOT))
    whole = {"x": 0, "y": 0, **window, "scale": SHARPNESS}
    taken = session.send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY, "clip": whole}
    )
    context.close()
    return base64.b64decode(taken["data"])


def make_web(url: str) -> None:
    """Pictures of the pages of `thoonk web`."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the terminal needs no browser

    fail_and_wait(url)
    stop = threading.Event()
    busy = threading.Thread(target=traffic, args=(url, stop))
    busy.start()
    try:
        with web_page(url) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for number, (name, (path, scheme, height)) in enumerate(PAGES.items()):
                data = photograph(browser, address + path, scheme, height, 2 if number else WATCHED)
                if len(data) > LARGEST:
                    raise SystemExit(f"{name} has {len(data)} bytes; at most {LARGEST} are allowed")
                (PICTURES / f"{name}.webp").write_bytes(data)
            browser.close()
    finally:
        stop.set()
        busy.join()


def main(arguments: list[str]) -> int:
    """Make the pictures that are named, or all."""
    wanted = arguments or ["terminal", "web"]
    if unknown := {*wanted} - {"terminal", "web"}:
        print(f"{', '.join(unknown)}: only terminal and web can be made", file=sys.stderr)
        return 2
    binary = shutil.which("redis-server")
    if binary is None:
        print("there is no redis-server", file=sys.stderr)
        return 1
    with running(binary) as server:
        fill(server.url)
        if "terminal" in wanted:
            (PICTURES / "terminal.svg").write_text(picture(server.url), "utf-8")
        if "web" in wanted:
            make_web(server.url)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
