"""The program as a whole: its help, its options, its exit codes, completion."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import World

from cli.conftest import PROGRAM, Cli
from thoonk import Thoonk, exceptions
from thoonk.cli.app import SECTIONS, app
from thoonk.cli.exit_codes import Exit, exit_of
from thoonk.exceptions import FeedError, ItemError, ItemTooLarge, ThoonkError

ROOT = Path(__file__).parents[2]
COMMANDS = {name: row for rows in SECTIONS.values() for name, row in rows.items()}


def all_commands() -> dict[str, click.Command]:
    """Every command and subcommand, by the words that call it."""
    found: dict[str, click.Command] = {}
    context = click.Context(app)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found.update({f"{name} {sub}": each for sub, each in command.commands.items()})
    return found


# --- help ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*COMMANDS])
def test_each_command_of_the_table_is_there(name: str) -> None:
    where, says = COMMANDS[name]
    module, _, attribute = where.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert says.endswith(".")
    assert len(says) < 55


def test_each_command_and_option_tells_what_it_is_for() -> None:
    for words, command in all_commands().items():
        assert command.help, words
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{words} {param.name}"


def test_the_help_lists_all_commands_and_imports_none(tmp_path: Path) -> None:
    program = """
import sys
sys.argv = ["thoonk", "--help"]
from thoonk.cli import main
try:
    main()
finally:
    print(sorted(name for name in sys.modules if name.split(".")[0] in
        {"rich", "textual", "redis", "fakeredis", "hiredis", "lupa"}
        or name.startswith(("thoonk.cli.", "thoonk._sync", "thoonk._async"))
        or name in {"thoonk.operations", "thoonk.backends", "asyncio"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    for name, (_, says) in COMMANDS.items():
        assert re.search(rf"(?m)^  {name} +{re.escape(says)}$", done.stdout), name
    *_, modules = done.stdout.splitlines()
    assert modules == str(
        [f"thoonk.cli.{name}" for name in ("app", "exit_codes", "output", "session")]
    )


def test_no_command_is_a_usage_error_with_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Queues and jobs:" in result.output
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2
    assert CliRunner().invoke(app, ["job", "nonsense"]).exit_code == 2


def test_the_installed_program_is_this_one() -> None:
    program = Path(sys.executable).parent / "thoonk"
    for words in ([str(program)], PROGRAM):
        done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
        assert re.fullmatch(r"thoonk, version \d+\.\d+\S*\n", done.stdout)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('not here')", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == "Error: packages are missing (not here): pip install '.[cli]' in a checkout of Thoonk\n"
    )


# --- common options ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backend", "URL", "--json", "feeds"],
        ["feeds", "--backend", "URL", "--json"],
        ["--backend", "URL", "feeds", "--json"],
        ["--backend", "redis://127.0.0.1:1", "--json", "feeds", "--backend", "URL"],
    ],
)
def test_common_options_stand_before_or_after_the_command(arguments: list[str]) -> None:
    url = "memory://options"
    with Thoonk(backend=url) as thoonk:
        thoonk.feed("f")
        words = [url if word == "URL" else word for word in arguments]
        result = CliRunner().invoke(app, words, env={"THOONK_URL": "redis://127.0.0.1:1"})
        assert result.stdout == '{"feed": "f", "type": "feed", "config": {}}\n'
        thoonk.delete_feed("f")


def test_subcommands_of_a_group_have_them_too() -> None:
    url = "memory://options"
    with Thoonk(backend=url) as thoonk:
        thoonk.job("j")
        for words in (
            ["job", "--backend", url, "put", "j", "x"],
            ["job", "put", "--backend", url, "j", "x"],
            ["--backend", url, "job", "put", "j", "x"],
        ):
            assert CliRunner().invoke(app, words).exit_code == 0
        assert thoonk.job("j").count() == 3
        thoonk.delete_feed("j")


