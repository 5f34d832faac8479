"""ResNet with dilated late stages, from torchvision.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016. Dilation: Yu, Koltun,
Funkhouser: Dilated Residual Networks. CVPR 2017. Names in the state dict are torchvision's (`conv1`, `bn1`,
`layer1` ... `layer4`).

| output stride | strides of layer1..4 | dilations |
|---|---|---|
| 8 | 1, 2, 1, 1 | 1, 1, 2, 4 |
| 16 | 1, 2, 2, 1 | 1, 1, 1, 2 |
| 32 | 1, 2, 2, 2 | 1, 1, 1, 1 |
"""

from torch import Tensor, nn
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    WeightsEnum,
    resnet,
)

from models.backbones.base import Backbone, Features
from models.backbones.pretrained import Notice, PretrainedUnavailableError, Progress, load_published
from models.blocks import BatchNorm
from models.configs import OutputStride, ResNetConfig, ResNetDepth

_BLOCKS: dict[ResNetDepth, tuple[type[resnet.BasicBlock | resnet.Bottleneck], list[int]]] = {
    ResNetDepth.RESNET18: (resnet.BasicBlock, [2, 2, 2, 2]),
    ResNetDepth.RESNET34: (resnet.BasicBlock, [3, 4, 6, 3]),
    ResNetDepth.RESNET50: (resnet.Bottleneck, [3, 4, 6, 3]),
    ResNetDepth.RESNET101: (resnet.Bottleneck, [3, 4, 23, 3]),
}
_WEIGHTS: dict[ResNetDepth, WeightsEnum] = {
    ResNetDepth.RESNET18: ResNet18_Weights.IMAGENET1K_V1,
    ResNetDepth.RESNET34: ResNet34_Weights.IMAGENET1K_V1,
    # The first version of these: the second was trained by a recipe whose dilated features transfer worse.
    ResNetDepth.RESNET50: ResNet50_Weights.IMAGENET1K_V1,
    ResNetDepth.RESNET101: ResNet101_Weights.IMAGENET1K_V1,
}
_DILATIONS = {OutputStride.STRIDE8: (2, 4), OutputStride.STRIDE16: (1, 2), OutputStride.STRIDE32: (1, 1)}


class ResNetBackbone(Backbone):
    """Features after each of the four stages: strides 4, 8, then as the output stride says."""

    def __init__(
        self, config: ResNetConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        super().__init__()
        block, counts = _BLOCKS[config.depth]
        net = resnet.ResNet(block, counts, norm_layer=BatchNorm)
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        expansion = block.expansion
        self.channels = (64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion)
        stride = config.output_stride.value
        self.strides = (4, 8, min(16, stride), min(32, stride))
        before = 1
        for layer, dilation in zip((self.layer3, self.layer4), _DILATIONS[config.output_stride], strict=True):
            _dilate(layer, before if config.contracted_dilation else dilation, dilation)
            before = dilation
        if config.pretrained:
            self._load(_url(config.depth), progress, notice)

    def forward(self, image: Tensor) -> Features:
        """Returns the features after each stage of (B, 3, H, W)."""
        stem = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        first = self.layer1(stem)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def _load(self, url: str, progress: Progress | None, notice: Notice | None) -> None:
        try:
            state = dict(load_published(url, progress=progress))
        except PretrainedUnavailableError as error:
            if notice is not None:
                notice(f"{error} The network starts untrained and needs more corrections.")
            return
        self.load_state_dict({name: values for name, values in state.items() if not name.startswith("fc.")})


def _url(depth: ResNetDepth) -> str:
    url: str = _WEIGHTS[depth].url
    return url


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
