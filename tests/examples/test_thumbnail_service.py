"""The thumbnail service of docs/howto/thumbnail-service.md, with its worker and a real server."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
import servers
from fastapi.testclient import TestClient

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICE = ROOT / "examples/thumbnail_service"
PAGE = ROOT / "docs/howto/thumbnail-service.md"


def picture(path: Path, size: int) -> None:
    path.write_text(f"P2 {size} {size} 255\n" + "7 " * size * size)


@pytest.fixture
def service(
    running_server: Callable[[str], servers.Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    """The web application, and two processes of its worker beside it."""
    server = running_server("redis-6.2")
    with contextlib.closing(server.client()) as raw:
        raw.flushall()
    monkeypatch.setenv("THOONK_URL", server.url)
    monkeypatch.syspath_prepend(str(SERVICE))
    sys.modules.pop("web", None)
    web = importlib.import_module("web")
    command = [sys.executable, "-m", "thoonk.cli", "work", "tasks:worker", "--grace", "1"]
    environment = {**os.environ, "PYTHONPATH": str(SERVICE), "THOONK_URL": server.url}
    with (tmp_path / "log").open("wb") as log:
        with processes.started(command, cwd=tmp_path, env=environment, stderr=log) as worker:
            with TestClient(web.app) as client:
                yield client
            worker.terminate()
            worker.wait(60)
    sys.modules.pop("web", None)


def wait_for(client: TestClient, id: str, state: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        answer: dict[str, Any] = client.get(f"/thumbnails/{id}").json()
        if answer.get("state") == state:
            return answer
        time.sleep(0.02)
    raise AssertionError(answer)


def test_the_service_does_what_the_walk_through_says(service: TestClient, tmp_path: Path) -> None:
    picture(tmp_path / "cat.pgm", 8)
    assert service.post("/thumbnails/cat.pgm?width=4").json()["outcome"] == "added"
    assert wait_for(service, "cat.pgm", "finished")["result"] == "cat.small.pgm"
    assert (tmp_path / "cat.small.pgm").read_text().startswith("P2 4 4 255")
    # It fails, is tried again, and is stalled with its reason until it is retried.
    service.post("/thumbnails/dog.pgm")
    assert "FileNotFoundError" in wait_for(service, "dog.pgm", "stalled")["error"]
    picture(tmp_path / "dog.pgm", 8)
    assert service.post("/thumbnails/dog.pgm/retry").status_code == 204
    wait_for(service, "dog.pgm", "finished")
    assert service.post("/thumbnails/dog.pgm/retry").status_code == 409
    # In ten minutes, but once.
    service.post("/thumbnails/cow.pgm?delay=600")
    assert service.get("/thumbnails/cow.pgm").json()["state"] == "scheduled"
    assert service.post("/thumbnails/cow.pgm").json()["outcome"] == "kept"
    assert service.delete("/thumbnails/cow.pgm").status_code == 204
    assert service.get("/thumbnails/cow.pgm").status_code == 404
    # One that runs says how far it is, and is stopped when it is cancelled.
    picture(tmp_path / "whale.pgm", 4000)
    service.post("/thumbnails/whale.pgm?width=4000")
    until = time.monotonic() + 60
    while not service.get("/thumbnails/whale.pgm").json()["progress"]:
        assert time.monotonic() < until
    assert service.delete("/thumbnails/whale.pgm").status_code == 204
    picture(tmp_path / "ant.pgm", 4)
    service.post("/thumbnails/ant.pgm")
    wait_for(service, "ant.pgm", "finished")
    assert not (tmp_path / "whale.small.pgm").exists()


def test_the_page_shows_the_programs_that_are_here() -> None:
    page = PAGE.read_text("utf-8")
    for name in ("tasks.py", "web.py"):
        (shown,) = re.findall(
            rf"^```python file {name}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
        )
        assert shown == (SERVICE / name).read_text("utf-8")
