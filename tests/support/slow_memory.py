"""Slow, obvious versions of the memory updates: enlarge the features, then loop over classes and slots."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def enlarged(features: Tensor, target: Tensor) -> Array:
    """Returns (B, C, H, W) float64 features at the size of the target."""
    big = F.interpolate(features.double(), size=target.shape[-2:], mode="bilinear", align_corners=False)
    result: Array = big.numpy()
    return result


def of_class(big: Array, target: Tensor, label: int) -> Array:
    """Returns (n, C): the features of all pixels of one class in the whole batch."""
    found: Array = big.transpose(0, 2, 3, 1)[target.numpy() == label]
    return found


def cosines(pixels: Array, vector: Array) -> Array:
    """Returns (n,): cosine between every pixel and one vector."""
    lengths = np.maximum(np.linalg.norm(pixels, axis=1), 1e-8) * max(float(np.linalg.norm(vector)), 1e-8)
    result: Array = (pixels @ vector) / lengths
    return result


def weighted(pixels: Array, similarity: Array) -> Array:
    """Returns (C,): mean of the pixels in which those unlike the memory count more."""
    weights = 1 - similarity
    if weights.sum() < 1e-12:
        mean: Array = pixels.mean(axis=0)
        return mean
    result: Array = (weights[:, None] * pixels).sum(axis=0) / weights.sum()
    return result


def update_class_memory(
    memory: Array, features: Tensor, target: Tensor, momentum: float, *, cosine: bool
) -> Array:
    """Returns the memory (K, M, C) after one batch."""
    result = memory.copy()
    big = enlarged(features, target)
    for label in range(memory.shape[0]):
        pixels = of_class(big, target, label)
        if not len(pixels):
            continue
        empty = [slot for slot in range(memory.shape[1]) if not memory[label, slot].any()]
        if empty:
            result[label, empty[0]] = pixels.mean(axis=0)
            continue
        similarity = np.stack([cosines(pixels, vector) for vector in memory[label]])
        closest = similarity.argmax(axis=0)
        for slot in range(memory.shape[1]):
            chosen = closest == slot
            if not chosen.any():
                continue
            own = pixels[chosen]
            value = weighted(own, similarity[slot, chosen]) if cosine else own.mean(axis=0)
            result[label, slot] = (1 - momentum) * memory[label, slot] + momentum * value
    return result


def update_normal_memory(memory: Array, features: Tensor, target: Tensor, momentum: float) -> Array:
    """Returns mean and deviation (K, 2) of every class after one batch."""
    result = memory.copy()
    big = enlarged(features, target)
    for label in range(memory.shape[0]):
        pixels = of_class(big, target, label)
        if len(pixels):
            mean = pixels.mean(axis=0)
            value = np.array([mean.mean(), mean.std(ddof=1)])
            result[label] = (1 - momentum) * memory[label] + momentum * value
    return result


def loop_update(memory: Tensor, features: Tensor, target: Tensor, momentum: float) -> Tensor:
    """Returns the memory (K, 1, C) after one batch, in torch, one class after the other at full size.

    The straightforward reading of the paper, which the bench measures against.
    """
    result = memory.clone()
    big = F.interpolate(features, size=target.shape[-2:], mode="bilinear", align_corners=False)
    rows = big.permute(0, 2, 3, 1).flatten(0, 2)
    labels = target.flatten()
    for label in target.unique().tolist():
        if not 0 <= label < len(memory):
            continue
        pixels = rows[labels == label]
        old = memory[label, 0]
        if not old.any():
            result[label, 0] = pixels.mean(dim=0)
            continue
        weights = 1 - F.cosine_similarity(pixels, old[None], dim=1)
        value = (weights[:, None] * pixels).sum(dim=0) / weights.sum()
        result[label, 0] = (1 - momentum) * old + momentum * value
    return result
