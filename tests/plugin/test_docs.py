"""The tests that the pages show are tests that pass."""

from __future__ import annotations

import re

import pytest
from test_examples_in_docs import ROOT, blocks_of

pytest_plugins = ["pytester"]


def shown_on(page: str) -> str:
    """All code of a page that is not a dialogue."""
    blocks = blocks_of((ROOT / "docs" / page).read_text("utf-8"))
    return "".join(b.text for b in blocks if b.runs and not b.text.startswith(">>>"))


@pytest.mark.parametrize("world", ["memory", "server"])
def test_the_tests_on_the_page_about_testing_pass(pytester: pytest.Pytester, world: str) -> None:
    text = shown_on("testing.md")
    pytester.path.joinpath("test_page.py").write_text(text)
    done = pytester.runpytest_subprocess("-q", "-pno:hypothesispytest", f"--thoonk-url={world}")
    done.assert_outcomes(passed=len(re.findall(r"(?m)^(?:async )?def test_", text)))


@pytest.mark.slow  # tests/kit/test_embedded.py has most of it
def test_the_classes_on_the_page_about_writing_a_backend_pass(
    pytester: pytest.Pytester,
) -> None:
    text = shown_on("writing-a-backend.md")
    pytester.path.joinpath("test_page.py").write_text(text)
    pytester.makeini(f"[pytest]\npythonpath = {ROOT / 'examples'}\n")
    done = pytester.runpytest_subprocess("-q", "-pno:hypothesispytest", "-rs")
    outcomes = done.parseoutcomes()
    assert (outcomes.pop("skipped"), set(outcomes)) == (1, {"passed"})
    assert outcomes["passed"] > 100
    done.stdout.fnmatch_lines(["SKIPPED*deviation: there is but one priority here"])


def test_a_deviation_from_a_test_that_there_is_not_is_refused() -> None:
    from thoonk import InvalidValue
    from thoonk.testing import FeedContract

    with pytest.raises(InvalidValue, match="'test_nonsense'"):
        type("Mine", (FeedContract,), {"deviations": {"test_nonsense": "because"}})
    with pytest.raises(InvalidValue, match="no reason"):
        type("Mine", (FeedContract,), {"deviations": {"test_generated_ids_differ": ""}})
