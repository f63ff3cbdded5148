"""The wheel: what is in it, what it needs, and that it is what tox tests."""

from __future__ import annotations

import ast
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import trove_classifiers
import yaml
from packaging.requirements import Requirement

import thoonk

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "thoonk/backends/redis/scripts"
VECTORS = ROOT / "thoonk/conform/vectors"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built in a copy so that nothing is left behind."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "thoonk", source / "thoonk")
    shutil.copytree(ROOT / "tests", source / "tests")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=source)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (source / "dist").glob("*.whl")
    return built


def requirements(name: str) -> Iterator[str]:
    """A distribution installed here and all that it needs (without extras)."""
    yield name
    for line in metadata.requires(name) or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield from requirements(needed.name)


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it requires, no extras."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    packages = Path(where.stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (info,) = packages.glob("thoonk-*.dist-info")
    for line in metadata.PathDistribution(info).requires or ():
        required = Requirement(line)
        if required.marker is not None and not required.marker.evaluate({"extra": ""}):
            continue
        # Copied from here instead of downloaded: the test needs no network.
        for name in requirements(required.name):
            for file in metadata.files(name) or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    (packages / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(file.locate()), packages / file)
    return python


def test_the_wheel_has_every_script_and_the_marker_of_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    scripts = {file.relative_to(ROOT).as_posix() for file in SCRIPTS.rglob("*.lua")}
    assert "thoonk/backends/redis/scripts/lib/clock.lua" in scripts
    assert scripts <= names
    assert "thoonk/testing/rewind.lua" in names
    assert "thoonk/py.typed" in names


