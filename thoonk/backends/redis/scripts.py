"""The Lua scripts, one file per operation, loaded and hashed once per process."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources

import attrs

_INCLUDE = re.compile(r"^--@ include (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_PRELUDE = b"local call = redis.call\n"
"""What every script begins with: looked up once, it is faster by a microsecond per ten calls."""


@attrs.frozen(eq=False)
class Script:
    """The text of one script and the SHA-1 by which the server knows it.

    Attributes:
        name: that of its file.
        text: what to send when the server does not know it.
        sha: what to send when it does.
        once: it remembers its last answer for each caller, and is told who calls.
        before: a script to be run first when the server does not know this one; or empty.
    """

    name: str
    text: bytes
    sha: bytes = attrs.field(
        init=False,
        # The protocol names scripts by SHA-1; nothing secret depends on it.
        default=attrs.Factory(
            lambda self: hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode(),
            takes_self=True,
        ),
    )
    once: bool = False
    before: bytes = b""


def _source(name: str, instead: Mapping[str, str]) -> tuple[bytes, set[str]]:
    """A script's text, with what it includes from ``scripts/lib``, and the names of that."""
    folder = resources.files(__package__) / "scripts"
    included: set[str] = set()

    def include(match: re.Match[str]) -> str:
        part = instead.get(match[1], match[1])
        if part in included:
            return ""
        included.add(part)
        return _INCLUDE.sub(include, (folder / "lib" / f"{part}.lua").read_text("utf-8"))

    source = _INCLUDE.sub(include, (folder / f"{name}.lua").read_text("utf-8"))
    # Comments are for readers of the files.
    return _PRELUDE + _COMMENT.sub("", source).encode(), included


@functools.cache
def load(name: str) -> Script:
    """The script of that name."""
    text, included = _source(name, {})
    return Script(name, text, once="once" in included)


@functools.cache
def load_for_fake(name: str) -> Script:
    """The script of that name for fakeredis, which compiles what it is sent at every call.

    What it is sent calls a function that is kept in the table ``redis``. Nothing comes
    between it and its caller, so it remembers no answers.
    """
    text, _ = _source(name, {"once": "always"})
    kept = b"redis['thoonk:%b']" % name.encode()
    define = b"%b = function(KEYS, ARGV)\n%b\nend" % (kept, text)
    return Script(name, b"return %b(KEYS, ARGV)" % kept, before=define)


def names() -> list[str]:
    """The names of all scripts."""
    folder = resources.files(__package__) / "scripts"
    return sorted(f.name.removesuffix(".lua") for f in folder.iterdir() if f.name.endswith(".lua"))
