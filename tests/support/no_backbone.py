"""A backbone without parameters, to count what stands on it."""

from torch import Tensor

from models.backbones.base import Backbone, Features


class NoBackbone(Backbone):
    """Stands for a ResNet-50 whose parameters do not count; it is never run."""

    channels = (256, 512, 1024, 2048)
    strides = (4, 8, 8, 8)

    def forward(self, image: Tensor) -> Features:
        raise AssertionError(f"only counted, never run (asked for {tuple(image.shape)})")
