import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.classes import ClassTable
from engine.errors import CheckpointError, StorageError
from engine.learn.checkpoint import (
    Checkpoint,
    CheckpointAbout,
    match_classes,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from engine.learn.optimizer_state import OptimizerState
from models.build import build_model
from tests.support.learning import BOX, CLASSES, LOSS, NETWORK, SKY

IMAGE = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)


def _about(classes: ClassTable = CLASSES, **changes: Any) -> CheckpointAbout:
    values: dict[str, Any] = {"network": NETWORK, "loss": LOSS, "classes": classes, "step": 12}
    return CheckpointAbout(**values | changes)


def _saved(path: Path) -> Checkpoint:
    model = build_model(NETWORK, 3, seed=1)
    optimizer = OptimizerState(values={"a.weight": {"exp_avg": torch.ones(2)}}, cycle_position=3.0)
    checkpoint = Checkpoint(
        about=_about(miou=0.5, cycle_position=3.0), weights=model.state_dict(), optimizer=optimizer
    )
    save_checkpoint(path, checkpoint)
    return checkpoint


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(IMAGE).logits
    return logits


def test_everything_comes_back(tmp_path: Path) -> None:
    saved = _saved(tmp_path / "c.pt")
    again = read_checkpoint(tmp_path / "c.pt")
    assert again.about == saved.about
    assert again.weights.keys() == saved.weights.keys()
    assert all(torch.equal(again.weights[name], saved.weights[name]) for name in saved.weights)
    assert again.optimizer is not None
    assert again.optimizer.cycle_position == 3.0
    assert torch.equal(again.optimizer.values["a.weight"]["exp_avg"], torch.ones(2))


def test_a_checkpoint_without_optimizer_is_whole_too(tmp_path: Path) -> None:
    model = build_model(NETWORK, 3, seed=1)
    save_checkpoint(tmp_path / "c.pt", Checkpoint(about=_about(), weights=model.state_dict()))
    assert read_checkpoint(tmp_path / "c.pt").optimizer is None


def test_the_same_classes_give_the_same_logits(tmp_path: Path) -> None:
    _saved(tmp_path / "c.pt")
    model = build_model(NETWORK, 3, seed=2)
    report = restore(model, read_checkpoint(tmp_path / "c.pt"), CLASSES)
    assert report.is_exact
    assert torch.equal(_logits(model), _logits(build_model(NETWORK, 3, seed=1)))


def test_another_class_table_keeps_what_both_know(tmp_path: Path) -> None:
    _saved(tmp_path / "c.pt")
    old = _logits(build_model(NETWORK, 3, seed=1))
    table = CLASSES.remove(SKY).add("tree").move(BOX, 0)
    model = build_model(NETWORK, len(table), seed=2)
    report = restore(model, read_checkpoint(tmp_path / "c.pt"), table)
    assert (report.new_classes, report.dropped_classes) == (("tree",), ("sky",))
    assert "tree" in report.sentences[0]
    assert "sky" in report.sentences[1]
    new = _logits(model)
    assert table.names == ("box", "ground", "tree")
    assert torch.allclose(new[:, 0], old[:, 2])
    assert torch.allclose(new[:, 1], old[:, 1])


def test_another_number_of_classes_loads_too(tmp_path: Path) -> None:
    _saved(tmp_path / "c.pt")
    table = CLASSES.add("tree").add("car")
    model = build_model(NETWORK, 5, seed=2)
    report = restore(model, read_checkpoint(tmp_path / "c.pt"), table)
    assert report.load.complete
    assert torch.allclose(_logits(model)[:, :3], _logits(build_model(NETWORK, 3, seed=1)))


def test_classes_match_by_name_and_renamed_ones_by_index() -> None:
    assert match_classes(CLASSES, CLASSES.rename(SKY, "heaven")) == (0, 1, 2)
    foreign = ClassTable().add("x").add("BOX").add("Sky").add("water")
    # "water" has the number of another table's "box"; that means nothing.
    assert match_classes(CLASSES, foreign) == (None, 2, 0, None)


@given(st.permutations(["a", "b", "c", "d", "e"]), st.integers(1, 5))
def test_matching_by_name_ignores_order(names: list[str], count: int) -> None:
    old, new = ClassTable(), ClassTable()
    for name in "abcde":
        old = old.add(name)
    for name in names[:count]:
        new = new.add(name.upper())
    assert match_classes(old, new)[:count] == tuple("abcde".index(name) for name in names[:count])


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "cut", "text", "zip", "foreign", "no weights", "newer"]
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.pt"
    _saved(path)
    whole = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "text":
            path.write_text("not a checkpoint")
        case "zip":
            path.write_bytes(b"PK\x05\x06" + bytes(18))
        case "foreign":
            torch.save({"state_dict": {}}, path)
        case "no weights":
            from engine.codec import dumps

            torch.save({"format": "maskloop checkpoint", "about": dumps(_about()), "weights": [1]}, path)
        case "newer":
            torch.save({"format": "maskloop checkpoint", "about": '{"future": 1}', "weights": {}}, path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "c.pt" in caught.value.message
    assert caught.value.hint


class Evil:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("evil"),)


def test_code_inside_a_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "maskloop checkpoint", "about": Evil()}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "evil").exists()
    buffer = io.BytesIO()
    pickle.dump(Evil(), buffer)
    (tmp_path / "c.pt").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
        b"\x80\x02.",
        b"\x80\x02h\x05.",
        b"",
    ],
)
def test_a_senseless_list_of_instructions_is_damage(tmp_path: Path, program: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "odd.pt", "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "odd.pt")


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _saved(tmp_path / "c.pt")
    with (
        zipfile.ZipFile(tmp_path / "c.pt") as whole,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in whole.namelist():
            bomb.writestr(name, bytes(1 << 22) if name.endswith("/data/0") else whole.read(name))
    monkeypatch.delattr(torch, "load")
    with pytest.raises(CheckpointError, match="unpack to more"):
        read_checkpoint(tmp_path / "bomb.pt")


def test_one_changed_bit_is_damage(tmp_path: Path) -> None:
    _saved(tmp_path / "c.pt")
    with zipfile.ZipFile(tmp_path / "c.pt") as archive:
        part = next(part for part in archive.infolist() if part.filename.endswith("/data/0"))
    content = bytearray((tmp_path / "c.pt").read_bytes())
    name, extra = struct.unpack_from("<HH", content, part.header_offset + 26)
    content[part.header_offset + 30 + name + extra] ^= 1
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="was changed since"):
        read_checkpoint(tmp_path / "c.pt")


def test_a_checkpoint_of_no_class_is_refused(tmp_path: Path) -> None:
    model = build_model(NETWORK, 3, seed=1)
    about = _about(ClassTable())
    save_checkpoint(tmp_path / "c.pt", Checkpoint(about=about, weights=model.state_dict()))
    with pytest.raises(CheckpointError, match="class table is empty"):
        read_checkpoint(tmp_path / "c.pt")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pt"
    _saved(path)
    before = path.read_bytes()

    def refuse(path: Path, data: bytes) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr("engine.learn.checkpoint.atomic_write", refuse)
    with pytest.raises(StorageError):
        save_checkpoint(path, Checkpoint(about=_about(step=99), weights={}))
    assert path.read_bytes() == before
