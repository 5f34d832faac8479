from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.config import AugmentConfig, CropConfig, SparseConfig
from engine.learn.batches import Batches, make_batch
from engine.learn.pool import Crop, Pool
from engine.messages import PoolItem
from engine.project.manifest import Split
from models.base import normalise
from tests.support.learning import BOX, CLASSES, GROUND, SIZE, SKY, picture

CPU = torch.device("cpu")


def test_permanent_indices_become_channels_and_the_rest_is_ignored() -> None:
    labels = np.array([[SKY, GROUND, BOX], [UNLABELLED, VOID, 0]], np.uint8)
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    origin = np.full((2, 3), Provenance.ACCEPTED, np.uint8)
    crop = Crop(image=image, label_map=labels, provenance=origin)
    batch = make_batch([crop, crop], CLASSES.channel_of(), CPU)
    assert batch.target.dtype == torch.int64
    assert batch.target[1].tolist() == [[0, 1, 2], [255, 255, 255]]
    assert torch.equal(batch.image[0], normalise(torch.from_numpy(image)[None])[0])
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    assert (batch.provenance == int(Provenance.ACCEPTED)).all()


def test_the_order_of_the_class_list_is_the_order_of_the_channels() -> None:
    moved = CLASSES.move(BOX, 0)
    lookup = moved.channel_of()
    assert [int(lookup[index]) for index in (BOX, SKY, GROUND)] == [0, 1, 2]


def _pool() -> Pool:
    image, labels = picture(0)
    pool = Pool(
        lambda _: (labels, np.ones_like(labels)),
        CLASSES,
        CropConfig(size=32),
        10**7,
        read_pixels=lambda _: image,
    )
    pool.update(PoolItem(image_id="a", image_path="a", size=SIZE, split=Split.TRAIN, revision=1))
    return pool


def test_batches_have_the_size_asked_for_and_follow_the_classes() -> None:
    batches = Batches(_pool(), CLASSES, AugmentConfig(), CPU, seed=0)
    batch = batches.next(3, 40)
    assert batch.image.shape == (3, 3, 40, 40)
    assert set(batch.target.unique().tolist()) <= {0, 1, 2, 255}
    batches.set_classes(CLASSES.remove(SKY))
    assert set(batches.next(4, 40).target.unique().tolist()) <= {0, 1, 255}


class Copies(TorchDispatchMode):
    """Notes the shapes of what goes from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operation."""
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and result.device != args[0].device:
            self.shapes.append(tuple(args[0].shape))
        return result


@pytest.mark.parametrize("moves", [False, True])
def test_only_crops_go_to_the_device_in_a_step(moves: bool) -> None:
    """What else would go there from ordinary memory would make every step wait for the device."""
    elsewhere = torch.device("meta")
    batches = Batches(_pool(), CLASSES, AugmentConfig(), CPU if moves else elsewhere, seed=0)
    batches.set_sparse(SparseConfig(accepted_weight=0.5))
    batches.set_device(elsewhere)
    with Copies() as copies:
        batch = batches.next(2, 32)
    assert batch.trust is not None
    assert batch.trust.device == elsewhere
    assert copies.shapes
    assert all(shape[:1] == (2,) for shape in copies.shapes), copies.shapes
