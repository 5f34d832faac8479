"""``maskloop inspect`` writes pictures and numbers of what is inside a network."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.cli import run
from engine.inspect.mask_shift import MaskShift
from engine.learn.checkpoint import Checkpoint, CheckpointAbout, read_checkpoint, save_checkpoint
from models.build import build_model
from models.catalog import MODELS
from models.configs import CrossEntropyConfig

CLASSES = ClassTable().add("gone").add("sky").add("road / path").add("tree").remove(0)
SIZE = (48, 64)


def written(folder: Path, name: str) -> tuple[str, str]:
    """An image and a checkpoint of a network that nobody trained: enough to look inside."""
    torch.manual_seed(0)
    config: Any = next(spec for spec in MODELS if spec.name == name).tiny()
    model = build_model(config, len(CLASSES), seed=0)
    for key, values in model.named_buffers():
        if key.endswith(("memory.memory", "relations.vectors")):
            values.normal_()
    about = CheckpointAbout(
        network=config, loss=CrossEntropyConfig(), classes=CLASSES, step=5, miou=None, cycle_position=0.0
    )
    content = Checkpoint(about=about, weights=model.state_dict(), optimizer=None)
    save_checkpoint(folder / f"{name}.pt", content)
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    return str(folder / "image.png"), str(folder / f"{name}.pt")


def inspect(folder: Path, name: str, *options: str) -> set[str]:
    image, checkpoint = written(folder, name)
    code = run(
        [
            "inspect",
            image,
            "--checkpoint",
            checkpoint,
            "--device",
            "cpu",
            "--out",
            str(folder / "out"),
            *options,
        ]
    )
    assert code == 0
    return {path.name for path in (folder / "out").iterdir()}


def test_relations_are_matrices_with_names(tmp_path: Path) -> None:
    files = inspect(tmp_path, "idrnet", "--view", "relations")
    for name in ("relation_mean", "relation_mean_image", "relation_mean_difference", "relation_variance"):
        assert {f"{name}.png", f"{name}.csv"} <= files
    with (tmp_path / "out/relation_mean_image.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    assert rows[0][1:] == list(CLASSES.names)
    assert [row[0] for row in rows[1:]] == list(CLASSES.names)


def test_a_pixel_is_explained_in_numbers(tmp_path: Path) -> None:
    files = inspect(tmp_path, "tiny", "--view", "why", "--at", "10,20")
    assert files == {"why.json", "why.csv", "why.png"}
    why = json.loads((tmp_path / "out/why.json").read_text("utf-8"))
    assert (why["y"], why["x"]) == (10, 20)
    assert why["method"] == "linear"
    assert sum(why["contributions"].values()) + why["remainder"] == pytest.approx(why["margin"], abs=1e-4)


def test_memory_and_attention_and_structure(tmp_path: Path) -> None:
    Image.fromarray(np.full(SIZE, CLASSES.indices[0], np.uint8)).save(tmp_path / "mask.png")
    files = inspect(tmp_path, "mcibi", "--mask", str(tmp_path / "mask.png"))
    assert {"memory.png", "memory.csv", "memory.json", "similarity.csv"} <= files
    assert {"shares_sky.png", "shares_road_path.png", "shares_road_path.csv"} <= files
    assert {"pseudo_label.png", "final.png", "disagreement.png", "disagreement.csv"} <= files
    assert {"entropy.png", "margin.png", "augmentation.png", "uncertainty.json", "structure.png"} <= files


def test_gates_are_shown(tmp_path: Path) -> None:
    files = inspect(tmp_path, "spgnet", "--view", "attention")
    assert {"gate_stage1.png", "gate_stage1.csv", "gate_classes_stage1_sky.png"} <= files


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--view", "why"), "--at"),
        (("--view", "why", "--at", "48,0"), "48 rows"),
        (("--at", "0,64"), "from 0,0 to 47,63"),
        (("--view", "memory"), "no memory"),
        (("--view", "relations"), "no relations"),
        (("--view", "pseudo-label"), "no first stage"),
        (("--view", "structure"), "no label"),
        (("--mask", "missing.png"), "“missing.png” is not a file"),
    ],
)
def test_what_cannot_be_shown_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    image, checkpoint = written(tmp_path, "tiny")
    out = str(tmp_path / "out")
    assert run(["inspect", image, "--checkpoint", checkpoint, "--device", "cpu", "--out", out, *options]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((3, 4), np.uint8), "4 x 3 pixels, the image 64 x 48"),
        (np.full(SIZE, 200, np.uint8), "no class of this network"),
        (np.full((*SIZE, 3), (1, 2, 3), np.uint8), "holds colours"),
    ],
)
def test_a_mask_that_fits_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mask: np.ndarray, words: str
) -> None:
    image, checkpoint = written(tmp_path, "tiny")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = ["--mask", str(tmp_path / "mask.png"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert run(["inspect", image, "--checkpoint", checkpoint, *options]) == 1
    assert words in capsys.readouterr().err


def test_a_mask_is_told_by_which_move_it_would_fit(tmp_path: Path) -> None:
    sky, tree = CLASSES.indices[0], CLASSES.indices[-1]
    mask = np.where(np.arange(SIZE[1]) < 30, sky, tree) * np.ones((SIZE[0], 1))
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "mask.png")
    files = inspect(tmp_path, "tiny", "--view", "structure", "--mask", str(tmp_path / "mask.png"))
    assert files == {"structure.png", "structure.csv", "structure.json"}
    said = json.loads((tmp_path / "out/structure.json").read_text("utf-8"))
    move = said["mask_fits_better_moved_by"]
    if round(said["score"], 2) > 0:
        assert sorted((abs(move["columns"]), abs(move["rows"]))) == [0, 2]
        assert said["sentence"].startswith("The labels fit better moved by 2 px")
    else:
        assert move is None
        assert "lie where they should" in said["sentence"]
    assert said["score"] < 1.0


def test_no_move_is_named_where_none_fits_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = MaskShift(score=-0.2, move=(0, 2), tried=(2, 2), is_exact=True)
    monkeypatch.setattr("engine.inspect.files.mask_shift", lambda _look, _mask: known)
    Image.fromarray(np.full(SIZE, CLASSES.indices[0], np.uint8)).save(tmp_path / "mask.png")
    inspect(tmp_path, "tiny", "--view", "structure", "--mask", str(tmp_path / "mask.png"))
    said = json.loads((tmp_path / "out/structure.json").read_text("utf-8"))
    assert said == {"mask_fits_better_moved_by": None, "score": -0.2, "sentence": known.sentence}
    assert "no move by 2 px" in known.sentence


@pytest.mark.parametrize(("weights", "words"), [("another", "does not hold"), ("poisoned", "no numbers")])
def test_a_file_that_is_not_the_network_it_names_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: str, words: str
) -> None:
    image, checkpoint = written(tmp_path, "tiny")
    content = read_checkpoint(Path(checkpoint))
    wrong = content.weights
    if weights == "another":
        wrong = read_checkpoint(Path(written(tmp_path, "fcn")[1])).weights
    else:
        next(values for values in wrong.values() if values.is_floating_point()).fill_(float("nan"))
    save_checkpoint(Path(checkpoint), replace(content, weights=wrong))
    command = ["inspect", image, "--checkpoint", checkpoint, "--device", "cpu"]
    assert run([*command, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert checkpoint in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_pixel_that_is_none_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "a.png", "--checkpoint", "b.pt", "--at", "here", "--out", "c"]) == 2
    assert "no pixel" in capsys.readouterr().err
