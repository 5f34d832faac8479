"""What the effect preview foresees: pixels like the stroke flip, the rest of the image holds where it is."""

from typing import Any

import numpy as np
import pytest
import torch

from engine.annotate.classes import ClassTable
from engine.inspect.effect import LastLayer, effect, foreseen, learnt_layer, present_layer
from engine.inspect.labelled import LabelledImage
from engine.inspect.look import Look
from engine.inspect.snapshot import Snapshot
from engine.messages import PoolItem
from engine.project.manifest import Split
from models.base import IGNORE_INDEX
from models.explanation import Explanation

SIZE = (8, 12)
CLASSES = ClassTable().add("sky").add("tree").add("road")


def look_of(features: torch.Tensor, weight: torch.Tensor) -> Look:
    """What a network kept whose features (C, 8, 12) are as fine as the image."""
    explanation = Explanation(
        features=features[None], weight=weight, bias=torch.zeros(len(weight)), padded=SIZE
    )
    logits = explanation.logits()[0]
    network: Any = None
    return Look(
        image_id="a.png",
        size=SIZE,
        snapshot=Snapshot(model=network, classes=CLASSES, step=0, device=torch.device("cpu")),
        image=np.zeros((*SIZE, 3), np.uint8),
        logits=logits,
        frame=SIZE,
        channels=logits.argmax(dim=0),
        views=(),
        explanation=explanation,
    )


def halves() -> Look:
    """Left and right half differ in features; both are called class 0, the right one hardly."""
    features = torch.zeros(2, *SIZE)
    features[0, :, :6] = 1.0
    features[1, :, 6:] = 1.0
    return look_of(features, torch.tensor([[2.0, 0.2], [0.0, 0.1], [0.0, 0.0]]))


def painted(look: Look, channel: int, column: int) -> LabelledImage:
    channels = np.full(SIZE, IGNORE_INDEX, np.int64)
    channels[3:5, column : column + 2] = channel
    label_map = np.where(channels == IGNORE_INDEX, 255, channels).astype(np.uint8)
    item = PoolItem(image_id="a.png", image_path="a.png", size=SIZE, split=Split.TRAIN, revision=1)
    provenance = (channels != IGNORE_INDEX).astype(np.uint8)
    return LabelledImage(item=item, look=look, channels=channels, label_map=label_map, provenance=provenance)


def test_pixels_like_the_stroke_flip_and_no_others() -> None:
    look = halves()
    seen = foreseen(look, present_layer(look), learnt_layer(painted(look, 1, 8)))
    assert seen.flips[:, 6:].all()
    assert not seen.flips[:, :6].any()
    assert (seen.new[seen.flips] == 1).all()


def test_what_nobody_labelled_pulls_the_layer_nowhere() -> None:
    """A stroke of what the network is sure of changes hardly anything, though the right half is unsure."""
    look = halves()
    before, after = present_layer(look), learnt_layer(painted(look, 0, 2))
    chances, later = (layer.logits(look)[:, :, 9:].softmax(dim=0) for layer in (before, after))
    assert float((chances - later).abs().max()) < 0.02
    assert not foreseen(look, before, after).flips.any()


def test_only_what_flips_with_half_of_the_change_is_foreseen() -> None:
    look = halves()
    before = present_layer(look)
    margin = float(before.weight[0, 1] - before.weight[1, 1])
    for share, flips in ((0.9, False), (1.5, False), (2.5, True)):
        weight = before.weight.clone()
        weight[1, 1] += share * margin
        seen = foreseen(look, before, LastLayer(weight=weight, bias=before.bias))
        assert bool((seen.new[:, 6:] == 1).all()) == (share > 1)
        assert bool(seen.flips[:, 6:].all()) == flips
        assert bool(seen.flips.any()) == flips
        shown = effect(look, before, LastLayer(weight=weight, bias=before.bias), None, {1})
        assert np.array_equal(shown.better, seen.flips.numpy())
        assert set(np.unique(shown.label_map)) == ({0, 1} if flips else {0})


@pytest.mark.parametrize(("learnt", "name"), [({1}, "better"), ({2}, "worse")])
def test_flips_to_the_strokes_class_are_better(learnt: set[int], name: str) -> None:
    look = halves()
    layers = present_layer(look), learnt_layer(painted(look, 1, 8))
    shown = effect(look, *layers, None, learnt)
    assert getattr(shown, name).any()
    assert not (shown.better & shown.worse).any()
    assert shown.better.any() != shown.worse.any()
