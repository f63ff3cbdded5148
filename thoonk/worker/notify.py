"""Tells systemd that the service is ready, alive or stopping, where systemd has asked for it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """The protocol of sd_notify: a datagram each. Without an address nothing is sent.

    Attributes:
        watchdog: seconds within which systemd expects to be notified; 0: it does not watch.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = address
        self.watchdog = watchdog
        self._sent = float("-inf")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Notifier:
        """As systemd has set it for this process; a child does not speak for its parent."""
        interval = environment.get("WATCHDOG_USEC", "")
        pid = environment.get("WATCHDOG_PID", "") or str(os.getpid())
        is_watched = interval.isdecimal() and pid == str(os.getpid())
        return cls(environment.get("NOTIFY_SOCKET", ""), int(interval) / 1e6 if is_watched else 0.0)

    def ready(self, status: str) -> None:
        """The feeds are open, and jobs are taken."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """To be called often; what is sent is twice as much as systemd needs."""
        now = time.monotonic()
        if self.watchdog and now - self._sent >= self.watchdog / 2:
            self._sent = now
            self._send("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """No more jobs are taken."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the NUL of an abstract address.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.setblocking(False)
            sender.sendto(message.encode("utf-8", "backslashreplace"), address)
