"""Complete configurations under a name (torch-free)."""

from dataclasses import dataclass

from models.baseline_presets import (
    ann_resnet50,
    ccnet_resnet50,
    danet_resnet101,
    deeplabv3_resnet18,
    deeplabv3_resnet50,
    deeplabv3plus_resnet50,
    denseaspp_resnet50,
    dnl_resnet50,
    ocrnet_resnet18,
    ocrnet_resnet50,
    pspnet_resnet18,
    pspnet_resnet50,
    upernet_resnet18,
    upernet_resnet50,
)
from models.configs import (
    CrossEntropyConfig,
    FcnConfig,
    LossConfig,
    NetworkConfig,
    OutputStride,
    ResNetConfig,
    ResNetDepth,
    RmiConfig,
    SpgNetConfig,
    TinyBackboneConfig,
    TinyConfig,
)
from models.idrnet_presets import (
    idrnet_aspp,
    idrnet_fcn,
    idrnet_light,
    idrnet_ppm,
    idrnet_quick,
    idrnet_resnet18,
    idrnet_upernet,
)
from models.memory_presets import (
    mcibi_quick,
    mcibi_resnet18,
    mcibi_resnet50,
    mcibipp_quick,
    mcibipp_resnet18,
    mcibipp_resnet50,
)


def tiny() -> TinyConfig:
    """Returns the network for computers without a GPU."""
    return TinyConfig()


def tiny_fcn() -> FcnConfig:
    """Returns an FCN small enough for tests and very slow computers."""
    return FcnConfig(backbone=TinyBackboneConfig(width=12, depth=1), width=24, dropout=0.0)


def fcn_resnet18() -> FcnConfig:
    """Returns an FCN on ResNet-18 with a narrow head."""
    return FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET18), width=128)


def fcn_resnet50() -> FcnConfig:
    """Returns the FCN of the comparison tables, on ResNet-50."""
    return FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET50))


def tiny_spgnet() -> SpgNetConfig:
    """Returns an SPGNet small enough for tests and very slow computers."""
    return SpgNetConfig(backbone=TinyBackboneConfig(width=12, depth=1), width=16)


def spgnet_resnet18() -> SpgNetConfig:
    """Returns an SPGNet of two ResNet-18 with narrow decoders."""
    backbone = ResNetConfig(depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE32)
    return SpgNetConfig(backbone=backbone, width=64)


