"""What stands for bytes, times and the peer's own choice, and what it is equal to."""

from __future__ import annotations

import pytest

from thoonk.conform import compare
from thoonk.conform.values import (
    Content,
    MatchContext,
    decode,
    encode,
    matches_number,
    matches_text,
    number,
    text,
)

START = 1_700_000_000_123


def context(**more: object) -> MatchContext:
    return MatchContext(prepared_at=START, asked_at=START + 10.7, answered_at=START + 20.2, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"a\0b", "ø€".encode(), b"\xff\x00", bytes(range(256))])
def test_bytes_go_through_json_and_back(data: bytes) -> None:
    assert decode(encode(data)) == data


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="base64"):
        decode({"base64": "a"})


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ({"ago": 100}, START - 100),
        ({"ago": -100, "plus": 0.0009765625}, START + 100 + 1 / 1024),
        ({"seconds ago": 60}, 1_700_000_000 - 60 + 0.5),
        ({"seconds ago": 60, "times": 1000}, (1_700_000_000 - 60 + 0.5) * 1000),
        ("+inf", float("inf")),
        (3, 3),
    ],
    ids=str,
)
def test_a_number_that_is_known(template: object, value: float) -> None:
    assert number(template, context()) == value
    assert matches_number(template, value, context(), {})
    assert not matches_number(template, value + 1 / 512, context(), {}) or value == float("inf")


@pytest.mark.parametrize(
    ("after", "value", "fits"),
    [
        (0, START + 9, False),
        (0, START + 10, True),
        (0, START + 22, True),
        (0, START + 23, False),
        (600, START + 610, True),
        (600, START + 11, False),
    ],
)
def test_now_is_between_request_and_answer(after: int, value: float, fits: bool) -> None:
    assert matches_number({"now": after}, value, context(), {}) is fits


def test_above_is_more_than_the_others_score() -> None:
    template = {"now": 0, "above": "a"}
    assert matches_number(template, START + 11.5, context(), {b"a": START + 11.0})
    assert not matches_number(template, START + 11.0, context(), {b"a": START + 11.0})
    assert not matches_number(template, START + 11.0, context(), {})


def test_a_text_that_the_peer_chose_is_the_same_wherever_it_is_named() -> None:
    here = context()
    assert matches_text({"fresh id": "x"}, b"chosen", here)
    assert not matches_text({"fresh id": "x"}, b"another", here)
    assert matches_text({"join": [{"fresh id": "x"}, "\0item"]}, b"chosen\0item", here)
    assert text({"fresh id": "x"}, here) == b"chosen"


@pytest.mark.parametrize("wrong", [b"", b"a\0b", b"\xff", b"taken"])
def test_a_fresh_id_follows_the_rules_of_ids(wrong: bytes) -> None:
    assert not matches_text({"fresh id": "x"}, wrong, context(bound={"other": b"taken"}))


def test_a_fresh_token_has_no_space() -> None:
    assert matches_text({"fresh id": "x"}, b"a b", context())
    assert not matches_text({"fresh token": "x"}, b"a b", context())


def test_what_is_not_known_beforehand_cannot_be_prepared() -> None:
    for template in ({"any": "text"}, {"fresh id": "x"}, {"join": ["a", {"now in seconds": 0}]}):
        with pytest.raises(ValueError, match="beforehand"):
            text(template, context())


def test_times_in_texts() -> None:
    here = context(keys={b"feed.claimed:F": Content("zset", {b"a": 1_700_000_000_500.0})})
    entry = {"join": ["T ", {"score": ["feed.claimed:F", "a"]}]}
    assert matches_text(entry, b"T 1700000000500", here)
    assert not matches_text(entry, b"T 1700000000500.0", here)
    assert text({"join": ["T ", {"ago": 100}]}, here) == b"T 1700000000023"
    remembered = {"join": [{"now in seconds": 0}, " 7 ", {"any": "text"}]}
    assert matches_text(remembered, b"1700000000 7 n\0 1", here)
    assert not matches_text(remembered, b"1700000001 7 n1", here)
    assert not matches_text(remembered, b"1700000000 8 n1", here)


# --- keys -------------------------------------------------------------------------------------

BEFORE = {
    b"list": Content("list", [b"a", b"b"]),
    b"set": Content("set", {b"a"}),
    b"hash": Content("hash", {b"a": b"1", b"b": b"2"}),
    b"zset": Content("zset", {b"a": 1.0, b"b": 2.0}),
    b"text": Content("string", b"7"),
    b"goes": Content("list", [b"r"], expires=START + 60_000.0),
    b"feed.answers:F": Content("hash", {b"S": b"1700000000 1 n1"}),
}


