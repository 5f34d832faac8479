"""The region mutual information loss step by step, as its description reads: slow, and obviously right.

Written from the formulas (Zhao et al. 2019) in the manner of the published code: a full one-hot map, permuted
copies, regions as stacked slices in double precision, an explicit inverse. Tests compare with it, benchmarks
measure against it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP, RIDGE, LOG_FLOOR = 1e-6, 5e-4, 1e-8


def reference_rmi(
    logits: Tensor,
    target: Tensor,
    *,
    region: int = 3,
    factor: int = 4,
    way: str = "average",
    share: float = 0.5,
) -> Tensor:
    """Returns share * binary cross-entropy + (1 - share) * regional term.

    Args:
        logits: (N, K, H, W) float.
        target: (N, H, W) int64, 255 ignored.
        region: edge of a region.
        factor: pooling factor.
        way: "average", "maximum" or "interpolation".
        share: weight of the pixel-wise term.
    """
    classes = logits.shape[1]
    valid = target < classes
    labels = F.one_hot(target * valid.long(), classes).float() * valid.float()[..., None]
    flat_logits = logits.permute(0, 2, 3, 1).contiguous().view(-1, classes)
    each = F.binary_cross_entropy_with_logits(flat_logits, labels.view(-1, classes), reduction="none")
    pixel = (each * valid.float().view(-1, 1)).sum() / (valid.float().sum() + 1)
    one_hot = labels.permute(0, 3, 1, 2).contiguous()
    probabilities = torch.sigmoid(logits) * valid.float()[:, None] + CLIP
    regional = reference_regional(one_hot, probabilities, region, factor, way)
    return share * pixel + (1 - share) * regional


def reference_regional(one_hot: Tensor, probabilities: Tensor, region: int, factor: int, way: str) -> Tensor:
    """Returns the regional term of one-hot labels and probabilities, both (N, K, H, W)."""
    labels, predictions = _pool(one_hot, factor, way, labels=True), _pool(probabilities, factor, way)
    size = region * region
    y = _regions(labels, region).detach().double()
    q = _regions(predictions, region).double()
    y = y - y.mean(3, keepdim=True)
    q = q - q.mean(3, keepdim=True)
    identity = torch.eye(size, dtype=torch.float64)[None, None]
    inverse = torch.inverse(q @ q.transpose(2, 3) + RIDGE * identity)
    cross = y @ q.transpose(2, 3)
    posterior = y @ y.transpose(2, 3) - cross @ inverse @ cross.transpose(2, 3)
    factors = torch.linalg.cholesky(posterior + RIDGE * identity)
    halves = (factors.diagonal(dim1=2, dim2=3) + LOG_FLOOR).log().sum(2)
    return (halves.mean(0).to(probabilities.dtype) / size).sum()


def _pool(values: Tensor, factor: int, way: str, labels: bool = False) -> Tensor:
    if factor == 1:
        return values
    if way == "average":
        return F.avg_pool2d(values, factor, factor, factor // 2)
    if way == "maximum":
        return F.max_pool2d(values, factor, factor, factor // 2)
    size = (values.shape[2] // factor, values.shape[3] // factor)
    if labels:
        return F.interpolate(values, size, mode="nearest")
    return F.interpolate(values, size, mode="bilinear", align_corners=True)


def _regions(values: Tensor, region: int) -> Tensor:
    images, classes, height, width = values.shape
    rows, columns = height - region + 1, width - region + 1
    slices = [values[:, :, y : y + rows, x : x + columns] for y in range(region) for x in range(region)]
    return torch.stack(slices, 2).view(images, classes, region * region, rows * columns)
