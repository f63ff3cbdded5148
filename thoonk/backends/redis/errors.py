"""Turns the driver's errors into ours."""

from __future__ import annotations

import re
from typing import Any

from redis import exceptions as driver

from thoonk.backends.redis.commands import Command
from thoonk.exceptions import (
    AccessDenied,
    BackendError,
    BackendFull,
    BackendUnavailable,
    ItemTooLarge,
    OutcomeUnknown,
    ThoonkError,
)

CONNECTION_ERRORS = (
    driver.ConnectionError,
    driver.TimeoutError,
    driver.InvalidResponse,  # it is no Redis that answers there
    OSError,
)
"""What the driver raises when the connection is at fault."""

# Servers before 7 wrap an error inside a script: "Error running script (...): WRONGTYPE ...".
_CODE = re.compile(r"^(?:.*?@user_script: ?\d+: ?|-)?(?:-)?([A-Z]+)\b ?(.*)", re.DOTALL)


_UNBLOCKED = "UNBLOCKED"
_TRANSIENT = {
    "BUSY",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    _UNBLOCKED,
    "NOREPLICAS",
    "MISCONF",
}
"""Replies of a server that cannot do it now, or is not the one to ask. Nothing was done."""

# redis-py takes the word off where it has a class for it, which differs by version.
_TRANSIENT_ERRORS = (driver.ReadOnlyError, driver.ClusterDownError, driver.TryAgainError)

_NO_ROOM = "max number of clients reached"
"""What a server says, and redis-py takes for a lost connection, before it closes a new one."""

BULK = "proto-max-bulk-len"
BULK_REFUSED = "invalid bulk length"
"""In what a server says before it closes the connection, for that setting."""


NO_CLUSTER = "cluster support disabled"
"""In what a server says that is asked about its cluster, and is part of none."""


_ELSEWHERE = re.compile(r"(?P<code>MOVED|ASK) (?P<slot>\d+) (?P<host>\S*):(?P<port>\d+)")


class Elsewhere(BackendError):
    """The server is a node of a cluster, and another node has the key. Nothing was done.

    Attributes:
        slot: that of the key.
        place: host and port of the other node. No host: the same as that of this one.
        asking: whether that is so for this call only, which ASKING has to go before.
    """

    def __init__(self, message: str, slot: int, place: tuple[str, int], *, asking: bool) -> None:
        super().__init__(message)
        self.slot = slot
        self.place = place
        self.asking = asking


_DENIED = (driver.AuthenticationError, driver.AuthorizationError, driver.NoPermissionError)
# "ACL failure in script: User ..." is what a script meets.
_DENIED_CODES = {"NOAUTH", "WRONGPASS", "NOPERM", "ACL"}
_DENIED_TEXT = "The user executing the script can't"
"""What it meets on Redis 6.2 and 7.0, without a code."""


def _code_of(error: BaseException) -> tuple[str, str]:
    match = _CODE.match(str(error))
    return (match[1], match[2]) if match else ("", "")


def text_of(error: BaseException) -> str:
    """What an error says, never nothing: those of asyncio's time limits have no text."""
    if text := str(error):
        return text
    return "no reply in time" if isinstance(error, TimeoutError) else type(error).__name__


def not_sent(error: BaseException) -> ThoonkError:
    """No connection: nothing can have happened."""
    if isinstance(error, _DENIED) or _code_of(error)[0] in _DENIED_CODES:
        return AccessDenied(f"Redis does not let us in, nothing was done: {text_of(error)}")
    return BackendUnavailable(f"Redis cannot be reached, nothing was done: {text_of(error)}")


class NotBegun(BackendUnavailable):
    """There is no connection on which to wait."""


def not_begun(error: BaseException) -> ThoonkError:
    """No connection to wait on: nothing can have happened."""
    refusal = not_sent(error)
    return NotBegun(str(refusal)) if isinstance(refusal, BackendUnavailable) else refusal


