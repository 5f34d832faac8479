"""EfficientNet-Lite0: shapes at every output stride, weights under other names, and what is said without."""

import importlib.util
from pathlib import Path

import pytest
import torch

from models.backbone_configs import EfficientNetLiteConfig, OutputStride
from models.backbones import efficientnet_lite, pretrained
from models.backbones.build import build_backbone
from models.backbones.efficientnet_lite import PACKAGE, WEIGHTS, EfficientNetLiteBackbone, own_names

UNTRAINED = EfficientNetLiteConfig(pretrained=False)


def built(
    config: EfficientNetLiteConfig = UNTRAINED, notices: list[str] | None = None
) -> EfficientNetLiteBackbone:
    backbone = build_backbone(config, notice=None if notices is None else notices.append)
    assert isinstance(backbone, EfficientNetLiteBackbone)
    return backbone.eval()


@pytest.mark.parametrize(
    ("stride", "strides"),
    [
        (OutputStride.STRIDE32, (4, 8, 16, 32)),
        (OutputStride.STRIDE16, (4, 8, 16, 16)),
        (OutputStride.STRIDE8, (4, 8, 8, 8)),
    ],
)
def test_late_stages_are_dilated_instead_of_smaller(stride: OutputStride, strides: tuple[int, ...]) -> None:
    backbone = built(EfficientNetLiteConfig(output_stride=stride, pretrained=False))
    assert backbone.strides == strides
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, 65, 94))
    for values, channels, step in zip(features, backbone.channels, strides, strict=True):
        assert values.shape == (2, channels, -(-65 // step), -(-94 // step))
        assert torch.isfinite(values).all()


def test_its_size_is_the_published_one_without_the_classifier() -> None:
    # 4.652 million with the classifier's 1280 x 1001 numbers and the layer of 320 x 1280 before it.
    weights = sum(values.numel() for values in built().parameters())
    assert weights == 4_652_008 - (1280 * 1000 + 1000) - (320 * 1280 + 2 * 1280)


def test_an_odd_pixel_is_filled_up_at_the_far_side() -> None:
    stem = torch.nn.Sequential(*efficientnet_lite._convolved(1, 1, 3, stride=2)[:2])
    with torch.no_grad():
        stem[1].weight.fill_(0)
        stem[1].weight[0, 0, 0, 0] = 1  # looks at the first pixel of its window
        even = stem(torch.arange(16.0).view(1, 1, 4, 4) + 1)
        odd = stem(torch.arange(25.0).view(1, 1, 5, 5) + 1)
    assert even[0, 0].tolist() == [[1, 3], [9, 11]]
    assert odd[0, 0, 1:, 1:].tolist() == [[7, 9], [17, 19]]


def test_a_file_that_is_not_the_published_one_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / Path(WEIGHTS).name
    damaged.write_bytes(b"something else")
    monkeypatch.setattr(pretrained, "packaged_path", lambda package, inside: damaged)
    notices: list[str] = []
    built(EfficientNetLiteConfig(), notices)
    assert len(notices) == 1
    assert "damaged" in notices[0]
    assert "starts untrained" in notices[0]


def test_without_the_package_it_starts_untrained_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    notices: list[str] = []
    built(EfficientNetLiteConfig(), notices)
    assert len(notices) == 1
    assert PACKAGE in notices[0]
    assert "starts untrained" in notices[0]


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    pytest.importorskip(PACKAGE, reason="the published weights lie in this package of data")
    return dict(pretrained.load_packaged(PACKAGE, WEIGHTS))


def test_the_published_weights_fill_every_tensor(published: dict[str, torch.Tensor]) -> None:
    notices: list[str] = []
    backbone = built(EfficientNetLiteConfig(), notices)
    assert notices == []
    own = backbone.state_dict()
    renamed = own_names(published)
    assert renamed.keys() == own.keys()
    assert torch.equal(own["stages.6.0.project.1.weight"], published["_blocks.15._project_conv.weight"])
    left = {name.partition(".")[0] for name in published} - {"_conv_stem", "_bn0", "_blocks"}
    assert left == {"_conv_head", "_bn1", "_fc"}


def test_the_published_weights_see_what_they_were_trained_to_see(published: dict[str, torch.Tensor]) -> None:
    """After every stage, features of plain noise keep the spread that the last normalisation promises."""
    backbone = built(EfficientNetLiteConfig(output_stride=OutputStride.STRIDE32))
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), size=(128, 128), mode="bilinear")
    with torch.no_grad():
        last = backbone.every_stage(smooth)[-1]
    promised = published["_blocks.15._bn2.weight"].abs().mean()
    assert 0.3 < float(last.std() / promised) < 3
