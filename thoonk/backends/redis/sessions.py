"""Sessions: each numbers its calls, so that one can be repeated."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import attrs

from thoonk.names import new_token


@attrs.define(eq=False)
class Session:
    """What tells a repeated call from a new one.

    One call at a time uses a session. The server keeps the answer to its last call, with the
    feed: where the feed moves to another node of a cluster, the answer moves with it.

    Attributes:
        id: tells the server which session it is.
        sequence: the number of its last call; a repetition keeps it.
        link: what its present call goes over.
    """

    id: str = attrs.field(factory=lambda: new_token()[:12])
    sequence: int = 0
    link: Any = None


class Sessions:
    """The sessions of one client: as many as it ever had calls under way at once."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._free: deque[Session] = deque()

    def take(self) -> Session:
        """A session that no other call uses, for its next call."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with the sessions it has.
            self._pid = os.getpid()
            self._free = deque()
        try:
            session = self._free.pop()
        except IndexError:
            session = Session()
        session.sequence += 1
        return session

    def give(self, session: Session) -> None:
        """The call is over."""
        self._free.append(session)
