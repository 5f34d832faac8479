"""What small pieces of an image look like: answers of filters that were learnt without labels.

Patches are freed of brightness and contrast, whitened and clustered by k-means with dot products; how much
each patch resembles every centroid beyond a threshold is averaged over a near and a wide window (Coates, Lee,
Ng: An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011; Coates and Ng:
Learning Feature Representations with K-means, 2012). The patches come from pictures of overlapping random
shapes, which have the statistics of natural ones (Lee, Mumford, Huang: Occlusion Models for Natural Images,
IJCV 2001). So the filters are the same in every project and whatever is opened first: an image always gives
the same numbers.

Every filter has its mirror image among them, and the numbers are principal components of what a filter and
its mirror image say together, or of what sets them apart. So the numbers of a mirrored image are known
without looking at it: the former stay, the latter change their sign.

N filters per scale, C numbers per place, h w places: every second cell of the quick model's grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS = 96
"""C: of near and wide averages of all filters, these many principal components."""

_SCALES = (1, 2, 4)
"""By how much the image is reduced for each set of filters."""
_EDGE, _FILTERS = 6, 32
"""Pixels along a patch; filters of a scale, each of which comes with its mirror image."""
_PATCHES, _ROUNDS = 12_000, 8
_FLAT, _WHITE, _THRESHOLD = 0.15, 0.1, 0.5
"""Added to the contrast of a patch, to variances when whitening, and what a response has to exceed."""
_PICTURES, _SHAPES, _SIZE = 6, 1200, (360, 480)
_NEAR, _WIDE = 3, 5
_STRETCH = 8.0
_LIMIT = 16.0
_SEED = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Filters:
    """Filters of one scale: (N, 3, 6, 6) weights, their (N, 3) sums by colour, and (N,) thresholds."""

    weights: Tensor
    sums: Tensor
    thresholds: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Dictionary:
    """Filters of every scale, what turns their averages into `CHANNELS` numbers of variance 1, and mirroring.

    The (CHANNELS,) signs are 1 where a number stays as it is in a mirrored image, and -1 where it turns.
    """

    filters: tuple[_Filters, ...]
    mixing: Tensor
    offset: Tensor
    signs: NDArray[np.float16]


def texture_features(lab: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return what places of an image look like.

    Args:
        lab: (H, W, 3) float32 colours of the order of 1, at least one pixel.

    Returns:
        (CHANNELS, h, w) float16 of variance about 1, read-only; a place is 4 x 4 pixels.
    """
    import torch

    dictionary = _learnt()
    with torch.no_grad():
        averages = _averages(lab, dictionary.filters)
        _, height, width = averages.shape
        mixed = torch.addmm(dictionary.offset[:, None], dictionary.mixing, averages.flatten(1))
        found = mixed.clamp_(-_LIMIT, _LIMIT).reshape(CHANNELS, height, width).to(torch.float16).numpy()
    array: NDArray[np.float16] = found
    array.setflags(write=False)
    return array


def mirrored_signs() -> NDArray[np.float16]:
    """Return (CHANNELS,) of 1 and -1: what the numbers of a place are multiplied by in a mirrored image."""
    return _learnt().signs


@lru_cache(maxsize=1)
def _learnt() -> _Dictionary:
    """Return the filters; about a second of work at the first call."""
    import torch

    rng = np.random.Generator(np.random.PCG64(_SEED))
    pictures = [_shapes(rng) for _ in range(_PICTURES)]
    with torch.no_grad():
        filters = tuple(_clustered(pictures, scale, rng) for scale in _SCALES)
        seen = torch.cat([_averages(lab, filters).flatten(1)[:, ::9] for lab in pictures], dim=1).double()
        # Filters come before their mirror images, and both are seen as often: (2, groups x N, places).
        halves = torch.stack([half.flatten(0, 1) for half in seen.unflatten(0, (-1, 2, _FILTERS)).unbind(1)])
        mean = halves.mean((0, 2))[:, None]
        spread = halves.std((0, 2))[:, None] + 1e-3
        own, other = (halves - mean) / spread
        return _mixed(filters, mean, spread, ((own + other) / 2**0.5, (own - other) / 2**0.5))


