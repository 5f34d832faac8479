"""A training step of IDRNet's head the way its description reads: slow, and obviously right.

Written from the description of the published code, in its manner: loops over images and classes with boolean
masks, vectors written to pixels one class at a time, attention with its full P x P map, the whole context
computed anew with a class deleted, features enlarged to the size of the target, both logit maps turned over
and copied before the relations move (the description counts two such copies of each; one is made here),
cross-entropies from one-hot maps, and torch's own convolutions. It runs with the weights of an `Idrnet`
without context within the image that refines among pixels; tests compare with it, benchmarks measure against
it.

B batch, K classes, C width, H W size of the target, h w size of the features, P = h * w.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from models import pointwise
from models.attention import AttentionBlock
from models.networks.idrnet import Idrnet
from models.refinement import PixelRefiner
from models.wide_conv import WideConv

IGNORED = 255
FORBIDDEN = -1e16

Choose = Callable[[list[list[int]], list[float]], list[int]]
"""From the classes present in each image and the counter to the class deleted in each image."""


@dataclass(frozen=True, kw_only=True)
class ReferenceStep:
    """What a step yields.

    Attributes:
        losses: weighted scalars with gradient, named as ours.
        logits: (B, K, h, w).
        deleted: class deleted in each image.
    """

    losses: dict[str, Tensor]
    logits: Tensor
    deleted: list[int]


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Lets the modules of a network convolve as torch does by itself, backward too."""
    with (
        patch.object(WideConv, "_gains", return_value=False),
        patch.object(pointwise, "_by_products", return_value=False),
    ):
        yield


def balanced_choice(present: list[list[int]], counter: list[float]) -> list[int]:
    """Draws a class of each image with odds inverse to the counter, which counts at once."""
    counter = list(counter)
    chosen = []
    for classes in present:
        drawn = random.choices(classes, weights=[1 / counter[k] for k in classes])[0]
        counter[drawn] += 1
        chosen.append(drawn)
    return chosen


def reference_step(
    model: Idrnet, stages: Sequence[Tensor], target: Tensor, choose: Choose = balanced_choice
) -> ReferenceStep:
    """Runs a training step up to the losses; moves the model's statistics in place.

    Args:
        model: in training mode, without context within the image, refined among pixels.
        stages: of the backbone; the third and the fourth are used.
        target: (B, H, W) int64, 255 ignored.
        choose: draws the classes to delete.
    """
    relations = model.context.relations
    features = model.context.bottleneck(stages[3])
    coarse = model.context.coarse_decoder(features)
    seed = random.randrange(2**31)
    torch.manual_seed(seed)
    logits = model.decoder(torch.cat([features, _context(model, features, coarse, None)], dim=1))
    size = target.shape[-2:]
    with torch.no_grad():
        present = [image.unique().tolist() for image in coarse.argmax(dim=1)]
        deleted = choose(present, relations.counter.tolist())
        for drawn in deleted:
            relations.counter[drawn] += 1
        torch.manual_seed(seed)
        without = model.decoder(torch.cat([features, _context(model, features, coarse, deleted)], dim=1))
        _move_relations(model, _enlarged(logits, size), _enlarged(without, size), target, deleted)
        _move_vectors(model, _enlarged(features, size), target)
    losses = {
        "cross-entropy": _cross_entropy(_enlarged(logits, size), target),
        "auxiliary: coarse": 0.4 * _cross_entropy(_enlarged(coarse, size), target),
    }
    if model.auxiliary_decoder is not None:
        auxiliary = model.auxiliary_decoder(stages[2])
        losses["auxiliary: stage3"] = 0.4 * _cross_entropy(_enlarged(auxiliary, size), target)
    return ReferenceStep(losses=losses, logits=logits, deleted=deleted)


def _context(model: Idrnet, features: Tensor, coarse: Tensor, deleted: list[int] | None) -> Tensor:
    """Returns the refined context (B, C, h, w)."""
    relations, refiner = model.context.relations, model.context.refiner
    if not isinstance(refiner, PixelRefiner):
        raise TypeError("only the form that refines among pixels was published")
    joined = _with_dataset_vectors(features, coarse, relations.vectors)
    by_mean = _interaction(joined, coarse, relations.mean, True, deleted)
    by_variance = _interaction(joined, coarse, relations.variance, False, deleted)
    return _attention(refiner.attention, torch.cat([joined, by_mean, by_variance], dim=1))


