"""What the transformers among the backbones share: skipped depth, and the small network of a layer.

B batch, C channels, N positions.
"""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Skips a branch for some images while training, and makes up for it in the others.

    Huang et al.: Deep Networks with Stochastic Depth. ECCV 2016.

    Args:
        share: probability with which an image skips the branch.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Returns (B, ...) of the same shape; in evaluation the values themselves."""
        if not self.training or self.share == 0.0:
            return values
        shape = (values.shape[0],) + (1,) * (values.dim() - 1)
        kept = torch.rand(shape, device=values.device) >= self.share
        return values * kept.to(values.dtype) / (1.0 - self.share)


def perceptron(channels: int, factor: int = 4) -> nn.Sequential:
    """Returns two linear layers with GELU between, (..., C) to (..., C); named 0 and 3 as in torchvision."""
    inner = channels * factor
    return nn.Sequential(
        nn.Linear(channels, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, channels), nn.Identity()
    )


def rising_shares(largest: float, layers: int) -> list[float]:
    """Returns the share of `DropPath` of each layer: from 0 to `largest` in equal steps."""
    return [largest * number / max(layers - 1, 1) for number in range(layers)]
