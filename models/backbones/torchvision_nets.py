"""ConvNeXt and MobileNetV3 as torchvision builds them, read after each of four stages.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s. CVPR 2022. Howard et al.: Searching for
MobileNetV3. ICCV 2019. Names in the state dict are torchvision's (`features`), so its weights fit.
"""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import (
    ConvNeXt_Base_Weights,
    ConvNeXt_Large_Weights,
    ConvNeXt_Small_Weights,
    ConvNeXt_Tiny_Weights,
    MobileNet_V3_Large_Weights,
    MobileNet_V3_Small_Weights,
    WeightsEnum,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
    mobilenet_v3_large,
    mobilenet_v3_small,
)

from models.backbone_configs import ConvNextConfig, ConvNextSize, MobileNetConfig, MobileNetSize
from models.backbones.base import Backbone, Features
from models.backbones.pretrained import Notice, Progress, start_from

_CONVNEXT: dict[ConvNextSize, tuple[Callable[..., nn.Module], WeightsEnum, int]] = {
    ConvNextSize.TINY: (convnext_tiny, ConvNeXt_Tiny_Weights.IMAGENET1K_V1, 96),
    ConvNextSize.SMALL: (convnext_small, ConvNeXt_Small_Weights.IMAGENET1K_V1, 96),
    ConvNextSize.BASE: (convnext_base, ConvNeXt_Base_Weights.IMAGENET1K_V1, 128),
    ConvNextSize.LARGE: (convnext_large, ConvNeXt_Large_Weights.IMAGENET1K_V1, 192),
}
# Constructor, weights, the last part of each stage, and the channels it gives.
_MOBILENET: dict[
    MobileNetSize,
    tuple[Callable[..., nn.Module], WeightsEnum, tuple[int, int, int, int], tuple[int, int, int, int]],
] = {
    MobileNetSize.SMALL: (
        mobilenet_v3_small,
        MobileNet_V3_Small_Weights.IMAGENET1K_V1,
        (1, 3, 8, 12),
        (16, 24, 48, 576),
    ),
    MobileNetSize.LARGE: (
        mobilenet_v3_large,
        MobileNet_V3_Large_Weights.IMAGENET1K_V2,
        (3, 6, 12, 16),
        (24, 40, 112, 960),
    ),
}


class StagedBackbone(Backbone):
    """A sequence of parts, some of which end a stage.

    Args:
        network: of torchvision; its `features` are the parts.
        ends: the last part of each stage.
        multiples: what both edges of a part's input are padded to, zeros below and at the right; parts that
            cut their input into patches would drop the rest.
    """

    features: nn.Sequential

    def __init__(
        self, network: nn.Module, ends: tuple[int, int, int, int], multiples: Mapping[int, int] | None = None
    ) -> None:
        super().__init__()
        self.features = _parts(network)
        self._ends = frozenset(ends)
        self._multiples = dict(multiples or {})

    def forward(self, image: Tensor) -> Features:
        """Returns the features after each stage of (B, 3, H, W)."""
        current, found = image, []
        for number, part in enumerate(self.features):
            multiple = self._multiples.get(number, 1)
            height, width = current.shape[-2:]
            current = part(F.pad(current, (0, -width % multiple, 0, -height % multiple)))
            if number in self._ends:
                found.append(current)
        first, second, third, fourth = found
        return first, second, third, fourth


class ConvNextBackbone(StagedBackbone):
    """Features after each of the four stages, at strides 4, 8, 16 and 32."""

    strides = (4, 8, 16, 32)

    def __init__(
        self, config: ConvNextConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        make, weights, width = _CONVNEXT[config.size]
        network = make(weights=None, stochastic_depth_prob=config.drop_path)
        super().__init__(network, (1, 3, 5, 7), {0: 4, 2: 2, 4: 2, 6: 2})
        self.channels = (width, 2 * width, 4 * width, 8 * width)
        if config.pretrained:
            start_from(self, weights.url, own=_features, progress=progress, notice=notice)


class MobileNetBackbone(StagedBackbone):
    """Features at strides 4, 8, 16 and 32, or 16 again if dilated."""

    def __init__(
        self, config: MobileNetConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        make, weights, ends, channels = _MOBILENET[config.size]
        super().__init__(make(weights=None, dilated=config.dilated), ends)
        self.channels = channels
        self.strides = (4, 8, 16, 16 if config.dilated else 32)
        if config.pretrained:
            start_from(self, weights.url, own=_features, progress=progress, notice=notice)


def _features(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leaves the classifier out."""
    return {name: values for name, values in state.items() if name.startswith("features.")}


def _parts(network: nn.Module) -> nn.Sequential:
    parts = network.get_submodule("features")
    if not isinstance(parts, nn.Sequential):
        raise TypeError(f"expected a sequence of parts, found {type(parts).__name__}")
    return parts
