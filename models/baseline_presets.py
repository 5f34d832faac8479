"""Complete configurations of the networks that others are compared with (torch-free)."""

from models.backbone_configs import ResNetConfig, ResNetDepth, TinyBackboneConfig
from models.baseline_configs import (
    AnnConfig,
    CcNetConfig,
    DaNetConfig,
    DeepLabV3Config,
    DeepLabV3PlusConfig,
    DenseAsppConfig,
    DnlConfig,
    OcrNetConfig,
    PspNetConfig,
    UperNetConfig,
)

_TINY = TinyBackboneConfig(width=12, depth=1, dilated=True)
_RESNET18 = ResNetConfig(depth=ResNetDepth.RESNET18)
_RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50)
_RESNET101 = ResNetConfig(depth=ResNetDepth.RESNET101)


def tiny_pspnet() -> PspNetConfig:
    """Returns a PSPNet small enough for tests and very slow computers."""
    return PspNetConfig(backbone=_TINY, width=24, auxiliary_width=8, dropout=0.0, auxiliary_dropout=0.0)


def tiny_deeplabv3() -> DeepLabV3Config:
    """Returns a DeepLabV3 small enough for tests and very slow computers."""
    return DeepLabV3Config(
        backbone=_TINY, width=24, auxiliary_width=8, dropout=0.0, auxiliary_dropout=0.0, dilation_step=2
    )


def tiny_deeplabv3plus() -> DeepLabV3PlusConfig:
    """Returns a DeepLabV3+ small enough for tests and very slow computers."""
    return DeepLabV3PlusConfig(
        backbone=_TINY,
        width=24,
        auxiliary_width=8,
        dropout=0.0,
        auxiliary_dropout=0.0,
        dilation_step=2,
        detail_width=8,
    )


def tiny_upernet() -> UperNetConfig:
    """Returns a UPerNet small enough for tests and very slow computers."""
    return UperNetConfig(backbone=_TINY, width=24, auxiliary_width=8, dropout=0.0, auxiliary_dropout=0.0)


def tiny_ocrnet() -> OcrNetConfig:
    """Returns an OCRNet small enough for tests and very slow computers."""
    return OcrNetConfig(
        backbone=_TINY, width=32, attention_width=16, auxiliary_width=16, auxiliary_dropout=0.0
    )


def tiny_ann() -> AnnConfig:
    """Returns an ANN small enough for tests and very slow computers."""
    return AnnConfig(
        backbone=_TINY, width=24, attention_width=8, auxiliary_width=8, dropout=0.0, auxiliary_dropout=0.0
    )


def tiny_ccnet() -> CcNetConfig:
    """Returns a CCNet small enough for tests and very slow computers, whose attention counts at once."""
    return CcNetConfig(
        backbone=_TINY,
        width=24,
        attention_width=8,
        auxiliary_width=8,
        dropout=0.0,
        auxiliary_dropout=0.0,
        strength=0.1,
    )


def tiny_dnl() -> DnlConfig:
    """Returns a DNL small enough for tests and very slow computers."""
    return DnlConfig(
        backbone=_TINY, width=24, attention_width=8, auxiliary_width=8, dropout=0.0, auxiliary_dropout=0.0
    )


def tiny_danet() -> DaNetConfig:
    """Returns a DANet small enough for tests and very slow computers, whose attention counts at once."""
    return DaNetConfig(
        backbone=_TINY,
        width=24,
        attention_width=8,
        auxiliary_width=8,
        dropout=0.0,
        auxiliary_dropout=0.0,
        strength=0.1,
    )


def tiny_denseaspp() -> DenseAsppConfig:
    """Returns a DenseASPP small enough for tests and very slow computers."""
    return DenseAsppConfig(
        backbone=_TINY,
        width=24,
        growth=8,
        auxiliary_width=8,
        dropout=0.0,
        auxiliary_dropout=0.0,
        dilation_step=2,
    )


def pspnet_resnet18() -> PspNetConfig:
    """Returns a PSPNet on ResNet-18 with a narrow head."""
    return PspNetConfig(backbone=_RESNET18, width=128, auxiliary_width=64)


def pspnet_resnet50() -> PspNetConfig:
    """Returns the PSPNet of the comparison tables, on ResNet-50."""
    return PspNetConfig(backbone=_RESNET50)


def deeplabv3_resnet18() -> DeepLabV3Config:
    """Returns a DeepLabV3 on ResNet-18 with a narrow head."""
    return DeepLabV3Config(backbone=_RESNET18, width=128, auxiliary_width=64)


def deeplabv3_resnet50() -> DeepLabV3Config:
    """Returns the DeepLabV3 of the comparison tables, on ResNet-50."""
    return DeepLabV3Config(backbone=_RESNET50)


def deeplabv3plus_resnet50() -> DeepLabV3PlusConfig:
    """Returns the DeepLabV3+ of the comparison tables, on ResNet-50."""
    return DeepLabV3PlusConfig(backbone=_RESNET50)


def upernet_resnet18() -> UperNetConfig:
    """Returns a UPerNet on ResNet-18 with a narrow head."""
    return UperNetConfig(backbone=_RESNET18, width=64, auxiliary_width=64)


def upernet_resnet50() -> UperNetConfig:
    """Returns the UPerNet of the comparison tables, on ResNet-50."""
    return UperNetConfig(backbone=_RESNET50)


def ocrnet_resnet18() -> OcrNetConfig:
    """Returns an OCRNet on ResNet-18 with a narrow head."""
    return OcrNetConfig(backbone=_RESNET18, width=128, attention_width=64, auxiliary_width=64)


def ocrnet_resnet50() -> OcrNetConfig:
    """Returns the OCRNet of the comparison tables, on ResNet-50."""
    return OcrNetConfig(backbone=_RESNET50)


def ann_resnet50() -> AnnConfig:
    """Returns the ANN of the comparison tables, on ResNet-50."""
    return AnnConfig(backbone=_RESNET50)


def ccnet_resnet50() -> CcNetConfig:
    """Returns the CCNet of the comparison tables, on ResNet-50."""
    return CcNetConfig(backbone=_RESNET50)


def dnl_resnet50() -> DnlConfig:
    """Returns the DNL of the comparison tables, on ResNet-50."""
    return DnlConfig(backbone=_RESNET50)


def danet_resnet101() -> DaNetConfig:
    """Returns the DANet of the comparison tables, on ResNet-101."""
    return DaNetConfig(backbone=_RESNET101)


def denseaspp_resnet50() -> DenseAsppConfig:
    """Returns a DenseASPP on ResNet-50."""
    return DenseAsppConfig(backbone=_RESNET50)
