"""A terminal for tests: a pty for the process, and pyte for the screen that people would see."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping

import pyte

from cli.conftest import PROGRAM, Process

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Terminal:
    """A process on a terminal of its own."""

    def __init__(
        self,
        process: Process,
        *arguments: str,
        columns: int = 120,
        lines: int = 40,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment``: variables besides, or instead."""
        self._master, slave = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        variables = {**process.environment(), **(environment or {})}
        # Readline, where pytest loads it, exports both, and they would hide the size of the pty.
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        self.running = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=variables,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # So that ^C on it is a signal to the process.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(slave)
        self.raw = ""

    @property
    def seen(self) -> str:
        """All that was written so far, without what moves and colours."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def read(self, timeout: float) -> bool:
        """Read what there is; False when the process has ended."""
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.raw += self._decoder.decode(data)
        self._stream.feed(data)
        return bool(data)

    def until(self, text: str, timeout: float = 60) -> str:
        """Wait for a text; return all that was seen."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            assert self.read(0.1) or text in self.seen, f"no {text!r} in {self.seen!r}"
        return self.seen

    @property
    def screen(self) -> list[str]:
        """The lines that are on the screen now."""
        return [line.rstrip() for line in self._screen.display]

    def style_of(self, text: str) -> tuple[str, bool] | None:
        """The colour of a text on the screen, and whether it is bold; None: it is not there."""
        for number, line in enumerate(self._screen.display):
            if (column := line.find(text)) >= 0:
                char = self._screen.buffer[number][column]
                return char.fg, char.bold
        return None

    def shows(self, pattern: str, timeout: float = 60) -> list[str]:
        """Wait until the screen has this in a line; return its lines."""
        return self.becomes(lambda lines: any(re.search(pattern, line) for line in lines), timeout)

    def becomes(self, right: Callable[[list[str]], bool], timeout: float = 60) -> list[str]:
        """Wait until the screen is as it should be; return its lines."""
        end = time.monotonic() + timeout
        while not right(self.screen):
            assert time.monotonic() < end, "\n".join(self.screen)
            assert self.read(0.05) or right(self.screen), "\n".join(self.screen)
        return self.screen

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size; the kernel sends SIGWINCH."""
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self, timeout: float = 60) -> int:
        """Wait for the end; return the exit code."""
        end = time.monotonic() + timeout
        while self.read(0.1):
            assert time.monotonic() < end, self.seen
        return self.running.wait(timeout)

    def interrupt(self) -> int:
        """Press ^C, and again after a while (the first may come while Python begins to read)."""
        for _ in range(4):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                return self.end(timeout=15)
        raise AssertionError(self.seen)

    def close(self) -> None:
        """End the process as a service manager does; it may be one that hangs."""
        self.running.terminate()
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.end(timeout=10)
        self.running.kill()
        self.running.wait()
        os.close(self._master)
