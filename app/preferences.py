"""What a person prefers, kept in their own configuration folder, never in a project or beside the program.

A file that cannot be read or written never stops the program: each unknown or bad entry is skipped by
itself with one sentence, and where the folder cannot be written everything is kept in memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from app.theme import Theme
from engine.annotate.stroke import PaintRule
from engine.config import Device
from engine.errors import EngineError
from engine.files import atomic_write, read_bytes

RECENT_LIMIT = 8
_FILE_LIMIT = 1_000_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Everything remembered from one start to the next.

    Attributes:
        theme: Look of the window.
        wheel_scrolls: The wheel scrolls and Ctrl+wheel zooms; otherwise the wheel zooms about the cursor.
        device: Where networks run.
        recent: Folders opened lately, newest first.
        brush_radius: In image pixels.
        rule: Which pixels painting may change.
        prediction_opacity: 0 to 1.
        annotation_opacity: 0 to 1.
        show_side_note: Show the four first steps beside the image.
        show_class_strip: Show the floating row of classes.
        geometry: Place of the window, base64 of Qt's own form.
        layout: Places of docks and bars, base64 of Qt's own form.
        export_folder: Folder of the last export.
    """

    theme: Theme = Theme.DARK_QDARKSTYLE
    wheel_scrolls: bool = False
    device: Device = Device.AUTO
    recent: tuple[str, ...] = ()
    brush_radius: float = 12.0
    rule: PaintRule = PaintRule.OVER_PREDICTIONS
    prediction_opacity: float = 0.5
    annotation_opacity: float = 0.8
    show_side_note: bool = True
    show_class_strip: bool = True
    geometry: str = ""
    layout: str = ""
    export_folder: str = ""


def default_path() -> Path:
    """Return the file preferences live in on this system."""
    return user_config_path("maskloop", appauthor=False) / "preferences.json"


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("must be a list of texts")
    return tuple(_text(entry) for entry in value)[:RECENT_LIMIT]


def _number(low: float, high: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "theme": Theme,
    "wheel_scrolls": _flag,
    "device": Device,
    "recent": _texts,
    "brush_radius": _number(0.5, 2000.0),
    "rule": lambda value: PaintRule[_text(value)],
    "prediction_opacity": _number(0.0, 1.0),
    "annotation_opacity": _number(0.0, 1.0),
    "show_side_note": _flag,
    "show_class_strip": _flag,
    "geometry": _text,
    "layout": _text,
    "export_folder": _text,
}


def parse(data: bytes) -> tuple[Preferences, tuple[str, ...]]:
    """Read preferences from their JSON form.

    Returns:
        The preferences, and one sentence for each entry that was skipped.
    """
    try:
        entries = json.loads(data)
    except ValueError as error:
        return Preferences(), (f"The preferences file is damaged ({error}); the usual settings are used.",)
    if not isinstance(entries, dict):
        return Preferences(), ("The preferences file is damaged (no object); the usual settings are used.",)
    good: dict[str, Any] = {}
    notices: list[str] = []
    for key, value in entries.items():
        if key not in _READERS:
            notices.append(f"The preference “{key}” is unknown and was skipped.")
            continue
        try:
            good[key] = _READERS[key](value)
        except (TypeError, ValueError, KeyError) as error:
            notices.append(f"The preference “{key}” was skipped: {error}.")
    return Preferences(**good), tuple(notices)


def to_json(preferences: Preferences) -> bytes:
    """Return the JSON form of preferences, UTF-8."""
    entries: dict[str, Any] = {}
    for each in fields(preferences):
        value = getattr(preferences, each.name)
        if isinstance(value, PaintRule):
            value = value.name
        elif isinstance(value, Theme | Device):
            value = value.value
        entries[each.name] = list(value) if isinstance(value, tuple) else value
    return (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(slots=True)
class PreferenceStore:
    """Preferences and the file they are kept in. GUI thread only.

    Attributes:
        path: The file.
        value: The preferences in force.
        notices: Sentences about skipped entries, to be shown once.
        in_memory_only: Why nothing can be remembered, or an empty text.
    """

    path: Path = field(default_factory=default_path)
    value: Preferences = field(default_factory=Preferences)
    notices: tuple[str, ...] = ()
    in_memory_only: str = ""

    @classmethod
    def load(cls, path: Path | None = None) -> PreferenceStore:
        """Read the file; whatever is wrong with it ends up in `notices`, never as an error."""
        store = cls() if path is None else cls(path=path)
        try:
            if store.path.exists():
                store.value, store.notices = parse(read_bytes(store.path, limit=_FILE_LIMIT))
        except (EngineError, OSError) as error:
            store.notices = (f"The preferences could not be read ({error}); the usual settings are used.",)
        return store

    def change(self, **changes: Any) -> None:
        """Replace entries and write the file at once; falls back to memory where it cannot be written."""
        self.value = replace(self.value, **changes)
        if self.in_memory_only:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self.path, to_json(self.value))
        except (EngineError, OSError) as error:
            self.in_memory_only = str(error)
            _LOG.info("preferences stay in memory: %s", error)

    def remember_folder(self, folder: Path) -> None:
        """Put a folder at the front of the recent ones."""
        name = str(folder)
        others = tuple(entry for entry in self.value.recent if entry != name)
        self.change(recent=(name, *others)[:RECENT_LIMIT])

    def forget_folder(self, name: str) -> None:
        """Take a folder out of the recent ones."""
        self.change(recent=tuple(entry for entry in self.value.recent if entry != name))