def spgnet_resnet50() -> SpgNetConfig:
    """Returns the SPGNet of the comparison tables: two ResNet-50."""
    return SpgNetConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A network and a loss that go together.

    Attributes:
        name: identifier used on the command line.
        title: a few words for the window.
        help: one sentence: for whom.
        network: complete network configuration.
        loss: complete loss configuration.
    """

    name: str
    title: str
    help: str
    network: NetworkConfig
    loss: LossConfig


_COMPARED = (
    (
        "pspnet-resnet18",
        "PSPNet, ResNet-18",
        "Knows the image as a whole; for a GPU, or a patient CPU.",
        pspnet_resnet18(),
    ),
    (
        "pspnet-resnet50",
        "PSPNet, ResNet-50",
        "Knows the image as a whole; for a GPU with at least 8 GB of memory.",
        pspnet_resnet50(),
    ),
    (
        "deeplabv3-resnet18",
        "DeepLabV3, ResNet-18",
        "Sees near and far at once; for a GPU, or a patient CPU.",
        deeplabv3_resnet18(),
    ),
    (
        "deeplabv3-resnet50",
        "DeepLabV3, ResNet-50",
        "Sees near and far at once; for a GPU with at least 12 GB of memory.",
        deeplabv3_resnet50(),
    ),
    (
        "deeplabv3plus-resnet50",
        "DeepLabV3+, ResNet-50",
        "Like DeepLabV3 with finer borders; for a GPU with at least 12 GB of memory.",
        deeplabv3plus_resnet50(),
    ),
    (
        "upernet-resnet18",
        "UPerNet, ResNet-18",
        "Joins all scales, fine borders; for a GPU, or a patient CPU.",
        upernet_resnet18(),
    ),
    (
        "upernet-resnet50",
        "UPerNet, ResNet-50",
        "Joins all scales, fine borders; for a GPU with at least 12 GB of memory.",
        upernet_resnet50(),
    ),
    (
        "ocrnet-resnet18",
        "OCRNet, ResNet-18",
        "Pixels ask the regions of classes; for a GPU, or a patient CPU.",
        ocrnet_resnet18(),
    ),
    (
        "ocrnet-resnet50",
        "OCRNet, ResNet-50",
        "Pixels ask the regions of classes; for a GPU with at least 8 GB of memory.",
        ocrnet_resnet50(),
    ),
    (
        "ann-resnet50",
        "ANN, ResNet-50",
        "Pixels ask averages over regions; for a GPU with at least 12 GB of memory.",
        ann_resnet50(),
    ),
    (
        "ccnet-resnet50",
        "CCNet, ResNet-50",
        "Pixels ask their rows and columns; for a GPU with at least 12 GB of memory.",
        ccnet_resnet50(),
    ),
    (
        "dnl-resnet50",
        "DNL, ResNet-50",
        "Pixels ask all others; for a GPU with at least 12 GB of memory.",
        dnl_resnet50(),
    ),
    (
        "danet-resnet101",
        "DANet, ResNet-101",
        "Pixels ask all others, channels too; for a GPU with at least 16 GB of memory.",
        danet_resnet101(),
    ),
    (
        "denseaspp-resnet50",
        "DenseASPP, ResNet-50",
        "Sees every distance in between; for a GPU with at least 12 GB of memory.",
        denseaspp_resnet50(),
    ),
)
"""Networks of the comparison tables: name, title, help, configuration; all learn by cross-entropy."""

PRESETS: tuple[Preset, ...] = (
    Preset(
        name="tiny",
        title="Tiny",
        help="Learns on any computer within a minute; needs no download.",
        network=tiny(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="fcn-resnet18",
        title="FCN, ResNet-18",
        help="Finer than Tiny; for a GPU, or a patient CPU.",
        network=fcn_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="fcn-resnet50",
        title="FCN, ResNet-50",
        help="For a GPU with at least 8 GB of memory.",
        network=fcn_resnet50(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="spgnet-resnet18",
        title="SPGNet, 2 × ResNet-18",
        help="Two passes, fine borders; for a GPU, or a patient CPU.",
        network=spgnet_resnet18(),
        loss=CrossEntropyConfig(auxiliary_weight=1.0),
    ),
    Preset(
        name="spgnet-resnet50",
        title="SPGNet, 2 × ResNet-50",
        help="For a GPU with at least 16 GB of memory.",
        network=spgnet_resnet50(),
        loss=CrossEntropyConfig(auxiliary_weight=1.0),
    ),
    Preset(
        name="idrnet-resnet18",
        title="IDRNet, ResNet-18",
        help="Classes of an image help each other; for a GPU, or a patient CPU.",
        network=idrnet_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-quick",
        title="IDRNet, quick",
        help="Adapts to few images: light, with a head that learns fast; for a GPU.",
        network=idrnet_quick(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-light",
        title="IDRNet, refined by class",
        help="As cheap as the paper says; for a GPU with at least 8 GB of memory.",
        network=idrnet_light(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-resnet50",
        title="IDRNet, ResNet-50",
        help="As published, refined by pixel; for a GPU with at least 12 GB of memory.",
        network=idrnet_fcn(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-ppm-resnet50",
        title="IDRNet on PPM, ResNet-50",
        help="With averages over regions, as published; for a GPU with at least 12 GB of memory.",
        network=idrnet_ppm(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-aspp-resnet50",
        title="IDRNet on ASPP, ResNet-50",
        help="With convolutions of several reaches, as published; for a GPU with at least 16 GB of memory.",
        network=idrnet_aspp(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="idrnet-upernet-resnet50",
        title="IDRNet on UPerNet, ResNet-50",
        help="The best published one on ResNet-50, and the heaviest; for a GPU with at least 16 GB.",
        network=idrnet_upernet(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi-resnet18",
        title="MCIBI, ResNet-18",
        help="Remembers classes over all images; for a GPU, or a patient CPU.",
        network=mcibi_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi-quick",
        title="MCIBI, ResNet-50, few images",
        help="Starts from ImageNet weights and adapts fast; for a GPU with at least 12 GB of memory.",
        network=mcibi_quick(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi-resnet50",
        title="MCIBI, ResNet-50, as published",
        help="For a long training planned in advance, on a GPU with at least 16 GB of memory.",
        network=mcibi_resnet50(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-resnet18",
        title="MCIBI++, ResNet-18",
        help="Remembers two numbers per class; for a GPU, or a patient CPU.",
        network=mcibipp_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-quick",
        title="MCIBI++, ResNet-50, few images",
        help="Starts from ImageNet weights and adapts fast; for a GPU with at least 12 GB of memory.",
        network=mcibipp_quick(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-resnet50",
        title="MCIBI++, ResNet-50, as published",
        help="For a long training planned in advance, on a GPU with at least 16 GB of memory.",
        network=mcibipp_resnet50(),
        loss=CrossEntropyConfig(),
    ),
    *(
        Preset(name=name, title=title, help=words, network=network, loss=CrossEntropyConfig())
        for name, title, words, network in _COMPARED
    ),
    Preset(
        name="rmi-resnet18",
        title="DeepLabV3, ResNet-18, region loss",
        help="Learns shapes of regions, not pixels alone; for images labelled in large parts.",
        network=deeplabv3_resnet18(),
        loss=RmiConfig(factor=2),
    ),
    Preset(
        name="rmi-quick",
        title="DeepLabV3, ResNet-50, region loss, few images",
        help="Starts from ImageNet weights and learns shapes of regions; for a GPU with at least 12 GB.",
        network=deeplabv3_resnet50(),
        loss=RmiConfig(factor=2),
    ),
    Preset(
        name="rmi-resnet50",
        title="DeepLabV3, ResNet-50, region loss as published",
        help="For completely labelled images and a long training, on a GPU with at least 12 GB of memory.",
        network=deeplabv3_resnet50(),
        loss=RmiConfig(only_labelled=False),
    ),
)
"""Presets in the order in which they are offered; the first suits every computer."""
