"""The Lua scripts, one file per operation, loaded and hashed once per process."""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from importlib import resources

import attrs

_INCLUDE = re.compile(r"^--@ include (\w+)\n", re.MULTILINE)
_KEYS = re.compile(r"^--@ keys (.+)\n", re.MULTILINE)
_KEY = re.compile(r"\bkeys\.(\w+\[?)")
_RESULTS = "result[]"
_COMMENT = re.compile(r"^ *--(?!@ ask).*\n", re.MULTILINE)
_PRELUDE = "local call, KEYS, ARGV = redis.call, KEYS, ARGV\n"
"""What every script begins with: looked up once, it is faster by a microsecond per ten calls."""

_ASK = re.compile(r"^ *--@ ask (.+)\n", re.MULTILINE)
_ASK_REST = re.compile(r"^--@ ask rest\n", re.MULTILINE)

_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"\bp?call\(([^(),]*(?:\[[^]]*\][^(),]*)?)[,)]")
_CALLED = re.compile(r"\b(?:p?call\('([A-Z]+)'|(\w+)\()")
_WORD = re.compile(r"\w+")
_COMMAND = re.compile(r"'([A-Z]+)'")
_WRITES = frozenset(
    (
        *("DEL", "HDEL", "HINCRBY", "HSET", "INCR", "INCRBY", "LINSERT", "LPOP", "LPUSH", "LREM"),
        *("LSET", "PEXPIRE", "RENAME", "RPOP", "RPUSH", "SADD", "SPOP", "SREM", "UNLINK", "ZADD"),
        *("ZREM",),
    )
)

_RIGHTS = """\
if may and not ({checks}) then
  for _, command in ipairs({{{commands}}}) do
    if not may(command, KEYS[1]) then
      return redis.error_reply('NOPERM no permission to run the command ' .. command)
    end
  end
end
"""
"""What comes first in a script that writes: what a script has written is not undone when a
later command of it is refused. Servers before 7 cannot be asked.
"""

_MAY = "local may = redis.acl_check_cmd\n"


def commands_of(text: str) -> set[str]:
    """The commands that a script calls."""
    return {word for call in _CALL.findall(text) for word in _COMMAND.findall(call)}


def _without_unused(text: str) -> str:
    """Drop the functions of ``scripts/lib`` that a script has no use for."""
    uses = Counter(_WORD.findall(text))
    functions = _functions(text)
    while unused := [name for name in functions if uses[name] == 1]:
        for name in unused:
            function = functions.pop(name)
            uses.subtract(_WORD.findall(function))
            text = text.replace(function, "")
    return text


def _functions(text: str) -> dict[str, str]:
    """The functions that a script defines, by name."""
    return {function[1]: function[0] for function in _FUNCTION.finditer(text)}


def _read_at_first(text: str) -> set[str]:
    """Commands that a script always calls before it writes: these need not be asked for."""
    writing: set[str] = set()
    for name, function in _functions(text).items():
        # They are defined before they are used.
        if _place_of_a_write(function, writing) is not None:
            writing.add(name)
    body = _FUNCTION.sub("", text)
    before_a_write = body[: _place_of_a_write(body, writing)]
    lines = before_a_write.splitlines()[:-1]
    return {word for line in lines if line[:1] != " " for word in commands_of(line)}


def _place_of_a_write(text: str, functions: Container[str]) -> int | None:
    """Where it first calls a command that writes, or one of the functions, which do."""
    for called in _CALLED.finditer(text):
        if called[1] in _WRITES or called[2] in functions:
            return called.start()
    return None


def _with_rights(text: str) -> str:
    """Refuse who may not run one of the commands, before the script does anything.

    Asking takes time. The functions named in a line ``--@ ask NAME ...`` are called only behind
    it, and what they alone call is asked for there. Where there is a line ``--@ ask rest``, what
    is called behind it is asked for there, and nothing at the beginning.
    """
    start, is_split, rest = _split_at_rest(text)
    functions = _functions(text)
    rare = {name for names in _ASK.findall(start + rest) for name in names.split()}
    first = _read_at_first(start)

    def commands_in(part: str) -> set[str]:
        """Also those that its functions call; of rare ones, where it calls them itself."""
        found, seen = commands_of(part), set[str]()
        new = functions.keys() & _WORD.findall(part)
        while new:
            seen |= new
            bodies = "".join(functions[name] for name in new)
            found |= commands_of(bodies)
            new = (functions.keys() & _WORD.findall(bodies)) - rare - seen
        return found - first

    body = _ASK.sub("", _FUNCTION.sub("", rest if is_split else start))
    # Rights to publish depend on the channel: the scripts look for themselves.
    asked = commands_in(body) - {"PUBLISH"}
    asking = _asking(asked) if _WRITES & asked else ""
    asked_before = set[str]() if is_split else asked
    start = _ASK.sub(lambda line: _asking(commands_in(line[1]) - asked_before), start)
    rest = _ASK.sub(lambda line: _asking(commands_in(line[1]) - asked), rest)
    text = start + asking + rest if is_split else asking + start
    return _MAY + text if asking or rare else text