@pytest.mark.parametrize(
    ("expected", "change", "where"),
    [
        ({}, {}, []),
        ({}, {b"text": None}, ['key "text"']),
        ({}, {b"new": Content("string", b"1")}, ['key "new"']),
        ({}, {b"list": Content("list", [b"b", b"a"])}, ['key "list"']),
        ({}, {b"goes": Content("list", [b"r"], expires=START + 60_002.0)}, []),
        ({}, {b"goes": Content("list", [b"r"], expires=START + 61_000.0)}, ['key "goes"']),
        ({}, {b"goes": Content("list", [b"r"])}, ['key "goes"']),
        ({"text": {"string": "7"}}, {}, []),
        ({"text": {"string": "8"}}, {}, ['key "text"']),
        ({"text": None}, {}, ['key "text"']),
        ({"text": None}, {b"text": None}, []),
        ({"text": {"any of": [None, {"string": "7"}]}}, {}, []),
        ({"text": {"any of": [None, {"string": "8"}]}}, {}, ['key "text"']),
        ({"text": {"list": ["7"]}}, {}, ['key "text"']),
        ({"hash": {"size": [2, 3]}}, {}, []),
        ({"hash": {"size": [3]}}, {}, ['key "hash"']),
        ({"list": {"list": ["a"]}}, {}, ['key "list"']),
        ({"set": {"set": ["b"]}}, {}, ['key "set", a member', 'key "set", a member']),
        ({"hash": {"hash": [["b", "2"], ["a", "1"]]}}, {}, []),
        ({"hash": {"hash": [["b", "1"]]}}, {}, ['key "hash", of "b"', 'key "hash", of "a"']),
        ({"hash": {"hash": [["a", {"as before": True}], ["b", "2"]]}}, {}, []),
        (
            {"zset": {"zset": [["a", 1], ["b", 3], ["c", 3]]}},
            {},
            ['key "zset", of "b"', 'key "zset", of "c"'],
        ),
        ({"goes": {"list": ["r"]}}, {}, ['key "goes", its expiry']),
        ({"goes": {"list": ["r"], "ttl": 59_985}}, {}, []),
        ({"goes": {"list": ["r"], "ttl": 70_000}}, {}, ['key "goes", its expiry']),
        ({"list": {"list": ["a", "b"], "ttl": 1}}, {}, ['key "list", its expiry']),
        # Whether a peer remembers is its own affair, how it does is not.
        ({}, {b"feed.answers:F": None}, []),
        ({}, {b"feed.answers:F": Content("hash", {b"S": b"1700000000 2 n1"})}, []),
        ({}, {b"feed.answers:F": Content("hash", {b"S": b"n1"})}, ['key "feed.answers:F", of "S"']),
    ],
    ids=str,
)
def test_differences_of_keys(
    expected: dict[str, object], change: dict[bytes, Content | None], where: list[str]
) -> None:
    after = {key: value for key, value in {**BEFORE, **change}.items() if value is not None}
    found = compare.keys(expected, BEFORE, context(keys=after))
    assert [difference.where for difference in found] == where


@pytest.mark.parametrize(
    ("expected", "found", "matches"),
    [
        ({}, {"more": 1}, True),
        ({"a": 1}, {}, False),
        ({"a": 1}, [], False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": ""}, False),
        ({"a": "x"}, {"a": {"base64": "eA=="}}, True),
        ({"a": {"base64": "eA=="}}, {"a": "x"}, True),
        ({"a": {"base64": "eA=="}}, {"a": {"base64": "e"}}, False),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, False),
        ({"a": {"unordered": ["x", "y"]}}, {"a": ["y", "x"]}, True),
        ({"a": {"unordered": ["x", "x"]}}, {"a": ["x", "y"]}, False),
        ({"a": {"unordered": ["x"]}}, {"a": ["x", "y"]}, False),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, False),
    ],
    ids=str,
)
def test_answers(expected: object, found: object, matches: bool) -> None:
    assert (not [*compare.answer(expected, found, context())]) is matches


@pytest.mark.parametrize(
    ("found", "where"),
    [
        ([(b"c", b"1"), (b"c", b"2")], []),
        ([(b"c", b"2"), (b"c", b"1")], ["notice 1", "notice 2"]),
        ([(b"c", b"1")], ["notice 2"]),
        ([(b"c", b"1"), (b"c", b"2"), (b"c", b"3")], ["notice 3"]),
        ([(b"d", b"1"), (b"c", b"2")], ["notice 1"]),
    ],
)
def test_notices_are_compared_in_their_order(
    found: list[tuple[bytes, bytes]], where: list[str]
) -> None:
    differences = compare.published([["c", "1"], ["c", "2"]], found, context())
    assert [difference.where for difference in differences] == where
