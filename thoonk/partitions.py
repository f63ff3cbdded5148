"""Partitioned feeds: the names of the partitions, and which of them an id belongs to."""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import check_name, encode_name, new_id
from thoonk.operations import check_count

PARTITIONS = "partitions"
"""The setting of each partition that says how many there are."""


def partition_names(name: str, partitions: int) -> tuple[str, ...]:
    """The names of the partitions. On a cluster, they are spread over the nodes.

    Raises:
        InvalidValue: the name has braces, or there are not 1 to 1000 partitions.
        InvalidType: the name is no text, or the number no int.
    """
    check_name(name)
    if "{" in name or "}" in name:
        raise InvalidValue(
            f"the name of a partitioned feed has no braces, for each partition gets its own; "
            f"not {name!r:.80}"
        )
    check_count(PARTITIONS, partitions)
    return tuple(f"{{{name}:{number}}}" for number in range(partitions))


def partition_of(id: str, partitions: int) -> int:
    """The number of the partition that an id belongs to.

    As for a key on a cluster: if a part of the id is in braces, only that part counts.
    """
    _, opened, rest = id.partition("{")
    tag, closed, _ = rest.partition("}")
    return binascii.crc_hqx(encode_name(tag if opened and closed and tag else id), 0) % partitions


def keyed_id(key: object) -> str:
    """A new id. Ids of one key belong to one partition.

    Raises:
        InvalidType: the key is not text.
        InvalidValue: the key is empty, or has braces.
    """
    if not isinstance(key, str):
        raise InvalidType(f"key must be a str, not {type(key).__name__}")
    check_name(key, "key")
    if "{" in key or "}" in key:
        raise InvalidValue(f"a key has no braces, for it is put in braces; not {key!r:.80}")
    return f"{{{key}}}{new_id()}"


def check_partitions(name: str, fields: dict[str, str | None], stored: Mapping[str, str]) -> None:
    """Check the number of partitions in fields for an existing feed; drop it if it is stored.

    Raises:
        InvalidValue: the feed is stored with another number.
    """
    wanted, there = fields.get(PARTITIONS), stored.get(PARTITIONS)
    if wanted is None or there is None:
        return
    if wanted != there:
        raise InvalidValue(f"{name!r:.80} is one of {there} partitions, not of {wanted}")
    del fields[PARTITIONS]
