"""Why a job failed, as it is kept with the job."""

from __future__ import annotations

import functools
import os
import socket
import traceback
from types import TracebackType

from thoonk.exceptions import InvalidType
from thoonk.operations import Failure

LONGEST_MESSAGE = 1_000
"""Characters of a reason that are kept: the first ones."""

LONGEST_TRACEBACK = 8_000
"""Characters of a traceback that are kept: the last ones, which tell where it happened."""

CALLERS = tuple(
    os.path.join(os.path.dirname(__file__), folder, "")  # noqa: PTH118, PTH120 - as in a frame
    for folder in ("worker", "concurrency")
)
"""Folders with the modules that call functions of users."""


def is_of_callers(file: str) -> bool:
    """Whether a frame with code of that file calls functions of users, and is none of theirs."""
    return file.startswith(CALLERS)


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame of a user's function on; None where there is none."""
    while trace is not None and is_of_callers(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def failure_of(
    reason: str | BaseException | None, *, with_traceback: bool = True
) -> Failure | None:
    """The failure that a ``reason`` argument means: a text, or the exception that was raised.

    Args:
        with_traceback: keep that of an exception. It may show what is secret.

    Raises:
        InvalidType: neither.
    """
    if reason is None:
        return None
    worker = _worker(os.getpid())
    if isinstance(reason, str):
        return Failure(reason[:LONGEST_MESSAGE], worker=worker)
    if not isinstance(reason, BaseException):
        raise InvalidType(f"reason must be a str or an exception, not {type(reason).__name__}")
    trace = ""
    if with_traceback:
        try:
            trace = _formatted(reason)[-LONGEST_TRACEBACK:]
        except Exception as error:  # noqa: BLE001 - what an exception's own methods raise
            trace = f"(no traceback: {type(error).__name__})"
    return Failure(_message(reason)[:LONGEST_MESSAGE], type(reason).__qualname__, trace, worker)


def _formatted(error: BaseException) -> str:
    """Its traceback, and those of what it came of, without the frames that called the function."""
    shown = traceback.TracebackException.from_exception(error)
    left, seen = [shown], set()
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        while each.stack and is_of_callers(each.stack[0].filename):
            del each.stack[0]
        left += [other for other in (each.__cause__, each.__context__) if other is not None]
        left += getattr(each, "exceptions", None) or []
    return "".join(shown.format())


def _message(error: BaseException) -> str:
    """Its text, which a class of the user's makes, and may fail to."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return f"<{type(error).__name__} without a text>"


@functools.lru_cache(maxsize=1)
def _worker(pid: int) -> str:
    """Who this process is, to others."""
    return f"{socket.gethostname()}:{pid}"
