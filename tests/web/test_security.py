"""Who may see and who may change, and what browsers may do with pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from starlette.routing import Mount, Route

from thoonk import InvalidType, InvalidValue, Thoonk
from thoonk.web import app
from thoonk.web.security import is_loopback

from .conftest import HOME, Browser

OPEN = {"/login"}


@pytest.fixture
def url() -> str:
    return "memory://web-security"


@pytest.fixture(autouse=True)
def feed(url: str) -> Any:
    with Thoonk(backend=url) as client:
        feed = client.feed("f")
        feed.publish("x", id="i")
        yield feed
        client.delete_feed("f")


def posts(page: Browser) -> list[str]:
    routes = [route for route in page.application.routes if isinstance(route, Route)]
    return [route.path for route in routes if "POST" in (route.methods or ())]


def gets(page: Browser) -> list[str]:
    routes = [route for route in page.application.routes if not isinstance(route, Mount)]
    return [r.path for r in routes if isinstance(r, Route) and "GET" in (r.methods or ())]


async def test_every_response_has_the_headers(open_page: Callable[..., Browser], url: str) -> None:
    page = open_page(url)
    for path in [*gets(page), "/static/web.js", "/nothing", "/feed?name=%00"]:
        headers = (await page.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


async def test_nothing_is_inline(open_page: Callable[..., Browser], url: str) -> None:
    page = open_page(url)
    for path in gets(page):
        text = (await page.get(path, params={"name": "f", "id": "i"})).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", text)


async def test_read_only_changes_nothing_and_has_no_buttons(
    open_page: Callable[..., Browser], url: str, feed: Any
) -> None:
    page = open_page(url, read_only=True)
    for path in [*posts(page)]:
        if path not in OPEN and path != "/logout":
            query = {"name": "f", "id": "i"}
            response = await page.form(path, query=query, item="y", confirmed="yes")
            assert response.status_code == 403, path
    assert feed.get_all() == {"i": "x"}
    assert "<button" not in (await page.get("/feed?name=f")).text


async def test_forms_of_other_sites_are_refused(
    open_page: Callable[..., Browser], url: str, feed: Any
) -> None:
    page = open_page(url)
    text = (await page.get("/edit?name=f")).text
    csrf = re.findall(r'name="csrf" value="([^"]+)"', text)[0]
    fields = {"csrf": csrf, "confirmed": "yes", "item": "evil", "token": "x"}
    query = {"name": "f", "id": "i"}
    assert len(posts(page)) >= 5
    for path in posts(page):
        for headers, form in (
            ({}, {**fields, "csrf": ""}),
            ({}, {**fields, "csrf": "x" * len(csrf)}),
            ({"origin": "http://evil.example"}, fields),
            ({"origin": "null"}, fields),
            ({"origin": "http://localhost:3000"}, fields),
            ({"sec-fetch-site": "cross-site"}, fields),
            ({"sec-fetch-site": "same-site", "origin": HOME}, fields),
        ):
            response = await page.post(path, params=query, data=form, headers=headers)
            assert response.status_code == 403, (path, headers)
        response = await page.post(path, params=query, json=fields)
        assert response.status_code == 400, path
        assert (await page.get(path, params=query)).status_code in (200, 405)
    assert feed.get_all() == {"i": "x"}


async def test_other_hosts_are_refused(open_page: Callable[..., Browser], url: str) -> None:
    page = open_page(url)
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"):
        assert (await page.get("/", headers={"host": host})).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "", "[", "localhost@evil.example:80"):
        assert (await page.get("/", headers={"host": host})).status_code == 400, host
    named = open_page(url, hosts=["jobs.example"])
    assert (await named.get("/", headers={"host": "jobs.example"})).status_code == 200
    assert (await named.get("/")).status_code == 400
    anyone = open_page(url, hosts=["*"])
    assert (await anyone.get("/", headers={"host": "x.example"})).status_code == 200


async def test_the_token_is_asked_for_everywhere(
    open_page: Callable[..., Browser], url: str, feed: Any
) -> None:
    page = open_page(url, token="s3cret-ä")
    for path in gets(page):
        if path not in OPEN:
            response = await page.get(path, params={"name": "f"})
            assert response.status_code == 303, path
            assert response.headers["location"].startswith("/login?next=")
            other = await page.get(path, headers={"accept": "text/event-stream"})
            assert other.status_code == 401
    for path in posts(page):
        if path not in OPEN:
            sent = await page.form(path, query={"name": "f", "id": "i"}, confirmed="yes")
            assert sent.status_code == 401
    assert feed.has_id("i")
    wrong = await page.form("/login", query={}, token="s3cret", next="/feed?name=f")
    assert wrong.status_code == 403
    assert "Wrong token" in wrong.text
    right = await page.form("/login", query={}, token="s3cret-ä", next="/feed?name=f")
    assert right.headers["location"] == "/feed?name=f"
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "s3cret" not in cookie
    assert "Log out" in (await page.get("/feed?name=f")).text
    await page.form("/logout", query={})
    assert (await page.get("/")).status_code == 303


async def test_a_login_outlives_a_restart_and_no_other_token(
    open_page: Callable[..., Browser], url: str
) -> None:
    page = open_page(url, token="one")
    await page.form("/login", query={}, token="one")
    again, other = open_page(url, token="one"), open_page(url, token="two")
    for name, value in page.cookies.items():
        again.cookies.set(name, value)
        other.cookies.set(name, value)
        other.cookies.set(other.application.state.site.guard.cookie, value)
    assert (await again.get("/")).status_code == 200
    assert (await other.get("/")).status_code == 303


@pytest.mark.parametrize("cookie", ["", ".", "9999999999.x", "x.y", "9999999999999"])
async def test_sessions_that_are_made_up_or_over_are_none(
    open_page: Callable[..., Browser], url: str, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(url, token="t")
    guard = page.application.state.site.guard
    page.cookies.set(guard.cookie, cookie)
    assert (await page.get("/")).status_code == 303
    monkeypatch.setattr("thoonk.web.security.SESSION_SECONDS", -1)
    page.cookies.set(guard.cookie, guard.new_session())
    assert (await page.get("/")).status_code == 303


async def test_programs_send_the_token(
    open_page: Callable[..., Browser], url: str, feed: Any
) -> None:
    page = open_page(url, token="t", headers={"authorization": "Bearer t"})
    assert (await page.get("/")).status_code == 200
    await page.post("/edit?name=f&id=i", data={"item": "new"})
    assert feed.get_item("i") == "new"
    wrong = open_page(url, token="t", headers={"authorization": "Bearer x"})
    assert (await wrong.get("/")).status_code == 303


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil", "x"])
async def test_after_the_login_it_goes_nowhere_else(
    open_page: Callable[..., Browser], url: str, following: str
) -> None:
    page = open_page(url, token="t")
    response = await page.form("/login", query={}, token="t", next=following)
    assert response.headers["location"] == "/"
    moved = await page.form("/edit", query={"name": "f"}, item="x", back=following)
    assert moved.headers["location"].startswith("/?said=")


def test_what_it_is_given_is_checked() -> None:
    with pytest.raises(InvalidValue, match="token"):
        app("memory", token=" ")
    with pytest.raises(InvalidType, match="int"):
        app(3)  # type: ignore[arg-type]
    assert [is_loopback(host) for host in ("localhost", "127.0.0.9", "::1")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "x")] == [False] * 4


def test_the_command_refuses_an_open_page_on_the_network() -> None:
    command = [sys.executable, "-m", "thoonk.cli", "web", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--token" in done.stderr
    assert "--read-only" in done.stderr
