"""IDRNet's published checkpoints: names, and the configuration their tensors tell.

The published code keeps relations, counter and class vectors as parameters that never get a gradient; here
they are buffers, so no optimizer and no weight decay touches them.
"""

from collections.abc import Mapping

from torch import Tensor

from models.backbone_configs import BackboneConfig
from models.context_configs import ContextKind
from models.idrnet_configs import ContextRefinement, IdrnetConfig, PyramidPlace
from models.released.names import Prefixes, renamed

_PREFIXES: Prefixes = (
    ("backbone_net.", "backbone."),
    ("class_relations_mean", "context.relations.mean"),
    ("class_relations_var", "context.relations.variance"),
    ("selected_classes_counter", "context.relations.counter"),
    ("dl_cls_representations", "context.relations.vectors"),
    ("bottleneck.", "context.bottleneck."),
    ("coarse_context_module.", "context.context."),
    ("coarsecontext_refiner_before.", "context.context_refiner."),
    ("coarsecontext_refiner_after.", "context.context_refiner."),
    ("idcontext_refiner.", "context.refiner.attention."),
    ("lateral_convs.", "context.pyramid.lateral_convs."),
    ("fpn_convs.", "context.pyramid.fpn_convs."),
    ("decoder_stage1.", "context.coarse_decoder."),
    ("decoder_stage2.", "decoder."),
)


def is_idrnet(state: Mapping[str, Tensor]) -> bool:
    """Whether published tensors are those of an IDRNet."""
    return "class_relations_mean" in state


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a published IDRNet under our names; the backbone's keep theirs."""
    return renamed(state, _PREFIXES)


def num_classes(state: Mapping[str, Tensor]) -> int:
    """Returns K.

    Raises:
        KeyError: a tensor that every IDRNet has is missing.
    """
    return len(state["decoder_stage1.4.bias"])


def idrnet_config(state: Mapping[str, Tensor], backbone: BackboneConfig, *, file: str = "") -> IdrnetConfig:
    """Returns the configuration that the shapes of published tensors tell.

    Args:
        state: tensors by published name, without a wrapper's prefix.
        backbone: configuration of the backbone.
        file: name of the file. Some things leave no trace in the tensors; the one published file that
            differs from what they suggest is known by its name.

    Raises:
        KeyError: a tensor that every IDRNet has is missing.
    """
    width = len(state["bottleneck.0.weight"])
    coarse = state["decoder_stage1.0.weight"].shape[1]
    context = _context(state)
    within = (
        len(state["coarse_context_module.bottleneck.0.weight"]) if context is not ContextKind.NONE else width
    )
    refined = _refinement(state)
    auxiliary = state.get("auxiliary_decoder.0.weight")
    pyramid = PyramidPlace.NONE
    if "lateral_convs.0.0.weight" in state:
        pyramid = PyramidPlace.BEFORE if coarse > max(within, width) else PyramidPlace.AFTER
    inner = f"coarsecontext_refiner_{refined.value}.value_project.0.weight"
    defaults = IdrnetConfig()
    return IdrnetConfig(
        backbone=backbone,
        context=context,
        context_refinement=refined,
        pyramid=pyramid,
        coarse_from_features=_from_features(coarse, width, within, file),
        width=width,
        attention_width=len(state["idcontext_refiner.value_project.0.weight"]),
        context_attention_width=len(state[inner]) if inner in state else defaults.context_attention_width,
        pyramid_width=defaults.pyramid_width if pyramid is PyramidPlace.NONE else within,
        level_width=_level_width(state, within),
        auxiliary=auxiliary is not None,
        auxiliary_width=defaults.auxiliary_width if auxiliary is None else len(auxiliary),
    )


def _context(state: Mapping[str, Tensor]) -> ContextKind:
    if "coarse_context_module.parallel_branches.0.0.weight" in state:
        return ContextKind.ASPP
    if "coarse_context_module.branches.0.1.weight" in state:
        return ContextKind.PPM
    return ContextKind.NONE


def _refinement(state: Mapping[str, Tensor]) -> ContextRefinement:
    for place in (ContextRefinement.BEFORE, ContextRefinement.AFTER):
        if f"coarsecontext_refiner_{place.value}.value_project.0.weight" in state:
            return place
    return ContextRefinement.NONE


def _level_width(state: Mapping[str, Tensor], inner: int) -> int:
    """Returns how many channels the finer levels of the pyramid end with; 0 for as many as inside."""
    levels = state.get("fpn_convs.0.0.weight")
    return 0 if levels is None or len(levels) == inner else len(levels)


def _from_features(coarse: int, width: int, within: int, file: str) -> bool:
    """Whether the coarse decoder reads features: its inputs tell, or the name of the file if they do not."""
    if within != width:
        return coarse == width
    return "ppm" in file and "cityscapes" in file
