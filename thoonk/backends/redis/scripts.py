"""The Lua scripts, one file per operation, loaded and hashed once per process."""

from __future__ import annotations

import functools
import hashlib
import re
from importlib import resources

import attrs

_INCLUDE = re.compile(r"^--@ include (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)


@attrs.frozen(eq=False)
class Script:
    """The text of one script and the SHA-1 by which the server knows it.

    ``once``: it remembers its last answer for each caller, and is told who calls.
    """

    name: str
    once: bool
    text: bytes
    sha: bytes


@functools.cache
def load(name: str) -> Script:
    """The script of that name, with what it includes from ``scripts/lib``."""
    folder = resources.files(__package__) / "scripts"
    included: set[str] = set()

    def include(match: re.Match[str]) -> str:
        part = match[1]
        if part in included:
            return ""
        included.add(part)
        return _INCLUDE.sub(include, (folder / "lib" / f"{part}.lua").read_text("utf-8"))

    source = _INCLUDE.sub(include, (folder / f"{name}.lua").read_text("utf-8"))
    # Comments are for readers of the files; fakeredis would parse them at every call.
    text = _COMMENT.sub("", source).encode()
    # The protocol names scripts by SHA-1; nothing secret depends on it.
    sha = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(name, "once" in included, text, sha)


def names() -> list[str]:
    """The names of all scripts."""
    folder = resources.files(__package__) / "scripts"
    return sorted(f.name.removesuffix(".lua") for f in folder.iterdir() if f.name.endswith(".lua"))
