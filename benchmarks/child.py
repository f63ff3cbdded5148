"""The runner's side of a contestant's process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from types import TracebackType
from typing import Any, Self

REPLY_TIMEOUT = 120.0
"""Most seconds for one answer."""

ENDING = 10.0
"""Seconds for a process to end by itself."""


class ContestantFailed(Exception):
    """What a contestant raised, or that its process died."""

    @property
    def reason(self) -> str:
        """The last line that says something."""
        return next(line for line in reversed(str(self).splitlines()) if line.strip())


class Child:
    """One contestant in a process of its own, in the environment of its library.

    Use it in a ``with`` block.
    """

    def __init__(self, host: list[str], target: str, url: str, *, server: str) -> None:
        """Start it.

        Args:
            host: the command of the process.
            target: ``MODULE:CLASS``.
            url: where the contestant finds Redis.
            server: where the server itself is, when ``url`` leads to a proxy.
        """
        self._target = target
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [*host, target, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**environment, "BENCHMARK_SERVER": server, "PYTHONUNBUFFERED": "1"},
            text=True,
        )

    def call(self, method: str, **arguments: Any) -> Any:
        """Do something and return what came of it.

        Raises:
            ContestantFailed: it raised.
        """
        self.ask(method, **arguments)
        return self.answer()

    def ask(self, method: str, **arguments: Any) -> None:
        """Begin a call; `answer` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": method, "arguments": arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What came of the call that `ask` began; raises as `call`."""
        assert self._process.stdout is not None
        # One line is read per request, so nothing waits in the buffer of the file object.
        if not select.select([self._process.stdout], [], [], REPLY_TIMEOUT)[0]:
            self._process.kill()
            raise ContestantFailed(f"{self._target} says nothing:\n{self._errors()}")
        line = self._process.stdout.readline()
        if not line:
            raise ContestantFailed(f"{self._target} died:\n{self._errors()}")
        reply = json.loads(line)
        if "error" in reply:
            raise ContestantFailed(f"{self._target}:\n{self._errors()}\n{reply['error']}")
        return reply["answer"]

    def _errors(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if error is not None:
            self._process.kill()
        try:
            self._process.stdin.close()
            self._process.wait(ENDING)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
