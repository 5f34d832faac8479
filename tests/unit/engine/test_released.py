"""Published checkpoint files: read safely, reported by name, written as ours, equal in what they predict."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.annotate.data_sets import class_table, data_set_of, data_sets
from engine.cli import run
from engine.cli.settings import settings_of, with_settings
from engine.errors import CheckpointError, EngineError
from engine.learn.checkpoint import read_checkpoint, restore
from engine.learn.checkpoint_files import list_checkpoints
from engine.learn.released import read_released, save_released
from models.build import build_model
from models.configs import OutputStride
from models.idrnet_configs import IdrnetConfig
from models.memory_configs import McibiPlusPlusConfig
from models.weights import load_state
from tests.support.published import BACKBONE, SMALL, published_state, small_network
from tests.support.reference_data import stored

NAME = {
    "idrnet": "idrnet_ppm_resnet50os8_lip.pth",
    "mcibi": "mcibi_deeplabv3_r50_lip.pth",
    "mcibiplusplus": "mcibiplusplus_ppm_resnet50os8_lip.pth",
}


def write(
    folder: Path, family: str, classes: int = 20, changes: Mapping[str, Tensor | None] | None = None
) -> tuple[Path, torch.nn.Module]:
    """Writes a file as the authors' training does, and returns it with the network inside.

    Tensors of `changes` are put in; None takes one out.
    """
    model = small_network(family, classes)
    state = {**published_state(model, family), **(changes or {})}
    kept = {name: values for name, values in state.items() if values is not None}
    path = folder / NAME[family]
    torch.save({"model": kept, "cur_epoch": 2, "cur_iter": 77, "optimizer": {"state": {}}}, path)
    return path, model


def logits_of(model: Any) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.eval()(torch.linspace(-2, 2, 3 * 40 * 56).view(1, 3, 40, 56)).logits
    return logits


@pytest.mark.parametrize("family", SMALL)
def test_an_imported_file_predicts_what_the_network_predicted(tmp_path: Path, family: str) -> None:
    path, model = write(tmp_path, family)
    imported = read_released(path)
    report = imported.report
    assert report.complete
    assert report.left_over == ()
    assert len(report.used) == len(published_state(small_network(family, 20), family))
    assert report.classes.names[:3] == ("background", "hat", "hair")
    out = save_released(imported, tmp_path / "ours.pt")

    checkpoint = read_checkpoint(out)
    assert checkpoint.about.step == 77
    assert len(checkpoint.about.classes) == 20
    again = build_model(checkpoint.about.network, 20, seed=2)
    assert restore(again, checkpoint, checkpoint.about.classes).is_exact
    assert torch.equal(logits_of(again), logits_of(model))


@pytest.mark.golden
@pytest.mark.parametrize(
    "name",
    ["idrnet_fcn_r18", "idrnet_aspp_r18_sa_after", "mcibi_deeplabv3_r18", "mcibipp_ppm_r18", "head_ocrnet"],
)
def test_stored_states_are_imported_whole(tmp_path: Path, name: str) -> None:
    case = stored(name)
    torch.save({"model": case["state"]}, tmp_path / f"{name}.pth")
    imported = read_released(tmp_path / f"{name}.pth")
    assert imported.report.complete
    assert imported.report.left_over == ()
    assert set(imported.report.used) | set(imported.report.computed) == set(case["state"])
    changes: dict[str, Any] = {"dilations": (1, 2, 3, 4)}  # of the small cases; files do not tell
    network: Any = imported.checkpoint.about.network
    if hasattr(network, "dilations"):
        network = replace(network, **changes)
    model = build_model(network, 6, seed=0).eval()
    assert load_state(model, imported.checkpoint.weights).complete
    with torch.no_grad():
        found = model(case["images"]).logits
    size = case["images"].shape[-2:]
    expected = torch.nn.functional.interpolate(case["eval_logits"], size=size, mode="bilinear")
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", ["idrnet_fcn_r18", "idrnet_aspp_r18_sa_after", "mcibi_deeplabv3_r18", "mcibipp_ppm_r18"]
)
def test_a_file_saved_in_the_middle_of_training_predicts_what_the_authors_code_predicted(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way by the command: wrapped names, optimizer and scaler beside them, settings by hand."""
    case = stored(name)
    state = case["state"]
    moments = {number: {"momentum_buffer": values} for number, values in enumerate(state.values())}
    groups = [{"lr": 0.01, "momentum": 0.9, "params": list(moments)}]
    file = tmp_path / "checkpoints-epoch-130.pth"
    torch.save(
        {
            "cur_epoch": 130,
            "cur_iter": 164_190,
            "model": {f"module.{key}": values for key, values in state.items()},
            "optimizer": {"state": moments, "param_groups": groups},
            "grad_scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 7},
        },
        file,
    )
    said = () if name == "idrnet_fcn_r18" else ("--set", "dilations=1,2,3,4")
    checkpoint = read_checkpoint(import_to(tmp_path / "ours.pt", file, *said))
    assert "0 missing, 0 left over" in capsys.readouterr().out
    assert checkpoint.about.step == 164_190

    kept = {
        "context.relations.mean": "class_relations_mean",
        "context.relations.variance": "class_relations_var",
    }
    kept |= {"context.relations.vectors": "dl_cls_representations", "memory.memory": "memory_module.memory"}
    carried = [own for own, theirs in kept.items() if theirs in state]
    assert carried
    for own in carried:
        assert torch.equal(checkpoint.weights[own], state[kept[own]])

    model = build_model(checkpoint.about.network, 6, seed=3).eval()
    assert restore(model, checkpoint, checkpoint.about.classes).is_exact
    with torch.no_grad():
        found = model(case["images"]).logits
    expected = torch.nn.functional.interpolate(
        case["eval_logits"], size=case["images"].shape[-2:], mode="bilinear"
    )
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def test_what_is_missing_and_left_over_is_named(tmp_path: Path) -> None:
    path, _ = write(
        tmp_path, "idrnet", changes={"decoder_stage2.4.bias": None, "extra.weight": torch.zeros(2)}
    )
    imported = read_released(path)
    assert imported.report.missing == ("decoder.4.bias",)
    assert imported.report.left_over == ("extra.weight",)
    with pytest.raises(CheckpointError, match=r"decoder\.4\.bias"):
        save_released(imported, tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_a_tensor_of_another_shape_is_missing_and_left_over(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "idrnet", changes={"decoder_stage2.4.bias": torch.zeros(7)})
    report = read_released(path).report
    assert report.missing == ("decoder.4.bias",)
    assert report.left_over == ("decoder_stage2.4.bias",)


def test_old_files_without_counters_of_batches_are_whole(tmp_path: Path) -> None:
    model = small_network("mcibi", 20)
    state = published_state(model, "mcibi")
    torch.save(
        {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}, tmp_path / "a_lip.pth"
    )
    report = read_released(tmp_path / "a_lip.pth").report
    assert report.complete
    assert report.left_over == ()


def test_doubtful_class_state_is_told(tmp_path: Path) -> None:
    vectors = torch.zeros(20, 16)
    vectors[0, 0] = float("nan")
    path, _ = write(tmp_path, "idrnet", changes={"dl_cls_representations": vectors})
    notes = " ".join(read_released(path).report.notes)
    assert "not a number" in notes
    assert "19 of its 20 classes" in notes


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("code of the file runs",))


