"""The peer in examples/peers/javascript: it passes, and broken it fails where it is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import servers
from click.testing import CliRunner
from conftest import World

from thoonk.conform.cli import conform
from thoonk.conform.vector import load

PAGE = Path(__file__).parents[2] / "docs/conformance.md"
SOURCE = Path(__file__).parents[2] / "examples/peers/javascript"

Broken = Callable[[str, str, str], tuple[str, str]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the peer with the packages that it needs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "no node or no npm on this machine"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("peer") / "javascript"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules", "*-lock.json"))
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=folder,
        env={**os.environ, "npm_config_cache": str(folder.parent / "cache")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def broken(installed: Path, tmp_path: Path) -> Broken:
    """Make a copy in which something in a file stands otherwise: the words that start it."""

    def make(file: str, right: str, wrong: str) -> tuple[str, str]:
        folder = tmp_path / "broken"
        shutil.copytree(installed, folder, symlinks=True)
        text = (folder / file).read_text("utf-8")
        assert text.count(right) == 1, f"{right!r} is there {text.count(right)} times"
        (folder / file).write_text(text.replace(right, wrong), "utf-8")
        return "node", str(folder / "peer.js")

    return make


def test_it_keeps_to_the_contract(real_world: World, installed: Path) -> None:
    assert real_world.server is not None
    words = ["--url", real_world.server.url, "--", "node", str(installed / "peer.js")]
    done = CliRunner().invoke(conform, words)
    assert done.exit_code == 0, done.output
    modern = sum(2 in vector.levels for vector in load())
    others = len(load()) - modern
    assert done.output == (
        f"example in JavaScript, level 2: {modern} passed, 0 failed, "
        f"{others} skipped ({others} not of level 2)\n"
    )


FENCED = {
    "Taking: asked again, it does not answer what a peer has claimed since",
    "queue get since 2: nothing is confirmed under another token",
    "queue return: what has come back by itself does not go back again",
    "release: jobs are next again, in their order, and no failure is counted",
    "release: of several jobs those that are named and held",
    "job extend: of several those that are claimed",
    (
        "job get since 2: a claim of a time that has yet to come counts as made now, "
        "and its holder still holds it"
    ),
    "job extend: whoever shows no token may extend, and an entry that is void stays so",
    "job next: one is finished, one is cancelled, one is lost, and the next is claimed",
    "job extend: not what a peer has claimed since",
    "Ending a claim: job finish, not under another token",
    "Ending a claim: job finish, not what a peer has claimed since",
    "Ending a claim: job cancel, not under another token",
    "Ending a claim: job stall, not under another token",
    "Ending a claim: job fail, not under another token",
    "job holds: under its token, and whoever holds the claim",
    "job holds: not what a peer has claimed since",
    "job progress: not under another token",
}

REPLACED = (
    "job finish since 2: a result for ever replaces what was there, "
    "and the index forgets what has gone"
)

CASES = {
    "what max_length removes is not told": (
        "operations.lua",
        "      say('feed.retract', oldest)\n",
        "",
        {
            "feed publish: max_length removes the oldest, which is told first",
            "feed publish: from a feed that is longer than allowed all that are too many go",
            "feed publish: several are as one after the other, in strict order",
            "Order and time: they do so before the oldest is sought",
        },
    ),
    "an edit pushes something out": (
        "operations.lua",
        "while new and limit > 0",
        "while limit > 0",
        {
            "feed publish: an edit of a full feed removes nothing",
            "feed publish: several are as one after the other, in strict order",
        },
    ),
    "the step is the same for all numbers": (
        "operations.lua",
        "    step = step * 2\n",
        "    break\n",
        {"Order and time: the step is a larger power of two where 1/1024 makes no difference"},
    ),
    "any token will do": (
        "operations.lua",
        "  if not since or token == '' then\n",
        "  if true then\n",
        FENCED,
    ),
    "an item is lost from the order": (
        "operations.lua",
        """  if neighbour ~= '' then
    must_have(neighbour)
  end
  call('LREM', ids, 1, id)
""",
        """  call('LREM', ids, 1, id)
  if neighbour ~= '' then
    must_have(neighbour)
  end