def test_without_options_it_is_redis_on_this_machine() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"THOONK_URL": None})
    assert "redis://localhost:6379/0" in result.output
    assert Cli("").url == ""
    program = (
        "from thoonk.cli.session import Session; print(Session().url)"
        "; import os; os.environ['THOONK_URL'] = ''; print(Session().url)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "THOONK_URL"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "redis://localhost:6379/0\n" * 2


def test_debug_shows_the_traceback_and_the_cause() -> None:
    words = ["feeds", "--backend", "redis://127.0.0.1:1"]
    for more in ([], ["--debug"]):
        done = subprocess.run(
            [*PROGRAM, *words, *more], capture_output=True, text=True, check=False
        )
        assert done.returncode == 69
        assert ("Traceback" in done.stderr) is bool(more)
        assert ("redis.exceptions.ConnectionError" in done.stderr) is bool(more)
        assert done.stderr.splitlines()[-1].startswith("Error: Redis cannot be reached")


def test_the_memory_of_a_single_command_is_remarked_upon() -> None:
    result = CliRunner().invoke(app, ["create", "f", "--backend", "memory"])
    assert result.exit_code == 0
    note = "Note: the memory backend starts empty, and is lost when this command ends\n"
    assert result.stderr == note


# --- exit codes -------------------------------------------------------------------------------


def errors() -> list[type[ThoonkError]]:
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, ThoonkError)]


def an(kind: type[ThoonkError]) -> ThoonkError:
    if issubclass(kind, ItemTooLarge):
        return kind("f", size=2, allowed=1)
    if issubclass(kind, ItemError):
        return kind("f", "1")
    if kind is FeedError:
        return kind("f", "message")
    return kind("f")  # type: ignore[call-arg]


def test_every_error_has_the_exit_code_that_the_docs_tell() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| [^|]+ \|(.*)\|$", page)
    told = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert {int(code) for code, _ in rows} == {*map(int, Exit)}
    for kind in errors():
        code = exit_of(an(kind))
        assert told.get(kind.__name__, Exit.FAILED) == code, kind
    assert told.keys() <= {kind.__name__ for kind in errors()}


@pytest.mark.parametrize("seconds", ["nan", "inf"])
@pytest.mark.parametrize(
    "command",
    [
        ["get", "letters", "--timeout"],
        ["stats", "--interval"],
        ["job", "finish", "letters", "id", "--keep"],
        ["work", "images:worker", "--grace"],
    ],
    ids=" ".join,
)
def test_a_duration_is_a_finite_number(cli: Cli, command: list[str], seconds: str) -> None:
    assert f"{seconds} is not a finite number of seconds" in cli(*command, seconds, fails=2).err


# --- completion -------------------------------------------------------------------------------


def test_its_help_has_a_line_for_each_shell(cli: Cli) -> None:
    assert '  zsh:   eval "$(thoonk completion zsh)"           in ~/.zshrc' in (
        cli("completion", "--help").lines
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(cli: Cli, shell: str) -> None:
    script = cli("completion", shell).text
    assert f"_THOONK_COMPLETE={shell}_complete" in script
    program = shutil.which(shell)
    if program is not None:
        checked = subprocess.run([program, "-n"], input=script, text=True, check=False)
        assert checked.returncode == 0


def completed(url: str, *words: str) -> list[str]:
    done = subprocess.run(
        PROGRAM,
        env={
            **os.environ,
            "THOONK_URL": url,
            "_THOONK_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["thoonk", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_options_and_names_of_feeds_are_completed(
    one_server: World,
) -> None:
    url = one_server.url
    with Thoonk(backend=url) as thoonk:
        for name in ("news", "notes", "other"):
            thoonk.feed(name)
        job = thoonk.job("jobs")
        for name in ("nightly", "never", "sweep"):
            job.schedule(name, "x", every=3600)
    assert completed(url, "job", "unschedule", "jobs", "n") == ["never", "nightly"]
    assert completed(url, "job", "unschedule", "nothing", "n") == []
    assert completed(url, "co") == ["config", "copy", "completion", "conform"]
    assert completed(url, "job", "ret") == ["retract", "retry"]
    assert completed(url, "job", "r") == ["reschedule", "result", "retract", "retry", "run-now"]
    assert completed(url, "job", "put", "notes", "--if-exists", "r") == ["replace", "refuse"]
    assert completed(url, "pause", "ne") == ["news"]
    assert "--high" in completed(url, "put", "--")
    assert completed(url, "publish", "n") == ["news", "notes"]
    assert completed(url, "stats", "news", "o") == ["other"]
    assert completed("redis://127.0.0.1:1", "ids", "--backend", url, "ne") == ["news"]
    # What is given as an item is not read, and nothing is sent.
    assert completed(url, "publish", "-", "") == []
    assert completed("redis://127.0.0.1:1", "publish", "n") == []
