"""stats and top, in a pipe."""

from __future__ import annotations

import threading
import time
import types

import pytest
from click.testing import CliRunner

from cli.conftest import Cli
from thoonk import Thoonk
from thoonk.cli import stats
from thoonk.cli.app import app

NOTHING = {
    "waiting": None,
    "claimed": None,
    "stalled": None,
    "failing": None,
    "finished": None,
    "oldest_waiting": None,
    "oldest_claimed": None,
    "oldest_item": None,
    "newest_item": None,
    "scheduled": None,
    "next_due": None,
    "paused": None,
    "put_per_second": None,
    "done_per_second": None,
}


def test_stats_tell_machines_what_there_is(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.sorted_feed("s").append("x")
    job = thoonk.job("j")
    for _ in range(5):
        job.put("x")
    job.get()
    job.get().finish()
    job.get().stall()
    job.get().cancel()
    (jobs, ranking) = cli("stats", "--json").records
    assert ranking == {"feed": "s", "type": "sorted_feed", "items": 1, "publishes": 1, **NOTHING}
    ages = {name: jobs.pop(name) for name in ("oldest_waiting", "oldest_claimed")}
    assert all(0 <= age < 60 for age in ages.values())
    assert jobs == {
        "feed": "j",
        "type": "job",
        "items": 4,
        "publishes": 5,
        "waiting": 2,
        "claimed": 1,
        "stalled": 1,
        "failing": 1,
        "finished": 1,
        "oldest_item": None,
        "newest_item": None,
        "scheduled": 0,
        "next_due": None,
        "paused": False,
        "put_per_second": None,
        "done_per_second": None,
    }


def test_what_is_scheduled_and_paused(cli: Cli, thoonk: Thoonk) -> None:
    job, queue = thoonk.job("j"), thoonk.queue("q")
    job.put("x", delay=7200)
    job.put("y")
    queue.put("z")
    queue.pause()
    jobs, items = cli("stats", "--json").records
    assert 7100 < jobs["next_due"] <= 7200
    assert (jobs["waiting"], jobs["scheduled"], jobs["paused"]) == (1, 1, False)
    assert (items["waiting"], items["scheduled"], items["paused"]) == (1, None, True)
    assert [line.split("\t")[-3:] for line in cli("top", "--once").lines] == [
        ["scheduled", "due", "paused"],
        ["1", "2h", "-"],
        ["-", "-", "yes"],
    ]


def test_rates_are_those_between_two_looks(
    cli: Cli, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, job, feed = thoonk.queue("q"), thoonk.job("j"), thoonk.feed("f")
    stop, rounds = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        while not stop.wait(0.01):
            for _ in range(2):
                queue.put("x")
                job.put("x")
            queue.get()
            job.get().finish()
            feed.publish("x")
            rounds.release()

    def enough(seconds: float) -> None:
        """Sleep until the work of between is more than what a look may see in halves."""
        while rounds.acquire(blocking=False):
            pass
        time.sleep(seconds)
        for _ in range(20):
            assert rounds.acquire(timeout=60)

    monkeypatch.setattr(stats, "time", types.SimpleNamespace(sleep=enough))
    worker = threading.Thread(target=work)
    worker.start()
    try:
        rates = {
            record["feed"]: (record["put_per_second"], record["done_per_second"])
            for record in cli("stats", "q", "j", "f", "--interval", "1", "--json").records
        }
    finally:
        stop.set()
        worker.join()
    for name in "qj":
        put, done = rates[name]
        assert 0 < done < put
        assert 1.6 < put / done < 2.5
    assert 0 < rates["f"][0] < 101
    assert rates["f"][1] is None


def test_stats_and_top_print_one_table_in_a_pipe(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.queue("a\tname").put("x")
    wanted = [
        (
            "feed\ttype\titems\twaiting\tclaimed\tstalled\tfailing\tin/s\tout/s\toldest\tclaim"
            "\tscheduled\tdue\tpaused"
        ),
        "a\\tname\tqueue\t1\t1\t0\t-\t-\t-\t-\t-\t-\t-\t-\t-",
    ]
    assert cli("stats").lines == wanted
    assert cli("top", "--once").lines == wanted
    assert cli("top", "--once", "--json").records == cli("stats", "--json").records


def test_ages_are_told_in_the_unit_that_fits(cli: Cli, thoonk: Thoonk) -> None:
    from thoonk.cli.columns import _age

    assert [_age(n, grouped=True) for n in (0.4, 59, 60, 3600, 86_400 * 3)] == [
        "0s", "59s", "1m", "1h", "3d"
    ]  # fmt: skip
    thoonk.feed("f").publish("x")
    assert cli("stats").lines[1].split("\t")[9] == "0s"


def test_a_feed_that_is_deleted_meanwhile_is_left_out(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.feed("a")
    thoonk.feed("b")
    timer = threading.Timer(0.3, thoonk.delete_feed, ["a"])
    timer.start()
    names = [r["feed"] for r in cli("stats", "--interval", "1", "--json").records]
    timer.join()
    assert names == ["b"]
    timer = threading.Timer(0.3, thoonk.delete_feed, ["b"])
    timer.start()
    assert cli("stats", "b", "--interval", "1", "--json").records == []
    timer.join()
    cli("stats", "a", "b", fails=4)


def test_the_addresses_of_top_and_stats_are_tried_at_once() -> None:
    for command in ("top", "stats"):
        result = CliRunner().invoke(app, [command, "--backend", "redis://127.0.0.1:1"])
        assert result.exit_code == 69
