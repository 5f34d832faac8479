"""ResNet with dilated late stages, from torchvision's blocks.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016. Dilation: Yu, Koltun,
Funkhouser: Dilated Residual Networks. CVPR 2017. Names in the state dict are torchvision's (`conv1`, `bn1`,
`layer1` ... `layer4`); the deep stem is `stem`, as in the published networks.

| output stride | strides of layer1..4 | dilations |
|---|---|---|
| 8 | 1, 2, 1, 1 | 1, 1, 2, 4 |
| 16 | 1, 2, 2, 1 | 1, 1, 1, 2 |
| 32 | 1, 2, 2, 2 | 1, 1, 1, 1 |
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    ResNet152_Weights,
    WeightsEnum,
    resnet,
)

from models.backbone_configs import OutputStride, ResNetConfig, ResNetDepth, ResNetStem
from models.backbones.base import Backbone, Features
from models.backbones.pretrained import Notice, Progress, is_cached, start_from
from models.blocks import BatchNorm, conv_norm_act

_BLOCKS: dict[ResNetDepth, tuple[type[resnet.BasicBlock | resnet.Bottleneck], tuple[int, ...]]] = {
    ResNetDepth.RESNET18: (resnet.BasicBlock, (2, 2, 2, 2)),
    ResNetDepth.RESNET34: (resnet.BasicBlock, (3, 4, 6, 3)),
    ResNetDepth.RESNET50: (resnet.Bottleneck, (3, 4, 6, 3)),
    ResNetDepth.RESNET101: (resnet.Bottleneck, (3, 4, 23, 3)),
    ResNetDepth.RESNET152: (resnet.Bottleneck, (3, 8, 36, 3)),
}
_WEIGHTS: dict[ResNetDepth, WeightsEnum] = {
    ResNetDepth.RESNET18: ResNet18_Weights.IMAGENET1K_V1,
    ResNetDepth.RESNET34: ResNet34_Weights.IMAGENET1K_V1,
    # The first version of these: the second was trained by a recipe whose dilated features transfer worse.
    ResNetDepth.RESNET50: ResNet50_Weights.IMAGENET1K_V1,
    ResNetDepth.RESNET101: ResNet101_Weights.IMAGENET1K_V1,
    ResNetDepth.RESNET152: ResNet152_Weights.IMAGENET1K_V1,
}
_DILATIONS = {OutputStride.STRIDE8: (2, 4), OutputStride.STRIDE16: (1, 2), OutputStride.STRIDE32: (1, 1)}
PUBLISHED_WIDTH = 64


class ResNetBackbone(Backbone):
    """Features after each of the four stages: strides 4, 8, then as the output stride says."""

    def __init__(
        self, config: ResNetConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        super().__init__()
        block, counts = _BLOCKS[config.depth]
        base = config.base_width
        if config.stem is ResNetStem.DEEP:
            half = base // 2
            self.stem = nn.Sequential(
                *conv_norm_act(3, half, stride=2), *conv_norm_act(half, half), *conv_norm_act(half, base)
            )
        else:
            self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=3, bias=False)
            self.bn1 = BatchNorm(base)
            self.relu = nn.ReLU(inplace=True)
        self.deep = config.stem is ResNetStem.DEEP
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        expansion = block.expansion
        first, second, third, fourth = (base * factor for factor in (1, 2, 4, 8))
        self.layer1 = _stage(block, base, first, counts[0], 1)
        self.layer2 = _stage(block, first * expansion, second, counts[1], 2)
        self.layer3 = _stage(block, second * expansion, third, counts[2], 2)
        self.layer4 = _stage(block, third * expansion, fourth, counts[3], 2)
        self.channels = (first * expansion, second * expansion, third * expansion, fourth * expansion)
        stride = config.output_stride.value
        self.strides = (4, 8, min(16, stride), min(32, stride))
        before = 1
        for layer, dilation in zip((self.layer3, self.layer4), _DILATIONS[config.output_stride], strict=True):
            _dilate(layer, before if config.contracted_dilation else dilation, dilation)
            before = dilation
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if config.pretrained:
            self._start(config, progress, notice)

    def forward(self, image: Tensor) -> Features:
        """Returns the features after each stage of (B, 3, H, W)."""
        stem = self.stem(image) if self.deep else self.relu(self.bn1(self.conv1(image)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def _start(self, config: ResNetConfig, progress: Progress | None, notice: Notice | None) -> None:
        if config.base_width != PUBLISHED_WIDTH:
            if notice is not None:
                width = config.base_width
                notice(f"There are no published weights for a ResNet of width {width}: it starts untrained.")
            return

        def own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # A deep stem keeps what it has: torchvision's networks have none.
            known = dict(self.state_dict()) if self.deep else {}
            stem = {name: values for name, values in known.items() if name.startswith("stem.")}
            left_out = ("fc.", "conv1.", "bn1.") if self.deep else ("fc.",)
            return {name: v for name, v in state.items() if not name.startswith(left_out)} | stem

        start_from(self, _url(config.depth), own=own, progress=progress, notice=notice)


def has_weights(depth: ResNetDepth) -> bool:
    """Returns whether the published weights of this depth are on this computer."""
    return is_cached(_url(depth))


def _url(depth: ResNetDepth) -> str:
    url: str = _WEIGHTS[depth].url
    return url


def _stage(
    block: type[resnet.BasicBlock | resnet.Bottleneck], channels: int, width: int, count: int, stride: int
) -> nn.Sequential:
    """Returns the blocks of a stage; the first carries the stride, and a shortcut where shapes change."""
    result = width * block.expansion
    shortcut = None
    if stride != 1 or channels != result:
        shortcut = nn.Sequential(nn.Conv2d(channels, result, 1, stride=stride, bias=False), BatchNorm(result))
    first = block(channels, width, stride, shortcut, norm_layer=BatchNorm)
    rest = [block(result, width, norm_layer=BatchNorm) for _ in range(count - 1)]
    return nn.Sequential(first, *rest)


def _dilate(layer: nn.Module, first: int, rest: int) -> None:
    """Replaces the stride of a stage by dilation.

    Only the convolution that would carry the stride is dilated: the 3 x 3 of a bottleneck, the first of a
    basic block.

    Args:
        layer: stage of the network, changed in place; left as it is where `rest` is 1.
        first: dilation of its first block.
        rest: dilation of the others.
    """
    if rest == 1:
        return
    for number, block in enumerate(layer.children()):
        dilation = rest if number else first
        spatial = block.conv2 if isinstance(block, resnet.Bottleneck) else block.conv1
        if not isinstance(spatial, nn.Conv2d):
            raise TypeError(f"expected a convolution, found {type(spatial).__name__}")
        spatial.stride, spatial.dilation, spatial.padding = (1, 1), (dilation, dilation), (dilation, dilation)
        if isinstance(block.downsample, nn.Sequential) and isinstance(block.downsample[0], nn.Conv2d):
            block.downsample[0].stride = (1, 1)
