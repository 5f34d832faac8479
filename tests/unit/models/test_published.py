"""Published checkpoints of every family: backbone, configuration, sizes, order of channels."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

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
from models.backbones.swin import PatchMerging
from models.build import build_model
from models.context_configs import ContextKind
from models.idrnet_configs import ContextRefinement, IdrnetConfig, PyramidPlace
from models.memory_configs import DecoderKernel, McibiConfig, McibiPlusPlusConfig
from models.released import backbones
from models.released.published import UnknownCheckpointError, read_published
from models.weights import load_state
from tests.support.published import BACKBONE, SMALL, names_of, published_names, published_state, small_network

R50 = ResNetConfig(depth=ResNetDepth.RESNET50, stem=ResNetStem.DEEP, pretrained=False)
R101 = replace(R50, depth=ResNetDepth.RESNET101)
SWIN_L = SwinConfig(size=SwinSize.LARGE, window=12, drop_path=0.3, shift_single_window=True, pretrained=False)
AFTER = ContextRefinement.AFTER
SWIN_INDEX = 24 * 144 * 144
"""Offsets that the published Swin stores in each of its 24 layers."""


@pytest.mark.parametrize(
    ("config", "classes", "entries", "elements"),
    [
        (IdrnetConfig(backbone=R50, width=1024), 150, 400, 56_037_825),
        (IdrnetConfig(backbone=R50, context=ContextKind.PPM, context_refinement=AFTER), 150, 466, 55_292_364),
        (
            IdrnetConfig(backbone=R50, context=ContextKind.ASPP, context_refinement=AFTER),
            150,
            472,
            61_848_013,
        ),
        (
            IdrnetConfig(
                backbone=R50,
                context=ContextKind.ASPP,
                context_refinement=AFTER,
                pyramid=PyramidPlace.AFTER,
            ),
            150,
            508,
            70_642_131,
        ),
        (
            IdrnetConfig(
                backbone=R50,
                context=ContextKind.PPM,
                context_refinement=AFTER,
                width=1024,
                coarse_from_features=True,
            ),
            19,
            466,
            109_161_674,
        ),
        (
            IdrnetConfig(
                backbone=SWIN_L,
                context=ContextKind.ASPP,
                context_refinement=AFTER,
                pyramid=PyramidPlace.AFTER,
                pyramid_width=1024,
            ),
            150,
            535 - 24,
            305_767_152 - SWIN_INDEX,
        ),
        (McibiConfig(backbone=R50), 150, 481, 91_560_305),
        (McibiConfig(backbone=R101), 19, 787, 110_336_027),
        # MCIBI++ keeps its random table here, which is not in the published files.
        (McibiPlusPlusConfig(backbone=R50, context=ContextKind.NONE), 150, 403 + 1, 43_883_152 + 150 * 512),
        (
            McibiPlusPlusConfig(backbone=R50, pyramid=True, decoder_kernel=DecoderKernel.SIZE3),
            150,
            477 + 1,
            94_846_770 + 150 * 512,
        ),
    ],
)
def test_published_networks_have_as_many_entries_and_elements_as_their_files(
    config: Any, classes: int, entries: int, elements: int
) -> None:
    with torch.device("meta"):
        state = build_model(config, classes).state_dict()
    assert len(state) == entries
    assert sum(values.numel() for values in state.values()) == elements


@pytest.mark.parametrize("family", SMALL)
def test_a_network_comes_back_from_its_published_names(family: str) -> None:
    model = small_network(family, 5)
    state = published_state(model, family)
    found = read_published({f"module.{name}": values for name, values in state.items()}, file=f"{family}.pth")
    assert found.num_classes == 5
    assert found.network.backbone == BACKBONE
    again = build_model(found.network, 5, seed=1)
    report = load_state(again, found.state)
    assert report.complete, report.summary()
    assert {found.names[name] for name in report.used if found.names[name]} == set(state)
    image = torch.randn(1, 3, 64, 80)
    with torch.no_grad():
        assert torch.equal(again.eval()(image).logits, model(image).logits)


def test_foreign_tensors_are_refused() -> None:
    with pytest.raises(UnknownCheckpointError, match="no network"):
        read_published({"layer.weight": torch.zeros(1)})


def test_a_network_without_what_tells_its_shape_is_refused_by_name() -> None:
    state = published_state(small_network("idrnet", 3), "idrnet")
    del state["decoder_stage1.0.weight"]
    with pytest.raises(UnknownCheckpointError, match=r"IDRNet.*decoder_stage1\.0\.weight"):
        read_published(state)


def test_a_backbone_nobody_published_is_refused() -> None:
    state = published_state(small_network("idrnet", 3), "idrnet")
    short = {name: values for name, values in state.items() if ".layer3.1." not in name}
    with pytest.raises(UnknownCheckpointError, match="shape"):
        read_published(short)
    rest = {name: values for name, values in state.items() if not name.startswith("backbone_net.")}
    with pytest.raises(UnknownCheckpointError, match="backbone"):
        read_published(rest)


# ---------------------------------------------------------------------------------------------- backbones


@pytest.mark.parametrize(
    "config",
    [
        *(replace(R50, depth=depth) for depth in ResNetDepth),
        replace(R50, stem=ResNetStem.PLAIN, base_width=16),
        SWIN_L,
        replace(SWIN_L, size=SwinSize.TINY, window=7),
        replace(SWIN_L, size=SwinSize.BASE),
        VitConfig(positions=32, pretrained=False),
    ],
    ids=lambda config: type(config).__name__,
)
def test_a_backbone_is_recognised_and_every_tensor_finds_its_place(config: BackboneConfig) -> None:
    check_backbone(config)


@pytest.mark.parametrize(
    "config",
    [
        ResNestConfig(depth=ResNestDepth.RESNEST101),
        ResNestConfig(depth=ResNestDepth.RESNEST50),
        HrNetConfig(width=HrNetWidth.W48, stem_activation=False),
        HrNetConfig(width=HrNetWidth.W18, stem_activation=False, halved=True),
        HrNetConfig(width=HrNetWidth.W18_SMALL, stem_activation=False),
    ],
    ids=lambda config: type(config).__name__,
)
def test_an_optional_backbone_is_recognised(config: BackboneConfig) -> None:
    pytest.importorskip("timm")
    check_backbone(config)


def check_backbone(config: BackboneConfig) -> None:
    published = published_names(config)
    assert backbones.backbone_config(published) == config
    own = names_of(config)
    found = {}
    for name, values in published.items():
        renamed = backbones.own_name(name, config)
        if renamed is not None:
            found[renamed] = backbones.own_values(name, values, config).shape
    assert found == {name: values.shape for name, values in own.items()}


def test_what_lies_beside_the_published_backbone_goes_into_it() -> None:
    state = {
        name: torch.zeros(1) for name in ("norm_layers.2.weight", "downsample_backbone.0.weight", "decoder.0")
    }
    assert set(backbones.gathered(state)) == {
        "backbone_net.norms.2.weight",
        "backbone_net.downsample.0.weight",
        "decoder.0",
    }


def test_the_merging_of_swin_computes_what_the_published_one_computes() -> None:
    features = torch.randn(2, 5, 6, 3)
    ours = PatchMerging(3)
    weight, scale, shift = torch.randn(6, 12), torch.rand(12), torch.randn(12)
    config = SwinConfig(pretrained=False)
    with torch.no_grad():
        for part, values in (("reduction.weight", weight), ("norm.weight", scale), ("norm.bias", shift)):
            ours.get_parameter(part).copy_(
                backbones.own_values(f"stages.0.downsample.{part}", values, config)
            )
        # Published: every channel of the input stands beside its own neighbours, row by row.
        even = F.pad(features.permute(0, 3, 1, 2), (0, 0, 0, 1))
        columns = F.unfold(even, 2, stride=2).transpose(1, 2)
        expected = F.linear(F.layer_norm(columns, (12,), scale, shift), weight).unflatten(1, (3, 3))
        torch.testing.assert_close(ours(features), expected)
