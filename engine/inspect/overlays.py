"""Overlays of doubt and structure that fit every network. Worker thread.

K classes; (h, w) is at most `EDGE` pixels long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.inspect.look import Look
from engine.inspect.snapshot import WORKING_PIXELS
from engine.inspect.structure import WINDOW, stretched, structure_map
from engine.inspect.uncertainty import augmentation_variance, entropy, narrowness
from engine.inspect.what_if import labelled_channels
from engine.messages import OverlayKind, OverlayReady
from engine.opencv import cv2
from models.base import IGNORE_INDEX

EDGE = 768
"""Longer edge of an overlay at most."""

_AUGMENTED_EDGE = 512
_SCALES = (0.75, 1.25)
_SPREAD = 98.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    title: str
    explanation: str
    unit: str = ""


_WORDS = {
    OverlayKind.ENTROPY: _Words(
        title="Entropy", explanation="How evenly the network spreads its belief: 0 one class, 1 all alike."
    ),
    OverlayKind.MARGIN: _Words(
        title="Narrow margin", explanation="How close the second class came: 0 far behind, 1 a draw."
    ),
    OverlayKind.AUGMENTATION: _Words(
        title="Disagreement of copies",
        explanation="How far predictions of mirrored, smaller and larger copies disagree.",
    ),
    OverlayKind.FLICKER: _Words(
        title="Flicker",
        explanation="How often the label changed from one of the last predictions to the next.",
        unit="share",
    ),
    OverlayKind.STRUCTURE: _Words(
        title="Structure",
        explanation="Where the shape of the label cannot be told from that of the prediction: broken, "
        "ragged, shifted.",
        unit="nats per pixel",
    ),
    OverlayKind.CANDIDATE_FLIPS: _Words(
        title="Training would undo",
        explanation="What people labelled, the shown weights get right and the newest ones get wrong.",
    ),
}


def overlay_ready(
    request_id: int, image_id: str, kind: OverlayKind, values: Floats, high: float = 1.0, more: str = ""
) -> OverlayReady:
    """Return the message for an overlay, (h, w) float32 in [0, high]; `more` is said of this image."""
    words = _WORDS[kind]
    result = np.array(values, np.float32)
    result.setflags(write=False)
    return OverlayReady(
        request_id=request_id,
        image_id=image_id,
        kind=kind,
        title=words.title,
        explanation=f"{words.explanation} {more}".rstrip(),
        values=result,
        low=0.0,
        high=high,
        unit=words.unit,
    )


def doubt(look: Look, kind: OverlayKind) -> Floats:
    """Return entropy or narrowness of the margin, (h, w) float32 in [0, 1]."""
    probabilities = look.probabilities(EDGE)
    return entropy(probabilities) if kind is OverlayKind.ENTROPY else narrowness(probabilities)


def disagreement(look: Look) -> Iterator[Floats | None]:
    """Compare predictions of mirrored and rescaled copies, one run of the network per piece.

    Yields:
        None after each copy, then (h, w) float32 in [0, 1].
    """
    own = look.probabilities(_AUGMENTED_EDGE)
    size = (own.shape[2], own.shape[1])
    variants = [own]
    height, width = look.image.shape[:2]
    # A larger copy of an image of working size would no longer be one.
    largest = max(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    for scale in (1.0, *(min(scale, largest) for scale in _SCALES)):
        other = (max(1, round(width * scale)), max(1, round(height * scale)))
        copied = look.image if scale == 1.0 else cv2.resize(look.image, other, interpolation=cv2.INTER_LINEAR)
        mirrored = np.ascontiguousarray(copied[:, ::-1], np.uint8)
        probabilities = look.snapshot.run(mirrored).logits[0].float().softmax(dim=0).flip(-1)
        reduced = F.interpolate(probabilities[None], size=size[::-1], mode="bilinear", align_corners=False)
        variants.append(np.asarray(reduced[0].cpu().numpy(), np.float32))
        yield None
    yield augmentation_variance(variants)


def structure(look: Look, annotation: NDArray[np.uint8] | None) -> tuple[Floats, float]:
    """Return how much of the label's structure the prediction does not tell, and the top of its scale.

    The label is what people labelled; where they labelled nothing, the prediction of the first stage.

    Args:
        look: What was kept.
        annotation: (H, W) uint8 permanent indices; None without one.

    Raises:
        EngineError: There is nothing to compare with, or the image is too small.
    """
    probabilities = look.probabilities(EDGE)
    size = (probabilities.shape[1], probabilities.shape[2])
    labels = None if annotation is None else labelled_channels(look, annotation)
    if labels is None or not bool((labels != IGNORE_INDEX).any()):
        coarse = look.coarse()
        labels = None if coarse is None else labelled_channels(look, coarse)
    if labels is None:
        raise EngineError(
            "There is no label to compare the prediction with.", "Paint in this image, or import its mask."
        )
    if min(size) < WINDOW:
        raise EngineError("The image is too small for windows of structure.", "Choose a larger image.")
    reduced = F.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()
    found = structure_map(probabilities, reduced.numpy(), ignore=IGNORE_INDEX)
    values = stretched(found, size)
    positive = values[values > 0]
    # A few windows stand far above all others; the scale is that of the rest.
    high = float(np.percentile(positive, _SPREAD)) if positive.size else 1.0
    return np.minimum(values, high), high


def undone(look: Look, candidate: Look, annotation: NDArray[np.uint8]) -> tuple[Floats, str]:
    """Return 1 where people labelled, the shown weights are right and the candidate is wrong, else 0.

    Args:
        look: By the shown weights.
        candidate: Of the same image, by the candidate.
        annotation: (H, W) uint8 permanent indices.

    Returns:
        (h, w) float32; a cell is 1 if any pixel in it is flipped, so that thin strokes stay visible. And a
        sentence that counts the pixels, at the size the network saw them.
    """
    known = labelled_channels(look, annotation).to(look.channels.device)
    labelled = known != IGNORE_INDEX
    flipped = labelled & (look.channels == known) & (candidate.channels != known)
    values = flipped.float()[None, None]
    factor = -(-max(values.shape[-2:]) // EDGE)
    cells = np.asarray(F.max_pool2d(values, factor, ceil_mode=True)[0, 0].cpu().numpy(), np.float32)
    return cells, _counted(int(flipped.sum()), int(labelled.sum()), look)


def _counted(flipped: int, labelled: int, look: Look) -> str:
    height, width = look.image.shape[:2]
    seen = (
        "" if (height, width) == look.size else f", of the image as the network sees it ({width} × {height})"
    )
    if not flipped:
        return f"None of the {labelled:,} labelled pixels here{seen}."
    return f"{flipped:,} of the {labelled:,} labelled pixels here{seen}."
