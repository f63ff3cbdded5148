"""The programs of docs/howto/job-progress.md, in a real browser."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import processes
from conftest import World
from test_examples_in_docs import ROOT, blocks_of

from thoonk import Thoonk

from .test_browser import until

PAGE = ROOT / "docs/howto/job-progress.md"


def test_the_browser_shows_the_progress_of_a_job_and_its_result(
    one_server: World, tab: Any, tmp_path: Path
) -> None:
    (program,) = (b.text for b in blocks_of(PAGE.read_text("utf-8")) if b.file == "web.py")
    tmp_path.joinpath("web.py").write_text(
        program.replace("AsyncThoonk()", f"AsyncThoonk(backend={one_server.url!r})")
    )
    command = [sys.executable, "-m", "uvicorn", "web:app", "--port", "0"]
    with (tmp_path / "log").open("w+") as log, Thoonk(backend=one_server.url) as client:
        with processes.started(command, cwd=tmp_path, stderr=log, env={**os.environ}):
            while not (found := re.search(r"http://\S+", (tmp_path / "log").read_text())):
                tab.wait_for_timeout(20)
            films = client.job("films", {"claim_timeout": 60})
            tab.goto(found[0])
            tab.click("button")
            claim = films.get(timeout=60)
            claim.progress(0.3, "second 3 of 10")
            until(tab, "document.querySelector('progress').value === 0.3")
            assert tab.inner_text("output") == "second 3 of 10"
            claim.finish("cat.mp4", result=True)
            until(tab, "document.querySelector('output').textContent === 'cat.mp4'")
            # Of a job that fails for good it shows why.
            tab.click("button")
            films.get(timeout=60).stall(reason=OSError("no such film"))
            until(tab, "document.querySelector('output').textContent === 'no such film'")
