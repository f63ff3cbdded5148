"""docs/conformance.md: its examples are real, and its tables are complete."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import servers

from thoonk.conform.adapter import CODES
from thoonk.conform.cli import conform
from thoonk.conform.vector import FEATURES, load, operations

PAGE = (Path(__file__).parents[2] / "docs/conformance.md").read_text("utf-8")
OURS = (sys.executable, "-m", "thoonk.conform.adapter")


def table(heading: str) -> dict[str, str]:
    """Rows of the table with that first heading: the names in the first cell, and the rest."""
    found = re.search(rf"(?m)^\| {heading} \|.*\n\|-.*\n((?:\|.*\n)+)", PAGE)
    assert found is not None, heading
    rows = {}
    for line in found[1].splitlines():
        first, *rest = (cell.strip() for cell in line.strip("|").split(" | "))
        for name in re.findall(r"`([^`]+)`", first):
            rows[name] = " | ".join(rest).rstrip(" |")
    return rows


def templates() -> Iterator[dict[str, Any]]:
    """All objects in the vectors."""

    def objects(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            yield value
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                yield from objects(inner)

    for file in (resources.files("thoonk.conform") / "vectors").iterdir():
        if file.name.endswith(".json"):
            yield from objects(json.loads(file.read_text("utf-8")))


def test_the_command_prints_what_the_page_says(
    running_server: Callable[[str], servers.Server],
) -> None:
    ((command, output),) = re.findall(r"```console\n\$ (.*)\n(.*)\n```", PAGE)
    program, *words = shlex.split(command)
    assert program == "thoonk"
    assert words[0] == "conform"
    words = [sys.executable if word == "python" else word for word in words[1:]]
    server = ["--server", running_server("redis-6.2").binary]
    done = subprocess.run(
        [sys.executable, "-m", "thoonk.conform", *server, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(re.escape(output).replace(r"\.\.\.", r"\d+") + "\n", done.stdout)


def test_the_requests_are_answered_as_the_page_says(
    running_server: Callable[[str], servers.Server],
) -> None:
    server = running_server("redis-6.2")
    with server.client() as raw:
        raw.flushall()
    requests = re.findall(r"(?m)^→ (.*)$", PAGE)
    answers = [json.loads(line) for line in re.findall(r"(?m)^← (.*)$", PAGE)]
    sent = [line.replace("redis://127.0.0.1:6379/0", server.url) for line in requests]
    done = subprocess.run(
        OURS, input="\n".join(sent) + "\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    got = [json.loads(line) for line in done.stdout.splitlines()]
    got[0]["answer"]["name"] = "mine"
    for response in got:
        response.pop("message", None)
    assert got == answers
    assert len(got) == 4


def test_the_example_is_a_vector() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(example) in [*templates()]


def test_every_operation_is_there_with_its_arguments_and_answers() -> None:
    rows = table("operation")
    assert {*rows} == operations(load())
    for vector in load():
        for step in vector.steps:
            row = rows[step.operation]
            named = {*step.arguments} - {"session", "call"}
            if isinstance(step.answer, dict):
                named |= {*step.answer}
            for name in named:
                assert re.search(rf"\b{name}\b", row), (step.operation, name)


def test_every_feature_is_there() -> None:
    assert table("feature") == FEATURES


def test_every_refusal_is_there() -> None:
    assert {*table("error")} == {*(code for _, code in CODES), "overtaken", "unsupported"}


def test_every_option_is_there() -> None:
    names = {name.split()[0] for name in table("option")}
    options = {parameter.opts[0] for parameter in conform.params} - {"command"}
    assert names == options


def test_every_field_of_a_vector_is_there() -> None:
    fields = {name for raw in templates() if "section" in raw for name in raw}
    steps = {name for raw in templates() if "operation" in raw for name in raw}
    assert {*table("field")} == fields | steps


STAND_INS = [
    *("base64", "join", "ago", "seconds ago", "times", "plus", "now", "above", "now in seconds"),
    *(
        "score",
        "fresh id",
        "fresh token",
        "any",
        "as before",
        "unordered",
        "age",
        "until",
        "any of",
        "size",
    ),
]


@pytest.mark.parametrize("name", STAND_INS)
def test_what_stands_for_something_is_there_and_in_use(name: str) -> None:
    explained = PAGE.partition("In place of text")[2]
    assert f'"{name}"' in explained or f"`{name}`" in explained
    assert any(name in template for template in templates())
