"""Backends: their interface, a base class for backends around another one, and opening."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, cast

from thoonk.backends._async.forwarding import AsyncForwardingBackend
from thoonk.backends._sync.forwarding import ForwardingBackend
from thoonk.backends.checkups import Checkable
from thoonk.backends.protocol import (
    AsyncBackend,
    AsyncInterruptible,
    AsyncRestable,
    AsyncSubscription,
    Backend,
    Interruptible,
    Opener,
    Subscription,
)
from thoonk.exceptions import BackendNotInstalled, InvalidType, InvalidValue, ThoonkError
from thoonk.extras import how_to_install

__all__ = [
    "AsyncBackend",
    "AsyncForwardingBackend",
    "AsyncInterruptible",
    "AsyncRestable",
    "AsyncSubscription",
    "Backend",
    "ForwardingBackend",
    "Interruptible",
    "Opener",
    "Subscription",
    "open_async_backend",
    "open_backend",
]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

_REDIS = ("redis", "rediss", "unix", "valkey", "valkeys")
_SENTINEL = tuple(f"{scheme}+sentinel" for scheme in _REDIS if scheme != "unix")
_CLUSTER = tuple(f"{scheme}+cluster" for scheme in _REDIS if scheme != "unix")
_BUILT_IN = {
    "memory": ("thoonk.backends.memory", how_to_install("memory")),
    **dict.fromkeys(("embedded", "sqlite"), ("thoonk.backends.embedded", "")),
    **dict.fromkeys(
        (*_REDIS, *_SENTINEL, *_CLUSTER), ("thoonk.backends.redis", "pip install redis hiredis")
    ),
}


def impatient(
    url: str, connect_within: float, answer_within: float | None = None
) -> dict[str, Any]:
    """Options that make an unreachable Redis an error at once.

    Args:
        url: the URL of a backend. Only Redis has such options.
        connect_within: seconds to connect.
        answer_within: seconds for an answer. None: the default.
    """
    if url.partition("://")[0].lower() not in (*_REDIS, *_SENTINEL, *_CLUSTER):
        return {}
    options: dict[str, Any] = {"socket_connect_timeout": connect_within, "retry_for": 0}
    return options if answer_within is None else {**options, "socket_timeout": answer_within}


def _opener_of(scheme: str) -> Opener:
    if scheme in _BUILT_IN:
        module, hint = _BUILT_IN[scheme]
        try:
            return cast("Opener", importlib.import_module(module).opener)
        except ImportError as error:
            raise BackendNotInstalled(
                f"the backend {scheme!r} needs packages that are missing ({error}): {hint}"
            ) from error
    # Slow to import, and needed by those alone who bring a backend of their own.
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = entry_points(group="thoonk.backends", name=scheme)
    for entry_point in found:
        opener = entry_point.load()
        if not isinstance(opener, Opener):
            raise InvalidType(f"entry point {entry_point.value!r} must have open and open_async")
        return opener
    others = {e.name for e in entry_points(group="thoonk.backends")}
    raise InvalidValue(
        f"there is no backend {scheme!r}; known: {', '.join(sorted({*_BUILT_IN, *others}))}"
    )


def _opener_for(target: object) -> Opener:
    if isinstance(target, str):
        # Only the scheme is shown in errors: the rest may hold a password. What has no
        # scheme may be a password to its first letter.
        scheme = target.partition("://")[0]
        if not _SCHEME.fullmatch(scheme):
            raise InvalidValue(
                "a backend's URL must start with a scheme and ://, as in redis://HOST:PORT/DB; "
                f"known schemes: {', '.join(_BUILT_IN)}"
            )
        return _opener_of(scheme.lower())
    if hasattr(target, "connection_pool") or hasattr(target, "nodes_manager"):
        return _opener_of("redis")
    raise InvalidType(
        f"backend must be a name, a URL, a redis-py client or an object with execute, wait, "
        f"listen and close, not {type(target).__name__}"
    )


def checkable(url: str) -> Checkable | None:
    """What can examine a URL without opening a backend; None: nothing can."""
    try:
        opener = _opener_for(url)
    except ThoonkError:
        return None
    return opener if isinstance(opener, Checkable) else None


def _is_backend(target: object) -> bool:
    methods = ("execute", "wait", "listen", "close")
    return all(callable(getattr(target, method, None)) for method in methods)


def _check_object(target: Any, options: dict[str, Any], *, asynchronous: bool) -> None:
    if options:
        raise InvalidValue(f"a backend object takes no options: remove {', '.join(options)}")
    # A backend of the other world would fail late and darkly.
    if inspect.iscoroutinefunction(target.execute) != asynchronous:
        wanted = "asyncio" if asynchronous else "synchronous"
        raise InvalidType(f"this client needs a backend that is {wanted}, not {target!r:.80}")


def open_backend(target: object, **options: Any) -> tuple[Backend, bool]:
    """Return a backend for ``target``, and whether this function has opened it.

    The caller closes what was opened here, but not an object that was passed in.

    Args:
        target: a name (``"memory"``), a URL (``"redis://localhost/0"``), a redis-py
            client, or a `Backend`.
        options: passed on to the opener.

    Raises:
        InvalidValue: there is no backend with this scheme, or an option is not allowed.
        InvalidType: the target is none of these.
        BackendNotInstalled: packages of the backend are missing.
    """
    if _is_backend(target):
        _check_object(target, options, asynchronous=False)
        return cast("Backend", target), False
    return _opener_for(target).open(cast("str", target), **options), True


def open_async_backend(target: object, **options: Any) -> tuple[AsyncBackend, bool]:
    """`open_backend` for asyncio."""
    if _is_backend(target):
        _check_object(target, options, asynchronous=True)
        return cast("AsyncBackend", target), False
    return _opener_for(target).open_async(cast("str", target), **options), True
