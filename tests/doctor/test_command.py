"""The command, by itself and as users run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import processes
import pytest
import servers
from click.testing import CliRunner
from conftest import World

from thoonk import Thoonk
from thoonk.doctor.command import doctor
from thoonk.testing._sync.helpers import until


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thoonk.doctor", "--patience", "0", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=env,
    )


@pytest.fixture
def server(real_world: World) -> servers.Server:
    assert real_world.server is not None
    return real_world.server


def test_a_healthy_server_ends_with_0(server: servers.Server) -> None:
    with Thoonk(backend=server.url) as thoonk:
        thoonk.feed("letters").publish("x")
    done = run(server.url, "--ignore", "persistence")
    assert (done.returncode, done.stderr) == (0, "")
    verdict, size = done.stdout.splitlines()
    assert verdict.endswith("commands: nothing needs attention")
    assert size.split()[2:] == ["1", "items", "'letters'"]
    assert len(run(server.url, "--ignore", "persistence", "--top", "0").stdout.splitlines()) == 1


def test_findings_are_one_line_each_and_end_with_1(server: servers.Server) -> None:
    with Thoonk(backend=server.url) as thoonk, server.client() as raw:
        thoonk.job("jobs\n")
        raw.hset("feed.items:jobs\n", "a\nb", "item")
        done = run(server.url)
        assert (done.returncode, done.stderr) == (1, "")
        lines = done.stdout.splitlines()
        assert [line.split()[:2] for line in lines[:2]] == [
            ["warning", "persistence"],
            ["warning", "retracted"],
        ]
        assert r"feed 'jobs\n': items of retracted jobs ('a\nb'); a peer has" in lines[1]
        assert lines[1].endswith("With --repair: the items are removed.")
        assert lines[2].endswith("commands: 2 findings need attention")
        done = run(server.url, "--ignore", "persistence", "--repair")
        assert done.returncode == 0
        assert done.stdout.splitlines()[0].endswith("Repaired: the items are removed.")
        assert "nothing needs attention, 1 repaired" in done.stdout
        assert not raw.exists("feed.items:jobs\n")


def test_json_says_the_same(server: servers.Server) -> None:
    with server.client() as raw:
        raw.sadd("feeds", "ghost", b"not \xff text")
    done = run(server.url, "--json", "--ignore", "persistence", "--repair")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["healthy"] is True
    assert {f["feed"] for f in report["findings"]} == {"ghost", "not \udcff text"}
    for finding in report["findings"]:
        assert finding["check"] == "half-deleted"
        assert finding["severity"] == "warning"
        assert (finding["count"], finding["repairable"], finding["repaired"]) == (1, 1, 1)


def test_the_url_may_stand_in_the_environment(server: servers.Server) -> None:
    done = run("--ignore", "persistence", env={"THOONK_URL": server.url})
    assert (done.returncode, done.stderr) == (0, "")


def test_the_options_of_a_frame_count(server: servers.Server) -> None:
    """As a command of another it goes by that one's ``url`` and ``json``."""

    @attrs.frozen
    class Frame:
        url: str = server.url
        json: bool = True

    arguments = ["--ignore", "persistence", "--patience", "0"]
    done = CliRunner(env={"THOONK_URL": "redis://127.0.0.1:1"}).invoke(
        doctor, arguments, obj=Frame()
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout)["healthy"] is True


def test_the_url_may_be_given_as_to_all_commands(server: servers.Server) -> None:
    arguments = ["--ignore", "persistence"]
    done = run("--backend", server.url, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(server.url, "--backend", server.url, *arguments)
    assert done.returncode == 2
    assert "give only one" in done.stderr


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_who_wants_no_colours_has_none(
    server: servers.Server, no_color: str, is_coloured: bool
) -> None:
    runner = CliRunner(env={"NO_COLOR": no_color})
    done = runner.invoke(doctor, [server.url, "--patience", "0"], color=None)
    assert "persistence" in done.stdout
    assert "\x1b" not in done.stdout
    done = runner.invoke(doctor, [server.url, "--patience", "0"], color=True)
    assert ("\x1b[33m" in done.stdout) == is_coloured


def test_a_server_that_is_not_there_is_one_line() -> None:
    done = run("redis://127.0.0.1:1/0")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("Error: Redis cannot be reached")
    assert done.stderr.count("\n") == 1


def test_who_is_not_let_in_is_told(server: servers.Server) -> None:
    done = run(server.url.replace("//", "//nobody:wrong@"))
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.count("\n") == 1


def test_bad_arguments_end_with_2(server: servers.Server) -> None:
    assert run("http://localhost").returncode == 2
    assert run(server.url, "--patience", "-1").returncode == 2
    done = run(server.url, "--ignore", "sniffles")
    assert done.returncode == 2
    assert "'eviction'" in done.stderr
    assert "Usage" in run("-h").stdout


def test_it_can_be_interrupted(server: servers.Server) -> None:
    command = [sys.executable, "-m", "thoonk.doctor", server.url, "--patience", "60"]
    with (
        server.client() as raw,
        processes.started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        raw.sadd("feeds", "ghost")
        until(lambda: raw.pubsub_numsub("newfeed")[0][1] == 1, timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"")
        assert process.returncode == 130


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('No module named click')")
    done = subprocess.run(
        [sys.executable, "-m", "thoonk.doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.endswith("pip install '.[cli]' in a checkout of Thoonk\n")
