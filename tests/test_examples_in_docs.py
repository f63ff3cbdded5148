"""Every example in README.md and docs/ runs, and prints what the page says it prints.

The convention, also told in CONTRIBUTING.md:

- A ``python`` block runs. The blocks of a page run in order, in one namespace, in an
  empty working folder. Names like ``memory://NAME`` start empty on every page.
- A block that starts with ``>>>`` is a doctest: what it shows is checked.
- A ``python file NAME`` block is written to the working folder under that name, for commands.
- A ``text output`` block holds what the ``python`` block before it prints.
- A ``console`` block with a ``thoonk`` command in it runs in bash, line by line; what
  stands below a command is what it prints, and ``...`` stands for anything there.
- A page that speaks of ``localhost`` and port 6379 gets a real server of the tests there.
- ``python skip: REASON`` keeps a block from running. There should be none.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import redis
import servers

from thoonk.backends.memory import World as Memory

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[!_]*.md"))]
PAGES += sorted((ROOT / "docs").glob("[!_]*/**/*.md"))
ALLOWED_SKIPS = 0

PROMPT = "--- next command ---"
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
CALLS_THOONK = re.compile(r"(?m)^\$ (.*[ (])?thoonk ")
ADDRESSES = [
    (re.compile(r"\blocalhost:6379\b"), "127.0.0.1:{port}"),
    (re.compile(r'"localhost", (?:port=)?6379\b'), '"127.0.0.1", {port}'),
    (re.compile(r"\b(Async)?Thoonk\((?=\)|listen=)"), '{0}Thoonk("127.0.0.1", {port}, '),
]


@attrs.frozen
class Block:
    """A fenced block: its info string, its text, and the line of the page it starts on."""

    info: str
    text: str
    line: int

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def runs(self) -> bool:
        return self.info == "python"

    @property
    def file(self) -> str:
        """The name under which the block is to be saved, or nothing."""
        found = re.fullmatch(r"python file ([\w.-]+)", self.info)
        return found[1] if found else ""

    @property
    def is_session(self) -> bool:
        is_run = self.info == "console run" or CALLS_THOONK.search(self.text) is not None
        return self.language == "console" and is_run

    @property
    def is_output(self) -> bool:
        return self.info == "text output"


def blocks_of(page: str) -> list[Block]:
    return [
        Block(found["info"].strip(), found["text"], page.count("\n", 0, found.start("text")) + 1)
        for found in FENCE.finditer(page)
    ]


def at_server(text: str, port: int) -> str:
    """The text with the addresses of the docs' server replaced by a real one."""
    for pattern, replacement in ADDRESSES:
        text = pattern.sub(
            lambda found, to=replacement: to.format(*[g or "" for g in found.groups()], port=port),
            text,
        )
    return text


def needs_server(text: str) -> bool:
    return at_server(text, 1) != text


class Page:
    """The namespace of one page: a module, so that its classes can be found by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = ""
        self.module = types.ModuleType("page")
        self.printed: str | None = None

    def run(self, block: Block) -> None:
        if block.file:
            Path(block.file).write_text(block.text, "utf-8")
        elif block.is_session:
            self._session(block)
        elif block.is_output:
            assert self.printed is not None, f"{self.path}:{block.line}: nothing printed before"
            assert self.printed == block.text, f"{self.path}:{block.line}: printed otherwise"
        elif block.text.lstrip().startswith(">>>"):
            self._doctest(block)
        else:
            self._execute(block)

    def _execute(self, block: Block) -> None:
        # Line numbers in a traceback are those of the page.
        tree = ast.parse(block.text, str(self.path))
        ast.increment_lineno(tree, block.line - 1)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(tree, str(self.path), "exec", dont_inherit=True), vars(self.module))
        self.printed = output.getvalue()

    def _session(self, block: Block) -> None:
        bash = shutil.which("bash")
        if bash is None:
            pytest.skip("no bash")
        prompts = re.split(r"(?m)^\$ ", block.text)[1:]
        commands, wanted = zip(*(each.split("\n", 1) for each in prompts), strict=True)
        # One bash for the block, which says where the output of each command begins.
        script = "".join(f"echo '{PROMPT}'\n{command}\n" for command in commands)
        folder = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            # What it leaves in the background ends with it.
            [bash, "-c", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\nexec 2>&1\n{script}"],
            env={**environment, "THOONK_URL": self.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
            text=True,
            timeout=500,
        )
        printed = done.stdout.split(f"{PROMPT}\n")[1:]
        checker = doctest.OutputChecker()
        for command, expected, got in zip(commands, wanted, printed, strict=True):
            assert checker.check_output(expected, got, doctest.ELLIPSIS), (
                f"{self.path}:{block.line}: $ {command}\n{got}"
            )

    def _doctest(self, block: Block) -> None:
        parsed = doctest.DocTestParser().get_doctest(
            block.text, vars(self.module), self.path.name, str(self.path), block.line - 1
        )
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(parsed, out=report.append, clear_globs=False)
        vars(self.module).update(parsed.globs)
        self.printed = None
        assert not report, "".join(report)


@pytest.fixture
def page_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Page]:
    """Make the page's namespace a module for the length of the test."""

    def make(path: Path) -> Page:
        page = Page(path)
        monkeypatch.setitem(sys.modules, "page", page.module)
        return page

    return make