""",
        {
            "sorted move: before what is not there: it stays in the order",
            "sorted move: after what is not there: it stays in the order",
        },
    ),
    "a result for ever expires": (
        "operations.lua",
        "    call('DEL', key)\n",
        "",
        {REPLACED},
    ),
    "a refusal is remembered": (
        "operations.lua",
        "  if nothing_done then\n",
        "  if false then\n",
        {"Calls that are repeated: a create that finds the feed there is not remembered"},
    ),
    "the creation is not announced": (
        "thoonk.js",
        """    await this.#announce("SADD", ["newfeed", "conffeed"], feed);
    return created""",
        """    await this.#announce("SADD", ["newfeed"], feed);
    return created""",
        {
            "create: a new feed is configured, put on the list and announced",
            (
                "create since 2: a configuration that is not on the list gets there, "
                "and then it is announced"
            ),
            "Names: its name may hold colons, spaces, line breaks and letters of all kinds",
            "create since 2: what an older peer's delete has left of jobs is not for the new feed",
            "Calls that are repeated: create says again that it has created the feed",
        },
    ),
    "notices are split at the last NUL": (
        "thoonk.js",
        "payload.indexOf(0)",
        "payload.lastIndexOf(0)",
        {
            "Channels: each is understood, of one feed",
            "get_result since 2: of a peer that stores nothing the result is in the notice",
        },
    ),
    "nobody is told that a job comes first": (
        "operations.lua",
        """  if is_new[first] then
    ring()
  end
""",
        "",
        {
            "job add: with a delay it is scheduled, and the bell rings",
            "job add: at a time, with high priority",
            "job add: several at one time stay in their order",
            "job fail: at a time, and the bell rings where nothing waits",
            "job reschedule: after a delay, and it comes first: the bell rings",
            "restore: a scheduled job, with high priority; the bell rings",
        },
    ),
    "a job that is claimed is run twice": (
        "operations.lua",
        "if item and not call('ZSCORE', claimed, id) then",
        "if item then",
        {"Taking: an id that is claimed is passed over"},
    ),
    "what others put in a pause is next": (
        "operations.lua",
        "      call('LPUSH', paused, id)\n",
        "      call('RPUSH', paused, id)\n",
        {
            "resume: what others have pushed meanwhile comes behind it",
            "Pauses: no job is taken, and what others have pushed is brought along",
            "Pauses: nor an item of a queue",
            "Pauses: no job that waits is lost",
        },
    ),
    "a taker waits beside the list": (
        "thoonk.js",
        'this.#key("reserved", feed)]',
        'this.#key("waiting", feed)]',
        {
            "Blocking takes: whoever waits for an item gets it when it is pushed",
            "Blocking takes since 2: whoever waits is not held up by an id without item",
            "Blocking takes since 2: whoever waits for a job holds it when it is pushed",
            "Blocking takes since 2: whoever waits is woken by the bell, and looks",
            "Blocking takes since 2: whoever waits through a pause gets what there is at its end",
            (
                "Blocking takes since 2: whoever waits in a pause does not get what another peer "
                "puts"
            ),
        },
    ),
}


WAITING = {vector.title for vector in load() if "blocking" in vector.requires}


@pytest.mark.slow  # what is broken in other ways is found in test_conform.py
@pytest.mark.parametrize("case", CASES)
def test_broken_it_fails_where_it_is_broken(
    case: str, broken: Broken, running_server: Callable[[str], servers.Server]
) -> None:
    file, right, wrong, expected = CASES[case]
    server = running_server("redis-6.2")
    with server.client() as raw:
        raw.flushall()
    options = ["--url", server.url, "--json", "-"]
    if expected & WAITING:
        # What does not come is waited for: only there where it is expected.
        for title in sorted(expected):
            options += ["--only", title.partition(":")[0] + ":"]
    else:
        options += ["--without", "blocking"]
    done = CliRunner().invoke(conform, [*options, "--", *broken(file, right, wrong)])
    assert done.exit_code == 1, done.output
    assert done.stdout, done.output
    report = json.loads(done.stdout)
    failed = {
        f"{vector['section']}: {vector['name']}"
        for vector in report["vectors"]
        if vector["outcome"] == "failed"
    }
    assert failed == expected


def test_the_page_shows_what_such_a_peer_is_told(
    broken: Broken, running_server: Callable[[str], servers.Server]
) -> None:
    file, right, wrong, _ = CASES["what max_length removes is not told"]
    server = running_server("redis-6.2")
    with server.client() as raw:
        raw.flushall()
    words = ["--url", server.url, "--first", "--", *broken(file, right, wrong)]
    done = CliRunner().invoke(conform, words)
    told, _, summary = done.output.rstrip("\n").rpartition("\n")
    assert f"```text\n{told}\n```\n" in PAGE.read_text("utf-8")
    assert "1 failed" in summary
