"""Vectors: the cases, one JSON file per chapter, read into plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import attrs

from thoonk.conform.values import Template
from thoonk.exceptions import InvalidValue

FEATURES: Mapping[str, str] = {
    "several": "more than one entry, id or job in one call",
    "retake": "a get with a given token, so that it can be repeated",
    "sessions": "calls that are repeated, with a session and a number",
    "names": "refusing names and ids that are empty or contain a NUL",
    "bytes": "names and ids that are not UTF-8",
    "blocking": "a get, or a get_result, that waits",
    "max_item_size": "refusing items that are too large",
    "claim_timeout": "returning jobs whose claims have expired",
    "max_failures": "stalling a job that was cancelled too often",
    "scheduled": "respecting scheduled jobs, and what else version 2.1 stores about jobs and ids",
    "events": "sending notices about jobs, if the feed is configured so",
    "paused": "respecting that a queue or a job feed is paused",
}
"""What a peer may lack, besides whole operations, and still work together with others."""

LEVELS = (1, 2)


@attrs.frozen
class Step:
    """One request and all that must come of it.

    Attributes:
        operation: its name in the protocol.
        arguments: templates.
        commands: Redis commands that are run before the request is sent.
        meanwhile: Redis commands that are run while the peer waits.
        answer: what the answer must hold; fields that are not named may be anything.
        refused: the code of the refusal; empty: none.
        after: the keys that have changed, by name; None: it must not be there.
        published: channel and payload of each notice, in order.
    """

    operation: str
    arguments: Mapping[str, Template] = attrs.field(factory=dict, hash=False)
    commands: tuple[Template, ...] = attrs.field(default=(), converter=tuple, hash=False)
    meanwhile: tuple[Template, ...] = attrs.field(default=(), converter=tuple, hash=False)
    answer: Template = attrs.field(factory=dict, hash=False)
    refused: str = ""
    after: Mapping[str, Template] = attrs.field(factory=dict, hash=False)
    published: tuple[Template, ...] = attrs.field(default=(), converter=tuple, hash=False)


@attrs.frozen
class Vector:
    """One case.

    Attributes:
        name: what it shows; no other vector of its section has it.
        section: the section of contract.txt that asks for it.
        levels: the versions of the contract that ask for it.
        requires: what a peer may do without, from `FEATURES`.
        before: the keys that are prepared.
        steps: the requests; mostly one.
    """

    name: str
    section: str
    before: Mapping[str, Template] = attrs.field(hash=False)
    steps: tuple[Step, ...] = attrs.field(hash=False)
    levels: tuple[int, ...] = attrs.field(default=LEVELS, converter=tuple)
    requires: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    @property
    def title(self) -> str:
        """Section and name."""
        return f"{self.section}: {self.name}"

    @property
    def needs(self) -> frozenset[str]:
        """The features and operations that a peer needs for it."""
        return frozenset((*self.requires, *(step.operation for step in self.steps)))


_STEP = {field.name for field in attrs.fields(Step)}
_VECTOR = {"name", "section", "levels", "requires", "before", "then"}


def parse(text: str) -> list[Vector]:
    """The vectors of one file.

    Raises:
        InvalidValue: it is not of the format that docs/conformance.md describes.
    """
    chapter = json.loads(text)
    states = chapter["states"]
    return [_vector(raw, states) for raw in chapter["vectors"]]


def _vector(raw: dict[str, Any], states: Mapping[str, Template]) -> Vector:
    name = raw["name"]
    unknown = {*raw} - _STEP - _VECTOR
    requires = raw.get("requires", ())
    if unknown or {*requires} - FEATURES.keys() or {*raw.get("levels", LEVELS)} - {*LEVELS}:
        raise InvalidValue(f"vector {name!r}: unknown fields, features or levels")
    before: dict[str, Template] = {}
    for part in raw.get("before", ()):
        before |= states[part] if isinstance(part, str) else part
    first = {key: raw[key] for key in raw.keys() & _STEP}
    return Vector(
        name=name,
        section=raw["section"],
        levels=raw.get("levels", LEVELS),
        requires=requires,
        before=before,
        steps=tuple(Step(**fields) for fields in (first, *raw.get("then", ()))),
    )


def load() -> list[Vector]:
    """All vectors: file by file, each in its order."""
    folder = resources.files(__package__) / "vectors"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return [vector for file in files for vector in parse(file.read_text("utf-8"))]


def operations(vectors: Iterable[Vector]) -> frozenset[str]:
    """The names of all operations that the vectors ask for."""
    return frozenset(step.operation for vector in vectors for step in vector.steps)
