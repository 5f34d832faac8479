"""Class names of public data sets, in the order in which published networks know them (torch-free)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from engine.annotate.classes import ClassTable

_FOLDER: Final = "classes"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A public data set.

    Attributes:
        name: Identifier, lower case.
        title: For people.
        file_names: What the names of files trained on it contain.
        images: One sentence about the size of its images in published trainings; "" where unknown.
        classes: Class names in the order of the channels.
    """

    name: str
    title: str
    file_names: tuple[str, ...]
    images: str
    classes: tuple[str, ...]


@lru_cache(maxsize=1)
def data_sets() -> tuple[DataSet, ...]:
    """Return all data sets known, by name."""
    folder = resources.files("resources") / _FOLDER
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return tuple(
        _read(entry.name.removesuffix(".json"), entry.read_text(encoding="utf-8"))
        for entry in entries
        if entry.name.endswith(".json")
    )


def data_set_of(file: str, count: int) -> DataSet | None:
    """Return the data set that a file of `count` classes was trained on, as its name tells; else None."""
    lower = file.lower()
    return next(
        (
            data_set
            for data_set in data_sets()
            if len(data_set.classes) == count and any(part in lower for part in data_set.file_names)
        ),
        None,
    )


def class_table(names: tuple[str, ...]) -> ClassTable:
    """Return a table of these classes in their order, with default colours.

    Raises:
        AnnotationError: a name is not allowed or occurs twice, or there are too many.
    """
    table = ClassTable()
    for name in names:
        table = table.add(name)
    return table


def _read(name: str, text: str) -> DataSet:
    content = json.loads(text)
    return DataSet(
        name=name,
        title=str(content["title"]),
        file_names=tuple(content["file_names"]),
        images=str(content["images"]),
        classes=tuple(content["classes"]),
    )
