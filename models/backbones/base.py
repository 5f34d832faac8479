"""The contract of every backbone."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

Features = tuple[Tensor, Tensor, Tensor, Tensor]
"""Four feature maps, finest first: (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))."""


class Backbone(nn.Module):
    """Turns a normalised image (B, 3, H, W) into `Features`.

    Attributes:
        channels: channels of the four feature maps.
        strides: how much smaller each of them is than the image.
    """

    channels: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    if TYPE_CHECKING:

        def __call__(self, image: Tensor) -> Features:
            """Calls `forward`."""

    @abstractmethod
    def forward(self, image: Tensor) -> Features:
        """Computes the features of (B, 3, H, W) float with both edges at least 32."""
