"""put, get, job …, maintenance."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import World

from cli.conftest import Cli
from thoonk import JobCounts, JobResult, Thoonk
from thoonk.cli.app import app
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport
from thoonk.testing.proxy import Cut, between

EVERY_BYTE = bytes(range(256))


def test_a_queue_gives_what_was_put_byte_for_byte(cli: Cli, thoonk: Thoonk) -> None:
    queue = thoonk.queue("q", serializer="binary")
    ids = [
        *cli("put", "q", "-", input=EVERY_BYTE).lines,
        *cli("put", "q", "two", "three").lines,
        *cli("put", "q", "--high", "urgent").lines,
    ]
    assert queue.get_ids() == [ids[3], *ids[:3]]
    assert cli("get", "q").out == b"urgent"
    assert cli("get", "q", "--no-wait").out == EVERY_BYTE
    assert cli("get", "q", "--timeout", "5").out == b"two"
    assert cli("get", "q", "--json").records == [{"item": "three"}]
    assert "empty" in cli("get", "q", "--no-wait", fails=3).err
    assert "within the timeout" in cli("get", "q", "--timeout", "0.05", fails=3).err
    cli("get", "q", "--timeout", "0", fails=2)


def test_wherever_the_connection_is_cut_an_item_is_printed_or_still_there(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert real_world.server is not None
    codes = set()
    with between(real_world.server) as proxy, Thoonk(backend=real_world.server.url) as thoonk:
        monkeypatch.setattr("thoonk.Thoonk", functools.partial(Thoonk, retry_for=0))
        thoonk.queue("q").put("other")
        runner = CliRunner()
        for number in range(12):
            thoonk.delete_feed("q")
            queue = thoonk.queue("q")
            queue.put("precious")
            proxy.armed = [*[None] * number, Cut.AFTER]
            done = runner.invoke(app, ["get", "q"], env={"THOONK_URL": proxy.url})
            codes.add(done.exit_code)
            assert done.stdout == "precious" or queue.count() == 1, number
    # Nothing was cut in the last ones, and one lost the answer to its confirmation.
    assert codes == {0, 69, 75}


def test_items_of_a_program_s_own_serializer_come_as_bytes(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.pyqueue("q").put({"a": 1})
    assert cli("get", "q").out.startswith(b"\x80")
    assert cli("put", "q", "-", input=b"anything").lines


def test_a_job_is_put_claimed_and_finished_with_a_result(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j", serializer="binary")
    (put,) = cli("job", "put", "j", "-", input=EVERY_BYTE).lines
    assert cli("job", "get", "j").out == put.encode() + b"\n" + EVERY_BYTE
    assert job.get_counts().claimed == 1
    cli("job", "finish", "j", put, "-", input=b"\0result")
    assert cli("job", "result", "j", put).out == b"\0result"
    assert cli("job", "result", "j", put).out == b"\0result"
    assert job.get_counts() == JobCounts(0, 0, 0, 1)


def test_the_claim_as_json_and_its_item_in_a_file(cli: Cli, thoonk: Thoonk, tmp_path: Path) -> None:
    job = thoonk.job("j", serializer="binary")
    first, second = job.put(b"text"), job.put(EVERY_BYTE)
    (claimed,) = cli("job", "get", "j", "--json").records
    token = claimed.pop("token")
    assert claimed == {"id": first, "cancelled": 0, "item": "text"}
    assert cli("job", "get", "j", "-o", str(tmp_path / "item")).lines == [second]
    assert (tmp_path / "item").read_bytes() == EVERY_BYTE
    cli("job", "cancel", "j", first, "--token", token)
    (claimed,) = cli("job", "get", "j", "--json", "-o", str(tmp_path / "item")).records
    assert claimed == {"id": first, "token": claimed["token"], "cancelled": 1}
    assert (tmp_path / "item").read_bytes() == b"text"


@pytest.mark.parametrize("how", ["finish", "cancel", "stall"])
def test_under_another_token_a_job_is_left_alone(cli: Cli, thoonk: Thoonk, how: str) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    (claimed,) = cli("job", "get", "j", "--json").records
    assert "not claimed" in cli("job", how, "j", id, "--token", "another", fails=5).err
    assert job.get_counts().claimed == 1
    cli("job", how, "j", id, "--token", claimed["token"])
    assert job.get_counts().claimed == 0


def test_a_job_whose_item_cannot_be_written_is_given_back(
    cli: Cli, thoonk: Thoonk, tmp_path: Path
) -> None:
    job = thoonk.job("j")
    job.put("x")
    assert "No such file" in cli("job", "get", "j", "-o", str(tmp_path / "a/b"), fails=1).err
    assert job.get_counts() == JobCounts(1, 0, 0, 0)


def test_when_there_is_no_job_it_says_so(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.job("j")
    cli("job", "get", "j", "--no-wait", fails=3)
    cli("job", "get", "j", "--timeout", "0.05", fails=3)


def test_jobs_are_cancelled_stalled_retried_and_retracted(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    one, two = cli("job", "put", "j", "one", "two").lines
    urgent = cli("job", "put", "j", "--high", "urgent").lines[0]
    assert cli("job", "get", "j").lines == [urgent, "urgent"]
    cli("job", "cancel", "j", urgent)
    for _ in range(3):
        cli("job", "get", "j")
    cli("job", "stall", "j", one, two, urgent)
    assert job.get_counts() == JobCounts(0, 0, 3, 0)
    cli("job", "retry", "j", one, two)
    assert job.get_counts() == JobCounts(2, 0, 1, 0)
    assert "no item 'x'" in cli("job", "retract", "j", one, "x", urgent, fails=4).err
    assert job.get_ids() == [two]


def test_jobs_that_run_are_stopped(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    for id in ("one", "two", "three"):
        job.put("x", id=id)
    job.get_many(2)
    assert "'three'" in cli("job", "stop", "j", "one", "three", "two", fails=5).err
    assert job.get_counts() == JobCounts(1, 0, 2, 0)
    lines = cli("job", "list", "j", "--state", "stalled").lines
    assert {line.split("\t")[-1] for line in lines} == {"stopped"}
    job.get()
    cli("job", "stop", "j", "three", "--reason", "too late")
    assert "message\ttoo late" in cli("job", "show", "j", "three").lines


@pytest.mark.parametrize("word", ["finish", "cancel", "stall", "stop", "retry"])
def test_a_job_in_another_state_is_a_conflict(cli: Cli, thoonk: Thoonk, word: str) -> None:
    id = thoonk.job("j").put("x")
    assert f"'{id}'" in cli("job", word, "j", id, fails=5).err


def test_a_result_that_is_not_there_is_waited_for(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("query")
    done = cli("job", "result", "j", id, "--no-wait", fails=3)
    assert done.err == f"Error: job {id!r} has no result yet\n"
    cli("job", "result", "j", id, "--timeout", "0.05", fails=3)
    claim = job.get()
    cli("job", "finish", "j", claim.id, "answer", "--keep", "0")
    assert job.get_result(id) == JobResult("query", "answer")
    assert cli("job", "result", "j", id, "--no-wait", "--json").records == [
        {"id": id, "query": "query", "result": "answer"}
    ]


def test_how_long_a_result_is_kept(world: World, cli: Cli, thoonk: Thoonk) -> None:
    ids = []
    for keep in ("0", "600"):
        ids.append(thoonk.job("j").put("x"))
        cli("job", "get", "j")
        cli("job", "finish", "j", ids[-1], "r", "--keep", keep)
    left = [world.raw.pttl(f"feed.jobfinished:j\0{id}") for id in ids]
    assert left[0] == -1
    assert 590_000 < left[1] <= 600_000
    assert "RESULT" in cli("job", "finish", "j", "x", "--keep", "5", fails=2).err


def test_a_result_that_is_no_value_is_nothing(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    job.get().finish(None, result=True)
    assert cli("job", "result", "j", id).out == b""
    assert cli("job", "result", "j", id, "--json").records == [
        {"id": id, "query": "x", "result": None}
    ]


def test_a_result_that_readers_could_not_decode_is_refused(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j", serializer="json")
    id = job.put(1)
    cli("job", "get", "j")
    cli("job", "finish", "j", id, "no json", fails=2)
    assert job.get_counts().claimed == 1


def test_maintenance_mends_job_feeds(world: World, cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    thoonk.job("k")
    thoonk.queue("q")
    id = job.put("x")
    world.raw.lrem("feed.ids:j", 1, id)  # as if a worker of version 1 had died
    assert cli("maintenance").lines == [
        "j: expired 0, stalled 0, recovered 1, discarded 0",
        "k: expired 0, stalled 0, recovered 0, discarded 0",
    ]
    assert job.get().id == id
    assert cli("maintenance", "k", "--json").records == [
        {"feed": "k", "expired": [], "stalled": [], "recovered": [], "discarded": []}
    ]


def test_jobs_are_put_for_later_and_run_when_asked(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    one, two = cli("job", "put", "j", "--delay", "600", "a\nb\n", "--lines").lines
    (three,) = cli("job", "put", "j", "--at", "2999-12-24T18:00:00+01:00", "c").lines
    (past,) = cli("job", "put", "j", "--at", "2020-01-01T00:00Z", "d").lines
    assert job.get_counts() == JobCounts(1, 0, 0, 0, 3)
    assert cli("job", "get", "j").lines == [past, "d"]
    (info,) = cli("job", "show", "j", three, "--json").records
    assert (info["state"], info["due"]) == ("scheduled", "2999-12-24T17:00:00.000+00:00")
    cli("job", "run-now", "j", two)
    assert cli("job", "get", "j").lines == [two, "b"]
    assert "not scheduled" in cli("job", "run-now", "j", two, fails=5).err
    cli("job", "reschedule", "j", one, three, "--delay", "0.05")
    assert {cli("job", "get", "j").lines[1] for _ in range(2)} == {"a", "c"}
    assert "not scheduled" in cli("job", "reschedule", "j", one, "--delay", "9", fails=5).err


@pytest.mark.parametrize(
    "words",
    [
        ["put", "j", "x", "--at", "tomorrow"],
        ["put", "j", "x", "--at", "2999-12-24T18:00:00"],
        ["put", "j", "x", "--at", "2999-12-24"],
        ["put", "j", "x", "--at", "2999-12-24T18:00Z", "--delay", "1"],
        ["put", "j", "x", "--delay", "-1"],
        ["put", "j", "x", "--if-exists", "keep"],
        ["put", "j", "x", "--unique-for", "5"],
        ["put", "j", "x", "y", "--id", "one"],
        ["put", "j", "x", "--id", ""],
        ["reschedule", "j", "x"],
        ["reschedule", "j", "x", "--at", "2999-12-24T18:00Z", "--delay", "1"],
        ["cancel", "j", "x", "--at", "2999-12-24T18:00Z", "--delay", "1"],
    ],
    ids=" ".join,
)
def test_times_and_ids_that_make_no_sense_are_refused(
    cli: Cli, thoonk: Thoonk, words: list[str]
) -> None:
    job = thoonk.job("j")
    cli("job", *words, fails=2)
    assert job.count() == 0


def test_an_id_of_ones_own_and_what_happens_when_it_is_taken(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    put = ("job", "put", "j", "--id", "nightly")
    assert cli(*put, "one").lines == ["nightly"]
    done = cli(*put, "two")
    assert done.lines == ["nightly"]
    assert done.err == "Note: the id 'nightly' is taken; nothing was put\n"
    assert cli(*put, "three", "--if-exists", "replace", "--json").records == [
        {"id": "nightly", "outcome": "replaced"}
    ]
    assert "'nightly'" in cli(*put, "four", "--if-exists", "refuse", fails=5).err
    assert job.get_all() == {"nightly": "three"}
    cli("job", "retract", "j", "nightly")
    assert cli(*put, "five", "--unique-for", "600", "--json").records == [
        {"id": "nightly", "outcome": "added"}
    ]
    cli("job", "get", "j")
    cli("job", "finish", "j", "nightly")
    assert cli(*put, "six", "--json").records == [{"id": "nightly", "outcome": "kept"}]


def test_why_a_job_failed_is_told(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j", {"max_failures": 9})
    for id in "ab":
        job.put(id, id=id)
    cli("job", "get", "j")
    cli("job", "get", "j")
    cli("job", "cancel", "j", "a", "--reason", "no network", "--delay", "600")
    cli("job", "stall", "j", "b", "--reason", "broken \x1b[31m file")
    first, second = (
        dict(line.split("\t") for line in cli("job", "show", "j", id).lines) for id in "ab"
    )
    assert (first["state"], first["failures"], first["message"]) == ("scheduled", "1", "no network")
    assert first["due"].endswith("+00:00")
    assert "stalled" not in first
    assert (second["state"], second["message"]) == ("stalled", "broken \\x1b[31m file")
    assert second["stalled"] == second["failed"]
    cli("job", "show", "j", "c", fails=4)


def test_a_traceback_is_shown_on_lines_of_its_own(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    with pytest.raises(ZeroDivisionError), job.get():
        raise ZeroDivisionError("by\nnothing")
    lines = cli("job", "show", "j", id).lines
    assert lines[0] == f"id\t{id}"
    assert {"error\tZeroDivisionError", "message\tby\\nnothing", "failures\t1"} < {*lines}
    assert lines[lines.index("traceback") + 1] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ZeroDivisionError: by", "nothing"]
    (record,) = cli("job", "show", "j", id, "--json").records
    assert record["state"] == "waiting"
    assert record["claimed"] is None
    assert record["failure"]["message"] == "by\nnothing"
    assert record["failure"]["traceback"].endswith("by\nnothing\n")
    job.get().finish("done")
    (record,) = cli("job", "show", "j", id, "--json").records
    assert (record["state"], record["has_result"], record["failure"]) == ("finished", True, None)


def test_jobs_are_listed_by_state(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    for id in "abc":
        job.put(id, id=id)
    job.put("d", id="d", delay=600)
    job.get().stall(reason=ValueError("not a\tpicture"))
    job.get()
    rows = [line.split("\t") for line in cli("job", "list", "j").lines]
    assert [(row[0], row[1]) for row in rows] == [
        ("d", "scheduled"),
        ("c", "waiting"),
        ("b", "claimed"),
        ("a", "stalled"),
    ]
    assert all(row[2].endswith("+00:00") for row in rows)
    assert rows[3][3:] == ["0", "ValueError: not a\\tpicture"]
    (record,) = cli("job", "list", "j", "--state", "stalled", "--json").records
    assert (record["id"], record["failure"]["error"]) == ("a", "ValueError")
    assert cli("job", "list", "j", "--state", "waiting").lines[0].startswith("c\twaiting\t")
    cli("job", "list", "j", "--state", "finished", fails=2)


def test_all_stalled_jobs_are_retried_and_all_of_a_state_removed(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    job.put_many("abc"[i] for i in range(3))
    for claim in job.get_many(3):
        claim.stall()
    cli("job", "retry", "j", fails=2)
    cli("job", "retry", "j", "x", "--all", fails=2)
    assert cli("job", "retry", "j", "--all").lines == ["3"]
    assert job.get_counts() == JobCounts(3, 0, 0, 0)
    cli("job", "retract", "j", fails=2)
    cli("job", "retract", "j", "x", "--state", "waiting", fails=2)
    job.get()
    assert cli("job", "retract", "j", "--state", "waiting").lines == ["2"]
    assert job.get_counts() == JobCounts(0, 1, 0, 0)
    assert cli("purge", "j").lines == ["1"]
    assert job.get_counts() == JobCounts(0, 0, 0, 0)
    thoonk.queue("q").put_many(["a", "b"])
    assert cli("purge", "q", "--yes").lines == ["2"]
    thoonk.feed("f")
    cli("purge", "f", fails=5)


def test_a_job_that_failed_has_no_result(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    job.get().stall(reason="no such picture")
    assert "no such picture" in cli("job", "result", "j", id, fails=1).err
    assert "has no result" in cli("job", "result", "j", "unknown", fails=4).err


def test_feeds_are_paused_and_resumed(cli: Cli, thoonk: Thoonk) -> None:
    job, queue = thoonk.job("j"), thoonk.queue("q")
    thoonk.feed("f")
    cli("pause", "j", "q")
    assert cli("pause", "j").err == "Note: 'j' is already paused\n"
    cli("put", "q", "x")
    cli("job", "put", "j", "x")
    cli("get", "q", "--no-wait", fails=3)
    cli("job", "get", "j", "--no-wait", fails=3)
    cli("resume", "j", "q")
    assert cli("resume", "q").err == "Note: 'q' is not paused\n"
    assert (queue.get_nowait(), job.get_nowait().item) == ("x", "x")
    cli("pause", "f", fails=5)
    cli("resume", "nowhere", fails=4)


def test_an_item_of_a_queue_under_an_id_of_one_s_own(cli: Cli, thoonk: Thoonk) -> None:
    queue = thoonk.queue("q")
    assert cli("put", "q", "one", "--id", "a", "--unique-for", "60").lines == ["a"]
    again = cli("put", "q", "two", "--id", "a")
    assert (again.lines, again.err) == (["a"], "Note: the id 'a' is taken; nothing was put\n")
    replaced = cli("put", "q", "three", "--id", "a", "--if-exists", "replace", "--json").records
    assert replaced == [{"id": "a", "outcome": "replaced"}]
    assert "'a'" in cli("put", "q", "four", "--id", "a", "--if-exists", "refuse", fails=5).err
    assert queue.get_nowait() == "three"
    assert cli("put", "q", "five", "--id", "a", "--json").records[0]["outcome"] == "kept"
    for arguments in (["--unique-for", "3"], ["--if-exists", "keep"], ["two", "--id", "b"]):
        cli("put", "q", "one", *arguments, fails=2)
    assert queue.count() == 0


def test_schedules_are_made_listed_and_removed(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j", serializer="json")
    hourly = ["job", "schedule", "j", "hourly", "{}", "--every", "3600", "--high"]
    assert cli(*hourly).err == ""
    assert cli(*hourly).err == "Note: the schedule 'hourly' already exists, unchanged\n"
    assert cli(*hourly, "--json").records == [{"name": "hourly", "new": False}]
    nightly = ["job", "schedule", "j", "nightly", "[7]", "--cron", "0 3 * * *"]
    nightly += ["--tz", "Europe/Berlin", "--if-missed", "skip", "--json"]
    assert cli(*nightly).records == [{"name": "nightly", "new": True}]
    first, second = job.schedules()
    assert (first.next, second.next) != (None, None)
    shown = [line.split("\t") for line in cli("job", "schedules", "j").lines]
    assert [(name, *rest) for name, _, *rest in shown] == [
        ("hourly", "3600 s", "-"),
        ("nightly", "0 3 * * *", "Europe/Berlin"),
    ]
    assert first.next is not None
    assert shown[0][1] == first.next.isoformat(timespec="milliseconds")
    records = cli("job", "schedules", "j", "--json").records
    assert [record.pop("next") for record in records] == [row[1] for row in shown]
    assert records == [
        {
            "item": "{}",
            "name": "hourly",
            "every": 3600.0,
            "cron": "",
            "tz": "",
            "if_missed": "once",
            "priority": "high",
        },
        {
            "item": "[7]",
            "name": "nightly",
            "every": None,
            "cron": "0 3 * * *",
            "tz": "Europe/Berlin",
            "if_missed": "skip",
            "priority": "normal",
        },
    ]
    assert "'x'" in cli("job", "unschedule", "j", "hourly", "x", "nightly", fails=4).err
    assert job.schedules() == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--every", "60", "--cron", "* * * * *"],
        ["--every", "60", "--tz", "UTC"],
        ["--every", "0.01"],
        ["--cron", "nonsense"],
        ["--cron", "* * * * *", "--tz", "Nowhere/Atlantis"],
    ],
)
def test_what_makes_no_schedule_is_refused(cli: Cli, thoonk: Thoonk, arguments: list[str]) -> None:
    job = thoonk.job("j")
    cli("job", "schedule", "j", "s", "item", *arguments, fails=2)
    assert job.schedules() == []


def test_job_show_tells_how_far_a_job_is(cli: Cli, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    id = job.put("x")
    job.get_nowait().progress(0.4, "resizing")
    fields = dict(line.split("\t") for line in cli("job", "show", "j", id).lines)
    assert (fields["progress"], fields["doing"]) == ("40%", "resizing")
    (record,) = cli("job", "show", "j", id, "--json").records
    assert (record["progress"], record["doing"]) == (0.4, "resizing")
    assert record["progressed"] == fields["progressed"]


def test_job_show_names_the_worker_that_holds_a_job(cli: Cli, thoonk: Thoonk) -> None:
    def shown() -> dict[str, str]:
        return dict(line.split("\t") for line in cli("job", "show", "j", "one").lines)

    job = thoonk.job("j")
    job.put("x", id="one")
    assert "holder" not in shown()
    job.get_nowait()
    assert shown()["holder"] == "unknown"
    (record,) = cli("job", "show", "j", "one", "--json").records
    assert record["holder"] is None
    at = ReportedJob("j", "one", running_for=60)
    worker = WorkerReport("w", "host-1", 4711, "2.0", ("j",), 1, busy=1, jobs=(at,))
    thoonk.backend.execute(ReportWorker(worker, keep=600))
    (record,) = cli("job", "show", "j", "one", "--json").records
    assert (record["holder"]["host"], record["holder"]["pid"]) == ("host-1", 4711)
    assert shown()["holder"] == f"host-1:4711 since {record['holder']['since']}"
