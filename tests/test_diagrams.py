"""The replicas in the documentation are drawn by a script, and described where they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
DIAGRAMS = sorted((DOCS / "diagrams").glob("*.svg"))


def draw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "draw.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_files_are_what_the_script_draws() -> None:
    done = draw(DOCS / "diagrams", "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_was_changed_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(DOCS / "diagrams", tmp_path / "diagrams")
    with (folder / "job-states.svg").open("a") as file:
        file.write("<!-- by hand -->")
    done = draw(folder, "--check")
    assert done.returncode == 1
    assert "job-states.svg" in done.stderr
    assert draw(folder).returncode == 0
    assert draw(folder, "--check").returncode == 0


@pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: path.stem)
def test_it_can_be_read_by_itself_and_is_shown_with_a_description(path: Path) -> None:
    root = ET.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title")
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    ground = root.find(f"{space}rect")
    assert ground is not None
    # It covers all, so that the page behind it does not matter.
    assert float(ground.attrib["width"]) >= width - 1
    assert float(ground.attrib["height"]) >= height - 1
    pages = [p.read_text("utf-8") for p in DOCS.rglob("*.md")]
    shown = [
        text for page in pages for text in re.findall(rf"!\[([^]]*)\]\(\S*{path.name}\)", page)
    ]
    assert shown
    assert all(len(text) > 60 for text in shown)
