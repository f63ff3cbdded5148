"""Check the English of pages, docstrings and messages against a list of words.

    python tools/prose.py            name each word to avoid, and what to write instead
    python tools/prose.py --counts   how many there are in each file, also in those left out

`tools/prose.toml` has the words, the lines where one of them is right, and the files that are
left out for now. What it checks: the text of ``README.md`` and ``docs/`` outside code, and in
``thoonk/`` each docstring and each string of two words or more, such as a help text, an error or
a log message. Generated files are not checked; the files they come from are.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, cast

ROOT = Path(__file__).resolve().parent.parent

FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
NOT_PROSE = [
    re.compile(r"``.*?``|`[^`]*`", re.DOTALL),
    re.compile(r"(?<=\])\([^)\s]*\)"),
    re.compile(r"https?://\S+"),
]


class Settings(TypedDict):
    """`tools/prose.toml`: words and what to write instead, excerpts by file, files left out."""

    words: dict[str, str]
    allow: dict[str, list[str]]
    later: dict[str, list[str]]


def blank(found: re.Match[str]) -> str:
    """The same number of lines, with nothing on them."""
    return "\n" * found[0].count("\n") or " "


def lines_of_page(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a Markdown page, without code and addresses."""
    text = FENCE.sub(blank, text)
    for pattern in NOT_PROSE:
        text = pattern.sub(blank, text)
    yield from enumerate(text.splitlines(), 1)


def lines_of_module(text: str) -> Iterator[tuple[int, str]]:
    """The lines of each string in Python code that reads like a sentence."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            prose = node.value
            for pattern in NOT_PROSE:
                prose = pattern.sub(blank, prose)
            for offset, line in enumerate(prose.split("\n")):
                yield node.lineno + offset, line


def files(root: Path) -> list[Path]:
    """Pages and modules to check."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("[!_]*.md"))]
    return pages + sorted(p for p in (root / "thoonk").rglob("*.py") if "_sync" not in p.parts)


def check(root: Path, settings: Settings) -> tuple[list[str], list[str]]:
    """What is wrong, and how many words to avoid each file has."""
    words = {re.compile(rf"\b(?:{k})\b", re.IGNORECASE): v for k, v in settings["words"].items()}
    allowed = {(file, each) for file, excerpts in settings["allow"].items() for each in excerpts}
    later = set(settings["later"]["files"])
    problems: list[str] = []
    counts: list[str] = []
    used: set[tuple[str, str]] = set()
    for path in files(root):
        name = path.relative_to(root).as_posix()
        lines = lines_of_page if path.suffix == ".md" else lines_of_module
        found = []
        for number, line in lines(path.read_text("utf-8")):
            fine = {
                (file, excerpt) for file, excerpt in allowed if file == name and excerpt in line
            }
            for word, better in words.items():
                for match in word.finditer(line):
                    excerpts = {each for each in fine if match[0] in each[1]}
                    used |= excerpts
                    if not excerpts:
                        found.append(f'{name}:{number}: "{match[0]}": {better}')
        if found:
            counts.append(f"{len(found):4} {name}")
        if name not in later:
            problems += found
        elif not found:
            problems.append(f"{name} is clean: take it out of [later] in tools/prose.toml")
    problems += [f"{file}: nothing to allow in {e!r}" for file, e in sorted(allowed - used)]
    return problems, counts


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit code."""
    settings = cast(Settings, tomllib.loads((ROOT / "tools/prose.toml").read_text("utf-8")))
    problems, counts = check(ROOT, settings)
    print("\n".join(counts if "--counts" in arguments else problems), end="\n" * bool(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
