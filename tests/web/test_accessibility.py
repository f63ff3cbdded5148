"""Every page for people who see it in the dark, on a phone, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import World

from thoonk import Thoonk
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport
from web.conftest import Served, serving

PAGES = {
    "overview": "/",
    "feed": "/feed?name=news",
    "sorted feed": "/feed?name=songs",
    "queue": "/feed?name=letters",
    "jobs that wait": "/feed?name=thumbnails",
    "scheduled jobs": "/feed?name=thumbnails&state=scheduled",
    "claimed jobs": "/feed?name=thumbnails&state=claimed",
    "stalled jobs": "/feed?name=thumbnails&state=stalled",
    "schedules": "/feed?name=thumbnails&state=schedules",
    "job": "/job?name=thumbnails&id=claimed",
    "failed job": "/job?name=thumbnails&id=stalled",
    "no such job": "/job?name=thumbnails&id=none",
    "item": "/item?name=news&id=2",
    "editor": "/edit?name=news&id=2",
    "workers": "/workers",
    "log": "/log",
    "missing": "/feed?name=nothing",
}
WIDE, NARROW = (1280, 800), (400, 800)
LONG = "a-very-long-name-without-any-space-" * 4


def fill(thoonk: Thoonk) -> None:
    news = thoonk.feed("news", serializer="json")
    news.publish({"headline": "x" * 300, "tags": ["a", "b"]}, id="2")
    news.publish({"headline": "short"}, id=LONG)
    thoonk.feed(LONG).publish("x")
    songs = thoonk.sorted_feed("songs")
    songs.append("one")
    songs.append("y" * 300)
    thoonk.queue("letters").put("dear reader")
    job = thoonk.job("thumbnails", {"events": True})
    job.put("x", id="stalled")
    try:
        raise OSError("the disk is full " * 20)
    except OSError as error:
        job.get(timeout=5).stall(reason=error)
    job.put("x", id="claimed")
    job.get(timeout=5).progress(0.4, "resizing")
    job.put("x" * 300, id=LONG)
    job.put("x", id="later", delay=600)
    job.schedule("hourly", "x", every=3600)
    thoonk.job("paused").pause()
    at = ReportedJob("thumbnails", "claimed", running_for=100)
    feeds = ("thumbnails", "paused")
    report = WorkerReport("id", "host", 4711, "2.0", feeds, 3, busy=1, jobs=(at,))
    thoonk.backend.execute(ReportWorker(report, keep=600))


def problems(served: Served, browser: Any, size: tuple[int, int], scheme: str) -> list[str]:
    """What is wrong with the pages in a window of a size, in a colour scheme."""
    found = []
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
    )
    context.set_default_timeout(60_000)
    tab = context.new_page()
    for title, path in PAGES.items():
        tab.goto(served.url + path)
        tab.wait_for_function("document.documentElement.classList.contains('scripted')")
        over = tab.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        if over > 0:
            found.append(f"{title}: {over} pixels wider than the window")
        found += [
            f"{title}: {violation['id']} ({violation['impact']}): {node['html'][:200]}"
            for violation in Axe().run(tab).response["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"][:3]
        ]
    context.close()
    return found


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_pages_suit_people_who_see_little_and_small_screens(
    one_server: World, chromium: Any, size: tuple[int, int], scheme: str
) -> None:
    with Thoonk(backend=one_server.url) as thoonk:
        fill(thoonk)
    with serving(one_server.url) as served:
        assert "\n".join(problems(served, chromium, size, scheme)) == ""


SMALL = """() => [...document.querySelectorAll(
        'button, .button, .does a, .tabs a, .bar nav a, input, select')]
    .filter(one => one.checkVisibility() && one.type !== 'checkbox' && one.type !== 'hidden')
    .filter(one => one.getBoundingClientRect().height < 36)
    .map(one => one.outerHTML.slice(0, 200))"""
"""What a finger may miss."""


def test_pages_suit_fingers_and_large_letters(one_server: World, chromium: Any) -> None:
    with Thoonk(backend=one_server.url) as thoonk:
        fill(thoonk)
    wrong = []
    with serving(one_server.url) as served:
        context = chromium.new_context(has_touch=True, is_mobile=True)
        tab = context.new_page()
        for title, path in PAGES.items():
            tab.goto(served.url + path)
            # A telephone, and what is left of 1280 pixels at 200 % and at 400 %.
            for width in 400, 640, 320:
                tab.set_viewport_size({"width": width, "height": 600})
                wide = tab.evaluate("document.scrollingElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{title}: {wide} pixels wide in a window of {width}")
            wrong += [f"{title}: {what} is too small" for what in tab.evaluate(SMALL)]
        context.close()
    assert "\n".join(wrong) == ""
