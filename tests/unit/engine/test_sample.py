"""The embedded example: deterministic, exact, varied."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.class_files import read_class_file
from engine.sample.scenes import (
    SAMPLE_CLASSES,
    SAMPLE_SIZE,
    generate_scene,
    image_name,
    truth_folder,
    write_sample,
)


def test_same_seed_same_scene() -> None:
    first, again, other = generate_scene(1, 2), generate_scene(1, 2), generate_scene(2, 2)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[1] != other[1]).any()


@pytest.mark.parametrize("index", [0, 3])
def test_scene_is_whole_and_exact(index: int) -> None:
    image, label_map = generate_scene(0, index)
    assert image.shape == (*SAMPLE_SIZE, 3)
    assert image.dtype == label_map.dtype == np.uint8
    assert label_map.shape == SAMPLE_SIZE
    assert set(np.unique(label_map).tolist()) <= set(SAMPLE_CLASSES.indices)
    assert {0, 2, 3} <= set(np.unique(label_map).tolist())
    # Edges of the label map are edges of the picture: the two were painted with the same outlines.
    contrast = np.abs(np.diff(image.astype(int).sum(axis=2), axis=1))
    borders = np.diff(label_map.astype(int), axis=1) != 0
    assert contrast[borders].mean() > 2 * contrast[~borders].mean()


def test_thin_and_small_things_occur() -> None:
    counts = sum(np.bincount(generate_scene(0, index)[1].reshape(-1), minlength=8) for index in range(3))
    share = counts / counts.sum()
    assert len(SAMPLE_CLASSES) == 8
    assert (share > 0.001).all()
    assert share[5:].sum() < 0.25


def test_written_sample_keeps_truth_outside(tmp_path: Path) -> None:
    folder = tmp_path / "Beispiel ä"
    seen: list[tuple[int, int]] = []
    write_sample(folder, count=2, seed=5, progress=lambda done, total: seen.append((done, total)))
    assert sorted(path.name for path in folder.iterdir()) == [image_name(0), image_name(1)]
    assert seen == [(1, 2), (2, 2)]
    with Image.open(truth_folder(folder) / image_name(1)) as truth:
        assert (np.array(truth) == generate_scene(5, 1)[1]).all()
    with Image.open(folder / image_name(1)) as image:
        assert (np.array(image) == generate_scene(5, 1)[0]).all()
    assert read_class_file(truth_folder(folder) / "classes.json").names == SAMPLE_CLASSES.names
    assert json.loads((truth_folder(folder) / "classes.json").read_text())["ignore_index"] == 255
