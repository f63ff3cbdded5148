"""What people do with keys only, with the focus always in sight."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import World

from thoonk import Thoonk

from .conftest import serving
from .test_accessibility import PAGES, fill
from .test_browser import until

VISITED = (
    "overview",
    "sorted feed",
    "queue",
    "scheduled jobs",
    "stalled jobs",
    "schedules",
    "failed job",
    "editor",
    "log",
)

WATCH = """() => {
    document.querySelectorAll('details').forEach(one => one.open = true);
    window.missed = new Set(document.querySelectorAll(
        'a[href], button:enabled, input:not([type=hidden]):enabled, select, textarea, summary'));
    window.missed.forEach(one => one.checkVisibility() || window.missed.delete(one));
    window.wrong = [];
    document.addEventListener('focusin', ({ target }) => {
        const style = getComputedStyle(target);
        const hasRing = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
        if (!hasRing) window.wrong.push(`no visible focus on ${target.outerHTML.slice(0, 200)}`);
        window.missed.delete(target);
    });
    return window.missed.size;
}"""
"""Counts what Tab has to reach, and notes what it reaches."""

WRONG = """() => window.wrong.concat([...window.missed].filter(one => one.isConnected)
    .map(one => `Tab does not reach ${one.outerHTML.slice(0, 200)}`))"""


def tab_to(tab: Any, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(200):
        tab.keyboard.press("Tab")
        if tab.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_tab_reaches_everything_and_shows_where_it_is(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as thoonk:
        fill(thoonk)
    wrong = []
    with serving(one_server.url) as served:
        for title in VISITED:
            tab.goto(served.url + PAGES[title])
            until(tab, "document.documentElement.classList.contains('scripted')")
            count = tab.evaluate(WATCH)
            for _ in range(count):
                tab.keyboard.press("Tab")
            # What scrolls takes the focus, too.
            for _ in range(count):
                if not tab.evaluate("window.missed.size"):
                    break
                tab.keyboard.press("Tab")
            wrong += [f"{title}: {what}" for what in tab.evaluate(WRONG)]
    assert "\n".join(wrong) == ""


def test_items_are_published_moved_and_retracted_with_keys(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        feed = client.sorted_feed("playlist")
        for name in "abc":
            feed.append(name)
        tab.goto(f"{served.url}/feed?name=playlist")
        until(tab, "document.documentElement.classList.contains('scripted')")
        tab_to(tab, "details:has(#item) > summary")
        tab.keyboard.press("Enter")
        tab_to(tab, "#item")
        tab.keyboard.type("fourth")
        tab_to(tab, "[aria-label='Move 3 up']")
        tab.keyboard.press("Enter")
        until(tab, "document.querySelectorAll('.items tbody tr')[1].dataset.key === '3'")
        until(tab, "document.getElementById('said').innerText.includes('Moved 3.')")
        # The focus goes with the item, so that it can go on.
        assert tab.evaluate("document.activeElement.ariaLabel") == "Move 3 up"
        tab.keyboard.press("Space")
        until(tab, "document.querySelector('.items tbody tr').dataset.key === '3'")
        assert feed.get_ids() == ["3", "1", "2"]
        tab_to(tab, "[aria-label='Retract 1']")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("dialog[open]")
        tab.keyboard.press("Escape")
        until(tab, "!document.querySelector('dialog[open]')")
        assert feed.has_id("1")
        assert tab.evaluate("document.activeElement.ariaLabel") == "Retract 1"
        tab.keyboard.press("Enter")
        tab.wait_for_selector("dialog[open]")
        tab_to(tab, "dialog button.danger")
        tab.keyboard.press("Enter")
        until(tab, "!document.querySelector('tr[data-key=\"1\"]')")
        # What was being written meanwhile is still there.
        tab_to(tab, "#item")
        assert tab.input_value("#item") == "fourth"
        tab_to(tab, ".publish button.main")
        tab.keyboard.press("Enter")
        until(tab, "document.querySelectorAll('.items tbody tr').length === 3")
        assert feed.get_all()["4"] == "fourth"
        until(tab, "document.getElementById('item').value === ''")
