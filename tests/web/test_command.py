"""``thoonk web`` as a process."""

from __future__ import annotations

import signal

import httpx2
from conftest import World

from thoonk import Thoonk

from .conftest import serving


def test_it_serves_the_page_until_it_is_told_to_end(one_server: World) -> None:
    with Thoonk(backend=one_server.url) as thoonk:
        thoonk.feed("news").publish("x")
    with serving(one_server.url) as served:
        response = httpx2.get(served.url + "/", timeout=60)
        assert response.status_code == 200
        assert ">news</a>" in response.text
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(60)


def test_a_page_that_is_read_only_says_so(one_server: World) -> None:
    with serving(one_server.url, "--read-only") as served:
        response = httpx2.get(served.url + "/", timeout=60)
        assert "read-only</span>" in response.text
        served.process.send_signal(signal.SIGINT)
        served.process.wait(60)


def test_with_a_token_others_may_not_look(one_server: World) -> None:
    with serving(one_server.url, "--host", "0.0.0.0", "--token", "secret") as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx2.get(url + "/", timeout=60).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert httpx2.get(url + "/", headers=headers, timeout=60).status_code == 200
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(60)
