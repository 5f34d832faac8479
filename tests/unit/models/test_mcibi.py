"""MCIBI and MCIBI++: every base and option, the consistency loss, published sizes, names of checkpoints."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.backbone_configs import BackboneConfig, TinyBackboneConfig
from models.backbones.base import Backbone, Features
from models.base import IGNORE_INDEX, SegmentationModel
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.context_configs import ContextKind
from models.losses.total import total
from models.memory_configs import (
    AttentionStride,
    ClassMemoryConfig,
    DecoderKernel,
    McibiConfig,
    McibiPlusPlusConfig,
)
from models.memory_presets import (
    mcibi_resnet50,
    mcibipp_resnet50,
    tiny_mcibi,
    tiny_mcibipp,
)
from models.networks.mcibi import Mcibi
from models.networks.mcibipp import McibiPlusPlus
from models.output import check_view
from models.released import mcibi as released

K = 4
LOSS = build_loss(CrossEntropyConfig())
RESNET50_ENTRIES, RESNET50_ELEMENTS = 330, 23_580_567


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.manual_seed(1)
    image = torch.randn(2, 3, 64, 64, generator=generator)
    target = torch.randint(0, K - 1, (2, 8, 8), generator=generator)
    target = target.repeat_interleave(8, 1).repeat_interleave(8, 2)
    target[0, :5] = IGNORE_INDEX
    return image, target


def step(model: SegmentationModel[Any], number: int) -> dict[str, Tensor]:
    """Runs one training step without an optimizer; returns its losses."""
    image, target = batch()
    output = model(image)
    losses = build_loss(CrossEntropyConfig())(output, target) | dict(
        model.extra_losses(output, target, number)
    )
    total(losses).backward()
    model.observe(output, target, 0.01)
    return losses


MCIBI = [
    replace(tiny_mcibi(), context=context, pyramid=pyramid)
    for context in ContextKind
    for pyramid in (False, True)
]
PLUS_PLUS = [
    replace(tiny_mcibipp(), context=context, pyramid=pyramid)
    for context in ContextKind
    for pyramid in (False, True)
]
OPTIONS: list[McibiConfig | McibiPlusPlusConfig] = [
    replace(tiny_mcibi(), hard_gathering=True),
    replace(tiny_mcibi(), memory=ClassMemoryConfig(slots=3, consistency_start=0)),
    replace(tiny_mcibi(), auxiliary=False),
    replace(tiny_mcibipp(), hard_gathering=True),
    replace(tiny_mcibipp(), gather_by_pixels=True, within_attention=True),
    replace(tiny_mcibipp(), attention_stride=AttentionStride.HALF, decoder_kernel=DecoderKernel.SIZE3),
]


@pytest.mark.parametrize("config", [*MCIBI, *PLUS_PLUS, *OPTIONS])
def test_every_base_and_option_trains(config: McibiConfig | McibiPlusPlusConfig) -> None:
    model = build_model(config, K, seed=0)
    for number in range(4):
        model.zero_grad()
        losses = step(model, number)
        assert all(torch.isfinite(value) for value in losses.values())
    untouched = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert untouched == []
    output = model(batch()[0], inspect=True)
    for view in output.inspection.values():
        check_view(view, K)
    model.follow_classes([2, 0, None])
    with torch.no_grad():
        assert model.eval()(batch()[0]).logits.shape == (2, 3, 64, 64)


def trained(config: McibiConfig) -> Mcibi:
    """Returns an MCIBI that has seen one batch."""
    model = build_model(config, K, seed=0)
    assert isinstance(model, Mcibi)
    image, target = batch()
    model.observe(model(image), target, 0.01)
    return model


def test_consistency_pulls_the_decoder_and_nothing_else() -> None:
    model = trained(tiny_mcibi())
    image, target = batch()
    running = {name: values.clone() for name, values in model.named_buffers()}
    output = model(image)
    between = {name: values.clone() for name, values in model.named_buffers()}
    model.extra_losses(output, target, 0)["consistency"].backward()
    pulled = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert pulled == {name for name, _ in model.decoder.named_parameters(prefix="decoder")}
    assert any(not torch.equal(values, running[name]) for name, values in between.items())
    assert all(torch.equal(values, between[name]) for name, values in model.named_buffers())


def test_consistency_waits_and_can_be_switched_off() -> None:
    config = tiny_mcibi()
    later = trained(replace(config, memory=replace(config.memory, consistency_start=7)))
    output, target = later(batch()[0]), batch()[1]
    assert not later.extra_losses(output, target, 6)
    assert later.extra_losses(output, target, 7)
    off = trained(replace(config, memory=replace(config.memory, consistency_weight=0.0)))
    assert not off.extra_losses(output, target, 7)


def test_unseen_classes_count_only_as_published() -> None:
    config = tiny_mcibi()
    model = trained(config)
    assert model.memory.filled().flatten().tolist() == [True, True, True, False]
    model.eval()
    with torch.no_grad():
        losses = []
        for label in range(K):
            logits = model.decoder(model.memory.memory[label, 0].view(1, -1, 1, 1)).flatten(1)
            losses.append(-logits.log_softmax(dim=1)[0, label])
        value = model.extra_losses(model(batch()[0]), batch()[1], 0)["consistency"]
    torch.testing.assert_close(value, torch.stack(losses[:3]).mean())
    published = trained(replace(config, memory=replace(config.memory, consistency_unseen=True)))
    with torch.no_grad():
        value = published.eval().extra_losses(published(batch()[0]), batch()[1], 0)["consistency"]
    torch.testing.assert_close(value, torch.stack(losses).mean())


def test_published_statistics_reach_the_running_ones() -> None:
    config = tiny_mcibi()
    model = trained(replace(config, memory=replace(config.memory, consistency_statistics=True)))
    output = model(batch()[0])
    running = dict(model.named_buffers())["decoder.1.running_mean"]
    before = running.clone()
    model.extra_losses(output, batch()[1], 0)
    assert not torch.equal(running, before)


def test_an_empty_memory_is_finite_and_its_loss_is_nothing() -> None:
    model = build_model(tiny_mcibi(), K, seed=0)
    output = model(batch()[0])
    assert output.logits.isfinite().all()
    assert model.extra_losses(output, batch()[1], 0)["consistency"].item() == 0.0


def test_refinement_feeds_predictions_back_in_evaluation_only() -> None:
    models = [
        build_model(replace(tiny_mcibipp(), refinements=count, dropout=0.0), K, seed=0) for count in (0, 2)
    ]
    image, _ = batch()
    with torch.no_grad():
        assert torch.equal(*(model.train()(image).logits for model in models))
        plain, refined = (model.eval()(image).logits for model in models)
    assert refined.isfinite().all()
    assert not torch.equal(plain, refined)


def test_the_context_has_a_loss_of_its_own() -> None:
    model = build_model(tiny_mcibipp(), K, seed=0)
    image, target = batch()
    losses = model.extra_losses(model(image), target, 0)
    assert set(losses) == {"within image"}
    assert not model.extra_losses(model.eval()(image), target, 0)
    without = build_model(replace(tiny_mcibipp(), within_weight=0.0), K, seed=0)
    assert not without.extra_losses(without(image), target, 0)


def training_step(model: SegmentationModel[Any], image: Tensor, target: Tensor) -> Tensor:
    """Returns the total loss of a step whose memory has moved."""
    output = model(image)
    losses = LOSS(output, target)
    losses |= dict(model.extra_losses(output, target, 5))
    model.observe(output, target, 0.01)
    return total(losses)


@pytest.mark.parametrize("config", [tiny_mcibi(), tiny_mcibipp()])
def test_a_training_step_never_reads_back(config: McibiConfig | McibiPlusPlusConfig) -> None:
    """Whatever asked for a value would fail on the meta device, which has none."""
    image, target = batch()
    with torch.device("meta"):
        model = build_model(config, K)
        assert training_step(model, image.to("meta"), target.to("meta")).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny_mcibi(), tiny_mcibipp()])
def test_a_training_step_is_one_graph(config: McibiConfig | McibiPlusPlusConfig) -> None:
    image, target = batch()
    model = build_model(config, K, seed=0)
    torch._dynamo.reset()
    compiled = torch.compile(training_step, backend="eager", fullgraph=True)
    with torch.no_grad():
        value = compiled(model, image, target)
    torch._dynamo.reset()
    with torch.no_grad():
        expected = training_step(build_model(config, K, seed=0), image, target)
    torch.testing.assert_close(value, expected)


class Widths(Backbone):
    """Nothing but the widths of ResNet-50."""

    channels = (256, 512, 1024, 2048)
    strides = (4, 8, 8, 8)

    def forward(self, image: Tensor) -> Features:
        pytest.fail("nobody looks at an image here: only sizes are asked")


def widths(_: BackboneConfig) -> Backbone:
    return Widths()


@pytest.mark.parametrize(
    ("config", "entries", "elements"),
    [
        (mcibi_resnet50(), 481, 91_560_305),
        (
            replace(
                mcibipp_resnet50(),
                context=ContextKind.NONE,
                pyramid=False,
                decoder_kernel=DecoderKernel.SIZE1,
            ),
            403,
            43_883_152,
        ),
        (mcibipp_resnet50(), 477, 94_846_770),
    ],
)
def test_published_sizes(config: McibiConfig | McibiPlusPlusConfig, entries: int, elements: int) -> None:
    """Every tensor of the published ADE20K checkpoints on ResNet-50 has a place of the same size."""
    with torch.device("meta"):
        model: SegmentationModel[Any] = (
            Mcibi(config, 150, widths)
            if isinstance(config, McibiConfig)
            else McibiPlusPlus(config, 150, widths)
        )
    state = {name: values for name, values in model.state_dict().items() if name != "memory.draws"}
    assert len(state) + RESNET50_ENTRIES == entries
    assert sum(values.numel() for values in state.values()) + RESNET50_ELEMENTS == elements


def published(model: SegmentationModel[Any], names: dict[str, str]) -> dict[str, Tensor]:
    """Returns the state of a network under published names, backbone left out."""
    result = {}
    for name, values in model.state_dict().items():
        if name.startswith("backbone.") or name == "memory.draws":
            continue
        own = next(own for own in names if name.startswith(own))
        result[_nested(names[own] + name.removeprefix(own))] = values
    return result


def _nested(name: str) -> str:
    """Turns the flat numbers of an attention block into published ones."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        if part in ("query", "key"):
            number = int(parts[place + 1])
            return ".".join(
                [*parts[:place], f"{part}_project", str(number // 3), str(number % 3), *parts[place + 2 :]]
            )
        if part in ("value", "out"):
            return ".".join([*parts[:place], f"{part}_project", *parts[place + 1 :]])
    return name


MCIBI_NAMES = {
    "memory.memory": "memory_module.memory",
    "context_attention.": "memory_module.self_attention_ms.",
    "context_fusion.": "memory_module.bottleneck_ms.",
    "context.": "context_within_image_module.",
    "memory_attentions.": "memory_module.self_attentions.",
    "slot_fusion.": "memory_module.fuse_memory_conv.",
    "memory_fusion.": "memory_module.bottleneck.",
    "bottleneck.": "bottleneck.",
    "coarse_decoder.": "decoder_stage1.",
    "decoder.": "decoder_stage2.",
    "auxiliary_decoder.": "auxiliary_decoder.",
}


def test_checkpoints_with_several_slots_keep_every_tensor() -> None:
    config = replace(tiny_mcibi(), pyramid=False, memory=ClassMemoryConfig(slots=2), context=ContextKind.ASPP)
    model = build_model(config, K, seed=0)
    state = published(model, MCIBI_NAMES)
    assert released.is_mcibi(state)
    assert released.num_classes(state) == K
    own = released.own_state(state)
    expected = {
        name: values for name, values in model.state_dict().items() if not name.startswith("backbone.")
    }
    assert own.keys() == expected.keys()
    assert all(torch.equal(values, expected[name]) for name, values in own.items())
    found = released.mcibi_config(state, TinyBackboneConfig())
    assert isinstance(found, McibiConfig)
    assert (found.width, found.attention_width, found.auxiliary_width) == (16, 8, 16)
    assert found.memory.slots == 2
    assert found.context is ContextKind.ASPP


PLUS_PLUS_NAMES = {
    "memory.memory": "memory_module.memory",
    "context_decoder.0.": "decoder_cwi.conv1.",
    "context_decoder.1.": "decoder_cwi.bn1.",
    "context_decoder.4.": "decoder_cwi.conv2.",
    "pixel_decoder.0.": "decoder_pr.conv1.",
    "pixel_decoder.1.": "decoder_pr.bn1.",
    "pixel_decoder.4.": "decoder_pr.conv2.",
    "context.": "context_within_image_module.",
    "within_attention.": "self_attention.",
    "memory_attention.": "memory_module.self_attention.",
    "memory_fusion.": "memory_module.bottleneck.",
    "downsample.": "memory_module.downsample_before_sa.",
    "bottleneck.": "bottleneck.",
    "pyramid.": "",
    "decoder.0.": "decoder_cls.conv1.",
    "decoder.1.": "decoder_cls.bn1.",
    "decoder.4.": "decoder_cls.conv2.",
    "auxiliary_decoder.": "auxiliary_decoder.",
}


@pytest.mark.parametrize(
    "config",
    [
        replace(tiny_mcibipp(), decoder_kernel=DecoderKernel.SIZE3, pyramid_width=24),
        replace(tiny_mcibipp(), context=ContextKind.NONE, pyramid=False, pyramid_width=16, auxiliary=False),
        replace(tiny_mcibipp(), within_attention=True, attention_stride=AttentionStride.HALF),
    ],
)
def test_checkpoints_tell_the_configuration(config: McibiPlusPlusConfig) -> None:
    model = build_model(config, K, seed=0)
    state = published(model, PLUS_PLUS_NAMES)
    own = released.own_state(state)
    expected = {
        name: values for name, values in model.state_dict().items() if not name.startswith("backbone.")
    }
    assert own.keys() == expected.keys()
    assert all(torch.equal(values, expected[name]) for name, values in own.items())
    found = released.mcibi_config(state, config.backbone)
    assert isinstance(found, McibiPlusPlusConfig)
    assert replace(found, dropout=0.0, auxiliary_width=16) == config


@pytest.mark.parametrize(
    ("file", "rate"),
    [
        ("mcibi_deeplabv3_r50_ade20k.pth", 0.01),
        ("mcibi_deeplabv3_s101_ade20k.pth", 0.004),
        ("mcibi_deeplabv3_r101_cityscapes.pth", 0.009),
        ("mcibi_deeplabv3_hrnetv2w48_lip.pth", 0.007),
        ("mcibi_deeplabv3_r50_cocostuff10k.pth", 0.0009),
        ("", 0.01),
    ],
)
def test_the_file_tells_the_base_rate(file: str, rate: float) -> None:
    model = build_model(replace(tiny_mcibi(), pyramid=False), K, seed=0)
    names = MCIBI_NAMES | {"memory_attentions.0.": "memory_module.self_attention."}
    names = dict(sorted(names.items(), key=lambda item: -len(item[0])))
    found = released.mcibi_config(published(model, names), TinyBackboneConfig(), file=file)
    assert isinstance(found, McibiConfig)
    assert found.memory.base_rate == rate


def test_what_published_networks_do_between_backbone_and_head_belongs_to_the_backbone() -> None:
    memory = {"memory_module.memory": torch.zeros(K, 1, 8)}
    more = {"norm_layers.2.weight": torch.ones(8), "downsample_backbone.0.weight": torch.ones(8, 8, 3, 3)}
    names = set(released.own_state(memory | more))
    assert names == {"memory.memory", "backbone.norms.2.weight", "backbone.downsample.0.weight"}
