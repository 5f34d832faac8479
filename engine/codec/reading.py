"""JSON to values: strict, and exact about where something is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, overload

from engine.codec.declared import (
    INTEGER_LIMIT,
    KIND,
    MAX_DEPTH,
    Place,
    codec_error,
    element_types,
    enum_value,
    fields_of,
    is_mapping,
    type_words,
)
from engine.errors import CodecError, EngineError

MAX_TEXT: Final = 256 * 1024 * 1024
"""Longest text that is read, in characters."""

_SCALARS: Final = {
    str: "_read_text",
    bool: "_read_bool",
    int: "_read_int",
    float: "_read_float",
    types.NoneType: "_read_none",
}
_T = TypeVar("_T")


class _Object(dict[str, object]):
    """A JSON object that remembers a key that was given twice."""

    repeated: str | None = None


@overload
def loads(kind: type[_T], text: str, where: str = "") -> _T: ...
@overload
def loads(kind: object, text: str, where: str = "") -> Any: ...
def loads(kind: Any, text: str, where: str = "") -> Any:
    """Read a value of a type from JSON text.

    Args:
        kind: The type: a dataclass, or a union of dataclasses, or any other type the codec knows.
        text: JSON text of at most `MAX_TEXT` characters.
        where: Name of the source for messages, such as a file name.

    Raises:
        CodecError: the text is no JSON, or not a value of the type.
        TypeError: the codec does not know the type.
    """
    if len(text) > MAX_TEXT:
        raise codec_error(where, None, f"the text is longer than {MAX_TEXT} characters")
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise codec_error(where, None, "nested too deeply") from error
    except ValueError as error:
        raise codec_error(where, None, f"this is not JSON: {error}") from error
    return decode(kind, data, where)


@overload
def decode(kind: type[_T], data: object, where: str = "") -> _T: ...
@overload
def decode(kind: object, data: object, where: str = "") -> Any: ...
def decode(kind: Any, data: object, where: str = "") -> Any:
    """Read a value of a type from what `json.loads` returned; raises as `loads` does."""
    return _Reader(where).read(kind, data, None, 0)


def _object(pairs: list[tuple[str, object]]) -> _Object:
    result = _Object(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                result.repeated = key
            seen.add(key)
    return result


class _Reader:
    """Reads one value; knows where it came from."""

    def __init__(self, where: str) -> None:
        self._where = where

    def read(self, kind: Any, data: object, path: Place, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._wrong(path, f"nested deeper than {MAX_DEPTH} levels")
        method, argument = _plan(kind)
        return getattr(self, method)(argument, data, path, depth)

    # --- scalars ---

    def _read_text(self, _kind: Any, data: object, path: Place, _depth: int) -> object:
        if not isinstance(data, str):
            raise self._expected("text", data, path)
        return data

    def _read_bool(self, _kind: Any, data: object, path: Place, _depth: int) -> object:
        if not isinstance(data, bool):
            raise self._expected("true or false", data, path)
        return data

    def _read_int(self, _kind: Any, data: object, path: Place, _depth: int) -> object:
        if isinstance(data, bool) or not isinstance(data, int):
            raise self._expected("a whole number", data, path)
        if abs(data) >= INTEGER_LIMIT:
            raise self._wrong(path, "the number is too large")
        return data

    def _read_float(self, _kind: Any, data: object, path: Place, _depth: int) -> object:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise self._expected("a number", data, path)
        if isinstance(data, int) and abs(data) >= INTEGER_LIMIT:
            raise self._wrong(path, "the number is too large")
        if not math.isfinite(data):
            raise self._wrong(path, "the number is not finite")
        return float(data)

    def _read_none(self, _kind: Any, data: object, path: Place, _depth: int) -> object:
        if data is not None:
            raise self._expected("null", data, path)
        return None

    def _read_enum(self, kind: type[Enum], data: object, path: Place, _depth: int) -> Enum:
        members = _members_by_value(kind)
        if isinstance(data, str | int) and (type(data), data) in members:
            return members[type(data), data]
        allowed = ", ".join(repr(value) for _, value in members)
        raise self._wrong(path, f"{_shown(data)} is not one of {allowed}")

    # --- containers ---

    def _read_tuple(self, kind: Any, data: object, path: Place, depth: int) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise self._expected("a list", data, path)
        elements = element_types(kind, len(data))
        if len(elements) != len(data):
            raise self._wrong(path, f"{len(elements)} elements were expected, not {len(data)}")
        return tuple(
            self.read(element, value, (path, place), depth + 1)
            for place, (element, value) in enumerate(zip(elements, data, strict=True))
        )

    def _read_mapping(self, element: Any, data: object, path: Place, depth: int) -> dict[str, Any]:
        entries = self._entries(data, path)
        return {key: self.read(element, value, (path, key), depth + 1) for key, value in entries.items()}

    def _read_union(self, members: tuple[Any, ...], data: object, path: Place, depth: int) -> Any:
        variants = {type_words(member): member for member in members if dataclasses.is_dataclass(member)}
        if isinstance(data, dict) and variants:
            if len(variants) == 1:
                return self.read(next(iter(variants.values())), data, path, depth)
            return self.read(self._variant(variants, data, path), data, path, depth)
        others = [member for member in members if not dataclasses.is_dataclass(member)]
        solid = [member for member in others if member is not types.NoneType]
        if data is not None and len(solid) == 1 and not variants:
            return self.read(solid[0], data, path, depth)
        for member in others:
            try:
                return self.read(member, data, path, depth)
            except CodecError:
                continue
        names = ", ".join((*(type_words(member) for member in others), *variants))
        raise self._expected(f"one of: {names}", data, path)

    def _variant(self, variants: Mapping[str, Any], data: dict[str, object], path: Place) -> Any:
        for member in variants.values():
            if KIND in fields_of(member):
                raise TypeError(f"{member.__name__} has a field “{KIND}” and cannot stand in a union")
        kind = data.get(KIND)
        if kind is None:
            raise self._wrong(path, f"“{KIND}” is missing; it is one of {', '.join(variants)}")
        if not isinstance(kind, str) or kind not in variants:
            raise self._wrong((path, KIND), f"{_shown(kind)} is not one of {', '.join(variants)}")
        return variants[kind]

    def _read_dataclass(self, kind: Any, data: object, path: Place, depth: int) -> Any:
        entries = dict(self._entries(data, path))
        fields = fields_of(kind)
        if KIND not in fields and KIND in entries and entries.pop(KIND) != kind.__name__:
            raise self._wrong((path, KIND), f"{kind.__name__} was expected")
        for key in entries:
            if key not in fields:
                raise self._wrong((path, key), "this key is unknown")
        values: dict[str, object] = {}
        for name, (hint, required) in fields.items():
            if name in entries:
                values[name] = self.read(hint, entries[name], (path, name), depth + 1)
            elif required:
                raise self._wrong((path, name), "this key is missing")
        try:
            return kind(**values)
        except (ValueError, EngineError) as error:
            raise self._wrong(path, str(error)) from error

    def _entries(self, data: object, path: Place) -> dict[str, object]:
        if not isinstance(data, dict):
            raise self._expected("an object", data, path)
        if isinstance(data, _Object) and data.repeated is not None:
            raise self._wrong((path, data.repeated), "this key is given twice")
        for key in data:
            if not isinstance(key, str):
                raise self._wrong(path, f"the key {key!r} is no text")
        return data

    # --- errors ---

    def _wrong(self, path: Place, what: str) -> CodecError:
        return codec_error(self._where, path, what)

    def _expected(self, what: str, data: object, path: Place) -> CodecError:
        return self._wrong(path, f"{what} was expected, not {_shown(data)}")


@lru_cache(maxsize=512)
def _plan(kind: Any) -> tuple[str, Any]:
    """Return the method of `_Reader` that reads a type, and what it needs to know of the type."""
    if kind in _SCALARS:
        return _SCALARS[kind], kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "_read_enum", kind
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return "_read_dataclass", kind
    if get_origin(kind) in (Union, types.UnionType):
        return "_read_union", get_args(kind)
    if get_origin(kind) is tuple:
        return "_read_tuple", kind
    if is_mapping(kind):
        return "_read_mapping", get_args(kind)[1]
    raise TypeError(f"values of type {kind!r} cannot be read from JSON")


@lru_cache(maxsize=512)
def _members_by_value(kind: type[Enum]) -> Mapping[tuple[type, object], Enum]:
    return {(type(enum_value(member)), member.value): member for member in kind}


def _shown(data: object) -> str:
    """Return a short picture of a wrong value."""
    if isinstance(data, dict):
        return "an object"
    if isinstance(data, list):
        return "a list"
    text = json.dumps(data, default=repr, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
