"""Building blocks shared by backbones and networks.

B batch, C channels, h w size of a feature map.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.configs import NormKind
from models.joint_norm import joint_batch_norm
from models.pointwise import PointConv
from models.processes import are_several, process_count
from models.wide_conv import WideConv

MINIMUM_SIZE = 32
"""Smaller images are padded to this edge before they enter a network."""


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that survives a single value per channel.

    One image whose features have shrunk to 1 x 1 has no variance: there the running statistics are used, as
    in evaluation, where `nn.BatchNorm2d` raises. Otherwise identical, with the same names in the state dict.
    Where several processes train together, their crops are normalised as one batch, on every device.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the overridden method
        """Normalises (B, C, h, w) over B, h, w."""
        if not self.training:
            return super().forward(input)
        if input.shape[0] * input.shape[2] * input.shape[3] * process_count() == 1:
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training=False,
                eps=self.eps,
            )
        return self._joint(input) if are_several() else super().forward(input)

    def _joint(self, values: Tensor) -> Tensor:
        """Normalises over the batches of all processes and moves the running statistics."""
        normal, mean, variance = joint_batch_norm(values, self.weight, self.bias, self.eps)
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            share = 0.1 if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance, share)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        return normal


def norm(kind: NormKind, channels: int) -> nn.Module:
    """Returns a normalisation layer for `channels` channels."""
    match kind:
        case NormKind.BATCH:
            return BatchNorm(channels)
        case NormKind.GROUP:
            groups = next(count for count in (8, 4, 2, 1) if channels % count == 0)
            return nn.GroupNorm(groups, channels)


@contextmanager
def unmoved(*modules: nn.Module) -> Iterator[None]:
    """Keeps the running statistics of batch normalisations where they are, in training too."""
    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def conv_norm_act(
    channels: int,
    width: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    kind: NormKind = NormKind.BATCH,
) -> list[nn.Module]:
    """Returns convolution without bias, normalisation and ReLU, to be put into an `nn.Sequential`.

    The convolution pads so that stride 1 keeps the size. The three are a list, not a module, so that several
    of them in one sequence have the flat names 0, 1, 3, 4, ... of published checkpoints.
    """
    if kernel == stride == groups == 1:
        return [PointConv(channels, width, bias=False), norm(kind, width), nn.ReLU(inplace=True)]
    if kernel == 3 and stride == dilation == groups == 1:
        return [WideConv(channels, width), norm(kind, width), nn.ReLU(inplace=True)]
    padding = kernel // 2 * dilation
    convolution = nn.Conv2d(
        channels, width, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False
    )
    return [convolution, norm(kind, width), nn.ReLU(inplace=True)]


def first_of(layers: nn.Sequential, values: Tensor, channels: slice) -> Tensor:
    """Returns what the first convolution of some layers makes of a part of its input channels.

    Parts add up to the whole: convolutions are linear, and this one has no bias.

    Args:
        layers: their first is a convolution without bias.
        values: (B, channels of the part, h, w).
        channels: which of the input channels `values` are.

    Raises:
        TypeError: the first layer is no convolution.
    """
    first = layers[0]
    if not isinstance(first, nn.Conv2d):
        raise TypeError(f"the first layer is a {type(first).__name__}, no convolution")
    weight = first.weight[:, channels]
    return F.conv2d(values, weight, None, first.stride, first.padding, first.dilation)


def resize(values: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resizes (B, C, h, w) bilinearly to `size`, with half-pixel centres; unchanged if it fits."""
    if values.shape[-2:] == tuple(size):
        return values
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)


def pad_to_minimum(image: Tensor, minimum: int = MINIMUM_SIZE) -> Tensor:
    """Repeats the last row and column until both edges of (B, C, H, W) are at least `minimum`."""
    missing_rows = max(0, minimum - image.shape[-2])
    missing_columns = max(0, minimum - image.shape[-1])
    if not missing_rows and not missing_columns:
        return image
    return F.pad(image, (0, missing_columns, 0, missing_rows), mode="replicate")


def full_size(logits: Tensor, padded: Tensor, image: Tensor) -> Tensor:
    """Resizes logits of the padded image to its size and cuts the padding off.

    Args:
        logits: (B, K, h, w).
        padded: (B, 3, H', W'), what `pad_to_minimum` returned.
        image: (B, 3, H, W), what it was given.

    Returns:
        (B, K, H, W).
    """
    height, width = image.shape[-2:]
    return resize(logits, padded.shape[-2:])[..., :height, :width]
