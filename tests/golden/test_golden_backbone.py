"""The deep-stem ResNet computes what the reference computed: features, statistics and gradients."""

import pytest
import torch

from models.backbone_configs import ResNetConfig, ResNetDepth, ResNetStem
from models.backbones.resnet import ResNetBackbone
from models.weights import load_state
from tests.support.reference_data import stored

pytestmark = pytest.mark.golden


def backbone_of(state: dict[str, torch.Tensor]) -> ResNetBackbone:
    config = ResNetConfig(depth=ResNetDepth.RESNET50, stem=ResNetStem.DEEP, base_width=8, pretrained=False)
    backbone = ResNetBackbone(config)
    assert load_state(backbone, state).complete
    return backbone


def test_features_in_evaluation() -> None:
    case = stored("backbone_r50_os8")
    backbone = backbone_of(case["state"]).eval()
    with torch.no_grad():
        features = backbone(case["images"])
    for number, values in enumerate(features):
        expected = case["eval"][str(number)]
        assert float((values - expected).abs().max()) < 1e-6 * float(expected.abs().max())


def test_features_statistics_and_gradients_in_training() -> None:
    case = stored("backbone_r50_os8")
    backbone = backbone_of(case["state"]).train()
    features = backbone(case["images"])
    for number, values in enumerate(features):
        torch.testing.assert_close(values, case["train"][str(number)], rtol=1e-4, atol=1e-4)
    torch.stack([values.square().mean() for values in features]).sum().backward()
    after = backbone.state_dict()
    for name, values in case["changed_state"].items():
        torch.testing.assert_close(after[name], values, rtol=1e-4, atol=1e-5)
    gradients = {name: parameter.grad for name, parameter in backbone.named_parameters()}
    assert gradients.keys() == case["grads"].keys()
    for name, values in case["grads"].items():
        gradient = gradients[name]
        assert gradient is not None
        scale = max(float(values.abs().max()), 1e-6)
        torch.testing.assert_close(gradient, values, rtol=1e-4, atol=1e-4 * scale)
