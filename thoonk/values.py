"""What values have in common, so that attrs need not generate it for each class.

attrs compiles the methods of a class when the class is created, which is most of the time that
an import takes. Those here are compiled once, and only ``__init__`` is left to attrs.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs


class Value:
    """The base of classes made with ``attrs.frozen(eq=False, repr=False)``.

    Equality, hash and repr are those that attrs would generate.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        cls: Any = self.__class__
        return all(getattr(self, name) == getattr(other, name) for name in _compared(cls))

    def __hash__(self) -> int:
        cls: Any = self.__class__
        return hash((cls, *(getattr(self, name) for name in _hashed(cls))))

    def __repr__(self) -> str:
        cls: Any = self.__class__
        name = cls.__qualname__.rpartition(">.")[2]
        return f"{name}({', '.join(f'{one}={getattr(self, one)!r}' for one in _shown(cls))})"


@functools.cache
def _compared(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls) if field.eq)


@functools.cache
def _hashed(cls: Any) -> tuple[str, ...]:
    fields = attrs.fields(cls)
    return tuple(field.name for field in fields if (field.eq if field.hash is None else field.hash))


@functools.cache
def _shown(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls) if field.repr)
