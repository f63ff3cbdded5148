"""Check the built pages: what search finds, what is copied, how large and how wide pages are.

    python tools/check_html.py FOLDER

FOLDER is what ``sphinx-build -b html docs FOLDER`` has written; ``tox -e docs`` runs both. How
wide they are, a chromium measures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

FIRST = {
    "ACL": "security",
    "alert": "observability",
    "autoscaling": "deploy/kubernetes",
    "cancel a job": "worker",
    "Celery": "howto/moving",
    "chord": "howto/job-pipeline",
    "cluster": "backends",
    "cron": "job",
    "dead letter": "job",
    "delayed job": "job",
    "depends_on": "howto/job-pipeline",
    "Django": "use-with/django",
    "Docker": "deploy/docker",
    "drag": "sorted-feed",
    "exporter": "observability",
    "FAQ": "faq",
    "FastAPI": "use-with/fastapi",
    "Grafana": "observability",
    "health check": "worker",
    "install": "install",
    "job_timeout": "worker",
    "Kubernetes": "deploy/kubernetes",
    "migration": "howto/moving",
    "nginx": "web",
    "Node": "conformance",
    "paging": "feed",
    "performance tuning": "deploy/sizing",
    "progress": "howto/job-progress",
    "proxy": "web",
    "pytest": "testing",
    "rate limit": "howto/priorities",
    "reorder": "sorted-feed",
    "retry": "worker",
    "RQ": "howto/moving",
    "server-sent events": "howto/websocket-sse",
    "SSE": "howto/websocket-sse",
    "stability": "versions",
    "stuck job": "troubleshooting",
    "tenant": "security",
    "test a handler": "testing",
    "unique job": "job",
    "WebSocket": "howto/websocket-sse",
}
"""The page that comes first when people search for it."""

LARGEST = 450_000

WIDTHS = (1280, 400)
"""Pixels that a window has; no page may be wider."""

MEASURE = """() => {
    const blocks = document.querySelectorAll('.highlight').length;
    const buttons = document.querySelectorAll('.highlight button.copybtn').length;
    return [document.scrollingElement.scrollWidth, blocks - buttons];
}"""


def first_pages(folder: Path, searches: Iterable[str]) -> list[str]:
    """For each search the page that comes first, as the browser finds it; empty: none."""
    program = Path(__file__).with_name("search_docs.js")
    command = ["node", str(program), str(folder), *searches]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [results[0][0] if results else "" for results in found]


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the pages."""
    if shutil.which("node"):
        for (words, page), first in zip(FIRST.items(), first_pages(folder, FIRST), strict=True):
            if page != first:
                yield f"a search for {words!r} finds {first or 'nothing'} before {page}"
    elif os.environ.get("CI"):
        yield "there is no node on this machine to search with"
    for path in folder.rglob("*.html"):
        if path.stat().st_size > LARGEST:
            yield f"{path.name} has {path.stat().st_size} bytes"
    if ".linenos, .gp, .go" not in (folder / "_static/copybutton.js").read_text("utf-8"):
        yield "buttons copy prompts, too"
    tutorial = (folder / "tutorial.html").read_text("utf-8")
    for prompt in ("$ ", "&gt;&gt;&gt; "):
        if f'<span class="gp">{prompt}</span>' not in tutorial:
            yield f"the prompt {prompt!r} is not marked as one"


def seen_problems(folder: Path, program: str) -> Iterator[str]:
    """What is wrong with the pages in a browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not without a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for width in WIDTHS:
            tab = browser.new_page(viewport={"width": width, "height": 800})
            for path in sorted(folder.rglob("*.html")):
                tab.goto(path.resolve().as_uri())
                wide, bare = tab.evaluate(MEASURE)
                if wide > width:
                    yield f"{path.name} is {wide} pixels wide in a window of {width}"
                if bare:
                    yield f"{path.name} has {bare} blocks that no button copies"
            tab.close()
        browser.close()


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit code."""
    found = list(problems(Path(arguments[0])))
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is not None:
        found += seen_problems(Path(arguments[0]), program)
    elif os.environ.get("CI"):
        found.append("there is no chromium on this machine to look at the pages with")
    print("\n".join(found), end="\n" * bool(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
