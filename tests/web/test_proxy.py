"""`thoonk web` under a path, behind a real nginx with the configuration of docs/web.md."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import processes
import pytest
import servers
from conftest import World
from test_examples_in_docs import ROOT, blocks_of

from thoonk import Thoonk

from .conftest import serving

SITE = "https://ops.example.com"
TOKEN = "LONG-AND-RANDOM"
SERVER, WHO = (
    block.text
    for block in blocks_of((ROOT / "docs/web.md").read_text("utf-8"))
    if block.language == "nginx"
)


def needed(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        if servers.servers_are_required():
            pytest.fail(f"there is no {program} on this machine")
        pytest.skip(f"there is no {program} on this machine")
    return path


@contextlib.contextmanager
def proxied(folder: Path, upstream: str, more: str = "") -> Iterator[httpx2.Client]:
    """The block of the page on a socket of our own, and a client that trusts it."""
    nginx, openssl = needed("nginx"), needed("openssl")
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "ops.key", "-out", "ops.pem"]
    subprocess.run(
        [openssl, "req", "-x509", *key, "-days", "2", "-subj", "/CN=ops.example.com"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "jobs.htpasswd").write_text("ops:{PLAIN}pass\n")
    block = SERVER.replace("http://127.0.0.1:8080", upstream)
    block = re.sub(r"\n    }\n}\n$", f"\n{more}    }}\n}}\n", block)
    block = block.replace("listen 443", f"listen unix:{folder}/s")
    block = block.replace("/etc/ssl/ops.example.com", f"{folder}/ops")
    block = block.replace("/etc/nginx/", f"{folder}/")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        "daemon off;\nmaster_process off;\nerror_log stderr;\n"
        f"pid {folder}/pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{block}}}\n"
    )
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "log").open("wb") as log, processes.started(command, stderr=log) as process:
        transport = httpx2.HTTPTransport(uds=str(folder / "s"), verify=False)
        headers = {"accept": "text/html"}
        with httpx2.Client(
            transport=transport, base_url=SITE, headers=headers, timeout=60
        ) as client:
            while not is_listening(folder / "s"):
                assert process.poll() is None, (folder / "log").read_text()
            yield client


def is_listening(path: Path) -> bool:
    """The socket is there a moment before anything listens at it."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def addresses(text: str) -> set[str]:
    return {*re.findall(r'(?:href|action|src)="([^"#]+)"', text)}


def form(client: httpx2.Client, path: str, page: str, **fields: str) -> httpx2.Response:
    """Send a form of a page as a browser does."""
    (csrf,) = {*re.findall(r'name="csrf" value="([^"]+)"', client.get(page).text)}
    headers = {"origin": SITE, "sec-fetch-site": "same-origin"}
    return client.post(path, data={"csrf": csrf, **fields}, headers=headers)


def read_until(live: Iterator[str], wanted: str) -> None:
    """Read a live page until a text is in it."""
    assert any(wanted in text for text in live), "the stream has ended"


@pytest.fixture
def tokened(one_server: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("THOONK_WEB_TOKEN", TOKEN)
    with Thoonk(backend=one_server.url) as thoonk:
        thoonk.feed("news").publish("first")
        with serving(one_server.url, "--root-path", "/jobs/") as served:
            yield served.url, thoonk.feed("news")


def test_behind_nginx_users_log_in_and_pages_are_live(tokened: Any, tmp_path: Path) -> None:
    upstream, news = tokened
    with proxied(tmp_path, upstream) as client:
        asked = client.get("/jobs/feed?name=news")
        assert (asked.status_code, asked.headers["location"]) == (
            303,
            "/jobs/login?next=%2Ffeed%3Fname%3Dnews",
        )
        entered = form(client, "/jobs/login", asked.headers["location"], token=TOKEN, next="/feed")
        assert entered.status_code == 303
        assert entered.headers["location"].startswith("/jobs/feed")
        (cookie,) = (c for c in client.cookies.jar if "session" in c.name)
        assert (cookie.path, cookie.secure) == ("/jobs", True)
        page = client.get("/jobs/feed?name=news").text
        assert "first" in page
        assert all(address.startswith("/jobs/") for address in addresses(page)), addresses(page)
        assert {client.get(a).status_code for a in addresses(page) if "/static/" in a} == {200}
        headers = {"accept": "text/event-stream"}
        with client.stream("GET", "/jobs/feed?name=news", headers=headers) as response:
            live = response.iter_text()
            read_until(live, "first")
            news.publish("second")
            read_until(live, "second")
        edit = "/jobs/edit?name=news"
        done = form(client, edit, edit, item="third")
        assert done.status_code == 303, done.text
        assert done.headers["location"].startswith("/jobs/")
    assert [item for _, item in news.items()] == ["first", "second", "third"]


def test_a_proxy_that_knows_its_users_sends_the_token(tokened: Any, tmp_path: Path) -> None:
    upstream, _ = tokened
    with proxied(tmp_path, upstream, WHO) as client:
        assert client.get("/jobs/feed?name=news").status_code == 401
        client.auth = ("ops", "pass")
        assert "first" in client.get("/jobs/feed?name=news").text
        edit = "/jobs/edit?name=news"
        assert form(client, edit, edit, item="second").status_code == 303
    # Who passes the proxy by has to know the token.
    assert httpx2.get(f"{upstream}/feed?name=news", timeout=60).status_code == 401


def test_a_root_path_that_would_lead_elsewhere_is_refused() -> None:
    from thoonk.exceptions import InvalidValue
    from thoonk.web.serving import check_root_path

    assert [check_root_path(path) for path in ("", "/", "/jobs", "/ops/jobs/")] == [
        "",
        "",
        "/jobs",
        "/ops/jobs",
    ]
    for wrong in ("jobs", "//evil.example", "/jobs?x", "https://x.example/", '/"', "/a b", "/\n"):
        with pytest.raises(InvalidValue, match="like /jobs"):
            check_root_path(wrong)
