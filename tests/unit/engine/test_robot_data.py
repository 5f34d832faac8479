"""What the robot makes of folders: which images are used, what is measured on, and what is refused."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli.robot import add_arguments
from engine.cli.robot_data import HELD_OUT, open_material, work_folder
from engine.errors import EngineError, ExchangeError, ImageError, StorageError
from engine.measure.robot.tool import Material
from tests.support.robot import make_material


def write(folder: Path, masks: dict[str, np.ndarray], names: str | None = "ground\ncar\ntree\n") -> Path:
    """Black pictures with masks, and a class list unless there shall be none."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name, mask in masks.items():
        Image.new("RGB", mask.shape[1::-1]).save(folder / "images" / name)
        Image.fromarray(mask).save(folder / "masks" / name)
    if names is not None:
        (folder / "classes.txt").write_text(names, encoding="utf-8")
    return folder


def opened(folder: Path, *more: str) -> Material:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--images", str(folder / "images"), "--masks", str(folder / "masks"), *more]
    return open_material(parser.parse_args(words))


def halves(left: int, right: int) -> np.ndarray:
    mask = np.full((8, 10), left, np.uint8)
    mask[:, 5:] = right
    return mask


def same(count: int, left: int = 0, right: int = 1) -> dict[str, np.ndarray]:
    return {f"{place}.png": halves(left, right) for place in range(count)}


def values(material: Material) -> set[int]:
    maps = (material.read_truth(name) for name in (*material.folder, *material.held_out))
    return {int(value) for found in maps for value in np.unique(found)}


def test_images_nobody_knows_anything_of_are_neither_annotated_nor_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = same(5) | {"0.png": halves(255, 255), "4.png": halves(255, 255)}
    material = opened(write(tmp_path / "ä", masks))
    assert list(material.folder) == ["1.png", "2.png"]
    assert list(material.held_out) == [f"{HELD_OUT}3.png"], "the last fifth of what can be measured"
    assert "2 of 5 images" in capsys.readouterr().err


def test_images_without_a_mask_and_values_without_a_class_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "f", same(6) | {"2.png": halves(0, 7), "3.png": halves(1, 9)})
    (folder / "masks" / "1.png").unlink()
    material = opened(folder)
    assert len(material.folder) + len(material.held_out) == 5
    said = capsys.readouterr().err
    assert "1 of 6 images have no mask" in said
    assert "“1.png”" in said
    assert "2 values of the masks belong to no class and are left unlabelled: 7, 9" in said
    assert values(material) == {0, 1, 255}


@pytest.mark.parametrize("value", [2, 99, 254])
def test_a_value_can_be_ignored_whether_or_not_it_can_be_a_class(
    tmp_path: Path, value: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "f", same(4) | {"1.png": halves(value, 1), "3.png": halves(value, 0)}, None)
    assert 255 not in values(opened(folder))
    assert len(opened(folder).classes) == 3
    material = opened(folder, "--ignore", str(value))
    assert values(material) == {0, 1, 255}
    assert material.classes.names == ("class 0", "class 1"), "what is ignored is no class of the tool either"
    assert (material.read_truth(f"{HELD_OUT}3.png")[:, :5] == 255).all()
    assert "belong" not in capsys.readouterr().err, "what was left out on request is not complained of"


def test_an_ignored_class_of_a_list_is_ignored_in_test_masks_too(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a", same(2, 0, 1)), write(tmp_path / "b", same(2, 1, 2))
    more = ("--test-images", str(test / "images"), "--test-masks", str(test / "masks"), "--ignore", "2")
    material = opened(train, *more)
    assert material.classes.names == ("ground", "car")
    assert values(material) == {0, 1, 255}


@pytest.mark.parametrize(
    ("masks", "names", "said"),
    [
        (same(4, 255, 255), "a\nb\n", "holds 0 images whose mask shows a known class"),
        (same(1), "a\nb\n", "holds 1 images whose mask shows a known class"),
        (same(4, 0, 255), "a\nb\n", "show fewer than two classes: a"),
        (same(4, 0, 0) | {"3.png": halves(0, 1)}, "a\nb\n", "show fewer than two classes: a"),
    ],
)
def test_what_would_give_figures_that_say_nothing_is_refused(
    tmp_path: Path, masks: dict[str, np.ndarray], names: str, said: str
) -> None:
    with pytest.raises(ExchangeError, match=said) as error:
        opened(write(tmp_path / "f", masks, names))
    assert "--" in error.value.hint


def test_test_images_nobody_knows_anything_of_are_refused(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a", same(2)), write(tmp_path / "b", same(2, 255, 255))
    with pytest.raises(ExchangeError, match="nothing to measure on"):
        opened(train, "--test-images", str(test / "images"), "--test-masks", str(test / "masks"))


def test_measuring_on_what_was_annotated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "a", same(3))
    material = opened(folder, "--test-images", str(folder / "images"), "--test-masks", str(folder / "masks"))
    assert len(material.held_out) == 3
    assert "3 of 3 test images are annotated too" in capsys.readouterr().err


def test_a_failure_names_the_persons_file_and_not_its_link(tmp_path: Path) -> None:
    material = opened(write(tmp_path / "a", same(3)))

    def fail() -> None:
        with work_folder(material, None) as folder:
            raise ImageError(f"“{folder / '0.png'}” is cut off.", "Copy it again.")

    with pytest.raises(EngineError, match="is cut off") as error:
        fail()
    assert isinstance(error.value, ImageError)
    assert error.value.message == f"“{tmp_path / 'a' / 'images' / '0.png'}” is cut off."
    assert error.value.hint == "Copy it again."


def test_a_session_is_kept_in_a_folder_of_its_own_and_spoils_nobodys_images(tmp_path: Path) -> None:
    material = make_material(tmp_path)
    (one, first), (_, second), *_ = material.folder.items()
    before = first.read_bytes(), second.read_bytes()
    assert before[0] != before[1]
    keep = tmp_path / "kept"
    keep.mkdir()
    (keep / one).hardlink_to(second)  # an earlier session's link to another image of the same name
    with pytest.raises(StorageError, match="is not empty") as error, work_folder(material, keep):
        pass
    assert "another folder" in error.value.hint
    assert (first.read_bytes(), second.read_bytes()) == before
    (keep / one).unlink()
    with work_folder(material, keep) as folder:
        assert (folder / one).read_bytes() == before[0]