def test_the_wheel_has_every_vector(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    vectors = {file.relative_to(ROOT).as_posix() for file in VECTORS.glob("*.json")}
    assert len(vectors) > 5
    assert vectors <= names


def test_the_wheel_has_what_the_web_page_is_made_of(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = (ROOT / "thoonk/web/templates", ROOT / "thoonk/web/static")
    files = {file.relative_to(ROOT).as_posix() for folder in folders for file in folder.iterdir()}
    assert "thoonk/web/static/web.js" in files
    assert files <= names


def test_the_wheel_has_every_module_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "thoonk").rglob("*.py")}
    assert modules <= names
    outside = {name for name in names if not name.startswith("thoonk/")}
    assert all(re.match(r"thoonk-[^/]+\.dist-info/", name) for name in outside), outside
    assert any(name.endswith("/licenses/LICENSE") for name in outside)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_without_extras_it_imports_and_tells_what_the_memory_backend_needs(
    bare_python: Path, tmp_path: Path
) -> None:
    program = """
import thoonk
try:
    thoonk.Thoonk(backend="memory")
except thoonk.BackendNotInstalled as error:
    print(error)
"""
    done = run(bare_python, "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pip install '.[memory]' in a checkout of Thoonk" in done.stdout


def test_without_extras_the_testing_aids_tell_what_they_need(
    bare_python: Path, tmp_path: Path
) -> None:
    done = run(bare_python, "-c", "import thoonk.testing", cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install '.[testing]' in a checkout of Thoonk" in done.stderr


def test_without_extras_a_redis_client_can_be_made(bare_python: Path, tmp_path: Path) -> None:
    done = run(
        bare_python, "-c", "import thoonk; print(thoonk.Thoonk('localhost', 6379))", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Thoonk on <RedisBackend localhost:6379 db 0>" in done.stdout


def test_without_extras_thoonk_conform_tells_what_it_needs(
    bare_python: Path, tmp_path: Path
) -> None:
    done = run(bare_python, "-m", "thoonk.conform", "--list", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("pip install '.[cli]' in a checkout of Thoonk\n")
    assert "Traceback" not in done.stderr


DRIVERS = {"click", "redis", "fakeredis", "hiredis", "lupa", "rich", "valkey"}
OF_ASYNCIO = {"asyncio", "ssl", "concurrent.futures", "thoonk._async.client"}
SLOW = {"importlib.metadata", "email", "http", "sqlite3", "xml", "urllib.request", "unittest"}


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("import thoonk", DRIVERS | OF_ASYNCIO | SLOW | {"attrs", "inspect", "thoonk.operations"}),
        ("from thoonk import Empty", DRIVERS | OF_ASYNCIO | SLOW | {"attrs", "thoonk.operations"}),
        ("from thoonk import Thoonk", DRIVERS | OF_ASYNCIO | SLOW),
        ("from thoonk import AsyncThoonk", DRIVERS | SLOW | {"thoonk._sync.client"}),
        ("from thoonk import Thoonk; Thoonk().close()", DRIVERS - {"redis", "hiredis"}),
    ],
)
def test_a_program_loads_only_what_it_uses(
    program: str, unwanted: set[str], tmp_path: Path
) -> None:
    program += f"; import sys; print(sorted({unwanted!r} & sys.modules.keys()))"
    done = run(sys.executable, "-c", program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_each_public_name_comes_from_where_type_checkers_look_for_it() -> None:
    tree = ast.parse(Path(thoonk.__file__).read_text("utf-8"))
    places = {
        alias.name: f"{node.module}.{alias.name}" if node.module else ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("thoonk")
        for alias in node.names
    }
    assert {*places, "Pubsub"} == {*thoonk.__all__}
    for name, place in places.items():
        assert getattr(thoonk, name) is pkgutil.resolve_name(place), name
    assert thoonk.Pubsub is thoonk.Thoonk
    assert {*thoonk.__all__} <= {*dir(thoonk)}


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Thonk'"):
        getattr(thoonk, "Thonk")  # noqa: B009 - type checkers know that it is not there


def test_without_the_redis_backend_it_still_imports(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "thoonk", tmp_path / "thoonk")
    shutil.rmtree(tmp_path / "thoonk/backends/redis")
    program = """
import thoonk, thoonk.backends
print(thoonk.__file__)
try:
    thoonk.Thoonk()
except thoonk.BackendNotInstalled as error:
    print(error)
"""
    done = run(sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    assert "pip install redis" in done.stdout


def test_the_version_comes_from_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"thoonk-{thoonk.__version__}-")
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert tomllib.loads(text)["project"]["dynamic"] == ["version"]
    assert thoonk.__version__ not in text


def test_the_changelog_is_at_this_version() -> None:
    headings = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}(-\d\d-\d\d)?", h) for h in headings[1:]]
    assert all(released)
    if "dev" not in thoonk.__version__:
        assert headings[1].startswith(f"[{thoonk.__version__}]")


def test_the_classifiers_are_known_and_name_the_pythons_of_tox() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["classifiers"]) <= trove_classifiers.classifiers
    pythons = {c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r":: 3\.\d", c)}
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = workflow["jobs"]["tox"]["steps"]
    (versions,) = (
        step["with"]["python-version"].split()
        for step in steps
        if "python-version" in step.get("with", {})
    )
    assert set(versions) == pythons
    assert versions[-1] == project["requires-python"].removeprefix(">=")
    assert "bash .ci/run" in [step.get("run") for step in steps]
    needed = set(re.findall(r"missing\+=\((\S+)\)", (ROOT / ".ci/run").read_text("utf-8")))
    assert needed <= set(" ".join(step.get("run", "") for step in steps).split())


def test_the_constraints_for_the_oldest_versions_are_the_lower_bounds() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [*settings["project"]["dependencies"], *settings["dependency-groups"]["test"]]
    for extra in settings["project"]["optional-dependencies"].values():
        lines += extra
    wanted = {}
    for requirement in map(Requirement, lines):
        (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
        wanted[requirement.name] = bound
    text = (ROOT / "tests/oldest.txt").read_text("utf-8")
    pinned = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert pinned == wanted


@pytest.mark.skipif("THOONK_EXPECT_WHEEL" not in os.environ, reason="only tox installs the wheel")
def test_what_is_tested_is_the_installed_wheel() -> None:
    assert thoonk.__file__ is not None
    assert "site-packages" in Path(thoonk.__file__).parts
    editable = metadata.distribution("thoonk").read_text("direct_url.json") or ""
    assert '"editable": true' not in editable


@pytest.mark.skipif("THOONK_EXPECT_HIREDIS" not in os.environ, reason="only tox knows")
def test_the_parser_is_the_one_that_is_meant() -> None:
    from redis.utils import HIREDIS_AVAILABLE

    assert HIREDIS_AVAILABLE is (os.environ["THOONK_EXPECT_HIREDIS"] == "1")


def test_pictures_load_quickly_and_are_shown() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text("utf-8") for page in pages)
    for picture in (ROOT / "docs/pictures").iterdir():
        assert picture.stat().st_size < 120_000
        assert re.search(rf"!\[[^]]+\]\((docs/)?pictures/{picture.name}\)", text), picture.name
