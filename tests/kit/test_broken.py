"""Each way to break a backend is noticed, by the contract classes that it is the affair of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.broken import VARIANTS

HERE = Path(__file__).parent


def classes_that_fail(variant: str, folder: Path) -> set[str]:
    """Run the suite for threads on the variant; the classes in which a test failed."""
    report = folder / f"{variant}.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_dict_backend.py", "-q", "-k", "not Async"),
            *("-p", "no:cacheprovider", f"--junit-xml={report}", "--timeout=20"),
        ],
        cwd=HERE,
        env={**os.environ, "THOONK_BROKEN": variant},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed: Counter[str] = Counter()
    ran = set()
    for case in ET.parse(report).iter("testcase"):
        (name,) = re.findall(r"\.Test(\w+)$", case.attrib["classname"])
        ran.add(name)
        assert case.find("error") is None, f"{variant}: {case.attrib['name']} had no chance"
        failed[name] += case.find("failure") is not None
    assert len(ran) == 11
    return {name for name, count in failed.items() if count}


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Future[set[str]]]:
    """The runs of all variants that are asked for, some at a time: mostly they wait."""
    folder = tmp_path_factory.mktemp("broken")
    wanted = [
        item.callspec.params["variant"]
        for item in request.session.items
        if item.path == Path(__file__) and "variant" in item.callspec.params
    ]
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(classes_that_fail, name, folder) for name in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_broken_backend_fails_where_it_is_broken(
    outcomes: dict[str, Future[set[str]]], variant: str
) -> None:
    assert outcomes[variant].result() == VARIANTS[variant].fails
