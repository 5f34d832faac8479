"""Values to JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, get_args, get_origin

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
    members_of,
    place_words,
)

_LINES_TO: Final = 2
"""Levels of the text whose entries have lines of their own."""


def encode(value: object) -> object:
    """Return `value` as what `json.dumps` takes; a dataclass at the top carries its `kind`.

    Raises:
        CodecError: a number is not finite, or the value is nested too deeply.
        TypeError: a type that JSON files of this program never hold: a mistake of the caller.
    """
    return _encode(value, None, None, 0)


def dumps(value: object) -> str:
    """Return `value` as readable JSON text that ends with a line end; raises as `encode` does."""
    data = encode(value)
    text = _laid_out(data, json.JSONEncoder(ensure_ascii=False, allow_nan=False), 0)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # File names that are no valid text come through in their escaped form.
        text = _laid_out(data, json.JSONEncoder(allow_nan=False), 0)
    return text + "\n"


def _laid_out(data: object, encoder: json.JSONEncoder, level: int) -> str:
    """Return JSON text with a line for each entry of the outer levels: quick, and easy to compare."""
    inner, outer = "\n" + " " * (level + 1), "\n" + " " * level
    if level < _LINES_TO and isinstance(data, dict) and data:
        entries = (
            f"{encoder.encode(key)}: {_laid_out(value, encoder, level + 1)}" for key, value in data.items()
        )
        return "{" + inner + ("," + inner).join(entries) + outer + "}"
    if level < _LINES_TO and isinstance(data, list) and data:
        return (
            "["
            + inner
            + ("," + inner).join(_laid_out(value, encoder, level + 1) for value in data)
            + outer
            + "]"
        )
    return encoder.encode(data)


def _encode(value: object, declared: Any, path: Place, depth: int) -> object:
    """Encode a value; `declared` is its type where that is known, None where a dataclass needs its kind."""
    if depth > MAX_DEPTH:
        raise codec_error("", path, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Enum):
        return enum_value(value)
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
    raise TypeError(f"{place_words(path)}: {type(value).__name__} cannot be written as JSON")


def _encode_number(value: object, path: Place) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise codec_error("", path, "the number is not finite")
    if isinstance(value, int) and abs(value) >= INTEGER_LIMIT:
        raise codec_error("", path, "the number is too large")
    return value


def _encode_tuple(value: tuple[object, ...], declared: Any, path: Place, depth: int) -> object:
    kinds = [element_types(kind, len(value)) for kind in members_of(declared) if get_origin(kind) is tuple]
    elements = kinds[0] if len(kinds) == 1 else [None] * len(value)
    return [
        _encode(element, kind, (path, place), depth + 1)
        for place, (element, kind) in enumerate(zip(value, elements, strict=True))
    ]


def _encode_mapping(value: Mapping[Any, object], declared: Any, path: Place, depth: int) -> object:
    kinds = [get_args(kind)[1] for kind in members_of(declared) if is_mapping(kind)]
    kind = kinds[0] if len(kinds) == 1 else None
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{place_words(path)}: the key {key!r} is no text")
    return {key: _encode(element, kind, (path, key), depth + 1) for key, element in value.items()}


def _encode_dataclass(value: Any, *, tagged: bool, path: Place, depth: int) -> object:
    kind: Any = type(value)
    fields = fields_of(kind)
    encoded: dict[str, object] = {}
    if tagged and KIND not in fields:
        encoded[KIND] = kind.__name__
    for name, (hint, _) in fields.items():
        # A dataclass that is a field by itself gets its kind: the field may become a union one day.
        declared = None if hint is type(getattr(value, name)) else hint
        encoded[name] = _encode(getattr(value, name), declared, (path, name), depth + 1)
    return encoded
