"""Pages, docstrings and messages avoid the words on the list of tools/prose.toml."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORDS = {"anew": "again", "gone|told": "plain words"}


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / "tools/prose.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings(allow: dict[str, list[str]] | None = None, *later: str) -> dict[str, Any]:
    return {"words": WORDS, "allow": allow or {}, "later": {"files": list(later)}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a word to avoid in a page, a docstring and a message."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "thoonk/_sync").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Fine\n")
    (tmp_path / "docs/page.md").write_text(
        "Told\n\n```python\ntold = 1\n```\n\nIt is `told` that it\nstarts anew.\n"
    )
    (tmp_path / "thoonk/told.py").write_text(
        '"""One.\n\nIt is gone.\n"""\ngone = "gone"\nraise OSError(f"{gone} is gone")\n'
    )
    (tmp_path / "thoonk/_sync/told.py").write_text('"""It is gone."""\n')
    return tmp_path


def test_our_own_words_are_plain() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/prose.py"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_words_to_avoid_are_named_with_file_and_line(prose: ModuleType, root: Path) -> None:
    """In the text of pages, in docstrings and in messages; not in code, nor in generated files."""
    problems, counts = prose.check(root, settings())
    assert problems == [
        'docs/page.md:1: "Told": plain words',
        'docs/page.md:8: "anew": again',
        'thoonk/told.py:3: "gone": plain words',
        'thoonk/told.py:6: "gone": plain words',
    ]
    assert counts == ["   2 docs/page.md", "   2 thoonk/told.py"]


def test_a_word_is_allowed_on_the_lines_that_are_listed(prose: ModuleType, root: Path) -> None:
    allow = {"docs/page.md": ["starts anew"], "thoonk/told.py": ["is gone"]}
    assert prose.check(root, settings(allow))[0] == ['docs/page.md:1: "Told": plain words']


def test_the_lists_only_shrink(prose: ModuleType, root: Path) -> None:
    """An entry that has no use any more is reported."""
    allow = {"docs/page.md": ["sing it anew"]}
    problems, _ = prose.check(root, settings(allow, "README.md", "docs/page.md", "thoonk/told.py"))
    assert problems == [
        "README.md is clean: take it out of [later] in tools/prose.toml",
        "docs/page.md: nothing to allow in 'sing it anew'",
    ]
