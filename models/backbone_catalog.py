"""The backbones there are (torch-free)."""

from dataclasses import dataclass

from models.backbone_configs import (
    BackboneConfig,
    ConvNextConfig,
    HrNetConfig,
    MobileNetConfig,
    ResNestConfig,
    ResNetConfig,
    SwinConfig,
    TinyBackboneConfig,
    VitConfig,
)


class BackboneUnavailableError(Exception):
    """A backbone needs a package that is not installed; the message says which and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """One family of backbones.

    Attributes:
        name: identifier, lower case.
        title: shown to the user.
        paper: reference, "" for our own.
        default: what is built if nobody chooses further; its type is the configuration's.
        package: optional package it needs, "" for none.
    """

    name: str
    title: str
    paper: str
    default: BackboneConfig
    package: str = ""


BACKBONES: tuple[BackboneSpec, ...] = (
    BackboneSpec(name="tiny", title="Tiny", paper="", default=TinyBackboneConfig()),
    BackboneSpec(
        name="resnet",
        title="ResNet",
        paper="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.",
        default=ResNetConfig(),
    ),
    BackboneSpec(
        name="swin",
        title="Swin transformer",
        paper="Liu et al.: Swin Transformer: Hierarchical Vision Transformer using Shifted Windows. "
        "ICCV 2021.",
        default=SwinConfig(),
    ),
    BackboneSpec(
        name="convnext",
        title="ConvNeXt",
        paper="Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s. CVPR 2022.",
        default=ConvNextConfig(),
    ),
    BackboneSpec(
        name="mobilenet",
        title="MobileNetV3",
        paper="Howard et al.: Searching for MobileNetV3. ICCV 2019.",
        default=MobileNetConfig(),
    ),
    BackboneSpec(
        name="vit",
        title="Vision transformer",
        paper="Dosovitskiy et al.: An Image is Worth 16x16 Words. ICLR 2021.",
        default=VitConfig(),
    ),
    BackboneSpec(
        name="resnest",
        title="ResNeSt",
        paper="Zhang et al.: ResNeSt: Split-Attention Networks. CVPR Workshops 2022.",
        default=ResNestConfig(),
        package="timm",
    ),
    BackboneSpec(
        name="hrnet",
        title="HRNetV2",
        paper="Wang et al.: Deep High-Resolution Representation Learning for Visual Recognition. TPAMI 2020.",
        default=HrNetConfig(),
        package="timm",
    ),
)
