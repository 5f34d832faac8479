"""Where the shape of a prediction disagrees with the shape of a label: region mutual information by window.

RMI (Zhao et al., NeurIPS 2019) sees a label map as vectors of 3x3 neighbours. What a linear estimate from the
prediction's vectors leaves unexplained of the label's vectors is the posterior variance M of their eq. 14;
its log-determinant is the bound they maximise. Here it is taken window by window, above what a perfect
prediction would leave, in nats per pixel of the region. Broken poles, ragged borders and shifted masks
stand out, since none of them can be explained from the 3x3 neighbourhood; a border that is merely soft can.

K classes, (h, w) size of the map. NumPy only, any thread.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

WINDOW = 24
"""Edge of a window in pixels of the map."""

STRIDE = 12
"""Distance of neighbouring windows."""

_REGION = 3
_NOISE = 5e-4
_MIN_SHARE = 0.01

Floats = NDArray[np.float32]


def structure_map(
    probabilities: Floats,
    label: NDArray[np.integer],
    *,
    ignore: int = 255,
    window: int = WINDOW,
    stride: int = STRIDE,
) -> Floats:
    """Compare prediction and label window by window.

    Args:
        probabilities: (K, h, w) float32 in [0, 1].
        label: (h, w) class channels; `ignore` where nobody said anything (such pixels do not count).
        ignore: Value of pixels without a label.
        window: Edge of a window in pixels, at least 8.
        stride: Distance of windows.

    Returns:
        (rows, columns) float32 >= 0, nats per pixel of the region, summed over classes; 0 where prediction
        and label agree or the label has no structure.

    Raises:
        ValueError: The sizes do not fit, or the map is smaller than a window.
    """
    if probabilities.shape[1:] != label.shape:
        raise ValueError(f"prediction {probabilities.shape[1:]} and label {label.shape} differ in size")
    if min(label.shape) < window:
        raise ValueError(f"a map of {label.shape} is smaller than a window of {window}")
    inner = window - _REGION + 1
    whole = region_vectors((label != ignore).astype(np.float32), inner, stride).min(axis=-1) > 0
    total = np.zeros(whole.shape[:2], np.float32)
    for channel in range(probabilities.shape[0]):
        truth = region_vectors((label == channel).astype(np.float32), inner, stride)
        share = truth[..., _REGION * _REGION // 2].mean(axis=-1)
        mixed = (share > _MIN_SHARE) & (share < 1.0 - _MIN_SHARE)
        if mixed.any():
            estimate = region_vectors(probabilities[channel], inner, stride)[mixed]
            total[mixed] += _unexplained(truth[mixed], estimate, whole[mixed])
    return total


def stretched(values: Floats, size: tuple[int, int], window: int = WINDOW, stride: int = STRIDE) -> Floats:
    """Return a map by window as a map by pixel: each pixel has the mean of the windows it lies in.

    Args:
        values: (rows, columns) as `structure_map` returns them.
        size: (h, w) of the map that was compared.
        window: As in `structure_map`.
        stride: As in `structure_map`.
    """
    total = np.zeros(size, np.float32)
    count = np.zeros(size, np.float32)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            part = (
                slice(row * stride, row * stride + window),
                slice(column * stride, column * stride + window),
            )
            total[part] += values[row, column]
            count[part] += 1.0
    return np.asarray(total / np.maximum(count, 1.0), np.float32)


def region_vectors(plane: Floats, inner: int, stride: int) -> Floats:
    """Return the 3x3 region vectors of every window.

    Args:
        plane: (h, w) float32.
        inner: Vectors along a window's edge.
        stride: Distance of windows.

    Returns:
        (rows, columns, inner * inner, 9) float32.
    """
    regions = sliding_window_view(plane, (_REGION, _REGION))
    windows = sliding_window_view(regions, (inner, inner), axis=(0, 1))[::stride, ::stride]
    rows, columns = windows.shape[:2]
    ordered = np.moveaxis(windows, (4, 5), (2, 3))
    return ordered.reshape(rows, columns, inner * inner, _REGION * _REGION)


def _unexplained(truth: Floats, estimate: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Return for each window the log-determinant of the posterior variance, above a perfect estimate's.

    Args:
        truth: (N, n, 9) region vectors of the label.
        estimate: (N, n, 9) region vectors of the prediction.
        counts: (N, n) whether all pixels of a vector are labelled.

    Returns:
        (N,) float32 >= 0, half the log-determinant divided by 9.
    """
    weights = counts[..., None].astype(np.float32)
    number = np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    truth = (truth - (truth * weights).sum(axis=1, keepdims=True) / number) * weights
    estimate = (estimate - (estimate * weights).sum(axis=1, keepdims=True) / number) * weights
    scale = 1.0 / number
    eye = np.eye(_REGION * _REGION) * _NOISE
    truth_variance = (np.swapaxes(truth, 1, 2) @ truth * scale).astype(np.float64)
    covariance = (np.swapaxes(truth, 1, 2) @ estimate * scale).astype(np.float64)
    variance = (np.swapaxes(estimate, 1, 2) @ estimate * scale).astype(np.float64) + eye
    explained = covariance @ np.linalg.solve(variance, np.swapaxes(covariance, 1, 2))
    _, left = np.linalg.slogdet(truth_variance - explained + eye)
    _, least = np.linalg.slogdet(_left_by_itself(truth_variance, eye) + eye)
    return np.asarray(np.maximum(0.5 * (left - least) / eye.shape[0], 0.0), np.float32)


def _left_by_itself(variance: NDArray[np.float64], eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a prediction equal to the label would leave unexplained, by the noise alone."""
    return np.asarray(variance - variance @ np.linalg.solve(variance + eye, variance), np.float64)
