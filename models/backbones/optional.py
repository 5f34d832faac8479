"""ResNeSt and HRNet out of timm, an optional package: imported when one of them is built, and not before.

Zhang et al.: ResNeSt: Split-Attention Networks. CVPR Workshops 2022. Wang et al.: Deep High-Resolution
Representation Learning for Visual Recognition. TPAMI 2020. Modules and names are timm's; what differs from
the published segmentation networks is put right here: pooling in shortcuts that keep their size, and how the
branches of HRNet are brought to one size.
"""

import importlib
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone_catalog import BackboneUnavailableError
from models.backbone_configs import HrNetConfig, HrNetWidth, ResNestConfig, ResNestDepth
from models.backbones.base import Backbone, Features
from models.blocks import BatchNorm, conv_norm_act, resize

_RESNEST = {
    ResNestDepth.RESNEST14: "resnest14d",
    ResNestDepth.RESNEST50: "resnest50d",
    ResNestDepth.RESNEST101: "resnest101e",
}
_HRNET = {
    HrNetWidth.W18_SMALL: ("hrnet_w18_small_v2", 18),
    HrNetWidth.W18: ("hrnet_w18", 18),
    HrNetWidth.W32: ("hrnet_w32", 32),
    HrNetWidth.W48: ("hrnet_w48", 48),
}


class ResNestBackbone(Backbone):
    """Features after each of the four stages: strides 4, 8, then as the output stride says."""

    channels = (256, 512, 1024, 2048)

    def __init__(self, config: ResNestConfig) -> None:
        super().__init__()
        stride = config.output_stride.value
        self.strides = (4, 8, min(16, stride), min(32, stride))
        network = _timm("ResNeSt").create_model(_RESNEST[config.depth], output_stride=stride, num_classes=0)
        self.conv1, self.bn1, self.relu = network.conv1, network.bn1, network.act1
        self.maxpool = network.maxpool
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        for layer in (self.layer3, self.layer4):
            _keep_size(layer)
        _survive_single_values(self)

    def forward(self, image: Tensor) -> Features:
        """Returns the features after each stage of (B, 3, H, W)."""
        first = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(image)))))
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)


class HrNetBackbone(Backbone):
    """Three branches at strides 4, 8 and 16, and all four branches joined at stride 4 (or 8 if halved)."""

    def __init__(self, config: HrNetConfig) -> None:
        super().__init__()
        name, width = _HRNET[config.width]
        joined = 15 * width
        self.channels = (width, 2 * width, 4 * width, joined)
        self.strides = (4, 8, 16, 8 if config.halved else 4)
        self.stem_activation = config.stem_activation
        network = _timm("HRNet").create_model(name, features_only=False, num_classes=0)
        self.conv1, self.bn1, self.conv2, self.bn2 = network.conv1, network.bn1, network.conv2, network.bn2
        self.layer1 = network.layer1
        for number in (1, 2, 3):
            for part in (f"transition{number}", f"stage{number + 1}"):
                self.add_module(part, network.get_submodule(part))
        self.downsample = nn.Sequential(*conv_norm_act(joined, joined, stride=2)) if config.halved else None
        _survive_single_values(self)

    def forward(self, image: Tensor) -> Features:
        """Returns the features of (B, 3, H, W)."""
        stem = self.bn1(self.conv1(image))
        if self.stem_activation:
            stem = F.relu(stem)
        branches = [self.layer1(F.relu(self.bn2(self.conv2(stem))))]
        for number in (1, 2, 3):
            branches = self._more(number, branches)
            for module in self.get_submodule(f"stage{number + 1}").children():
                branches = _exchanged(module, branches)
        size = branches[0].shape[-2:]
        joined = torch.cat([resize(values, size) for values in branches], dim=1)
        if self.downsample is not None:
            joined = self.downsample(joined)
        return branches[0], branches[1], branches[2], joined

    def _more(self, number: int, branches: list[Tensor]) -> list[Tensor]:
        """Returns the branches of the next stage: those there are, and a coarser one made of the coarsest."""
        transitions = list(self.get_submodule(f"transition{number}").children())
        return [
            branches[place] if isinstance(transition, nn.Identity) else transition(branches[-1])
            for place, transition in enumerate(transitions)
        ]


def _exchanged(module: Any, branches: list[Tensor]) -> list[Tensor]:
    """Runs a module of HRNet: blocks in every branch, then every branch adds all the others."""
    own = [branch(values) for branch, values in zip(module.branches, branches, strict=True)]
    results = []
    for place, sources in enumerate(module.fuse_layers):
        size = own[place].shape[-2:]
        added = [_brought(source, values, size) for source, values in zip(sources, own, strict=True)]
        results.append(F.relu(torch.stack(added).sum(dim=0) if len(added) > 1 else added[0]))
    return results


def _brought(source: Any, values: Tensor, size: torch.Size) -> Tensor:
    """Brings one branch to the size of another; enlarged by its factor, then to the very size."""
    if not isinstance(source, nn.Sequential) or not isinstance(source[-1], nn.Upsample):
        result: Tensor = source(values)
        return result
    factor: Any = source[-1].scale_factor
    enlarged = F.interpolate(source[:-1](values), scale_factor=factor, mode="bilinear", align_corners=False)
    return resize(enlarged, size)


def _keep_size(layer: nn.Module) -> None:
    """Takes the pooling out of shortcuts that do not change the size."""
    for block in layer.children():
        shortcut = getattr(block, "downsample", None)
        if isinstance(shortcut, nn.Sequential) and getattr(shortcut[0], "stride", None) in (1, (1, 1)):
            shortcut[0] = nn.Identity()


def _survive_single_values(network: nn.Module) -> None:
    """Lets batch normalisations work on one value per channel (`models.blocks.BatchNorm`)."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm


def _timm(title: str) -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise BackboneUnavailableError(
            f"{title} needs the package timm, which is not installed. Install it with: "
            "pip install maskloop[backbones]"
        ) from error
