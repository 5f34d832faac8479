"""IDRNet's grouping, mixing and updates in plain loops, as the papers' authors wrote them down; slow."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Array = npt.NDArray[np.float64]


def mixture(
    logits: Array, features: Array, relations: Array, *, only_positive: bool, deleted: int | None
) -> Array:
    """Gives every pixel of one image the mixed vector of its class.

    Args:
        logits: (K, P).
        features: (C, P), the pixels' own and their class's vector of the data set.
        relations: (K, K), row receives.
        only_positive: whether relations of 0 and below are removed.
        deleted: class that takes no part, or None.
    """
    label = logits.argmax(axis=0)
    present = [k for k in sorted(set(label.tolist())) if k != deleted]
    result = np.zeros_like(features)
    vectors = []
    for k in present:
        scores = np.exp(logits[k, label == k] - logits[k, label == k].max())
        vectors.append((features[:, label == k] * scores / scores.sum()).sum(axis=1))
    for k in present:
        row = relations[k, present].copy()
        if only_positive:
            row[row <= 0] = -1e16
        shares = np.exp(row - row.max())
        shares /= shares.sum()
        mixed = sum(share * vector for share, vector in zip(shares, vectors, strict=True))
        for pixel in np.flatnonzero(label == k):
            result[:, pixel] = mixed
    return result


def pixel_losses(logits: Tensor, target: Tensor) -> Array:
    """Returns the cross-entropy of every pixel, (B, H, W); (B, K, H, W) logits, 255 is unlabelled (0)."""
    values = logits.double().numpy()
    result = np.zeros(target.shape)
    for (b, y, x), k in np.ndenumerate(target.numpy()):
        if k != 255:
            pixel = values[b, :, y, x]
            result[b, y, x] = np.log(np.exp(pixel - pixel.max()).sum()) + pixel.max() - pixel[k]
    return result


def moved_relations(
    mean: Array,
    variance: Array,
    deleted: list[int],
    target: Tensor,
    before: Array,
    after: Array,
    momentum: float,
) -> tuple[Array, Array]:
    """Returns both relation matrices after one batch: image by image, class by class."""
    mean, variance = mean.copy(), variance.copy()
    for image, d in enumerate(deleted):
        label = target[image].numpy()
        for c in range(len(mean)):
            u, v = before[image][label == c], after[image][label == c]
            if len(u) >= 1:
                mean[d, c] = momentum * (v.mean() - u.mean()) + (1 - momentum) * mean[d, c]
            if len(u) > 1:
                variance[d, c] = momentum * (v.var() - u.var()) + (1 - momentum) * variance[d, c]
    return mean, variance


def moved_vectors(vectors: Array, features: Tensor, target: Tensor, momentum: float) -> Array:
    """Returns the class vectors after one batch: features enlarged, then averaged class by class."""
    large = F.interpolate(features.double(), target.shape[1:], mode="bilinear", align_corners=False)
    pixels = large.permute(0, 2, 3, 1).numpy()
    result = vectors.copy()
    for c in range(len(vectors)):
        inside = pixels[target.numpy() == c]
        if len(inside):
            result[c] = momentum * inside.mean(axis=0) + (1 - momentum) * vectors[c]
    return result


def random_target(size: tuple[int, int, int], classes: int, seed: int) -> Tensor:
    """Returns a (B, H, W) target with unlabelled pixels, in which some classes are rare or absent."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(classes + 1, generator=generator) ** 4
    drawn = torch.multinomial(weights, size[0] * size[1] * size[2], replacement=True, generator=generator)
    return torch.where(drawn == classes, 255, drawn).view(size)