def _with_dataset_vectors(features: Tensor, coarse: Tensor, vectors: Tensor) -> Tensor:
    """Joins every pixel with the data set's vector of its coarse class, (B, 2C, h, w)."""
    images = []
    for image, label in zip(features, coarse.argmax(dim=1), strict=True):
        inserted = torch.zeros_like(image).permute(1, 2, 0)
        for k in label.unique().tolist():
            inserted[label == k] = vectors[k]
        images.append(torch.cat([image, inserted.permute(2, 0, 1)]))
    return torch.stack(images)


def _interaction(
    joined: Tensor, coarse: Tensor, relations: Tensor, positive: bool, deleted: list[int] | None
) -> Tensor:
    """Gives every pixel the mixture of class vectors that its coarse class receives, (B, 2C, h, w)."""
    images = []
    for number, (image, scores) in enumerate(zip(joined, coarse, strict=True)):
        label = scores.argmax(dim=0)
        left_out = None if deleted is None else deleted[number]
        present = [k for k in label.unique().tolist() if k != left_out]
        pixels = image.permute(1, 2, 0)
        result = torch.zeros_like(pixels)
        if present:
            vectors = []
            for k in present:
                inside = label == k
                weights = scores[k][inside].softmax(dim=0)
                vectors.append((weights[:, None] * pixels[inside]).sum(dim=0))
            columns = relations[:, present].clone()
            if positive:
                columns[columns <= 0] = FORBIDDEN
            mixed = columns.softmax(dim=1)[present] @ torch.stack(vectors)
            for k, vector in zip(present, mixed, strict=True):
                result[label == k] = vector
        images.append(result.permute(2, 0, 1))
    return torch.stack(images)


def _attention(block: AttentionBlock, features: Tensor) -> Tensor:
    """Lets every pixel ask every pixel, with the P x P map in memory."""
    query, key, value = (part(features).flatten(2) for part in (block.query, block.key, block.value))
    similarity = (query.transpose(1, 2) @ key) * query.shape[1] ** -0.5
    mixed = similarity.softmax(dim=2) @ value.transpose(1, 2)
    result: Tensor = block.out(mixed.transpose(1, 2).reshape(*value.shape[:2], *features.shape[2:]))
    return result


def _move_relations(
    model: Idrnet, logits: Tensor, without: Tensor, target: Tensor, deleted: list[int]
) -> None:
    """Moves both relation matrices, image by image and class by class."""
    relations = model.context.relations
    keep = 1 - relations.relation_momentum
    logits, without = (values.permute(0, 2, 3, 1).contiguous() for values in (logits, without))
    for image, row in enumerate(deleted):
        pixels, others = logits[image], without[image]
        for k in target[image].unique().tolist():
            if k == IGNORED:
                continue
            inside = target[image] == k
            labels = target[image][inside]
            before = F.cross_entropy(pixels[inside], labels, reduction="none")
            after = F.cross_entropy(others[inside], labels, reduction="none")
            change = relations.relation_momentum * (after.mean() - before.mean())
            relations.mean[row, k] = change + keep * relations.mean[row, k]
            if len(labels) > 1:
                change = after.var(unbiased=False) - before.var(unbiased=False)
                change = relations.relation_momentum * change
                relations.variance[row, k] = change + keep * relations.variance[row, k]


def _move_vectors(model: Idrnet, features: Tensor, target: Tensor) -> None:
    """Moves the data set's class vectors, from features (B, C, H, W)."""
    relations = model.context.relations
    pixels = features.permute(0, 2, 3, 1)
    for k in target.unique().tolist():
        if k == IGNORED:
            continue
        mean = pixels[target == k].mean(dim=0)
        relations.vectors[k] = (
            relations.vector_momentum * mean + (1 - relations.vector_momentum) * relations.vectors[k]
        )


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over labelled pixels, from a one-hot map."""
    classes = logits.shape[1]
    rows = logits.permute(0, 2, 3, 1).reshape(-1, classes)
    labels = target.reshape(-1)
    valid = labels != IGNORED
    labels = torch.where(valid, labels, classes)
    one_hot = F.one_hot(labels, classes + 1)[:, :classes].to(rows.dtype)
    each = -(one_hot[valid] * rows[valid].log_softmax(dim=1)).sum(dim=1)
    return each.sum() / valid.sum()


def _enlarged(values: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)
