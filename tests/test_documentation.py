"""What the documentation as a whole promises. tools/check_html.py looks at the built pages."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import thoonk
import thoonk.backends
import thoonk.testing
from thoonk.worker.cli import work

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

DEPLOYMENTS = ("docker", "kubernetes", "systemd")
DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:\w+):: (\S+)", re.MULTILINE)


def fences(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def documented() -> list[str]:
    return [
        name for page in (DOCS / "api").glob("*.md") for name in DIRECTIVE.findall(page.read_text())
    ]


@pytest.mark.parametrize("module", [thoonk, thoonk.backends, thoonk.testing], ids=str)
def test_every_public_name_has_its_place_in_the_reference(module: object) -> None:
    names = documented()
    public = {f"{module.__name__}.{name}" for name in module.__all__}
    inherited = {name for name in public if name.rpartition(".")[2] in vars(thoonk.exceptions)}
    missing = public - inherited - set(names) - {f"{module.__name__}.exceptions"}
    assert not missing
    assert len(names) == len(set(names)), "a name that stands twice"


def test_every_page_of_the_reference_is_in_its_table() -> None:
    index = (DOCS / "api.md").read_text("utf-8")
    for page in (DOCS / "api").glob("*.md"):
        assert f"(api/{page.name})" in index, page.name


def test_nothing_tells_to_install_from_the_index_what_is_not_there_yet() -> None:
    """Until the release, that name is another program's version 1.0.1, without extras."""
    if "dev" not in thoonk.__version__:
        pytest.skip("released")
    texts = [ROOT / "README.md", *DOCS.rglob("*.md")]
    texts += [*(ROOT / "thoonk").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    wrong = re.compile(r"pip install (-\S+ )*['\"]?thoonk\b|thoonk\[[a-z,]+\](?! @ )")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if path.name != "extras.py"
        for match in wrong.finditer(path.read_text("utf-8"))
    ]
    assert not found


def test_the_wheel_has_the_name_that_the_pages_show() -> None:
    shown = {
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"thoonk-\d[\w.]*-py3-none-any\.whl", page.read_text("utf-8"))
    }
    assert shown <= {f"thoonk-{thoonk.__version__}-py3-none-any.whl"}


def test_the_metrics_that_pages_name_are_exported() -> None:
    from thoonk.observe.prometheus import FeedCollector

    collector = FeedCollector("memory")
    names = {family.name for family in collector.collect()}
    collector.close()
    for page in ("deploy/kubernetes.md", "deploy/sizing.md"):
        named = set(re.findall(r"thoonk_feed_\w+", (DOCS / page).read_text("utf-8")))
        assert named <= names, page


def test_the_page_on_versions_has_that_of_the_contract() -> None:
    (version,) = re.findall(r"(?m)^Version (\S+)$", (ROOT / "contract.txt").read_text("utf-8"))[:1]
    assert f"now {version}." in (DOCS / "versions.md").read_text("utf-8")


def test_calls_that_add_an_item_list_their_errors() -> None:
    calls = (thoonk.Feed.publish, thoonk.SortedFeed.append, thoonk.Queue.put, thoonk.AsyncJob.put)
    errors = (
        "SerializerError",
        "ItemTooLarge",
        "FeedDoesNotExist",
        "AccessDenied",
        "OutcomeUnknown",
    )
    for call in calls:
        raises = (call.__doc__ or "").partition("Raises:")[2]
        assert [name for name in errors if name not in raises] == [], call


def test_the_page_on_installing_has_every_extra() -> None:
    page = (DOCS / "install.md").read_text("utf-8")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert rows == set(settings["project"]["optional-dependencies"])


def test_the_files_for_deployment_are_well_formed_and_agree() -> None:
    """Each service manager waits longer than the worker's grace, or it would kill jobs."""
    pages = {name: (DOCS / f"deploy/{name}.md").read_text("utf-8") for name in DEPLOYMENTS}
    (compose,) = (yaml.safe_load(text) for text in fences(pages["docker"], "yaml"))
    deployment, scaler = (yaml.safe_load(text) for text in fences(pages["kubernetes"], "yaml"))
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(*fences(pages["systemd"], "ini"))
    pod = deployment["spec"]["template"]["spec"]
    (image,) = fences(pages["docker"], "dockerfile")
    (command,) = (json.loads(line[4:]) for line in image.splitlines() if line.startswith("CMD "))
    stops = [
        (command, int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s"))),
        (pod["containers"][0]["args"], pod["terminationGracePeriodSeconds"]),
        (unit["Service"]["ExecStart"].split(), int(unit["Service"]["TimeoutStopSec"])),
    ]
    options = {option for each in work.params for option in each.opts}
    for words, patience in stops:
        used = [str(word) for word in words]
        assert float(used[used.index("--grace") + 1]) < patience
        assert {word for word in used if word.startswith("--")} <= options | {"--json"}
    named = compose["services"]["redis"]["command"]
    assert "noeviction" in named
    assert "--appendonly yes" in named
