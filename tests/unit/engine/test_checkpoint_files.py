import os
from pathlib import Path

import pytest

from engine.errors import StorageError
from engine.learn.checkpoint_files import checkpoint_path, list_checkpoints, prune_checkpoints


def _make(folder: Path, step: int, miou: float | None = None, name: str | None = None) -> Path:
    path = checkpoint_path(folder, step=step, miou=miou, name=name)
    path.write_bytes(b"x")
    os.utime(path, (1_700_000_000 + step, 1_700_000_000 + step))
    return path


def test_a_list_tells_what_the_names_say(tmp_path: Path) -> None:
    _make(tmp_path, 10, 0.5)
    _make(tmp_path, 20, 0.25, "good start")
    _make(tmp_path, 30)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "foreign.pt").write_text("x")
    found = list_checkpoints(tmp_path)
    assert [(info.step, info.miou, info.name, info.is_best) for info in found] == [
        (30, None, "", False),
        (20, 0.25, "good-start", False),
        (10, 0.5, "", True),
    ]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "none") == ()


@pytest.mark.parametrize("name", ["a/b", "..", "  ", "step-00000001", "ä ö", "x" * 300, "con:"])
def test_no_name_leads_out_of_the_folder_or_hides_a_checkpoint(tmp_path: Path, name: str) -> None:
    path = _make(tmp_path, 5, 1.0, name)
    assert path.parent == tmp_path
    (info,) = list_checkpoints(tmp_path)
    assert (info.path, info.step, info.miou) == (path, 5, 1.0)


def test_newest_best_named_and_used_ones_stay(tmp_path: Path) -> None:
    best = _make(tmp_path, 1, 0.9)
    named = _make(tmp_path, 2, 0.1, "mine")
    used = _make(tmp_path, 3, 0.2)
    old = _make(tmp_path, 4, 0.3)
    newest = [_make(tmp_path, step) for step in (5, 6)]
    assert prune_checkpoints(tmp_path, 2, in_use=(used,)) == (old,)
    assert {info.path for info in list_checkpoints(tmp_path)} == {best, named, used, *newest}


def test_a_file_that_cannot_be_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, 1)
    _make(tmp_path, 2)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="step-00000001"):
        prune_checkpoints(tmp_path, 1)


def test_a_checkpoint_that_goes_while_somebody_looks_is_left_out(tmp_path: Path) -> None:
    kept = checkpoint_path(tmp_path, step=1, miou=None)
    kept.touch()
    # A link to nothing is listed and then not there, like a file that was just deleted.
    checkpoint_path(tmp_path, step=2, miou=None).symlink_to(tmp_path / "gone")
    assert [info.path for info in list_checkpoints(tmp_path)] == [kept]