def test_code_in_a_file_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": {"a": torch.zeros(1)}, "x": Harmful()}, tmp_path / "bad.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    for name in ("bad.pth", "raw.pth"):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_released(tmp_path / name)
    assert "runs" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2], "no tensors"),
        ({"epoch": 3}, "no tensors"),
        ({"a.weight": torch.zeros(1)}, "names of no network"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, content: Any, why: str) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=why):
        read_released(tmp_path / "other.pth")


def test_a_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not there"):
        read_released(tmp_path / "none.pth")


def test_classes_are_numbered_where_the_name_tells_no_data_set(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "mcibi", classes=3)
    report = read_released(path).report
    assert report.classes.names == ("class 1", "class 2", "class 3")
    assert any("numbered" in note for note in report.notes)


def test_a_given_class_list_must_fit(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "mcibi", classes=3)
    table = class_table(("a", "b", "c"))
    assert read_released(path, classes=table).report.classes == table
    with pytest.raises(CheckpointError, match="has 2 classes"):
        read_released(path, classes=class_table(("a", "b")))


def test_a_project_lists_what_was_imported_into_it(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "idrnet")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    written = save_released(read_released(path), folder, name="from the paper")
    (info,) = list_checkpoints(folder)
    assert (info.path, info.name, info.step) == (written, "from-the-paper", 77)


