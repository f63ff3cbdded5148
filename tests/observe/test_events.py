"""Each line in the log has the name of its event, and the page lists them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"logger", "logging", "job"}
"""Also the jobs of a worker: ``job.log(level, event, text, ...)``."""

SOURCES = [
    path
    for path in sorted((ROOT / "thoonk").rglob("*.py"))
    if path.is_relative_to(ROOT / "thoonk") and "testing" not in path.parts
]


def is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in LOGGERS
        and node.func.attr in (LEVELS if node.func.value.id != "job" else {"log"})
    )


def is_of_a_job(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "log"


def constants(value: ast.AST, function: ast.AST) -> set[str]:
    """The texts that an expression may be: itself, or what its name is given in the function."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return {value.value}
    if isinstance(value, ast.Name):
        return {text for each in given(value.id, function) for text in constants(each, function)}
    return set()


def given(name: str, function: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for one, value in zip(target.elts, node.value.elts, strict=True):
                        if isinstance(one, ast.Name) and one.id == name:
                            yield value


def events_of(call: ast.Call, function: ast.AST) -> set[str]:
    if is_of_a_job(call):
        return constants(call.args[1], function)
    extra = next((each.value for each in call.keywords if each.arg == "extra"), None)
    dicts = [*given(extra.id, function)] if isinstance(extra, ast.Name) else [extra]
    found: set[str] = set()
    for each in dicts:
        if isinstance(each, ast.Dict):
            for key, value in zip(each.keys, each.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "event":
                    found |= constants(value, function)
    return found


def log_calls(path: Path) -> Iterator[tuple[ast.Call, set[str]]]:
    tree = ast.parse(path.read_text("utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if is_log_call(node):
                    assert isinstance(node, ast.Call)
                    yield node, events_of(node, function)


def listed() -> set[str]:
    text = (ROOT / "docs/observability.md").read_text("utf-8")
    table = text.split("| event |", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_each_line_has_the_name_of_an_event_that_the_page_lists() -> None:
    nameless, unlisted, used = [], set(), set()
    for path in SOURCES:
        for call, events in log_calls(path):
            if not events:
                nameless.append(f"{path.relative_to(ROOT)}:{call.lineno}")
            used |= events
            unlisted |= events - listed()
    assert nameless == [], "these need extra={'event': …}"
    assert unlisted == set(), "docs/observability.md has to list these"
    assert listed() - used == set(), "nothing logs these any more"
    assert len(used) > 20


def test_texts_begin_as_sentences_do() -> None:
    for path in SOURCES:
        for call, _ in log_calls(path):
            text = call.args[2 if is_of_a_job(call) else 0]
            if isinstance(text, ast.Constant):
                assert str(text.value)[0].isupper(), (path.name, text.value)


@pytest.mark.parametrize(
    ("code", "events"),
    [
        ("logger.info('x')", set()),
        ("logger.info('x', extra={'feed': 1})", set()),
        ("logger.info('x', extra={'event': 'a'})", {"a"}),
        ("extra = {'event': 'a', **more}\n    logger.info('x', extra=extra)", {"a"}),
        ("job.log(logging.INFO, 'a', 'x')", {"a"}),
        ("e = 'a'\n    job.log(logging.INFO, e, 'x')", {"a"}),
        ("e, b = 'a', 1\n    e = 'c'\n    logger.info('x', extra={'event': e})", {"a", "c"}),
    ],
)
def test_what_the_rule_above_sees(code: str, events: set[str], tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(f"def f():\n    {code}\n")
    assert [found for _, found in log_calls(path)] == [events]
