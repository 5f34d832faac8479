"""What if the network did not know some classes, and how much the classes of an image need each other.

Only the head runs again, on features kept from the last look; nothing learnt or saved can change. Deleting a
single class is what training measures to learn relations, on the very same code. Worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.errors import EngineError
from engine.inspect.look import Look
from engine.messages import InspectedView, WhatIfReady
from models.base import IGNORE_INDEX
from models.inspection import InspectionKind
from models.relation import deletion_effects

_CHANGE = 256


def what_if(look: Look, request_id: int, deleted: tuple[int, ...]) -> WhatIfReady:
    """Return the prediction without some classes, exact.

    Args:
        look: What was kept.
        request_id: Comes back.
        deleted: Permanent class indices; those without a representation here change nothing.

    Raises:
        EngineError: The network has no representations of classes.
    """
    *_, answer = what_if_in_pieces(look, request_id, deleted)
    if answer is None:
        raise RuntimeError("the last piece is the answer")
    return answer


def what_if_in_pieces(look: Look, request_id: int, deleted: tuple[int, ...]) -> Iterator[WhatIfReady | None]:
    """Do the work of `what_if` in pieces; where it takes long, a rough answer comes first.

    Args:
        look: What was kept, as are the others, see `what_if`.
        request_id: Comes back.
        deleted: Permanent class indices.

    Yields:
        The rough answer if there is one, None after each piece of work, at last the exact answer.

    Raises:
        EngineError: The network has no representations of classes.
    """
    if look.representations is None:
        raise EngineError(
            "This network keeps nothing of single classes that could be taken away.",
            "Choose IDRNet, MCIBI, MCIBI++ or SPGNet to ask what if.",
        )
    channels = {index: channel for channel, index in enumerate(look.classes.indices)}
    gone = frozenset(channels[index] for index in deleted if index in channels)
    roughly = look.without_roughly(gone)
    if roughly is not None:
        yield _answer(look, request_id, deleted, roughly, exact=False)
    for logits in look.without_in_pieces(gone):
        yield None if logits is None else _answer(look, request_id, deleted, logits, exact=True)


def _answer(
    look: Look, request_id: int, deleted: tuple[int, ...], logits: Tensor, *, exact: bool
) -> WhatIfReady:
    before = look.predicted()
    after = look.label_map(look.strongest(logits))
    return WhatIfReady(
        request_id=request_id,
        image_id=look.image_id,
        deleted=deleted,
        label_map=after,
        changes=changes(before, after),
        exact=exact,
    )


def changes(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> dict[tuple[int, int], int]:
    """Return how many pixels changed, by (class before, class after), most first."""
    moved = before != after
    pairs = before[moved].astype(np.uint16) * _CHANGE + after[moved]
    counts = np.bincount(pairs)
    found = {(pair // _CHANGE, pair % _CHANGE): int(counts[pair]) for pair in np.flatnonzero(counts).tolist()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def target_of(look: Look, annotation: NDArray[np.uint8] | None) -> Tensor:
    """Return (1, h, w) int64 channels at working size: what people labelled, else what is predicted.

    Args:
        look: What was kept.
        annotation: (H, W) uint8 permanent indices, 255 and 254 where nothing counts; None without one.
    """
    target = look.channels[None].clone()
    if annotation is None:
        return target
    known = labelled_channels(look, annotation).to(target.device)
    return torch.where(known == IGNORE_INDEX, target[0], known)[None]


def labelled_channels(look: Look, annotation: NDArray[np.uint8]) -> Tensor:
    """Return (h, w) int64 channels of an annotation at working size; 255 where nobody said anything."""
    size = (look.image.shape[0], look.image.shape[1])
    return torch.from_numpy(channels_at(look.classes, annotation, size))


def channels_at(
    classes: ClassTable, annotation: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Return (h, w) int64 channels of an annotation at another size; 255 where nobody said anything.

    Args:
        classes: Class table; its order is the order of the channels.
        annotation: (H, W) uint8 permanent indices.
        size: (h, w).
    """
    table = np.full(256, IGNORE_INDEX, np.int64)
    for channel, index in enumerate(classes.indices):
        table[index] = channel
    height, width = size
    rows = (np.arange(height) * annotation.shape[0] + annotation.shape[0] // 2) // height
    columns = (np.arange(width) * annotation.shape[1] + annotation.shape[1] // 2) // width
    return np.asarray(table[annotation[rows][:, columns]], np.int64)


def relations(look: Look, target: Tensor) -> Iterator[tuple[InspectedView, ...]]:
    """Measure how much each class needs each other one in this image; one class is deleted per piece.

    Args:
        look: What was kept; its network must be one that training diagnoses.
        target: (1, h, w) int64 channels at working size, 255 where nothing counts.

    Yields:
        Nothing after each class but the last, then the views: mean, variance, and both against the data set.
    """
    classes = len(look.logits)
    mean, variance = torch.zeros(classes, classes), torch.zeros(classes, classes)
    measured = torch.zeros(classes, classes, dtype=torch.bool)
    enlarged = look.enlarged(look.logits)
    labels = _resized(target, enlarged.shape[-2:])
    for channel in look.present():
        without = look.enlarged(look.without(frozenset({channel})))
        with torch.inference_mode():
            count, means, variances = deletion_effects(labels, enlarged[None], without[None])
        mean[channel], variance[channel] = means[0].cpu(), variances[0].cpu()
        measured[channel] = (count[0] > 0).cpu()
        yield ()
    yield _relation_views(look, mean, variance, measured)


def _resized(target: Tensor, size: torch.Size) -> Tensor:
    if target.shape[-2:] == size:
        return target
    resized = F.interpolate(target[:, None].cpu().float(), size=tuple(size), mode="nearest-exact")
    return resized[:, 0].long().to(target.device)


def _relation_views(
    look: Look, mean: Tensor, variance: Tensor, measured: Tensor
) -> tuple[InspectedView, ...]:
    views = [
        _matrix(
            "relation_mean_image",
            "Relation in this image, mean",
            "How much the error of the column's class rises here when the row's class is deleted.",
            mean,
        ),
        _matrix(
            "relation_variance_image",
            "Relation in this image, variance",
            "How much more the column's error varies here when the row's class is deleted.",
            variance,
        ),
    ]
    for name, here in (("mean", mean), ("variance", variance)):
        running = next((view.values for view in look.views if view.name == f"relation_{name}"), None)
        if running is not None:
            views.append(
                _matrix(
                    f"relation_{name}_difference",
                    f"Against the data set, {name}",
                    "This image minus the data set, in units of how far all its cells differ; beyond 3 is "
                    "strange.",
                    in_deviations(here, torch.from_numpy(np.array(running)), measured),
                )
            )
    return tuple(views)


def in_deviations(here: Tensor, running: Tensor, measured: Tensor) -> Tensor:
    """Return differences (K, K) in units of their own robust deviation; 0 where nothing was measured.

    Args:
        here: (K, K) float, of this image.
        running: (K, K) float, of the data set.
        measured: (K, K) bool, pairs of classes that are in the image.
    """
    difference = here - running.to(here.dtype)
    known = difference[measured]
    if known.numel() < 2:
        return torch.zeros_like(difference)
    middle = known.median()
    # 1.4826 makes the median deviation that of a normal distribution; outliers do not widen it.
    deviation = 1.4826 * (known - middle).abs().median()
    deviation = deviation if float(deviation) > 0 else known.std()
    return torch.where(measured, (difference - middle) / deviation.clamp(min=1e-6), 0.0)


def _matrix(name: str, title: str, explanation: str, values: Tensor) -> InspectedView:
    array = np.array(values.numpy(), np.float32)
    array.setflags(write=False)
    return InspectedView(
        name=name, kind=InspectionKind.CLASS_MATRIX, title=title, explanation=explanation, values=array
    )