def test_the_verb_reports_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write(tmp_path, "idrnet", changes={"extra.weight": torch.zeros(2)})
    assert run(["import-checkpoint", str(path), "--check"]) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert run(["import-checkpoint", str(path), "--all", "--out", str(tmp_path / "new.pt")]) == 0
    shown = capsys.readouterr()
    assert "class_relations_mean" in shown.out
    assert "extra.weight" in shown.out
    assert "LIP" in shown.err
    assert len(read_checkpoint(tmp_path / "new.pt").about.classes) == 20
    assert run(["import-checkpoint", str(path)]) == 0
    assert path.with_suffix(".pt").is_file()


def test_the_verb_never_overwrites_what_it_reads(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "mcibi")
    own = path.rename(path.with_suffix(".pt"))
    before = own.read_bytes()
    assert run(["import-checkpoint", str(own)]) == 0
    assert own.read_bytes() == before
    assert own.with_name(f"{own.stem}-imported.pt").is_file()


def test_the_verb_fails_where_something_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = write(tmp_path, "mcibi", changes={"decoder_stage2.4.bias": None})
    assert run(["import-checkpoint", str(path), "--check"]) == 1
    assert run(["import-checkpoint", str(path)]) == 1
    assert "does not fit" in capsys.readouterr().err


def test_what_a_file_does_not_tell_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = write(tmp_path, "mcibiplusplus", classes=150)
    path = path.rename(tmp_path / "renamed.pth")
    out = tmp_path / "ours.pt"
    plain = read_checkpoint(import_to(out, path)).about
    assert isinstance(plain.network, McibiPlusPlusConfig)
    assert not plain.network.gather_by_pixels
    assert plain.classes.names[0] == "class 1"

    # By its published name: ADE20K's PPM network gathers by pixels.
    told = read_checkpoint(import_to(out, path, "--as", "mcibiplusplus_ppm_resnet50os8_ade20k.pth")).about
    assert told.network == replace(plain.network, gather_by_pixels=True)
    assert told.classes.names[0] == "wall"

    # Setting by setting.
    settings = ("gather_by_pixels=Yes", "backbone.output_stride=16", "refinements=2", "dilations=1, 6,12")
    changed = read_checkpoint(import_to(out, path, *(x for each in settings for x in ("--set", each))))
    backbone: Any = plain.network.backbone
    expected = replace(
        plain.network,
        gather_by_pixels=True,
        refinements=2,
        dilations=(1, 6, 12),
        backbone=replace(backbone, output_stride=OutputStride.STRIDE16),
    )
    assert changed.about.network == expected
    own = model.state_dict()
    assert all(torch.equal(values, own[name]) for name, values in changed.weights.items())
    capsys.readouterr()
    assert run(["import-checkpoint", str(path), "--check", "--all", "--set", "momentum=0.25"]) == 0
    shown = capsys.readouterr().out
    assert "  momentum=0.25\n" in shown
    assert "  backbone.output_stride=8\n" in shown
    assert "  gather_by_pixels=no\n" in shown


def import_to(out: Path, file: Path, *more: str) -> Path:
    """Imports by the verb."""
    assert run(["import-checkpoint", str(file), "--out", str(out), *more]) == 0
    return out


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dilations", "NAME=VALUE"),
        ("nothing=1", "no setting “nothing”"),
        ("backbone=resnet", "backbone.output_stride"),
        ("width.x=1", "no single setting"),
        ("backbone.output_stride=9", "Choose one of: 8, 16, 32"),
        ("width=wide", "of type int"),
        ("width=1", "between 4 and 2048"),
        ("gather_by_pixels=maybe", "of type bool"),
        ("dilations=a,b", "numbers with commas"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_words(setting: str, words: str) -> None:
    with pytest.raises(EngineError) as caught:
        with_settings(SMALL["mcibiplusplus"][0], [setting])
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_settings_are_written_as_they_are_read() -> None:
    config = SMALL["idrnet"][0]
    texts = [f"{name}={value}" for name, value in settings_of(config)]
    assert "context_refinement=after" in texts
    assert with_settings(IdrnetConfig(backbone=BACKBONE), texts) == config


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ade20k", 150),
        ("cityscapes", 19),
        ("coco-stuff", 182),
        ("lip", 20),
        ("pascal-context", 59),
        ("pascal-voc", 21),
        ("vspw", 124),
    ],
)
def test_public_data_sets_have_their_classes(name: str, count: int) -> None:
    found = {data_set.name: data_set for data_set in data_sets()}[name]
    table: ClassTable = class_table(found.classes)
    assert len(table) == count
    for part in found.file_names:
        assert data_set_of(f"mcibi_{part.upper()}.pth", count) == found
        assert data_set_of(f"mcibi_{part}.pth", count - 1) is None
