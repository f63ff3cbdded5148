"""Each way to break a backend is noticed, by the contract classes that it is the affair of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.broken import VARIANTS

HERE = Path(__file__).parent
AT_ONCE = 6


def classes_that_fail(variants: list[str], folder: Path) -> dict[str, set[str]]:
    """Run the suite for threads on some variants; for each the classes with a failed test."""
    report = folder / f"{variants[0]}.xml"
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "test_dict_backend.py",
                "-q",
                "-k",
                "not Async",
                "-p",
                "no:hypothesispytest",
            ),
            *("-p", "no:cacheprovider", f"--junit-xml={report}", "--timeout=15"),
        ],
        cwd=HERE,
        env={**os.environ, "THOONK_BROKEN": ",".join(variants)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    ran: dict[str, set[str]] = {variant: set() for variant in variants}
    failed: dict[str, set[str]] = {variant: set() for variant in variants}
    for case in ET.parse(report).iter("testcase"):
        (contract,) = re.findall(r"\.Test(\w+)$", case.attrib["classname"])
        (variant,) = set(re.findall(r"\w+", case.attrib["name"])) & set(variants)
        assert case.find("error") is None, f"{variant}: {case.attrib['name']} had no chance"
        ran[variant].add(contract)
        if case.find("failure") is not None:
            failed[variant].add(contract)
    assert all(len(contracts) == 14 for contracts in ran.values())
    return failed


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[dict[str, set[str]]]]]:
    """For each variant that is asked for the run that it is in: mostly these wait."""
    folder = tmp_path_factory.mktemp("broken")
    wanted = [
        item.callspec.params["variant"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == Path(__file__)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {}
        for first in range(min(AT_ONCE, len(wanted))):
            variants = wanted[first::AT_ONCE]
            run = pool.submit(classes_that_fail, variants, folder)
            runs |= dict.fromkeys(variants, run)
        yield runs


@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_broken_backend_fails_where_it_is_broken(
    outcomes: dict[str, Future[dict[str, set[str]]]], variant: str
) -> None:
    assert outcomes[variant].result()[variant] == VARIANTS[variant].fails
