"""The narrow ResNet-18 inside the stored cases: deep stem, output stride 8, names as published."""

from torch import Tensor, nn
from torchvision.models import resnet

from models.backbones.base import Backbone, Features
from models.backbones.resnet import _dilate
from models.blocks import conv_norm_act


class NarrowResNet(Backbone):
    """ResNet-18 whose first stage has `2 * base` channels."""

    strides = (4, 8, 8, 8)

    def __init__(self, base: int = 8) -> None:
        super().__init__()
        width = 2 * base
        self.channels = (width, 2 * width, 4 * width, 8 * width)
        self.stem = nn.Sequential(
            *conv_norm_act(3, base, stride=2), *conv_norm_act(base, base), *conv_norm_act(base, width)
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = width
        for number, channels in enumerate(self.channels, start=1):
            stage = _stage(inputs, channels, stride=1 if number == 1 else 2)
            if number > 2:
                _dilate(stage, 2 ** (number - 3), 2 ** (number - 2))
            self.add_module(f"layer{number}", stage)
            inputs = channels

    def forward(self, image: Tensor) -> Features:
        features = self.maxpool(self.stem(image))
        stages = []
        for number in range(1, 5):
            features = self.get_submodule(f"layer{number}")(features)
            stages.append(features)
        return (stages[0], stages[1], stages[2], stages[3])


def _stage(inputs: int, channels: int, *, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != channels:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
        )
    return nn.Sequential(
        resnet.BasicBlock(inputs, channels, stride, shortcut), resnet.BasicBlock(channels, channels)
    )
