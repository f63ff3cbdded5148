"""Pages of jobs, workers and notices, and what can be done there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from conftest import World
from web_reader import Reader, running, said

from thoonk import Claim, Job, Thoonk
from thoonk.operations import ReportedJob, ReportWorker, WorkerReport
from thoonk.testing._sync.helpers import until
from thoonk.web import app

SOON = 60.0


@pytest.fixture
def thoonk(world: World) -> Iterator[Thoonk]:
    with Thoonk(backend=world.url) as client:
        yield client


@pytest.fixture
def reader(world: World) -> Iterator[Reader]:
    with running(app(world.url)) as client:
        yield Reader(client)


@pytest.fixture
def job(thoonk: Thoonk) -> Job[str]:
    return thoonk.job("letters", {"max_failures": 2, "events": True})


def state_of(job: Job[str], id: str) -> str:
    info = job.get_info(id)
    return info.state.value if info else "none"


def test_jobs_are_shown_by_state(reader: Reader, job: Job[str]) -> None:
    job.put("waits", id="w")
    job.put("later", id="s", delay=600)
    job.put("urgent", job.HIGH, id="c")
    job.get(timeout=SOON).progress(0.25, "folding")
    job.put("broken", job.HIGH, id="x")
    job.get(timeout=SOON).stall(reason="no <b>address</b>")
    waiting = reader.get("/feed?name=letters")
    assert ">w</a>" in waiting
    assert "waits" in waiting
    assert ">s</a>" not in waiting
    scheduled = reader.get("/feed?name=letters&state=scheduled")
    assert ">s</a>" in scheduled
    assert ">in " in scheduled
    claimed = reader.get("/feed?name=letters&state=claimed")
    assert ">c</a>" in claimed
    assert 'value="0.25"' in claimed
    assert "folding" in claimed
    stalled = reader.get("/feed?name=letters&state=stalled")
    assert ">x</a>" in stalled
    assert "no &lt;b&gt;address&lt;/b&gt;" in stalled


def test_an_unknown_state_shows_what_waits(reader: Reader, job: Job[str]) -> None:
    job.put("waits", id="w")
    assert ">w</a>" in reader.get("/feed?name=letters&state=nonsense")


def test_jobs_come_in_pages(reader: Reader, job: Job[str]) -> None:
    job.put_many({f"id{number:03}": "x" for number in range(60)})
    seen: list[str] = []
    page = reader.get("/feed?name=letters")
    for _ in range(5):
        ids = [f"id{number:03}" for number in range(60) if f">id{number:03}</a>" in page]
        seen += ids
        following = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        if not following:
            break
        page = reader.get(following)
    assert seen == [f"id{number:03}" for number in range(60)]


def test_a_job_is_put(reader: Reader, job: Job[str]) -> None:
    page = reader.send("/feed?name=letters", "/put", item="dear reader", id="mine", high="yes")
    assert said(page) == "Put mine."
    assert job.get_item("mine") == "dear reader"
    page = reader.send("/feed?name=letters", "/put", item="other", id="mine")
    assert said(page) == "mine is there already; nothing was put."
    assert job.get_item("mine") == "dear reader"


@pytest.mark.parametrize("kind", ["job", "queue"])
def test_an_id_stays_taken_for_as_long_as_the_form_says(
    reader: Reader, thoonk: Thoonk, kind: str
) -> None:
    feed = thoonk.job("cards") if kind == "job" else thoonk.queue("cards")
    assert 'name="unique_for"' in reader.get("/feed?name=cards")
    page = reader.send("/feed?name=cards", "/put", item="x", id="mine", unique_for="3600")
    assert said(page) == "Put mine."
    taken = feed.get(timeout=SOON)
    if isinstance(taken, Claim):
        taken.finish()
    page = reader.send("/feed?name=cards", "/put", item="x", id="mine")
    assert said(page) == "mine is there already; nothing was put."
    page = reader.send("/feed?name=cards", "/put", item="x", unique_for="60")
    assert said(page) == "unique_for needs an id: pass one"
    page = reader.send("/feed?name=cards", "/put", item="x", id="other", unique_for="soon")
    assert said(page) == "unique_for must be a number of seconds, not 'soon'"
    assert feed.get_ids() == []


def test_a_job_is_put_for_later_and_brought_forward(reader: Reader, job: Job[str]) -> None:
    reader.send("/feed?name=letters", "/put", item="x", id="later", delay="600")
    assert state_of(job, "later") == "scheduled"
    page = reader.send("/job?name=letters&id=later", "/job/reschedule", delay="7200")
    assert said(page) == "later is due in 7200 s."
    info = job.get_info("later")
    assert info is not None
    assert info.due is not None
    assert info.due > dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3600)
    reader.send("/feed?name=letters&state=scheduled", "/job/run-now")
    assert state_of(job, "later") == "waiting"


@pytest.mark.parametrize("delay", ["soon", "-1", "nan", "1e99"])
def test_a_delay_that_is_none_is_refused(reader: Reader, job: Job[str], delay: str) -> None:
    page = reader.send("/feed?name=letters", "/put", item="x", delay=delay)
    assert "seconds" in said(page)
    assert job.get_ids() == []


def test_an_item_that_is_not_what_the_feed_holds_is_refused(reader: Reader, thoonk: Thoonk) -> None:
    numbers = thoonk.job("numbers", {"serializer": "json"}, serializer="json")
    page = reader.send("/feed?name=numbers", "/put", item="{")
    assert "json" in said(page)
    assert numbers.get_ids() == []


def test_a_stalled_job_is_retried(reader: Reader, job: Job[str]) -> None:
    job.put("x", id="one")
    job.get(timeout=SOON).stall()
    page = reader.send("/job?name=letters&id=one", "/job/retry")
    assert said(page) == "one is available again."
    assert state_of(job, "one") == "waiting"
    # Nothing is stalled any more.
    assert "/job/retry?" not in reader.get("/job?name=letters&id=one")


def test_all_stalled_jobs_are_retried_once_that_is_confirmed(reader: Reader, job: Job[str]) -> None:
    job.put_many({"a": "x", "b": "y"})
    for claim in job.get_many(2, timeout=SOON):
        claim.stall()
    page = reader.send("/feed?name=letters&state=stalled", "/jobs/retry-all", confirm=True)
    assert said(page) == "2 jobs available again."
    assert sorted(job.get_ids("waiting")) == ["a", "b"]


def test_a_claimed_job_is_cancelled_stalled_and_retracted(reader: Reader, job: Job[str]) -> None:
    job.put("x", id="one")
    job.get(timeout=SOON)
    reader.send("/job?name=letters&id=one", "/job/cancel", confirm=True)
    assert state_of(job, "one") == "waiting"
    job.get(timeout=SOON)
    reader.send("/job?name=letters&id=one", "/job/stall", confirm=True)
    info = job.get_info("one")
    assert info is not None
    assert info.state.value == "stalled"
    assert info.failure is not None
    assert info.failure.message == "stalled on the web page"
    page = reader.send("/job?name=letters&id=one", "/job/retract", confirm=True)
    assert said(page) == "Retracted one."
    assert job.get_ids() == []
    assert "There is no such job" in reader.get("/job?name=letters&id=one")


def test_all_jobs_in_a_state_are_retracted_and_no_others(reader: Reader, job: Job[str]) -> None:
    job.put("x", id="waits")
    job.put("x", id="later", delay=600)
    reader.send("/feed?name=letters", "/jobs/retract-all", confirm=True)
    assert job.get_ids() == ["later"]


def test_a_feed_is_paused_resumed_and_purged(reader: Reader, thoonk: Thoonk) -> None:
    job, queue = thoonk.job("letters"), thoonk.queue("cards")
    for feed in (job, queue):
        feed.put("x")
        page = f"/feed?name={feed.name}"
        reader.send(page, "/pause")
        assert thoonk.get_config(feed.name).paused
        assert ">paused<" in reader.get(page)
        reader.send(page, "/resume")
        assert not thoonk.get_config(feed.name).paused
        reader.send(page, "/purge", confirm=True)
        assert len(feed) == 0


def test_an_item_is_put_into_a_queue(reader: Reader, thoonk: Thoonk) -> None:
    queue = thoonk.queue("cards")
    reader.send("/feed?name=cards", "/put", item="dear reader")
    assert queue.get(timeout=SOON) == "dear reader"


def test_schedules_are_set_shown_and_removed(reader: Reader, job: Job[str]) -> None:
    page = "/feed?name=letters&state=schedules"
    reader.send(page, "/schedule", schedule="hourly", every="3600", item="all")
    reader.send(page, "/schedule", schedule="nightly", cron="0 3 * * *", item="all")
    assert [periodic.name for periodic in job.schedules()] == ["hourly", "nightly"]
    text = reader.get(page)
    assert "every 3600 s" in text
    assert "0 3 * * * (UTC)" in text
    assert "cron" in said(reader.send(page, "/schedule", schedule="bad", cron="now", item="x"))
    reader.send(page, "/unschedule", confirm=True)
    assert [periodic.name for periodic in job.schedules()] == ["nightly"]


def test_a_schedule_says_what_happens_to_a_missed_job(reader: Reader, job: Job[str]) -> None:
    page = "/feed?name=letters&state=schedules"
    assert '<select name="if_missed">' in reader.get(page)
    for missed in ("once", "skip"):
        reader.send(page, "/schedule", schedule=missed, every="60", item="x", if_missed=missed)
    reader.send(page, "/schedule", schedule="usual", every="60", item="x")
    found = {periodic.name: periodic.if_missed for periodic in job.schedules()}
    assert found == {"once": "once", "skip": "skip", "usual": "once"}
    wrong = reader.send(page, "/schedule", schedule="bad", every="60", item="x", if_missed="twice")
    assert said(wrong) == "if_missed must be 'once' or 'skip', not 'twice'"


def test_a_job_has_a_page_with_its_story_failure_and_result(reader: Reader, job: Job[str]) -> None:
    job.put("<i>dear reader</i>", id="one")
    try:
        raise OSError("the printer is <u>out</u> of paper")
    except OSError as error:
        job.get(timeout=SOON).cancel(reason=error)
    text = reader.get("/job?name=letters&id=one")
    assert "&lt;i&gt;dear reader&lt;/i&gt;" in text
    assert "<b>OSError</b>: the printer is &lt;u&gt;out&lt;/u&gt; of paper" in text
    assert "raise OSError" in text
    assert "Failed last" in text
    job.get(timeout=SOON).finish("thanks", result=True)
    text = reader.get("/job?name=letters&id=one")
    assert ">finished<" in text
    assert "thanks" in text


def test_the_page_of_a_job_says_that_there_is_none(reader: Reader, job: Job[str]) -> None:
    assert "There is no such job" in reader.get("/job?name=letters&id=none")
    reader.get("/job?name=nothing&id=none", status=404)


def test_notices_are_logged_filtered_and_paused(
    reader: Reader, thoonk: Thoonk, job: Job[str]
) -> None:
    feed = thoonk.feed("news")
    until(lambda: "Subscribing" not in reader.get("/log"), SOON)
    feed.publish("<hr>", id="one")
    job.put("x", id="two")
    until(lambda: ">two<" in reader.get("/log"), SOON)
    text = reader.get("/log")
    assert "&lt;hr&gt;" in text
    assert ">publish<" in text
    filtered = reader.get("/log?q=PUT")
    assert ">two<" in filtered
    assert ">one<" not in filtered
    pause = text.partition('href="/log?paused=')[2].partition('"')[0]
    feed.publish("later", id="three")
    until(lambda: ">three<" in reader.get("/log"), SOON)
    paused = reader.get(f"/log?paused={pause}")
    assert ">two<" in paused
    assert ">three<" not in paused
    assert "data-live" not in paused


def test_the_log_of_a_feed_has_its_notices_alone(reader: Reader, thoonk: Thoonk) -> None:
    news, other = thoonk.feed("news"), thoonk.feed("other")
    until(lambda: "Subscribing" not in reader.get("/log?name=news"), SOON)
    other.publish("x", id="one")
    news.publish("x", id="two")
    until(lambda: ">two<" in reader.get("/log?name=news"), SOON)
    assert ">one<" not in reader.get("/log?name=news")


def test_workers_are_shown_with_the_jobs_they_are_at(
    reader: Reader, thoonk: Thoonk, job: Job[str]
) -> None:
    assert "No workers are running" in reader.get("/workers")
    job.put("x", id="one")
    job.get(timeout=SOON)
    at = ReportedJob("letters", "one", running_for=120)
    worker = WorkerReport("id", "host<1>", 4711, "2.0", ("letters", "cards"), 3, busy=1, jobs=(at,))
    thoonk.backend.execute(ReportWorker(worker, keep=SOON))
    until(lambda: "host&lt;1&gt;:4711" in reader.get("/workers"), SOON)
    text = reader.get("/workers")
    assert 'href="/job?name=letters&amp;id=one"' in text
    assert "1 of 3" in text
    assert ">2m" in text
    assert "No worker matches" in reader.get("/workers?q=elsewhere")
    assert "host&lt;1&gt;:4711" in reader.get("/feed?name=letters&state=claimed")
    assert "host&lt;1&gt;:4711" in reader.get("/job?name=letters&id=one")


def test_a_page_that_is_read_only_changes_nothing(world: World, job: Job[str]) -> None:
    job.put("x", id="one")
    with running(app(world.url, read_only=True)) as client:
        reader = Reader(client)
        for page in ("/feed?name=letters", "/job?name=letters&id=one"):
            assert '<form method="post"' not in reader.get(page)
        for path in (
            "/job/retract?name=letters&id=one",
            "/purge?name=letters",
            "/pause?name=letters",
            "/put?name=letters",
            "/schedule?name=letters",
        ):
            assert client.post(path, data={"confirmed": "yes"}).status_code == 403
    assert job.get_ids() == ["one"]
    assert job.schedules() == []


def test_every_change_wants_the_token_of_a_form(reader: Reader, job: Job[str]) -> None:
    from thoonk.web.pages.change_jobs import ADDRESSES

    job.put("x", id="one")
    for path in ADDRESSES:
        response = reader.client.post(
            f"{path}?name=letters&id=one&state=waiting", data={"confirmed": "yes", "item": "y"}
        )
        assert response.status_code == 403, path
    assert job.get_ids() == ["one"]


def test_what_destroys_is_not_done_without_confirmation(reader: Reader, job: Job[str]) -> None:
    job.put("x", id="one")
    page = reader.get("/feed?name=letters")
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    for path in ("/purge", "/job/retract", "/jobs/retract-all"):
        response = reader.client.post(
            f"{path}?name=letters&id=one&state=waiting", data={"csrf": csrf}
        )
        assert "data-question" in response.text, path
    assert job.get_ids() == ["one"]
