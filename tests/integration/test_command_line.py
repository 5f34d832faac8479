"""The verbs on a small folder: import, train, predict, evaluate, export, check."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli import run
from engine.project.manifest import Split
from engine.project.project import Project

SIZE = (48, 64)
COUNT = 6
CLASSES = [
    {"id": 3, "name": "meadow", "color": [0, 160, 0]},
    {"id": 8, "name": "sky", "color": [90, 160, 255]},
]


def write_pairs(folder: Path, count: int = COUNT) -> None:
    """Green below blue, with noise; ids 3 and 8, one unlabelled row."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for place in range(count):
        rng = np.random.default_rng(place)
        horizon = int(rng.integers(12, 36))
        mask = np.full(SIZE, 3, np.uint8)
        mask[:horizon] = 8
        image = np.where((mask == 8)[:, :, None], (90, 160, 255), (30, 150, 40)) + rng.normal(
            0, 12, (*SIZE, 3)
        )
        mask[horizon] = 255
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"images/é{place}.png")
        Image.fromarray(mask).save(folder / f"masks/é{place}.png")
    (folder / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore_index": 255}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and the checkpoint of a short training."""
    folder = tmp_path_factory.mktemp("work ü")
    write_pairs(folder / "train")
    write_pairs(folder / "val", 2)
    options = ["--steps", "20", "--crop", "48", "--batch", "2", "--device", "cpu", "--evaluate-every", "1"]
    assert run(["train", str(folder / "train"), "--out", str(folder / "net.pt"), *options]) == 0
    return folder


def test_training_writes_a_checkpoint(trained: Path) -> None:
    assert (trained / "net.pt").stat().st_size > 1000


def test_evaluate_skips_and_names_what_cannot_be_read(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "set", 3)
    damaged = tmp_path / "set/images/é1.png"
    damaged.write_bytes(damaged.read_bytes()[:900])
    folders = ["--images", str(tmp_path / "set/images"), "--masks", str(tmp_path / "set/masks")]
    verb = ["evaluate", "--checkpoint", str(trained / "net.pt"), *folders]
    assert run([*verb, "--json", str(tmp_path / "scores.json")]) == 1
    assert "é1.png" in capsys.readouterr().err
    assert json.loads((tmp_path / "scores.json").read_text("utf-8"))["images"] == 2
    for mask in (tmp_path / "set/masks").iterdir():
        Image.new("L", (SIZE[1], SIZE[0]), 255).save(mask)
    assert run(verb) == 1
    assert "Nothing was measured" in capsys.readouterr().err


def test_evaluate_writes_scores(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores_file = tmp_path / "scores.json"
    folders = ["--images", str(trained / "val/images"), "--masks", str(trained / "val/masks")]
    out = ["--json", str(scores_file), "--confusion", str(tmp_path / "matrix"), "--crf", "2"]
    code = run(["evaluate", "--checkpoint", str(trained / "net.pt"), *folders, *out])
    assert code == 0
    scores = json.loads(scores_file.read_text("utf-8"))
    assert set(scores["iou_per_class"]) == {"meadow", "sky"}
    for name in ("frequency_weighted_iou", "boundary_f", "calibration_error"):
        assert 0.0 <= scores[name] <= 1.0
    assert np.sum(scores["confusion"]["counts"]) == scores["pixels"]
    assert sum(part["pixels"] for part in scores["reliability"]) == scores["pixels"]
    assert (tmp_path / "matrix/confusion.csv").read_text("utf-8").startswith("target")
    with Image.open(tmp_path / "matrix/confusion.png") as picture:
        assert picture.width > 100
    assert scores["miou"] == pytest.approx(np.mean(list(scores["iou_per_class"].values())))
    assert 0.0 <= scores["pixel_accuracy"] <= 1.0
    assert scores["pixels"] == 2 * 47 * 64
    assert scores["crf"]["iterations"] == 2
    assert scores["crf"]["pixels"] == scores["pixels"]
    assert 0.0 <= scores["crf"]["miou"] <= 1.0
    shown = capsys.readouterr().out
    assert "mIoU  " in shown
    assert "mIoU, dense CRF, 2" in shown


def test_predict_writes_ids(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    single = shutil.copy(trained / "train/images/é0.png", tmp_path / "single.png")
    paths = [str(trained / "val/images"), str(single), str(bad)]
    out = tmp_path / "out"
    assert run(["predict", *paths, "--checkpoint", str(trained / "net.pt"), "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    assert "3 of 4 images" in captured.out
    assert sorted(path.name for path in out.glob("*.png")) == ["single.png", "é0.png", "é1.png"]
    with Image.open(out / "single.png") as predicted:
        values = np.array(predicted)
    assert values.shape == SIZE
    assert set(np.unique(values).tolist()) <= {3, 8}
    assert (
        run(
            [
                "predict",
                str(single),
                "--checkpoint",
                str(trained / "net.pt"),
                "--out",
                str(out),
                "--format",
                "coco",
            ]
        )
        == 0
    )
    assert json.loads((out / "annotations.json").read_text())["images"][0]["file_name"] == "single.png"


def test_import_train_export_check(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "train", tmp_path / "work")
    images, masks = tmp_path / "work/images", tmp_path / "work/masks"
    assert run(["import", str(images), "--masks", str(masks), "--preview"]) == 0
    assert not (images / "maskloop").exists()
    assert run(["import", str(images), "--masks", str(masks)]) == 0
    assert "meadow" in capsys.readouterr().out
    project = Project.open(images)
    records = list(project.manifest.images.values())
    project.close()
    assert [record.revision for record in records] == [1] * COUNT
    assert {record.split for record in records} == {Split.TRAIN, Split.VAL}
    assert run(["check", str(images)]) == 0
    steps = ["--steps", "2", "--crop", "32", "--batch", "2", "--device", "cpu"]
    assert run(["train", str(images), *steps]) == 0
    project = Project.open(images)
    checkpoint = project.manifest.checkpoint
    project.close()
    assert checkpoint is not None
    out = tmp_path / "out"
    assert run(["export", str(images), "--format", "png", "--out", str(out), "--fill"]) == 0
    with Image.open(out / "label_ids/é0.png") as exported, Image.open(masks / "é0.png") as mask:
        ids, truth = np.array(exported), np.array(mask)
    assert (ids != 255).all(), "filled by the network"
    names = {
        entry["id"]: entry["name"]
        for entry in json.loads((out / "classes.json").read_text("utf-8"))["classes"]
    }
    wanted = {3: "meadow", 8: "sky"}
    known = truth != 255
    assert [names[value] for value in ids[known]] == [wanted[value] for value in truth[known]]
    assert run(["check", str(images)]) == 0


def test_damage_is_found(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "train", tmp_path / "work")
    images = tmp_path / "work/images"
    assert run(["import", str(images), "--masks", str(tmp_path / "work/masks")]) == 0
    label_map = next((images / "maskloop/annotations").rglob("*.png"))
    label_map.write_bytes(label_map.read_bytes()[:30])
    capsys.readouterr()
    assert run(["check", str(images)]) == 1
    assert label_map.name in capsys.readouterr().out
    assert run(["export", str(images), "--format", "coco", "--out", str(tmp_path / "out")]) == 1
    assert len(json.loads((tmp_path / "out/annotations.json").read_text())["images"]) == COUNT - 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train", "{empty}"], "no annotations"),
        (["train", "{empty}", "--val-images", "x"], "belong together"),
        (["train", "{empty}", "--network", "tiny", "--backbone", "resnet50"], "--network fcn"),
        (["export", "{empty}", "--format", "png", "--out", "{empty}/out"], "no project"),
        (["export", "{empty}", "--format", "gif", "--out", "{empty}/out"], "no format"),
        (["predict", "{empty}/gone.png", "--checkpoint", "{net}", "--out", "{empty}/out"], "not there"),
        (["predict", "{empty}", "--checkpoint", "{net}", "--out", "{empty}/out"], "holds no images"),
        (["predict", "{val}", "--checkpoint", "{empty}/gone.pt", "--out", "{empty}/out"], "gone.pt"),
        (
            ["evaluate", "--checkpoint", "{net}", "--images", "{empty}", "--masks", "{empty}"],
            "holds no images",
        ),
        (["import", "{empty}", "--masks", "{empty}/gone"], "not a folder"),
        # Where nothing can be written is said before the work, not after it.
        (["train", "{empty}", "--out", "{net}/x.pt"], "net.pt” could not be written"),
        (["train", "{empty}", "--out", "{empty}"], "it is a folder"),
        (["bench", "losses", "--out", "{net}"], "a file of that name is in the way"),
        (
            ["evaluate", "--checkpoint", "{net}", "--images", "x", "--masks", "x", "--json", "{net}/x"],
            "net.pt” could not be written",
        ),
        (
            ["evaluate", "--checkpoint", "{net}", "--images", "x", "--masks", "x", "--confusion", "{net}"],
            "net.pt” could not be written",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    argv: list[str], words: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [
        part.format(empty=tmp_path, net=trained / "net.pt", val=trained / "val/images") for part in argv
    ]
    assert run(filled) == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1


def test_other_networks_and_data_options(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = trained / "train"
    folders = [str(data / "images"), "--masks", str(data / "masks"), "--classes", str(data / "classes.json")]
    options = [
        "--steps",
        "1",
        "--crop",
        "48",
        "--batch",
        "2",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "a.pt"),
    ]
    assert run(["train", *folders, *options, "--network", "fcn", "--backbone", "tiny"]) == 0
    captured = capsys.readouterr()
    assert "5 images to learn from, 1 held out, 2 classes" in captured.out
    assert "Fcn" in captured.out
    held_out = ["--val-images", str(trained / "val/images"), "--val-masks", str(trained / "val/masks")]
    assert run(["train", *folders, *held_out, *options, "--start-from", str(trained / "net.pt")]) == 0
    assert "6 images to learn from, 2 held out" in capsys.readouterr().out
    assert run(["train", *folders, *options, "--learning-rate", "-1"]) == 1
    assert "learning_rate" in capsys.readouterr().err
    resnet = ["--network", "fcn", "--backbone", "resnet18", "--no-pretrained"]
    assert run(["train", *folders, *options, *resnet]) == 0
    assert (
        run(["predict", str(data / "images"), "--checkpoint", str(tmp_path / "a.pt"), "--out", str(tmp_path)])
        == 0
    )


def test_training_stops_by_the_clock(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--seconds",
        "0.5",
        "--crop",
        "32",
        "--batch",
        "1",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "a.pt"),
    ]
    assert run(["train", str(trained / "train"), *options]) == 0
    assert (tmp_path / "a.pt").exists()
    assert "mIoU" in capsys.readouterr().out


def test_classes_the_network_does_not_know_count_as_wrong(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "val", tmp_path / "val")
    listing = {"classes": [{"id": 3, "name": "meadow"}, {"id": 8, "name": "lake"}]}
    (tmp_path / "val/classes.json").write_text(json.dumps(listing))
    folders = ["--images", str(tmp_path / "val/images"), "--masks", str(tmp_path / "val/masks")]
    scores_file = tmp_path / "s.json"
    code = run(["evaluate", "--checkpoint", str(trained / "net.pt"), *folders, "--json", str(scores_file)])
    assert code == 0
    assert json.loads(scores_file.read_text())["iou_per_class"]["lake"] == 0.0


def test_fill_needs_a_network_and_skips_what_cannot_be_read(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "train", tmp_path / "work")
    images = tmp_path / "work/images"
    assert run(["import", str(images), "--masks", str(tmp_path / "work/masks")]) == 0
    export = ["export", str(images), "--format", "coco", "--out", str(tmp_path / "out"), "--fill"]
    assert run(export) == 1
    assert "no trained network" in capsys.readouterr().err
    (images / "new.png").write_bytes(b"broken")
    (images / "é0.png").write_bytes((images / "é0.png").read_bytes()[:200])
    assert run([*export, "--checkpoint", str(trained / "net.pt")]) == 1
    err = capsys.readouterr().err
    assert "new.png" in err
    assert "é0.png" in err
    assert len(json.loads((tmp_path / "out/annotations.json").read_text())["images"]) == COUNT - 1


def test_import_says_what_it_leaves_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "train", tmp_path / "work")
    masks = tmp_path / "work/masks"
    (masks / "é1.png").rename(masks / "other.png")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(masks / "é2.png")
    assert run(["import", str(tmp_path / "work/images"), "--masks", str(masks)]) == 1
    captured = capsys.readouterr()
    assert "Without an image: other.png." in captured.out
    assert "Images without a mask: é1.png." in captured.out
    assert "é2.png" in captured.err


def test_a_project_in_use_is_not_imported_into(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "train", tmp_path / "work")
    images = tmp_path / "work/images"
    verb = ["import", str(images), "--masks", str(tmp_path / "work/masks")]
    assert run(verb) == 0
    project = Project.open(images)
    try:
        capsys.readouterr()
        assert run(verb) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
    finally:
        project.close()
