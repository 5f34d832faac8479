"""Names and shapes of published checkpoints, written down from their description and not from our networks.

Every function yields (name, shape) of one part as the published code saves it; `layout` puts a file together.
Nothing here knows how our networks name or build anything.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Shape = tuple[int, ...]
Parts = Iterator[tuple[str, Shape]]
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STAGES = (256, 512, 1024, 2048)
SWIN_L = (192, 384, 768, 1536)


def norm(name: str, width: int) -> Parts:
    """A batch normalisation."""
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (width,)
    yield f"{name}.num_batches_tracked", ()


def scaled(name: str, width: int) -> Parts:
    """A layer normalisation."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def linear(name: str, given: int, made: int, *, bias: bool = True) -> Parts:
    """A linear layer."""
    yield f"{name}.weight", (made, given)
    if bias:
        yield f"{name}.bias", (made,)


def cbr(conv: str, bn: str, given: int, made: int, kernel: int) -> Parts:
    """A convolution without bias and its normalisation."""
    yield f"{conv}.weight", (made, given, kernel, kernel)
    yield from norm(bn, made)


def numbered(name: str, given: int, made: int, kernel: int) -> Parts:
    """The same in a sequence."""
    yield from cbr(f"{name}.0", f"{name}.1", given, made, kernel)


def classifier(name: str, width: int, classes: int) -> Parts:
    """A 1 x 1 convolution with bias."""
    yield f"{name}.weight", (classes, width, 1, 1)
    yield f"{name}.bias", (classes,)


def decoder(name: str, given: int, width: int, classes: int, kernel: int = 1) -> Parts:
    """Convolution, normalisation, activation, dropout, classifier."""
    yield from numbered(name, given, width, kernel)
    yield from classifier(f"{name}.4", width, classes)


def named_decoder(name: str, given: int, width: int, classes: int, kernel: int) -> Parts:
    """MCIBI++'s decoders, whose parts have names."""
    yield from cbr(f"{name}.conv1", f"{name}.bn1", given, width, kernel)
    yield from classifier(f"{name}.conv2", width, classes)


def attention(name: str, given: int, inner: int, made: int, asked: int | None = None) -> Parts:
    """The attention block; `asked` is the width of keys and values where it differs."""
    for part, width in (("key", asked or given), ("query", given)):
        yield from numbered(f"{name}.{part}_project.0", width, inner, 1)
        yield from numbered(f"{name}.{part}_project.1", inner, inner, 1)
    yield from numbered(f"{name}.value_project", asked or given, inner, 1)
    yield from numbered(f"{name}.out_project", inner, made, 1)


def aspp(name: str, given: int, made: int) -> Parts:
    """ASPP with four dilations and the average of the image."""
    for branch in range(4):
        yield from numbered(f"{name}.parallel_branches.{branch}", given, made, 1 if branch == 0 else 3)
    yield from cbr(f"{name}.global_branch.1", f"{name}.global_branch.2", given, made, 1)
    yield from numbered(f"{name}.bottleneck", 5 * made, made, 3)


def ppm(name: str, given: int, made: int) -> Parts:
    """Pyramid pooling with four bins."""
    for branch in range(4):
        yield from cbr(f"{name}.branches.{branch}.1", f"{name}.branches.{branch}.2", given, made, 1)
    yield from numbered(f"{name}.bottleneck", given + 4 * made, made, 3)


def pyramid(given: Sequence[int], inner: int, made: int) -> Parts:
    """UPerNet's laterals and their convolutions."""
    for level, width in enumerate(given):
        yield from numbered(f"lateral_convs.{level}", width, inner, 1)
        yield from numbered(f"fpn_convs.{level}", inner, made, 3)


def resnet(depth: int) -> Parts:
    """A ResNet of bottlenecks with the deep stem."""
    for place, (given, made) in zip((0, 3, 6), ((3, 32), (32, 32), (32, 64)), strict=True):
        yield from cbr(f"backbone_net.stem.{place}", f"backbone_net.stem.{place + 1}", given, made, 3)
    given = 64
    for stage, (blocks, made) in enumerate(zip(DEPTHS[depth], STAGES, strict=True), start=1):
        for block in range(blocks):
            name, inner = f"backbone_net.layer{stage}.{block}", made // 4
            yield from cbr(f"{name}.conv1", f"{name}.bn1", given, inner, 1)
            yield from cbr(f"{name}.conv2", f"{name}.bn2", inner, inner, 3)
            yield from cbr(f"{name}.conv3", f"{name}.bn3", inner, made, 1)
            if block == 0:
                yield from numbered(f"{name}.downsample", given, made, 1)
            given = made


def swin_large() -> Parts:
    """Swin-L with windows of 12."""
    root, window = "backbone_net", 12
    yield f"{root}.patch_embed.projection.weight", (192, 3, 4, 4)
    yield f"{root}.patch_embed.projection.bias", (192,)
    yield from scaled(f"{root}.patch_embed.norm", 192)
    for stage, (blocks, width, heads) in enumerate(zip((2, 2, 18, 2), SWIN_L, (6, 12, 24, 48), strict=True)):
        for block in range(blocks):
            name = f"{root}.stages.{stage}.blocks.{block}"
            yield from scaled(f"{name}.norm1", width)
            yield f"{name}.attn.w_msa.relative_position_bias_table", ((2 * window - 1) ** 2, heads)
            yield f"{name}.attn.w_msa.relative_position_index", (window**2, window**2)
            yield from linear(f"{name}.attn.w_msa.qkv", width, 3 * width)
            yield from linear(f"{name}.attn.w_msa.proj", width, width)
            yield from scaled(f"{name}.norm2", width)
            yield from linear(f"{name}.ffn.layers.0.0", width, 4 * width)
            yield from linear(f"{name}.ffn.layers.1", 4 * width, width)
        if stage < 3:
            yield from scaled(f"{root}.stages.{stage}.downsample.norm", 4 * width)
            yield from linear(f"{root}.stages.{stage}.downsample.reduction", 4 * width, 2 * width, bias=False)
    for stage, width in enumerate(SWIN_L):
        yield from scaled(f"{root}.norm{stage}", width)


