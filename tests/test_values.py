"""Operations, notices and what they carry behave like other classes of attrs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from thoonk import notices, operations
from thoonk.values import Value


def values_of(*modules: Any) -> Iterator[type[Any]]:
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Value) and kind is not Value:
                yield kind


EVERY = pytest.mark.parametrize(
    "kind", [*values_of(operations, notices)], ids=lambda kind: kind.__name__
)


def made(kind: type[Any], /, **values: object) -> Any:
    """A value whose fields are their own names, whatever its validators say."""
    value = object.__new__(kind)
    for field in attrs.fields(kind):
        object.__setattr__(value, field.name, values.get(field.name, field.name))
    return value


@EVERY
def test_a_value_has_no_place_for_anything_but_its_fields(kind: type[Any]) -> None:
    hints = vars(kind).get("__annotations__", {})
    own = {name for name, hint in hints.items() if "ClassVar" not in hint}
    assert own <= {field.name for field in attrs.fields(kind)}
    assert not hasattr(made(kind), "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made(kind).other = 1


@EVERY
def test_a_value_is_compared_hashed_and_shown_as_attrs_does_it(kind: type[Any]) -> None:
    fields = attrs.fields(kind)
    wanted = {f.name: attrs.field(hash=f.hash, eq=f.eq, repr=f.repr, kw_only=True) for f in fields}
    theirs = attrs.make_class(kind.__name__, wanted, frozen=True)
    assert repr(made(kind)) == repr(made(theirs))
    assert made(kind) == made(kind)
    assert hash(made(kind)) == hash(made(kind))
    assert made(kind) != made(theirs)
    for field in fields:
        other, theirs_other = made(kind, **{field.name: 0}), made(theirs, **{field.name: 0})
        assert made(kind) != other
        assert (hash(made(kind)) == hash(other)) == (hash(made(theirs)) == hash(theirs_other))


@EVERY
def test_a_value_can_be_copied_and_pickled(kind: type[Any]) -> None:
    value = made(kind)
    assert copy.copy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value
