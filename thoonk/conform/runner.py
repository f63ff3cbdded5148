"""Tries a peer with each vector: prepare the keys, ask the peer, compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import redis

from thoonk.conform import compare
from thoonk.conform.compare import Difference
from thoonk.conform.peer import Peer, PeerFailed
from thoonk.conform.sandbox import Sandbox
from thoonk.conform.values import MatchContext, Template, encode, is_time, number, show, text
from thoonk.conform.vector import FEATURES, LEVELS, Step, Vector, operations
from thoonk.exceptions import BackendError, InvalidValue

CONTRACT = "2.1"
"""The version of contract.txt that the vectors are of."""


@attrs.frozen
class Declaration:
    """What a peer says of itself.

    Attributes:
        name: what it calls itself.
        level: the version of the contract that it keeps to.
        without: features and operations that it lacks.
    """

    name: str
    level: int
    without: frozenset[str] = frozenset()


@attrs.frozen
class Outcome:
    """What came of a vector: it was skipped, it passed or it failed.

    Attributes:
        vector: the vector.
        skipped: why it was skipped; empty: it was tried.
        step: the number, from 1, of the step in which it failed.
        differences: what was not as it has to be; none: it passed.
    """

    vector: Vector
    skipped: str = ""
    step: int = 1
    differences: tuple[Difference, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something was not as it has to be."""
        return bool(self.differences)


class Runner:
    """Tries a peer. One that fails is ended, and restarted for the next vector."""

    def __init__(self, sandbox: Sandbox, command: Sequence[str], timeout: float) -> None:
        """Nothing is started yet.

        Args:
            sandbox: the server that it is tried on.
            command: the peer's program and arguments.
            timeout: seconds that an answer may take.
        """
        self._sandbox = sandbox
        self._command = command
        self._timeout = timeout
        self._peer: Peer | None = None

    def close(self) -> None:
        """End the peer."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def _started(self) -> tuple[Peer, dict[str, Any]]:
        peer = Peer(self._command, self._timeout)
        try:
            response = peer.ask("hello", {"url": self._sandbox.url, "contract": CONTRACT})
        except BaseException:
            peer.kill()
            raise
        if not isinstance(response.get("answer"), dict):
            peer.kill()
            raise PeerFailed(f"the peer did not answer hello with an object: {show(response)}")
        return peer, response["answer"]

    def hello(self, vectors: Iterable[Vector]) -> Declaration:
        """Start the peer, and let it say what it does.

        Raises:
            PeerFailed: it does not start or does not answer.
            InvalidValue: it declares a level, feature or operation that does not exist.
        """
        self._peer, answer = self._started()
        level = answer.get("level", max(LEVELS))
        if level not in LEVELS:
            raise InvalidValue(f"the peer's level must be one of {LEVELS}, not {level!r:.80}")
        without = answer.get("without", [])
        check_names(without, vectors)
        return Declaration(str(answer.get("name", self._command[0])), level, frozenset(without))

    def run(self, vectors: Iterable[Vector], declared: Declaration) -> Iterator[Outcome]:
        """Try each vector, one after the other; skip what the peer does not do."""
        for vector in vectors:
            lacking = vector.needs & declared.without
            if declared.level not in vector.levels:
                yield Outcome(vector, skipped=f"not of level {declared.level}")
            elif lacking:
                yield Outcome(vector, skipped=f"without {min(lacking)}")
            else:
                try:
                    outcome = self._tried(vector)
                except redis.RedisError as error:
                    raise BackendError(f"the server failed at {vector.title!r}: {error}") from error
                yield outcome

    def _tried(self, vector: Vector) -> Outcome:
        context = self._sandbox.prepare(vector.before)
        for place, step in enumerate(vector.steps, 1):
            try:
                differences = tuple(self._step(step, context))
            except PeerFailed as error:
                if self._peer is not None:
                    self._peer.kill()
                    self._peer = None
                differences = (Difference("the peer", "an answer", str(error)),)
            if differences:
                return Outcome(vector, step=place, differences=differences)
        return Outcome(vector)

    def _step(self, step: Step, context: MatchContext) -> Iterator[Difference]:
        sandbox = self._sandbox
        if self._peer is None:
            self._peer, _ = self._started()
        before = sandbox.keys()
        sandbox.run(step.commands, context)
        waiting = sandbox.waiting() if step.meanwhile else (0, 0)
        context.asked_at = sandbox.now()
        self._peer.send(step.operation, _concrete(step.arguments, context))
        if step.meanwhile:
            sandbox.wait_for_peer(waiting)
            sandbox.run(step.meanwhile, context)
        response = self._peer.receive()
        context.answered_at = sandbox.now()
        heard = sandbox.heard()
        context.keys = sandbox.keys()
        if step.refused or "error" in response:
            yield from _refusal(step, response)
        else:
            yield from compare.answer(step.answer, response["answer"], context)
        yield from compare.keys(step.after, before, context)
        yield from compare.published(step.published, heard, context)


def check_names(without: object, vectors: Iterable[Vector]) -> None:
    """Check what a peer is said to lack.

    Raises:
        InvalidValue: a name is neither that of a feature nor that of an operation.
    """
    known = [*FEATURES, *operations(vectors)]
    if not isinstance(without, list) or not all(name in known for name in without):
        raise InvalidValue(
            f"a peer can lack operations and {', '.join(FEATURES)}, not {without!r:.200}"
        )


def _concrete(template: Template, context: MatchContext) -> Any:
    """Arguments as they are sent."""
    match template:
        case {"fresh id": _} | {"fresh token": _}:
            return encode(text(template, context))
        case {"base64": _}:
            return template
        case dict() if is_time(template):
            return number(template, context)
        case dict():
            return {name: _concrete(value, context) for name, value in template.items()}
        case list():
            return [_concrete(value, context) for value in template]
        case _:
            return template


def _refusal(step: Step, response: dict[str, Any]) -> Iterator[Difference]:
    if response.get("error") != step.refused:
        expected = f"refused: {step.refused}" if step.refused else show(step.answer)
        if "error" in response:
            got = f"refused: {response['error']} {response.get('message', '')}".rstrip()
        else:
            got = show(response["answer"])
        yield Difference("answer", expected, got)