def _mixed(
    filters: tuple[_Filters, ...], mean: Tensor, spread: Tensor, parts: tuple[Tensor, Tensor]
) -> _Dictionary:
    """Return the filters with the principal components of what pairs have in common and of what they do not.

    Args:
        filters: Of every scale.
        mean: (P, 1) of the averages of every pair of filters.
        spread: (P, 1).
        parts: (P, places) sums of the standardised averages of pairs, and differences.
    """
    import torch

    directions, variances, signs = [], [], []
    for sign, part in zip((1.0, -1.0), parts, strict=True):
        variance, found = torch.linalg.eigh(part @ part.T / part.shape[1])
        # eigh leaves the sign of a direction open: the largest number of each is positive.
        found = found * found.gather(0, found.abs().argmax(0, keepdim=True)).sign()
        directions.append(torch.stack((found, sign * found)) / 2**0.5)
        variances.append(variance)
        signs.append(torch.full_like(variance, sign))
    every = torch.cat(variances)
    kept = every.argsort(descending=True, stable=True)[:CHANNELS]
    mixing = (torch.cat(directions, dim=2)[:, :, kept] / every[kept].clamp(min=1e-3).sqrt()) / spread
    # Back to the order of the averages: groups of filters, each followed by their mirror images.
    mixing = mixing.unflatten(1, (-1, _FILTERS)).transpose(0, 1).flatten(0, 2).T
    means = mean.reshape(-1, 1, _FILTERS).expand(-1, 2, -1).reshape(-1)
    sign_of = torch.cat(signs)[kept].numpy().astype(np.float16)
    sign_of.setflags(write=False)
    return _Dictionary(filters, mixing.float().contiguous(), -(mixing @ means).float(), sign_of)


