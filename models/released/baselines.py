"""Published checkpoints of the networks that others are compared with.

Each network is told by a name that only it has; widths are read from shapes. What shapes cannot tell (the
dilations of ASPP) is the published choice for output stride 8. The names of ANN, CCNet, DANet and DenseASPP
are of other code bases and are not read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.backbone_configs import BackboneConfig
from models.baseline_configs import (
    DeepLabV3Config,
    DeepLabV3PlusConfig,
    DnlConfig,
    OcrNetConfig,
    PspNetConfig,
    UperNetConfig,
)
from models.configs import FcnConfig, Supervision
from models.released.names import Prefixes, renamed

State = Mapping[str, Tensor]
"""Tensors by published name, without a wrapper's prefix."""

BaselineConfig = (
    FcnConfig
    | PspNetConfig
    | DeepLabV3Config
    | DeepLabV3PlusConfig
    | UperNetConfig
    | OcrNetConfig
    | DnlConfig
)

_SEPARABLE = {"depthwise_conv.": "0.", "depthwise_bn.": "1.", "pointwise_conv.": "3.", "pointwise_bn.": "4."}
"""Parts of a separable convolution, which are numbered here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """One network.

    Attributes:
        marks: names that a file has to contain.
        classifier: where the last convolution is, without ".weight".
        prefixes: published beginnings of names and ours.
        config: makes its configuration.
    """

    marks: tuple[str, ...]
    classifier: str
    prefixes: Prefixes
    config: Callable[[State, BackboneConfig], BaselineConfig]


def _width(state: State, name: str) -> int:
    """Returns the number of channels that come out of a convolution."""
    return state[f"{name}.weight"].shape[0]


def _auxiliary(state: State) -> dict[str, Any]:
    if "auxiliary_decoder.0.weight" not in state:
        return {"auxiliary": False}
    return {"auxiliary_width": _width(state, "auxiliary_decoder.0")}


def _fcn(state: State, backbone: BackboneConfig) -> FcnConfig:
    width = _width(state, "decoder.0")
    if "auxiliary_decoder.0.weight" not in state:
        return FcnConfig(backbone=backbone, width=width, supervision=Supervision.NONE)
    auxiliary = _width(state, "auxiliary_decoder.0")
    return FcnConfig(backbone=backbone, width=width, auxiliary_width=0 if auxiliary == width else auxiliary)


def _pspnet(state: State, backbone: BackboneConfig) -> PspNetConfig:
    return PspNetConfig(backbone=backbone, width=_width(state, "ppm_net.bottleneck.0"), **_auxiliary(state))


def _deeplabv3(state: State, backbone: BackboneConfig) -> DeepLabV3Config:
    width = _width(state, "aspp_net.bottleneck.0")
    return DeepLabV3Config(backbone=backbone, width=width, **_auxiliary(state))


def _deeplabv3plus(state: State, backbone: BackboneConfig) -> DeepLabV3PlusConfig:
    return DeepLabV3PlusConfig(
        backbone=backbone,
        width=_width(state, "aspp_net.bottleneck.0"),
        detail_width=_width(state, "shortcut.0"),
        **_auxiliary(state),
    )


def _upernet(state: State, backbone: BackboneConfig) -> UperNetConfig:
    return UperNetConfig(backbone=backbone, width=_width(state, "ppm_net.bottleneck.0"), **_auxiliary(state))


def _ocrnet(state: State, backbone: BackboneConfig) -> OcrNetConfig:
    return OcrNetConfig(
        backbone=backbone,
        width=_width(state, "bottleneck.0"),
        attention_width=_width(state, "object_context_block.value_project.0"),
        auxiliary_width=_width(state, "auxiliary_decoder.0"),
    )


def _dnl(state: State, backbone: BackboneConfig) -> DnlConfig:
    return DnlConfig(
        backbone=backbone,
        width=_width(state, "conv_before_dnl.0"),
        attention_width=_width(state, "dnl_block.g.0"),
        **_auxiliary(state),
    )


_BACKBONE = ("backbone_net.", "backbone.")
# The more particular of two networks comes first: UPerNet also has what marks PSPNet.
_FAMILIES: tuple[_Family, ...] = (
    _Family(
        marks=("object_context_block.bottleneck.0.weight",),
        classifier="decoder.1",
        prefixes=(
            _BACKBONE,
            ("object_context_block.bottleneck.", "object_context.fusion."),
            ("object_context_block.", "object_context.attention."),
            ("decoder.1.", "classifier."),
        ),
        config=_ocrnet,
    ),
    _Family(
        marks=("dnl_block.conv_mask.weight",),
        classifier="decoder.4",
        prefixes=(
            _BACKBONE,
            ("conv_before_dnl.", "context.before."),
            ("conv_after_dnl.", "context.after."),
            ("dnl_block.g.0.", "context.attention.value."),
            ("dnl_block.theta.0.", "context.attention.query."),
            ("dnl_block.phi.0.", "context.attention.key."),
            ("dnl_block.conv_mask.", "context.attention.mask."),
            ("dnl_block.conv_out.", "context.attention.out."),
            ("decoder.4.", "classifier."),
            ("decoder.", "context.fusion."),
        ),
        config=_dnl,
    ),
    _Family(
        marks=("ppm_net.bottleneck.0.weight", "lateral_convs.0.0.weight"),
        classifier="decoder.4",
        prefixes=(
            _BACKBONE,
            ("ppm_net.", "pooling."),
            ("lateral_convs.", "pyramid.lateral_convs."),
            ("fpn_convs.", "pyramid.fpn_convs."),
            ("decoder.4.", "classifier."),
            ("decoder.", "fusion."),
        ),
        config=_upernet,
    ),
    _Family(
        marks=("ppm_net.bottleneck.0.weight",),
        classifier="decoder.1",
        prefixes=(_BACKBONE, ("ppm_net.", "context."), ("decoder.1.", "classifier.")),
        config=_pspnet,
    ),
    _Family(
        marks=("aspp_net.bottleneck.0.weight", "shortcut.0.weight"),
        classifier="decoder.3",
        prefixes=(
            _BACKBONE,
            ("aspp_net.", "context."),
            ("decoder.3.", "classifier."),
            ("decoder.", "refine."),
        ),
        config=_deeplabv3plus,
    ),
    _Family(
        marks=("aspp_net.bottleneck.0.weight",),
        classifier="decoder.1",
        prefixes=(_BACKBONE, ("aspp_net.", "context."), ("decoder.1.", "classifier.")),
        config=_deeplabv3,
    ),
    _Family(
        marks=("decoder.0.weight", "decoder.3.weight", "decoder.7.weight"),
        classifier="decoder.7",
        prefixes=(_BACKBONE, ("auxiliary_decoder.", "auxiliary_decoders.stage3.")),
        config=_fcn,
    ),
)


def _family(state: State) -> _Family | None:
    return next((family for family in _FAMILIES if all(mark in state for mark in family.marks)), None)


def _known(state: State) -> _Family:
    family = _family(state)
    if family is None:
        raise LookupError("these are not the names of a network for comparison")
    return family


def is_baseline(state: State) -> bool:
    """Returns whether published names are those of one of the networks here."""
    return _family(state) is not None


def num_classes(state: State) -> int:
    """Returns K.

    Raises:
        LookupError: none of the networks here has these names.
    """
    return _width(state, _known(state).classifier)


def own_state(state: State) -> dict[str, Tensor]:
    """Returns the tensors under our names; those of the backbone keep theirs behind "backbone.".

    Raises:
        LookupError: none of the networks here has these names.
    """
    family = _known(state)
    return renamed({_numbered(name): values for name, values in state.items()}, family.prefixes)


def baseline_config(state: State, backbone: BackboneConfig) -> BaselineConfig:
    """Returns the configuration that the shapes of published tensors tell.

    Args:
        state: tensors by published name.
        backbone: its backbone, recognised elsewhere.

    Raises:
        LookupError: none of the networks here has these names.
    """
    return _known(state).config(state, backbone)


def _numbered(name: str) -> str:
    for part, number in _SEPARABLE.items():
        name = name.replace(part, number)
    return name
