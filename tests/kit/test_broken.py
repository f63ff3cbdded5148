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


# One test, so that it is done once however tests are shared out among processes.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_broken_backend_fails_where_it_is_broken(tmp_path: Path) -> None:
    """Run the suite for threads on all variants.

    ``THOONK_BROKEN=VARIANT pytest tests/kit/test_dict_backend.py`` shows what fails and why.
    """
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_dict_backend.py", "-q", "-k", "not Async"),
            *("-n", f"{AT_ONCE}", "--dist", "worksteal"),
            *("-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
            *(f"--junit-xml={report}", "--timeout=60", "--tb=no"),
        ],
        cwd=HERE,
        env={**os.environ, "THOONK_BROKEN": ",".join(VARIANTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"{done.returncode}: {done.stderr} {done.stdout[-4000:]}"
    ran: dict[str, set[str]] = {variant: set() for variant in VARIANTS}
    failed: dict[str, set[str]] = {variant: set() for variant in VARIANTS}
    for case in ET.parse(report).iter("testcase"):
        (contract,) = re.findall(r"\.Test(\w+)$", case.attrib["classname"])
        (variant,) = set(re.findall(r"\w+", case.attrib["name"])) & set(VARIANTS)
        assert case.find("error") is None, f"{variant}: {case.attrib['name']} had no chance"
        ran[variant].add(contract)
        if case.find("failure") is not None:
            failed[variant].add(contract)
    assert all(len(contracts) == 22 for contracts in ran.values())
    seen = {name: failed[name] - variant.may_fail for name, variant in VARIANTS.items()}
    assert seen == {name: variant.fails for name, variant in VARIANTS.items()}
