"""Making label and probability maps smaller, as the region mutual information loss does.

N images, C classes, H W full size, h w pooled size, s factor. Average and maximum take windows of s x s with
stride s and padding s // 2 (the padding counts as zeros in an average); interpolation reads aligned corners.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.loss_configs import Pooling


def pooled(values: Tensor, way: Pooling, factor: int) -> Tensor:
    """Returns (N, C, h, w) of (N, C, H, W) floating point; unchanged for factor 1."""
    if factor == 1:
        return values
    match way:
        case Pooling.AVERAGE:
            return _averaged(values, factor)
        case Pooling.MAXIMUM:
            return F.max_pool2d(values, factor, factor, factor // 2)
        case Pooling.INTERPOLATION:
            size = _interpolated_size(values, factor)
            return F.interpolate(values, size, mode="bilinear", align_corners=True)


def spread(gradient: Tensor, values: Tensor, way: Pooling, factor: int) -> Tensor:
    """Returns (N, C, H, W): derivative of a function of `pooled(values, way, factor)`.

    Args:
        gradient: (N, C, h, w) derivative by what was pooled.
        values: (N, C, H, W) what was pooled.
        way: how it was pooled.
        factor: s.
    """
    if factor == 1:
        return gradient
    if way is Pooling.AVERAGE:
        # Unlike autograd this does not pool once more to find out how.
        height, width = values.shape[-2:]
        rows = _repeated(gradient / (factor * factor), 3, factor, width)
        return _repeated(rows, 2, factor, height)
    with torch.enable_grad():
        leaf = values.detach().requires_grad_()
        return torch.autograd.grad(pooled(leaf, way, factor), leaf, gradient)[0]


def pooled_constant(values: Tensor, way: Pooling, factor: int, constant: float) -> Tensor:
    """Returns (1, 1, h, w): what a constant added before pooling adds after it; less at padded borders."""
    ones = torch.full((1, 1, *values.shape[-2:]), constant, dtype=torch.float32, device=values.device)
    return pooled(ones, way, factor)


def pooled_one_hot(target: Tensor, num_classes: int, way: Pooling, factor: int) -> Tensor:
    """Returns (N, C, h, w) float32, the pooled one-hot labels, without laying out the full one-hot map.

    Args:
        target: (N, H, W) int64 in 0..C, where C stands for unlabelled: zero for every class.
        num_classes: C.
        way: how to pool.
        factor: s.
    """
    if way is Pooling.INTERPOLATION and factor > 1:
        size = _interpolated_size(target, factor)
        # In float32, as the published code has its one-hot maps: a place right between two pixels would read
        # the other one in float64.
        target = F.interpolate(target[:, None].float(), size, mode="nearest")[:, 0].long()
        factor = 1
    images, height, width = target.shape
    rows, inside_rows, count_rows = _cells(height, factor, target.device)
    columns, inside_columns, count_columns = _cells(width, factor, target.device)
    places = rows[:, None] * count_columns + columns
    inside = inside_rows[:, None] & inside_columns & (target < num_classes)
    cells = count_rows * count_columns
    image = torch.arange(images, device=target.device)[:, None, None] * num_classes
    last = images * num_classes * cells
    index = torch.where(inside, (image + target) * cells + places, last).flatten()
    counts = torch.zeros(last + 1, device=target.device)
    # Sums of ones: exact in any order, so the result does not depend on the device's scheduling.
    counts.scatter_add_(0, index, torch.ones((), device=target.device).expand(index.shape))
    counts = counts[:last].view(images, num_classes, count_rows, count_columns)
    return counts.gt_(0) if way is Pooling.MAXIMUM else counts.div_(factor * factor)


def fully_labelled(labelled: Tensor, way: Pooling, factor: int) -> Tensor:
    """Returns (N, h, w) bool: places none of whose pixels is unlabelled.

    Args:
        labelled: (N, H, W) bool.
        way: how labels and probabilities are pooled.
        factor: s.
    """
    missing = (~labelled)[:, None].float()
    if way is Pooling.INTERPOLATION:
        at_label = F.interpolate(missing, _interpolated_size(labelled, factor), mode="nearest")
        missing = pooled(missing, way, factor) + at_label
    else:
        # Padding is no unlabelled pixel: maximum pooling pads with minus infinity.
        missing = pooled(missing, Pooling.MAXIMUM, factor)
    return missing[:, 0] == 0


def _averaged(values: Tensor, factor: int) -> Tensor:
    """Returns `F.avg_pool2d(values, factor, factor, factor // 2)`, several times faster on a processor.

    Rows are added first, in one piece each; only a share of the values is left to be added across.
    """
    height, padding = values.shape[2], factor // 2
    count = (height + 2 * padding - factor) // factor + 1
    rows = values.new_zeros(*values.shape[:2], max(0, count), values.shape[3])
    for offset in range(factor):
        first = 1 if offset < padding else 0
        start = first * factor + offset - padding
        part = values[:, :, start : start + factor * (count - first) : factor]
        rows[:, :, first : first + part.shape[2]] += part
    return F.avg_pool2d(rows, (1, factor), (1, factor), (0, padding), divisor_override=factor * factor)


def _repeated(values: Tensor, axis: int, factor: int, length: int) -> Tensor:
    """Returns `values` with each place `factor` times along an axis, without padding, `length` places."""
    padding = factor // 2
    shape = list(values.shape)
    shape.insert(axis + 1, factor)
    result = values.unsqueeze(axis + 1).expand(shape).flatten(axis, axis + 1)
    missing = padding + length - result.shape[axis]
    if missing > 0:
        # The rows behind the last whole window are in no window.
        result = F.pad(result, (0, missing) if axis == 3 else (0, 0, 0, missing))
    return result.narrow(axis, padding, length)


def _interpolated_size(values: Tensor, factor: int) -> tuple[int, int]:
    height, width = values.shape[-2:]
    return max(1, height // factor), max(1, width // factor)


def _cells(length: int, factor: int, device: torch.device) -> tuple[Tensor, Tensor, int]:
    """Returns (window of each row, whether it lies in a whole window, number of windows) along one axis."""
    padding = factor // 2 if factor > 1 else 0
    count = (length + 2 * padding - factor) // factor + 1
    cells = (torch.arange(length, device=device) + padding) // factor
    return cells, cells < count, count