def idrnet(
    channels: Sequence[int],
    classes: int,
    width: int = 512,
    context: str = "",
    refiner: str = "",
    levels: int = 0,
    *,
    from_features: bool = False,
) -> Parts:
    """IDRNet's head; `levels` is the width of UPerNet's pyramid, 0 for none."""
    within = levels or width
    yield "class_relations_mean", (classes, classes)
    yield "class_relations_var", (classes, classes)
    yield "selected_classes_counter", (classes,)
    yield "dl_cls_representations", (classes, width)
    yield from numbered("bottleneck", channels[-1], width, 3)
    if context:
        yield from {"aspp": aspp, "ppm": ppm}[context]("coarse_context_module", width, within)
    if refiner:
        yield from attention(f"coarsecontext_refiner_{refiner}", within, 256, within)
    yield from attention("idcontext_refiner", 6 * width, 256, width)
    if levels:
        yield from pyramid(channels[:-1], levels, levels)
    known = 0 if not context else 4 * levels if levels else width
    yield from decoder("decoder_stage1", width if from_features or not context else within, width, classes)
    yield from decoder("decoder_stage2", 2 * width + known, width, classes)
    yield from decoder("auxiliary_decoder", channels[-2], 512, classes, 3)


def mcibi(channels: Sequence[int], classes: int, *, auxiliary: bool = True) -> Parts:
    """MCIBI on DeepLabV3."""
    yield from aspp("context_within_image_module", channels[-1], 512)
    yield from numbered("bottleneck", channels[-1], 512, 3)
    yield "memory_module.memory", (classes, 1, 512)
    for part in ("", "_ms"):
        yield from attention(f"memory_module.self_attention{part}", 512, 256, 512)
        yield from numbered(f"memory_module.bottleneck{part}", 1024, 512, 3)
    yield from decoder("decoder_stage1", 512, 512, classes)
    yield from decoder("decoder_stage2", 512, 512, classes)
    if auxiliary:
        yield from decoder("auxiliary_decoder", channels[-2], 512, classes, 3)


def mcibi_plus_plus(channels: Sequence[int], classes: int, *, upernet: bool) -> Parts:
    """MCIBI++ without context within the image, or with UPerNet's."""
    yield from numbered("bottleneck", channels[-1], 512, 3)
    yield "memory_module.memory", (classes, 2)
    yield from attention("memory_module.self_attention", 512, 256, 512)
    yield from numbered("memory_module.bottleneck", 1024, 512, 3)
    yield from named_decoder("decoder_pr", 512, 512, classes, 1)
    if upernet:
        yield from ppm("context_within_image_module", channels[-1], 512)
        yield from named_decoder("decoder_cwi", 512, 512, classes, 1)
        yield from pyramid(channels[:-1], 1024, 512)
    yield from named_decoder("decoder_cls", 2560 if upernet else 512, 512, classes, 3 if upernet else 1)
    yield from decoder("auxiliary_decoder", channels[-2], 512, classes, 3)


def layout(*parts: Parts) -> dict[str, Tensor]:
    """The tensors of a file, without storage."""
    return {name: torch.empty(shape, device="meta") for part in parts for name, shape in part}


LAYOUTS = {
    "idrnet_fcn_resnet50os8_ade20k": (
        lambda: layout(resnet(50), idrnet(STAGES, 150, width=1024)),
        (400, 56_037_825),
    ),
    "idrnet_ppm_resnet50os8_ade20k": (
        lambda: layout(resnet(50), idrnet(STAGES, 150, context="ppm", refiner="after")),
        (466, 55_292_364),
    ),
    "idrnet_aspp_resnet50os8_ade20k": (
        lambda: layout(resnet(50), idrnet(STAGES, 150, context="aspp", refiner="after")),
        (472, 61_848_013),
    ),
    "idrnet_upernet_resnet50os8_ade20k": (
        lambda: layout(resnet(50), idrnet(STAGES, 150, context="aspp", refiner="after", levels=512)),
        (508, 70_642_131),
    ),
    "idrnet_ppm_resnet50os8_cityscapes": (
        lambda: layout(
            resnet(50),
            idrnet(STAGES, 19, width=1024, context="ppm", refiner="after", from_features=True),
        ),
        (466, 109_161_674),
    ),
    "idrnet_upernet_swinlarge_ade20k": (
        lambda: layout(swin_large(), idrnet(SWIN_L, 150, context="aspp", refiner="after", levels=1024)),
        (535, 305_767_152),
    ),
    "mcibi_deeplabv3_r50_ade20k": (lambda: layout(resnet(50), mcibi(STAGES, 150)), (481, 91_560_305)),
    "mcibi_deeplabv3_r101_cityscapes": (lambda: layout(resnet(101), mcibi(STAGES, 19)), (787, 110_336_027)),
    "mcibiplusplus_resnet50os8_ade20k": (
        lambda: layout(resnet(50), mcibi_plus_plus(STAGES, 150, upernet=False)),
        (403, 43_883_152),
    ),
    "mcibiplusplus_upernet_resnet50os8_ade20k": (
        lambda: layout(resnet(50), mcibi_plus_plus(STAGES, 150, upernet=True)),
        (477, 94_846_770),
    ),
}
"""By published name: the tensors, and how many entries and elements the authors' files have."""
