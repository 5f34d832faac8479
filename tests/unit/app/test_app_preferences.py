"""Preferences survive anything: bad files, unknown keys, folders that cannot be written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.preferences import Preferences, PreferenceStore, default_path, parse, to_json
from app.theme import Theme
from engine.annotate.stroke import PaintRule
from engine.config import Device


def test_round_trip() -> None:
    value = Preferences(
        theme=Theme.LIGHT,
        device=Device.CPU,
        recent=("/a", "/ü"),
        rule=PaintRule.EVERYTHING,
        brush_radius=3.5,
        wheel_scrolls=True,
    )
    assert parse(to_json(value)) == (value, ())


@pytest.mark.parametrize(
    ("entry", "bad"),
    [
        ("theme", "pink"),
        ("wheel_scrolls", "yes"),
        ("brush_radius", -1),
        ("brush_radius", True),
        ("recent", "/a"),
        ("recent", [1]),
        ("rule", "NEVER"),
        ("rule", 3),
        ("prediction_opacity", 1.5),
        ("geometry", None),
    ],
)
def test_a_bad_entry_is_skipped_alone(entry: str, bad: object) -> None:
    data = {"device": "cpu", entry: bad}
    value, notices = parse(json.dumps(data).encode())
    assert value == Preferences(device=Device.CPU)
    assert len(notices) == 1
    assert entry in notices[0]


def test_an_unknown_entry_is_skipped_alone() -> None:
    value, notices = parse(b'{"colour": 1, "device": "cuda"}')
    assert value.device is Device.CUDA
    assert "colour" in notices[0]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_file_gives_the_usual_settings(data: bytes) -> None:
    value, notices = parse(data)
    assert value == Preferences()
    assert len(notices) == 1


@given(st.binary(max_size=200))
def test_parse_never_fails(data: bytes) -> None:
    value, _ = parse(data)
    assert isinstance(value, Preferences)


def test_changes_are_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "preferences.json"
    store = PreferenceStore.load(path)
    store.change(theme=Theme.SYSTEM)
    assert PreferenceStore.load(path).value.theme is Theme.SYSTEM


def test_memory_is_used_where_the_folder_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    store = PreferenceStore.load(blocked / "preferences.json")
    store.change(theme=Theme.LIGHT)
    store.change(brush_radius=5.0)
    assert store.value.theme is Theme.LIGHT
    assert store.value.brush_radius == 5.0
    assert store.in_memory_only


def test_a_preferences_file_that_is_a_folder_is_told(tmp_path: Path) -> None:
    store = PreferenceStore.load(tmp_path)
    assert store.value == Preferences()
    assert len(store.notices) == 1


def test_recent_folders_are_unique_newest_first_and_few(tmp_path: Path) -> None:
    store = PreferenceStore.load(tmp_path / "p.json")
    for number in range(12):
        store.remember_folder(Path(f"/f{number}"))
    store.remember_folder(Path("/f8"))
    assert store.value.recent[:3] == ("/f8", "/f11", "/f10")
    assert len(store.value.recent) == 8
    store.forget_folder("/f8")
    assert "/f8" not in store.value.recent


def test_the_default_place_belongs_to_the_user() -> None:
    assert default_path().name == "preferences.json"
    assert "maskloop" in default_path().parts
