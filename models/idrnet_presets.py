"""Complete configurations of IDRNet (torch-free)."""

from models.backbone_configs import (
    ResNetConfig,
    ResNetDepth,
    ResNetStem,
    SwinConfig,
    SwinSize,
    TinyBackboneConfig,
)
from models.context_configs import ContextKind
from models.idrnet_configs import ContextRefinement, IdrnetConfig, PyramidPlace, Refinement

_RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50)
_PUBLISHED_RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50, stem=ResNetStem.DEEP)
"""With the stem of the published networks. ImageNet weights at hand cover all of the plain one only."""
_SWIN_LARGE = SwinConfig(size=SwinSize.LARGE, window=12, drop_path=0.3, shift_single_window=True)


def tiny_idrnet() -> IdrnetConfig:
    """Returns an IDRNet small enough for tests and very slow computers."""
    return IdrnetConfig(
        backbone=TinyBackboneConfig(width=12, depth=1),
        context=ContextKind.PPM,
        pyramid=PyramidPlace.AFTER,
        pyramid_width=8,
        width=16,
        attention_width=8,
        auxiliary_width=16,
        dropout=0.0,
    )


def idrnet_resnet18() -> IdrnetConfig:
    """Returns an IDRNet on ResNet-18 with a narrow head that refines among classes: for a patient CPU."""
    return IdrnetConfig(
        backbone=ResNetConfig(depth=ResNetDepth.RESNET18),
        refinement=Refinement.CLASSES,
        width=128,
        attention_width=32,
        auxiliary_width=64,
        deletion_statistics=False,
    )


def idrnet_quick() -> IdrnetConfig:
    """Returns an IDRNet that adapts to few images: light refinement, and a head that learns fast."""
    return IdrnetConfig(
        backbone=_RESNET50,
        refinement=Refinement.CLASSES,
        width=256,
        attention_width=64,
        auxiliary_width=128,
        deletion_statistics=False,
        head_rate=10,
    )


def idrnet_light() -> IdrnetConfig:
    """Returns the IDRNet of the paper's cost table: 10.79 M parameters, refinement among classes."""
    return IdrnetConfig(backbone=_PUBLISHED_RESNET50, refinement=Refinement.CLASSES, attention_width=128)


def idrnet_fcn_ade20k() -> IdrnetConfig:
    """Returns IDRNet without further context as published for ADE20K (43.61 % mIoU): twice the usual width.

    Recipe around it, as for all bases on ADE20K: SGD, rate 0.01 falling with power 0.9, decay 5e-4, batches
    of 16 crops of 512 x 512, 130 epochs.
    """
    return IdrnetConfig(backbone=_PUBLISHED_RESNET50, width=1024)


def idrnet_fcn() -> IdrnetConfig:
    """Returns IDRNet without further context as published for Cityscapes, COCO-Stuff and LIP.

    Recipes around it, as for the other bases: Cityscapes as ADE20K, but 8 crops of 512 x 1024 and 220 epochs;
    COCO-Stuff with rate 0.001, decay 1e-4 and 110 epochs; LIP with 32 crops of 473 x 473 and 150 epochs.
    """
    return IdrnetConfig(backbone=_PUBLISHED_RESNET50)


def idrnet_ppm() -> IdrnetConfig:
    """Returns IDRNet on pyramid pooling as published for ADE20K."""
    return _on(ContextKind.PPM, ContextRefinement.AFTER)


def idrnet_ppm_cityscapes() -> IdrnetConfig:
    """Returns IDRNet on pyramid pooling as published for Cityscapes: wide, features predict coarsely."""
    return IdrnetConfig(
        backbone=_PUBLISHED_RESNET50,
        context=ContextKind.PPM,
        context_refinement=ContextRefinement.AFTER,
        coarse_from_features=True,
        width=1024,
    )


def idrnet_ppm_cocostuff() -> IdrnetConfig:
    """Returns IDRNet on pyramid pooling as published for COCO-Stuff."""
    return _on(ContextKind.PPM, ContextRefinement.BEFORE)


def idrnet_ppm_lip() -> IdrnetConfig:
    """Returns IDRNet on pyramid pooling as published for LIP."""
    return _on(ContextKind.PPM, ContextRefinement.NONE)


def idrnet_aspp() -> IdrnetConfig:
    """Returns IDRNet on ASPP as published for ADE20K and Cityscapes."""
    return _on(ContextKind.ASPP, ContextRefinement.AFTER)


def idrnet_aspp_cocostuff() -> IdrnetConfig:
    """Returns IDRNet on ASPP as published for COCO-Stuff."""
    return _on(ContextKind.ASPP, ContextRefinement.BEFORE)


def idrnet_aspp_lip() -> IdrnetConfig:
    """Returns IDRNet on ASPP as published for LIP."""
    return _on(ContextKind.ASPP, ContextRefinement.NONE)


def idrnet_upernet() -> IdrnetConfig:
    """Returns IDRNet on UPerNet as published for ADE20K (44.84 % mIoU) and Cityscapes (80.81 %)."""
    return _on(ContextKind.ASPP, ContextRefinement.AFTER, PyramidPlace.AFTER)


def idrnet_upernet_cocostuff() -> IdrnetConfig:
    """Returns IDRNet on UPerNet as published for COCO-Stuff."""
    return _on(ContextKind.PPM, ContextRefinement.BEFORE, PyramidPlace.AFTER)


def idrnet_upernet_lip() -> IdrnetConfig:
    """Returns IDRNet on UPerNet as published for LIP."""
    return _on(ContextKind.PPM, ContextRefinement.NONE, PyramidPlace.AFTER)


def idrnet_swin_large() -> IdrnetConfig:
    """Returns IDRNet on UPerNet and Swin-L as published for ADE20K (53.97 %), COCO-Stuff and PASCAL-Context.

    Recipe around it: AdamW, rate 6e-5 after 1500 steps of warm-up, falling linearly, decay 0.01; batches of
    16 crops of 640 x 640; predicted in windows of 640 whose probabilities are averaged.
    """
    return IdrnetConfig(
        backbone=_SWIN_LARGE,
        context=ContextKind.ASPP,
        context_refinement=ContextRefinement.AFTER,
        pyramid=PyramidPlace.AFTER,
        pyramid_width=1024,
    )


def idrnet_swin_large_lip() -> IdrnetConfig:
    """Returns IDRNet on UPerNet and Swin-L as published for LIP (60.53 %).

    The width of the pyramid is assumed to be that of the other sets; a checkpoint tells its own.
    """
    return IdrnetConfig(
        backbone=_SWIN_LARGE, context=ContextKind.PPM, pyramid=PyramidPlace.AFTER, pyramid_width=1024
    )


def _on(
    context: ContextKind, refinement: ContextRefinement, pyramid: PyramidPlace = PyramidPlace.NONE
) -> IdrnetConfig:
    return IdrnetConfig(
        backbone=_PUBLISHED_RESNET50, context=context, context_refinement=refinement, pyramid=pyramid
    )
