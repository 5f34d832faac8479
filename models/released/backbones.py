"""Backbones of published checkpoints: which one it is, and its tensors under our names.

Names here are those behind "backbone_net." in a file. ResNet and HRNet are named as ours. What shapes cannot
tell is the published choice: output stride 8, heads of 64 channels in a vision transformer, layers 10, 15, 20
and 24 taken from its 24.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from models.backbone_configs import (
    BackboneConfig,
    HrNetConfig,
    HrNetWidth,
    ResNestConfig,
    ResNestDepth,
    ResNetConfig,
    ResNetDepth,
    ResNetStem,
    SwinConfig,
    SwinSize,
    VitConfig,
)

PREFIX = "backbone_net."
"""Before the names of the backbone in a published file."""

State = Mapping[str, Tensor]
Key = TypeVar("Key")
Value = TypeVar("Value")
Rules = tuple[tuple[re.Pattern[str], str], ...]

_PUBLISHED_ORDER = (0, 2, 1, 3)
"""Places of a 2 x 2 neighbourhood: ours counts down the columns, the published code along the rows."""

_BESIDE: Rules = (
    (re.compile(r"^norm_layers\."), f"{PREFIX}norms."),
    (re.compile(r"^downsample_backbone\."), f"{PREFIX}downsample."),
)
"""What the published networks keep beside the backbone and ours inside."""


def gathered(state: State) -> dict[str, Tensor]:
    """Returns the tensors of a whole network with everything that belongs to its backbone behind `PREFIX`."""
    return {_replaced(name, _BESIDE): values for name, values in state.items()}


def backbone_config(state: State) -> BackboneConfig:
    """Returns the configuration that published tensors tell, untrained.

    Args:
        state: tensors of the backbone, without `PREFIX`.

    Raises:
        LookupError: no published backbone has these names or shapes.
    """
    for recognised, config in _KINDS:
        if recognised in state:
            return config(state)
    raise LookupError("the backbone is none of those in the published networks")


def own_name(name: str, config: BackboneConfig) -> str | None:
    """Returns our name of one tensor of the backbone; None for what is computed here instead of stored."""
    if name.endswith("relative_position_index"):
        return None
    match config:
        case SwinConfig():
            return _swin_name(name)
        case VitConfig():
            return _replaced(name, _VIT)
        case ResNestConfig():
            return _replaced(name, _RESNEST)
        case _:
            return name


def own_values(name: str, values: Tensor, config: BackboneConfig) -> Tensor:
    """Returns one tensor of the backbone in our order of channels; `name` is the published one."""
    if isinstance(config, SwinConfig) and re.search(r"\.downsample\.(reduction|norm)\.", name):
        parts = values.unflatten(-1, (values.shape[-1] // 4, 4))
        order = torch.tensor(_PUBLISHED_ORDER, device=values.device)
        ours: Tensor = parts.index_select(-1, order).transpose(-1, -2).flatten(-2)
        return ours
    return values


# ------------------------------------------------------------------------------------------------- ResNets


def _blocks(state: State, layer: str) -> int:
    """Returns how many blocks a layer has."""
    pattern = re.compile(rf"^{re.escape(layer)}\.(\d+)\.")
    return len({found[1] for found in map(pattern.match, state) if found})


def _resnet(state: State) -> ResNetConfig:
    deep = "stem.0.weight" in state
    first, third = _blocks(state, "layer1"), _blocks(state, "layer3")
    depths: dict[tuple[bool, int, int], ResNetDepth] = {
        (False, 2, 2): ResNetDepth.RESNET18,
        (False, 3, 6): ResNetDepth.RESNET34,
        (True, 3, 6): ResNetDepth.RESNET50,
        (True, 3, 23): ResNetDepth.RESNET101,
        (True, 3, 36): ResNetDepth.RESNET152,
    }
    return ResNetConfig(
        depth=_found(depths, ("layer1.0.conv3.weight" in state, first, third)),
        stem=ResNetStem.DEEP if deep else ResNetStem.PLAIN,
        base_width=len(state["stem.6.weight" if deep else "conv1.weight"]),
        pretrained=False,
    )


def _resnest(state: State) -> ResNestConfig:
    depths = {
        (1, 1): ResNestDepth.RESNEST14,
        (3, 6): ResNestDepth.RESNEST50,
        (3, 23): ResNestDepth.RESNEST101,
    }
    counts = (_blocks(state, "layer1"), _blocks(state, "layer3"))
    return ResNestConfig(depth=_found(depths, counts))


_RESNEST: Rules = ((re.compile(r"^stem\.7\."), "bn1."), (re.compile(r"^stem\."), "conv1."))


def _hrnet(state: State) -> HrNetConfig:
    widths = {18: HrNetWidth.W18, 32: HrNetWidth.W32, 48: HrNetWidth.W48}
    width = _found(widths, len(state["stage4.0.branches.0.0.conv1.weight"]))
    if width is HrNetWidth.W18 and _blocks(state, "layer1") < 4:
        width = HrNetWidth.W18_SMALL
    return HrNetConfig(width=width, halved="downsample.0.weight" in state, stem_activation=False)


# -------------------------------------------------------------------------------------------- transformers


def _swin(state: State) -> SwinConfig:
    width, depth = len(state["patch_embed.projection.weight"]), _blocks(state, "stages.2.blocks")
    sizes = {
        (96, 6): SwinSize.TINY,
        (96, 18): SwinSize.SMALL,
        (128, 18): SwinSize.BASE,
        (192, 18): SwinSize.LARGE,
    }
    offsets = len(state["stages.0.blocks.0.attn.w_msa.relative_position_bias_table"])
    return SwinConfig(
        size=_found(sizes, (width, depth)),
        window=(round(offsets**0.5) + 1) // 2,
        drop_path=0.3,
        shift_single_window=True,
        pretrained=False,
    )


_SWIN: Rules = (
    (re.compile(r"^patch_embed\.projection\."), "features.0.0."),
    (re.compile(r"^patch_embed\.norm\."), "features.0.2."),
    (re.compile(r"^norm(\d)\."), r"norms.\1."),
    (re.compile(r"\.attn\.w_msa\."), ".attn."),
    (re.compile(r"\.ffn\.layers\.0\.0\."), ".mlp.0."),
    (re.compile(r"\.ffn\.layers\.1\."), ".mlp.3."),
)
_STAGE = re.compile(r"^stages\.(\d)\.(?:blocks|(downsample))\.")


def _swin_name(name: str) -> str:
    found = _STAGE.match(name)
    if found:
        # Stages and the mergings after them alternate in our sequence.
        name = f"features.{2 * int(found[1]) + (2 if found[2] else 1)}.{name[found.end() :]}"
    return _replaced(name, _SWIN)


def _vit(state: State) -> VitConfig:
    width, _, patch, _ = state["patch_embed.projection.weight"].shape
    depth = _blocks(state, "layers")
    taken = (10, 15, 20, 24) if depth == 24 else tuple(depth * part // 4 for part in (1, 2, 3, 4))
    return VitConfig(
        width=width,
        heads=max(1, width // 64),
        depth=depth,
        patch=patch,
        positions=round((state["pos_embed"].shape[1] - 1) ** 0.5),
        taken=taken,
        pretrained=False,
    )


_VIT: Rules = (
    (re.compile(r"^patch_embed\.projection\."), "patch_embed."),
    (re.compile(r"^(layers\.\d+)\.ln(\d)\."), r"\1.norm\2."),
    (re.compile(r"\.attn\.attn\.in_proj_"), ".qkv."),
    (re.compile(r"\.attn\.attn\.out_proj\."), ".proj."),
    (re.compile(r"\.ffn\.layers\.0\.0\."), ".mlp.0."),
    (re.compile(r"\.ffn\.layers\.1\."), ".mlp.3."),
)


def _replaced(name: str, rules: Rules) -> str:
    for pattern, own in rules:
        name = pattern.sub(own, name)
    return name


def _found(choices: Mapping[Key, Value], key: Key) -> Value:
    if key not in choices:
        raise LookupError(f"no published backbone of this kind has the shape {key}")
    return choices[key]


# The more particular of two that share names comes first.
_KINDS: tuple[tuple[str, Callable[[State], BackboneConfig]], ...] = (
    ("layer1.0.conv2.fc1.weight", _resnest),
    ("stage4.0.branches.0.0.conv1.weight", _hrnet),
    ("layer1.0.conv1.weight", _resnet),
    ("stages.0.blocks.0.attn.w_msa.relative_position_bias_table", _swin),
    ("pos_embed", _vit),
)
