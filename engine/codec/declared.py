"""What the codec knows of declared types, and how it names a place in the data."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from engine.errors import CodecError

KIND: Final = "kind"
MAX_DEPTH: Final = 64
INTEGER_LIMIT: Final = 2**63

# A place in the data, from the inside out; it becomes words only when something is wrong there.
Place: TypeAlias = "tuple[Place, str | int] | None"


@lru_cache(maxsize=512)
def fields_of(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return the fields a dataclass is made from: name → (type, whether it has no default)."""
    hints = get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        item.name: (hints[item.name], item.default is missing and item.default_factory is missing)
        for item in dataclasses.fields(kind)
        if item.init
    }


def element_types(kind: Any, length: int) -> list[Any]:
    """Return the types of the elements of a tuple type; a variadic one has as many as asked for."""
    arguments = list(get_args(kind))
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return [arguments[0]] * length
    return arguments


def members_of(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def is_mapping(kind: Any) -> bool:
    """Return whether a type is a mapping with text as keys."""
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping) and get_args(kind)[0] is str


def type_words(kind: Any) -> str:
    """Return the name of a type, for messages."""
    return "null" if kind is types.NoneType else str(getattr(kind, "__name__", kind))


def place_words(path: Place) -> str:
    """Return a place as people write it: ``$.images["a.png"].size[0]``."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        is_name = isinstance(step, str) and step.isidentifier()
        steps.append(f".{step}" if is_name else f"[{json.dumps(step)}]")
    return "".join(("$", *reversed(steps)))


def enum_value(member: Enum) -> object:
    """Return what stands for an enum member in JSON: its value, a text or a whole number.

    Raises:
        TypeError: its value is something else.
    """
    if isinstance(member.value, bool) or not isinstance(member.value, str | int):
        raise TypeError(f"{member!r} has a value that JSON cannot hold")
    return member.value


def codec_error(where: str, path: Place, what: str) -> CodecError:
    """Return the error to raise for something wrong at a place of a source (empty where it has no name)."""
    source = f"{where}: " if where else ""
    return CodecError(
        f"{source}at {place_words(path)}: {what}.",
        "Restore the file from a backup, or correct that place by hand.",
    )
