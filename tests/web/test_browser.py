"""The page in a real browser, on a real server."""

from __future__ import annotations

import signal
import time
from typing import Any

from conftest import World

from thoonk import Thoonk

from .conftest import serving


def until(tab: Any, script: str) -> None:
    """Wait until a script says true. (Playwright's own wait needs eval, which the page forbids.)"""
    deadline = time.monotonic() + 60
    while not tab.evaluate(script):
        assert time.monotonic() < deadline, (script, tab.inner_text("body"))
        tab.wait_for_timeout(50)


def test_the_overview_is_live_searched_and_sorted(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        queue = client.queue("mail")
        client.feed("news").publish("x")
        tab.goto(served.url)
        until(tab, "document.getElementById('light').dataset.state === 'live'")
        queue.put_many(["x"] * 1234)
        until(tab, "document.body.innerText.includes('1\\u202f234')")
        client.feed("fresh")
        until(tab, "document.body.innerText.includes('fresh')")
        tab.fill("#q", "NEWS")
        until(tab, "!document.querySelector('.feeds').innerText.includes('mail')")
        assert tab.evaluate("document.activeElement.id") == "q"
        tab.goto(served.url)
        tab.click("text=Items")
        until(tab, "document.querySelector('.feeds tbody tr').innerText.startsWith('mail')")


def test_items_are_published_retracted_and_moved(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        feed = client.sorted_feed("playlist")
        for name in "abc":
            feed.append(name)
        tab.goto(f"{served.url}/feed?name=playlist")
        tab.click("summary:has-text('Publish')")
        tab.fill("#item", "fourth")
        tab.click("button.main")
        until(tab, "document.querySelectorAll('.items tbody tr').length === 4")
        tab.focus("[aria-label='Move 4 up']")
        tab.keyboard.press("Enter")
        until(tab, "document.querySelectorAll('.items tbody tr')[2].dataset.key === '4'")
        # The live row may come before the answer, which moves what is below its message.
        until(tab, "document.getElementById('said').innerText.includes('Moved 4.')")
        tab.hover("tr[data-key='1'] .handle")
        tab.mouse.down()
        # A drag begins with one move, and is over something with the next.
        for _ in range(3):
            tab.hover("tr[data-key='3'] .what", force=True)
        until(tab, "document.querySelector('.drop-before, .drop-after') !== null")
        tab.mouse.up()
        until(tab, "document.querySelector('.items tbody tr').dataset.key === '2'")
        assert feed.get_ids()[0] == "2"
        tab.click("[aria-label='Retract 2']")
        tab.wait_for_selector("dialog[open]")
        assert feed.has_id("2")
        tab.click("dialog button.danger")
        until(tab, "!document.querySelector('tr[data-key=\"2\"]')")
        assert not feed.has_id("2")


def test_a_form_that_is_refused_keeps_what_was_typed(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        jobs = client.job("mail")
        tab.goto(f"{served.url}/feed?name=mail")
        tab.click("summary:has-text('Put a job')")
        tab.fill("#item", "dear reader")
        tab.fill("[name=delay]", "soon")
        tab.click(".publish button.main")
        until(tab, "document.getElementById('said').innerText.includes('not \\'soon\\'')")
        assert tab.input_value("#item") == "dear reader"
        assert tab.input_value("[name=delay]") == "soon"
        tab.fill("[name=delay]", "")
        tab.click(".publish button.main")
        until(tab, "document.getElementById('said').innerText.includes('Put ')")
        until(tab, "document.getElementById('item').value === ''")
        assert jobs.count() == 1


def test_nothing_moves_for_people_who_do_not_want_it(one_server: World, chromium: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        feed = client.feed("news")
        feed.publish("x", id="first")
        for motion, is_moving in ("no-preference", True), ("reduce", False):
            context = chromium.new_context(reduced_motion=motion)
            tab = context.new_page()
            tab.goto(f"{served.url}/feed?name=news")
            until(tab, "document.getElementById('light').dataset.state === 'live'")
            feed.publish("x", id=motion)
            until(tab, f"document.querySelector('[data-key={motion}].fresh') !== null")
            moves = "getComputedStyle(document.querySelector('tr.fresh td')).animationName"
            assert (tab.evaluate(moves) != "none") is is_moving
            context.close()


def test_the_page_survives_its_server_and_the_backend(
    any_server: Any, running_server: Any, tab: Any
) -> None:
    with any_server() as server:
        with Thoonk(backend=server.url) as client, serving(server.url) as served:
            client.queue("mail")
            tab.goto(f"{served.url}/feed?name=mail")
            until(tab, "document.getElementById('light').dataset.state === 'live'")
            server.kill()
            until(tab, "!document.getElementById('stale').hidden")
            until(tab, "document.body.innerText.includes('These numbers are from')")
            assert "mail" in tab.inner_text("h1")
            server.start()
            until(tab, "document.getElementById('stale').hidden")
            port = served.url.rpartition(":")[2]
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(30) is not None
            until(tab, "document.getElementById('light').dataset.state === 'lost'")
            with serving(server.url, "--port", port):
                until(tab, "document.getElementById('light').dataset.state === 'live'")
