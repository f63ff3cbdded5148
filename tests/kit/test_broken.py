"""Each way to break a backend is noticed, by the contract classes that it is the affair of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.broken import VARIANTS

HERE = Path(__file__).parent
AT_ONCE = 6
"""Mostly they wait."""


def classes_that_fail(variants: list[str], folder: Path) -> dict[str, set[str]]:
    """Run the suite for threads on some variants; for each the classes with a failed test.

    ``THOONK_BROKEN=VARIANT pytest tests/kit/test_dict_backend.py`` shows what fails and why.
    """
    report = folder / f"{variants[0]}.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_dict_backend.py", "-q", "-k", "not Async"),
            *("-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
            *(f"--junit-xml={report}", "--timeout=15", "--tb=no"),
        ],
        cwd=HERE,
        env={**os.environ, "THOONK_BROKEN": ",".join(variants)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"{done.returncode}: {done.stderr} {done.stdout[-4000:]}"
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


@pytest.mark.timeout(600)
def test_a_broken_backend_fails_where_it_is_broken(tmp_path: Path) -> None:
    """All in one test, so that each runs once however tests are shared out among processes."""
    names = [*VARIANTS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [
            pool.submit(classes_that_fail, names[first::AT_ONCE], tmp_path)
            for first in range(AT_ONCE)
        ]
    failed = {name: classes for run in runs for name, classes in run.result().items()}
    assert failed == {name: variant.fails for name, variant in VARIANTS.items()}