def _shapes(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the (H, W, 3) colours of a picture of discs, ellipses and bars that hide each other."""
    height, width = _SIZE
    picture = np.zeros((height, width, 3), np.float32)
    picture[:] = rng.uniform(-2, 2, 3) * (1, 0.4, 0.4)
    # Radii by an inverse cube law: then the picture looks the same at every scale.
    radii = 1 / np.sqrt(rng.uniform(1 / 120**2, 1 / 2**2, _SHAPES))
    for radius in radii:
        middle = int(rng.integers(width)), int(rng.integers(height))
        thickness, angle = float(rng.uniform(0.1, 1)), float(rng.uniform(0, 180))
        color = (float(rng.uniform(-1.8, 1.9)), *(float(part) for part in rng.normal(0, 0.5, 2)))
        axes = max(1, int(radius)), max(1, int(radius * thickness))
        if rng.random() < 0.5:
            cv2.ellipse(picture, middle, axes, angle, 0, 360, color, -1)
        else:
            corners = cv2.boxPoints((middle, (2 * axes[0], 2 * axes[1]), angle))
            cv2.fillConvexPoly(picture, np.round(corners).astype(np.int32), color)
    grain = cv2.GaussianBlur(rng.normal(size=_SIZE).astype(np.float32), (0, 0), float(rng.uniform(0.6, 2)))
    picture[..., 0] += grain * np.float32(rng.uniform(0.1, 0.6) / grain.std())
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.float32)


def _clustered(pictures: list[NDArray[np.float32]], scale: int, rng: np.random.Generator) -> _Filters:
    """Return the filters of one scale."""
    import torch
    from torch.nn.functional import normalize

    taken = []
    for lab in pictures:
        level = _reduced(lab, scale)
        windows = np.lib.stride_tricks.sliding_window_view(level, (_EDGE, _EDGE), axis=(0, 1))
        rows, columns = (rng.integers(count, size=_PATCHES // len(pictures)) for count in windows.shape[:2])
        taken.append(windows[rows, columns])
    patches = torch.from_numpy(np.concatenate(taken)).flatten(2)
    patches = (patches - patches.mean(2, keepdim=True)).flatten(1)
    patches /= patches.square().mean(1, keepdim=True).sqrt() + _FLAT
    mean = patches.mean(0)
    patches -= mean
    variances, directions = torch.linalg.eigh((patches.T @ patches / len(patches)).double())
    whitening = (directions * (variances.clamp(min=0) + _WHITE).rsqrt() @ directions.T).float()
    white = patches @ whitening
    centroids = normalize(white[:: len(white) // _FILTERS][:_FILTERS], dim=1)
    for _ in range(_ROUNDS):
        best, nearest = (white @ centroids.T).max(1)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, best[:, None] * white)
        centroids = normalize(sums + centroids, dim=1)
    weights = (centroids @ whitening).reshape(_FILTERS, 3, _EDGE, _EDGE)
    thresholds = weights.flatten(1) @ mean + _THRESHOLD
    both = torch.cat((weights, weights.flip(3)))
    return _Filters(both, both.sum((2, 3)), thresholds.repeat(2))


def _averages(lab: NDArray[np.float32], filters: tuple[_Filters, ...]) -> Tensor:
    """Return (2 x scales x N, h, w) of an image: near averages and wide ones, scale by scale."""
    import torch
    from torch.nn.functional import avg_pool2d, interpolate

    places = tuple(max(1, -(-extent // 4)) for extent in lab.shape[:2])
    found: list[Tensor] = []
    for level, learnt in zip(_levels(lab), filters, strict=True):
        answers = _pooled(_answers(level, learnt, 2 if not found else 1), places)
        wide = avg_pool2d(answers, 2, ceil_mode=True, count_include_pad=False)
        wide = interpolate(_smooth(wide, _WIDE), places, mode="bilinear", align_corners=False)
        found += [_smooth(answers, _NEAR), wide]
    return torch.log1p(_STRETCH * torch.cat(found, dim=1)[0])


def _levels(lab: NDArray[np.float32]) -> Iterator[Tensor]:
    """Yield (1, 3, h + 4 or 6, w + 4 or 6) of every scale, continued at the borders for patches there."""
    import torch
    from torch.nn.functional import pad

    for scale in _SCALES:
        level = torch.from_numpy(_reduced(lab, scale)).permute(2, 0, 1)[None]
        # As much on both sides, so that the patches of a mirrored image are the mirrored patches.
        around = _EDGE // 2 - (1 if scale == 1 and min(lab.shape[:2]) > 1 else 0)
        yield pad(level, (around,) * 4, mode="replicate")


def _answers(level: Tensor, learnt: _Filters, stride: int) -> Tensor:
    """Return (1, N, h, w): how much the patch at every place resembles each centroid beyond the threshold."""
    import torch
    from torch.nn.functional import avg_pool2d, conv2d

    mean = avg_pool2d(level, _EDGE, stride=stride)
    square = avg_pool2d(level * level, _EDGE, stride=stride)
    contrast = (square - mean * mean).clamp_(min=0).mean(1, keepdim=True).sqrt_() + _FLAT
    # A patch without its mean: the same as the filter's answer without its sum times the mean.
    dark = conv2d(mean, learnt.sums[:, :, None, None])
    answers = torch.sub(conv2d(level, learnt.weights, stride=stride), dark).div_(contrast)
    return answers.sub_(learnt.thresholds[:, None, None]).relu_()


def _pooled(answers: Tensor, places: tuple[int, ...]) -> Tensor:
    """Return (1, N, *places): averaged where that is coarser, blended where it is finer."""
    from torch.nn.functional import adaptive_avg_pool2d, interpolate

    if answers.shape[2] >= places[0] and answers.shape[3] >= places[1]:
        return adaptive_avg_pool2d(answers, (places[0], places[1]))
    return interpolate(answers, places, mode="bilinear", align_corners=False)


def _smooth(answers: Tensor, edge: int) -> Tensor:
    """Return averages over windows, twice."""
    from torch.nn.functional import avg_pool2d

    for _ in range(2):
        answers = avg_pool2d(answers, edge, stride=1, padding=edge // 2, count_include_pad=False)
    return answers


def _reduced(lab: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    if scale == 1:
        return np.ascontiguousarray(lab)
    size = max(1, lab.shape[1] // scale), max(1, lab.shape[0] // scale)
    return np.ascontiguousarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), np.float32)
