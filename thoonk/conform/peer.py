"""The program that is tried: requests on its stdin, answers on its stdout, a line each."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Any, cast

STARTS_WITHIN = 30.0
"""Seconds that the first answer may take at least: some programs start slowly."""

ENDS_WITHIN = 5.0
"""Seconds that a peer has to end by itself when its stdin is closed."""

_TAIL = 2000
"""Characters that are shown of what a peer wrote to stderr before it ended."""

_ENDED = b""


class PeerFailed(Exception):
    """The peer ended, was silent for too long, or said what is not in the protocol."""


class Peer:
    """One process of the program."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            timeout: seconds that an answer may take.

        Raises:
            PeerFailed: it cannot be started.
        """
        self._timeout = timeout
        self._number = 0
        self._lines: queue.Queue[bytes] = queue.Queue()
        # Closed in `close`: it has to outlive this method.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
            )
        except OSError as error:
            self._said.close()
            raise PeerFailed(f"{command[0]} cannot be started: {error.strerror}") from error
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line)
        self._lines.put(_ENDED)

    def send(self, operation: str, arguments: dict[str, Any]) -> None:
        """Send a request.

        Raises:
            PeerFailed: it has ended.
        """
        self._number += 1
        request = {"id": self._number, "operation": operation, "arguments": arguments}
        try:
            self._stdin.write(json.dumps(request).encode() + b"\n")
            self._stdin.flush()
        except OSError as error:
            raise PeerFailed(self._how_it_ended()) from error

    def receive(self) -> dict[str, Any]:
        """The response to the last request: it has ``answer`` or ``error``.

        Raises:
            PeerFailed: it ended, was silent for too long, or said something else.
        """
        timeout = max(self._timeout, STARTS_WITHIN if self._number == 1 else 0)
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise PeerFailed(f"the peer did not answer within {timeout:g} seconds") from None
        if line is _ENDED:
            raise PeerFailed(self._how_it_ended())
        try:
            response = json.loads(line)
        except ValueError:
            raise PeerFailed(f"the peer sent a line that is not JSON: {line!r:.200}") from None
        if not isinstance(response, dict) or len(response.keys() & {"answer", "error"}) != 1:
            raise PeerFailed(f"a response must have either answer or error, not {line!r:.200}")
        if response.get("id") != self._number:
            raise PeerFailed(
                f"the peer answered request {response.get('id')!r:.80}, not {self._number}"
            )
        return response

    def ask(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """`send` and `receive`."""
        self.send(operation, arguments)
        return self.receive()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            return "the peer has closed its stdin or stdout"
        how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()[-_TAIL:]
        return f"the peer ended {how}" + (f"; its stderr:\n{said}" if said else "")

    def close(self) -> None:
        """Close its stdin, by which it should end; if it does not, kill it."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # A child of the peer may hold stdout open; it is not waited for.
        self._reader.join(ENDS_WITHIN)
        if not self._reader.is_alive():
            self._stdout.close()
        self._said.close()

    def kill(self) -> None:
        """Kill it at once."""
        self._process.kill()
        self.close()
