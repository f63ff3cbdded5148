"""Each way to break a backend is noticed, by the contract classes that it is the affair of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from kit.broken import VARIANTS

HERE = Path(__file__).parent
AT_ONCE = 8
"""Mostly they wait."""

ON_CI = {"CI", "BUILD_NUMBER"}
"""If one of these is set, pytest compares long lists in full, which can take a minute. None of that
is shown here."""


def run(report: Path, *what: str) -> dict[tuple[str, str], list[str]]:
    """Run tests with all variants. For each variant and contract class that ran, what failed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *what, "-q", "-k", "not Async"),
            *("-n", f"{AT_ONCE}", "--dist", "worksteal"),
            *("-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
            *(f"--junit-xml={report}", "--timeout=60", "--tb=no"),
        ],
        cwd=HERE,
        env={name: value for name, value in os.environ.items() if name not in ON_CI}
        | {"THOONK_BROKEN": ",".join(VARIANTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), f"{done.returncode}: {done.stderr} {done.stdout[-4000:]}"
    found: dict[tuple[str, str], list[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        name = case.attrib["name"]
        (contract,) = re.findall(r"\.Test(\w+)$", case.attrib["classname"])
        (variant,) = set(re.findall(r"\w+", name)) & set(VARIANTS)
        assert case.find("error") is None, f"{variant}: {name} had no chance"
        failed = found.setdefault((variant, contract), [])
        if case.find("failure") is not None:
            failed.append(f"test_embedded.py::Test{contract}::{name}")
    return found


# One test, so that it is done once however tests are shared out among processes.
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_broken_backend_fails_where_it_is_broken(tmp_path: Path) -> None:
    """Run the suite for threads on all variants.

    ``THOONK_BROKEN=VARIANT pytest tests/kit/test_embedded.py`` shows what fails and why.
    """
    found = run(tmp_path / "report.xml", "test_embedded.py")
    older = {contract for variant, contract in found if variant == "AnyTypeWillDo"}
    assert len(older) == 14
    tried = {(name, each) for name, variant in VARIANTS.items() for each in variant.tries or older}
    assert set(found) == tried
    # Among so many tests at once, one is slow at times: what else fails has to fail again.
    expected = {(name, each) for name, variant in VARIANTS.items() for each in variant.fails}
    if others := [
        test for where, tests in found.items() if where not in expected for test in tests
    ]:
        again = run(tmp_path / "again.xml", *others)
        found |= {where: again[where] for where in again}
    seen: dict[str, set[str]] = {name: set() for name in VARIANTS}
    for (name, contract), failed in found.items():
        if failed and contract not in VARIANTS[name].may_fail:
            seen[name].add(contract)
    assert seen == {name: variant.fails for name, variant in VARIANTS.items()}
