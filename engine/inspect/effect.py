"""What would flip if the network learnt what was just painted: a virtual update of its last layer.

The features of the last layer are kept, a copy of the layer's weights learns the labelled pixels by a few
steps of gradient descent, and the new weights label the image, and others, again. What training does to the
rest of the image is not known; other pixels therefore hold the layer where it is, as they count with the very
probabilities the network gives them. A class memory that is read while predicting (MCIBI) takes in the
labelled pixels, too. How far training will go is not known either: only pixels that flip already with half
of the change are foreseen to flip. Live weights are never touched. Worker thread.

K classes, C channels, N sampled pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import EngineError
from engine.inspect.labelled import LabelledImage
from engine.inspect.look import Look
from engine.inspect.strongest import strongest_enlarged
from engine.messages import Effect
from models.base import IGNORE_INDEX
from models.explanation import Explanation

_STEPS = 30
_PIXELS = 4096
_ANCHORS = 2048
_ANCHOR_WEIGHT = 2.0
_EDGE = 768
_MOVED = 0.5
_SURELY = 0.5
"""Share of the change with which a pixel must flip already to be foreseen."""

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LastLayer:
    """Weights of a last layer: `weight` (K, C), `bias` (K,), float32; `memory` (K, M, D) where it moved."""

    weight: Tensor
    bias: Tensor
    memory: Tensor | None = None

    def logits(self, look: Look) -> Tensor:
        """Return what the layer says of a look, (K, h', w') float32 at the size of the last features."""
        features = _explanation(look).features.float()
        logits = F.conv2d(features, self.weight[:, :, None, None], self.bias)
        if self.memory is not None and look.representations is not None:
            relearnt = look.representations.relearnt(self.memory)
            if relearnt is not None:
                # What the moved memory changes comes on top of what the layer learns.
                logits = logits + (relearnt.float() - look.logits)
        return logits[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreseen:
    """What an update would do to an image, at `_EDGE` pixels at most.

    Attributes:
        old: (h, w) int64 channel predicted now.
        new: (h, w) int64 channel after the whole change.
        flips: (h, w) bool, pixels that have the new channel already after half of it.
    """

    old: Tensor
    new: Tensor
    flips: Tensor


def foreseen(look: Look, before: LastLayer, after: LastLayer) -> Foreseen:
    """Return what flips in an image between two last layers."""
    with torch.inference_mode():
        old, new = before.logits(look), after.logits(look)
        half = torch.lerp(old, new, _SURELY)
        channels, later, surely = (_strongest(look, logits) for logits in (old, new, half))
    return Foreseen(old=channels, new=later, flips=(channels != later) & (surely == later))


def _strongest(look: Look, logits: Tensor) -> Tensor:
    """Return the strongest channel of logits (K, h', w') at every pixel shown, (h, w) int64, processor."""
    height, width = look.image.shape[:2]
    shrink = min(1.0, _EDGE / max(height, width))
    frame = (max(1, round(look.frame[0] * shrink)), max(1, round(look.frame[1] * shrink)))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    return strongest_enlarged(logits, frame, size).cpu()


def present_layer(look: Look) -> LastLayer:
    """Return the last layer as it is."""
    explanation = _explanation(look)
    return LastLayer(weight=explanation.weight.float(), bias=explanation.bias.float())


def learnt_layer(image: LabelledImage) -> LastLayer:
    """Return the last layer after it learnt what people labelled in an image; the network stays as it is."""
    look = image.look
    layer = present_layer(look)
    with torch.inference_mode():
        features, wanted, weights = _samples(image, layer)
        # The loss curves no more than half the mean squared length of what it is computed from.
        inputs = torch.cat([features, torch.ones(len(features), 1, device=features.device)], dim=1)
        rate = 2.0 / float((inputs.square().sum(dim=1) * weights).sum().clamp(min=1e-6))
        matrix = torch.cat([layer.weight, layer.bias[:, None]], dim=1)
        for _ in range(_STEPS):
            wrong = ((inputs @ matrix.T).softmax(dim=1) - wanted) * weights[:, None]
            matrix = matrix - rate * (wrong.T @ inputs)
    return LastLayer(weight=matrix[:, :-1].clone(), bias=matrix[:, -1].clone(), memory=moved_memory(image))


def moved_memory(image: LabelledImage) -> Tensor | None:
    """Return the class memory (K, M, D) after it took in what people labelled; None without one.

    The slot of a class that points most nearly their way goes half of the way to the mean feature of its
    labelled pixels: about seven updates with the usual momentum of 0.1. An empty slot takes the mean itself.
    """
    explanation = _explanation(image.look)
    if explanation.memory is None or explanation.remembered is None:
        return None
    memory = explanation.memory.float().clone()
    with torch.inference_mode():
        for channel in np.unique(image.channels[image.channels != IGNORE_INDEX]).tolist():
            rows, columns = np.nonzero(image.channels == channel)
            seen = _at(explanation.remembered[0].float(), image.look.frame, rows, columns)
            mean = seen.mean(dim=0)
            slot = int(F.cosine_similarity(memory[channel], mean[None], dim=1).argmax())
            filled = bool(memory[channel, slot].any())
            memory[channel, slot] = torch.lerp(memory[channel, slot], mean, _MOVED if filled else 1.0)
    return memory


def effect(
    look: Look, before: LastLayer, after: LastLayer, annotation: NDArray[np.int64] | None, learnt: set[int]
) -> Effect:
    """Return which pixels flip in an image.

    Args:
        look: The image.
        before: The last layer as it is.
        after: After the virtual update.
        annotation: (h, w) int64 channels people labelled at working size, 255 where nobody did; None without.
        learnt: Channels that the update was about: unlabelled pixels that flip to them count as better.
    """
    seen = foreseen(look, before, after)
    old, new, flips = seen.old, seen.new, seen.flips
    towards = torch.isin(new, torch.tensor(sorted(learnt), dtype=torch.int64))
    known = torch.full_like(old, IGNORE_INDEX)
    if annotation is not None:
        resized = F.interpolate(
            torch.from_numpy(annotation)[None, None].float(), size=tuple(old.shape), mode="nearest-exact"
        )
        known = resized[0, 0].long()
    unlabelled = known == IGNORE_INDEX
    better = flips & torch.where(unlabelled, towards, new == known)
    worse = flips & torch.where(unlabelled, ~towards, old == known)
    index_of = np.array(look.classes.index_of(), np.uint8)
    return Effect(
        image_id=look.image_id,
        better=_frozen(better.numpy()),
        worse=_frozen(worse.numpy()),
        label_map=_frozen(index_of[torch.where(flips, new, old).numpy()]),
    )


def to_learn(image: LabelledImage) -> set[int]:
    """Return the channels of labelled pixels the network gets wrong; of all labelled ones if it is right."""
    predicted = image.look.channels.cpu().numpy()
    labelled = image.channels != IGNORE_INDEX
    wrong = labelled & (predicted != image.channels)
    return set(np.unique(image.channels[wrong if wrong.any() else labelled]).tolist())


def _samples(image: LabelledImage, layer: LastLayer) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (N, C), probabilities wanted (N, K) and weights (N,).

    Labelled pixels want their class, anchors what the layer says now: they pull only once it says otherwise.
    The weights of either sum to 1 and `_ANCHOR_WEIGHT`.
    """
    look = image.look
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(image.channels != IGNORE_INDEX)
    chosen = rng.permutation(len(rows))[:_PIXELS]
    features = _features_at(look, rows[chosen], columns[chosen])
    labels = torch.from_numpy(image.channels[rows[chosen], columns[chosen]]).to(features.device)
    others = np.flatnonzero((image.channels == IGNORE_INDEX).ravel())
    picked = rng.permutation(len(others))[:_ANCHORS]
    anchors = _features_at(look, *np.unravel_index(others[picked], image.channels.shape))
    wanted = torch.cat(
        [
            F.one_hot(labels, len(layer.weight)).float(),
            (anchors @ layer.weight.T + layer.bias).softmax(dim=1),
        ]
    )
    weights = torch.cat(
        [
            torch.full((len(labels),), 1.0 / max(1, len(labels))),
            torch.full((len(anchors),), _ANCHOR_WEIGHT / max(1, len(anchors))),
        ]
    )
    return torch.cat([features, anchors]), wanted, weights.to(features.device)


def _features_at(look: Look, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Tensor:
    return _at(_explanation(look).features[0].float(), look.frame, rows, columns)


def _at(
    values: Tensor, frame: tuple[int, int], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Tensor:
    """Return (N, C) of a map (C, h', w') at pixels of the frame it would be enlarged to."""
    height, width = values.shape[1:]
    cells = (rows * height // frame[0]) * width + columns * width // frame[1]
    return values.flatten(1)[:, torch.from_numpy(cells).to(values.device)].T


def _explanation(look: Look) -> Explanation:
    if look.explanation is None:
        raise EngineError("This network keeps no features of its last layer.", "Choose another network.")
    return look.explanation


def _frozen(array: NDArray[ScalarT]) -> NDArray[ScalarT]:
    array.setflags(write=False)
    return array
