"""The other backbones: shapes, parameters, equality with the library whose weights they take."""

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import swin_b, swin_s, swin_t, vision_transformer

from models.backbone_catalog import BACKBONES, BackboneSpec, BackboneUnavailableError
from models.backbone_configs import (
    BackboneConfig,
    ConvNextConfig,
    ConvNextSize,
    HrNetConfig,
    HrNetWidth,
    MobileNetConfig,
    MobileNetSize,
    ResNestConfig,
    ResNestDepth,
    ResNetConfig,
    ResNetDepth,
    ResNetStem,
    SwinConfig,
    SwinSize,
    VitConfig,
)
from models.backbones import pretrained
from models.backbones.attention_layers import DropPath, rising_shares
from models.backbones.build import build_backbone
from models.backbones.swin import SwinBackbone
from models.backbones.vit import VitBackbone, from_torchvision, stretched_positions
from models.described import ConfigError

SMALL: tuple[BackboneConfig, ...] = (
    ResNetConfig(depth=ResNetDepth.RESNET18, stem=ResNetStem.DEEP, base_width=8, pretrained=False),
    SwinConfig(pretrained=False, window=4, shift_single_window=True),
    ConvNextConfig(pretrained=False),
    MobileNetConfig(size=MobileNetSize.SMALL, pretrained=False),
    MobileNetConfig(dilated=False, pretrained=False),
    VitConfig(width=32, heads=2, depth=4, patch=8, positions=5, taken=(1, 2, 3, 4), pretrained=False),
)
OPTIONAL: tuple[BackboneConfig, ...] = (
    ResNestConfig(depth=ResNestDepth.RESNEST14),
    HrNetConfig(width=HrNetWidth.W18_SMALL),
    HrNetConfig(width=HrNetWidth.W18_SMALL, halved=True, stem_activation=False),
)


def check_shapes(config: BackboneConfig) -> None:
    backbone = build_backbone(config).eval()
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 65, 94))
    for values, channels, stride in zip(features, backbone.channels, backbone.strides, strict=True):
        assert values.shape == (1, channels, -(-65 // stride), -(-94 // stride))
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("config", SMALL, ids=lambda config: type(config).__name__)
def test_features_have_the_promised_shapes(config: BackboneConfig) -> None:
    check_shapes(config)


@pytest.mark.parametrize("config", OPTIONAL, ids=lambda config: type(config).__name__)
def test_features_of_optional_backbones_have_the_promised_shapes(config: BackboneConfig) -> None:
    pytest.importorskip("timm")
    check_shapes(config)


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (SwinConfig(size=SwinSize.TINY, pretrained=False), 27.519 + 0.002),
        (SwinConfig(size=SwinSize.BASE, pretrained=False), 86.743 + 0.004),
        (ConvNextConfig(size=ConvNextSize.TINY, pretrained=False), 27.819),
        (MobileNetConfig(size=MobileNetSize.LARGE, pretrained=False), 2.972),
        (ResNetConfig(depth=ResNetDepth.RESNET50, stem=ResNetStem.DEEP, pretrained=False), 23.527),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else "",
)
def test_parameters_are_the_published_number(config: BackboneConfig, millions: float) -> None:
    with torch.device("meta"):
        backbone = build_backbone(config)
    assert sum(values.numel() for values in backbone.parameters()) / 1e6 == pytest.approx(millions, abs=2e-3)


def test_the_published_number_of_entries_of_swin_l() -> None:
    with torch.device("meta"):
        backbone = SwinBackbone(SwinConfig(size=SwinSize.LARGE, window=12, pretrained=False))
    # The published file also holds the index of offsets of every one of the 24 layers.
    assert len(backbone.state_dict()) + 24 == 357


@pytest.mark.parametrize("make", [swin_t, swin_s, swin_b])
def test_swin_takes_every_tensor_of_torchvision(make: Any) -> None:
    size = {swin_t: SwinSize.TINY, swin_s: SwinSize.SMALL, swin_b: SwinSize.BASE}[make]
    with torch.device("meta"):
        own = SwinBackbone(SwinConfig(size=size, pretrained=False)).state_dict()
        theirs = make(weights=None).state_dict()
    expected = {
        name: values.shape
        for name, values in theirs.items()
        if not name.startswith(("norm.", "head.")) and not name.endswith("relative_position_index")
    }
    assert {n: v.shape for n, v in own.items() if not n.startswith("norms.")} == expected


@pytest.mark.parametrize("size", [(64, 64), (250, 231)])
def test_swin_computes_what_torchvision_computes(size: tuple[int, int]) -> None:
    theirs = swin_t(weights=None).eval()
    own = SwinBackbone(SwinConfig(pretrained=False)).eval()
    state = theirs.state_dict()
    for name, values in own.state_dict().items():
        if name.startswith("norms.3."):
            values.copy_(state[name.replace("norms.3.", "norm.")])
        elif not name.startswith("norms."):
            values.copy_(state[name])
    image = torch.randn(1, 3, *size)
    if size[0] % 4 or size[1] % 4:
        image = torch.nn.functional.pad(image, (0, -size[1] % 4, 0, -size[0] % 4))
    with torch.no_grad():
        expected = theirs.norm(theirs.features(image)).permute(0, 3, 1, 2)
        found = own(image)[3]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_single_window_is_shifted_only_if_asked() -> None:
    image = torch.randn(1, 3, 64, 64)
    results = []
    for shifted in (False, True):
        torch.manual_seed(0)
        backbone = SwinBackbone(SwinConfig(pretrained=False, shift_single_window=shifted)).eval()
        with torch.no_grad():
            results.append(backbone(image))
    torch.testing.assert_close(results[0][0], results[1][0])  # 16 x 16 cells are more than one window
    assert not torch.allclose(results[0][3], results[1][3])


def test_vit_computes_what_torchvision_computes() -> None:
    theirs = vision_transformer.VisionTransformer(
        image_size=64, patch_size=16, num_layers=4, num_heads=2, hidden_dim=32, mlp_dim=128
    ).eval()
    config = VitConfig(width=32, heads=2, depth=4, positions=4, taken=(1, 2, 3, 4), pretrained=False)
    own = VitBackbone(config).eval()
    state = from_torchvision(theirs.state_dict(), layers=4)
    missing = own.load_state_dict(state, strict=False)
    assert all(name.startswith("norms.") for name in missing.missing_keys)
    assert missing.unexpected_keys == []
    own.norms[3].load_state_dict(theirs.encoder.ln.state_dict())
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        tokens = torch.cat([theirs.class_token.expand(2, -1, -1), theirs._process_input(image)], dim=1)
        expected = theirs.encoder(tokens)[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
        torch.testing.assert_close(own(image)[3], expected, rtol=1e-4, atol=1e-5)


def test_layers_nobody_reads_are_not_built() -> None:
    config = VitConfig(width=32, heads=2, depth=6, patch=8, positions=4, taken=(1, 2, 3, 4), pretrained=False)
    assert len(VitBackbone(config).layers) == 4


def test_positions_are_stretched() -> None:
    positions = torch.randn(1, 26, 8)
    assert stretched_positions(positions, 5) is positions
    stretched = stretched_positions(positions, 7)
    assert stretched.shape == (1, 50, 8)
    assert torch.equal(stretched[:, :1], positions[:, :1])


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("heads", {"width": 30, "heads": 4}),
        ("taken", {"taken": (1, 2, 3)}),
        ("taken", {"taken": (4, 3, 2, 1)}),
    ],
)
def test_a_vit_that_cannot_be_is_refused(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        VitConfig(**values)
    assert refusal.value.field == field


def test_skipped_depth_keeps_the_mean_and_does_nothing_in_evaluation() -> None:
    drop = DropPath(0.25)
    values = torch.ones(4000, 2)
    dropped = drop(values)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.05)
    assert drop.eval()(values) is values
    assert rising_shares(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rising_shares(0.3, 1) == [0.0]


@pytest.mark.parametrize(
    "config",
    [
        SwinConfig(size=SwinSize.TINY),
        SwinConfig(size=SwinSize.LARGE, window=12),
        ConvNextConfig(),
        MobileNetConfig(),
        VitConfig(width=32, heads=2, depth=4, patch=8, positions=4, taken=(1, 2, 3, 4)),
        ResNetConfig(base_width=8),
        ResNetConfig(stem=ResNetStem.DEEP),
    ],
    ids=lambda config: type(config).__name__,
)
def test_without_weights_they_start_untrained_and_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, config: BackboneConfig
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained, "reachable", lambda origin: False)
    notices: list[str] = []
    with torch.device("meta"):
        build_backbone(config, notice=notices.append)
        build_backbone(config)
    assert len(notices) == 1
    assert "starts untrained" in notices[0]


