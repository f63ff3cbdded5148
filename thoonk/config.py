"""The configuration of a feed: typed and validated here, stored as text."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import check_name

logger = logging.getLogger("thoonk.config")

FEED = "feed"
SORTED_FEED = "sorted_feed"
QUEUE = "queue"
JOB = "job"

KIND_OF_TYPE: Mapping[str, str] = {
    FEED: FEED,
    SORTED_FEED: SORTED_FEED,
    "list": SORTED_FEED,
    "sorted feed": SORTED_FEED,
    QUEUE: QUEUE,
    "pyqueue": QUEUE,
    JOB: JOB,
}
"""The stored type names, including those of peers, and the kind of feed that each means."""

PAUSED = "paused"
"""The field that marks a feed as paused."""

DEFAULT_RESULT_TIMEOUT = 86_400.0
"""Seconds that a job's result is kept unless the call or the configuration says otherwise."""


def _plain(text: str) -> str:
    """Check that a number is written in ASCII without underscores: servers read no other."""
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return text


def _check_count(name: str, value: object) -> int | None:
    if isinstance(value, str):
        try:
            value = int(_plain(value))
        except ValueError:
            raise InvalidValue(f"{name} must be a whole number, not {value!r:.80}") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value < 2**53:
        raise InvalidValue(f"{name} must be 0 (no limit) or more, not {value}")
    return value


def _check_flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("0", "1"):
        return value == "1"
    raise InvalidValue(f"{name} must be True or False, not {value!r:.80}")


def check_seconds(name: str, value: object) -> float:
    """Return a duration in seconds; 0 means none.

    Raises:
        InvalidType: the value is not a number.
        InvalidValue: the value is negative, less than a millisecond, or more than 1e11.
    """
    if isinstance(value, str):
        try:
            value = float(_plain(value))
        except ValueError:
            raise InvalidValue(f"{name} must be a number of seconds, not {value!r:.80}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or 0 < value < 0.001 or value > 1e11:  # noqa: PLR2004
        raise InvalidValue(f"{name} must be 0 (none), or 0.001 to 1e11 seconds, not {value!r}")
    return float(value)


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidType(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{name} must be valid UTF-8, not {value!r:.80}") from error
    return value


_CHECKS: Mapping[str, Callable[[str, object], int | float | str | None]] = {
    "type": lambda name, value: check_name(value, name),
    "max_length": _check_count,
    "max_item_size": _check_count,
    "title": _check_text,
    "serializer": lambda name, value: check_name(value, name),
    "claim_timeout": check_seconds,
    "max_failures": _check_count,
    "result_timeout": check_seconds,
    "events": _check_flag,
}


@attrs.frozen
class FeedConfig(Mapping[str, Any]):
    """The configuration of a feed. Also a mapping of the fields that are set.

    Attributes:
        type: ``feed``, ``sorted_feed``, ``queue``, ``job``, a registered type, or the name
            that a peer uses.
        max_length: how many items a feed keeps. None or 0: no limit.
        max_item_size: the largest allowed item, in bytes. None or 0: no limit in Thoonk.
        title: a human-readable title.
        serializer: the name of the serializer. None: ``text``.
        claim_timeout: seconds until the claim of an unfinished job expires. None or 0: never.
        max_failures: a job that fails this many times is stalled. None or 0: never.
        result_timeout: seconds that job results are kept. 0: forever. None: one day.
        events: whether every change to a job sends a notice. None: no.
        paused: whether a queue or job feed is paused. Not part of the mapping, because only
            the feed's ``pause()`` and ``resume()`` change it.
        extra: other fields, as text, that a peer may have set.
    """

    type: str
    max_length: int | None = None
    max_item_size: int | None = None
    title: str | None = None
    serializer: str | None = None
    claim_timeout: float | None = None
    max_failures: int | None = None
    result_timeout: float | None = None
    events: bool | None = None
    paused: bool = False
    extra: Mapping[str, str] = attrs.field(factory=dict, hash=False)

    @property
    def kind(self) -> str | None:
        """The kind of feed that ``type`` means; None if it is not a built-in type."""
        return KIND_OF_TYPE.get(self.type)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], feed: str = "") -> FeedConfig:
        """Read stored fields. An invalid field is logged and treated as not set.

        ``feed`` is the feed's name, for the log.
        """
        known: dict[str, Any] = {}
        extra: dict[str, str] = {}
        for name, text in fields.items():
            if name == PAUSED:
                known[name] = text == "1"
                continue
            check = _CHECKS.get(name)
            if check is None:
                extra[name] = text
                continue
            try:
                known[name] = check(name, text)
            except (InvalidValue, InvalidType) as error:
                told = {"event": "setting_passed_over", "feed": feed, "setting": name}
                logger.warning("Ignoring an invalid stored setting: %s", error, extra=told)
        return cls(**{"type": FEED, **known}, extra=extra)

    def __getitem__(self, name: str) -> Any:
        if name in _CHECKS:
            value = getattr(self, name)
            if value is None:
                raise KeyError(name)
            return value
        return self.extra[name]

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in _CHECKS if getattr(self, name) is not None)
        yield from self.extra

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_config(config: object) -> dict[str, str | None]:
    """Convert a mapping or JSON text to the fields to store; None removes a field.

    Raises:
        InvalidType: neither a mapping nor text, or a value has the wrong type.
        InvalidValue: the text is not JSON, or a value is not allowed.
    """
    if isinstance(config, str | bytes):
        try:
            config = json.loads(config)
        except ValueError as error:
            raise InvalidValue(f"a configuration must be JSON: {error}") from error
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise InvalidType(f"a configuration must be a dict or JSON, not {type(config).__name__}")
    return {check_name(name, "configuration key"): _field(name, v) for name, v in config.items()}


def _field(name: str, value: object) -> str | None:
    if name == PAUSED:
        # A pause consists of more than this field.
        raise InvalidValue("paused cannot be configured; use pause() and resume()")
    if value is None:
        if name == "type":
            raise InvalidValue("type cannot be removed")
        return None
    check = _CHECKS.get(name)
    if check is not None:
        return _to_text(check(name, value))
    if isinstance(value, str):
        return _check_text(name, value)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InvalidType(
        f"configuration key {name!r} must be text or a number, not {type(value).__name__}"
    )


def _to_text(value: float | str | None) -> str:
    # repr of a float that is whole would be "30.0", which old peers do not read as a number.
    if isinstance(value, bool | float) and float(value).is_integer():
        return str(int(value))
    return str(value)