REPLIES = (driver.BusyLoadingError, driver.AuthenticationError, driver.AuthorizationError)
"""What redis-py takes for errors of the connection, but is a reply."""


def is_unblocked(error: driver.ResponseError) -> bool:
    """Whether it is what a wait is answered with that CLIENT UNBLOCK has ended."""
    return _code_of(error)[0] == _UNBLOCKED


def is_passing(error: driver.ResponseError) -> bool:
    """Whether what was refused may be done in a while, or by another server."""
    return isinstance(of_server(error), (Elsewhere, BackendUnavailable))


def answer_lost(error: BaseException, command: Command[Any]) -> ThoonkError:
    """The connection failed between sending and the reply."""
    text = text_of(error)
    # These arrive as replies: the server has looked at the command and declined.
    if isinstance(error, driver.BusyLoadingError):
        return BackendUnavailable(f"Redis is loading its data, nothing was done: {text}")
    if isinstance(error, _DENIED):
        return AccessDenied(f"Redis does not allow this, nothing was done: {text}")
    if _NO_ROOM in text:
        return BackendUnavailable(f"Redis takes no more clients, nothing was done: {text}")
    if not command.writes:
        return BackendUnavailable(f"Redis did not answer, and nothing was changed: {text}")
    return OutcomeUnknown(
        f"Redis did not answer; the operation may or may not have taken effect: {text}"
    )


def refused(error: driver.ResponseError, command: Command[Any]) -> ThoonkError:
    """The server answered with an error: a refusal of ours, or its own."""
    if BULK_REFUSED in str(error):
        return too_large(command, BULK, None)
    return command.refusal(*_code_of(error)) or of_server(error)


def too_large(command: Command[Any], setting: str, allowed: int | None) -> ThoonkError:
    """A setting of the server does not allow a command of that size."""
    size = command.largest()
    return ItemTooLarge(command.feed, size=size, allowed=allowed, setting=setting)


def of_server(error: driver.ResponseError) -> ThoonkError:
    """The server answered with an error of its own."""
    code, _ = _code_of(error)
    of_a_cluster = (
        "this server is part of a cluster: use a backend redis+cluster://HOST:PORT; "
        f"nothing was done ({type(error).__name__}: {error})"
    )
    if isinstance(error, driver.AskError):
        # redis-py has MOVED as a kind of ASK.
        asking = not isinstance(error, driver.MovedError)
        return Elsewhere(of_a_cluster, error.slot_id, (error.host, error.port), asking=asking)
    if found := _ELSEWHERE.fullmatch(str(error)):
        # Before redis-py 6 they have no classes outside its client of a cluster.
        place = found["host"], int(found["port"])
        return Elsewhere(of_a_cluster, int(found["slot"]), place, asking=found["code"] == "ASK")
    if NO_CLUSTER in str(error):
        return BackendError("this server is not part of a cluster: use a backend redis://HOST:PORT")
    if isinstance(error, driver.ClusterCrossSlotError) or code == "CROSSSLOT":
        return BackendError(of_a_cluster)
    if isinstance(error, _TRANSIENT_ERRORS) or code in _TRANSIENT:
        return BackendUnavailable(f"Redis cannot do this now, nothing was done: {error}")
    if isinstance(error, driver.OutOfMemoryError) or code == "OOM":
        return BackendFull(f"Redis has no memory left, nothing was done: {error}")
    if "user_script" in str(error) and (code in _DENIED_CODES or _DENIED_TEXT in str(error)):
        # Our scripts ask first, which servers before 7 do not answer.
        return AccessDenied(f"Redis does not allow this, a part of it may be done: {error}")
    if isinstance(error, _DENIED) or code in _DENIED_CODES or _DENIED_TEXT in str(error):
        return AccessDenied(f"Redis does not allow this, nothing was done: {error}")
    return BackendError(f"Redis refused the command: {error}")
