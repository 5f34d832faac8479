"""OCRNet against numbers of the authors' code: logits, losses, gradients, statistics."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from models.backbone_configs import ResNetConfig
from models.base import IGNORE_INDEX
from models.baseline_configs import OcrNetConfig
from models.build import build_loss
from models.configs import CrossEntropyConfig
from models.losses.total import total
from models.networks.ocrnet import OcrNet
from models.released import baselines as released
from models.weights import load_state
from tests.support.reference_backbone import NarrowResNet
from tests.support.reference_data import stored

pytestmark = pytest.mark.golden


@pytest.fixture
def case() -> dict[str, Any]:
    return stored("head_ocrnet")


def build(case: dict[str, Any]) -> OcrNet:
    config = released.baseline_config(case["state"], ResNetConfig(pretrained=False))
    assert isinstance(config, OcrNetConfig)
    config = dataclasses.replace(config, auxiliary_dropout=0.0)
    model = OcrNet(config, released.num_classes(case["state"]), lambda _: NarrowResNet())
    assert load_state(model, released.own_state(case["state"])).complete
    return model


def close(found: Tensor, expected: Tensor, relative: float = 1e-5) -> None:
    error = (found.detach().float() - expected.float()).norm() / expected.float().norm().clamp(min=1e-6)
    assert error <= relative, float(error)


def test_inference(case: dict[str, Any]) -> None:
    model = build(case).eval()
    seen: list[Tensor] = []
    model.classifier.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.no_grad():
        model(case["images"])
    close(seen[0], case["eval_logits"])


def test_a_step_of_training(case: dict[str, Any]) -> None:
    model = build(case).train()
    target = torch.where(case["target"] < 0, IGNORE_INDEX, case["target"])
    losses = build_loss(CrossEntropyConfig(auxiliary_weight=0.4))(model(case["images"]), target)
    value = total(losses)
    value.backward()
    assert losses["cross-entropy"].item() == pytest.approx(case["losses"]["loss_cls"], rel=1e-6)
    assert losses["auxiliary: stage3"].item() == pytest.approx(case["losses"]["loss_aux"], rel=1e-6)
    close(value, case["loss"])
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    names = dict(zip(case["state"], released.own_state(case["state"]), strict=True))
    assert {names[name] for name in case["grads"]} == set(found)
    for name, expected in case["grads"].items():
        gradient = found[names[name]]
        assert gradient is not None
        close(gradient, expected, 1e-4)
    state = model.state_dict()
    for name, expected in case["changed_state"].items():
        close(state[names[name]], expected)