def _split_at_rest(text: str) -> tuple[str, bool, str]:
    line = _ASK_REST.search(text)
    return (text[: line.start()], True, text[line.end() :]) if line else (text, False, "")


def _asking(commands: Iterable[str]) -> str:
    asked = sorted(commands)
    return _RIGHTS.format(
        checks=" and ".join(f"may('{command}', KEYS[1])" for command in asked),
        commands=", ".join(f"'{command}'" for command in asked),
    )


@attrs.frozen(eq=False)
class Script:
    """The text of one script and the SHA-1 by which the server knows it.

    Attributes:
        name: that of its file.
        text: what to send when the server does not know it.
        keys: the keys that it is given, by their names in `Keys`. Keys of results follow where
            it takes any, and last that of answers when it is to be run ``once``.
        sha: what to send when it does.
        once: it remembers its last answer for each caller, and is passed who calls.
        before: a script to be run first when the server does not know this one; or empty.
    """

    name: str
    text: bytes
    keys: tuple[str, ...]
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


def _with_places(text: str, names: list[str]) -> str:
    """Write ``KEYS[2]`` for ``keys.ids`` when ``ids`` is the second of the names."""
    places = {name: f"KEYS[{place}]" for place, name in enumerate(names, 1)}
    if _RESULTS in places:
        places["result["] = f"KEYS[{len(names) - 1} + "
    return _KEY.sub(lambda key: places[key[1]], text)


def _source(name: str, instead: Mapping[str, str]) -> tuple[bytes, tuple[str, ...], set[str]]:
    """A script's text, with what it includes from ``scripts/lib``; its keys; what it includes.

    The script's header names its keys: ``--@ keys config ids`` stands for ``KEYS[1]`` and
    ``KEYS[2]``. Its code, and what it includes, knows them as ``keys.config`` and ``keys.ids``.
    As the last one, ``result[]`` stands for any number of keys, ``keys.result[1]`` and so on.
    """
    folder = resources.files(__package__) / "scripts"
    included: set[str] = set()

    def include(match: re.Match[str]) -> str:
        part = instead.get(match[1], match[1])
        if part in included:
            return ""
        included.add(part)
        return _INCLUDE.sub(include, (folder / "lib" / f"{part}.lua").read_text("utf-8"))

    source = _INCLUDE.sub(include, (folder / f"{name}.lua").read_text("utf-8"))
    names = [key for line in _KEYS.findall(source) for key in line.split()]
    # Comments are for readers of the files.
    source = _without_unused(_COMMENT.sub("", source))
    source = _with_rights(_with_places(source, names))
    keys = tuple(key for key in names if key != _RESULTS)
    return (_PRELUDE + source).encode(), keys, included


@functools.cache
def load(name: str) -> Script:
    """The script of that name."""
    text, keys, included = _source(name, {})
    return Script(name, text, keys, once="once" in included)


@functools.cache
def load_for_fake(name: str) -> Script:
    """The script of that name for fakeredis, which compiles what it is sent at every call.

    What it is sent calls a function that is kept in the table ``redis``. Nothing comes
    between it and its caller, so it remembers no answers.
    """
    text, keys, _ = _source(name, {"once": "always"})
    kept = b"redis['thoonk:%b']" % name.encode()
    define = b"%b = function(KEYS, ARGV)\n%b\nend" % (kept, text)
    return Script(name, b"return %b(KEYS, ARGV)" % kept, keys, before=define)


def names() -> list[str]:
    """The names of all scripts."""
    folder = resources.files(__package__) / "scripts"
    return sorted(f.name.removesuffix(".lua") for f in folder.iterdir() if f.name.endswith(".lua"))
