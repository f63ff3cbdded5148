"""Make the picture of a terminal in README.md: real commands, on a server of their own.

    python tools/pictures.py [FILE]

It needs the extras `cli` and `testing`, and redis-server.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from thoonk import Thoonk
from thoonk.testing.servers import running
from thoonk.worker import Worker

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/pictures/terminal.svg"
WIDTH, HEIGHT = 104, 24


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


def main(arguments: list[str]) -> int:
    """Write the picture."""
    binary = shutil.which("redis-server")
    if binary is None:
        print("there is no redis-server", file=sys.stderr)
        return 1
    with running(binary) as server:
        fill(server.url)
        Path(arguments[0] if arguments else PICTURE).write_text(picture(server.url), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
