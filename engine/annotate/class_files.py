"""Class lists other programs write: `classes.json` in several forms, and text with one name per line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.annotate.classes import UNLABELLED, VOID, ClassSpec, ClassTable
from engine.annotate.palettes import Rgb, default_color
from engine.errors import AnnotationError
from engine.files import read_bytes

_LIMIT: Final = 4 << 20
_COLOR_AND_NAME: Final = re.compile(r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\S.*)")
_NAME_AND_COLOR: Final = re.compile(
    r"(\S.*?)\s*[,;:]\s*(\d{1,3})\s*[,;]\s*(\d{1,3})\s*[,;]\s*(\d{1,3})\s*(?::.*)?"
)
_HEADING: Final = re.compile(
    r"(class|name|label)\w*[,;]\s*r(ed)?[,;]\s*g(reen)?[,;]\s*b(lue)?", re.IGNORECASE
)
_HEX_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_REMEDY: Final = (
    "A class file is JSON such as [{“id”: 0, “name”: “sky”, “color”: [70, 130, 180]}], "
    "or text with one name per line."
)


@dataclass(frozen=True, slots=True)
class _Entry:
    index: int
    name: str
    color: Rgb | None


def read_class_file(path: Path) -> ClassTable:
    """Return the classes of a class file, in the order of the file.

    Understood are JSON (a list of names, a list of objects with `name` and optional `id` and `color`, or an
    object with such a list as `classes`) and text (one name per line, optionally ``R G B name``,
    ``name,R,G,B`` or ``name:R,G,B:…``; lines that begin with # and a heading ``name,r,g,b`` are skipped). A
    class without id gets its place in the list. Entries for the values 254 and 255 are left out: they are
    void and unlabelled, no classes.

    Raises:
        AnnotationError: the file is not such a list, or two classes share a name or an id.
        StorageError: the file cannot be read.
    """
    text = _text(path)
    entries = (
        _json_entries(path, _parsed(path, text)) if path.suffix.lower() == ".json" else _text_entries(text)
    )
    specs = tuple(
        ClassSpec(index=entry.index, name=entry.name, color=entry.color or default_color(entry.index))
        for entry in entries
        if entry.index not in (VOID, UNLABELLED)
    )
    if not specs:
        raise AnnotationError(f"“{path}” holds no classes.", _REMEDY)
    return ClassTable(classes=specs, next_index=max(spec.index for spec in specs) + 1)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, limit=_LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"“{path}” is not text in UTF-8.", "Save it as UTF-8.") from error


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"“{path}” is not JSON: {error}.", _REMEDY) from error


def _text_entries(text: str) -> list[_Entry]:
    lines = [line.strip() for line in text.splitlines()]
    wanted = [line for line in lines if line and line[0] != "#" and not _HEADING.fullmatch(line)]
    return [_text_entry(place, line) for place, line in enumerate(wanted)]


def _text_entry(place: int, line: str) -> _Entry:
    if (match := _COLOR_AND_NAME.fullmatch(line)) is not None:
        red, green, blue, name = match.groups()
    elif (match := _NAME_AND_COLOR.fullmatch(line)) is not None:
        name, red, green, blue = match.groups()
    else:
        return _Entry(place, line, None)
    return _Entry(place, name, (int(red), int(green), int(blue)))


def _json_entries(path: Path, data: Any) -> list[_Entry]:
    items = data.get("classes") if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise AnnotationError(f"“{path}” holds no list of classes.", _REMEDY)
    return [_json_entry(path, place, item) for place, item in enumerate(items)]


def _json_entry(path: Path, place: int, item: Any) -> _Entry:
    if isinstance(item, str):
        return _Entry(place, item.strip(), None)
    if not isinstance(item, dict):
        raise _bad_entry(path, place, "is no object and no name")
    name, index = item.get("name"), item.get("id", item.get("index", place))
    if not isinstance(name, str):
        raise _bad_entry(path, place, "has no name")
    if isinstance(index, bool) or not isinstance(index, int):
        raise _bad_entry(path, place, "has an id that is no whole number")
    return _Entry(index, name.strip(), _color(path, place, item))


def _color(path: Path, place: int, item: Mapping[str, Any]) -> Rgb | None:
    value = item.get("color", item.get("colour"))
    if value is None:
        return None
    if isinstance(value, str) and _HEX_COLOR.fullmatch(value):
        return (int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16))
    if isinstance(value, list) and len(value) == 3 and all(type(part) is int for part in value):
        return (value[0], value[1], value[2])
    raise _bad_entry(path, place, "has a colour that is not [red, green, blue]")


def _bad_entry(path: Path, place: int, what: str) -> AnnotationError:
    return AnnotationError(f"Entry {place + 1} of “{path}” {what}.", _REMEDY)