def serve(monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> None:
    monkeypatch.setattr(pretrained, "load_published", lambda url, progress=None: state)


def test_published_weights_reach_the_stages_under_a_deep_stem(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = build_backbone(ResNetConfig(pretrained=False)).state_dict()
    serve(monkeypatch, plain | {"fc.weight": torch.zeros(10, 512)})
    notices: list[str] = []
    deep = build_backbone(ResNetConfig(stem=ResNetStem.DEEP), notice=notices.append).state_dict()
    assert torch.equal(deep["layer4.1.conv2.weight"], plain["layer4.1.conv2.weight"])
    assert notices == []


@pytest.mark.parametrize(
    "config", [ConvNextConfig(), MobileNetConfig(size=MobileNetSize.SMALL), SwinConfig()]
)
def test_published_weights_reach_the_features(
    monkeypatch: pytest.MonkeyPatch, config: ConvNextConfig | MobileNetConfig | SwinConfig
) -> None:
    donor = build_backbone(replace(config, pretrained=False)).state_dict()
    last = "head.weight" if isinstance(config, SwinConfig) else "classifier.0.weight"
    serve(monkeypatch, donor | {last: torch.zeros(2, 2)})
    notices: list[str] = []
    found = build_backbone(config, notice=notices.append).state_dict()
    assert all(torch.equal(v, donor[n]) for n, v in found.items() if n.startswith("features."))
    assert notices == []


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    for config in (ResNestConfig(), HrNetConfig()):
        with pytest.raises(BackboneUnavailableError, match=r"maskloop\[backbones\]"):
            build_backbone(config)


def test_shortcuts_of_resnest_that_keep_their_size_do_not_pool() -> None:
    pytest.importorskip("timm")
    with torch.device("meta"):
        backbone = build_backbone(ResNestConfig(depth=ResNestDepth.RESNEST101))
    layers = [backbone.get_submodule(f"layer{n}.0.downsample.0") for n in (1, 2, 3, 4)]
    assert [type(layer).__name__ for layer in layers] == ["Identity", "AvgPool2d", "Identity", "Identity"]
    dilations = [backbone.get_submodule(f"layer4.{n}.conv2.conv").dilation for n in (0, 1)]
    assert dilations == [(2, 2), (4, 4)]


@pytest.mark.parametrize("spec", BACKBONES, ids=lambda spec: spec.name)
def test_every_entry_of_the_catalog_is_one_of_the_choices(spec: BackboneSpec) -> None:
    assert type(spec.default) in BackboneConfig.__args__
    assert spec.title
    assert {type(other.default) for other in BACKBONES} == set(BackboneConfig.__args__)
