"""The driver's errors, told in ours."""

from __future__ import annotations

import re
from typing import Any

from redis import exceptions as driver

from thoonk.backends.redis.commands import Command
from thoonk.exceptions import BackendError, BackendUnavailable, OutcomeUnknown, ThoonkError

CONNECTION_ERRORS = (driver.ConnectionError, driver.TimeoutError, OSError)
"""What the driver raises when the connection is at fault."""

# Servers before 7 wrap an error inside a script: "Error running script (...): WRONGTYPE ...".
_CODE = re.compile(r"^(?:.*?@user_script: ?\d+: ?|-)?(?:-)?([A-Z]+)\b ?(.*)", re.DOTALL)


def not_sent(error: BaseException) -> ThoonkError:
    """No connection: nothing can have happened."""
    return BackendUnavailable(f"Redis cannot be reached, nothing was done: {error}")


def answer_lost(error: BaseException, command: Command[Any]) -> ThoonkError:
    """The connection failed between sending and the reply."""
    # These arrive as a reply: the server has looked at the command and declined.
    if isinstance(error, driver.BusyLoadingError):
        return BackendUnavailable(f"Redis is loading its data, nothing was done: {error}")
    if not command.writes:
        return BackendUnavailable(f"Redis did not answer: {error}")
    return OutcomeUnknown(
        f"Redis did not answer, the operation may or may not have taken effect: {error}"
    )


def refused(error: driver.ResponseError, command: Command[Any]) -> ThoonkError:
    """The server answered with an error: a refusal of ours, or its own."""
    text = str(error)
    match = _CODE.match(text)
    if match is not None:
        ours = command.refuse(match[1], match[2])
        if ours is not None:
            return ours
    return BackendError(f"Redis refused the command: {text}")