@pytest.mark.timeout(600)  # that of the command line starts dozens of programs
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_of_a_page_run(
    path: Path,
    page_module: Callable[[Path], Page],
    running_server: Callable[[str], servers.Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each block does what the page says."""
    blocks = [
        b
        for b in blocks_of(path.read_text("utf-8"))
        if b.runs or b.file or b.is_output or b.is_session
    ]
    page = page_module(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for block in blocks:  # what a page saves is imported for this page only
        if block.file:
            monkeypatch.setitem(sys.modules, block.file.removesuffix(".py"), page.module)
            del sys.modules[block.file.removesuffix(".py")]
    monkeypatch.setattr(Memory, "_named", {})
    if any(block.is_session or needs_server(block.text) for block in blocks):
        server = running_server("redis-6.2")
        with contextlib.closing(redis.Redis(port=server.port, protocol=2)) as raw:
            raw.flushall()
        blocks = [attrs.evolve(b, text=at_server(b.text, server.port)) for b in blocks]
        page.url = server.url
        monkeypatch.setenv("THOONK_URL", server.url)
    for block in blocks:
        page.run(block)


@pytest.mark.timeout(600)  # that of the command line starts dozens of programs
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_fence_says_what_it_holds(path: Path) -> None:
    """A block that is silently not run would be an untested example."""
    for block in blocks_of(path.read_text("utf-8")):
        told = {"console", "dockerfile", "ini", "json", "nginx", "sh", "text", "toml", "yaml"}
        known = block.runs or block.file or block.is_output or block.language in told
        skips = re.fullmatch(r"python skip: \S.*", block.info)
        assert known or skips or block.language.startswith("{"), f"{path}:{block.line} {block.info}"


def test_hardly_an_example_is_skipped() -> None:
    """Whoever skips one more has to say so here."""
    skipped = [
        f"{path.name}:{block.line} {block.info}"
        for path in PAGES
        for block in blocks_of(path.read_text("utf-8"))
        if block.info.startswith("python skip:")
    ]
    assert len(skipped) == ALLOWED_SKIPS, skipped


def test_an_example_that_fails_fails(page_module: Callable[[Path], Page]) -> None:
    """The runner itself: wrong output and wrong code are noticed, and names are kept."""
    page = page_module(Path("page.md"))
    page.run(Block("python", "x = 1\nprint(x)\n", 1))
    page.run(Block("text output", "1\n", 4))
    with pytest.raises(AssertionError):
        page.run(Block("text output", "2\n", 4))
    page.run(Block("python", ">>> y = x + 1\n>>> y\n2\n", 7))
    page.run(Block("python", "assert y == 2\n", 10))
    with pytest.raises(AssertionError, match="Expected"):
        page.run(Block("python", ">>> y\n3\n", 12))
    with pytest.raises(ZeroDivisionError):
        page.run(Block("python", "1 / 0\n", 15))


def test_a_session_that_prints_otherwise_fails(
    page_module: Callable[[Path], Page], running_server: Callable[[str], servers.Server]
) -> None:
    """The runner for commands: each is compared by itself, errors too."""
    page = page_module(Path("page.md"))
    page.url = running_server("redis-6.2").url
    right = "$ x=1; thoonk --version\nthoonk, ...\n$ echo $x\n1\n$ thoonk nonsense; echo $?\n...2\n"
    assert Block("console", right, 1).is_session
    page.run(Block("console", right, 1))
    for wrong in (
        right.replace("thoonk, ", "other, "),
        right.replace("1\n$", "2\n$"),
        f"{right}x\n",
    ):
        with pytest.raises(AssertionError):
            page.run(Block("console", wrong, 1))
    assert not Block("console", "$ pip install '.[cli]'\n", 1).is_session
    assert Block("console", "$ id=$(thoonk job get j)\n", 1).is_session


def test_addresses_in_examples_lead_to_the_server_of_the_tests() -> None:
    """Each way to name the default server is understood; memory is left alone."""
    assert at_server('Thoonk(backend="redis://localhost:6379/0")', 1).count("127.0.0.1:1/0") == 1
    assert at_server('Thoonk("localhost", 6379, 0)', 1) == 'Thoonk("127.0.0.1", 1, 0)'
    assert at_server('AsyncThoonk("localhost", 6379)', 1) == 'AsyncThoonk("127.0.0.1", 1)'
    assert at_server("Thoonk()", 1) == 'Thoonk("127.0.0.1", 1, )'
    assert at_server("AsyncThoonk(listen=True)", 1) == 'AsyncThoonk("127.0.0.1", 1, listen=True)'
    assert not needs_server('Thoonk(backend="memory", listen=True)')


MAIN_JOB = (
    "python3 -m venv .venv && .venv/bin/pip install -q '.[memory,cli]' "
    "&& .venv/bin/python examples/tour.py"
)
TESTS = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox"


def _commands(text: str) -> list[str]:
    """Shell commands in a text, each on one line, without prompts and comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


def test_the_readme_has_the_two_commands() -> None:
    """One runs the main job, one the tests, and what they name is there."""
    readme = (ROOT / "README.md").read_text("utf-8")
    shell = [b.text for b in blocks_of(readme) if b.language in {"console", "sh"}]
    commands = _commands("\n".join(shell))
    assert MAIN_JOB in commands
    assert TESTS in commands
    assert (ROOT / "examples/tour.py").exists()


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    """What the README promises is what is tried: the tests as they are, the tour's extras."""
    script, tox = ROOT / ".ci/run", ROOT / "tox.ini"
    if not (script.exists() and tox.exists()):
        pytest.skip("no .ci/run or tox.ini in this copy")
    assert TESTS in _commands(script.read_text("utf-8"))
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(tox, "utf-8")
    extras = re.findall(r"\[(.*)\]", MAIN_JOB)[0].split(",")
    assert set(extras) <= set(settings["testenv"]["extras"].split())
