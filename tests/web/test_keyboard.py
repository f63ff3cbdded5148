"""What people do with keys only."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import World

from thoonk import Thoonk

from .conftest import serving
from .test_browser import until


def tab_to(tab: Any, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(200):
        tab.keyboard.press("Tab")
        if tab.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_items_are_published_moved_and_retracted_with_keys(one_server: World, tab: Any) -> None:
    with Thoonk(backend=one_server.url) as client, serving(one_server.url) as served:
        feed = client.sorted_feed("playlist")
        for name in "abc":
            feed.append(name)
        tab.goto(f"{served.url}/feed?name=playlist")
        until(tab, "document.documentElement.classList.contains('scripted')")
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
        tab_to(tab, "details:has(#item) > summary")
        tab.keyboard.press("Enter")
        tab_to(tab, "#item")
        tab.keyboard.type("fourth")
        tab_to(tab, "button.main")
        tab.keyboard.press("Enter")
        until(tab, "document.querySelectorAll('.items tbody tr').length === 3")
        assert feed.get_all()["4"] == "fourth"
