"""The layout: who may import whom, and that generated files are up to date."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(autouse=True)
def _needs_tools() -> None:
    missing = [m for m in ("importlinter", "ruff") if importlib.util.find_spec(m) is None]
    if missing:
        message = f"not installed: {', '.join(missing)}"
        if os.environ.get("THOONK_EXPECT_TOOLS"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the tools look at, for breaking."""
    for name in ("thoonk", "tools", "tests/contract"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def check_twins(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "tools/generate_sync.py", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_module_imports_only_what_stands_below_it() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("thoonk/operations.py", "import redis"),
        ("thoonk/operations.py", "import thoonk.backends"),
        ("thoonk/exceptions.py", "import thoonk.names"),
        ("thoonk/backends/__init__.py", "import thoonk._sync.feed"),
        ("thoonk/_async/feed.py", "import thoonk._sync.feed"),
        ("thoonk/_sync/feed.py", "import thoonk.conform.vector"),
    ],
)
def test_an_import_upwards_is_found(copy: Path, module: str, line: str) -> None:
    file = copy / module
    file.write_text(file.read_text("utf-8") + f"\n{line}\n", "utf-8")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout


def test_the_synchronous_twins_are_up_to_date() -> None:
    done = check_twins(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_twin_is_found(copy: Path) -> None:
    file = copy / "thoonk/_async/feed.py"
    file.write_text(file.read_text("utf-8").replace("at the end", "at the very end"), "utf-8")
    done = check_twins(copy)
    assert done.returncode == 1
    assert done.stdout == "stale: thoonk/_sync/feed.py\n"


def test_a_twin_without_an_original_is_found(copy: Path) -> None:
    (copy / "thoonk/_async/feed.py").unlink()
    done = check_twins(copy)
    assert done.returncode == 1
    assert done.stdout == "stale: thoonk/_sync/feed.py\n"
