"""The Lua scripts, one file per operation, loaded and hashed once per process."""

from __future__ import annotations

import functools
import hashlib
import re
from importlib import resources

import attrs

_INCLUDE = re.compile(r"^--@ include (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_ONCE = "--@ once\n"


@attrs.frozen
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

    def include(match: re.Match[str]) -> str:
        return (folder / "lib" / f"{match[1]}.lua").read_text("utf-8").rstrip()

    source = (folder / f"{name}.lua").read_text("utf-8")
    header, once, body = source.partition(_ONCE)
    if once:
        guard = (folder / "lib" / "once.lua").read_text("utf-8")
        source = (
            f"{header}{guard}\nlocal function operation()\n{body}end\n\nreturn once(operation)\n"
        )
    # Comments are for readers of the files; fakeredis would parse them at every call.
    text = _COMMENT.sub("", _INCLUDE.sub(include, source)).encode()
    # The protocol names scripts by SHA-1; nothing secret depends on it.
    return Script(
        name, bool(once), text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    )


def names() -> list[str]:
    """The names of all scripts."""
    folder = resources.files(__package__) / "scripts"
    return sorted(f.name.removesuffix(".lua") for f in folder.iterdir() if f.name.endswith(".lua"))
