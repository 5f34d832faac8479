"""Published checkpoints made from networks of ours: names and order of channels translated back."""

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from models.backbone_configs import (
    BackboneConfig,
    ResNestConfig,
    ResNetConfig,
    ResNetDepth,
    ResNetStem,
    SwinConfig,
    VitConfig,
)
from models.backbones.build import build_backbone
from models.base import SegmentationModel
from models.build import build_model
from models.context_configs import ContextKind
from models.idrnet_configs import ContextRefinement, IdrnetConfig
from models.memory_configs import ClassMemoryConfig, McibiConfig, McibiPlusPlusConfig

BACKBONE = ResNetConfig(depth=ResNetDepth.RESNET18, stem=ResNetStem.DEEP, base_width=4, pretrained=False)
COMMON = [
    (r"\b(query|key)\.(\d)\.", lambda found: f"{found[1]}_project.{int(found[2]) // 3}.{int(found[2]) % 3}."),
    (r"\b(value|out)\.", r"\1_project."),
    (r"^backbone\.", "backbone_net."),
]
IDRNET = [
    (r"^context\.relations\.mean", "class_relations_mean"),
    (r"^context\.relations\.variance", "class_relations_var"),
    (r"^context\.relations\.counter", "selected_classes_counter"),
    (r"^context\.relations\.vectors", "dl_cls_representations"),
    (r"^context\.context\.", "coarse_context_module."),
    (r"^context\.context_refiner\.", "coarsecontext_refiner_after."),
    (r"^context\.refiner\.attention\.", "idcontext_refiner."),
    (r"^context\.bottleneck\.", "bottleneck."),
    (r"^context\.coarse_decoder\.", "decoder_stage1."),
    (r"^decoder\.", "decoder_stage2."),
]
MCIBI = [
    (r"^context\.", "context_within_image_module."),
    (r"^memory\.memory", "memory_module.memory"),
    (r"^memory_attentions\.0\.", "memory_module.self_attention."),
    (r"^memory_fusion\.", "memory_module.bottleneck."),
    (r"^context_attention\.", "memory_module.self_attention_ms."),
    (r"^context_fusion\.", "memory_module.bottleneck_ms."),
    (r"^coarse_decoder\.", "decoder_stage1."),
    (r"^decoder\.", "decoder_stage2."),
]
PLUS_PLUS = [
    (r"^context\.", "context_within_image_module."),
    (r"^memory\.memory", "memory_module.memory"),
    (r"^memory_attention\.", "memory_module.self_attention."),
    (r"^memory_fusion\.", "memory_module.bottleneck."),
    *(
        (rf"^{own}\.{number}\.", f"decoder_{theirs}.{part}.")
        for own, theirs in (("pixel_decoder", "pr"), ("context_decoder", "cwi"), ("decoder", "cls"))
        for number, part in ((0, "conv1"), (1, "bn1"), (4, "conv2"))
    ),
]
SMALL: dict[str, tuple[Any, list[tuple[str, Any]]]] = {
    "idrnet": (
        IdrnetConfig(
            backbone=BACKBONE,
            context=ContextKind.PPM,
            context_refinement=ContextRefinement.AFTER,
            width=16,
            pyramid_width=16,
            attention_width=8,
            context_attention_width=8,
            auxiliary_width=8,
        ),
        IDRNET,
    ),
    "mcibi": (
        McibiConfig(
            backbone=BACKBONE,
            width=16,
            attention_width=8,
            auxiliary_width=8,
            memory=ClassMemoryConfig(consistency_start=0),
        ),
        MCIBI,
    ),
    "mcibiplusplus": (
        McibiPlusPlusConfig(
            backbone=BACKBONE, width=16, pyramid_width=16, attention_width=8, auxiliary_width=8
        ),
        PLUS_PLUS,
    ),
}


def small_network(family: str, classes: int) -> SegmentationModel[Any]:
    """Returns a narrow network of a family with filled class state, in evaluation."""
    model = build_model(SMALL[family][0], classes, seed=7)
    generator = torch.manual_seed(3)
    for name, values in model.state_dict().items():
        if name.startswith("context.relations.") or name == "memory.memory":
            values.copy_(torch.rand(values.shape, generator=generator) + 0.1)
    return model.eval()


def published_state(model: SegmentationModel[Any], family: str) -> dict[str, Tensor]:
    """Returns its tensors by published name."""
    rules = COMMON + SMALL[family][1]
    found = {}
    for name, values in model.state_dict().items():
        if name == "memory.draws":
            continue  # never stored
        found[_renamed(name, rules)] = values.clone()
    return found


def _renamed(name: str, rules: Iterable[tuple[str, str]]) -> str:
    """Returns a name by the rules: every one of a part, and the first of a beginning that fits."""
    for pattern, theirs in rules:
        before, name = name, re.sub(pattern, theirs, name)
        if name != before and not pattern.startswith(r"\b"):
            break
    return name


def names_of(config: BackboneConfig) -> dict[str, Tensor]:
    """Returns the tensors of a backbone by our name, without storage."""
    with torch.device("meta"):
        return build_backbone(config).state_dict()


def _published(config: BackboneConfig, name: str) -> str:
    parts = name.split(".")
    match config:
        case ResNestConfig() if parts[0] in {"conv1", "bn1"}:
            return ".".join(["stem", "7" if parts[0] == "bn1" else parts[1], parts[-1]])
        case VitConfig():
            return _vit(parts)
        case SwinConfig():
            return _swin(parts)
        case _:
            return name


def published_names(config: BackboneConfig) -> dict[str, Tensor]:
    """Returns the tensors of a backbone by published name, as the files' authors named them."""
    found: dict[str, Tensor] = {}
    for name, values in names_of(config).items():
        found[_published(config, name)] = values
    if isinstance(config, SwinConfig):
        for name in [name for name in found if name.endswith("bias_table")]:
            found[name.replace("bias_table", "index")] = torch.zeros(144, 144, device="meta")
    return found


def _vit(parts: list[str]) -> str:
    if parts[0] == "patch_embed":
        return f"patch_embed.projection.{parts[1]}"
    if parts[0] != "layers":
        return ".".join(parts)
    inner = {
        "norm1": "ln1",
        "norm2": "ln2",
        "qkv": "attn.attn.in_proj_",
        "proj": "attn.attn.out_proj",
        "mlp": "ffn.layers.0.0" if parts[3] == "0" else "ffn.layers.1",
    }[parts[2]]
    return f"layers.{parts[1]}.{inner}{'' if inner.endswith('_') else '.'}{parts[-1]}"


def _swin(parts: list[str]) -> str:
    if parts[0] == "norms":
        return f"norm{parts[1]}.{parts[2]}"
    number, rest = int(parts[1]), parts[2:]
    if number == 0:
        return f"patch_embed.{'projection' if rest[0] == '0' else 'norm'}.{rest[1]}"
    if number % 2 == 0:
        return f"stages.{number // 2 - 1}.downsample.{'.'.join(rest)}"
    inner = ".".join(rest[1:]).replace("attn.", "attn.w_msa.")
    inner = inner.replace("mlp.0.", "ffn.layers.0.0.").replace("mlp.3.", "ffn.layers.1.")
    return f"stages.{number // 2}.blocks.{rest[0]}.{inner}"
