"""feeds, create, delete, config."""

from __future__ import annotations

import pytest
from conftest import World

from cli.conftest import Cli
from thoonk import Thoonk


def test_feeds_are_listed_by_name(cli: Cli, thoonk: Thoonk) -> None:
    assert cli("feeds").out == b""
    thoonk.queue("q")
    thoonk.feed("a b")
    thoonk.sorted_feed("ä")
    assert cli("feeds").lines == ["a b", "q", "ä"]
    assert cli("feeds", "--type", "queue").lines == ["q"]
    assert cli("feeds", "--type", "sorted_feed", "--json").records == [
        {"feed": "ä", "type": "sorted_feed", "config": {}}
    ]


def test_a_peers_name_that_is_not_utf_8_is_printed_as_it_is(cli: Cli, thoonk: Thoonk) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    thoonk.feed(name).publish("x", id="1")
    assert cli("feeds").out == b"caf\xe9\n"
    assert cli("feeds", "--json").records[0]["feed"] == name
    assert cli("ids", name).lines == ["1"]


def test_a_half_created_feed_is_no_feed(world: World, cli: Cli) -> None:
    world.raw.sadd("feeds", "half")
    assert cli("feeds", "--json").out == b""


@pytest.mark.parametrize("type", ["feed", "sorted_feed", "queue", "job"])
def test_a_feed_of_each_type_is_created(cli: Cli, thoonk: Thoonk, type: str) -> None:
    cli("create", "x", "--type", type, "title=The = title", "max_length=5")
    config = thoonk.get_config("x")
    assert (config.type, config.title, config.max_length) == (type, "The = title", 5)


def test_a_name_that_is_taken_is_a_conflict(cli: Cli, thoonk: Thoonk) -> None:
    cli("create", "x", "title=one")
    assert "already exists" in cli("create", "x", fails=5).err
    cli("create", "x", "title=two", "--exist-ok")
    assert thoonk.get_config("x").title == "one"
    assert "not 'job'" in cli("create", "x", "--type", "job", "--exist-ok", fails=5).err


def test_what_makes_no_sense_creates_nothing(cli: Cli, thoonk: Thoonk) -> None:
    cli("create", "x", "max_length=many", fails=2)
    cli("create", "x", "max_length", fails=2)
    cli("create", "x", "--type", "stack", fails=2)
    cli("create", "", fails=2)
    assert thoonk.get_feed_names() == set()


def test_a_setting_that_is_not_known_is_kept_and_told_of(cli: Cli, thoonk: Thoonk) -> None:
    assert "'max_lenght'" in cli("create", "x", "max_lenght=5").err
    assert thoonk.get_config("x").extra == {"max_lenght": "5"}
    assert cli("create", "y", "max_length=5").err == ""


def test_feeds_are_deleted(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.feed("a").publish("x")
    thoonk.job("b").put("x")
    done = cli("delete", "a", "missing", "b", fails=4)
    assert done.err == "Error: feed 'missing' does not exist\n"
    assert thoonk.get_feed_names() == set()


def test_the_configuration_is_printed_and_changed(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.job("j", {"claim_timeout": 60, "title": "Jobs"})
    assert cli("config", "get", "j").lines == ["type=job", "title=Jobs", "claim_timeout=60"]
    assert cli("config", "get", "j", "claim_timeout").lines == ["60"]
    assert cli("config", "get", "j", "--json").records == [
        {"type": "job", "title": "Jobs", "claim_timeout": 60.0}
    ]
    cli("config", "set", "j", "claim_timeout=1.5", "max_failures=3", "--unset", "title")
    config = thoonk.get_config("j")
    assert (config.claim_timeout, config.max_failures, config.title) == (1.5, 3, None)
    assert "'title' is not set" in cli("config", "get", "j", "title", fails=4).err


def test_a_configuration_that_makes_no_sense_is_refused(cli: Cli, thoonk: Thoonk) -> None:
    thoonk.feed("f")
    cli("config", "set", "f", fails=2)
    cli("config", "set", "f", "max_length=-1", fails=2)
    cli("config", "set", "f", "type=queue", fails=5)
    cli("config", "set", "missing", "max_length=1", fails=4)
    cli("config", "get", "missing", fails=4)
    assert dict(thoonk.get_config("f")) == {"type": "feed"}
