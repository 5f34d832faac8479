"""The contract of every backbone."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet in RGB order, range 0..1."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet in RGB order, range 0..1."""

Features = tuple[Tensor, Tensor, Tensor, Tensor]
"""Four feature maps, finest first: (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))."""


class Backbone(nn.Module):
    """Turns an image (B, 3, H, W), normalised by `MEAN` and `STD`, into `Features`.

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
