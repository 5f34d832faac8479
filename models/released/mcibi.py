"""Published checkpoints of MCIBI and MCIBI++: names, and the configuration their tensors tell.

The shapes tell widths, context and pyramid. What leaves no trace in the tensors (which prediction gathers,
the rate on which the memory's momentum hangs) is known by the name of the file, else the usual choice.
"""

from collections.abc import Mapping

from torch import Tensor

from models.backbone_configs import BackboneConfig
from models.class_memory import normal_draws
from models.context_configs import ContextKind
from models.memory_configs import (
    AttentionStride,
    ClassMemoryConfig,
    DecoderKernel,
    McibiConfig,
    McibiPlusPlusConfig,
    MomentumSchedule,
)
from models.released.names import Prefixes, renamed

_COMMON: Prefixes = (
    ("backbone_net.", "backbone."),
    ("norm_layers.", "backbone.norms."),
    ("downsample_backbone.", "backbone.downsample."),
    ("context_within_image_module.", "context."),
    ("memory_module.memory", "memory.memory"),
    ("memory_module.bottleneck.", "memory_fusion."),
)
_MCIBI: Prefixes = (
    *_COMMON,
    ("memory_module.self_attention.", "memory_attentions.0."),
    ("memory_module.self_attentions.", "memory_attentions."),
    ("memory_module.fuse_memory_conv.", "slot_fusion."),
    ("memory_module.self_attention_ms.", "context_attention."),
    ("memory_module.bottleneck_ms.", "context_fusion."),
    ("decoder_stage1.", "coarse_decoder."),
    ("decoder_stage2.", "decoder."),
)
_PLUS_PLUS: Prefixes = (
    *_COMMON,
    ("memory_module.self_attention.", "memory_attention."),
    ("memory_module.downsample_before_sa.", "downsample."),
    ("self_attention.", "within_attention."),
    ("lateral_convs.", "pyramid.lateral_convs."),
    ("fpn_convs.", "pyramid.fpn_convs."),
    *(
        (f"decoder_{published}.{part}.", f"{own}.{number}.")
        for published, own in (("pr", "pixel_decoder"), ("cwi", "context_decoder"), ("cls", "decoder"))
        for part, number in (("conv1", 0), ("bn1", 1), ("conv2", 4))
    ),
)
_MEMORY = "memory_module.memory"
_AUXILIARY = "auxiliary_decoder.0.weight"
_LARGE = ("_s101_", "hrnetv2w48")
"""Backbones trained at lower rates."""


def is_mcibi(state: Mapping[str, Tensor]) -> bool:
    """Whether published tensors are those of an MCIBI or MCIBI++."""
    return _MEMORY in state


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a published MCIBI or MCIBI++ under our names; the backbone's keep theirs.

    The published code draws MCIBI++'s normal vectors anew in every pass; they are added.

    Args:
        state: tensors by published name, without a wrapper's prefix.
    """
    if not _is_plus_plus(state):
        return renamed(state, _MCIBI)
    draws = normal_draws(num_classes(state), _width(state))
    return renamed(state, _PLUS_PLUS) | {"memory.draws": draws}


def num_classes(state: Mapping[str, Tensor]) -> int:
    """Returns K.

    Raises:
        KeyError: the memory is missing.
    """
    return len(state[_MEMORY])


def mcibi_config(
    state: Mapping[str, Tensor], backbone: BackboneConfig, *, file: str = ""
) -> McibiConfig | McibiPlusPlusConfig:
    """Returns the configuration that the shapes of published tensors tell.

    Args:
        state: tensors by published name, without a wrapper's prefix.
        backbone: configuration of the backbone.
        file: name of the file, which names base, backbone and data set.

    Raises:
        KeyError: a tensor that every MCIBI has is missing.
    """
    if _is_plus_plus(state):
        return _plus_plus(state, backbone, file)
    slots = state[_MEMORY].shape[1]
    attention = "self_attention" if slots == 1 else "self_attentions.0"
    memory = ClassMemoryConfig(
        slots=slots,
        schedule=MomentumSchedule.FOLLOWS_RATE,
        momentum=0.9,
        base_rate=_base_rate(file),
        consistency_statistics=True,
        consistency_unseen=True,
    )
    return McibiConfig(
        backbone=backbone,
        context=_context(state),
        width=_width(state),
        attention_width=_attention_width(state, f"memory_module.{attention}"),
        auxiliary=_AUXILIARY in state,
        auxiliary_width=_auxiliary_width(state),
        memory=memory,
    )


def _plus_plus(state: Mapping[str, Tensor], backbone: BackboneConfig, file: str) -> McibiPlusPlusConfig:
    level = state.get("fpn_convs.0.0.weight")
    small = "memory_module.downsample_before_sa.0.weight" in state
    return McibiPlusPlusConfig(
        backbone=backbone,
        context=_context(state),
        pyramid=level is not None,
        width=_width(state),
        pyramid_width=_width(state) if level is None else len(level),
        attention_width=_attention_width(state, "memory_module.self_attention"),
        coarse_kernel=DecoderKernel(state["decoder_pr.conv1.weight"].shape[-1]),
        decoder_kernel=DecoderKernel(state["decoder_cls.conv1.weight"].shape[-1]),
        within_attention="self_attention.value_project.0.weight" in state,
        attention_stride=AttentionStride.HALF if small else AttentionStride.FULL,
        gather_by_pixels="plusplus_ppm_" in file and "ade20k" in file,
        auxiliary=_AUXILIARY in state,
        auxiliary_width=_auxiliary_width(state),
    )


def _is_plus_plus(state: Mapping[str, Tensor]) -> bool:
    return state[_MEMORY].dim() == 2


def _base_rate(file: str) -> float:
    """Returns the learning rate at which the published memory has its full momentum."""
    large = any(name in file for name in _LARGE)
    if "cocostuff" in file:
        return 0.0009
    if "cityscapes" in file:
        return 0.009
    if "lip" in file and large:
        return 0.007
    return 0.004 if "ade20k" in file and large else 0.01


def _width(state: Mapping[str, Tensor]) -> int:
    return len(state["bottleneck.0.weight"])


def _attention_width(state: Mapping[str, Tensor], prefix: str) -> int:
    return len(state[f"{prefix}.value_project.0.weight"])


def _context(state: Mapping[str, Tensor]) -> ContextKind:
    prefix = "context_within_image_module."
    if any(name.startswith(f"{prefix}parallel_branches.") for name in state):
        return ContextKind.ASPP
    if any(name.startswith(f"{prefix}branches.") for name in state):
        return ContextKind.PPM
    return ContextKind.NONE


def _auxiliary_width(state: Mapping[str, Tensor]) -> int:
    return len(state[_AUXILIARY]) if _AUXILIARY in state else McibiConfig().auxiliary_width
