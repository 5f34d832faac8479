"""Backbones: shapes, dilation, published weights and what happens without them."""

import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet

from models.backbones import pretrained
from models.backbones import resnet as ours
from models.backbones.build import build_backbone
from models.backbones.pretrained import PretrainedUnavailableError, load_published
from models.backbones.resnet import ResNetBackbone
from models.build import build_model
from models.configs import (
    FcnConfig,
    NormKind,
    OutputStride,
    ResNetConfig,
    ResNetDepth,
    Supervision,
    TinyBackboneConfig,
    TinyConfig,
)
from models.presets import fcn_resnet18


@pytest.fixture(autouse=True)
def _fresh_reachability() -> Iterator[None]:
    clear = pretrained.reachable.cache_clear
    clear()
    yield
    clear()


@pytest.mark.parametrize(
    ("depth", "stride"),
    [
        *((ResNetDepth.RESNET18, stride) for stride in OutputStride),
        (ResNetDepth.RESNET50, OutputStride.STRIDE8),
    ],
)
def test_features_have_the_promised_shapes(depth: ResNetDepth, stride: OutputStride) -> None:
    config = ResNetConfig(depth=depth, output_stride=stride, pretrained=False)
    backbone = build_backbone(config).eval()
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 65, 96))
    assert backbone.strides[-1] == stride.value
    for values, channels, step in zip(features, backbone.channels, backbone.strides, strict=True):
        assert values.shape == (1, channels, -(-65 // step), 96 // step)


@pytest.mark.parametrize(
    "config", [TinyBackboneConfig(width=8, coordinates=c, norm=n) for c in (False, True) for n in NormKind]
)
def test_tiny_features_have_the_promised_shapes(config: TinyBackboneConfig) -> None:
    backbone = build_backbone(config)
    for values, channels, step in zip(
        backbone(torch.randn(2, 3, 47, 64)), backbone.channels, backbone.strides, strict=True
    ):
        assert values.shape == (2, channels, -(-47 // step), 64 // step)


def test_dilated_bottlenecks_are_torchvisions() -> None:
    config = ResNetConfig(depth=ResNetDepth.RESNET50, output_stride=OutputStride.STRIDE8, pretrained=False)
    backbone = ResNetBackbone(config).eval()
    reference = resnet.resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    backbone.load_state_dict({n: v for n, v in reference.state_dict().items() if not n.startswith("fc.")})
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected: Any = nn.Sequential(*list(reference.children())[:-2])(image)
        torch.testing.assert_close(backbone(image)[3], expected)


def dilations(backbone: ResNetBackbone, layer: str) -> list[int]:
    blocks = getattr(backbone, layer).children()
    return [(block.conv2 if hasattr(block, "conv3") else block.conv1).dilation[0] for block in blocks]


@pytest.mark.parametrize("depth", [ResNetDepth.RESNET34, ResNetDepth.RESNET50])
def test_both_conventions_of_dilation(depth: ResNetDepth) -> None:
    with torch.device("meta"):
        contracted = ResNetBackbone(ResNetConfig(depth=depth, pretrained=False))
        plain = ResNetBackbone(ResNetConfig(depth=depth, pretrained=False, contracted_dilation=False))
        config = ResNetConfig(depth=depth, pretrained=False, output_stride=OutputStride.STRIDE16)
        coarse = ResNetBackbone(config)
    assert dilations(contracted, "layer2") == [1] * 4
    assert dilations(contracted, "layer3") == [1, 2, 2, 2, 2, 2]
    assert dilations(contracted, "layer4") == [2, 4, 4]
    assert dilations(plain, "layer3") == [2] * 6
    assert dilations(plain, "layer4") == [4] * 3
    assert dilations(coarse, "layer4") == [1, 2, 2]
    assert coarse.layer3[0].conv2.stride == (1, 1) if depth is ResNetDepth.RESNET34 else (2, 2)


def test_the_second_convolution_of_a_basic_block_is_not_dilated() -> None:
    with torch.device("meta"):
        backbone = ResNetBackbone(ResNetConfig(depth=ResNetDepth.RESNET18, pretrained=False))
    assert all(block.conv2.dilation == (1, 1) for block in backbone.layer4.children())


@pytest.mark.parametrize(
    ("depth", "millions"),
    [
        (ResNetDepth.RESNET18, 11.177),
        (ResNetDepth.RESNET34, 21.285),
        (ResNetDepth.RESNET50, 23.508),
        (ResNetDepth.RESNET101, 42.500),
    ],
)
def test_parameters_are_the_published_number(depth: ResNetDepth, millions: float) -> None:
    with torch.device("meta"):
        backbone = ResNetBackbone(ResNetConfig(depth=depth, pretrained=False))
    assert sum(values.numel() for values in backbone.parameters()) / 1e6 == pytest.approx(millions, abs=1e-3)


def test_the_head_of_the_tables_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        backbone = ResNetConfig(depth=ResNetDepth.RESNET50, pretrained=False)
        model = build_model(FcnConfig(backbone=backbone, supervision=Supervision.STAGE3), 150)
    counts = {name: sum(v.numel() for v in part.parameters()) / 1e6 for name, part in model.named_children()}
    assert counts["decoder"] == pytest.approx(11.876, abs=1e-3)
    assert counts["auxiliary_decoders"] == pytest.approx(4.797, abs=1e-3)


def test_every_stage_can_have_a_head() -> None:
    config = FcnConfig(
        backbone=TinyBackboneConfig(width=8), width=8, supervision=Supervision.EVERY_STAGE, head_rate=10.0
    )
    model = build_model(config, 3)
    assert list(model(torch.randn(2, 3, 32, 32)).auxiliary_logits) == ["stage1", "stage2", "stage3"]
    rates = {group["name"]: group["lr"] for group in model.parameter_groups(0.1, 0.0)}
    assert rates["backbone"] == pytest.approx(0.1)
    assert rates["head"] == pytest.approx(1.0)
    assert not build_model(FcnConfig(backbone=TinyBackboneConfig(width=8), supervision=Supervision.NONE), 3)(
        torch.randn(2, 3, 32, 32)
    ).auxiliary_logits


def test_coordinates_need_no_other_size() -> None:
    model = build_model(TinyConfig(backbone=TinyBackboneConfig(width=8, coordinates=True), width=8), 3)
    assert model(torch.randn(1, 3, 40, 56)).logits.shape == (1, 3, 40, 56)


# ------------------------------------------------------------------------------------------ published weights


class Server:
    """Stands in for the network: serves one file, or fails, and counts how often it is asked."""

    def __init__(self, content: bytes | None = None, error: Exception | None = None) -> None:
        self.content, self.error, self.asked = content, error, []

    def open(self, url: str, timeout: float) -> Any:
        assert timeout <= 5
        self.asked.append(url)
        if self.error is not None:
            raise self.error
        response: Any = io.BytesIO(self.content or b"")
        response.headers = {"Content-Length": str(len(self.content or b""))}
        return response


def serve(monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    monkeypatch.setattr(urllib.request, "build_opener", lambda: server)
    return server


def weights_file() -> tuple[bytes, str]:
    """Returns a weights file of ResNet-18 shapes and its address, named as torchvision names them."""
    buffer = io.BytesIO()
    state = resnet.resnet18(weights=None).state_dict()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return content, f"https://weights.invalid/net-{hashlib.sha256(content).hexdigest()[:8]}.pth"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_weights_are_downloaded_once_with_progress(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    content, url = weights_file()
    server = serve(monkeypatch, Server(content))
    seen: list[tuple[int, int]] = []
    state = load_published(url, progress=lambda done, total: seen.append((done, total)))
    assert "layer4.1.conv2.weight" in state
    assert seen[-1] == (len(content), len(content))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert [path.name for path in hub.iterdir()] == [url.rsplit("/", 1)[1]]
    asked = len(server.asked)
    load_published(url)
    assert len(server.asked) == asked


def test_weights_reach_the_backbone(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    content, url = weights_file()
    serve(monkeypatch, Server(content))
    monkeypatch.setattr(ours, "_url", lambda depth: url)
    notices: list[str] = []
    model = build_model(fcn_resnet18(), 3, notice=notices.append)
    state = torch.hub.load_state_dict_from_url(url, progress=False, weights_only=True)
    assert torch.equal(model.state_dict()["backbone.layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])
    assert notices == []


@pytest.mark.parametrize("error", [OSError("no route"), urllib.error.URLError("no name"), TimeoutError()])
def test_without_a_network_the_backbone_starts_untrained_and_says_so(
    monkeypatch: pytest.MonkeyPatch, hub: Path, error: Exception
) -> None:
    server = serve(monkeypatch, Server(error=error))
    notices: list[str] = []
    for _ in range(2):
        build_model(fcn_resnet18(), 3, notice=notices.append)
    assert len(server.asked) == 1
    assert len(notices) == 2
    assert "not on this computer" in notices[0]
    assert "starts untrained" in notices[0]
    build_model(fcn_resnet18(), 3)


def test_a_server_that_says_no_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = urllib.error.HTTPError("https://weights.invalid", 403, "no", Message(), io.BytesIO())
    serve(monkeypatch, Server(error=refusal))
    assert pretrained.reachable("https://weights.invalid")


def test_a_damaged_download_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    content, url = weights_file()
    serve(monkeypatch, Server(content[:-100]))
    with pytest.raises(PretrainedUnavailableError, match="damaged"):
        load_published(url)
    assert list(hub.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    content, url = weights_file()
    hub.mkdir(parents=True)
    (hub / url.rsplit("/", 1)[1]).write_bytes(content[:1000])
    serve(monkeypatch, Server(content))
    assert load_published(url)


def test_a_broken_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    monkeypatch.setattr(pretrained, "reachable", lambda origin: True)
    serve(monkeypatch, Server(error=ConnectionResetError("reset")))
    with pytest.raises(PretrainedUnavailableError, match="could not be downloaded"):
        load_published("https://weights.invalid/net-00.pth")
    assert list(hub.iterdir()) == []


def test_a_download_that_is_cancelled_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, hub: Path
) -> None:
    content, url = weights_file()
    serve(monkeypatch, Server(content))

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_published(url, progress=cancel)
    assert list(hub.iterdir()) == []


def test_only_encrypted_addresses_are_asked(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    server = serve(monkeypatch, Server(b""))
    with pytest.raises(PretrainedUnavailableError):
        load_published("http://weights.invalid/net-00.pth")
    assert server.asked == []
