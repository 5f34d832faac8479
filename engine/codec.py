"""Frozen values to strict JSON and back; the only place where JSON meets our types.

Understood are dataclasses, enums (by value), `str`, `int`, `float`, `bool`, `None`, fixed and variadic
tuples, `Mapping[str, T]`, and unions of these. A dataclass is an object of its fields. It carries the name of
its class as `kind`, except where it stands in a tuple or mapping that can hold nothing else; a dataclass with
a field of that name carries none and must not stand in a union.

Reading is strict: an unknown key, a key given twice, a wrong type (a bool is no number), a number that is not
finite, or a value the class refuses is a `CodecError` that names the place, as in
``$.images["a.png"].split``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from engine.errors import CodecError, EngineError

KIND: Final = "kind"
MAX_DEPTH: Final = 64
MAX_TEXT: Final = 256 * 1024 * 1024
"""Longest text that is read, in characters."""

_INTEGER_LIMIT: Final = 2**63
_T = TypeVar("_T")


class _Object(dict[str, object]):
    """A JSON object that remembers a key that was given twice."""

    repeated: str | None = None


# --- writing -------------------------------------------------------------------------------------


def encode(value: object) -> object:
    """Return `value` as what `json.dumps` takes; a dataclass at the top carries its `kind`.

    Raises:
        CodecError: a number is not finite, or the value is nested too deeply.
        TypeError: a type that JSON files of this program never hold: a mistake of the caller.
    """
    return _encode(value, None, "$", 0)


def dumps(value: object) -> str:
    """Return `value` as readable JSON text with a line end; raises as `encode` does."""
    data = encode(value)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # File names that are no valid text come through in their escaped form.
        return json.dumps(data, allow_nan=False, indent=1) + "\n"
    return text


def _encode(value: object, declared: Any, path: str, depth: int) -> object:
    """Encode a value; `declared` is its type where that is known, None where a dataclass needs its kind."""
    if depth > MAX_DEPTH:
        raise _error("", path, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Enum):
        return _enum_value(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _encode_number(value, path)
    if dataclasses.is_dataclass(value):
        return _encode_dataclass(value, tagged=declared is not type(value), path=path, depth=depth)
    if isinstance(value, tuple):
        return _encode_tuple(value, declared, path, depth)
    if isinstance(value, Mapping):
        return _encode_mapping(value, declared, path, depth)
    raise TypeError(f"{path}: {type(value).__name__} cannot be written as JSON")


def _encode_number(value: object, path: str) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise _error("", path, "the number is not finite")
    if isinstance(value, int) and abs(value) >= _INTEGER_LIMIT:
        raise _error("", path, "the number is too large")
    return value


def _encode_tuple(value: tuple[object, ...], declared: Any, path: str, depth: int) -> object:
    kinds = [_element_types(kind, len(value)) for kind in _members(declared) if get_origin(kind) is tuple]
    elements = kinds[0] if len(kinds) == 1 else [None] * len(value)
    return [
        _encode(element, kind, f"{path}[{place}]", depth + 1)
        for place, (element, kind) in enumerate(zip(value, elements, strict=True))
    ]


def _encode_mapping(value: Mapping[Any, object], declared: Any, path: str, depth: int) -> object:
    kinds = [get_args(kind)[1] for kind in _members(declared) if _is_mapping(kind)]
    kind = kinds[0] if len(kinds) == 1 else None
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{path}: the key {key!r} is no text")
    return {key: _encode(element, kind, _key_path(path, key), depth + 1) for key, element in value.items()}


def _encode_dataclass(value: Any, *, tagged: bool, path: str, depth: int) -> object:
    kind: Any = type(value)
    fields = _fields(kind)
    encoded: dict[str, object] = {}
    if tagged and KIND not in fields:
        encoded[KIND] = kind.__name__
    for name, (hint, _) in fields.items():
        # A dataclass that is a field by itself gets its kind: the field may become a union one day.
        declared = None if dataclasses.is_dataclass(hint) else hint
        encoded[name] = _encode(getattr(value, name), declared, f"{path}.{name}", depth + 1)
    return encoded


def _enum_value(member: Enum) -> object:
    if isinstance(member.value, bool) or not isinstance(member.value, str | int):
        raise TypeError(f"{member!r} has a value that JSON cannot hold")
    return member.value


# --- reading -------------------------------------------------------------------------------------


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
        raise _error(where, "$", f"the text is longer than {MAX_TEXT} characters")
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise _error(where, "$", "nested too deeply") from error
    except ValueError as error:
        raise _error(where, "$", f"this is not JSON: {error}") from error
    return decode(kind, data, where)


@overload
def decode(kind: type[_T], data: object, where: str = "") -> _T: ...
@overload
def decode(kind: object, data: object, where: str = "") -> Any: ...
def decode(kind: Any, data: object, where: str = "") -> Any:
    """Read a value of a type from what `json.loads` returned; raises as `loads` does."""
    return _Reader(where).read(kind, data, "$", 0)


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
        self._scalars: dict[Any, Callable[[object, str], object]] = {
            str: self._read_text,
            bool: self._read_bool,
            int: self._read_int,
            float: self._read_float,
            types.NoneType: self._read_none,
        }

    def read(self, kind: Any, data: object, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._wrong(path, f"nested deeper than {MAX_DEPTH} levels")
        scalar = self._scalars.get(kind)
        if scalar is not None:
            return scalar(data, path)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._read_enum(kind, data, path)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self._read_dataclass(kind, data, path, depth)
        if get_origin(kind) in (Union, types.UnionType):
            return self._read_union(get_args(kind), data, path, depth)
        if get_origin(kind) is tuple:
            return self._read_tuple(kind, data, path, depth)
        if _is_mapping(kind):
            return self._read_mapping(get_args(kind)[1], data, path, depth)
        raise TypeError(f"{path}: values of type {kind!r} cannot be read from JSON")

    # --- scalars ---

    def _read_text(self, data: object, path: str) -> object:
        if not isinstance(data, str):
            raise self._expected("text", data, path)
        return data

    def _read_bool(self, data: object, path: str) -> object:
        if not isinstance(data, bool):
            raise self._expected("true or false", data, path)
        return data

    def _read_int(self, data: object, path: str) -> object:
        if isinstance(data, bool) or not isinstance(data, int):
            raise self._expected("a whole number", data, path)
        if abs(data) >= _INTEGER_LIMIT:
            raise self._wrong(path, "the number is too large")
        return data

    def _read_float(self, data: object, path: str) -> object:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise self._expected("a number", data, path)
        if isinstance(data, int) and abs(data) >= _INTEGER_LIMIT:
            raise self._wrong(path, "the number is too large")
        if not math.isfinite(data):
            raise self._wrong(path, "the number is not finite")
        return float(data)

    def _read_none(self, data: object, path: str) -> object:
        if data is not None:
            raise self._expected("null", data, path)
        return None

    def _read_enum(self, kind: type[Enum], data: object, path: str) -> Enum:
        for member in kind:
            if type(data) is type(_enum_value(member)) and data == member.value:
                return member
        allowed = ", ".join(repr(member.value) for member in kind)
        raise self._wrong(path, f"{_shown(data)} is not one of {allowed}")

    # --- containers ---

    def _read_tuple(self, kind: Any, data: object, path: str, depth: int) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise self._expected("a list", data, path)
        elements = _element_types(kind, len(data))
        if len(elements) != len(data):
            raise self._wrong(path, f"{len(elements)} elements were expected, not {len(data)}")
        return tuple(
            self.read(element, value, f"{path}[{place}]", depth + 1)
            for place, (element, value) in enumerate(zip(elements, data, strict=True))
        )

    def _read_mapping(self, element: Any, data: object, path: str, depth: int) -> dict[str, Any]:
        entries = self._entries(data, path)
        return {
            key: self.read(element, value, _key_path(path, key), depth + 1) for key, value in entries.items()
        }

    def _read_union(self, members: tuple[Any, ...], data: object, path: str, depth: int) -> Any:
        variants = {_type_words(member): member for member in members if dataclasses.is_dataclass(member)}
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
        names = ", ".join((*(_type_words(member) for member in others), *variants))
        raise self._expected(f"one of: {names}", data, path)

    def _variant(self, variants: Mapping[str, Any], data: dict[str, object], path: str) -> Any:
        for member in variants.values():
            if KIND in _fields(member):
                raise TypeError(f"{member.__name__} has a field “{KIND}” and cannot stand in a union")
        kind = data.get(KIND)
        if kind is None:
            raise self._wrong(path, f"“{KIND}” is missing; it is one of {', '.join(variants)}")
        if not isinstance(kind, str) or kind not in variants:
            raise self._wrong(f"{path}.{KIND}", f"{_shown(kind)} is not one of {', '.join(variants)}")
        return variants[kind]

    def _read_dataclass(self, kind: Any, data: object, path: str, depth: int) -> Any:
        entries = dict(self._entries(data, path))
        fields = _fields(kind)
        if KIND not in fields and KIND in entries and entries.pop(KIND) != kind.__name__:
            raise self._wrong(f"{path}.{KIND}", f"{kind.__name__} was expected")
        for key in entries:
            if key not in fields:
                raise self._wrong(_key_path(path, key), "this key is unknown")
        values: dict[str, object] = {}
        for name, (hint, required) in fields.items():
            if name in entries:
                values[name] = self.read(hint, entries[name], f"{path}.{name}", depth + 1)
            elif required:
                raise self._wrong(f"{path}.{name}", "this key is missing")
        try:
            return kind(**values)
        except (ValueError, EngineError) as error:
            raise self._wrong(path, str(error)) from error

    def _entries(self, data: object, path: str) -> dict[str, object]:
        if not isinstance(data, dict):
            raise self._expected("an object", data, path)
        if isinstance(data, _Object) and data.repeated is not None:
            raise self._wrong(_key_path(path, data.repeated), "this key is given twice")
        for key in data:
            if not isinstance(key, str):
                raise self._wrong(path, f"the key {key!r} is no text")
        return data

    # --- errors ---

    def _wrong(self, path: str, what: str) -> CodecError:
        return _error(self._where, path, what)

    def _expected(self, what: str, data: object, path: str) -> CodecError:
        return self._wrong(path, f"{what} was expected, not {_shown(data)}")


# --- types ---------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _fields(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return the fields a dataclass is made from: name → (type, whether it has no default)."""
    hints = get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        item.name: (hints[item.name], item.default is missing and item.default_factory is missing)
        for item in dataclasses.fields(kind)
        if item.init
    }


def _element_types(kind: Any, length: int) -> list[Any]:
    """Return the types of the elements of a tuple type; a variadic one has as many as asked for."""
    arguments = list(get_args(kind))
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return [arguments[0]] * length
    return arguments


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping) and get_args(kind)[0] is str


def _type_words(kind: Any) -> str:
    return "null" if kind is types.NoneType else str(getattr(kind, "__name__", kind))


def _key_path(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"


def _shown(data: object) -> str:
    """Return a short picture of a wrong value."""
    if isinstance(data, dict):
        return "an object"
    if isinstance(data, list):
        return "a list"
    text = json.dumps(data, default=repr, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"


def _error(where: str, path: str, what: str) -> CodecError:
    source = f"{where}: " if where else ""
    return CodecError(
        f"{source}at {path}: {what}.", "Restore the file from a backup, or correct that place by hand."
    )
